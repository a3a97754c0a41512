//! A response on its way out.

use std::convert::Infallible;
use std::iter;

use axum::body::{Body, Bytes};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures::stream;
use serde_json::Value;

/// An HTTP response as a value: the simulator decides it under the lock and sends it
/// after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PlatformResponse {
    pub(super) status: StatusCode,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: String,
    /// Whether the body never ends: after its text comes more, for as long as someone reads.
    pub(super) is_endless: bool,
}

impl PlatformResponse {
    pub(super) fn ok(body: &Value) -> Self {
        Self::json(200, body)
    }

    pub(super) fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json", body.to_string())
    }

    pub(super) fn text(status: u16, content_type: &'static str, body: String) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST),
            headers: Vec::new(),
            body,
            is_endless: false,
        }
        .with("content-type", content_type)
    }

    /// Returns the beginning of a list that never ends.
    pub(super) fn endless() -> Self {
        Self {
            is_endless: true,
            ..Self::text(200, "application/json", "{\"data\":[".to_owned())
        }
    }

    /// Adds a header, unless a header cannot hold the value.
    pub(super) fn with(mut self, name: &'static str, value: impl AsRef<str>) -> Self {
        if let Ok(value) = HeaderValue::from_str(value.as_ref()) {
            self.headers.push((HeaderName::from_static(name), value));
        }
        self
    }

    /// Adds `Retry-After`, if there is a wait.
    pub(super) fn retry_after(self, seconds: Option<u64>) -> Self {
        match seconds {
            Some(seconds) => self.with("retry-after", seconds.to_string()),
            None => self,
        }
    }
}

impl IntoResponse for PlatformResponse {
    fn into_response(self) -> Response {
        let body = match self.is_endless {
            true => endless_body(self.body),
            false => Body::from(self.body),
        };
        let mut response = (self.status, body).into_response();
        response.headers_mut().remove("content-type");
        response.headers_mut().extend(self.headers);
        response
    }
}

/// Returns a body that goes on for ever. Each piece is made when the connection can take
/// it: while nobody reads, nothing happens.
fn endless_body(start: String) -> Body {
    const PIECE: &[u8] = &[b'0'; 16 * 1024];
    let pieces = iter::once(Bytes::from(start)).chain(iter::repeat(Bytes::from_static(PIECE)));
    Body::from_stream(stream::iter(pieces.map(Ok::<_, Infallible>)))
}

/// Closes the connection without a byte of a response: the server gives up on a response
/// whose body fails before it has flushed the head.
pub(super) fn hang_up() -> Response {
    let failure = std::io::Error::other("the answer was lost, as scripted");
    let body = stream::once(std::future::ready(Err::<Bytes, _>(failure)));
    Response::new(Body::from_stream(body))
}

/// Returns a fresh id for support, as every platform adds to its answers.
pub(super) fn trace_id() -> String {
    format!("{:016X}", rand::random::<u64>())
}
