//! Meta: Facebook, by long-lived user tokens.

use aws_lc_rs::hmac;
use serde_json::{Value, json};
use shared::domain::digest;

use super::api::{Api, Call, Host, list, read, write};
use super::grant::{Denied, TokenStatus};
use super::graph;
use super::graph_api::{self, Dialect};
use super::paging::Page;
use super::parameters::{Client, RequestParameters, identify, required, text};
use super::probe::{Encoding, ProbeAnswer, ProbeContext, ProbeEndpoint, TokenPlace};
use super::refusal::Refusal;
use super::response::PlatformResponse;
use super::rfc6749::code_endpoint;
use super::rules::{DAY, HOUR, Rules};
use super::simulated::{ClientAuthentication, CodeEndpoint, Life, RefreshEndpoint, Simulated};

pub(super) static SIMULATED: Simulated = Simulated {
    token: "/meta/oauth/access_token",
    authorize: "/meta/dialog/oauth",
    api: "/meta",
    refresh: RefreshEndpoint {
        encodings: &[Encoding::Query, Encoding::Form],
        authentication: ClientAuthentication::Parameters(["client_id", "client_secret"]),
        grant_type: "fb_exchange_token",
        token: "fb_exchange_token",
        extends: true,
        check,
        body: graph::extended,
    },
    denial: "access_denied",
    code: CodeEndpoint {
        encodings: &[Encoding::Query],
        grant_type: None,
        life: Life::Seconds(HOUR),
        refuse: graph::refuse_code,
        ..code_endpoint(graph::extended)
    },
    portal: None,
    probes: &[ProbeEndpoint {
        path: "/meta/debug_token",
        encoding: Encoding::Query,
        token: TokenPlace::Parameter("input_token"),
        caller,
        adopts_for_ever: false,
        answer: ProbeAnswer::Any(debug_token),
        refuse: graph::refuse_probe,
    }],
    calls: Api {
        hosts: &[
            Host {
                name: "graph",
                prefix: "/meta",
                any_version: true,
                endpoints: &[
                    read("/me", me),
                    list("/me/accounts", graph_api::list(pages)),
                    list("/me/adaccounts", graph_api::list(ad_accounts)),
                    list("/{id}/campaigns", graph_api::list(campaigns)),
                    write("/{id}/campaigns", graph_api::made).needs(&["name", "objective"]),
                    list("/{id}/feed", graph_api::list(posts)),
                    write("/{id}/feed", post).needs(&["message|link"]),
                ],
            },
            // Takes the uploads of videos (graph-api/overview).
            Host {
                name: "graph-video",
                prefix: "/meta-video",
                any_version: true,
                endpoints: &[write("/{id}/videos", graph_api::made)],
            },
        ],
        check: check_call,
        ..graph_api::api(
            |request, fault| graph_api::refuse(&DIALECT, request, fault),
            |answer, call, usage| graph_api::tell(&DIALECT, answer, call, usage),
        )
    },
    rules: |plain| Rules {
        access_lifetime: 5_183_944,
        // 200 for each user and hour (graph-api/overview/rate-limiting).
        calls_limit: Some(200),
        data_access_lifetime: Some(90 * DAY),
        ..plain
    },
    scope: "pages_show_list,ads_read",
    refuse: graph::refuse,
    throttle: graph::throttle,
    errors: graph::ERRORS,
};

const DIALECT: Dialect = Dialect {
    status: 400,
    exception: "GraphMethodException",
    use_case: "pages",
    limit: (4, "(#4) Application request limit reached"),
};

fn check(parameters: &RequestParameters, rules: &Rules) -> Result<(), Refusal<'static>> {
    let secret = required(parameters, "client_secret")?;
    let token = required(parameters, "fb_exchange_token")?;
    check_proof(parameters, secret, token, rules)?;
    if rules.system_users {
        required(parameters, "set_token_expires_in_60_days")?;
    }
    Ok(())
}

/// Checks that `appsecret_proof` proves that the caller of `token` has the secret
/// (graph-api/guides/secure-requests).
fn check_proof(
    parameters: &RequestParameters,
    secret: &str,
    token: &str,
    rules: &Rules,
) -> Result<(), Refusal<'static>> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    match text(parameters, "appsecret_proof") {
        None if rules.requires_proof => Err(Refusal::Proof("API calls from the server require an")),
        None => Ok(()),
        Some(given) if given == digest::hex(hmac::sign(&key, token.as_bytes()).as_ref()) => Ok(()),
        Some(_) => Err(Refusal::Proof("Invalid")),
    }
}

/// Checks the proof of a call, as far as the secret is known here.
fn check_call(call: &Call<'_>) -> Result<(), PlatformResponse> {
    let parameters = &call.request.parameters;
    let secret = call.client.map(|client| client.secret.as_str());
    if secret.is_none() && call.text("appsecret_proof").is_some() {
        return Ok(());
    }
    let token = call.request.token.as_deref().unwrap_or_default();
    check_proof(parameters, secret.unwrap_or_default(), token, call.rules).map_err(graph::refuse)
}

fn me(call: &Call<'_>) -> PlatformResponse {
    PlatformResponse::ok(&json!({"id": call.account(), "name": call.status.name()}))
}

/// Lists Pages, each with a token of its own. Here that token is a grant of its own too.
fn pages(call: &Call<'_>, page: &Page) -> PlatformResponse {
    graph_api::page(call, page, |id| {
        json!({
            "access_token": format!("EAAPage{id}"),
            "category": "Company",
            "name": format!("Page {id}"),
            "id": id,
            "tasks": ["CREATE_CONTENT", "MANAGE"],
        })
    })
}

fn ad_accounts(call: &Call<'_>, page: &Page) -> PlatformResponse {
    graph_api::page(
        call,
        page,
        |id| json!({"account_id": id, "id": format!("act_{id}")}),
    )
}

fn campaigns(call: &Call<'_>, page: &Page) -> PlatformResponse {
    graph_api::page(call, page, |id| json!({ "id": id }))
}

fn posts(call: &Call<'_>, page: &Page) -> PlatformResponse {
    let author = call.subject();
    graph_api::page(call, page, |id| {
        json!({
            "id": format!("{author}_{id}"),
            "message": "A post",
            "created_time": "2026-11-01T08:00:00+0000",
        })
    })
}

fn post(call: &Call<'_>) -> PlatformResponse {
    let id = format!("{}_{}", call.subject(), call.made());
    PlatformResponse::ok(&json!({ "id": id }))
}

/// Returns the client's id from the application's own token, after a check of its proof.
fn caller(
    parameters: &RequestParameters,
    client: Option<&Client>,
    rules: &Rules,
) -> Result<String, PlatformResponse> {
    let known = || -> Result<String, Refusal<'static>> {
        let token = text(parameters, "access_token").ok_or(Refusal::Client)?;
        let (id, secret) = token.split_once('|').ok_or(Refusal::Client)?;
        identify(client, id, secret)?;
        check_proof(parameters, secret, token, rules)?;
        Ok(id.to_owned())
    };
    known().map_err(|refusal| match refusal {
        Refusal::Proof(_) => graph::refuse(refusal),
        _ => graph::error(400, 190, 0, "Invalid OAuth access token signature."),
    })
}

/// Meta says with HTTP 200 that a token is dead, and why.
fn debug_token(context: &ProbeContext<'_>, found: Result<TokenStatus, Denied>) -> PlatformResponse {
    let ProbeContext { rules, caller, .. } = context;
    let mut data = json!({
        "app_id": caller,
        "type": if rules.system_users { "SYSTEM_USER" } else { "USER" },
        "application": "The application",
        "is_valid": true,
        "scopes": rules.scope.split(',').collect::<Vec<_>>(),
        "granular_scopes": [],
    });
    let denied = match found {
        Ok(status) => {
            data["user_id"] = json!(status.account());
            data["issued_at"] = json!(status.issued_at);
            // 0: never.
            data["expires_at"] = json!(status.expires_at.unwrap_or(0));
            let data_access = rules
                .data_access_lifetime
                .map_or(0, |life| status.since + life);
            data["data_access_expires_at"] = json!(data_access);
            status.denied
        }
        Err(denied) => Some(denied),
    };
    if let Some(denied) = denied {
        let why: Value =
            serde_json::from_str(&graph::refuse(Refusal::Token(denied)).body).unwrap_or_default();
        let mut error = json!({
            "code": why["error"]["code"],
            "message": why["error"]["message"],
        });
        if let Some(subcode) = why["error"].get("error_subcode") {
            error["subcode"] = subcode.clone();
        }
        data["error"] = error;
        data["is_valid"] = json!(false);
        data["scopes"] = json!([]);
    }
    PlatformResponse::ok(&json!({ "data": data }))
}
