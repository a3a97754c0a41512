//! What applications call, behind API Gateway and its authorizer: permits, access tokens, the
//! proxy to the platforms, and feedback. The API for people is another function, which can open
//! no token.

mod access_token;
mod app;
mod caller;
mod feedback;
mod lambda_answer;
mod metered;
mod permits;
mod proxy;
mod quota;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_extractor, from_fn, map_response};
use edge::layers::complete;
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use app::{App, SetupError};
use caller::Caller;
pub use lambda_answer::{LambdaAnswer, service, with_every_header};
use metered::add_quota_headers;

/// The routes, and their document.
fn routes() -> OpenApiRouter<App> {
    let unmetered = OpenApiRouter::new()
        .routes(routes!(access_token::take))
        .routes(routes!(feedback::take))
        .routes(routes!(quota::show))
        // Not left to the handlers: no route above answers anyone else.
        .route_layer(from_extractor::<Caller>());
    // Every answer shows the quota; without a decision none is given.
    let permits = OpenApiRouter::new()
        .routes(routes!(permits::take))
        .route_layer(from_fn(add_quota_headers));
    let proxy = OpenApiRouter::new()
        .routes(routes!(proxy::forward))
        .route_layer(from_fn(add_quota_headers))
        .route_layer(map_response(proxy::explain));
    unmetered.merge(permits).merge(proxy)
}

/// Builds the function as a service for [`service`].
pub fn router(app: App) -> Router {
    let (routes, _) = routes().split_for_parts();
    // Lambda and the gateway have limits of their own; a handler may have a smaller one.
    complete(routes.layer(DefaultBodyLimit::disable()), app)
}

/// Returns what is particular to each route. [`edge::openapi::document`] adds what they share.
pub fn openapi() -> OpenApi {
    routes().into_openapi()
}

#[cfg(test)]
mod tests;
