//! How each service says that it failed, and what is left when a connection breaks.

use axum::body::{Body, Bytes};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use super::plan::Effect;
use super::request::Service;

/// Returns the answer that replaces the service's own, or `None` if the connection breaks.
pub(super) fn instead(service: Service, effect: Effect) -> Option<Response> {
    let answer = match (effect, service) {
        (Effect::Drop | Effect::ActAndDrop, _) => return None,
        (Effect::ActAndBabble, _) => (StatusCode::OK, "<html>").into_response(),
        (Effect::Lie, _) => json(StatusCode::OK, "", "{}".to_owned()),
        (Effect::ActAndAskToWait(wait) | Effect::AskToWait(wait), _) => {
            asking_to_wait(StatusCode::SERVICE_UNAVAILABLE, wait)
        }
        (Effect::Hold(wait), _) => asking_to_wait(StatusCode::TOO_MANY_REQUESTS, wait),
        (_, Service::Platform) => (StatusCode::BAD_GATEWAY, "<html>").into_response(),
        (_, Service::S3) => match effect {
            Effect::Throttle => xml(StatusCode::SERVICE_UNAVAILABLE, "SlowDown"),
            _ => xml(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        },
        (_, Service::Sns) => match effect {
            Effect::Throttle => xml(StatusCode::BAD_REQUEST, "Throttling"),
            _ => xml(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        },
        (Effect::Throttle, _) => error(StatusCode::BAD_REQUEST, "ThrottlingException"),
        (_, Service::Kms) => error(StatusCode::INTERNAL_SERVER_ERROR, "KMSInternalException"),
        _ => error(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError"),
    };
    Some(answer)
}

fn asking_to_wait(status: StatusCode, seconds: u16) -> Response {
    (status, [(header::RETRY_AFTER, seconds.to_string())], "").into_response()
}

/// Makes the life in an answer a thousand times as long, as if in milliseconds.
pub(super) fn exaggerated(body: &Bytes) -> Bytes {
    let Ok(mut json) = serde_json::from_slice::<Value>(body) else {
        return body.clone();
    };
    for fields in ["", "/data"] {
        let life = json.pointer_mut(&format!("{fields}/expires_in"));
        if let Some(life) = life
            && let Some(seconds) = life.as_u64()
        {
            *life = (seconds * 1_000).into();
        }
    }
    json.to_string().into()
}

fn error(status: StatusCode, code: &str) -> Response {
    let body = format!(r#"{{"__type":"com.amazonaws#{code}","message":"as the seed says"}}"#);
    json(status, code, body)
}

fn json(status: StatusCode, code: &str, body: String) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/x-amz-json-1.0"),
        (header::HeaderName::from_static("x-amzn-errortype"), code),
    ];
    match code {
        "" => (status, [headers[0].clone()], body).into_response(),
        _ => (status, headers, body).into_response(),
    }
}

fn xml(status: StatusCode, code: &str) -> Response {
    let error = format!("<Error><Code>{code}</Code><Message>as the seed says</Message></Error>");
    // S3's error stands alone, SNS's in an element of its own: each reads its own.
    let body = match code {
        "Throttling" => format!("<ErrorResponse>{error}</ErrorResponse>"),
        _ => error,
    };
    (status, [(header::CONTENT_TYPE, "application/xml")], body).into_response()
}

/// Closes the connection without a byte of an answer: the server gives up on a response
/// whose body fails before it has flushed the head.
pub(super) fn hang_up() -> Response {
    let failure = std::io::Error::other("the connection broke, as the seed says");
    let body = futures::stream::once(std::future::ready(Err::<Bytes, _>(failure)));
    Response::new(Body::from_stream(body))
}
