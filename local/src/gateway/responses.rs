//! What the gateway answers: a function's proxy response, or a response of its
//! own, rendered by API Gateway's rules from the template's texts. Those are not
//! VTL: `$context.x` is replaced, and nothing else
//! (docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-gatewayResponse-definition.html).

use std::collections::BTreeMap;

use axum::body::Body;
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;

use crate::template::{GatewayResponse, literal, text};

/// Why the gateway answers instead of a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ResponseType {
    AccessDenied,
    AuthorizerConfigurationError,
    AuthorizerFailure,
    IntegrationTimeout,
    MalformedProxyResponse,
    MissingAuthenticationToken,
    RequestTooLarge,
    Unauthorized,
    /// A response that AWS's gateway gives and this one never does, by its name.
    #[cfg(test)]
    Elsewhere(&'static str, u16),
}

impl ResponseType {
    /// Returns the name, and the status and message where the template sets none.
    const fn defaults(self) -> (&'static str, u16, &'static str) {
        match self {
            Self::AccessDenied => (
                "ACCESS_DENIED",
                403,
                "User is not authorized to access this resource",
            ),
            Self::AuthorizerConfigurationError => ("AUTHORIZER_CONFIGURATION_ERROR", 500, "null"),
            Self::AuthorizerFailure => ("AUTHORIZER_FAILURE", 500, "null"),
            Self::IntegrationTimeout => ("INTEGRATION_TIMEOUT", 504, "Endpoint request timed out"),
            // Has no name of its own, only the default.
            Self::MalformedProxyResponse => ("DEFAULT_5XX", 502, "Internal server error"),
            Self::MissingAuthenticationToken => (
                "MISSING_AUTHENTICATION_TOKEN",
                403,
                "Missing Authentication Token",
            ),
            Self::RequestTooLarge => ("REQUEST_TOO_LARGE", 413, "Request Too Long"),
            Self::Unauthorized => ("UNAUTHORIZED", 401, "Unauthorized"),
            #[cfg(test)]
            Self::Elsewhere(name, status) => (name, status, "null"),
        }
    }

    pub(super) const fn name(self) -> &'static str {
        self.defaults().0
    }

    pub(super) const fn message(self) -> &'static str {
        self.defaults().2
    }
}

/// Renders the response of `kind`: its own, or the default of its class, or AWS's.
pub(super) fn render(
    responses: &BTreeMap<String, GatewayResponse>,
    kind: ResponseType,
    context: &Value,
) -> Response {
    let (name, status, _) = kind.defaults();
    let class = if status < 500 {
        "DEFAULT_4XX"
    } else {
        "DEFAULT_5XX"
    };
    let none = GatewayResponse::default();
    let own = responses
        .get(name)
        .or_else(|| responses.get(class))
        .unwrap_or(&none);
    let template = own.template.as_deref();
    let body = substitute(
        template.unwrap_or("{\"message\":$context.error.messageString}"),
        context,
    );
    let mut response = Response::new(Body::from(body));
    let status = StatusCode::from_u16(own.status.unwrap_or(status));
    *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    insert_request_id(headers, context["requestId"].as_str().unwrap_or_default());
    for (name, source) in &own.headers {
        let value = match literal(source) {
            Some(literal) => Some(literal.to_owned()),
            // A header whose source is absent is left out.
            None => source
                .strip_prefix("context.")
                .and_then(|path| lookup(context, path)),
        };
        let value = value.and_then(|value| HeaderValue::from_str(&value).ok());
        if let (Ok(name), Some(value)) = (HeaderName::from_bytes(name.as_bytes()), value) {
            headers.insert(name, value);
        }
    }
    response
}

fn lookup(context: &Value, path: &str) -> Option<String> {
    let value = path
        .split('.')
        .try_fold(context, |value, key| value.get(key))?;
    match value {
        Value::Null | Value::Object(_) | Value::Array(_) => None,
        scalar => Some(text(scalar)),
    }
}

/// Replaces every `$context.path`, with nothing where it is absent.
fn substitute(template: &str, context: &Value) -> String {
    const MARK: &str = "$context.";
    let mut parts = template.split(MARK);
    let mut body = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let in_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-' || c == '.';
        let end = part.find(|c| !in_name(c)).unwrap_or(part.len());
        // A sentence may end behind a name.
        let path = part[..end].trim_end_matches('.');
        body.push_str(&lookup(context, path).unwrap_or_default());
        body.push_str(&part[path.len()..]);
    }
    body
}

/// Headers that a function cannot set; they come out under another name
/// (docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html).
const REMAPPED_HEADERS: [&str; 6] = [
    "authorization",
    "connection",
    "content-length",
    "date",
    "server",
    "www-authenticate",
];

/// Turns a function's answer into HTTP; `None` if it is not a proxy response.
pub(super) fn proxy_response(answer: &Value, request_id: &str) -> Option<Response> {
    let status = match &answer["statusCode"] {
        Value::String(text) => text.parse().ok()?,
        number => u16::try_from(number.as_u64()?).ok()?,
    };
    let status = StatusCode::from_u16(status)
        .ok()
        .filter(|s| (200..600).contains(&s.as_u16()))?;
    let body = match &answer["body"] {
        Value::Null => Vec::new(),
        Value::String(text) if answer["isBase64Encoded"] == true => BASE64.decode(text).ok()?,
        Value::String(text) => text.clone().into_bytes(),
        _ => return None,
    };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let mut append = |name: &str, value: &Value| {
        let lower = name.to_ascii_lowercase();
        if lower == "transfer-encoding" {
            return Some(());
        }
        let name = if REMAPPED_HEADERS.contains(&&*lower) {
            format!("x-amzn-remapped-{lower}")
        } else {
            lower
        };
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let value = HeaderValue::from_str(&text(value)).ok()?;
        // A value in both maps is sent once.
        if headers.get_all(&name).iter().all(|sent| *sent != value) {
            headers.append(name, value);
        }
        Some(())
    };
    for (name, values) in answer["multiValueHeaders"]
        .as_object()
        .into_iter()
        .flatten()
    {
        for value in values.as_array()? {
            append(name, value)?;
        }
    }
    for (name, value) in answer["headers"].as_object().into_iter().flatten() {
        append(name, value)?;
    }
    if !headers.contains_key(header::CONTENT_TYPE) {
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/json"),
        );
    }
    insert_request_id(headers, request_id);
    Some(response)
}

fn insert_request_id(headers: &mut http::HeaderMap, request_id: &str) {
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert(HeaderName::from_static("x-amzn-requestid"), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::template::tests::inputs;
    use crate::template::{self, Template};
    use serde_json::json;

    async fn rendered(response: Response) -> (u16, http::HeaderMap, String) {
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let body = String::from_utf8(body.to_vec()).unwrap();
        (parts.status.as_u16(), parts.headers, body)
    }

    fn denied() -> BTreeMap<String, GatewayResponse> {
        let headers = [
            ("Retry-After", "context.authorizer.retry_after"),
            ("X-Absent", "context.authorizer.absent"),
            ("Content-Type", "'application/problem+json'"),
        ];
        let response = GatewayResponse {
            status: Some(429),
            headers: headers.map(|(n, v)| (n.to_owned(), v.to_owned())).into(),
            template: Some(
                [
                    r#"{"wait":$context.authorizer.retry_after,"id":"$context.requestId","#,
                    r##""no":"$context.authorizer.absent","if":"#if($x)$util.y"}"##,
                ]
                .concat(),
            ),
        };
        [("ACCESS_DENIED".to_owned(), response)].into()
    }

    #[tokio::test]
    async fn a_response_of_the_template_is_rendered_by_simple_substitution() {
        let context = json!({"requestId": "r-1", "authorizer": {"retry_after": "30"}});
        let (status, headers, body) =
            rendered(render(&denied(), ResponseType::AccessDenied, &context)).await;
        assert_eq!(status, 429);
        assert_eq!(headers["retry-after"], "30");
        assert_eq!(headers["content-type"], "application/problem+json");
        assert!(!headers.contains_key("x-absent"));
        assert_eq!(
            body,
            r##"{"wait":30,"id":"r-1","no":"","if":"#if($x)$util.y"}"##
        );
    }

    #[tokio::test]
    async fn a_response_without_a_definition_is_awss_own() {
        let context = json!({"requestId": "r-1", "error": {"messageString": "\"Unauthorized\""}});
        let (status, _, body) =
            rendered(render(&denied(), ResponseType::Unauthorized, &context)).await;
        assert_eq!((status, &*body), (401, r#"{"message":"Unauthorized"}"#));
    }

    /// Renders the template's responses to what AWS's gateway gives and ours never does.
    async fn of_the_template(kind: &'static str, status: u16) -> (u16, http::HeaderMap, Value) {
        let template = Template::parse(template::EMBEDDED).unwrap();
        let responses = template.resolve(&inputs()).unwrap().api.responses;
        let context = json!({
            "requestId": "r-1", "httpMethod": "TRACE", "error": {"responseType": kind},
        });
        let kind = ResponseType::Elsewhere(kind, status);
        let (status, headers, body) = rendered(render(&responses, kind, &context)).await;
        (status, headers, serde_json::from_str(&body).unwrap())
    }

    #[tokio::test]
    async fn the_apis_own_throttle_is_told_from_a_platforms_quota() {
        for (kind, retry_after) in [("THROTTLED", Some("1")), ("QUOTA_EXCEEDED", None)] {
            let (status, headers, body) = of_the_template(kind, 429).await;
            assert_eq!((status, &body["status"]), (429, &json!(429)), "{kind}");
            let wait = headers
                .get("retry-after")
                .map(|value| value.to_str().unwrap());
            assert_eq!(wait, retry_after, "{kind}");
            assert_eq!(headers["content-type"], "application/problem+json");
            assert!(
                headers
                    .keys()
                    .all(|name| !name.as_str().contains("ratelimit"))
            );
            let detail = body["detail"].as_str().unwrap();
            assert!(detail.contains("not the quota of a platform"), "{detail}");
        }
    }

    #[tokio::test]
    async fn whatever_the_gateway_says_itself_is_a_problem_with_its_true_status() {
        // Types and statuses: docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
        for (kind, of_aws, told) in [
            ("API_CONFIGURATION_ERROR", 500, 500),
            ("AUTHORIZER_CONFIGURATION_ERROR", 500, 503),
            ("AUTHORIZER_FAILURE", 500, 503),
            ("BAD_REQUEST_PARAMETERS", 400, 400),
            ("BAD_REQUEST_BODY", 400, 400),
            ("EXPIRED_TOKEN", 403, 404),
            ("INTEGRATION_FAILURE", 504, 502),
            ("INTEGRATION_TIMEOUT", 504, 504),
            ("INVALID_API_KEY", 403, 403),
            ("INVALID_SIGNATURE", 403, 404),
            ("MISSING_AUTHENTICATION_TOKEN", 403, 404),
            ("QUOTA_EXCEEDED", 429, 429),
            ("REQUEST_TOO_LARGE", 413, 413),
            ("RESOURCE_NOT_FOUND", 404, 404),
            ("THROTTLED", 429, 429),
            ("UNAUTHORIZED", 401, 401),
            ("UNSUPPORTED_MEDIA_TYPE", 415, 415),
            ("WAF_FILTERED", 403, 403),
        ] {
            let (status, headers, body) = of_the_template(kind, of_aws).await;
            assert_eq!(status, told, "{kind}");
            assert_eq!(
                headers["content-type"], "application/problem+json",
                "{kind}"
            );
            assert_eq!(body["instance"], "r-1", "{kind}");
            let detail = body["detail"].as_str().unwrap();
            match body.get("status") {
                Some(of_body) => assert_eq!(of_body, told, "{kind}"),
                // One body for several: which it is, it says.
                None if status < 500 => assert!(detail.contains(kind), "{detail}"),
                None => assert_eq!(kind, "API_CONFIGURATION_ERROR"),
            }
            if status == 404 {
                assert_eq!(detail, "No route has this path and the method TRACE.");
            }
        }
    }

    #[tokio::test]
    async fn a_proxy_response_becomes_http_or_is_malformed() {
        let answer = json!({
            "statusCode": 201, "body": "aGk=", "isBase64Encoded": true,
            "headers": {"X-One": "1", "WWW-Authenticate": "Bearer"},
            "multiValueHeaders": {"X-One": ["1"], "Set-Cookie": ["a=1", "b=2"]},
        });
        let (status, headers, body) = rendered(proxy_response(&answer, "r-1").unwrap()).await;
        assert_eq!((status, &*body), (201, "hi"));
        assert_eq!(headers.get_all("set-cookie").iter().count(), 2);
        assert_eq!(headers.get_all("x-one").iter().count(), 1);
        assert_eq!(headers["x-amzn-remapped-www-authenticate"], "Bearer");
        for malformed in [
            json!(null),
            json!({"body": "x"}),
            json!({"statusCode": 99}),
            json!({"statusCode": 200, "body": {}}),
        ] {
            assert!(proxy_response(&malformed, "r-1").is_none(), "{malformed}");
        }
    }
}
