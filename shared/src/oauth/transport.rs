//! Sends one request over the network, and receives the answer.

use std::time::Duration;

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, HeaderMap, HeaderValue};

use super::body::{Body, MAX_BODY};
use super::response::Head;
use super::response::ResponseSummary;
use crate::domain::error_code::ResponseDefect;
use crate::domain::refresh::attempt::TOKEN_REQUEST_TIMEOUT;
use crate::domain::verdict::Transient;

/// The longest time that a platform may take for an answer.
const REQUEST_TIMEOUT: Duration =
    Duration::from_secs(TOKEN_REQUEST_TIMEOUT.num_seconds().cast_unsigned());
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// No answer came, or it could not be read to its end.
pub(super) struct TransportError {
    pub(super) transient: Transient,
    pub(super) defect: ResponseDefect,
    pub(super) summary: Option<ResponseSummary>,
}

pub(super) fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .timeout(REQUEST_TIMEOUT)
        .connect_timeout(CONNECT_TIMEOUT)
        .default_headers(HeaderMap::from_iter([
            (ACCEPT, HeaderValue::from_static("application/json")),
            // All that `body` unpacks. Without it a server may use any.
            (ACCEPT_ENCODING, HeaderValue::from_static("gzip")),
        ]))
        // A token must not follow a redirect to wherever it points.
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("token-warden/", env!("CARGO_PKG_VERSION")))
        .build()
}

pub(super) async fn send(
    request: reqwest::RequestBuilder,
) -> Result<(Head, Vec<u8>), TransportError> {
    let mut response = request.send().await?;
    let head = Head {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
    };
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > MAX_BODY => {
                if Body::parse(&head.headers, &body).is_whole() {
                    return Ok((head, body));
                }
                return Err(TransportError {
                    transient: Transient::Unintelligible,
                    defect: ResponseDefect::TooLong,
                    summary: Some(head.summary(body.len() + chunk.len())),
                });
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok((head, body)),
            // Less came than was announced. What came may be whole all the same.
            Err(_) if Body::parse(&head.headers, &body).is_whole() => return Ok((head, body)),
            Err(error) => {
                return Err(TransportError {
                    defect: match error.is_timeout() {
                        true => ResponseDefect::TimedOut,
                        false => ResponseDefect::CutOff,
                    },
                    transient: Transient::NoAnswer,
                    summary: Some(head.summary(body.len())),
                });
            }
        }
    }
}

impl From<reqwest::Error> for TransportError {
    fn from(error: reqwest::Error) -> Self {
        // A request that could not even be written down was not sent.
        let (transient, defect) = if error.is_builder() {
            (Transient::Unreachable, ResponseDefect::NotSent)
        } else if error.is_connect() {
            (Transient::Unreachable, ResponseDefect::NoConnection)
        } else if error.is_timeout() {
            (Transient::NoAnswer, ResponseDefect::TimedOut)
        } else {
            (Transient::NoAnswer, ResponseDefect::ConnectionClosed)
        };
        Self {
            transient,
            defect,
            summary: None,
        }
    }
}
