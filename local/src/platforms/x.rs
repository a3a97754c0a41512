use serde_json::{Value, json};

use super::grant::Issued;
use super::refusal::Refusal;
use super::response::PlatformResponse;
use super::rfc6749::{self, error};
use super::rules::{DAY, Rules};
use super::simulated::{
    ClientAuthentication, JSON, NamedError, RefreshEndpoint, Simulated, bearer_probe, raw,
};

pub(super) static SIMULATED: Simulated = Simulated {
    token: "/twitter/2/oauth2/token",
    authorize: "/twitter/i/oauth2/authorize",
    api: "/twitter/2",
    refresh: RefreshEndpoint {
        // "never client_secret_post, which X rejects" (x-ads-api/mcp.mdx).
        authentication: ClientAuthentication::Basic,
        ..rfc6749::endpoint(body)
    },
    probes: &[bearer_probe(
        "/twitter/2/users/me",
        |context, status| {
            let id = status.account();
            let username = format!("user_{id}");
            let data = json!({"id": id, "name": "A user", "username": username});
            PlatformResponse::ok(&json!({ "data": data }))
                .with("x-rate-limit-limit", "75")
                .with("x-rate-limit-remaining", "74")
                .with("x-rate-limit-reset", (context.now + 900).to_string())
        },
        |_| problem(401, "", "Unauthorized", "Unauthorized"),
    )],
    // Six months and the family kill are not in X's documentation; the harder rule is
    // the better test.
    rules: |plain| Rules {
        access_lifetime: 7_200,
        refresh_lifetime: Some(182 * DAY),
        rotates: true,
        family_kill: true,
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
    PlatformResponse::text(status, "application/problem+json", body.to_string())
}

const INVALID_TOKEN: &str = "Value passed for the token was invalid.";

#[rustfmt::skip] // an error a line
static ERRORS: &[NamedError] = &[
    ("invalid_request", || error(400, "invalid_request", INVALID_TOKEN)),
    ("invalid_grant", || error(400, "invalid_grant", INVALID_TOKEN)),
    ("unauthorized_client", || error(401, "unauthorized_client", "Missing valid authorization header")),
    ("invalid_client", || error(401, "unauthorized_client", "Missing valid authorization header")),
    ("server_error", || problem(503, "", "Service Unavailable", "Service Unavailable")),
    ("unauthorized", || problem(401, "", "Unauthorized", "Unauthorized")),
    ("usage-capped", || problem(429, "usage-capped", "UsageCapExceeded", "Usage cap exceeded: Monthly product cap")),
    ("client-forbidden", || problem(403, "client-forbidden", "Client Forbidden", "This request must be made using an approved developer account.")),
    ("user-not-enrolled", || raw(403, "application/problem+json", r#"{"type":"https://api.x.com/2/problems/client-forbidden","title":"Client Forbidden","detail":"This request is billed to the authenticated user. Create a developer account at the Developer Console and enroll it in Pay-per-use.","reason":"user-not-enrolled"}"#)),
    ("credits-depleted", || problem(402, "credits-depleted", "Payment Required", "credits depleted")),
    ("88", || raw(429, JSON, r#"{"errors":[{"code":88,"message":"Rate limit exceeded"}]}"#)),
];
