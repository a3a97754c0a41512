//! Renders a platform's request: its shape, with our endpoints, client credentials and tokens.

use std::borrow::Cow;

use aws_lc_rs::hmac;
use reqwest::RequestBuilder;
use secrecy::ExposeSecret;

use super::client_credentials::ClientCredentials;
use super::endpoints::PlatformEndpoints;
use super::tokens::{ConsentCode, Tokens};
use crate::domain::digest;
use crate::platforms::definition::Definition;
use crate::platforms::request::{Authentication, Endpoint, Parameter, Parameters, RequestShape};

/// The parts of a request. Client secrets and tokens are exposed here and nowhere else.
#[derive(Clone, Copy)]
pub(super) struct RequestContext<'a> {
    pub(super) definition: &'static Definition,
    pub(super) endpoints: &'a PlatformEndpoints,
    pub(super) client: Option<&'a ClientCredentials>,
    /// `None` before there are any.
    pub(super) tokens: Option<&'a Tokens>,
    pub(super) code: Option<&'a ConsentCode>,
}

impl<'a> RequestContext<'a> {
    /// Returns the request, or `None` if it takes something that we lack.
    pub(super) fn render(
        self,
        http: &reqwest::Client,
        shape: &RequestShape,
    ) -> Option<RequestBuilder> {
        let url = self.url(&shape.endpoint)?;
        let request = match shape.parameters {
            Parameters::Query(pairs) => http.get(url).query(&self.values(pairs)?),
            Parameters::Form(pairs) => http.post(url).form(&self.values(pairs)?),
            Parameters::Json(pairs) => {
                let fields = self.values(pairs)?.into_iter();
                let fields = fields.map(|(name, value)| (name.to_owned(), value.into()));
                http.post(url).json(&serde_json::Map::from_iter(fields))
            }
        };
        let headers = match shape.endpoint {
            Endpoint::Api(_) => self.definition.api_headers,
            _ => &[],
        };
        let request =
            headers
                .iter()
                .fold(request, |request, (name, value)| match self.value(value) {
                    Some(value) => request.header(*name, &*value),
                    None => request,
                });
        Some(match shape.authentication {
            Authentication::None => request,
            Authentication::Basic => {
                let (id, secret) = self.client()?;
                request.basic_auth(id, Some(secret))
            }
            Authentication::Bearer => request.bearer_auth(self.access_token()?),
            Authentication::Header(name) => request.header(name, self.access_token()?),
        })
    }

    fn url(self, endpoint: &Endpoint) -> Option<String> {
        let PlatformEndpoints {
            token, code, api, ..
        } = self.endpoints;
        Some(match endpoint {
            Endpoint::Token => token.clone(),
            Endpoint::Code => code.clone(),
            Endpoint::Api(path) => format!("{}/{path}", api.trim_end_matches('/')),
            Endpoint::BesideToken(name) => {
                let (base, _) = token.trim_end_matches('/').rsplit_once('/')?;
                format!("{base}/{name}")
            }
        })
    }

    fn values(
        self,
        pairs: &'static [(&'static str, Parameter)],
    ) -> Option<Vec<(&'static str, Cow<'a, str>)>> {
        let pairs = pairs.iter();
        pairs
            .map(|(name, parameter)| Some((*name, self.value(parameter)?)))
            .collect()
    }

    fn value(self, parameter: &Parameter) -> Option<Cow<'a, str>> {
        Some(match parameter {
            Parameter::Literal(text) => Cow::Borrowed(*text),
            Parameter::ClientId => self.client()?.0.into(),
            Parameter::ClientSecret => self.client()?.1.into(),
            Parameter::AccessToken => self.access_token()?.into(),
            Parameter::RefreshToken => self.refresh_token()?.into(),
            Parameter::Code => self.code?.code.expose_secret().into(),
            Parameter::CodeVerifier => self.code?.verifier.expose_secret().into(),
            Parameter::RedirectUri => self.code?.redirect_uri.as_str().into(),
            Parameter::ApiVersion => self.endpoints.version.as_str().into(),
            Parameter::DeveloperToken => self.developer_token()?.into(),
            Parameter::AppAccessToken => {
                let (id, secret) = self.client()?;
                format!("{id}|{secret}").into()
            }
            Parameter::ProofOf(token) => {
                let (_, secret) = self.client()?;
                let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
                let proof = hmac::sign(&key, self.value(token)?.as_bytes());
                digest::hex(proof.as_ref()).into()
            }
        })
    }

    /// Returns our client id and secret.
    fn client(self) -> Option<(&'a str, &'a str)> {
        let client = self.client?;
        Some((&client.client_id, client.client_secret.expose_secret()))
    }

    fn developer_token(self) -> Option<&'a str> {
        Some(self.client?.developer_token.as_ref()?.expose_secret())
    }

    fn access_token(self) -> Option<&'a str> {
        Some(self.tokens?.access_token.expose_secret())
    }

    fn refresh_token(self) -> Option<&'a str> {
        Some(self.tokens?.refresh_token.as_ref()?.expose_secret())
    }

    /// Whether `text` is part of a secret that we sent, or holds one. Such an echo by the
    /// platform must not be kept.
    pub(super) fn is_echo(self, text: &str) -> bool {
        let secret = self.client().map(|(_, secret)| secret);
        let code = self.code.map(|code| code.code.expose_secret());
        let sent = [
            self.access_token(),
            self.refresh_token(),
            secret,
            self.developer_token(),
            code,
        ];
        sent.into_iter()
            .flatten()
            .any(|secret| !secret.is_empty() && (secret.contains(text) || text.contains(secret)))
    }
}
