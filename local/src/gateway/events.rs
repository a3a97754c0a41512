//! The events that API Gateway sends: to a REQUEST authorizer, and to a function
//! behind an AWS_PROXY integration.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, Utc};
use http::request::Parts;
use http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value, json};

use super::responses::ResponseType;
use super::routes::PathParameters;
use crate::template::{ACCOUNT, Api, REGION, Route};

/// One request, and what the gateway knows of it.
pub(super) struct ApiRequest {
    pub(super) method: String,
    /// The raw path, without the stage.
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) request_id: String,
    /// The length of the request line and the values of the headers.
    pub(super) head_bytes: usize,
    query: Vec<(String, String)>,
    parameters: PathParameters,
    resource: String,
    at: DateTime<Utc>,
    api_id: String,
    stage: String,
    stage_variables: Value,
    passes_bytes: bool,
}

impl ApiRequest {
    pub(super) fn new(api: &Api, parts: Parts, request_id: String, at: DateTime<Utc>) -> Self {
        let path = parts.uri.path().to_owned();
        let query = parts.uri.query().unwrap_or_default();
        let line = parts.method.as_str().len() + path.len() + query.len();
        Self {
            method: parts.method.to_string(),
            path,
            head_bytes: line + parts.headers.values().map(HeaderValue::len).sum::<usize>(),
            headers: parts.headers,
            request_id,
            query: url::form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
            parameters: PathParameters::new(),
            resource: String::new(),
            at,
            api_id: api.id.clone(),
            stage: api.stage.clone(),
            stage_variables: or_null(json!(api.stage_variables)),
            passes_bytes: api.passes_bytes,
        }
    }

    pub(super) fn routed(&mut self, route: &Route, parameters: PathParameters) {
        route.path.clone_into(&mut self.resource);
        self.parameters = parameters;
    }

    pub(super) fn method_arn(&self) -> String {
        let Self {
            api_id,
            stage,
            method,
            path,
            ..
        } = self;
        format!("arn:aws:execute-api:{REGION}:{ACCOUNT}:{api_id}/{stage}/{method}{path}")
    }

    pub(super) fn authorizer_event(&self) -> Value {
        let mut event = self.common();
        event["type"] = json!("REQUEST");
        event["methodArn"] = json!(self.method_arn());
        event
    }

    /// Builds the event of an AWS_PROXY integration, with the authorizer's context.
    pub(super) fn proxy_event(&self, body: &[u8], authorizer: Option<&Value>) -> Value {
        let mut event = self.common();
        let text = std::str::from_utf8(body).ok();
        let text = text.filter(|text| text.is_empty() || !self.passes_bytes);
        event["isBase64Encoded"] = json!(text.is_none());
        event["body"] = match text {
            Some("") => Value::Null,
            Some(text) => json!(text),
            None => json!(BASE64.encode(body)),
        };
        if let Some(authorizer) = authorizer {
            event["requestContext"]["authorizer"] = authorizer.clone();
        }
        event
    }

    /// Returns what a gateway response can refer to as `$context`.
    pub(super) fn context(&self, kind: ResponseType, authorizer: Option<&Value>) -> Value {
        let mut context = self.request_context();
        let message = kind.message();
        context["error"] = json!({
            "message": message,
            "messageString": Value::from(message).to_string(),
            "responseType": kind.name(),
        });
        if let Some(authorizer) = authorizer {
            context["authorizer"] = authorizer.clone();
        }
        context
    }

    fn common(&self) -> Value {
        let mut headers = BTreeMap::<&str, Vec<String>>::new();
        for (name, value) in &self.headers {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            headers.entry(name.as_str()).or_default().push(value);
        }
        let mut query = BTreeMap::<&str, Vec<String>>::new();
        for (name, value) in &self.query {
            query.entry(name).or_default().push(value.clone());
        }
        json!({
            "resource": self.resource,
            "path": self.path,
            "httpMethod": self.method,
            "headers": last_of_each(&headers),
            "multiValueHeaders": or_null(json!(headers)),
            "queryStringParameters": last_of_each(&query),
            "multiValueQueryStringParameters": or_null(json!(query)),
            // As they were sent: a REST API does not decode them.
            "pathParameters": or_null(Value::Object(self.parameters.iter()
                .map(|(name, value)| (name.clone(), json!(value)))
                .collect::<Map<_, _>>())),
            "stageVariables": self.stage_variables,
            "requestContext": self.request_context(),
        })
    }

    fn request_context(&self) -> Value {
        let header = |name| self.headers.get(name).and_then(|value| value.to_str().ok());
        json!({
            "accountId": ACCOUNT,
            "apiId": self.api_id,
            "domainName": header("host"),
            "extendedRequestId": self.request_id,
            "httpMethod": self.method,
            "identity": {
                "accountId": null, "apiKey": null, "caller": null, "user": null, "userArn": null,
                "sourceIp": "127.0.0.1", // we listen on nothing else
                "userAgent": header("user-agent"),
            },
            // As of a custom domain: our addresses have no stage.
            "path": self.path,
            "protocol": "HTTP/1.1",
            "requestId": self.request_id,
            "requestTime": self.at.format("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            "requestTimeEpoch": self.at.timestamp_millis(),
            "resourceId": "local",
            "resourcePath": self.resource,
            "stage": self.stage,
        })
    }
}

/// Returns the single-value form of a multimap: the last value wins.
fn last_of_each(values: &BTreeMap<&str, Vec<String>>) -> Value {
    let last = values
        .iter()
        .map(|(name, values)| ((*name).to_owned(), json!(values.last())));
    or_null(Value::Object(last.collect()))
}

fn or_null(map: Value) -> Value {
    match map {
        Value::Object(map) if map.is_empty() => Value::Null,
        map => map,
    }
}
