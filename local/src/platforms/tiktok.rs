//! TikTok Login Kit v2.

use serde_json::{Value, json};

use super::api::{Api, Call, CallRequest, Fault, Host, List, bearer_api, probe, query, write};
use super::grant::Issued;
use super::paging::Cursor;
use super::probe::{ProbeEndpoint, bearer_probe};
use super::refusal::Refusal;
use super::response::{PlatformResponse, trace_id};
use super::rfc6749;
use super::rfc6749::code_endpoint;
use super::rules::{DAY, MINUTE, Rules};
use super::simulated::{
    ClientAuthentication, CodeEndpoint, NamedError, RefreshEndpoint, Simulated, raw,
};

pub(super) static SIMULATED: Simulated = Simulated {
    token: "/tiktok/v2/oauth/token/",
    authorize: "/tiktok/v2/auth/authorize/",
    api: "/tiktok/v2",
    refresh: RefreshEndpoint {
        authentication: ClientAuthentication::Parameters(["client_key", "client_secret"]),
        ..rfc6749::endpoint(body)
    },
    denial: "access_denied",
    code: CodeEndpoint {
        authentication: ClientAuthentication::Parameters(["client_key", "client_secret"]),
        refuse: |_| error(200, "invalid_grant", "Authorization code is expired."),
        ..code_endpoint(body)
    },
    portal: None,
    probes: &[USER_INFO],
    calls: Api {
        hosts: &[Host {
            name: "open-api",
            prefix: "/tiktok",
            any_version: false,
            endpoints: &[
                probe("/v2/user/info/", &USER_INFO),
                query("/v2/video/list/", VIDEOS).needs(&["fields"]),
                write("/v2/post/publish/video/init/", publish).needs(&["source_info"]),
            ],
        }],
        ..bearer_api(refuse_call)
    },
    rules: |plain| Rules {
        access_lifetime: 7_200,
        refresh_lifetime: Some(180 * DAY),
        rotates: true,
        // 600 a minute for each endpoint (doc/tiktok-api-v2-rate-limit).
        calls_limit: Some(600),
        calls_window: MINUTE,
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

const USER_INFO: ProbeEndpoint = bearer_probe(
    "/tiktok/v2/user/info/",
    |_, status| {
        let user = json!({"open_id": status.account(), "display_name": status.name()});
        success(&json!({ "user": user }))
    },
    |_| token_invalid(),
);

/// developers.tiktok.com/doc/tiktok-api-v2-video-list: the fields in the query, the rest in
/// the body.
const VIDEOS: List = List {
    cursor: Cursor::Offset("cursor"),
    size: Some("max_count"),
    usual_size: 10,
    answer: |call, page| {
        let videos: Vec<_> = page
            .things
            .clone()
            .map(|number| json!({"id": call.thing(number), "title": "A video"}))
            .collect();
        success(&json!({
            "videos": videos,
            "cursor": page.things.end,
            "has_more": page.next.is_some(),
        }))
    },
};

/// developers.tiktok.com/doc/content-posting-api-reference-direct-post
fn publish(call: &Call<'_>) -> PlatformResponse {
    let id = call.made();
    success(&json!({
        "publish_id": format!("v_pub_file~v2-1.{id}"),
        "upload_url": format!("{}/video/?upload_id={id}&upload_token=simulated", call.request.base),
    }))
}

fn refuse_call(_: &CallRequest, fault: Fault<'_>) -> PlatformResponse {
    match fault {
        // Seen for a wrong method and for a missing slash at the end. Its type and shape were
        // not published.
        Fault::Path => raw(404, "text/plain", "Unsupported path(Janus)"),
        Fault::Token(_) => token_invalid(),
        Fault::Parameter(name) => {
            let text = format!("The request is missing or has an invalid parameter: {name}");
            api_error(400, "invalid_params", &text)
        }
        Fault::Limit(_) => api_error(429, "rate_limit_exceeded", "Rate limit exceeded"),
    }
}

fn body(rules: &Rules, issued: &Issued) -> Value {
    let mut body = rfc6749::tokens(rules, issued);
    body["open_id"] = json!(issued.account());
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

fn success(data: &Value) -> PlatformResponse {
    let error = json!({"code": "ok", "message": "", "log_id": trace_id()});
    PlatformResponse::ok(&json!({"data": data, "error": error}))
}

fn token_invalid() -> PlatformResponse {
    let text = "The access token is invalid or not found in the request.";
    api_error(401, "access_token_invalid", text)
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
    ("access_token_invalid", token_invalid),
    ("scope_not_authorized", || api_error(401, "scope_not_authorized", "The user did not authorize the scope required for completing this request.")),
    ("scope_permission_missed", || api_error(400, "scope_permission_missed", "Additional permissions are required.")),
    ("rate_limit_exceeded", || api_error(429, "rate_limit_exceeded", "The API rate limit was exceeded.")),
    ("internal_error", || api_error(500, "internal_error", "Internal server error.")),
    ("server_error", || api_error(500, "internal_error", "Internal server error.")),
    ("invalid_params", || api_error(400, "invalid_params", "One or more fields are invalid.")),
];
