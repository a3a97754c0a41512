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
        "ORGANIZATIONS_TABLE",
        "NOTIFICATIONS_TABLE",
        "AUDIT_TABLE",
        "QUOTAS_TABLE",
        "TOKEN_KEY_ID",
        "CHECK_TOKENS_FUNCTION",
    ];
    let variables = variables.map(|name| (name, "t")).into_iter();
    // Nobody listens there.
    let variables = variables.chain([("AUTH_ISSUER", "http://127.0.0.1:1")]);
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    App::from_environment(&sdk, &variables.collect(), Clock::system()).unwrap()
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

/// The event of a call by Ian of Acme.
fn authorized(method: &str, path: &str) -> Value {
    let mut event = event(method, path);
    event["requestContext"]["authorizer"] = json!({
        "principalId": "ian", "user_id": "ian", "org_id": "acme",
        "permissions": "", "member": "true", "integrationLatency": 12,
    });
    event
}

/// The document of the page at an address, as the gateway describes the request.
async fn document(route: &str, path: &str, whole: &str) -> String {
    let mut event = event("GET", path);
    event["resource"] = json!(route);
    event["requestContext"]["resourcePath"] = json!(route);
    event["requestContext"]["path"] = json!(whole);
    let request: LambdaRequest = serde_json::from_value(event).unwrap();
    let mut adapter = Adapter::from(router(app()));
    let answer = adapter.call(LambdaEvent::new(request, Context::default()));
    let answer = serde_json::to_value(answer.await.unwrap()).unwrap();
    assert_eq!(answer["statusCode"], 200, "{answer}");
    let headers = &answer["multiValueHeaders"];
    let policy = headers["content-security-policy"][0].as_str().unwrap();
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    answer["body"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_page_finds_its_files_wherever_the_api_is() {
    let (org, one) = (
        "/dashboard/{orgId}",
        "/dashboard/{orgId}/integrations/{integrationId}",
    );
    for (route, path, whole, base) in [
        ("/", "/", "/", "/"),
        // A stage of its own address, a custom domain, and one with a base path.
        ("/", "/", "/v1/", "/v1/"),
        (org, "/dashboard/acme", "/v1/dashboard/acme", "/v1/"),
        (org, "/dashboard/acme", "/dashboard/acme", "/"),
        (
            one,
            "/dashboard/a/integrations/b",
            "/x/dashboard/a/integrations/b",
            "/x/",
        ),
        // Nothing that HTML reads gets into it.
        (org, "/dashboard/acme", "/\"><script>/dashboard/acme", "/"),
    ] {
        let html = document(route, path, whole).await;
        let expected = format!("<base href=\"{base}\" />");
        assert!(html.contains(&expected), "{whole}: {html}");
    }
}

#[tokio::test]
async fn the_files_of_the_page_are_kept_until_they_change() {
    let html = document("/", "/", "/").await;
    let asset = |name: &str| {
        let (_, rest) = html.split_once("assets/").unwrap();
        format!("/assets/{}/{name}", &rest[..32])
    };
    let get = async |path: String, encoding: &str| {
        let mut event = event("GET", &path);
        event["multiValueHeaders"]["Accept-Encoding"] = json!([encoding]);
        let request: LambdaRequest = serde_json::from_value(event).unwrap();
        let mut adapter = Adapter::from(router(app()));
        let answer = adapter.call(LambdaEvent::new(request, Context::default()));
        serde_json::to_value(answer.await.unwrap()).unwrap()
    };
    let plain = get(asset("app.mjs"), "identity").await;
    let headers = &plain["multiValueHeaders"];
    assert_eq!(headers["content-type"][0], "text/javascript; charset=utf-8");
    let cached = "public, max-age=31536000, immutable";
    assert_eq!(headers["cache-control"][0], cached);
    assert_eq!(headers["x-content-type-options"][0], "nosniff");
    let text = include_str!("../page/app.mjs");
    assert_eq!(plain["body"], text);
    let packed = get(asset("vendor/preact.mjs"), "gzip").await;
    assert_eq!(packed["multiValueHeaders"]["content-encoding"][0], "gzip");
    assert_eq!(packed["isBase64Encoded"], true);
    for missing in [
        asset("../app.mjs"),
        asset("none.mjs"),
        "/assets/0/app.mjs".to_owned(),
    ] {
        assert_eq!(
            get(missing.clone(), "gzip").await["statusCode"],
            404,
            "{missing}"
        );
    }
}

async fn send(event: Value) -> (u64, Value, Value) {
    let request: LambdaRequest = serde_json::from_value(event).unwrap();
    let mut adapter = Adapter::from(router(app()));
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

const EXPIRING: &str = "/api/dashboard/acme/integrations/expiring-tokens";

#[tokio::test]
async fn health_needs_nobody_and_no_stage() {
    let (status, headers, body) = send(event("GET", "/health")).await;
    assert_eq!((status, body), (200, json!({"status": "ok"})));
    assert_eq!(headers["content-type"], json!(["application/json"]));
}

#[tokio::test]
async fn people_sign_in_by_the_client_that_the_stage_names() {
    let asked = async |stage_variables: Value| {
        let mut event = event("GET", "/sign-in");
        event["stageVariables"] = stage_variables;
        let (status, _, body) = send(event).await;
        (status, body)
    };
    for none in [json!(null), json!({}), json!({"auth_audience": "page"})] {
        let (status, body) = asked(none).await;
        assert_eq!(status, 404, "{body}");
        assert!(body["detail"].as_str().unwrap().contains("SignInClientId"));
    }
    // The issuer is asked then, where nobody listens.
    let (status, body) = asked(json!({"sign_in_client_id": "page"})).await;
    assert_eq!(status, 503, "{body}");
}

#[tokio::test]
async fn every_route_of_members_refuses_everybody_else() {
    for (method, path) in [
        ("GET", EXPIRING),
        ("GET", "/api/dashboard/acme/integrations"),
        ("GET", "/api/dashboard/acme/integrations/7"),
        ("PUT", "/api/dashboard/acme/integrations/7"),
        ("DELETE", "/api/dashboard/acme/integrations/7"),
        ("POST", "/api/dashboard/acme/integrations/7/check"),
        ("GET", "/api/dashboard/acme/notifications"),
        ("POST", "/api/dashboard/acme/notifications/001-a/read"),
        ("POST", "/api/dashboard/acme/notifications/read-all"),
        ("GET", "/api/dashboard/acme/members"),
        ("GET", "/api/dashboard/acme/members/ian"),
        ("PUT", "/api/dashboard/acme/members/ian"),
        ("DELETE", "/api/dashboard/acme/members/ian"),
        ("GET", "/api/dashboard/acme/rate-limits"),
    ] {
        let stranger = {
            let mut event = authorized(method, path);
            event["requestContext"]["authorizer"]["member"] = json!("false");
            event
        };
        let elsewhere = authorized(method, &path.replace("acme", "other"));
        for event in [event(method, path), stranger, elsewhere] {
            let (status, headers, body) = send(event).await;
            assert_eq!(status, 403, "{path}");
            assert_eq!(headers["content-type"], json!(["application/problem+json"]));
            assert_eq!(headers["cache-control"], json!(["no-store"]));
            let expected = json!({
                "type": "about:blank", "title": "Forbidden", "status": 403,
                "detail": "You are not a member of this organisation.", "instance": "req-1",
            });
            assert_eq!(body, expected);
        }
    }
}

#[tokio::test]
async fn a_function_url_is_nobodys_way_around_the_authorizer() {
    let event = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": EXPIRING, "rawQueryString": "days=7",
        "headers": {"host": "localhost:9000"}, "isBase64Encoded": false,
        "requestContext": {
            "accountId": "a", "apiId": "b", "stage": "$default", "requestId": "r", "timeEpoch": 1,
            "http": {"method": "GET", "path": EXPIRING, "protocol": "HTTP/1.1",
                     "sourceIp": "127.0.0.1", "userAgent": "curl"},
            "authorizer": {"lambda": {"user_id": "ian", "org_id": "acme", "permissions": "", "member": "true"}},
        },
    });
    assert_eq!(send(event).await.0, 403);
}

#[tokio::test]
async fn another_spelling_of_the_path_is_not_found() {
    for path in [
        "/api/dashboard/%61cme/integrations/expiring-tokens",
        "/api/dashboard/acme/integrations/expiring%2Dtokens",
        "/api/dashboard/acme/integrations/x/../expiring-tokens",
        "/api/dashboard/acme/integrations/x/%2e%2e/expiring-tokens",
        "/api/dashboard/acme/./integrations/expiring-tokens",
        "/api/dashboard/acme/integrations/expiring-tokens/",
        "/api//dashboard/acme/integrations/expiring-tokens",
        "/api/dashboard/acme%23x/integrations/expiring-tokens",
        "/api/dashboard/acme/integrations/expiring-tokens?days=7",
        "/v1/api/dashboard/acme/integrations/expiring-tokens",
        "/api/dashboard/acme/notifications/a b/read",
        "/nothing",
        "/dashboard",
    ] {
        let (status, _, body) = send(authorized("GET", path)).await;
        assert_eq!(
            (status, &body["title"]),
            (404, &json!("Not Found")),
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_bar_a_colon_and_an_at_may_be_encoded() {
    for spelling in ["a|b:c@d", "a%7Cb%3Ac%40d", "a%7cb%3ac%40d", "a|b%3ac@d"] {
        let mut event = authorized("GET", &EXPIRING.replace("acme", spelling));
        event["requestContext"]["authorizer"]["org_id"] = json!("a|b:c@d");
        event["multiValueQueryStringParameters"] = json!({"days": ["0"]});
        assert_eq!(send(event).await.0, 400, "{spelling}");
    }
}

#[tokio::test]
async fn another_method_says_which_there_is_whoever_asks() {
    for (path, allow) in [
        ("/health", "GET,HEAD"),
        (EXPIRING, "GET,HEAD"),
        ("/api/dashboard/acme/integrations/7", "GET,HEAD,PUT,DELETE"),
        ("/api/dashboard/acme/integrations/7/check", "POST"),
        ("/api/dashboard/acme/integrations/7/rate-limit", "DELETE"),
        ("/api/dashboard/acme/members", "GET,HEAD"),
        ("/api/dashboard/acme/members/ian", "GET,HEAD,PUT,DELETE"),
        ("/api/dashboard/acme/notifications/read-all", "POST"),
        ("/api/platforms", "GET,HEAD"),
        ("/api/organizations", "GET,HEAD"),
    ] {
        // The gateway asks no authorizer here.
        let (status, headers, body) = send(event("PATCH", path)).await;
        assert_eq!((status, &body["status"]), (405, &json!(405)), "{path}");
        assert_eq!(headers["allow"], json!([allow]));
        assert_eq!(headers["content-type"], json!(["application/problem+json"]));
        let (status, headers, body) = send(event("OPTIONS", path)).await;
        assert_eq!((status, body), (204, Value::Null), "{path}");
        assert_eq!(headers["allow"], json!([allow]));
    }
    let (status, headers, _) = send(event("OPTIONS", "/nothing")).await;
    assert_eq!((status, headers.get("allow")), (404, None));
}

#[tokio::test]
async fn head_is_get_without_a_body_for_refusals_too() {
    for event_of in [event, authorized] {
        for path in ["/health", EXPIRING, "/api/platforms", "/nothing"] {
            let (status, mut headers, _) = send(event_of("GET", path)).await;
            let (of_head, headers_of_head, body) = send(event_of("HEAD", path)).await;
            assert_eq!((of_head, body), (status, Value::Null), "{path}");
            // What is known only of a body may be missing (RFC 9110, 9.3.2).
            for name in ["content-length", "etag"] {
                headers.as_object_mut().unwrap().remove(name);
            }
            let headers_of_head = headers_of_head.as_object().unwrap();
            for (name, value) in headers.as_object().unwrap() {
                assert_eq!(headers_of_head.get(name), Some(value), "{path} {name}");
            }
        }
    }
}

#[tokio::test]
async fn a_bad_query_is_explained() {
    for (query, expected) in [
        (
            json!({"days": ["0"]}),
            r#"days must be a whole number from 1 to 365, not "0"."#,
        ),
        (
            json!({"days": ["7", "7"]}),
            "The query parameter days is given more than once.",
        ),
        (
            json!({"day": ["7"]}),
            r#"There is no query parameter "day"; there are days, next."#,
        ),
    ] {
        let mut event = authorized("GET", EXPIRING);
        event["multiValueQueryStringParameters"] = query;
        let (status, _, body) = send(event).await;
        assert_eq!((status, &body["detail"]), (400, &json!(expected)));
    }
}

#[tokio::test]
async fn an_internal_error_says_only_the_requests_id() {
    let (status, headers, body) = send(authorized("GET", EXPIRING)).await;
    let expected = json!({
        "type": "about:blank", "title": "Internal Server Error", "status": 500,
        "detail": "Something went wrong on our side.", "instance": "req-1",
    });
    assert_eq!((status, body), (500, expected));
    assert_eq!(headers["cache-control"], json!(["no-store"]));
}

#[tokio::test]
async fn only_who_manages_changes_an_integration() {
    let one = "/api/dashboard/acme/integrations/7";
    for (method, path, passes) in [
        ("DELETE", format!("{one}/rate-limit"), 500),
        ("PUT", one.to_owned(), 400),
        ("DELETE", one.to_owned(), 500),
        ("POST", format!("{one}/check"), 503),
    ] {
        for (permissions, expected) in
            [("", 403), ("billing", 403), ("manage_integrations", passes)]
        {
            let mut event = authorized(method, &path);
            let context = &mut event["requestContext"]["authorizer"];
            context["integration_id"] = json!("7");
            context["permissions"] = json!(permissions);
            assert_eq!(
                send(event).await.0,
                expected,
                "{method} {path} {permissions}"
            );
        }
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_is_not_read() {
    let mut event = authorized("PUT", "/api/dashboard/acme/integrations/7");
    event["requestContext"]["authorizer"]["integration_id"] = json!("7");
    event["requestContext"]["authorizer"]["permissions"] = json!("manage_integrations");
    event["body"] = json!("x".repeat(200_000));
    let (status, headers, body) = send(event).await;
    assert_eq!((status, &body["status"]), (413, &json!(413)));
    assert_eq!(headers["content-type"], json!(["application/problem+json"]));
}

#[tokio::test]
async fn the_platforms_are_for_whoever_has_a_token() {
    assert_eq!(send(event("GET", "/api/platforms")).await.0, 403);
    let mut event = event("GET", "/api/platforms");
    event["requestContext"]["authorizer"] = json!({"user_id": "ian", "member": "false"});
    let (status, _, body) = send(event).await;
    assert_eq!(status, 200);
    assert_eq!(body["platforms"][0]["platform"], "meta");
}
