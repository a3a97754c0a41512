//! TikTok Business: advertisers' tokens and TikTok accounts' tokens. Always HTTP 200;
//! `code` says what is wrong.

use serde_json::{Value, json};

use super::api::{Api, Call, CallRequest, Fault, Host, List, bearer_api, list, read, write};
use super::grant::{self, Denied, Issued};
use super::paging::Cursor;
use super::parameters::{identify, identify_pair, text};
use super::probe::{Encoding, ProbeAnswer, ProbeEndpoint, TokenPlace};
use super::refusal::Refusal;
use super::response::{PlatformResponse, trace_id};
use super::rfc6749;
use super::rfc6749::code_endpoint;
use super::rules::{DAY, MINUTE, Rules};
use super::simulated::{
    ClientAuthentication, CodeEndpoint, Life, NamedError, RefreshEndpoint, Simulated,
};

pub(super) static SIMULATED: Simulated = Simulated {
    token: "/tiktok_business/open_api/v1.3/tt_user/oauth2/refresh_token/",
    authorize: "/tiktok_business/v2/auth/authorize",
    api: "/tiktok_business/open_api/v1.3",
    refresh: RefreshEndpoint {
        encodings: &[Encoding::Json],
        ..rfc6749::endpoint(body)
    },
    denial: "access_denied",
    code: CodeEndpoint {
        path: Some("/tiktok_business/open_api/v1.3/tt_user/oauth2/token/"),
        encodings: &[Encoding::Json],
        code: "auth_code",
        refuse: refuse_code,
        ..code_endpoint(body)
    },
    portal: Some((
        "/tiktok_business/portal/auth",
        CodeEndpoint {
            path: Some("/tiktok_business/open_api/v1.3/oauth2/access_token/"),
            encodings: &[Encoding::Json],
            authentication: ClientAuthentication::Parameters(["app_id", "secret"]),
            grant_type: None,
            code: "auth_code",
            wants_redirect_uri: false,
            life: Life::ForEver,
            refuse: refuse_code,
            ..code_endpoint(|_, issued| {
                let ids: Vec<_> = advertisers(&issued.grant)
                    .into_iter()
                    .map(|(id, _)| id)
                    .collect();
                let data = json!({
                    "access_token": issued.access_token,
                    "advertiser_ids": ids,
                    "scope": [4, 6],
                });
                envelope(0, "OK", &data)
            })
        },
    )),
    probes: &[ADVERTISERS, TOKEN_INFO],
    calls: Api {
        hosts: &[Host {
            name: "business-api",
            prefix: "/tiktok_business",
            any_version: false,
            endpoints: &[
                read("/open_api/v1.3/user/info/", user_info),
                list("/open_api/v1.3/campaign/get/", CAMPAIGNS).needs(&["advertiser_id"]),
                write("/open_api/v1.3/campaign/create/", create_campaign).needs(&[
                    "advertiser_id",
                    "campaign_name",
                    "objective_type",
                ]),
            ],
        }],
        token: TokenPlace::Header("access-token"),
        adopts_for_ever: true,
        ..bearer_api(refuse_call)
    },
    rules: |plain| Rules {
        access_lifetime: DAY,
        refresh_lifetime: Some(365 * DAY),
        rotates: true,
        // 10 a second for an application on its first level (portal/docs/rate-limits/v1.3).
        calls_limit: Some(600),
        calls_window: MINUTE,
        ..plain
    },
    scope: "user.info.basic,video.list",
    refuse,
    throttle: |retry_after, _| {
        error(40100, "Requests made too frequently").retry_after(retry_after)
    },
    errors: ERRORS,
};

/// Probes an advertiser's token, which only a revocation ends. The token is in a header
/// of its own (tiktok-business-api-sdk).
const ADVERTISERS: ProbeEndpoint = ProbeEndpoint {
    path: "/tiktok_business/open_api/v1.3/oauth2/advertiser/get/",
    encoding: Encoding::Query,
    token: TokenPlace::Header("access-token"),
    caller: |parameters, client, _| {
        identify_pair(parameters, client, ["app_id", "secret"]).map_err(refuse)
    },
    adopts_for_ever: true,
    answer: ProbeAnswer::Works(|_, status| {
        let advertiser = |(id, name)| json!({"advertiser_id": id, "advertiser_name": name});
        let list: Vec<_> = advertisers(&status.grant)
            .into_iter()
            .map(advertiser)
            .collect();
        success(&json!({ "list": list }))
    }),
    refuse: refuse_probe,
};

/// Probes a TikTok account's token: that and the application's id are enough.
const TOKEN_INFO: ProbeEndpoint = ProbeEndpoint {
    path: "/tiktok_business/open_api/v1.3/tt_user/token_info/get/",
    encoding: Encoding::Json,
    token: TokenPlace::Parameter("access_token"),
    caller: |parameters, client, _| {
        let id = text(parameters, "app_id").ok_or(Refusal::Client);
        let secret = client.map_or("", |client| client.secret.as_str());
        id.and_then(|id| identify(client, id, secret).map(|()| id.to_owned()))
            .map_err(refuse)
    },
    adopts_for_ever: false,
    answer: ProbeAnswer::Works(|context, status| {
        success(&json!({
            "app_id": context.caller,
            "creator_id": status.account(),
            "scope": context.rules.scope,
        }))
    }),
    refuse: refuse_probe,
};

fn user_info(call: &Call<'_>) -> PlatformResponse {
    success(&json!({
        "core_user_id": call.account(),
        "display_name": call.status.name(),
        "email": "a***r@example.com",
    }))
}

/// tiktok-business-api-sdk CampaignCreationApi; NangoHQ/integration-templates#515 for
/// `page_info`.
const CAMPAIGNS: List = List {
    cursor: Cursor::Number("page"),
    size: Some("page_size"),
    usual_size: 10,
    answer: |call, page| {
        let advertiser = call.text("advertiser_id");
        let campaign = |number| {
            json!({
                "advertiser_id": advertiser,
                "campaign_id": call.thing(number),
                "campaign_name": "A campaign",
            })
        };
        let list: Vec<_> = page.things.clone().map(campaign).collect();
        success(&json!({
            "list": list,
            "page_info": {
                "page": page.number(),
                "page_size": page.size,
                "total_number": page.total,
                "total_page": page.total.div_ceil(page.size),
            },
        }))
    },
};

fn create_campaign(call: &Call<'_>) -> PlatformResponse {
    success(&json!({
        "campaign_id": call.made(),
        "advertiser_id": call.text("advertiser_id"),
        "campaign_name": call.text("campaign_name"),
    }))
}

fn refuse_call(_: &CallRequest, fault: Fault<'_>) -> PlatformResponse {
    match fault {
        // ERROR_CODE_ROUTE_NOT_FOUND (tiktok_code.py); its text was not published.
        Fault::Path => error(40400, "Route not found"),
        Fault::Token(denied) => refuse_probe(denied),
        Fault::Parameter(name) => refuse(Refusal::Missing(name)),
        Fault::Limit(_) => error(40100, "Requests made too frequently"),
    }
}

/// Returns the ids and names of a grant's advertisers; a person may allow several, separated by
/// commas.
fn advertisers(grant: &str) -> Vec<(String, String)> {
    let (ids, names) = (grant::account(grant), grant::name(grant));
    let mut names = names.split(',').map(str::to_owned);
    let named = |id: &str| (id.to_owned(), names.next().unwrap_or_else(|| id.to_owned()));
    ids.split(',').map(named).collect()
}

fn refuse_code(_: Denied) -> PlatformResponse {
    error(40110, "Auth code is invalid")
}

fn body(rules: &Rules, issued: &Issued) -> Value {
    let mut body = rfc6749::tokens(rules, issued);
    body["open_id"] = json!(issued.account());
    body["refresh_token"] = json!(issued.refresh_token);
    body["refresh_token_expires_in"] = json!(issued.refresh_expires_in);
    body["token_type"] = json!("Bearer");
    envelope(0, "OK", &body)
}

fn success(data: &Value) -> PlatformResponse {
    PlatformResponse::ok(&envelope(0, "OK", data))
}

fn error(code: u32, message: &str) -> PlatformResponse {
    PlatformResponse::ok(&envelope(code, message, &json!({})))
}

fn envelope(code: u32, message: &str, data: &Value) -> Value {
    json!({"code": code, "message": message, "request_id": trace_id(), "data": data})
}

fn refuse(refusal: Refusal<'_>) -> PlatformResponse {
    match refusal {
        Refusal::Encoding => error(40002, "The request body must be JSON"),
        Refusal::Missing("refresh_token") => error(40104, "refresh_token is empty"),
        Refusal::Missing(name) => {
            error(40002, &format!("{name}: Missing data for required field."))
        }
        Refusal::GrantType(_) => error(40108, "Grant type is invalid"),
        Refusal::Client | Refusal::Secret | Refusal::Proof(_) => {
            error(40101, "App id or secret is incorrect")
        }
        Refusal::Token(Denied::Expired) => error(40103, "Refresh token is expired"),
        Refusal::Token(Denied::Revoked) => {
            error(40105, "Access token is incorrect or has been revoked")
        }
        Refusal::Token(_) => error(40107, "Refresh token is invalid"),
    }
}

fn refuse_probe(denied: Option<Denied>) -> PlatformResponse {
    match denied {
        None => error(40104, "Access token is empty"),
        Some(Denied::Expired) => error(40102, "Access token is expired"),
        Some(_) => error(40105, "Access token is incorrect or has been revoked"),
    }
}

#[rustfmt::skip] // an error a line
static ERRORS: &[NamedError] = &[
    ("40102", || error(40102, "Access token is expired")),
    ("40103", || error(40103, "Refresh token is expired")),
    ("40105", || error(40105, "Access token is incorrect or has been revoked")),
    ("40107", || error(40107, "Refresh token is invalid")),
    ("invalid_grant", || error(40107, "Refresh token is invalid")),
    ("40106", || error(40106, "Core user is invalid")),
    ("40114", || error(40114, "Advertiser has logged out")),
    ("40120", || error(40120, "TikTok user is not logged in")),
    ("40301", || error(40301, "Advertiser role error")),
    ("40309", || error(40309, "Login is required")),
    ("40131", || error(40131, "TikTok user authorization failed")),
    ("40110", || error(40110, "Auth code is invalid")),
    ("40101", || error(40101, "App id or secret is incorrect")),
    ("invalid_client", || error(40101, "App id or secret is incorrect")),
    ("40104", || error(40104, "Access token is empty")),
    ("40108", || error(40108, "Grant type is invalid")),
    ("40113", || error(40113, "App is forbidden")),
    ("40118", || error(40118, "App is not in the allowlist")),
    ("40124", || error(40124, "Developer application was rejected")),
    ("40125", || error(40125, "Developer has no permission")),
    ("40001", || error(40001, "No permission")),
    ("40130", || error(40130, "Scope is not authorized")),
    ("40100", || error(40100, "Requests made too frequently")),
    ("40132", || error(40132, "Request frequency is limited")),
    ("61000", || error(61000, "Too many requests")),
    ("51021", || error(51021, "Too many requests")),
    ("50000", || error(50000, "System error")),
    ("server_error", || error(50000, "System error")),
    ("50002", || error(50002, "Timeout")),
    ("51010", || error(51010, "RPC timeout")),
    ("51039", || error(51039, "Auth service error")),
    ("52000", || error(52000, "Database error")),
    ("60001", || error(60001, "Service is under maintenance")),
    ("40201", || error(40201, "Not ready")),
    ("40202", || error(40202, "Write conflict")),
    ("20001", || error(20001, "Partial success")),
];
