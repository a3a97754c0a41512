//! TikTok Login Kit v2.

use chrono::{DateTime, Utc};
use reqwest::RequestBuilder;
use serde_json::Value;

use super::dialect::{Ask, Dialect, Sight};
use super::rfc6749;
use super::rule::{self, ANYWHERE, FAILED, Fault, PERMISSION, REFUSED, Rule, UNANSWERED, on, text};
use crate::domain::refresh::ProbeResult;

pub(super) static DIALECT: Dialect = Dialect {
    refresh,
    granted: rfc6749::granted,
    probe,
    seen,
    fault,
    rules: &[RULES, rfc6749::RULES, ANYWHERE],
};

/// The API's errors (developers.tiktok.com/doc/tiktok-api-v2-error-handling);
/// the token endpoint's (.../doc/oauth-error-handling) are those of the RFC,
/// with a status that is not documented.
#[rustfmt::skip] // a rule a line
static RULES: &[Rule] = &[
    // "invalid or not found in the request": for whatever reason.
    on(&["access_token_invalid"]).in_probe().means(REFUSED),
    // The probe needs `user.info.basic`, which a grant for something else never had.
    // What a grant allows is said by every refresh.
    on(&["scope_not_authorized", "scope_permission_missed"]).in_probe().means(UNANSWERED),
    on(&["scope_not_authorized", "scope_permission_missed"]).means(PERMISSION),
    on(&["internal_error"]).means(FAILED),
];

/// developers.tiktok.com/doc/oauth-user-access-token-management: `client_key`.
fn refresh(ask: &Ask<'_>) -> Option<RequestBuilder> {
    let (id, secret) = ask.client()?;
    Some(ask.http.post(&ask.endpoints.token).form(&[
        ("grant_type", "refresh_token"),
        ("refresh_token", ask.refresh_token()?),
        ("client_key", id),
        ("client_secret", secret),
    ]))
}

/// developers.tiktok.com/doc/tiktok-api-v2-get-user-info
#[expect(clippy::unnecessary_wraps, reason = "others may lack something")]
fn probe(ask: &Ask<'_>) -> Option<RequestBuilder> {
    let request = ask.http.get(ask.api("user/info/"));
    Some(
        request
            .query(&[("fields", "open_id")])
            .bearer_auth(ask.access_token()),
    )
}

fn seen(json: &Value, _: DateTime<Utc>) -> Option<Sight> {
    (json["error"]["code"] == "ok").then(|| Ok(ProbeResult::default()))
}

fn fault(json: &Value) -> Fault<'_> {
    rfc6749::fault(json).unwrap_or_else(|| Fault {
        codes: rule::code(&json["error"]["code"]).into_iter().collect(),
        message: text(&json["error"]["message"]),
        ..Fault::default()
    })
}
