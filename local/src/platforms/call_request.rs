//! Reads a call of a platform's API.

use axum::http::{HeaderMap, Method, Uri, header};
use serde_json::Value;
use url::form_urlencoded;

use super::api::{Api, ApiEndpoint, Host};
use super::parameters::RequestParameters;
use super::request::{form, is, query};

/// A call, read but not yet judged.
pub(super) struct CallRequest {
    /// What is called, if there is such a thing.
    pub(super) endpoint: Option<&'static ApiEndpoint>,
    pub(super) method: Method,
    /// The path below the host's root, without a version.
    pub(super) path: String,
    /// The id in the path.
    pub(super) id: Option<String>,
    pub(super) parameters: RequestParameters,
    pub(super) token: Option<String>,
    pub(super) headers: HeaderMap,
    /// The address that `path` is below.
    pub(super) base: String,
    query: Vec<(String, String)>,
}

impl CallRequest {
    pub(super) fn parse(
        api: &Api,
        host: &Host,
        method: Method,
        uri: &Uri,
        headers: HeaderMap,
        body: &[u8],
    ) -> Self {
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
        Self {
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

    /// Whether the call is for the answer that never ends.
    pub(super) fn is_endless(&self) -> bool {
        self.path == "/endless"
    }

    pub(super) fn is_probe(&self) -> bool {
        self.endpoint.is_some_and(ApiEndpoint::is_probe)
    }

    /// Returns the path and query of the same call with other parameters.
    pub(super) fn again_with(&self, changed: &[(&str, &str)]) -> String {
        let kept = self.query.iter().filter(|(name, _)| {
            let mut changed = changed.iter();
            !changed.any(|(other, _)| other == name)
        });
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(kept)
            .extend_pairs(changed)
            .finish();
        format!("{}?{query}", self.path)
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
