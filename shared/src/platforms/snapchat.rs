//! Snapchat Marketing.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::code_exchange::{CodeExchange, account, list_of, nobody};
use super::consent::{Consent, ConsentFlow, ConsentPage};
use super::definition::{
    Addresses, ApiCalls, DefaultQuota, Definition, DocumentedLifetimes, HOUR, Probe, ProbeOutcome,
    RefreshModel, TokenHeader,
};
use super::json::text;
use super::request::{Authentication, Endpoint, Parameters, RequestShape};
use super::rule::{ANYWHERE, ErrorBody, GRANT_REFUSED, PERMISSION_LOST, Rule, on, status};
use super::{code_exchange, rfc6749, usage};
use crate::domain::probe_result::ProbeResult;

pub(super) static DEFINITION: Definition = Definition {
    name: "snapchat",
    aliases: &[],
    display_name: "Snapchat",
    addresses: Addresses {
        version: "v1",
        token: "https://accounts.snapchat.com/login/oauth2/access_token",
        code: None,
        authorize: "https://accounts.snapchat.com/login/oauth2/authorize",
        api: "https://adsapi.snapchat.com/{version}",
    },
    consent: |_| &CONSENT,
    // Not documented whether they rotate: treating them as single-use is the safe side.
    refresh_model: RefreshModel::Rotating,
    refresh: rfc6749::REFRESH, // the same page
    tokens: rfc6749::tokens,
    lifetimes: DocumentedLifetimes {
        access: TimeDelta::hours(1),
        longest_access: TimeDelta::hours(1),
        access_may_never_end: false,
        access_is_always_named: true,
        refresh: None,
        idle: None,
        data_access: None,
        minimum_age: TimeDelta::zero(),
    },
    probe: Some(Probe {
        request: |_, _| &ME,
        outcome,
    }),
    api_headers: &[],
    error_body,
    rules: &[RULES, rfc6749::RULES, ANYWHERE],
    calls: ApiCalls {
        hosts: &[
            ("ads-api", "https://adsapi.snapchat.com"),
            ("business-api", "https://businessapi.snapchat.com"),
        ],
        token_header: TokenHeader::Bearer,
        usage: usage::none,
    },
    scope_spellings: &[],
    quota: DefaultQuota {
        limit: 100,
        period: HOUR,
        burst: 25,
    },
};

static CONSENT: ConsentFlow = ConsentFlow {
    page: ConsentPage::Authorize,
    // developers.snap.com/api/marketing-api/Ads-API/authentication
    consent: Consent {
        client_id: "client_id",
        scopes: &["snapchat-marketing-api"],
        scope_separator: " ",
        parameters: &[],
        login_hint: None,
        pkce: false,
        refusals: &[],
    },
    exchange: CodeExchange {
        request: &code_exchange::REQUEST,
        tokens: rfc6749::tokens,
        lengthening: None,
        identity: &[(&ME, |body| {
            list_of(account(&body["me"], "id", "display_name"))
        })],
        beside_tokens: nobody,
    },
};

/// The API's envelope (developers.snap.com, Ads-API) has no codes, only statuses
/// (airbyte #17506); a 200 with an error says nothing.
#[rustfmt::skip] // a rule a line
static RULES: &[Rule] = &[
    on(&["ERROR"]).with_status(401).of_access_token().means(GRANT_REFUSED),
    // "Some status codes do not contain JSON" (singer-io/tap-snapchat-ads).
    status(401).in_call().means(GRANT_REFUSED),
    on(&["ERROR"]).with_status(403).means(PERMISSION_LOST),
];

static ME: RequestShape = RequestShape {
    endpoint: Endpoint::Api("me"),
    authentication: Authentication::Bearer,
    parameters: Parameters::Query(&[]),
};

fn outcome(body: &Value, _: DateTime<Utc>) -> Option<ProbeOutcome> {
    text(&body["request_status"])
        .eq_ignore_ascii_case("success")
        .then(|| Ok(ProbeResult::default()))
}

fn error_body(body: &Value) -> ErrorBody<'_> {
    rfc6749::error_body(body).unwrap_or_else(|| {
        let failed = text(&body["request_status"]).eq_ignore_ascii_case("error");
        ErrorBody {
            codes: failed.then_some("ERROR".into()).into_iter().collect(),
            message: text(&body["debug_message"]),
            ..ErrorBody::default()
        }
    })
}
