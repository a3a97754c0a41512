use serde_json::{Value, json};

use super::api::{Api, Call, CallRequest, Fault, Host, List, bearer_api, list, probe, write};
use super::grant::Issued;
use super::paging::Cursor;
use super::probe::{ProbeEndpoint, bearer_probe};
use super::refusal::Refusal;
use super::response::PlatformResponse;
use super::rfc6749::code_endpoint;
use super::rfc6749::{self, error};
use super::rules::{DAY, MINUTE, Rules};
use super::simulated::{
    ClientAuthentication, CodeEndpoint, JSON, NamedError, RefreshEndpoint, Simulated, raw,
};
use super::usage::Usage;

pub(super) static SIMULATED: Simulated = Simulated {
    token: "/twitter/2/oauth2/token",
    authorize: "/twitter/i/oauth2/authorize",
    api: "/twitter/2",
    refresh: RefreshEndpoint {
        // "never client_secret_post, which X rejects" (x-ads-api/mcp.mdx).
        authentication: ClientAuthentication::Basic,
        ..rfc6749::endpoint(body)
    },
    denial: "access_denied",
    code: CodeEndpoint {
        authentication: ClientAuthentication::Basic,
        // plhery/node-twitter-api-v2#496
        refuse: |_| {
            let text = "Value passed for the authorization code was invalid.";
            rfc6749::error(400, "invalid_request", text)
        },
        ..code_endpoint(body)
    },
    portal: None,
    probes: &[ME],
    calls: Api {
        hosts: &[Host {
            name: "api",
            prefix: "/twitter",
            any_version: false,
            endpoints: &[
                probe("/2/users/me", &ME),
                list("/2/users/{id}/tweets", TWEETS),
                write("/2/tweets", tweet).needs(&["text|media|poll"]),
            ],
        }],
        tell,
        ..bearer_api(refuse_call)
    },
    // Six months and the family kill are not in X's documentation; the harder rule is
    // the better test.
    rules: |plain| Rules {
        access_lifetime: 7_200,
        refresh_lifetime: Some(182 * DAY),
        rotates: true,
        family_kill: true,
        // That of `GET /2/users/me` for each user (docs.x.com/x-api/fundamentals/rate-limits).
        calls_limit: Some(75),
        calls_window: 15 * MINUTE,
        ..plain
    },
    scope: "tweet.read users.read offline.access",
    refuse: |refusal| match refusal {
        Refusal::Missing(name) => {
            let text = format!("Missing required parameter [{name}].");
            error(400, "invalid_request", &text)
        }
        // It calls a dead refresh token an invalid request.
        Refusal::Token(_) => error(400, "invalid_request", INVALID_TOKEN),
        _ => rfc6749::refuse(ERRORS, refusal),
    },
    throttle: |retry_after, now| {
        let body = json!({"errors": [{"code": 88, "message": "Rate limit exceeded"}]});
        let reset = now.saturating_add_unsigned(retry_after.unwrap_or(900));
        PlatformResponse::json(429, &body)
            .with("x-rate-limit-limit", "100")
            .with("x-rate-limit-remaining", "0")
            .with("x-rate-limit-reset", reset.to_string())
    },
    errors: ERRORS,
};

const ME: ProbeEndpoint = bearer_probe(
    "/twitter/2/users/me",
    |_, status| {
        let (id, username) = (status.account(), status.username());
        let data = json!({"id": id, "name": status.name(), "username": username});
        PlatformResponse::ok(&json!({ "data": data }))
    },
    |_| unauthorized(),
);

/// docs.x.com/x-api/posts/get-posts
const TWEETS: List = List {
    cursor: Cursor::Opaque("pagination_token"),
    size: Some("max_results"),
    usual_size: 10,
    answer: |call, page| {
        let ids: Vec<_> = page
            .things
            .clone()
            .map(|number| call.thing(number))
            .collect();
        let mut meta = json!({
            "result_count": ids.len(),
            "newest_id": ids.first(),
            "oldest_id": ids.last(),
        });
        if let Some(next) = &page.next {
            meta["next_token"] = json!(next);
        }
        let data: Vec<_> = ids.iter().map(|id| post(id, "A post")).collect();
        PlatformResponse::ok(&json!({"data": data, "meta": meta}))
    },
};

/// docs.x.com/x-api/posts/create-post
fn tweet(call: &Call<'_>) -> PlatformResponse {
    let text = call.text("text").unwrap_or_default();
    PlatformResponse::json(201, &json!({"data": post(&call.made(), text)}))
}

fn post(id: &str, text: &str) -> Value {
    json!({"id": id, "text": text, "edit_history_tweet_ids": [id]})
}

fn refuse_call(request: &CallRequest, fault: Fault<'_>) -> PlatformResponse {
    match fault {
        // X publishes this type for things; for paths, nothing was found.
        Fault::Path => {
            let text = format!("Could not find [{}].", request.path);
            problem(404, "resource-not-found", "Not Found Error", &text)
        }
        Fault::Token(_) => unauthorized(),
        // twitteroauth#1082, and the tests of many clients.
        Fault::Parameter(name) => {
            let message = format!("The `{name}` query parameter can not be empty");
            let body = json!({
                "errors": [{"parameters": {name: []}, "message": message}],
                "title": "Invalid Request",
                "detail": "One or more parameters to your request was invalid.",
                "type": "https://api.x.com/2/problems/invalid-request",
            });
            PlatformResponse::text(400, PROBLEM, body.to_string())
        }
        // As callers of version 2 publish it; docs.x.com/fundamentals/rate-limits has code 88.
        Fault::Limit(_) => problem(429, "", "Too Many Requests", "Too Many Requests"),
    }
}

/// Tells the usage as every answer does (docs.x.com/x-api/fundamentals/rate-limits).
fn tell(answer: PlatformResponse, call: &Call<'_>, usage: &Usage) -> PlatformResponse {
    let reset = call.now.saturating_add_unsigned(usage.wait);
    answer
        .with("x-rate-limit-limit", usage.limit.to_string())
        .with("x-rate-limit-remaining", usage.remaining().to_string())
        .with("x-rate-limit-reset", reset.to_string())
}

fn body(rules: &Rules, issued: &Issued) -> Value {
    let mut body = rfc6749::tokens(rules, issued);
    body["refresh_token"] = json!(issued.refresh_token);
    body["token_type"] = json!("bearer");
    body
}

/// Builds problem details. `kind` is the last part of the problem's address.
fn problem(status: u16, kind: &str, title: &str, detail: &str) -> PlatformResponse {
    let address = match kind {
        "" => "about:blank".to_owned(),
        kind => format!("https://api.x.com/2/problems/{kind}"),
    };
    let body = json!({"title": title, "detail": detail, "type": address, "status": status});
    PlatformResponse::text(status, PROBLEM, body.to_string())
}

fn unauthorized() -> PlatformResponse {
    problem(401, "", "Unauthorized", "Unauthorized")
}

const PROBLEM: &str = "application/problem+json";

const INVALID_TOKEN: &str = "Value passed for the token was invalid.";

#[rustfmt::skip] // an error a line
static ERRORS: &[NamedError] = &[
    ("invalid_request", || error(400, "invalid_request", INVALID_TOKEN)),
    ("invalid_grant", || error(400, "invalid_grant", INVALID_TOKEN)),
    ("unauthorized_client", || error(401, "unauthorized_client", "Missing valid authorization header")),
    ("invalid_client", || error(401, "unauthorized_client", "Missing valid authorization header")),
    ("server_error", || problem(503, "", "Service Unavailable", "Service Unavailable")),
    ("unauthorized", unauthorized),
    ("forbidden", || problem(403, "", "Forbidden", "You are not permitted to perform this action.")),
    ("usage-capped", || problem(429, "usage-capped", "UsageCapExceeded", "Usage cap exceeded: Monthly product cap")),
    ("client-forbidden", || problem(403, "client-forbidden", "Client Forbidden", "This request must be made using an approved developer account.")),
    ("user-not-enrolled", || raw(403, PROBLEM, r#"{"type":"https://api.x.com/2/problems/client-forbidden","title":"Client Forbidden","detail":"This request is billed to the authenticated user. Create a developer account at the Developer Console and enroll it in Pay-per-use.","reason":"user-not-enrolled"}"#)),
    ("credits-depleted", || problem(402, "credits-depleted", "Payment Required", "credits depleted")),
    ("88", || raw(429, JSON, r#"{"errors":[{"code":88,"message":"Rate limit exceeded"}]}"#)),
];
