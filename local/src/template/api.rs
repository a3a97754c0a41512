//! Reads the REST API: its stage, its authorizer, its gateway responses.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::error::TemplateError;
use super::model::{Api, Authorizer, GatewayResponse};
use super::resolve::Resolver;
use super::value::typed;
use super::value::{inside, literal, text};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ApiProperties {
    stage_name: String,
    #[serde(default)]
    auth: Auth,
    #[serde(default)]
    binary_media_types: Vec<String>,
    #[serde(default)]
    gateway_responses: BTreeMap<String, Value>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "PascalCase", default)]
struct Auth {
    default_authorizer: Option<String>,
    authorizers: BTreeMap<String, AuthorizerProperties>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AuthorizerProperties {
    function_arn: String,
    function_payload_type: String,
    identity: Identity,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Identity {
    headers: Vec<String>,
    reauthorize_every: u32,
}

pub(super) fn parse_api(
    id: String,
    properties: Value,
    resolver: &Resolver,
    place: &str,
) -> Result<Api, TemplateError> {
    let properties: ApiProperties = typed(properties, place)?;
    let passes_bytes = match &properties.binary_media_types[..] {
        [] => false,
        // As SAM spells `*/*`.
        [all] if all == "*~1*" => true,
        _ => {
            let place = inside(place, "BinaryMediaTypes");
            return Err(TemplateError::at(
                place,
                "only */* (written *~1*) is supported",
            ));
        }
    };
    let mut authorizers = BTreeMap::new();
    for (name, authorizer) in properties.auth.authorizers {
        let place = format!("{place}.Auth.Authorizers.{name}");
        if authorizer.function_payload_type != "REQUEST" {
            let place = inside(&place, "FunctionPayloadType");
            return Err(TemplateError::at(place, "only REQUEST is supported"));
        }
        if authorizer.identity.reauthorize_every != 0 {
            let place = inside(&place, "Identity.ReauthorizeEvery");
            return Err(TemplateError::at(
                place,
                "answers are not cached: only 0 is supported",
            ));
        }
        if properties.auth.default_authorizer.as_ref() != Some(&name) {
            return Err(TemplateError::at(
                place,
                "only the default authorizer is supported",
            ));
        }
        let function = resolver
            .template
            .resources
            .keys()
            .find(|id| {
                resolver.attribute(id, "Arn", &place).as_ref() == Ok(&authorizer.function_arn)
            })
            .ok_or_else(|| {
                TemplateError::at(inside(&place, "FunctionArn"), "no function has this ARN")
            })?;
        authorizers.insert(
            name,
            Authorizer {
                function: function.clone(),
                headers: authorizer.identity.headers,
            },
        );
    }
    let mut responses = BTreeMap::new();
    for (kind, response) in properties.gateway_responses {
        let place = format!("{place}.GatewayResponses.{kind}");
        responses.insert(kind, gateway_response(&response, &place)?);
    }
    Ok(Api {
        id,
        stage: properties.stage_name,
        passes_bytes,
        authorizers,
        routes: Vec::new(),
        responses,
    })
}

fn gateway_response(response: &Value, place: &str) -> Result<GatewayResponse, TemplateError> {
    let status = response.get("StatusCode").map(|status| {
        let status: Option<u16> = text(status).parse().ok();
        status
            .filter(|s| (200..600).contains(s))
            .ok_or_else(|| TemplateError::at(inside(place, "StatusCode"), "not an HTTP status"))
    });
    let mut headers = BTreeMap::new();
    if let Some(given) = response["ResponseParameters"]["Headers"].as_object() {
        for (name, source) in given {
            let source = text(source);
            if !(source.starts_with("context.") || literal(&source).is_some()) {
                let place = format!("{place}.ResponseParameters.Headers.{name}");
                return Err(TemplateError::at(
                    place,
                    "neither a 'literal' nor context.x",
                ));
            }
            headers.insert(name.clone(), source);
        }
    }
    Ok(GatewayResponse {
        status: status.transpose()?,
        headers,
        template: response["ResponseTemplates"]
            .get("application/json")
            .map(text),
    })
}
