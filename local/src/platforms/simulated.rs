//! What each simulated platform's file says: where it answers, what it demands of a
//! request, and what it answers.

use serde_json::Value;

use super::grant::{Denied, EpochSeconds, Issued, TokenStatus};
use super::parameters::{Client, RequestParameters};
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
    /// What tells whether a token works, the usual one first.
    pub(super) probes: &'static [ProbeEndpoint],
    /// Its documented rules, given plain ones.
    pub(super) rules: fn(Rules) -> Rules,
    /// What its grants allow, in its own spelling.
    pub(super) scope: &'static str,
    /// The answer to a request for new tokens that it refuses.
    pub(super) refuse: fn(Refusal<'_>) -> PlatformResponse,
    /// How it asks a caller to wait, if it says for how many seconds.
    pub(super) throttle: fn(Option<u64>, EpochSeconds) -> PlatformResponse,
    /// The errors that can be asked for by name.
    pub(super) errors: &'static [NamedError],
}

pub(super) struct RefreshEndpoint {
    pub(super) encodings: &'static [Encoding],
    pub(super) authentication: ClientAuthentication,
    pub(super) grant_type: &'static str,
    /// The parameter with the token.
    pub(super) token: &'static str,
    /// Whether that is an access token, which is extended.
    pub(super) extends: bool,
    /// What it demands besides.
    pub(super) check: fn(&RequestParameters, &Rules) -> Result<(), Refusal<'static>>,
    /// The body of an answer with new tokens.
    pub(super) body: fn(&Rules, &Issued) -> Value,
}

/// Where the parameters stand: a query comes by GET, the others by POST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Query,
    Form,
    Json,
}

/// How the client shows who it is.
pub(super) enum ClientAuthentication {
    /// Not at all: the token alone is proof enough.
    None,
    /// By its id, in a parameter of this name, and its secret.
    Parameters(&'static str),
    /// By HTTP Basic, and in no other way; a public client by its id.
    Basic,
    /// In either way.
    ParametersOrBasic,
}

pub(super) struct ProbeEndpoint {
    pub(super) path: &'static str,
    pub(super) encoding: Encoding,
    pub(super) token: TokenPlace,
    /// Who asks, where the platform wants to know: the client's id.
    pub(super) caller:
        fn(&RequestParameters, Option<&Client>, &Rules) -> Result<String, PlatformResponse>,
    /// Whether a token that is seen for the first time never ends.
    pub(super) adopts_for_ever: bool,
    pub(super) answer: ProbeAnswer,
    /// The answer about a token that is not accepted, or to none.
    pub(super) refuse: fn(Option<Denied>) -> PlatformResponse,
}

/// A probe by GET that takes the token alone, as a bearer token.
pub(super) const fn bearer_probe(
    path: &'static str,
    answer: fn(&ProbeContext<'_>, &TokenStatus) -> PlatformResponse,
    refuse: fn(Option<Denied>) -> PlatformResponse,
) -> ProbeEndpoint {
    ProbeEndpoint {
        path,
        encoding: Encoding::Query,
        token: TokenPlace::Bearer,
        caller: |_, _, _| Ok(String::new()),
        adopts_for_ever: false,
        answer: ProbeAnswer::Works(answer),
        refuse,
    }
}

pub(super) enum TokenPlace {
    Parameter(&'static str),
    ParameterOrBearer(&'static str),
    Bearer,
    Header(&'static str),
}

pub(super) enum ProbeAnswer {
    /// About a token that works.
    Works(fn(&ProbeContext<'_>, &TokenStatus) -> PlatformResponse),
    /// About every token.
    Any(fn(&ProbeContext<'_>, Result<TokenStatus, Denied>) -> PlatformResponse),
}

pub(super) struct ProbeContext<'a> {
    pub(super) rules: &'a Rules,
    pub(super) caller: &'a str,
    pub(super) now: EpochSeconds,
}

/// An error's name, and what the platform then answers.
pub(super) type NamedError = (&'static str, fn() -> PlatformResponse);

impl Simulated {
    /// The answer that `name` stands for.
    pub(super) fn named(&self, name: &str) -> Option<PlatformResponse> {
        let mut errors = self.errors.iter().chain(ANYWHERE);
        errors
            .find(|(known, _)| *known == name)
            .map(|(_, answer)| answer())
    }

    /// The names of its errors.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.errors.iter().chain(ANYWHERE).map(|(name, _)| *name)
    }
}

pub(super) const JSON: &str = "application/json";

/// What comes between a platform and its callers.
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

/// A body as it is.
pub(super) fn raw(status: u16, content_type: &'static str, body: &str) -> PlatformResponse {
    PlatformResponse::text(status, content_type, body.to_owned())
}
