//! Probes of simulated platforms: requests that tell whether an access token works.

use super::grant::{Denied, EpochSeconds, TokenStatus};
use super::parameters::{Client, RequestParameters};
use super::response::PlatformResponse;
use super::rules::Rules;

/// Where the parameters stand: a query comes by GET, the others by POST.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Query,
    Form,
    Json,
}

pub(super) struct ProbeEndpoint {
    pub(super) path: &'static str,
    pub(super) encoding: Encoding,
    pub(super) token: TokenPlace,
    /// Returns the asking client's id, where the platform wants to know it.
    pub(super) caller:
        fn(&RequestParameters, Option<&Client>, &Rules) -> Result<String, PlatformResponse>,
    /// Whether a token that is seen for the first time never ends.
    pub(super) adopts_for_ever: bool,
    pub(super) answer: ProbeAnswer,
    /// Answers about a token that the platform does not accept, or about no token.
    pub(super) refuse: fn(Option<Denied>) -> PlatformResponse,
}

/// Returns a probe by GET that takes the token alone, as a bearer token.
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
    /// Answers about a token that works.
    Works(fn(&ProbeContext<'_>, &TokenStatus) -> PlatformResponse),
    /// Answers about every token.
    Any(fn(&ProbeContext<'_>, Result<TokenStatus, Denied>) -> PlatformResponse),
}

pub(super) struct ProbeContext<'a> {
    pub(super) rules: &'a Rules,
    pub(super) caller: &'a str,
    pub(super) now: EpochSeconds,
}
