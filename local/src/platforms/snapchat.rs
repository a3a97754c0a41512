//! Snapchat Marketing.

use serde_json::{Value, json};

use super::api::{Api, Call, CallRequest, Fault, Host, List, bearer_api, list, probe, write};
use super::grant::Issued;
use super::paging::Cursor;
use super::probe::{ProbeEndpoint, bearer_probe};
use super::response::{PlatformResponse, trace_id};
use super::rfc6749::code_endpoint;
use super::rfc6749::{self, error};
use super::rules::{MINUTE, Rules};
use super::simulated::{
    ClientAuthentication, CodeEndpoint, NamedError, RefreshEndpoint, Simulated,
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
    denial: "access_denied",
    code: CodeEndpoint {
        authentication: ClientAuthentication::ParametersOrBasic,
        ..code_endpoint(body)
    },
    portal: None,
    probes: &[ME],
    calls: Api {
        hosts: &[Host {
            name: "ads-api",
            prefix: "/snapchat",
            any_version: false,
            endpoints: &[
                probe("/v1/me", &ME),
                list("/v1/me/organizations", ORGANIZATIONS),
                write("/v1/adaccounts/{id}/campaigns", create_campaign).needs(&["campaigns"]),
            ],
        }],
        ..bearer_api(refuse_call)
    },
    // Undocumented whether it rotates; the harder rule is the better test.
    rules: |plain| Rules {
        rotates: true,
        // 10 a second on average for each token (Ads-API/rate-limits).
        calls_limit: Some(600),
        calls_window: MINUTE,
        ..plain
    },
    scope: "snapchat-marketing-api",
    refuse: |refusal| rfc6749::refuse(ERRORS, refusal),
    throttle: |retry_after, _| api_error(429, "Too many requests").retry_after(retry_after),
    errors: ERRORS,
};

const ME: ProbeEndpoint = bearer_probe(
    "/snapchat/v1/me",
    |_, status| {
        let me = json!({"id": status.account(), "display_name": status.name()});
        success(json!({ "me": me }))
    },
    |_| api_error(401, "Unauthorized"),
);

/// developers.snap.com/api/marketing-api/Ads-API/organizations; `limit` is 50 to 1000, and
/// the next page a whole address.
const ORGANIZATIONS: List = List {
    cursor: Cursor::Opaque("cursor"),
    size: Some("limit"),
    usual_size: 50,
    answer: |call, page| {
        let organization = |number| {
            let organization = json!({
                "id": call.thing(number),
                "name": "An organization",
                "type": "ENTERPRISE",
            });
            json!({"sub_request_status": "SUCCESS", "organization": organization})
        };
        let organizations: Vec<_> = page.things.clone().map(organization).collect();
        let mut paging = json!({});
        if let Some(next) = &page.next {
            let limit = page.size.to_string();
            let next = call
                .request
                .again_with(&[("cursor", next), ("limit", &limit)]);
            paging["next_link"] = json!(format!("{}{next}", call.request.base));
        }
        success(json!({"paging": paging, "organizations": organizations}))
    },
};

/// developers.snap.com/api/marketing-api/Ads-API/campaigns
fn create_campaign(call: &Call<'_>) -> PlatformResponse {
    let campaign = json!({"id": call.made(), "ad_account_id": call.subject()});
    let campaign = json!({"sub_request_status": "SUCCESS", "campaign": campaign});
    success(json!({ "campaigns": [campaign] }))
}

fn refuse_call(_: &CallRequest, fault: Fault<'_>) -> PlatformResponse {
    match fault {
        // singer-io/tap-snapchat-ads, in the comment on its errors.
        Fault::Path => {
            let mut body = error_body("Resource can not be found");
            body["error_code"] = json!("E3003");
            PlatformResponse::json(404, &body)
        }
        Fault::Token(_) => api_error(401, "Unauthorized"),
        Fault::Parameter(name) => api_error(400, &format!("Missing or invalid: {name}")),
        Fault::Limit(_) => api_error(429, "Too many requests"),
    }
}

/// Wraps the fields of `body` in the envelope of every answer.
fn success(mut body: Value) -> PlatformResponse {
    body["request_status"] = json!("SUCCESS");
    body["request_id"] = json!(trace_id());
    PlatformResponse::ok(&body)
}

fn body(rules: &Rules, issued: &Issued) -> Value {
    let mut body = rfc6749::tokens(rules, issued);
    body["refresh_token"] = json!(issued.refresh_token);
    body["token_type"] = json!("Bearer");
    body
}

/// Builds an error of the API, not of its token endpoint.
fn api_error(status: u16, message: &str) -> PlatformResponse {
    PlatformResponse::json(status, &error_body(message))
}

fn error_body(message: &str) -> Value {
    json!({
        "request_status": "ERROR",
        "request_id": trace_id(),
        "debug_message": message,
        "display_message": "We're sorry, but the request failed",
    })
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
