//! The layers around the router: what holds for every request and every answer.

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, StatusCode, Uri, header};
use lambda_http::RequestExt;
use lambda_http::request::RequestContext;
use tower::Layer;

use crate::problem::{self, Problem};

/// Completes a router: what it lacks is a problem, every answer is complete, and paths are read
/// as the client sent them.
pub fn complete<S: Clone + Send + Sync + 'static>(router: Router<S>, state: S) -> Router {
    let routes = router
        .fallback(async || Problem::no_such_route())
        .method_not_allowed_fallback(other_method)
        .with_state(state);
    // Around the router, not in it: the path is normalised before it is routed.
    let layers = (from_fn(complete_response), from_fn(normalize_path));
    Router::new().fallback_service(layers.layer(routes))
}

/// Answers a method that a route lacks; axum adds `Allow`. Checks no caller: the methods of a route
/// are the same for everybody.
async fn other_method(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    Problem::method_not_allowed().into_response()
}

/// Gives problems their body, keeps answers out of caches, and answers `HEAD`
/// as `GET` without a body.
async fn complete_response(request: Request, next: Next) -> Response {
    let request_id = request_id(&request);
    let is_head = request.method() == Method::HEAD;
    let mut response = problem::render(next.run(request).await, request_id.as_deref());
    // An answer is true for a moment and for one caller, unless it says otherwise.
    response
        .headers_mut()
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    if is_head {
        // axum has dropped GET's body; a problem got its body only here.
        *response.body_mut() = Body::empty();
    }
    response
}

/// Routes on the path as the client sent it.
async fn normalize_path(mut request: Request, next: Next) -> Response {
    match path_as_sent(&request) {
        Some(uri) => {
            *request.uri_mut() = uri;
            next.run(request).await
        }
        None => Problem::no_such_route().into_response(),
    }
}

/// The request's path without the stage, exactly as the client spelled it. `lambda_http` prepends
/// the stage unless an environment variable says otherwise. Its URL parser resolves dot segments
/// and encodes characters, but `/a/%2e%2e/b` must be no route, not `/b`.
fn path_as_sent(request: &Request) -> Option<Uri> {
    let raw = request.raw_http_path();
    if raw.is_empty() {
        return Some(request.uri().clone()); // it didn't come through Lambda
    }
    if !raw.starts_with('/') || raw.contains(['?', '#']) {
        return None;
    }
    let path = match request.uri().query() {
        Some(query) => format!("{raw}?{query}"),
        None => raw.to_owned(),
    };
    PathAndQuery::try_from(path).ok().map(Uri::from)
}

/// The id by which client, gateway and logs know this request.
fn request_id(request: &Request) -> Option<String> {
    let from_gateway = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV1(context)) => context.request_id.clone(),
        Some(RequestContext::ApiGatewayV2(context)) => context.request_id.clone(),
        _ => None,
    };
    from_gateway.or_else(|| Some(request.lambda_context_ref()?.request_id.clone()))
}
