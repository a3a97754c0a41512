//! Lambda's `Invoke`.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, StatusCode, header};
use serde_json::{Value, json};

use crate::aws::lambda::event_queue::EventQueue;
use crate::aws::protocol::AwsError;
use crate::uuid::random_uuid;

/// What a synchronous invocation takes at most
/// (docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
pub(crate) const MAX_REQUEST_BYTES: usize = 6 * 1024 * 1024;
/// What an event takes at most.
const MAX_EVENT_BYTES: usize = 1024 * 1024;

#[derive(Clone)]
pub(crate) struct Lambda(EventQueue);

impl Lambda {
    pub(crate) fn new(events: EventQueue) -> Self {
        Self(events)
    }

    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/2015-03-31/functions/{name}/invocations", post(invoke))
            .fallback(async || error(AwsError::unknown_operation("this request")))
            .layer(DefaultBodyLimit::max(2 * MAX_REQUEST_BYTES))
            .with_state(self)
    }
}

async fn invoke(
    State(Lambda(events)): State<Lambda>,
    Path(name): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Some(logical_id) = events.invoker().logical_id(&name) else {
        return error(AwsError {
            status: StatusCode::NOT_FOUND,
            code: "ResourceNotFoundException",
            message: format!("Function not found: {name}"),
        });
    };
    let kind = headers
        .get("x-amz-invocation-type")
        .and_then(|kind| kind.to_str().ok());
    let event = kind == Some("Event");
    if body.len()
        > if event {
            MAX_EVENT_BYTES
        } else {
            MAX_REQUEST_BYTES
        }
    {
        return error(AwsError {
            status: StatusCode::PAYLOAD_TOO_LARGE,
            code: "RequestTooLargeException",
            message: "The payload is too large.".to_owned(),
        });
    }
    let payload: Result<Value, _> = match &body[..] {
        [] => Ok(json!({})), // what Lambda hands over without a payload
        body => serde_json::from_slice(body),
    };
    let payload = match payload {
        Ok(payload) => payload,
        Err(problem) => {
            let message = format!("Could not parse request body into json: {problem}");
            return error(AwsError::new("InvalidRequestContentException", message));
        }
    };
    let request_id = random_uuid();
    match kind {
        None | Some("RequestResponse") => {
            let result = events
                .invoker()
                .invoke(&logical_id, payload, &request_id)
                .await;
            match result {
                Ok(answer) => answered(StatusCode::OK, &request_id, &answer, None),
                Err(failure) => {
                    let answer = json!(failure);
                    answered(StatusCode::OK, &request_id, &answer, Some("Unhandled"))
                }
            }
        }
        Some("Event") => {
            let request_id = events.submit(&logical_id, payload);
            answered(StatusCode::ACCEPTED, &request_id, &Value::Null, None)
        }
        Some("DryRun") => answered(StatusCode::NO_CONTENT, &request_id, &Value::Null, None),
        Some(other) => error(AwsError::new(
            "InvalidParameterValueException",
            format!("{other} is not an invocation type"),
        )),
    }
}

fn answered(
    status: StatusCode,
    request_id: &str,
    body: &Value,
    function_error: Option<&'static str>,
) -> Response {
    let body = if status == StatusCode::OK {
        body.to_string()
    } else {
        String::new()
    };
    let mut response = (
        status,
        [
            (header::CONTENT_TYPE, "application/json"),
            (HeaderName::from_static("x-amzn-requestid"), request_id),
            (HeaderName::from_static("x-amz-executed-version"), "$LATEST"),
        ],
        body,
    )
        .into_response();
    if let Some(kind) = function_error {
        let name = HeaderName::from_static("x-amz-function-error");
        response
            .headers_mut()
            .insert(name, http::HeaderValue::from_static(kind));
    }
    response
}

/// Puts the error's type in a header, because Lambda speaks REST.
fn error(error: AwsError) -> Response {
    let body = json!({"Type": "User", "Message": error.message}).to_string();
    let headers = [
        (header::CONTENT_TYPE, "application/json"),
        (HeaderName::from_static("x-amzn-errortype"), error.code),
    ];
    (error.status, headers, body).into_response()
}
