//! What the token endpoints have in common: RFC 6749.

use serde_json::Value;

use super::json::text;
use super::request::Parameter::{ClientId, ClientSecret, Literal, RefreshToken};
use super::request::{Authentication, Endpoint, Parameters, RequestShape};
use super::rule::{
    APP_MISCONFIGURED, APPLICATION_THROTTLED, ErrorBody, GRANT_REFUSED, Rule, SERVER_ERROR, on,
};

/// Section 6, with our credentials in the body (2.3.1).
pub(super) const REFRESH: RequestShape = RequestShape {
    endpoint: Endpoint::Token,
    authentication: Authentication::None,
    parameters: Parameters::Form(&[
        ("grant_type", Literal("refresh_token")),
        ("refresh_token", RefreshToken),
        ("client_id", ClientId),
        ("client_secret", ClientSecret),
    ]),
};

/// Section 5.2, after a platform's own rules. Two codes are no evidence, and so not here:
/// `invalid_request`, a request that we got wrong, and `access_denied`, a refusal by "the
/// resource owner or authorization server".
#[rustfmt::skip] // a rule a line
pub(crate) static RULES: &[Rule] = &[
    // Expired, revoked, used, or another client's: it does not say.
    on(&["invalid_grant"]).means(GRANT_REFUSED),
    on(&["invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"]).means(APP_MISCONFIGURED),
    // Section 4.1.2.1, and RFC 8628, 3.5.
    on(&["server_error", "temporarily_unavailable"]).means(SERVER_ERROR),
    on(&["rate_limit_exceeded", "slow_down"]).means(APPLICATION_THROTTLED),
];

/// Section 5.1: the tokens stand at the top.
#[expect(clippy::unnecessary_wraps, reason = "others may have none")]
pub(super) const fn tokens(body: &Value) -> Option<&Value> {
    Some(body)
}

/// Reads the error of a token endpoint; returns `None` if the body holds none.
pub(super) fn error_body(body: &Value) -> Option<ErrorBody<'_>> {
    let error = body["error"].as_str()?;
    Some(ErrorBody {
        codes: vec![error.into()],
        subcode: body["error_subtype"].as_str().map(Into::into), // Google's
        message: text(&body["error_description"]),
        ..ErrorBody::default()
    })
}
