//! The dashboard API, behind API Gateway and its authorizer.

mod edge;
mod expiring;
mod member;
mod metered;
mod notifications;
mod permits;
mod problem;
mod query;
mod rate_limits;

use axum::extract::State;
use axum::http::Uri;
use axum::middleware::{from_extractor, from_fn};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde_json::{Value, json};
use shared::place::Place;
use shared::quota::{Limiter, Policies};
use shared::store::{Integrations, Notifications};
use shared::variables::InvalidVariable;
use shared::{Clock, Variables};
use tower::Layer;

use member::Caller;
pub use member::Member;
use metered::Metered;
pub use problem::Problem;

/// The function, wired.
#[derive(Debug, Clone)]
pub struct App {
    integrations: Integrations,
    notifications: Notifications,
    limiter: Limiter,
    clock: Clock,
}

impl App {
    /// Wires the function: `INTEGRATIONS_TABLE`, `NOTIFICATIONS_TABLE`,
    /// `QUOTAS_TABLE`, and optionally `QUOTA_POLICIES` (the authorizer's).
    ///
    /// # Errors
    /// Names the variable that is missing or unusable.
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
            notifications: Notifications::new(
                dynamodb.clone(),
                variables.required("NOTIFICATIONS_TABLE")?,
            ),
            limiter: Limiter::new(
                dynamodb,
                variables.required("QUOTAS_TABLE")?,
                Policies::from_variables(variables)?,
                clock.clone(),
            ),
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
        .route("/api/dashboard/{orgId}/rate-limits", get(rate_limits))
        .route(
            "/api/dashboard/{orgId}/integrations/{integrationId}/rate-limit",
            delete(reset_rate_limit),
        )
        // Not left to the handlers: no route above answers anyone but a member.
        .route_layer(from_extractor::<Member>());
    let metered = Router::new()
        .route(
            "/api/platforms/{platform}/{orgId}/{integrationId}/permits",
            post(take_permit),
        )
        // Every answer of theirs tells how the quota stands, and none is given
        // where nobody knows.
        .route_layer(from_fn(metered::pass));
    let routes = Router::new()
        .route("/health", get(health))
        .route("/api/platforms", get(platforms))
        .merge(for_members)
        .merge(metered)
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

async fn rate_limits(
    member: Member,
    State(app): State<App>,
    uri: Uri,
) -> Result<Json<rate_limits::Listing>, Problem> {
    let query = rate_limits::Query::parse(uri.query())?;
    let listing = rate_limits::list(&app.integrations, &app.limiter, member.org(), &query).await?;
    Ok(Json(listing))
}

async fn reset_rate_limit(member: Member, State(app): State<App>) -> Result<StatusCode, Problem> {
    member.must_manage()?;
    rate_limits::reset(&app.integrations, &app.limiter, member.place()).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn platforms(_: Caller, State(app): State<App>) -> Json<rate_limits::Platforms> {
    Json(rate_limits::Platforms::of(app.limiter.policies()))
}

async fn take_permit(
    metered: Metered,
    State(app): State<App>,
) -> Result<Json<permits::Permit>, Problem> {
    Ok(Json(permits::hand_out(&app.integrations, metered).await?))
}

#[cfg(test)]
mod tests;
