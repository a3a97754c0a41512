//! The dashboard API, behind API Gateway and its authorizer: one file for each
//! resource, with its query, its answers, its handlers and their tests.

mod app;
mod check;
mod expiring_tokens;
mod health;
mod integration_view;
mod integrations;
mod layers;
mod member;
mod metered;
mod notifications;
mod paging;
mod permits;
mod platforms;
mod problem;
mod query;
mod rate_limits;

use axum::Router;
use axum::middleware::{from_extractor, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use http::{Method, StatusCode};
use tower::Layer;

pub use app::App;
use layers::{complete_response, normalize_path};
use member::Member;
use metered::add_quota_headers;
use problem::Problem;

/// Builds the API as a service for `lambda_http`.
pub fn router(app: App) -> Router {
    let for_members = Router::new()
        .route(
            "/api/dashboard/{orgId}/integrations/expiring-tokens",
            get(expiring_tokens::list),
        )
        .route(
            "/api/dashboard/{orgId}/integrations",
            get(integrations::list),
        )
        .route(
            "/api/dashboard/{orgId}/integrations/{integrationId}",
            get(integrations::show)
                .put(integrations::register)
                .delete(integrations::disconnect),
        )
        .route(
            "/api/dashboard/{orgId}/integrations/{integrationId}/check",
            post(check::check),
        )
        .route(
            "/api/dashboard/{orgId}/notifications",
            get(notifications::list),
        )
        .route(
            "/api/dashboard/{orgId}/notifications/{notificationId}/read",
            post(notifications::mark_read),
        )
        .route("/api/dashboard/{orgId}/rate-limits", get(rate_limits::list))
        .route(
            "/api/dashboard/{orgId}/integrations/{integrationId}/rate-limit",
            delete(rate_limits::reset),
        )
        // Not left to the handlers: no route above answers anyone but a member.
        .route_layer(from_extractor::<Member>());
    let metered = Router::new()
        .route(
            "/api/platforms/{platform}/{orgId}/{integrationId}/permits",
            post(permits::take),
        )
        // Every answer shows the quota; without a decision none is given.
        .route_layer(from_fn(add_quota_headers));
    let routes = Router::new()
        .route("/health", get(health::show))
        .route("/api/platforms", get(platforms::list))
        .merge(for_members)
        .merge(metered)
        .fallback(async || Problem::no_such_route())
        .method_not_allowed_fallback(other_method)
        .with_state(app);
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

#[cfg(test)]
mod tests;
