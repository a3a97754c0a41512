//! Requests and answers on their way out of Lambda's JSON and into it.

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use http_body_util::BodyExt;
use lambda_http::lambda_runtime::LambdaEvent;
use lambda_http::request::LambdaRequest;
use lambda_http::tower::{Service, ServiceExt, service_fn};
use lambda_http::{Body, IntoResponse};

/// An answer whose body is kept byte for byte. `lambda_http` would read a body of some types as
/// text, and write what is none anew.
#[derive(Debug)]
pub struct LambdaAnswer(http::Response<Bytes>);

impl IntoResponse for LambdaAnswer {
    fn into_response(self) -> std::pin::Pin<Box<dyn Future<Output = http::Response<Body>> + Send>> {
        Box::pin(std::future::ready(self.0.map(|bytes| body(&bytes))))
    }
}

/// A longer body is sent in whichever form is shorter: what Lambda returns is limited.
const SHORT: usize = 256 * 1024;

/// Returns a body as text where it is one, or else in base64.
fn body(bytes: &[u8]) -> Body {
    let is_fit = |text: &str| text.len() <= SHORT || escaped_length(text) <= text.len() / 3 * 4;
    match std::str::from_utf8(bytes) {
        Ok("") => Body::Empty,
        Ok(text) if is_fit(text) => Body::Text(text.to_owned()),
        _ => Body::Binary(bytes.to_vec()),
    }
}

/// Returns the length of a text in JSON, in bytes, without its quotes.
fn escaped_length(text: &str) -> usize {
    let lengths = text.bytes().map(|byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    });
    lengths.sum()
}

/// Keeps every value of a header that comes more than once. The gateway sends each header with its
/// values, and again with the last one, which `lambda_http` puts in their place.
#[must_use]
pub fn with_every_header(mut event: LambdaEvent<LambdaRequest>) -> LambdaEvent<LambdaRequest> {
    if let LambdaRequest::ApiGatewayV1(request) = &mut event.payload
        && !request.multi_value_headers.is_empty()
    {
        request.headers.clear();
    }
    event
}

/// Makes a service for `lambda_http` of a router.
pub fn service(
    router: Router,
) -> impl Service<
    lambda_http::Request,
    Response = LambdaAnswer,
    Error = lambda_http::Error,
    Future: Send,
> + Clone
+ Send {
    service_fn(move |request: lambda_http::Request| {
        let router = router.clone();
        async move {
            let request: Request = request.map(axum::body::Body::new);
            let (head, body) = router.oneshot(request).await?.into_parts();
            let bytes = body.collect().await?.to_bytes();
            Ok(LambdaAnswer(http::Response::from_parts(head, bytes)))
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_sent_as_one_unless_it_is_long_and_base64_shorter() {
        assert!(matches!(body(b""), Body::Empty));
        for text in ["{\"a\":1}", "\u{1}\n\u{8}\"\\", "grüße aus Köln"] {
            assert!(matches!(body(text.as_bytes()), Body::Text(of) if of == text));
            let json = serde_json::to_string(text).unwrap();
            assert_eq!(escaped_length(text), json.len() - 2);
        }
        let quotes = vec![b'"'; SHORT + 1];
        for other in [&b"caf\xe9"[..], &quotes] {
            assert!(matches!(body(other), Body::Binary(of) if of == other));
        }
        let long = vec![b'x'; SHORT + 1];
        assert!(matches!(body(&long), Body::Text(_)));
    }
}
