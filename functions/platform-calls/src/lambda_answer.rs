//! Answers on their way into Lambda's JSON.

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use http_body_util::BodyExt;
use lambda_http::tower::{Service, ServiceExt, service_fn};
use lambda_http::{Body, IntoResponse};

/// An answer whose body is kept byte for byte. `lambda_http` would read a body of some types as
/// text, and write what is none anew.
#[derive(Debug)]
pub struct LambdaAnswer(http::Response<Bytes>);

impl IntoResponse for LambdaAnswer {
    fn into_response(self) -> std::pin::Pin<Box<dyn Future<Output = http::Response<Body>> + Send>> {
        let answer = self.0.map(|bytes| match bytes.is_empty() {
            true => Body::Empty,
            false => Body::Binary(bytes.to_vec()),
        });
        Box::pin(std::future::ready(answer))
    }
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
