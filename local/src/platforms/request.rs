//! Reads the requests to the simulated platforms, and checks what each platform demands.

use axum::http::{HeaderMap, Method, Uri, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::parameters::{Client, RequestParameters, identify, required, text};
use super::probe::{Encoding, ProbeEndpoint, TokenPlace};
use super::refusal::Refusal;
use super::rules::Rules;
use super::simulated::{ClientAuthentication, CodeEndpoint, RefreshEndpoint};

/// A request for new tokens, read but not yet judged.
pub(super) struct RefreshRequest {
    parameters: Option<RequestParameters>,
    basic: Option<(String, String)>,
}

impl RefreshRequest {
    /// Reads the parameters only from where this platform looks for them.
    pub(super) fn parse(
        encodings: &[Encoding],
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Self {
        let is_query = method == Method::GET;
        let mut encodings = encodings.iter();
        let encoding = encodings.find(|encoding| (**encoding == Encoding::Query) == is_query);
        let parameters = match encoding {
            Some(Encoding::Query) => Some(query(uri)),
            Some(Encoding::Form) => {
                is(headers, "application/x-www-form-urlencoded").then(|| form(body))
            }
            Some(Encoding::Json) => is(headers, "application/json")
                .then(|| json_texts(body))
                .flatten(),
            None => None,
        };
        Self {
            parameters,
            basic: basic(headers),
        }
    }

    /// Returns the token to exchange, if there is one.
    pub(super) fn token(&self, endpoint: &RefreshEndpoint) -> Option<&str> {
        self.parameter(endpoint.token)
    }

    /// Returns the token, if everything about the request is as the platform wants it.
    pub(super) fn accept(
        &self,
        endpoint: &RefreshEndpoint,
        client: Option<&Client>,
        rules: &Rules,
    ) -> Result<&str, Refusal<'_>> {
        let Some(parameters) = &self.parameters else {
            return Err(Refusal::Encoding);
        };
        self.authenticate(&endpoint.authentication, parameters, client)?;
        (endpoint.check)(parameters, rules)?;
        match required(parameters, "grant_type")? {
            given if given == endpoint.grant_type => required(parameters, endpoint.token),
            given => Err(Refusal::GrantType(given)),
        }
    }

    /// Returns a parameter, if it is there and not empty.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        text(self.parameters.as_ref()?, name)
    }

    /// Returns the parameters and the code among them, if everything else about the request is as
    /// the platform wants it.
    pub(super) fn accept_code(
        &self,
        endpoint: &CodeEndpoint,
        client: Option<&Client>,
    ) -> Result<(&RequestParameters, &str), Refusal<'_>> {
        let Some(parameters) = &self.parameters else {
            return Err(Refusal::Encoding);
        };
        self.authenticate(&endpoint.authentication, parameters, client)?;
        if let Some(wanted) = endpoint.grant_type {
            let given = required(parameters, "grant_type")?;
            if given != wanted {
                return Err(Refusal::GrantType(given));
            }
        }
        Ok((parameters, required(parameters, endpoint.code)?))
    }

    /// Returns the token of a request of this grant type that a client with a secret makes.
    pub(super) fn accept_lengthening(
        &self,
        grant_type: &str,
        client: Option<&Client>,
    ) -> Result<&str, Refusal<'_>> {
        let parameters = self.parameters.as_ref().ok_or(Refusal::Encoding)?;
        match required(parameters, "grant_type")? {
            given if given == grant_type => {}
            given => return Err(Refusal::GrantType(given)),
        }
        let secret = required(parameters, "client_secret")?;
        if client.is_some_and(|client| client.secret != secret) {
            return Err(Refusal::Secret);
        }
        required(parameters, "access_token")
    }

    fn authenticate(
        &self,
        authentication: &ClientAuthentication,
        parameters: &RequestParameters,
        client: Option<&Client>,
    ) -> Result<(), Refusal<'static>> {
        let by_parameters = |[id, secret]: [&'static str; 2]| {
            let id = required(parameters, id)?;
            identify(client, id, required(parameters, secret)?)
        };
        match (authentication, &self.basic) {
            (ClientAuthentication::None, _) => Ok(()),
            (ClientAuthentication::Parameters(names), _) => by_parameters(*names),
            (ClientAuthentication::Basic, _) if text(parameters, "client_secret").is_some() => {
                Err(Refusal::Client)
            }
            (
                ClientAuthentication::Basic | ClientAuthentication::ParametersOrBasic,
                Some((id, secret)),
            ) => identify(client, id, secret),
            (ClientAuthentication::ParametersOrBasic, None) => {
                by_parameters(["client_id", "client_secret"])
            }
            // A public client; one with a secret on file is not public.
            (ClientAuthentication::Basic, None) => {
                match client.is_none() && text(parameters, "client_id").is_some() {
                    true => Ok(()),
                    false => Err(Refusal::Client),
                }
            }
        }
    }
}

/// A probe, read but not yet judged.
pub(super) struct ProbeRequest {
    pub(super) parameters: RequestParameters,
    pub(super) token: Option<String>,
}

impl ProbeRequest {
    pub(super) fn parse(
        endpoint: &ProbeEndpoint,
        uri: &Uri,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Self {
        let parameters = match endpoint.encoding {
            Encoding::Query => query(uri),
            Encoding::Form => form(body),
            Encoding::Json => json_texts(body).unwrap_or_default(),
        };
        Self {
            token: endpoint.token.find(&parameters, headers).map(str::to_owned),
            parameters,
        }
    }
}

impl TokenPlace {
    /// Returns the token of a request, if one is where it belongs.
    pub(super) fn find<'a>(
        &self,
        parameters: &'a RequestParameters,
        headers: &'a HeaderMap,
    ) -> Option<&'a str> {
        let header = |name: &str| headers.get(name)?.to_str().ok().filter(|t| !t.is_empty());
        let bearer = || {
            let value = header(header::AUTHORIZATION.as_str())?;
            value.strip_prefix("Bearer ").filter(|t| !t.is_empty())
        };
        match *self {
            Self::Parameter(name) => text(parameters, name),
            Self::ParameterOrBearer(name) => text(parameters, name).or_else(bearer),
            Self::Bearer => bearer(),
            Self::Header(name) => header(name),
        }
    }
}

pub(super) fn query(uri: &Uri) -> RequestParameters {
    form(uri.query().unwrap_or_default().as_bytes())
}

pub(super) fn form(body: &[u8]) -> RequestParameters {
    url::form_urlencoded::parse(body).into_owned().collect()
}

fn json_texts(body: &[u8]) -> Option<RequestParameters> {
    let Ok(Value::Object(object)) = serde_json::from_slice(body) else {
        return None;
    };
    let texts = object.into_iter().filter_map(|(name, value)| match value {
        Value::String(text) => Some((name, text)),
        _ => None,
    });
    Some(texts.collect())
}

pub(super) fn is(headers: &HeaderMap, wanted: &str) -> bool {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let essence = given.and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(wanted))
}

fn basic(headers: &HeaderMap) -> Option<(String, String)> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let encoded = value.strip_prefix("Basic ")?;
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (id, secret) = decoded.split_once(':')?;
    (!id.is_empty() && !secret.is_empty()).then(|| (id.to_owned(), secret.to_owned()))
}
