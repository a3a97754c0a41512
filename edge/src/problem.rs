//! Errors as clients see them: problem details (RFC 9457).

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value};
use shared::aws::quota::QuotaError;
use shared::aws::tables::TableError;
use shared::registration::RegistrationError;
use utoipa::ToSchema;

/// The `Retry-After` of a 503; the gateway's own has the same (`infra/template.yaml`).
const RETRY_AFTER_SECONDS: u32 = 5;

/// Why a request failed. [`render`] writes the body, because it knows the request's id.
#[derive(Debug, Clone)]
pub struct Problem {
    status: StatusCode,
    detail: String,
    /// Seconds after which trying again makes sense.
    retry_after: Option<u32>,
    /// The cause of an internal error, which operators see and clients never do.
    cause: Option<String>,
    /// Members beside the standard ones (RFC 9457, 3.2).
    members: Map<String, Value>,
}

/// An error (RFC 9457). It may have members beside these.
#[derive(Serialize, ToSchema)]
pub struct ProblemDetails {
    #[schema(examples("about:blank"))]
    r#type: &'static str,
    /// The status in words.
    title: &'static str,
    status: u16,
    /// What is wrong, and what to do.
    detail: String,
    /// The request's id, which the logs have too.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<String>,
    #[serde(flatten)]
    #[schema(ignore)]
    members: Map<String, Value>,
}

impl Problem {
    fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            retry_after: None,
            cause: None,
            members: Map::new(),
        }
    }

    /// Adds a member that programs read.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.members.insert(name.to_owned(), value.into());
        self
    }

    pub const fn status(&self) -> StatusCode {
        self.status
    }

    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Says after how many seconds trying again makes sense.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        Self {
            retry_after: Some(seconds),
            ..self
        }
    }

    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub fn too_many_requests(detail: impl Into<String>, retry_after: u32) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, detail).retry_after(retry_after)
    }

    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail)
    }

    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    pub fn no_such_route() -> Self {
        Self::not_found("There is no such route.")
    }

    pub fn unknown_integration() -> Self {
        Self::not_found("The organisation has no such integration.")
    }

    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// Reports that a service on which the answer depends does not answer right now.
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self {
            retry_after: Some(RETRY_AFTER_SECONDS),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
        }
    }

    pub fn too_large(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
    }

    /// Reports that somebody behind us did not answer in time.
    pub fn gateway_timeout(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::GATEWAY_TIMEOUT, detail)
    }

    /// Reports that somebody behind us gave no usable answer.
    pub fn bad_gateway(detail: impl Into<String>, cause: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_GATEWAY, detail).because(cause)
    }

    /// Adds a cause that only operators see.
    pub fn because(self, cause: impl std::fmt::Display) -> Self {
        Self {
            cause: Some(cause.to_string()),
            ..self
        }
    }

    pub fn method_not_allowed() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "This route does not take this method; the Allow header says which it does.",
        )
    }

    pub fn internal(cause: impl std::fmt::Display) -> Self {
        let detail = "Something went wrong on our side.";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail).because(cause)
    }
}

impl From<TableError> for Problem {
    fn from(error: TableError) -> Self {
        Self::internal(error)
    }
}

impl From<RegistrationError> for Problem {
    fn from(error: RegistrationError) -> Self {
        match error {
            RegistrationError::Contended => {
                Self::unavailable("Others kept changing this integration. Please try again.")
                    .because(error)
            }
            RegistrationError::Store(_) | RegistrationError::Sealing(_) => Self::internal(error),
        }
    }
}

impl From<QuotaError> for Problem {
    fn from(error: QuotaError) -> Self {
        let detail = match error {
            QuotaError::Unavailable(_) => "The quota store does not answer. Please try again.",
            QuotaError::Contended => "Too many use this quota at once. Please try again.",
            QuotaError::Damaged => {
                "What was stored of this quota could not be read; it counts as used up now."
            }
        };
        Self::unavailable(detail).because(error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(seconds) = self.retry_after {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Writes the body of a response that is a problem, and logs its cause.
pub fn render(mut response: Response, request_id: Option<&str>) -> Response {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else {
        return response;
    };
    if let Some(cause) = &problem.cause {
        tracing::error!(request_id, cause, "a request failed");
    }
    let details = ProblemDetails {
        r#type: "about:blank",
        title: problem.status.canonical_reason().unwrap_or_default(),
        status: problem.status.as_u16(),
        detail: problem.detail,
        instance: request_id.map(str::to_owned),
        members: problem.members,
    };
    let body = serde_json::to_vec(&details).unwrap_or_default();
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    Response::from_parts(parts, body.into())
}
