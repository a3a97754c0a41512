//! The dashboard API, behind API Gateway and its authorizer: one file for each
//! resource, with its query, its answers, its handlers and their tests.

mod address;
mod app;
mod check;
mod consent;
mod cors;
mod etag;
mod expiring_tokens;
mod health;
mod integration_view;
mod integrations;
mod late_sweep;
mod members;
mod notifications;
mod organizations;
mod page;
mod paging;
mod platforms;
mod rate_limits;
mod sign_in;

use axum::Router;
use axum::middleware::{from_extractor, from_fn};
use axum::routing::{delete, get, post};
use edge::layers::complete;
use edge::member::Member;
use tower_http::compression::CompressionLayer;

pub use app::App;

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
            "/api/dashboard/{orgId}/integrations/{integrationId}/consent",
            post(consent::begin),
        )
        .route(
            "/api/dashboard/{orgId}/integrations/{integrationId}/consent/confirm",
            post(consent::confirm),
        )
        .route(
            "/api/dashboard/{orgId}/notifications",
            get(notifications::list),
        )
        .route(
            "/api/dashboard/{orgId}/notifications/{notificationId}/read",
            post(notifications::mark_read),
        )
        .route(
            "/api/dashboard/{orgId}/notifications/read-all",
            post(notifications::mark_all_read),
        )
        .route("/api/dashboard/{orgId}/members", get(members::list))
        .route(
            "/api/dashboard/{orgId}/members/{userId}",
            get(members::show).put(members::put).delete(members::remove),
        )
        .route("/api/dashboard/{orgId}/rate-limits", get(rate_limits::list))
        .route(
            "/api/dashboard/{orgId}/integrations/{integrationId}/rate-limit",
            delete(rate_limits::reset),
        )
        // Not left to the handlers: no route above answers anyone but a member.
        .route_layer(from_extractor::<Member>());
    let routes = Router::new()
        .route("/api/platforms", get(platforms::list))
        .route("/api/organizations", get(organizations::list))
        .merge(for_members)
        .layer(from_fn(etag::tag))
        .route("/health", get(health::show))
        .route("/oauth/callback", get(consent::callback))
        .route("/sign-in", get(sign_in::show))
        .route("/sign-in/token", post(sign_in::token))
        .route("/assets/{digest}/{*path}", get(page::asset))
        .merge(page::router())
        .layer(CompressionLayer::new());
    let cors = app.cors.clone();
    let routes = complete(routes, app);
    match cors {
        // Around the rest: a preflight has no caller, and is no request of a route.
        Some(cors) => routes.layer(cors),
        None => routes,
    }
}

#[cfg(test)]
mod tests;
