//! Reads the REST API: its stage, its routes, its authorizer, its gateway responses.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::error::TemplateError;
use super::model::{Api, Authorizer, GatewayResponse, Route};
use super::resolve::Resolver;
use super::value::typed;
use super::value::{inside, literal, text};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ApiProperties {
    stage_name: String,
    #[serde(default)]
    variables: BTreeMap<String, Value>,
    #[serde(default)]
    definition_body: Definition,
    #[serde(default)]
    auth: Auth,
    #[serde(default)]
    binary_media_types: Vec<String>,
    #[serde(default)]
    gateway_responses: BTreeMap<String, Value>,
}

/// An OpenAPI document with API Gateway's extensions.
#[derive(Deserialize, Default)]
struct Definition {
    /// By path and method.
    paths: BTreeMap<String, BTreeMap<String, Operation>>,
}

#[derive(Deserialize)]
struct Operation {
    /// Empty for the default authorizer.
    #[serde(default)]
    security: Vec<BTreeMap<String, Value>>,
    #[serde(rename = "x-amazon-apigateway-integration")]
    integration: Integration,
}

#[derive(Deserialize)]
struct Integration {
    r#type: String,
    uri: String,
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
        let place = inside(&place, "FunctionArn");
        let function = function_with(&authorizer.function_arn, resolver, &place)?;
        let headers = authorizer.identity.headers;
        authorizers.insert(name, Authorizer { function, headers });
    }
    let mut routes = Vec::new();
    for (path, operations) in properties.definition_body.paths {
        let place = format!("{place}.DefinitionBody.paths.{path}");
        if path.contains("+}") && !path.ends_with("/{path+}") {
            let problem = "only {path+} at the end takes several segments";
            return Err(TemplateError::at(place, problem));
        }
        for (method, operation) in operations {
            let place = inside(&place, &method);
            let authorizer = authorizer_of(&operation, &authorizers, &place)?;
            routes.push(Route {
                method: match method.as_str() {
                    "x-amazon-apigateway-any-method" => "ANY".to_owned(),
                    method => method.to_ascii_uppercase(),
                },
                path: path.clone(),
                function: function_of(&operation.integration, resolver, &place)?,
                authorizer,
            });
        }
    }
    let mut responses = BTreeMap::new();
    for (kind, response) in properties.gateway_responses {
        let place = format!("{place}.GatewayResponses.{kind}");
        responses.insert(kind, gateway_response(&response, &place)?);
    }
    let mut stage_variables = BTreeMap::new();
    for (name, value) in properties.variables {
        let value = text(&value);
        if !is_stage_variable(&name, &value) {
            let place = format!("{place}.Variables.{name}");
            return Err(TemplateError::at(
                place,
                "API Gateway refuses this variable",
            ));
        }
        stage_variables.insert(name, value);
    }
    Ok(Api {
        id,
        stage: properties.stage_name,
        stage_variables,
        passes_bytes,
        authorizers,
        routes,
        responses,
    })
}

/// Whether API Gateway takes the variable
/// (docs.aws.amazon.com/apigateway/latest/api/API_Stage.html, `variables`).
fn is_stage_variable(name: &str, value: &str) -> bool {
    let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let is_value = |b: u8| b.is_ascii_alphanumeric() || b"-._~:/?#&=,".contains(&b);
    let (name, value) = (name.as_bytes(), value.as_bytes());
    !name.is_empty()
        && !value.is_empty()
        && name.iter().copied().all(is_name)
        && value.iter().copied().all(is_value)
}

/// Returns the authorizer of a method; `NONE` is SAM's word for none.
fn authorizer_of(
    operation: &Operation,
    authorizers: &BTreeMap<String, Authorizer>,
    place: &str,
) -> Result<Option<String>, TemplateError> {
    let named = operation.security.iter().flat_map(BTreeMap::keys);
    match named.map(String::as_str).collect::<Vec<_>>()[..] {
        // There is one authorizer, and it is the default.
        [] => Ok(authorizers.keys().next().cloned()),
        ["NONE"] => Ok(None),
        [name] if authorizers.contains_key(name) => Ok(Some(name.to_owned())),
        _ => {
            let problem = "is no authorizer that the API defines, nor NONE";
            Err(TemplateError::at(inside(place, "security"), problem))
        }
    }
}

/// Returns the logical id of the function behind a method.
fn function_of(
    integration: &Integration,
    resolver: &Resolver,
    place: &str,
) -> Result<String, TemplateError> {
    let place = inside(place, "x-amazon-apigateway-integration");
    if integration.r#type != "aws_proxy" {
        let place = inside(&place, "type");
        return Err(TemplateError::at(place, "only aws_proxy is supported"));
    }
    let arn = integration.uri.split_once("/functions/");
    let arn = arn.and_then(|(_, rest)| rest.strip_suffix("/invocations"));
    let place = inside(&place, "uri");
    let arn = arn.ok_or_else(|| TemplateError::at(&place, "does not invoke a function"))?;
    function_with(arn, resolver, &place)
}

/// Returns the logical id of the function that has this ARN.
fn function_with(arn: &str, resolver: &Resolver, place: &str) -> Result<String, TemplateError> {
    let mut ids = resolver.template.resources.keys();
    let found = ids.find(|id| {
        let of = resolver.attribute(id, "Arn", place);
        of.is_ok_and(|of| of == arn)
    });
    found
        .cloned()
        .ok_or_else(|| TemplateError::at(place, "no function has this ARN"))
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
