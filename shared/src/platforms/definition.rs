//! What each platform's file says of it.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::consent::ConsentFlow;
use super::request::{Parameter, RequestShape};
use super::rule::{ErrorBody, Rule, Unsuccessful};
use super::usage::Headers;
use crate::domain::call_reading::Usage;
use crate::domain::probe_result::ProbeResult;

/// Everything that is known of one platform.
pub(crate) struct Definition {
    /// The canonical name: in keys, paths, messages.
    pub(crate) name: &'static str,
    /// Other names that are accepted wherever a person or an export names one.
    pub(crate) aliases: &'static [&'static str],
    /// The name that people know it by.
    pub(crate) display_name: &'static str,
    pub(crate) addresses: Addresses,
    /// Returns how a person consents, by whether the credential before came with a refresh token.
    /// Of an integration that is new nobody knows that.
    pub(crate) consent: fn(Option<bool>) -> &'static ConsentFlow,

    /// How a credential is renewed, if it has what that takes.
    pub(crate) refresh_model: RefreshModel,
    /// The token request that brings new tokens.
    pub(crate) refresh: RequestShape,
    /// Finds the object that holds the tokens in an answer that may have some.
    pub(crate) tokens: fn(&Value) -> Option<&Value>,
    pub(crate) lifetimes: DocumentedLifetimes,

    /// `None` if each request that shows whether an access token works costs something.
    pub(crate) probe: Option<Probe>,

    /// Headers of our own requests to its API, besides the access token. One whose value we lack
    /// is left out.
    pub(crate) api_headers: &'static [(&'static str, Parameter)],

    /// Reads an error from an answer's body.
    pub(crate) error_body: fn(&Value) -> ErrorBody<'_>,
    /// What the platform's errors mean: the first rule that fits decides.
    pub(crate) rules: &'static [&'static [Rule]],

    /// The API, as applications call it.
    pub(crate) calls: ApiCalls,

    /// Short names of permissions, and how the platform's answers spell them.
    pub(crate) scope_spellings: &'static [(&'static str, &'static str)],
    pub(crate) quota: DefaultQuota,
}

/// The documented addresses, with `{version}` for the version of the API.
pub(crate) struct Addresses {
    /// The version that its addresses or its headers name; the newest that is known to work in
    /// November 2026.
    pub(crate) version: &'static str,
    /// The token endpoint of a refresh.
    pub(crate) token: &'static str,
    /// Where a code is exchanged, if that is not the token endpoint.
    pub(crate) code: Option<&'static str>,
    /// The consent page.
    pub(crate) authorize: &'static str,
    /// The base of the API.
    pub(crate) api: &'static str,
}

/// How a credential is renewed. It follows from the platform and from what the
/// platform gave us, not from a constant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefreshModel {
    /// The access token is exchanged for a longer-lived one while it still lives.
    Extend,
    /// A refresh token that works once; each answer carries the next.
    Rotating,
    /// A refresh token that stays the same.
    Static,
    /// Only a person renews it.
    None,
}

/// The lifetimes that the platform documented in November 2026. An answer's own
/// always win, as far as they can be believed.
pub(crate) struct DocumentedLifetimes {
    /// The usual life of an access token.
    pub(crate) access: TimeDelta,
    /// The longest life of an access token that the platform has ever documented.
    pub(crate) longest_access: TimeDelta,
    /// Whether some access tokens never end; those are not extended.
    pub(crate) access_may_never_end: bool,
    /// Whether each answer to a refresh names the access token's life.
    pub(crate) access_is_always_named: bool,
    /// The life of a refresh token, where the platform documents one and names it
    /// in each answer.
    pub(crate) refresh: Option<TimeDelta>,
    /// How long a grant lasts unused; any refresh renews it.
    pub(crate) idle: Option<TimeDelta>,
    /// For how long we may read a person's data; no refresh renews it, and only a
    /// probe shows it.
    pub(crate) data_access: Option<TimeDelta>,
    /// How old an access token must be before the platform extends it.
    pub(crate) minimum_age: TimeDelta,
}

/// A request that asks, free of charge, whether an access token works.
pub(crate) struct Probe {
    /// Returns the request, by whether there is a refresh token and by what the grant allows,
    /// as far as known.
    pub(crate) request: fn(bool, &[String]) -> &'static RequestShape,
    /// Reads an answer with a status of success; returns `None` if it is an error.
    pub(crate) outcome: fn(&Value, DateTime<Utc>) -> Option<ProbeOutcome>,
}

/// How applications call an API.
pub(crate) struct ApiCalls {
    /// The hosts that take an access token, each by its name; the first is the main one.
    pub(crate) hosts: &'static [(&'static str, &'static str)],
    /// Where the access token goes.
    pub(crate) token_header: TokenHeader,
    /// Reads how much of the platform's own quotas an answer says is used.
    pub(crate) usage: fn(Headers<'_>, DateTime<Utc>) -> Vec<Usage>,
}

/// The header with the access token of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TokenHeader {
    /// `Authorization: Bearer` (RFC 6750, 2.1).
    Bearer,
    /// A header of the platform's own.
    Named(&'static str),
}

/// The access token works, or why not.
pub(crate) type ProbeOutcome = Result<ProbeResult, Unsuccessful>;

/// How many calls an integration may make, unless a deployment says otherwise.
pub(crate) struct DefaultQuota {
    /// Calls in any `period`.
    pub(crate) limit: u32,
    /// In seconds.
    pub(crate) period: u32,
    /// Calls in any minute.
    pub(crate) burst: u32,
}

pub(crate) const HOUR: u32 = 3_600;
