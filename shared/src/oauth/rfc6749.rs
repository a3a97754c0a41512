//! What the token endpoints have in common: RFC 6749.

use reqwest::RequestBuilder;
use serde_json::Value;

use super::dialect::Ask;
use super::rule::{FAILED, Fault, HOLDS_US_BACK, OUR_FAULT, REFUSED, Rule, on, text};

/// Section 5.2, after a platform's own rules. No evidence, and so not here:
/// `invalid_request`, a request that we got wrong, and `access_denied`, a refusal
/// by "the resource owner or authorization server".
#[rustfmt::skip] // a rule a line
pub(super) static RULES: &[Rule] = &[
    // Expired, revoked, used, or another client's: it does not say.
    on(&["invalid_grant"]).means(REFUSED),
    on(&["invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"]).means(OUR_FAULT),
    // Section 4.1.2.1, and RFC 8628, 3.5.
    on(&["server_error", "temporarily_unavailable"]).means(FAILED),
    on(&["rate_limit_exceeded", "slow_down"]).means(HOLDS_US_BACK),
];

/// The error of a token endpoint, if it is one.
pub(super) fn fault(json: &Value) -> Option<Fault<'_>> {
    let error = json["error"].as_str()?;
    Some(Fault {
        codes: vec![error.into()],
        subcode: json["error_subtype"].as_str().map(Into::into), // Google's
        message: text(&json["error_description"]),
        ..Fault::default()
    })
}

/// Section 6, with our credentials in the body (2.3.1).
pub(super) fn refresh(ask: &Ask<'_>) -> Option<RequestBuilder> {
    let (id, secret) = ask.client()?;
    Some(ask.http.post(&ask.endpoints.token).form(&[
        ("grant_type", "refresh_token"),
        ("refresh_token", ask.refresh_token()?),
        ("client_id", id),
        ("client_secret", secret),
    ]))
}

/// Section 5.1: the tokens stand at the top.
#[expect(clippy::unnecessary_wraps, reason = "others may have none")]
pub(super) fn granted(json: &Value) -> Option<&Value> {
    Some(json)
}
