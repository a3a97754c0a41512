//! Snapchat Marketing.

use serde_json::{Value, json};

use super::grant::Issued;
use super::response::{PlatformResponse, trace_id};
use super::rfc6749::{self, error};
use super::rules::Rules;
use super::simulated::{
    ClientAuthentication, NamedError, RefreshEndpoint, Simulated, bearer_probe,
};

pub(super) static SIMULATED: Simulated = Simulated {
    token: "/snapchat/login/oauth2/access_token",
    authorize: "/snapchat/login/oauth2/authorize",
    api: "/snapchat/v1",
    refresh: RefreshEndpoint {
        // HTTP Basic was seen in the wild besides the documented body.
        authentication: ClientAuthentication::ParametersOrBasic,
        ..rfc6749::endpoint(body)
    },
    probes: &[bearer_probe(
        "/snapchat/v1/me",
        |_, status| {
            PlatformResponse::ok(&json!({
                "request_status": "SUCCESS",
                "request_id": trace_id(),
                "me": {"id": status.grant, "display_name": "A user"},
            }))
        },
        |_| api_error(401, "Unauthorized"),
    )],
    // Undocumented whether it rotates; the harder rule is the better test.
    rules: |plain| Rules {
        rotates: true,
        ..plain
    },
    scope: "snapchat-marketing-api",
    refuse: |refusal| rfc6749::refuse(ERRORS, refusal),
    throttle: |retry_after, _| api_error(429, "Too many requests").retry_after(retry_after),
    errors: ERRORS,
};

fn body(rules: &Rules, issued: &Issued) -> Value {
    let mut body = rfc6749::tokens(rules, issued);
    body["refresh_token"] = json!(issued.refresh_token);
    body["token_type"] = json!("Bearer");
    body
}

/// Builds an error of the API, not of its token endpoint.
fn api_error(status: u16, message: &str) -> PlatformResponse {
    let body = json!({
        "request_status": "ERROR",
        "request_id": trace_id(),
        "debug_message": message,
        "display_message": "We're sorry, but the request failed",
    });
    PlatformResponse::json(status, &body)
}

#[rustfmt::skip] // an error a line
static ERRORS: &[NamedError] = &[
    ("invalid_grant", || error(400, "invalid_grant", "The refresh token is invalid, expired or revoked.")),
    ("invalid_client", || error(401, "invalid_client", "Client authentication failed")),
    ("invalid_request", || error(400, "invalid_request", "The request is malformed")),
    ("server_error", || api_error(500, "Internal server error")),
    ("401", || api_error(401, "Unauthorized")),
    ("403", || api_error(403, "Forbidden")),
    ("429", || api_error(429, "Too many requests")),
    ("error_ok", || api_error(200, "The request failed")),
];
