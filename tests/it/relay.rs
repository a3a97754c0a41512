//! A relay in front of a service: requests can be changed and refused, answers seen.

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// Serves on loopback what `service` answers. `forward` returns the body that is
/// passed on; without one the call fails. `observe` gets each request and its answer.
pub(crate) async fn relay<F, O>(service: String, forward: F, observe: O) -> String
where
    F: Fn(&Parts, Bytes) -> Option<Bytes> + Clone + Send + Sync + 'static,
    O: Fn(&Parts, &Bytes) + Clone + Send + Sync + 'static,
{
    relay_to(move |_| service.clone(), forward, observe).await
}

/// Like [`relay`], to a service that the request decides.
pub(crate) async fn relay_to<S, F, O>(service: S, forward: F, observe: O) -> String
where
    S: Fn(&Parts) -> String + Clone + Send + Sync + 'static,
    F: Fn(&Parts, Bytes) -> Option<Bytes> + Clone + Send + Sync + 'static,
    O: Fn(&Parts, &Bytes) + Clone + Send + Sync + 'static,
{
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let pass = move |request: Request| {
        let (http, service) = (http.clone(), service.clone());
        let (forward, observe) = (forward.clone(), observe.clone());
        async move {
            let (mut head, body) = request.into_parts();
            let body = to_bytes(body, usize::MAX).await.unwrap();
            let Some(body) = forward(&head, body) else {
                return StatusCode::INTERNAL_SERVER_ERROR.into_response();
            };
            for name in [header::HOST, header::CONTENT_LENGTH] {
                head.headers.remove(name);
            }
            let to = format!("{}{}", service(&head), head.uri);
            let request = http.request(head.method.clone(), to);
            let request = request.headers(head.headers.clone()).body(body);
            let answer = request.send().await.unwrap();
            let status = answer.status();
            let body = answer.bytes().await.unwrap();
            observe(&head, &body);
            let mut response: Response = body.into_response();
            *response.status_mut() = status;
            response
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(pass)).await });
    url
}

/// Whether it is a call of this operation, where services name it in a header.
pub(crate) fn is_call(head: &Parts, operation: &str) -> bool {
    let target = head.headers.get("x-amz-target");
    let target = target.and_then(|target| target.to_str().ok()?.rsplit('.').next());
    target == Some(operation)
}
