//! Reads a call of a platform's API.

use axum::http::{HeaderMap, Method, Uri, header};
use serde_json::Value;
use url::form_urlencoded;

use super::api::{Api, CallRequest, Host};
use super::parameters::RequestParameters;
use super::request::{form, is, query};

/// Reads a call, without judging it.
pub(super) fn parse_call(
    api: &Api,
    host: &Host,
    method: Method,
    uri: &Uri,
    headers: HeaderMap,
    body: &[u8],
) -> CallRequest {
    let path = uri.path().strip_prefix(host.prefix).unwrap_or_default();
    let (version, path) = host.split_version(path);
    let (endpoint, id) = host.find(&method, path).unzip();
    let mut parameters = query(uri);
    match is(&headers, "application/json") {
        true => parameters.extend(json_fields(body)),
        false if api.forms => parameters.extend(form(body)),
        false => {}
    }
    let server = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let server = server.map(|server| format!("http://{server}"));
    let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    CallRequest {
        endpoint,
        path: path.to_owned(),
        id: id.flatten().map(str::to_owned),
        token: api.token.find(&parameters, &headers).map(str::to_owned),
        base: format!("{}{}{version}", server.unwrap_or_default(), host.prefix),
        query: pairs.into_owned().collect(),
        method,
        parameters,
        headers,
    }
}

/// Returns the fields of a JSON object: texts as they are, all else as JSON.
fn json_fields(body: &[u8]) -> RequestParameters {
    let Ok(Value::Object(fields)) = serde_json::from_slice(body) else {
        return RequestParameters::new();
    };
    let given = fields.into_iter().filter(|(_, value)| !value.is_null());
    let texts = given.map(|(name, value)| match value {
        Value::String(text) => (name, text),
        other => (name, other.to_string()),
    });
    texts.collect()
}
