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
use axum::routing::{any, get, post};
use edge::layers::complete;

pub use app::{App, SetupError};
use caller::Caller;
pub use lambda_answer::{LambdaAnswer, service, with_every_header};
use metered::add_quota_headers;

/// The paths of an integration's routes begin so.
macro_rules! of_integration {
    ($route:literal) => {
        concat!("/api/platforms/{platform}/{orgId}/{integrationId}/", $route)
    };
}

/// Builds the routes.
pub fn router(app: App) -> Router {
    let unmetered = Router::new()
        .route(of_integration!("access-token"), post(access_token::take))
        .route(of_integration!("feedback"), post(feedback::take))
        .route(of_integration!("quota"), get(quota::show))
        // Not left to the handlers: no route above answers anyone else.
        .route_layer(from_extractor::<Caller>());
    // Every answer shows the quota; without a decision none is given.
    let permits = Router::new()
        .route(of_integration!("permits"), post(permits::take))
        .route_layer(from_fn(add_quota_headers));
    let proxy = Router::new()
        .route(of_integration!("proxy/{*path}"), any(proxy::forward))
        .route_layer(from_fn(add_quota_headers))
        .route_layer(map_response(proxy::explain));
    let routes = unmetered
        .merge(permits)
        .merge(proxy)
        // Lambda and the gateway have limits of their own; a handler may have a smaller one.
        .layer(DefaultBodyLimit::disable());
    complete(routes, app)
}

#[cfg(test)]
mod tests;
