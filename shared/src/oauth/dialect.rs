//! What every platform says in its own way: its requests, where its tokens
//! stand, and what its errors mean.

use chrono::{DateTime, Utc};
use reqwest::RequestBuilder;
use secrecy::ExposeSecret;
use serde_json::Value;

use super::rule::{Fault, Rule};
use super::{ClientCredentials, PlatformEndpoints, Tokens, Unsuccessful};
use super::{google, graph, linkedin, snapchat, tiktok, tiktok_business, twitter};
use crate::Platform;
use crate::domain::refresh::ProbeResult;

/// One platform.
pub(super) struct Dialect {
    /// The request for new tokens; `None` if it takes something that we lack.
    pub(super) refresh: fn(&Ask<'_>) -> Option<RequestBuilder>,
    /// Where the tokens stand in an answer that may have some.
    pub(super) granted: fn(&Value) -> Option<&Value>,
    /// The request that asks, free of charge, whether the access token lives;
    /// `None` if there is none, or it takes something that we lack.
    pub(super) probe: fn(&Ask<'_>) -> Option<RequestBuilder>,
    /// What an answer with a status of success says of the access token;
    /// `None` if it is in fact an error.
    pub(super) seen: fn(&Value, DateTime<Utc>) -> Option<Sight>,
    /// Reads an error.
    pub(super) fault: fn(&Value) -> Fault<'_>,
    /// What its errors mean.
    pub(super) rules: &'static [&'static [Rule]],
}

/// What a platform says of an access token: it lives, or why not.
pub(super) type Sight = Result<ProbeResult, Unsuccessful>;

/// How that platform speaks.
pub(super) const fn of(platform: Platform) -> &'static Dialect {
    match platform {
        Platform::Meta => &graph::META,
        Platform::Instagram => &graph::INSTAGRAM,
        Platform::Tiktok => &tiktok::DIALECT,
        Platform::TiktokBusiness => &tiktok_business::DIALECT,
        Platform::Linkedin => &linkedin::DIALECT,
        Platform::Twitter => &twitter::DIALECT,
        Platform::Google => &google::DIALECT,
        Platform::Snapchat => &snapchat::DIALECT,
    }
}

/// What a request is made of. Client secrets and tokens are exposed here, for
/// the platforms' modules, and nowhere else.
pub(super) struct Ask<'a> {
    pub(super) http: &'a reqwest::Client,
    pub(super) endpoints: &'a PlatformEndpoints,
    pub(super) client: Option<&'a ClientCredentials>,
    pub(super) tokens: &'a Tokens,
    /// What the grant allows, as far as known: a probe may ask for no more.
    pub(super) scopes: &'a [String],
}

impl<'a> Ask<'a> {
    /// Our id and secret.
    pub(super) fn client(&self) -> Option<(&'a str, &'a str)> {
        let client = self.client?;
        Some((&client.client_id, client.client_secret.expose_secret()))
    }

    pub(super) fn access_token(&self) -> &'a str {
        self.tokens.access_token.expose_secret()
    }

    pub(super) fn refresh_token(&self) -> Option<&'a str> {
        Some(self.tokens.refresh_token.as_ref()?.expose_secret())
    }

    /// An address below the API's base.
    pub(super) fn api(&self, path: &str) -> String {
        format!("{}/{path}", self.endpoints.api.trim_end_matches('/'))
    }

    /// An address beside the token endpoint.
    pub(super) fn beside_token(&self, name: &str) -> Option<String> {
        let token = self.endpoints.token.trim_end_matches('/');
        let (base, _) = token.rsplit_once('/')?;
        Some(format!("{base}/{name}"))
    }

    /// Whatever of ours must not come back in a text that is kept.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &'a str> {
        let secret = self.client().map(|(_, secret)| secret);
        [Some(self.access_token()), self.refresh_token(), secret]
            .into_iter()
            .flatten()
    }
}
