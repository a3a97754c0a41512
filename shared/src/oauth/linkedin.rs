//! LinkedIn.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::RequestBuilder;
use serde_json::Value;

use super::answer::{self, Unsuccessful};
use super::dialect::{Ask, Dialect, Sight};
use super::rfc6749;
use super::rule::{
    self, ANYWHERE, EXPIRED, FAILED, Fault, OUR_FAULT, REFUSED, REVOKED, Rule, on, status, text,
};
use crate::domain::refresh::ProbeResult;

pub(super) static DIALECT: Dialect = Dialect {
    refresh: rfc6749::refresh, // learn.microsoft.com, programmatic-refresh-tokens
    granted: rfc6749::granted,
    probe,
    seen,
    fault,
    rules: &[RULES, rfc6749::RULES, ANYWHERE],
};

/// A new token takes some seconds to work, and until then is called revoked
/// (jclusso/omniauth-linkedin-openid#6, decioferreira/omniauth-linkedin-oauth2#17).
const ACTIVATION: TimeDelta = TimeDelta::seconds(60);

#[rustfmt::skip] // a rule a line
static RULES: &[Rule] = &[
    // "The provided authorization grant or refresh token is invalid, expired or
    // revoked." (nango.dev/blog/linkedin-oauth-refresh-token-invalid-grant)
    on(&["invalid_request"]).saying("refresh token is invalid").means(REFUSED),
    // The API's. Expiry is the access token's alone.
    on(&["65602", "65604", "EXPIRED_ACCESS_TOKEN"]).in_probe().means(EXPIRED),
    on(&["65600", "INVALID_ACCESS_TOKEN"]).in_probe().means(REFUSED),
    // Also said of a token that does not work yet, and these answers don't say
    // how old it is: so a refusal that is to be confirmed, not a revocation.
    on(&["65601", "REVOKED_ACCESS_TOKEN"]).in_probe().means(REFUSED),
    // An API version past its end (learn.microsoft.com, marketing/versioning).
    status(426).means(OUR_FAULT),
];

/// Beside the token endpoint (learn.microsoft.com, token-introspection).
fn probe(ask: &Ask<'_>) -> Option<RequestBuilder> {
    let (id, secret) = ask.client()?;
    Some(ask.http.post(ask.beside_token("introspectToken")?).form(&[
        ("client_id", id),
        ("client_secret", secret),
        ("token", ask.access_token()),
    ]))
}

fn seen(json: &Value, now: DateTime<Utc>) -> Option<Sight> {
    if json["active"].as_bool()? {
        return Some(Ok(ProbeResult {
            access: answer::ends(&json["expires_at"]),
            scopes: answer::scopes(&json["scope"]),
            ..ProbeResult::default()
        }));
    }
    let status = Fault {
        codes: rule::code(&json["status"]).into_iter().collect(),
        ..Fault::default()
    };
    let is_new =
        || answer::instant(&json["created_at"]).is_some_and(|made| now - made < ACTIVATION);
    let verdict = match text(&json["status"]) {
        "expired" => EXPIRED,
        "revoked" if is_new() => FAILED,
        "revoked" => REVOKED,
        // Of a token that is none of theirs, or none of our application's.
        _ => REFUSED,
    };
    Some(Err(Unsuccessful {
        verdict,
        code: status.code_to_keep(),
    }))
}

fn fault(json: &Value) -> Fault<'_> {
    rfc6749::fault(json).unwrap_or_else(|| Fault {
        codes: [&json["serviceErrorCode"], &json["code"]]
            .into_iter()
            .filter_map(rule::code)
            .collect(),
        message: text(&json["message"]),
        ..Fault::default()
    })
}
