//! An answer on its way out, and the shapes in which the platforms say no.

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use shared::Platform;

/// An HTTP answer as a value, so that it is decided under the lock and sent
/// after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: String,
}

impl Answer {
    pub(super) fn json(status: StatusCode, body: &Value) -> Self {
        Self::text(status, "application/json", body.to_string())
    }

    pub(super) fn ok(body: &Value) -> Self {
        Self::json(StatusCode::OK, body)
    }

    pub(super) fn text(status: StatusCode, content_type: &'static str, body: String) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body,
        }
        .with("content-type", content_type)
    }

    /// With one more header; a value that cannot stand in a header is left out.
    pub(super) fn with(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
            self.headers.push((HeaderName::from_static(name), value));
        }
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body).into_response();
        response.headers_mut().remove("content-type");
        response.headers_mut().extend(self.headers);
        response
    }
}

/// Closes the connection without a byte of an answer: the server gives up on a
/// response whose body fails before its head was flushed.
pub(super) fn hang_up() -> Response {
    let failure = std::io::Error::other("the answer was lost, as scripted");
    let body = futures::stream::once(std::future::ready(Err::<Bytes, _>(failure)));
    Response::new(Body::from_stream(body))
}

/// The Graph API's error. Subcode 0: none.
pub(super) fn graph(status: StatusCode, code: u32, subcode: u32, message: &str) -> Answer {
    let mut error = json!({
        "message": message,
        "type": "OAuthException",
        "code": code,
        "fbtrace_id": trace_id(),
    });
    if subcode != 0 {
        error["error_subcode"] = json!(subcode);
    }
    if matches!(code, 2 | 4 | 17 | 32) {
        error["is_transient"] = json!(true);
    }
    Answer::json(status, &json!({ "error": error }))
}

/// The OAuth 2.0 error of a token endpoint (RFC 6749, 5.2).
pub(super) fn oauth(
    platform: Platform,
    status: StatusCode,
    error: &str,
    description: &str,
) -> Answer {
    let mut body = json!({"error": error, "error_description": description});
    if platform == Platform::Tiktok {
        body["log_id"] = json!(trace_id());
    }
    for subtype in ["invalid_rapt", "rapt_required"] {
        if description.contains(subtype) {
            body["error_subtype"] = json!(subtype);
        }
    }
    Answer::json(status, &body)
}

/// TikTok Business: always HTTP 200, `code` says it.
pub(super) fn business(code: u32, message: &str) -> Answer {
    Answer::ok(&json!({
        "code": code,
        "message": message,
        "request_id": trace_id(),
        "data": {},
    }))
}

/// TikTok's API, outside its token endpoint.
pub(super) fn tiktok_api(status: StatusCode, code: &str, message: &str) -> Answer {
    let error = json!({"code": code, "message": message, "log_id": trace_id()});
    Answer::json(status, &json!({"data": {}, "error": error}))
}

/// LinkedIn's API, outside its token endpoint.
pub(super) fn linkedin_api(
    status: StatusCode,
    service_code: u32,
    code: &str,
    message: &str,
) -> Answer {
    let mut body = json!({"message": message, "status": status.as_u16()});
    if service_code != 0 {
        body["serviceErrorCode"] = json!(service_code);
        body["code"] = json!(code);
    }
    Answer::json(status, &body)
}

/// X's problem details. `kind`: the last part of the problem's address.
pub(super) fn problem(status: StatusCode, kind: &str, title: &str, detail: &str) -> Answer {
    let address = match kind {
        "" => "about:blank".to_owned(),
        kind => format!("https://api.x.com/2/problems/{kind}"),
    };
    let body = json!({
        "title": title,
        "detail": detail,
        "type": address,
        "status": status.as_u16(),
    });
    Answer::text(status, "application/problem+json", body.to_string())
}

/// Google's API, outside its token endpoint: `family` and `code` as in
/// `authenticationError` and `OAUTH_TOKEN_EXPIRED`.
pub(super) fn google_ads(status: StatusCode, family: &str, code: &str, message: &str) -> Answer {
    Answer::json(status, &google_ads_body(status, family, code, message))
}

fn google_ads_body(status: StatusCode, family: &str, code: &str, message: &str) -> Value {
    let canonical = match status.as_u16() {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        429 => "RESOURCE_EXHAUSTED",
        400 => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    };
    json!({"error": {
        "code": status.as_u16(),
        "message": message,
        "status": canonical,
        "details": [{
            "@type": "type.googleapis.com/google.ads.googleads.v26.errors.GoogleAdsFailure",
            "errors": [{"errorCode": {family: code}, "message": message}],
        }],
    }})
}

/// Snapchat's API, outside its token endpoint.
pub(super) fn snapchat_api(status: StatusCode, message: &str) -> Answer {
    Answer::json(
        status,
        &json!({
            "request_status": "ERROR",
            "request_id": trace_id(),
            "debug_message": message,
            "display_message": "We're sorry, but the request failed",
        }),
    )
}

/// The platform's own way of asking for failure_grace. `retry_after` in seconds
/// goes where the platform has a place for it, else into `Retry-After`.
pub(super) fn throttle(platform: Platform, retry_after: Option<u64>, now: i64) -> Answer {
    let too_many = StatusCode::TOO_MANY_REQUESTS;
    let plain = match platform {
        // HTTP 400, not 429; the wait stands in minutes under a business id.
        Platform::Meta | Platform::Instagram | Platform::Threads => {
            let message = "(#4) PlatformHealth request limit reached";
            let usage = json!({"call_count": 100, "total_time": 100, "total_cputime": 100});
            let answer = graph(StatusCode::BAD_REQUEST, 4, 0, message)
                .with("x-app-usage", usage.to_string());
            let Some(seconds) = retry_after else {
                return answer;
            };
            let usage = json!({"1000000000000001": [{
                "type": "ads_management",
                "call_count": 100,
                "total_cputime": 100,
                "total_time": 100,
                "estimated_time_to_regain_access": seconds.div_ceil(60),
                "ads_api_access_tier": "standard_access",
            }]});
            return answer.with("x-business-use-case-usage", usage.to_string());
        }
        Platform::Tiktok => tiktok_api(too_many, "rate_limit_exceeded", "Rate limit exceeded"),
        Platform::TiktokBusiness => business(40100, "Requests made too frequently"),
        Platform::Linkedin => linkedin_api(
            too_many,
            101,
            "TOO_MANY_REQUESTS",
            "Resource level throttle limit for calls to this resource is reached.",
        ),
        Platform::Twitter => {
            let body = json!({"errors": [{"code": 88, "message": "Rate limit exceeded"}]});
            let reset = now.saturating_add_unsigned(retry_after.unwrap_or(900));
            return Answer::json(too_many, &body)
                .with("x-rate-limit-limit", "100")
                .with("x-rate-limit-remaining", "0")
                .with("x-rate-limit-reset", reset.to_string());
        }
        Platform::Google => {
            let message = "Too many requests. Retry later.";
            let mut body = google_ads_body(too_many, "quotaError", "RESOURCE_EXHAUSTED", message);
            if let Some(seconds) = retry_after {
                body["error"]["details"][0]["errors"][0]["details"] = json!({
                    "quotaErrorDetails": {
                        "rateScope": "DEVELOPER",
                        "rateName": "Number of operations",
                        "retryDelay": format!("{seconds}s"),
                    }
                });
            }
            return Answer::json(too_many, &body);
        }
        Platform::Snapchat => snapchat_api(too_many, "Too many requests"),
    };
    match retry_after {
        Some(seconds) => plain.with("retry-after", seconds.to_string()),
        None => plain,
    }
}

/// A fresh id for support, as every platform adds to its answers.
pub(super) fn trace_id() -> String {
    format!("{:016X}", rand::random::<u64>())
}
