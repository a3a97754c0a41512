//! What each simulated platform's file says: where it answers, what it demands of a
//! request, and what it answers.

use serde_json::Value;

use super::api::Api;
use super::grant::{Denied, EpochSeconds, Issued};
use super::parameters::RequestParameters;
use super::probe::{Encoding, ProbeEndpoint};
use super::refusal::Refusal;
use super::response::PlatformResponse;
use super::rules::Rules;

/// One simulated platform. Paths are below the base URL and end like the real ones.
pub(super) struct Simulated {
    /// The token endpoint of a refresh.
    pub(super) token: &'static str,
    /// The consent page.
    pub(super) authorize: &'static str,
    /// The base of the API.
    pub(super) api: &'static str,
    pub(super) refresh: RefreshEndpoint,
    /// What its consent page says in `error` of a person who denies.
    pub(super) denial: &'static str,
    /// Where the code of its consent page becomes a grant.
    pub(super) code: CodeEndpoint,
    /// Another consent page, and where its code becomes a grant.
    pub(super) portal: Option<(&'static str, CodeEndpoint)>,
    /// Probes that tell whether a token works, the usual one first.
    pub(super) probes: &'static [ProbeEndpoint],
    /// What an access token is for.
    pub(super) calls: Api,
    /// Turns plain rules into the platform's documented ones.
    pub(super) rules: fn(Rules) -> Rules,
    /// What its grants allow, in its own spelling.
    pub(super) scope: &'static str,
    /// Answers a request for new tokens that the platform refuses.
    pub(super) refuse: fn(Refusal<'_>) -> PlatformResponse,
    /// Asks a caller to wait, for so many seconds if the number is known.
    pub(super) throttle: fn(Option<u64>, EpochSeconds) -> PlatformResponse,
    /// The errors that a script can ask for by name.
    pub(super) errors: &'static [NamedError],
}

pub(super) struct RefreshEndpoint {
    pub(super) encodings: &'static [Encoding],
    pub(super) authentication: ClientAuthentication,
    pub(super) grant_type: &'static str,
    /// The parameter with the token.
    pub(super) token: &'static str,
    /// Whether that parameter is an access token, which the platform extends.
    pub(super) extends: bool,
    /// Checks what the platform demands besides.
    pub(super) check: fn(&RequestParameters, &Rules) -> Result<(), Refusal<'static>>,
    /// Builds the body of an answer with new tokens.
    pub(super) body: fn(&Rules, &Issued) -> Value,
}

/// Where a code becomes a grant.
pub(super) struct CodeEndpoint {
    /// `None` for the token endpoint.
    pub(super) path: Option<&'static str>,
    pub(super) encodings: &'static [Encoding],
    pub(super) authentication: ClientAuthentication,
    /// `None` if the platform wants none.
    pub(super) grant_type: Option<&'static str>,
    /// The parameter with the code.
    pub(super) code: &'static str,
    /// Whether the request must repeat the redirect URI.
    pub(super) wants_redirect_uri: bool,
    pub(super) life: Life,
    /// Path and grant type by which that token is exchanged for one that lives longer.
    pub(super) lengthening: Option<(&'static str, &'static str)>,
    pub(super) body: fn(&Rules, &Issued) -> Value,
    /// Answers a code that the platform does not take.
    pub(super) refuse: fn(Denied) -> PlatformResponse,
}

/// How long the access token of a code lives.
#[derive(Clone, Copy)]
pub(super) enum Life {
    /// As long as after a refresh.
    AsRefreshed,
    Seconds(i64),
    /// Until it is revoked, without a refresh token.
    ForEver,
}

pub(super) enum ClientAuthentication {
    /// The token alone is proof enough.
    None,
    /// The client sends its id and its secret in parameters of these names.
    Parameters([&'static str; 2]),
    /// A client with a secret uses only HTTP Basic; a public client sends its id.
    Basic,
    ParametersOrBasic,
}

/// An error's name, and what the platform then answers.
pub(super) type NamedError = (&'static str, fn() -> PlatformResponse);

impl Simulated {
    /// Builds the answer that `name` stands for.
    pub(super) fn named(&self, name: &str) -> Option<PlatformResponse> {
        let mut errors = self.errors.iter().chain(ANYWHERE);
        errors
            .find(|(known, _)| *known == name)
            .map(|(_, answer)| answer())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.errors.iter().chain(ANYWHERE).map(|(name, _)| *name)
    }
}

pub(super) const JSON: &str = "application/json";

/// Errors that arise between a platform and its callers.
#[rustfmt::skip] // an error a line
const ANYWHERE: &[NamedError] = &[
    ("html", || raw(502, "text/html", "<html><body><h1>502 Bad Gateway</h1></body></html>")),
    ("html_ok", || raw(200, "text/html", "<html><body>Please log in</body></html>")),
    ("empty", || raw(200, JSON, "")),
    ("truncated", || raw(200, JSON, r#"{"access_token":"EAA"#)),
    ("no_access_token", || raw(200, JSON, r#"{"token_type":"bearer","expires_in":3600}"#)),
    ("blank_access_token", || raw(200, JSON, r#"{"access_token":"","token_type":"bearer","expires_in":3600}"#)),
    ("unavailable", || raw(503, "text/plain", "Service Unavailable")),
];

/// Answers with a body as it is.
pub(super) fn raw(status: u16, content_type: &'static str, body: &str) -> PlatformResponse {
    PlatformResponse::text(status, content_type, body.to_owned())
}
