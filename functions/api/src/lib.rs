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
mod openapi;
mod organizations;
mod page;
mod paging;
mod platforms;
mod rate_limits;
mod sign_in;

use axum::Router;
use axum::middleware::{from_extractor, from_fn};
use edge::layers::complete;
use edge::member::Member;
use tower_http::compression::CompressionLayer;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use app::App;

/// The routes, and their document.
fn routes() -> OpenApiRouter<App> {
    let for_members = OpenApiRouter::new()
        .routes(routes!(expiring_tokens::list))
        .routes(routes!(integrations::list))
        .routes(routes!(
            integrations::show,
            integrations::register,
            integrations::disconnect
        ))
        .routes(routes!(check::check))
        .routes(routes!(consent::begin))
        .routes(routes!(consent::confirm))
        .routes(routes!(notifications::list))
        .routes(routes!(notifications::mark_read))
        .routes(routes!(notifications::mark_all_read))
        .routes(routes!(members::list))
        .routes(routes!(members::show, members::put, members::remove))
        .routes(routes!(rate_limits::list))
        .routes(routes!(rate_limits::reset))
        // Not left to the handlers: no route above answers anyone but a member.
        .route_layer(from_extractor::<Member>());
    OpenApiRouter::new()
        .routes(routes!(platforms::list))
        .routes(routes!(organizations::list))
        .merge(for_members)
        .layer(from_fn(etag::tag))
        .routes(routes!(health::show))
        .routes(routes!(consent::callback))
        .routes(routes!(sign_in::show))
        .routes(routes!(sign_in::token))
        .routes(routes!(page::asset))
        .routes(routes!(openapi::show))
        .merge(page::routes())
}

/// Builds the API as a service for `lambda_http`.
pub fn router(app: App) -> Router {
    let (routes, _) = routes().split_for_parts();
    let cors = app.cors.clone();
    let routes = complete(routes.layer(CompressionLayer::new()), app);
    match cors {
        // Around the rest: a preflight has no caller, and is no request of a route.
        Some(cors) => routes.layer(cors),
        None => routes,
    }
}

/// Returns what is particular to each route. [`edge::openapi::document`] adds what they share.
pub fn openapi() -> OpenApi {
    routes().into_openapi()
}

#[cfg(test)]
mod tests;
