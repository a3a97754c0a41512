use axum::http::Method;
use serde_json::{Value, json};

use super::api::{Api, Call, CallRequest, Fault, Host, List, bearer_api, list, read, write};
use super::grant::{Denied, Issued, TokenStatus};
use super::paging::Cursor;
use super::parameters::identify_pair;
use super::probe::{Encoding, ProbeAnswer, ProbeContext, ProbeEndpoint, TokenPlace};
use super::response::PlatformResponse;
use super::rfc6749::code_endpoint;
use super::rfc6749::{self, error};
use super::rules::{DAY, Rules};
use super::simulated::{CodeEndpoint, JSON, NamedError, Simulated, raw};

pub(super) static SIMULATED: Simulated = Simulated {
    token: "/linkedin/oauth/v2/accessToken",
    authorize: "/linkedin/oauth/v2/authorization",
    api: "/linkedin",
    refresh: rfc6749::endpoint(body),
    denial: "user_cancelled_authorize",
    code: CodeEndpoint {
        // nvh95/react-linkedin-login-oauth2#26
        refuse: |_| rfc6749::error(400, "invalid_request", NO_CODE),
        ..code_endpoint(body)
    },
    portal: None,
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
        refuse: refuse_token,
    }],
    calls: Api {
        hosts: &[Host {
            name: "api",
            prefix: "/linkedin",
            any_version: false,
            endpoints: &[
                read("/v2/userinfo", userinfo),
                read("/rest/organizationAcls", roles).needs(&["q"]),
                read("/rest/me", me),
                list("/rest/posts", POSTS).needs(&["q", "author"]),
                write("/rest/posts", post).needs(&[
                    "author",
                    "commentary",
                    "visibility",
                    "distribution",
                    "lifecycleState",
                ]),
            ],
        }],
        check: check_version,
        ..bearer_api(refuse_call)
    },
    rules: |plain| Rules {
        access_lifetime: 60 * DAY,
        refresh_lifetime: Some(365 * DAY),
        refresh_slides: false,
        // LinkedIn tells its daily limits only to each application's owner.
        calls_limit: Some(1_000),
        calls_window: DAY,
        ..plain
    },
    scope: "r_ads,rw_organization_admin",
    refuse: |refusal| rfc6749::refuse(ERRORS, refusal),
    throttle: |retry_after, _| {
        api_error(429, 101, "TOO_MANY_REQUESTS", THROTTLED).retry_after(retry_after)
    },
    errors: ERRORS,
};

fn refuse_token(denied: Option<Denied>) -> PlatformResponse {
    match denied {
        // Older answers had this text; no service code was published for it.
        None => api_error(401, 0, "", "Empty oauth2_access_token"),
        Some(Denied::Revoked) => api_error(401, 65601, "REVOKED_ACCESS_TOKEN", REVOKED),
        Some(Denied::Expired) => api_error(401, 65602, "EXPIRED_ACCESS_TOKEN", EXPIRED),
        _ => api_error(401, 65600, "INVALID_ACCESS_TOKEN", "Invalid access token"),
    }
}

fn refuse_call(request: &CallRequest, fault: Fault<'_>) -> PlatformResponse {
    match fault {
        // Published in the tests and notes of many callers.
        Fault::Path => coded(404, "RESOURCE_NOT_FOUND", "No virtual resource found"),
        Fault::Token(denied) => refuse_token(denied),
        // community.n8n.io/t/303875. For what is read, only the code was published.
        Fault::Parameter(name) if request.method == Method::POST => {
            let text = format!(
                "ERROR :: /{name} :: field is required but not found and has no default value\n"
            );
            api_error(422, 0, "", &text)
        }
        Fault::Parameter(name) => {
            let text = format!("Invalid or missing parameter: {name}");
            coded(400, "ILLEGAL_ARGUMENT", &text)
        }
        Fault::Limit(_) => api_error(429, 101, "TOO_MANY_REQUESTS", THROTTLED),
    }
}

/// Wants a version, as a year and month, of every path below `/rest`
/// (learn.microsoft.com/en-us/linkedin/marketing/versioning).
fn check_version(call: &Call<'_>) -> Result<(), PlatformResponse> {
    let version = call.request.headers.get("linkedin-version");
    match version.and_then(|version| version.to_str().ok()) {
        _ if !call.request.path.starts_with("/rest/") => Ok(()),
        None => Err(coded(400, "VERSION_MISSING", NO_VERSION)),
        Some(given) if given.len() == 6 && given.starts_with("202") => Ok(()),
        Some(given) => {
            let text = format!("Requested version {} is not active", given.escape_default());
            Err(coded(426, "NONEXISTENT_VERSION", &text))
        }
    }
}

/// learn.microsoft.com/en-us/linkedin/consumer/integrations/self-serve/sign-in-with-linkedin-v2
fn userinfo(call: &Call<'_>) -> PlatformResponse {
    PlatformResponse::ok(&json!({
        "sub": call.account(),
        "name": call.status.name(),
        "locale": {"country": "US", "language": "en"},
    }))
}

/// learn.microsoft.com/en-us/linkedin/marketing/community-management/organizations/organization-access-control-by-role
fn roles(call: &Call<'_>) -> PlatformResponse {
    PlatformResponse::ok(&json!({"elements": [{
        "role": "ADMINISTRATOR",
        "state": "APPROVED",
        "organization": format!("urn:li:organization:{}", call.account()),
    }]}))
}

fn me(call: &Call<'_>) -> PlatformResponse {
    PlatformResponse::ok(&json!({
        "id": call.account(),
        "localizedFirstName": call.status.name(),
        "localizedLastName": "",
    }))
}

/// learn.microsoft.com/en-us/linkedin/shared/api-guide/concepts/pagination
const POSTS: List = List {
    cursor: Cursor::Offset("start"),
    size: Some("count"),
    usual_size: 10,
    answer: |call, page| {
        let author = call.text("author");
        let post = |number| {
            let id = format!("urn:li:share:{}", call.thing(number));
            json!({"id": id, "author": author, "commentary": "A post"})
        };
        let elements: Vec<_> = page.things.clone().map(post).collect();
        let count = page.size.to_string();
        let link = |next: &String| {
            let href = call
                .request
                .again_with(&[("start", next), ("count", &count)]);
            json!({"type": "application/json", "rel": "next", "href": href})
        };
        let links: Vec<_> = page.next.iter().map(link).collect();
        let start = page.things.start;
        let paging =
            json!({"start": start, "count": page.size, "total": page.total, "links": links});
        PlatformResponse::ok(&json!({"elements": elements, "paging": paging}))
    },
};

/// Answers with the post's URN in a header and no body (posts-api).
fn post(call: &Call<'_>) -> PlatformResponse {
    let urn = format!("urn:li:share:{}", call.made());
    raw(201, JSON, "").with("x-restli-id", urn)
}

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

/// Builds an error that has a code but no number.
fn coded(status: u16, code: &str, message: &str) -> PlatformResponse {
    let body = json!({"status": status, "code": code, "message": message});
    PlatformResponse::json(status, &body)
}

const INVALID: &str =
    "The provided authorization grant or refresh token is invalid, expired or revoked.";
const REVOKED: &str = "The token used in the request has been revoked by the user";
const EXPIRED: &str = "The token used in the request has expired";
const NO_VERSION: &str =
    "A version must be present. Please specify a version by adding the LinkedIn-Version header.";
const THROTTLED: &str = "Resource level throttle limit for calls to this resource is reached.";

const NO_CODE: &str = "Unable to retrieve access token: appid/redirect uri/code verifier does not \
     match authorization code. Or authorization code expired. Or external member binding exists";

#[rustfmt::skip] // an error a line
static ERRORS: &[NamedError] = &[
    ("invalid_grant", || error(400, "invalid_grant", INVALID)),
    ("invalid_request", || error(400, "invalid_request", INVALID)),
    ("invalid_client", || error(401, "invalid_client", "Client authentication failed")),
    ("unauthorized_client", || error(401, "unauthorized_client", "The application is not allowed to use refresh tokens")),
    ("server_error", || error(500, "server_error", "Internal server error")),
    ("65600", || api_error(401, 65600, "INVALID_ACCESS_TOKEN", "Invalid access token")),
    ("65601", || api_error(401, 65601, "REVOKED_ACCESS_TOKEN", REVOKED)),
    ("65602", || api_error(401, 65602, "EXPIRED_ACCESS_TOKEN", EXPIRED)),
    ("65604", || api_error(401, 65604, "EXPIRED_ACCESS_TOKEN", EXPIRED)),
    ("403", || api_error(403, 100, "ACCESS_DENIED", "Not enough permissions to access: posts.CREATE.NO_VERSION")),
    ("426", || api_error(426, 0, "", "Requested version is not active")),
    ("429", || api_error(429, 101, "TOO_MANY_REQUESTS", THROTTLED)),
];
