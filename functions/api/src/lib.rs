//! The dashboard API, behind API Gateway and its authorizer.

mod edge;
mod expiring;
mod member;
mod notifications;
mod problem;
mod query;

use axum::extract::State;
use axum::http::Uri;
use axum::middleware::{from_extractor, from_fn};
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};
use shared::place::Place;
use shared::store::{Integrations, Notifications};
use shared::variables::InvalidVariable;
use shared::{Clock, Variables};
use tower::Layer;

pub use member::Member;
pub use problem::Problem;

/// The function, wired.
#[derive(Debug, Clone)]
pub struct App {
    integrations: Integrations,
    notifications: Notifications,
    clock: Clock,
}

impl App {
    /// Wires the function: `INTEGRATIONS_TABLE` and `NOTIFICATIONS_TABLE`.
    ///
    /// # Errors
    /// A variable is missing.
    pub fn wire(
        sdk: &aws_config::SdkConfig,
        variables: &Variables,
        clock: Clock,
    ) -> Result<Self, InvalidVariable> {
        let dynamodb = aws_sdk_dynamodb::Client::new(sdk);
        Ok(Self {
            integrations: Integrations::new(
                dynamodb.clone(),
                variables.required("INTEGRATIONS_TABLE")?,
            ),
            notifications: Notifications::new(dynamodb, variables.required("NOTIFICATIONS_TABLE")?),
            clock,
        })
    }
}

/// The API as a service, for `lambda_http`.
pub fn router(app: App) -> Router {
    let for_members = Router::new()
        .route(
            "/api/dashboard/{orgId}/integrations/expiring-tokens",
            get(expiring_tokens),
        )
        .route(
            "/api/dashboard/{orgId}/notifications",
            get(list_notifications),
        )
        .route(
            "/api/dashboard/{orgId}/notifications/{notificationId}/read",
            post(read_notification),
        )
        // Not left to the handlers: no route above answers anyone but a member.
        .route_layer(from_extractor::<Member>());
    let routes = Router::new()
        .route("/health", get(health))
        .merge(for_members)
        .fallback(async || Problem::not_found("There is no such route."))
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .with_state(app);
    // Around the router, not in it: the path is mended before it is routed.
    Router::new().fallback_service(from_fn(edge::pass).layer(routes))
}

async fn health() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

async fn expiring_tokens(
    member: Member,
    State(app): State<App>,
    uri: Uri,
) -> Result<Json<expiring::ExpiringTokens>, Problem> {
    let now = app.clock.now();
    let query = expiring::Query::parse(uri.query())?;
    let answer = expiring::list(&app.integrations, member.org(), &query, now).await?;
    Ok(Json(answer))
}

async fn list_notifications(
    member: Member,
    State(app): State<App>,
    uri: Uri,
) -> Result<Json<notifications::Listing>, Problem> {
    let query = notifications::Query::parse(uri.query())?;
    let listing =
        notifications::list(&app.notifications, member.user(), member.org(), &query).await?;
    Ok(Json(listing))
}

async fn read_notification(member: Member, State(app): State<App>) -> Result<StatusCode, Problem> {
    let Place {
        org, notification, ..
    } = member.place();
    let id = notification.as_deref().unwrap_or_default();
    if app.notifications.mark_read(member.user(), org, id).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(Problem::not_found("You have no such notification."))
    }
}

#[cfg(test)]
mod tests;
