use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::aws::lambda::invoke::{FunctionError, handler};
use crate::stack::{Options, Stack};

/// The authorizer does what the bearer token says; the API echoes its event.
async fn stack() -> Stack {
    Stack::start_with(Options::default(), async |_, _| {
        let authorizer = handler(async |event: Value, _| {
            let token = event["headers"]["authorization"].as_str().unwrap_or_default();
            let effect = match token {
                "allow" => "Allow",
                "deny" => "Deny",
                "malformed" => return Ok(json!({"principalId": "ian"})),
                "panic" => panic!("a bug"),
                other => return Err(FunctionError::new("Error", other)),
            };
            Ok(json!({
                "principalId": "ian",
                "policyDocument": {"Version": "2012-10-17", "Statement": [{
                    "Effect": effect, "Action": "execute-api:Invoke", "Resource": event["methodArn"],
                }]},
                "context": {
                    "org": event["pathParameters"]["orgId"], "platform": "meta", "limit": 200,
                    "remaining": "0", "reset": "1763460000", "retry_after": "3600",
                    "reset_at": "2025-11-18 10:00:00",
                    "rate_limit": "\"period\";r=0;t=3600", "reason": "quota_used_up",
                    "message": "Too many requests to meta API. Please try again later.",
                },
            }))
        });
        let api = handler(async |event: Value, _| {
            if event["queryStringParameters"]["fail"] == "yes" {
                return Err(FunctionError::new("Error", "secret cause"));
            }
            if event["queryStringParameters"]["large"] == "yes" {
                let body = "x".repeat(7 * 1024 * 1024);
                return Ok(json!({"statusCode": 200, "body": body}));
            }
            Ok(json!({
                "statusCode": 200,
                "headers": {"x-echo": "yes"},
                "body": event.to_string(),
            }))
        });
        let handlers = [("RateLimitAuthorizerFunction", authorizer), ("ApiFunction", api)];
        Ok(handlers.map(|(id, handler)| (id.to_owned(), handler)).into())
    })
    .await
    .unwrap()
}

struct GatewayAnswer {
    status: u16,
    headers: http::HeaderMap,
    body: Value,
}

async fn call(stack: &Stack, method: &str, path: &str, token: Option<&str>) -> GatewayAnswer {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}{path}", stack.addresses().gateway);
    let mut request = client.request(method.parse().unwrap(), url);
    if let Some(token) = token {
        request = request.header("authorization", token);
    }
    let response = request.send().await.unwrap();
    GatewayAnswer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: response.json().await.unwrap(),
    }
}

const NOTIFICATIONS: &str = "/api/dashboard/acme/notifications";

#[tokio::test]
async fn a_call_passes_the_authorizer_and_reaches_the_function_as_aws_sends_it() {
    let stack = stack().await;
    let path = format!("{NOTIFICATIONS}?unread=a%20b&unread=c");
    let answer = call(&stack, "GET", &path, Some("allow")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["x-echo"], "yes");
    let event = answer.body;
    assert_eq!(event["resource"], "/api/dashboard/{orgId}/notifications");
    assert_eq!(event["path"], NOTIFICATIONS);
    assert_eq!(event["pathParameters"], json!({"orgId": "acme"}));
    assert_eq!(event["queryStringParameters"], json!({"unread": "c"}));
    assert_eq!(
        event["multiValueQueryStringParameters"],
        json!({"unread": ["a b", "c"]})
    );
    assert_eq!(event["body"], Value::Null);
    let variables = json!({"auth_audience": "warden-local", "sign_in_client_id": "warden-local"});
    assert_eq!(event["stageVariables"], variables);
    let context = &event["requestContext"];
    assert_eq!(context["path"], NOTIFICATIONS);
    assert_eq!(
        context["authorizer"],
        json!({
            "principalId": "ian", "org": "acme", "platform": "meta", "limit": "200",
            "remaining": "0", "reset": "1763460000", "retry_after": "3600",
            "reset_at": "2025-11-18 10:00:00", "rate_limit": "\"period\";r=0;t=3600",
            "reason": "quota_used_up",
            "message": "Too many requests to meta API. Please try again later.",
        })
    );
    // lambda_http's own types read it.
    serde_json::from_value::<aws_lambda_events::event::apigw::ApiGatewayProxyRequest>(event)
        .unwrap();
    stack.stop().await;
}

#[tokio::test]
async fn each_outcome_of_the_authorizer_has_its_gateway_response() {
    let stack = stack().await;
    let outcomes: BTreeMap<&str, u16> = [
        ("Unauthorized", 401),
        ("Unauthorized!", 503),
        ("malformed", 503),
        ("panic", 503),
    ]
    .into();
    for (token, status) in outcomes {
        let answer = call(&stack, "GET", NOTIFICATIONS, Some(token)).await;
        assert_eq!(answer.status, status, "{token}");
        assert_eq!(answer.headers["content-type"], "application/problem+json");
        assert_eq!(answer.body["status"], status, "{token}");
        assert_eq!(
            answer.body["instance"],
            answer.headers["x-amzn-requestid"].to_str().unwrap()
        );
        assert_eq!(
            answer.headers.contains_key("retry-after"),
            status == 503,
            "{token}"
        );
    }
    let missing = call(&stack, "GET", NOTIFICATIONS, None).await;
    assert_eq!(missing.status, 401);
    assert_eq!(missing.headers["www-authenticate"], "Bearer");
    let open = call(&stack, "GET", "/health", None).await;
    assert_eq!(open.status, 200);
    assert_eq!(open.body["requestContext"].get("authorizer"), None);
    stack.stop().await;
}

#[tokio::test]
async fn a_denial_is_the_originals_429() {
    let stack = stack().await;
    let answer = call(&stack, "GET", NOTIFICATIONS, Some("deny")).await;
    assert_eq!(answer.status, 429);
    let expected = json!({
        "error": "Rate limit exceeded",
        "message": "Too many requests to meta API. Please try again later.",
        "reason": "quota_used_up",
        "retry_after": 3600, "reset_at": "2025-11-18 10:00:00", "limit": 200,
    });
    assert_eq!(answer.body, expected);
    for (name, value) in [
        ("content-type", "application/json"),
        ("retry-after", "3600"),
        ("x-ratelimit-limit", "200"),
        ("x-ratelimit-remaining", "0"),
        ("x-ratelimit-reset", "1763460000"),
        ("ratelimit", "\"period\";r=0;t=3600"),
    ] {
        assert_eq!(answer.headers[name], value, "{name}");
    }
    // This authorizer does not say it, so it is left out.
    assert!(!answer.headers.contains_key("ratelimit-policy"));
    stack.stop().await;
}

#[tokio::test]
async fn only_the_templates_routes_exist_in_their_own_spelling() {
    let stack = stack().await;
    for (method, path) in [
        ("GET", "/dashboard"),
        ("TRACE", "/health"),
        ("GET", "/health/"),
        ("GET", "/%68ealth"),
        ("GET", "/api/dashboard//notifications"),
        ("GET", "/v1/health"),
    ] {
        let answer = call(&stack, method, path, Some("allow")).await;
        assert_eq!(answer.status, 404, "{method} {path}");
        assert_eq!(answer.body["title"], "Not Found");
        let detail = format!("No route has this path and the method {method}.");
        assert_eq!(answer.body["detail"], detail);
    }
    // A parameter is passed on as it was spelled.
    let path = "/api/dashboard/%61cme/notifications";
    let answer = call(&stack, "GET", path, Some("allow")).await;
    assert_eq!(answer.body["pathParameters"]["orgId"], "%61cme");
    assert_eq!(answer.body["path"], path);
    stack.stop().await;
}

#[tokio::test]
async fn any_stands_for_the_methods_that_a_path_does_not_name() {
    let stack = stack().await;
    let expiring = "/api/dashboard/acme/integrations/expiring-tokens";
    for (method, path, resource) in [
        ("POST", "/health", "/health"),
        (
            "PATCH",
            NOTIFICATIONS,
            "/api/dashboard/{orgId}/notifications",
        ),
        // The path is found first: not an integration of that name.
        (
            "PUT",
            expiring,
            "/api/dashboard/{orgId}/integrations/expiring-tokens",
        ),
    ] {
        // The authorizer is not asked: this token would be denied.
        let answer = call(&stack, method, path, Some("deny")).await;
        assert_eq!(answer.status, 200, "{method} {path}");
        assert_eq!(answer.body["resource"], resource);
        assert_eq!(answer.body["httpMethod"], method);
        assert_eq!(answer.body["requestContext"].get("authorizer"), None);
    }
    // Where the template names the method, it is.
    for (method, path) in [
        ("GET", NOTIFICATIONS),
        ("HEAD", NOTIFICATIONS),
        ("PUT", "/api/dashboard/acme/integrations/7"),
        ("POST", "/api/platforms/meta/acme/7/permits"),
    ] {
        let url = format!("{}{path}", stack.addresses().gateway);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.request(method.parse().unwrap(), url);
        let denied = request
            .header("authorization", "deny")
            .send()
            .await
            .unwrap();
        assert_eq!(denied.status(), 429, "{method} {path}");
        let body = denied.bytes().await.unwrap();
        assert_eq!(body.is_empty(), method == "HEAD");
    }
    stack.stop().await;
}

#[tokio::test]
async fn what_is_larger_than_the_gateway_or_lambda_takes_is_refused() {
    let stack = stack().await;
    let body_of = async |bytes: usize| {
        let url = format!(
            "{}/api/dashboard/acme/integrations/7",
            stack.addresses().gateway
        );
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.put(url).header("authorization", "allow");
        let answer = request.body(vec![b'x'; bytes]).send().await.unwrap();
        answer.status().as_u16()
    };
    // In base64, it is a third longer on its way into Lambda.
    let (fits, longer) = (4 * 1024 * 1024, 5 * 1024 * 1024);
    assert_eq!(body_of(fits).await, 200);
    for bytes in [longer, 11 * 1024 * 1024] {
        assert_eq!(body_of(bytes).await, 413, "{bytes}");
    }
    for (query, status) in [
        (format!("q={}", "x".repeat(9_000)), 200),
        (format!("q={}", "x".repeat(10_300)), 413),
        ("large=yes".to_owned(), 502),
    ] {
        let path = format!("{NOTIFICATIONS}?{query}");
        let answer = call(&stack, "GET", &path, Some("allow")).await;
        assert_eq!(answer.status, status, "{}", path.len());
    }
    stack.stop().await;
}

#[tokio::test]
async fn a_functions_failure_shows_nothing_of_its_cause() {
    let stack = stack().await;
    let path = format!("{NOTIFICATIONS}?fail=yes");
    let answer = call(&stack, "GET", &path, Some("allow")).await;
    assert_eq!(answer.status, 502);
    assert_eq!(answer.body["title"], "Internal error");
    assert!(!answer.body.to_string().contains("secret cause"));
    stack.stop().await;
}
