//! The AWS JSON protocols, and errors in their shape.

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, StatusCode, header};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::uuid::random_uuid;

/// An error in AWS's shape: the SDK turns `code` into its typed error.
#[derive(Debug, Clone)]
pub(crate) struct AwsError {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl AwsError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code,
            message: message.into(),
        }
    }

    pub(crate) fn unknown_operation(operation: &str) -> Self {
        Self::new(
            "UnknownOperationException",
            format!("{operation} is not served on this machine"),
        )
    }
}

impl IntoResponse for AwsError {
    fn into_response(self) -> Response {
        json_response(
            self.status,
            &json!({"__type": self.code, "message": self.message}),
        )
    }
}

pub(crate) fn json_response(status: StatusCode, body: &Value) -> Response {
    let headers = [
        (
            header::CONTENT_TYPE,
            "application/x-amz-json-1.1".to_owned(),
        ),
        (
            header::HeaderName::from_static("x-amzn-requestid"),
            random_uuid(),
        ),
    ];
    (status, headers, body.to_string()).into_response()
}

/// Answers a request of the AWS JSON protocols. `operation` gets the name behind the
/// dot of `X-Amz-Target`, and the input.
pub(crate) fn answer_json(
    headers: &HeaderMap,
    body: &Bytes,
    operation: impl FnOnce(&str, Value) -> Result<Value, AwsError>,
) -> Response {
    let target = headers.get("x-amz-target").and_then(|t| t.to_str().ok());
    let Some((_, name)) = target.and_then(|target| target.split_once('.')) else {
        return AwsError::new("MissingAction", "no X-Amz-Target header").into_response();
    };
    let Ok(input) = serde_json::from_slice(body) else {
        return AwsError::new("SerializationException", "the body is not JSON").into_response();
    };
    match operation(name, input) {
        Ok(output) => json_response(StatusCode::OK, &output),
        Err(error) => error.into_response(),
    }
}

pub(crate) fn parse_input<T: DeserializeOwned>(input: Value) -> Result<T, AwsError> {
    serde_json::from_value(input).map_err(|e| AwsError::new("ValidationException", e.to_string()))
}
