//! The dashboard API, behind API Gateway and its authorizer.

mod checking;
mod edge;
mod expiring;
mod integrations;
mod member;
mod metered;
mod notifications;
mod permits;
mod problem;
mod query;
mod rate_limits;
mod registering;
mod standing;

use axum::extract::{Request, State};
use axum::http::Uri;
use axum::middleware::{from_extractor, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use shared::IntegrationKey;
use shared::aws::quota::Limiter;
use shared::aws::tables::{
    Action, AuditTable, IntegrationsTable, MemberAction, NotificationsTable,
};
use shared::aws::token_cipher::TokenCipher;
use shared::domain::check_result::CheckResult;
use shared::domain::quota::Policies;
use shared::domain::route::RouteParameters;
use shared::registration::{Change, Disconnected, disconnect};
use shared::runtime::variables::InvalidVariable;
use shared::{Clock, Variables};
use tower::Layer;

use checking::{Asked, CheckTokens};
use member::Caller;
pub use member::Member;
use metered::Metered;
use permits::unknown_integration;
pub use problem::Problem;
use standing::Standing;

/// The function, wired.
#[derive(Debug, Clone)]
pub struct App {
    integrations: IntegrationsTable,
    notifications: NotificationsTable,
    audit: AuditTable,
    limiter: Limiter,
    /// Only to seal: nothing here may open a token.
    sealer: TokenCipher,
    check_tokens: CheckTokens,
    clock: Clock,
}

impl App {
    /// Wires the function: `INTEGRATIONS_TABLE`, `NOTIFICATIONS_TABLE`,
    /// `AUDIT_TABLE`, `QUOTAS_TABLE`, `TOKEN_KEY_ID`, `CHECK_TOKENS_FUNCTION`,
    /// and optionally `QUOTA_POLICIES` (the authorizer's).
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
            integrations: IntegrationsTable::new(
                dynamodb.clone(),
                variables.required("INTEGRATIONS_TABLE")?,
            ),
            notifications: NotificationsTable::new(
                dynamodb.clone(),
                variables.required("NOTIFICATIONS_TABLE")?,
            ),
            audit: AuditTable::new(
                dynamodb.clone(),
                variables.required("AUDIT_TABLE")?,
                clock.clone(),
            ),
            limiter: Limiter::new(
                dynamodb,
                variables.required("QUOTAS_TABLE")?,
                variables.parsed("QUOTA_POLICIES", Policies::default())?,
                clock.clone(),
            ),
            sealer: TokenCipher::new(
                aws_sdk_kms::Client::new(sdk),
                variables.required("TOKEN_KEY_ID")?,
                clock.clone(),
            ),
            check_tokens: CheckTokens::new(
                sdk,
                variables.required("CHECK_TOKENS_FUNCTION")?,
                clock.clone(),
            ),
            clock,
        })
    }

    /// Records what a person did. It is done, whether or not that succeeds.
    async fn record(&self, member: &Member, key: IntegrationKey, action: Action) {
        let by = member.user().clone();
        if let Err(error) = self
            .audit
            .record_action(key, MemberAction { action, by })
            .await
        {
            tracing::error!(%error, ?action, "the audit row of an action could not be written");
        }
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
            "/api/dashboard/{orgId}/integrations",
            get(list_integrations),
        )
        .route(
            "/api/dashboard/{orgId}/integrations/{integrationId}",
            get(one_integration)
                .put(register_integration)
                .delete(disconnect_integration),
        )
        .route(
            "/api/dashboard/{orgId}/integrations/{integrationId}/check",
            post(check_integration),
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
        .method_not_allowed_fallback(other_method)
        .with_state(app);
    // Around the router, not in it: the path is mended before it is routed.
    Router::new().fallback_service(from_fn(edge::pass).layer(routes))
}

/// A method that a route lacks; axum adds `Allow`. No caller is looked at: what
/// methods there are is the same for everybody.
async fn other_method(method: Method) -> Response {
    if method == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    Problem::method_not_allowed().into_response()
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

async fn list_integrations(
    member: Member,
    State(app): State<App>,
    uri: Uri,
) -> Result<Json<integrations::Listing>, Problem> {
    let query = integrations::Query::parse(uri.query())?;
    let now = app.clock.now();
    let listing = integrations::list(&app.integrations, member.org(), &query, now).await?;
    Ok(Json(listing))
}

async fn one_integration(
    member: Member,
    State(app): State<App>,
) -> Result<Json<integrations::One>, Problem> {
    let key = member.integration()?;
    let now = app.clock.now();
    let one = integrations::one(&app.integrations, &app.audit, &key, now).await?;
    Ok(Json(one))
}

async fn register_integration(
    member: Member,
    State(app): State<App>,
    request: Request,
) -> Result<(StatusCode, Json<Standing>), Problem> {
    member.must_manage()?;
    let key = member.integration()?;
    let registration = registering::read(request).await?;
    let now = app.clock.now();
    let registered = registration
        .store(&key, member.user(), &app.integrations, &app.sealer, now)
        .await?;
    let (status, action) = match registered.change {
        Change::Created => (StatusCode::CREATED, Some(Action::Registered)),
        Change::Replaced => (StatusCode::OK, Some(Action::Replaced)),
        Change::Unchanged => (StatusCode::OK, None),
    };
    if let Some(action) = action {
        app.record(&member, key, action).await;
    }
    Ok((status, Json(Standing::of(&registered.row, now))))
}

async fn disconnect_integration(
    member: Member,
    State(app): State<App>,
) -> Result<StatusCode, Problem> {
    member.must_manage()?;
    let key = member.integration()?;
    match disconnect(&key, &app.integrations, app.clock.now()).await? {
        Disconnected::Unknown => return Err(unknown_integration()),
        Disconnected::Already => {}
        Disconnected::Now => app.record(&member, key, Action::Disconnected).await,
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn check_integration(member: Member, State(app): State<App>) -> Result<Response, Problem> {
    member.must_manage()?;
    let key = member.integration()?;
    match app.check_tokens.ask(&key).await? {
        Asked::Done(checked) if checked.verdict == CheckResult::NotFound => {
            Err(unknown_integration())
        }
        Asked::Done(checked) => Ok(Json(checked).into_response()),
        Asked::GoesOn => {
            let IntegrationKey {
                org_id,
                integration_id,
            } = key;
            let message = format!(
                "The check takes longer than usual and goes on. Its result will be in the history \
                 of /api/dashboard/{org_id}/integrations/{integration_id}."
            );
            Ok((StatusCode::ACCEPTED, Json(json!({ "message": message }))).into_response())
        }
    }
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
    let RouteParameters {
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
    let key = member.integration()?;
    rate_limits::reset(&app.integrations, &app.limiter, &key).await?;
    app.record(&member, key, Action::QuotaReset).await;
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
