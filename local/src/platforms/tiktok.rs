//! TikTok Login Kit v2.

use serde_json::{Value, json};

use super::grant::Issued;
use super::refusal::Refusal;
use super::response::{PlatformResponse, trace_id};
use super::rfc6749;
use super::rules::{DAY, Rules};
use super::simulated::{
    ClientAuthentication, NamedError, RefreshEndpoint, Simulated, bearer_probe,
};

pub(super) static SIMULATED: Simulated = Simulated {
    token: "/tiktok/v2/oauth/token/",
    authorize: "/tiktok/v2/auth/authorize/",
    api: "/tiktok/v2",
    refresh: RefreshEndpoint {
        authentication: ClientAuthentication::Parameters("client_key"),
        ..rfc6749::endpoint(body)
    },
    probes: &[bearer_probe(
        "/tiktok/v2/user/info/",
        |_, status| {
            PlatformResponse::ok(&json!({
                "data": {"user": {"open_id": status.grant, "display_name": "A user"}},
                "error": {"code": "ok", "message": "", "log_id": trace_id()},
            }))
        },
        |_| {
            let text = "The access token is invalid or not found in the request.";
            api_error(401, "access_token_invalid", text)
        },
    )],
    rules: |plain| Rules {
        access_lifetime: 7_200,
        refresh_lifetime: Some(180 * DAY),
        rotates: true,
        ..plain
    },
    scope: "user.info.basic,video.list",
    refuse: |refusal| match rfc6749::describe(refusal) {
        (name, Some(text)) => error(200, name, &text),
        (_, None) if matches!(refusal, Refusal::Token(_)) => {
            error(200, "invalid_grant", INVALID_GRANT)
        }
        (_, None) => error(200, "invalid_client", INVALID_CLIENT),
    },
    throttle: |retry_after, _| {
        api_error(429, "rate_limit_exceeded", "Rate limit exceeded").retry_after(retry_after)
    },
    errors: ERRORS,
};

fn body(rules: &Rules, issued: &Issued) -> Value {
    let mut body = rfc6749::tokens(rules, issued);
    body["open_id"] = json!(issued.grant);
    body["refresh_token"] = json!(issued.refresh_token);
    body["refresh_expires_in"] = json!(issued.refresh_expires_in);
    body["token_type"] = json!("Bearer");
    body
}

/// Builds an error of the token endpoint.
fn error(status: u16, error: &str, description: &str) -> PlatformResponse {
    let mut body = rfc6749::body(error, description);
    body["log_id"] = json!(trace_id());
    PlatformResponse::json(status, &body)
}

/// Builds an error of the API, not of its token endpoint.
fn api_error(status: u16, code: &str, message: &str) -> PlatformResponse {
    let error = json!({"code": code, "message": message, "log_id": trace_id()});
    PlatformResponse::json(status, &json!({"data": {}, "error": error}))
}

const INVALID_GRANT: &str = "Refresh token is invalid or expired.";
const INVALID_CLIENT: &str = "Client key or secret is incorrect.";

/// TikTok does not document the status of its token endpoint's errors; 200 is
/// the one that must not mislead anybody.
#[rustfmt::skip] // an error a line
static ERRORS: &[NamedError] = &[
    ("invalid_grant", || error(200, "invalid_grant", INVALID_GRANT)),
    ("invalid_grant_400", || error(400, "invalid_grant", INVALID_GRANT)),
    ("access_denied", || error(200, "access_denied", "The user denied the request.")),
    ("invalid_client", || error(200, "invalid_client", INVALID_CLIENT)),
    ("invalid_request", || error(200, "invalid_request", "The request parameters are malformed.")),
    ("invalid_scope", || error(200, "invalid_scope", "The requested scope is invalid.")),
    ("unauthorized_client", || error(200, "unauthorized_client", "The client is not authorized.")),
    ("unsupported_grant_type", || error(200, "unsupported_grant_type", "The grant type is not supported.")),
    ("access_token_invalid", || api_error(401, "access_token_invalid", "The access token is invalid or not found in the request.")),
    ("scope_not_authorized", || api_error(401, "scope_not_authorized", "The user did not authorize the scope required for completing this request.")),
    ("scope_permission_missed", || api_error(400, "scope_permission_missed", "Additional permissions are required.")),
    ("rate_limit_exceeded", || api_error(429, "rate_limit_exceeded", "The API rate limit was exceeded.")),
    ("internal_error", || api_error(500, "internal_error", "Internal server error.")),
    ("server_error", || api_error(500, "internal_error", "Internal server error.")),
    ("invalid_params", || api_error(400, "invalid_params", "One or more fields are invalid.")),
];
