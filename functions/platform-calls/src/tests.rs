//! The router behind `lambda_http`, given the events that API Gateway sends.

use aws_config::{BehaviorVersion, SdkConfig};
use lambda_http::lambda_runtime::{Context, LambdaEvent};
use lambda_http::request::LambdaRequest;
use lambda_http::{Adapter, Service};
use serde_json::{Value, json};
use shared::Clock;

use super::*;

fn app() -> App {
    // No region, no credentials: whoever reaches for a table gets an error.
    let sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .build();
    let variables = [
        "INTEGRATIONS_TABLE",
        "AUDIT_TABLE",
        "QUOTAS_TABLE",
        "TOKEN_KEY_ID",
        "CHECK_TOKENS_FUNCTION",
    ];
    let variables = variables.map(|name| (name.to_owned(), "t".to_owned()));
    App::from_environment(&sdk, &variables.into_iter().collect(), Clock::system()).unwrap()
}

/// A REST API's proxy event, as its stage `v1` sends it.
fn event(method: &str, path: &str) -> Value {
    json!({
        "resource": "/{proxy+}", "path": path, "httpMethod": method,
        "headers": {"Host": "abc.execute-api.eu-west-1.amazonaws.com", "X-Forwarded-Proto": "https"},
        "multiValueHeaders": {"Host": ["abc.execute-api.eu-west-1.amazonaws.com"]},
        "queryStringParameters": null, "multiValueQueryStringParameters": null,
        "pathParameters": null, "stageVariables": null, "body": null, "isBase64Encoded": false,
        "requestContext": {
            "accountId": "123456789012", "apiId": "abc", "stage": "v1", "httpMethod": method,
            "path": format!("/v1{path}"), "requestId": "req-1", "requestTimeEpoch": 1_764_061_200_000_i64,
            "identity": {"sourceIp": "127.0.0.1"},
        },
    })
}

/// The event of a call by an application of Acme about its integration 7.
fn authorized(method: &str, path: &str) -> Value {
    let mut event = event(method, path);
    event["requestContext"]["authorizer"] = json!({
        "principalId": "app", "user_id": "app", "org_id": "acme", "integration_id": "7",
        "platform": "meta", "permissions": "use_integrations", "member": "true",
    });
    event
}

async fn send(event: Value) -> (u64, Value, Value) {
    let request: LambdaRequest = serde_json::from_value(event).unwrap();
    let mut adapter = Adapter::from(service(router(app())));
    let call = adapter.call(LambdaEvent::new(request, Context::default()));
    let answer = serde_json::to_value(call.await.unwrap()).unwrap();
    let body = answer["body"].as_str().unwrap_or_default();
    let body = serde_json::from_str(body).unwrap_or_default();
    (
        answer["statusCode"].as_u64().unwrap(),
        answer["multiValueHeaders"].clone(),
        body,
    )
}

const PERMITS: &str = "/api/platforms/meta/acme/7/permits";

/// An event that the authorizer has metered, with quota left.
fn metered() -> Value {
    let mut event = authorized("POST", PERMITS);
    let context = &mut event["requestContext"]["authorizer"];
    for (name, value) in [
        ("quota", "admitted"),
        ("use_by", "1764061230"),
        ("limit", "200"),
        ("remaining", "49"),
        ("reset", "1764064800"),
        ("rate_limit_policy", "p"),
        ("rate_limit", "r"),
        ("period_limit", "200"),
        ("period_seconds", "3600"),
        ("period_remaining", "199"),
        ("period_reset", "1764064800"),
        ("burst_limit", "50"),
        ("burst_seconds", "60"),
        ("burst_remaining", "49"),
        ("burst_reset", "1764061260"),
    ] {
        context[name] = json!(value);
    }
    event
}

#[tokio::test]
async fn no_decision_about_the_quota_is_503() {
    for (name, value) in [
        ("quota", json!("unavailable")),
        ("quota", json!("Admitted")),
        ("quota", json!(null)),
        ("use_by", json!(null)),
        ("period_limit", json!("many")),
        ("burst_reset", json!(null)),
    ] {
        let mut event = metered();
        event["requestContext"]["authorizer"][name] = value;
        let (status, headers, body) = send(event).await;
        assert_eq!((status, &body["status"]), (503, &json!(503)), "{name}");
        assert_eq!(headers["retry-after"], json!(["5"]));
        assert_eq!(headers.get("x-ratelimit-limit"), None);
    }
}

#[tokio::test]
async fn no_permit_is_429_with_all_that_the_gateways_own_says() {
    let mut event = metered();
    let context = &mut event["requestContext"]["authorizer"];
    for (name, value) in [
        ("quota", "denied"),
        ("remaining", "0"),
        ("message", "meta asks us to wait."),
        ("reason", "platform_asks_to_wait"),
        ("retry_after", "600"),
        ("reset_at", "2025-11-18 10:00:00"),
    ] {
        context[name] = json!(value);
    }
    let (status, headers, body) = send(event).await;
    assert_eq!((status, &body["status"]), (429, &json!(429)));
    for (name, value) in [("retry-after", "600"), ("x-ratelimit-remaining", "0")] {
        assert_eq!(headers[name], json!([value]), "{name}");
    }
    for (name, value) in [
        ("detail", json!("meta asks us to wait.")),
        ("message", json!("meta asks us to wait.")),
        ("reason", json!("platform_asks_to_wait")),
        ("retry_after", json!(600)),
        ("reset_at", json!("2025-11-18 10:00:00")),
        ("limit", json!(200)),
    ] {
        assert_eq!(body[name], value, "{name}");
    }
}

#[tokio::test]
async fn a_metered_answer_tells_how_the_quota_stands_whatever_it_is() {
    // The table does not answer, so this one is an internal error.
    let (status, headers, _) = send(metered()).await;
    assert_eq!(status, 500);
    for (name, value) in [
        ("x-ratelimit-limit", "200"),
        ("x-ratelimit-remaining", "49"),
        ("x-ratelimit-reset", "1764064800"),
        ("ratelimit-policy", "p"),
        ("ratelimit", "r"),
    ] {
        assert_eq!(headers[name], json!([value]), "{name}");
    }
}

#[tokio::test]
async fn nobodys_quota_is_spent_by_who_is_no_member_of_this_very_place() {
    for (name, value) in [
        ("member", "false"),
        ("org_id", "other"),
        ("integration_id", "8"),
        ("platform", "twitter"),
    ] {
        let mut event = metered();
        event["requestContext"]["authorizer"][name] = json!(value);
        let (status, headers, _) = send(event).await;
        assert_eq!(status, 403, "{name}");
        assert_eq!(headers.get("x-ratelimit-limit"), None);
    }
    assert_eq!(send(event("POST", PERMITS)).await.0, 403);
}

/// Every route, with the method that it takes and those of its `Allow` header.
const ROUTES: [(&str, &str, &str); 5] = [
    ("POST", "permits", "POST"),
    ("POST", "access-token", "POST"),
    ("POST", "feedback", "POST"),
    ("GET", "quota", "GET,HEAD"),
    ("POST", "proxy/me", ""),
];

fn path(route: &str) -> String {
    format!("/api/platforms/meta/acme/7/{route}")
}

#[tokio::test]
async fn every_route_refuses_whoever_may_not_use_the_integration() {
    for (method, route, _) in ROUTES {
        let path = path(route);
        assert_eq!(send(event(method, &path)).await.0, 403, "{path}");
        for (name, value) in [
            ("permissions", ""),
            ("permissions", "manage_integrations"),
            ("permissions", "use_integrations_not"),
            ("member", "false"),
            ("org_id", "other"),
            ("integration_id", "8"),
            ("platform", "twitter"),
        ] {
            // As if the quota admitted the call.
            let mut event = metered();
            event["path"] = json!(path);
            event["httpMethod"] = json!(method);
            event["requestContext"]["authorizer"][name] = json!(value);
            let (status, headers, body) = send(event).await;
            assert_eq!(
                (status, &body["status"]),
                (403, &json!(403)),
                "{path} {name}"
            );
            assert_eq!(headers.get("x-ratelimit-limit"), None);
        }
    }
}

#[tokio::test]
async fn another_method_says_which_there_is_whoever_asks() {
    for (_, route, allow) in ROUTES.iter().filter(|(_, _, allow)| !allow.is_empty()) {
        let (status, headers, _) = send(event("PATCH", &path(route))).await;
        assert_eq!(status, 405, "{route}");
        assert_eq!(headers["allow"], json!([allow]));
    }
}

#[tokio::test]
async fn a_platform_has_one_name_in_paths() {
    for (name, says) in [
        ("facebook", "called meta"),
        (
            "myspace",
            "no platform \"myspace\"; in paths there are meta",
        ),
    ] {
        for (method, route, _) in ROUTES {
            let path = path(route).replace("meta", name);
            let (status, _, body) = send(authorized(method, &path)).await;
            assert_eq!(status, 404, "{path}");
            let detail = body["detail"].as_str().unwrap();
            assert!(detail.contains(says), "{detail}");
        }
    }
}
