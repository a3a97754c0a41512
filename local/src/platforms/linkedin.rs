use serde_json::{Value, json};

use super::grant::{Denied, Issued, TokenStatus};
use super::parameters::identify_pair;
use super::response::PlatformResponse;
use super::rfc6749::{self, error};
use super::rules::{DAY, Rules};
use super::simulated::{
    Encoding, NamedError, ProbeAnswer, ProbeContext, ProbeEndpoint, Simulated, TokenPlace,
};

pub(super) static SIMULATED: Simulated = Simulated {
    token: "/linkedin/oauth/v2/accessToken",
    authorize: "/linkedin/oauth/v2/authorization",
    api: "/linkedin",
    refresh: rfc6749::endpoint(body),
    probes: &[ProbeEndpoint {
        path: "/linkedin/oauth/v2/introspectToken",
        encoding: Encoding::Form,
        token: TokenPlace::Parameter("token"),
        caller: |parameters, client, _| {
            identify_pair(parameters, client, ["client_id", "client_secret"])
                .map_err(|refusal| rfc6749::refuse(ERRORS, refusal))
        },
        adopts_for_ever: false,
        answer: ProbeAnswer::Any(introspection),
        refuse: |denied| match denied {
            Some(Denied::Revoked) => api_error(401, 65601, "REVOKED_ACCESS_TOKEN", REVOKED),
            _ => api_error(401, 65600, "INVALID_ACCESS_TOKEN", "Invalid access token"),
        },
    }],
    rules: |plain| Rules {
        access_lifetime: 60 * DAY,
        refresh_lifetime: Some(365 * DAY),
        refresh_slides: false,
        ..plain
    },
    scope: "r_ads,rw_organization_admin",
    refuse: |refusal| rfc6749::refuse(ERRORS, refusal),
    throttle: |retry_after, _| {
        api_error(429, 101, "TOO_MANY_REQUESTS", THROTTLED).retry_after(retry_after)
    },
    errors: ERRORS,
};

fn body(rules: &Rules, issued: &Issued) -> Value {
    let mut body = rfc6749::tokens(rules, issued);
    body["refresh_token"] = json!(issued.refresh_token);
    body["refresh_token_expires_in"] = json!(issued.refresh_expires_in);
    body
}

/// Answers with HTTP 200 whatever the token's state.
fn introspection(
    context: &ProbeContext<'_>,
    found: Result<TokenStatus, Denied>,
) -> PlatformResponse {
    let Ok(token) = found else {
        return PlatformResponse::ok(&json!({"active": false}));
    };
    let status = match token.denied {
        None => "active",
        Some(Denied::Expired) => "expired",
        Some(_) => "revoked",
    };
    PlatformResponse::ok(&json!({
        "active": token.denied.is_none(),
        "client_id": context.caller,
        "authorized_at": token.since,
        "created_at": token.issued_at,
        "status": status,
        "expires_at": token.expires_at,
        "scope": context.rules.scope,
        "auth_type": "3L",
    }))
}

/// Builds an error of the API, not of its token endpoint. Service code 0 means none.
fn api_error(status: u16, service_code: u32, code: &str, message: &str) -> PlatformResponse {
    let mut body = json!({"message": message, "status": status});
    if service_code != 0 {
        body["serviceErrorCode"] = json!(service_code);
        body["code"] = json!(code);
    }
    PlatformResponse::json(status, &body)
}

const INVALID: &str =
    "The provided authorization grant or refresh token is invalid, expired or revoked.";
const REVOKED: &str = "The token used in the request has been revoked by the user";
const THROTTLED: &str = "Resource level throttle limit for calls to this resource is reached.";

#[rustfmt::skip] // an error a line
static ERRORS: &[NamedError] = &[
    ("invalid_grant", || error(400, "invalid_grant", INVALID)),
    ("invalid_request", || error(400, "invalid_request", INVALID)),
    ("invalid_client", || error(401, "invalid_client", "Client authentication failed")),
    ("unauthorized_client", || error(401, "unauthorized_client", "The application is not allowed to use refresh tokens")),
    ("server_error", || error(500, "server_error", "Internal server error")),
    ("65600", || api_error(401, 65600, "INVALID_ACCESS_TOKEN", "Invalid access token")),
    ("65601", || api_error(401, 65601, "REVOKED_ACCESS_TOKEN", REVOKED)),
    ("65602", || api_error(401, 65602, "EXPIRED_ACCESS_TOKEN", "The token used in the request has expired")),
    ("65604", || api_error(401, 65604, "EXPIRED_ACCESS_TOKEN", "The token used in the request has expired")),
    ("426", || api_error(426, 0, "", "Requested version is not active")),
    ("429", || api_error(429, 101, "TOO_MANY_REQUESTS", THROTTLED)),
];
