//! Snapchat Marketing.

use chrono::{DateTime, Utc};
use reqwest::RequestBuilder;
use serde_json::Value;

use super::dialect::{Ask, Dialect, Sight};
use super::rfc6749;
use super::rule::{ANYWHERE, Fault, PERMISSION, REFUSED, Rule, on, text};
use crate::domain::refresh::ProbeResult;

pub(super) static DIALECT: Dialect = Dialect {
    refresh: rfc6749::refresh, // developers.snap.com, Ads-API/authentication
    granted: rfc6749::granted,
    probe,
    seen,
    fault,
    rules: &[RULES, rfc6749::RULES, ANYWHERE],
};

/// The API's envelope (developers.snap.com, Ads-API) has no codes, only statuses
/// (airbyte #17506); a 200 with an error says nothing.
#[rustfmt::skip] // a rule a line
static RULES: &[Rule] = &[
    on(&["ERROR"]).http(401).in_probe().means(REFUSED),
    on(&["ERROR"]).http(403).means(PERMISSION),
];

#[expect(clippy::unnecessary_wraps, reason = "others may lack something")]
fn probe(ask: &Ask<'_>) -> Option<RequestBuilder> {
    Some(ask.http.get(ask.api("me")).bearer_auth(ask.access_token()))
}

fn seen(json: &Value, _: DateTime<Utc>) -> Option<Sight> {
    text(&json["request_status"])
        .eq_ignore_ascii_case("success")
        .then(|| Ok(ProbeResult::default()))
}

fn fault(json: &Value) -> Fault<'_> {
    rfc6749::fault(json).unwrap_or_else(|| {
        let failed = text(&json["request_status"]).eq_ignore_ascii_case("error");
        Fault {
            codes: failed.then_some("ERROR".into()).into_iter().collect(),
            message: text(&json["debug_message"]),
            ..Fault::default()
        }
    })
}
