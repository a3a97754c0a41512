//! An organisation's integrations: list, show, register, disconnect.

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use chrono::{DateTime, Utc};
use http::{StatusCode, Uri};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use shared::aws::tables::{Action, AuditEntry, Found};
use shared::domain::integration::Integration;
use shared::domain::integration_status::IntegrationStatus;
use shared::registration::import::MAX_LINE;
use shared::registration::{self, Change, Disconnected, Origin, Registration};
use shared::{IntegrationId, OrgId, Platform};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::integration_view::{DamagedIntegration, IntegrationView, ShownIntegration, StateName};
use crate::late_sweep::unchecked_since;
use crate::paging::{
    CURSOR_SOURCE, LIMIT_RANGE, MAX_PAGE_BYTES, decode_cursor, encode_cursor, escaped_length,
    parse_limit,
};
use edge::member::Member;
use edge::problem::Problem;
use edge::query::QueryParameters;

const DEFAULT_LIMIT: usize = 50;
/// The most rows that one filtered request reads, however few match.
const MAX_EXAMINED_ROWS: usize = 1_000;
/// How many of these rows one query of the table reads.
const FILTERED_PAGE_ROWS: usize = 200;
/// The most audit events that are shown with an integration.
const MAX_HISTORY: usize = 50;

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
struct IntegrationsQuery {
    platform: Option<Platform>,
    state: Option<StateName>,
    status: Option<IntegrationStatus>,
    /// The most rows of the answer; 50 if it is absent.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 1000)]
    limit: usize,
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    next: Option<IntegrationId>,
}

/// One page, in the order of ids. A filtered page may be short or empty without being the last.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IntegrationList {
    #[serde(flatten)]
    page: IntegrationPage,
    /// Since when no sweep has looked at anything, if sweeps are late. The first page says it.
    unchecked_since: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize, ToSchema)]
struct IntegrationPage {
    integrations: Vec<ShownIntegration>,
    /// The value of `next` for the following page; null on the last.
    next: Option<String>,
}

/// An integration and its latest audit events, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IntegrationWithHistory {
    #[serde(flatten)]
    integration: ShownIntegration,
    history: Vec<AuditEntry>,
}

impl IntegrationsQuery {
    fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let known = ["platform", "state", "status", "limit", "next"];
        let parameters = QueryParameters::parse(query, &known)?;
        let platforms = format!("one of {}", Platform::names());
        let platform = parameters.get("platform", &platforms, |name| name.parse().ok())?;
        let states = "one of active, retrying, reconnect_required, platform_action_required, \
                      disconnected, damaged";
        let statuses =
            "one of healthy, not_monitored, renewing, expiring, failing, broken, disconnected";
        let next = parameters.get("next", CURSOR_SOURCE, decode_cursor)?;
        Ok(Self {
            platform,
            state: parameters.get("state", states, from_name)?,
            status: parameters.get("status", statuses, from_name)?,
            limit: parameters
                .get("limit", LIMIT_RANGE, parse_limit)?
                .unwrap_or(DEFAULT_LIMIT),
            next,
        })
    }

    fn is_filtered(&self) -> bool {
        self.platform.is_some() || self.state.is_some() || self.status.is_some()
    }

    fn matches(&self, row: &Integration, now: DateTime<Utc>) -> bool {
        self.platform
            .is_none_or(|platform| platform == row.platform)
            && self
                .state
                .is_none_or(|state| state == StateName::from_state(&row.state))
            && self
                .status
                .is_none_or(|status| status == IntegrationStatus::from_row(row, now))
    }

    /// Whether a damaged integration matches. A platform filter excludes it: its platform is
    /// unknown.
    fn matches_damaged(&self) -> bool {
        self.platform.is_none()
            && self.state.is_none_or(|state| state == StateName::Damaged)
            && self
                .status
                .is_none_or(|status| status == IntegrationStatus::Broken)
    }
}

fn from_name<T: DeserializeOwned>(name: &str) -> Option<T> {
    serde_json::from_value(Value::String(name.to_owned())).ok()
}

/// Lists integrations
///
/// One page. A filtered page may be short or empty without being the last.
#[utoipa::path(
    get,
    path = "/api/dashboard/{orgId}/integrations",
    operation_id = "listIntegrations",
    tag = "Integrations",
    security(("bearer" = [])),
    params(IntegrationsQuery),
    responses((status = 200, description = "One page, in the order of ids.", body = IntegrationList)),
)]
pub(crate) async fn list(
    member: Member,
    State(app): State<App>,
    uri: Uri,
) -> Result<Json<IntegrationList>, Problem> {
    let query = IntegrationsQuery::parse(uri.query())?;
    let last_sweep = async {
        match query.next {
            None => app.audit.last_sweep().await.map(Some),
            Some(_) => Ok(None),
        }
    };
    let (page, last_sweep) = tokio::join!(find(&app, member.org(), &query), last_sweep);
    let page = page?;
    let unchecked_since = match last_sweep {
        Ok(Some(last_sweep)) => {
            let grants = page.integrations.iter();
            let oldest_grant = grants.filter_map(ShownIntegration::granted_at).min();
            unchecked_since(last_sweep, oldest_grant, app.clock.now())
        }
        Ok(None) => None,
        // The integrations are what was asked for.
        Err(error) => {
            tracing::error!(%error, "when a sweep ended last is not known");
            None
        }
    };
    Ok(Json(IntegrationList {
        unchecked_since,
        page,
    }))
}

async fn find(
    app: &App,
    org: &OrgId,
    query: &IntegrationsQuery,
) -> Result<IntegrationPage, Problem> {
    let now = app.clock.now();
    let page_rows = match query.is_filtered() {
        true => FILTERED_PAGE_ROWS,
        false => query.limit,
    };
    let mut found = Vec::new();
    let mut bytes = 0;
    let mut after = query.next.clone();
    for _ in 0..MAX_EXAMINED_ROWS / FILTERED_PAGE_ROWS {
        let page = app
            .integrations
            .overview(org, page_rows, after.as_ref())
            .await?;
        for row in page.rows {
            let (shown, id) = match row {
                Ok(row) => {
                    let shown = query.matches(&row, now).then(|| shown(&row, now));
                    (shown, row.integration_id)
                }
                Err(id) => {
                    let shown = query.matches_damaged().then(|| damaged(org, &id));
                    (shown, id)
                }
            };
            if let Some(shown) = shown {
                bytes += escaped_length(&serde_json::to_string(&shown).map_err(Problem::internal)?);
                // One is always shown, or no page would ever get past it.
                if found.len() == query.limit || bytes > MAX_PAGE_BYTES && !found.is_empty() {
                    return Ok(IntegrationPage {
                        integrations: found,
                        next: after.as_ref().map(encode_cursor),
                    });
                }
                found.push(shown);
            }
            after = Some(id);
        }
        if page.next.is_none() {
            after = None;
            break;
        }
        if found.len() == query.limit {
            break;
        }
    }
    Ok(IntegrationPage {
        integrations: found,
        next: after.as_ref().map(encode_cursor),
    })
}

fn shown(row: &Integration, now: DateTime<Utc>) -> ShownIntegration {
    ShownIntegration::Readable(Box::new(IntegrationView::new(row, now)))
}

fn damaged(org: &OrgId, id: &IntegrationId) -> ShownIntegration {
    ShownIntegration::Damaged(DamagedIntegration::new(org, id))
}

/// Shows an integration
///
/// With its latest audit events.
#[utoipa::path(
    get,
    path = "/api/dashboard/{orgId}/integrations/{integrationId}",
    operation_id = "getIntegration",
    tag = "Integrations",
    security(("bearer" = [])),
    responses((status = 200, description = "The integration and its history.", body = IntegrationWithHistory)),
)]
pub(crate) async fn show(
    member: Member,
    State(app): State<App>,
) -> Result<Json<IntegrationWithHistory>, Problem> {
    let key = member.integration()?;
    let (found, history) = tokio::try_join!(
        app.integrations.find(&key),
        app.audit.history(&key, MAX_HISTORY)
    )?;
    let integration = match found {
        Found::Nothing => return Err(Problem::unknown_integration()),
        Found::Row(row) => shown(&row, app.clock.now()),
        Found::Damaged { .. } => damaged(&key.org_id, &key.integration_id),
    };
    Ok(Json(IntegrationWithHistory {
        integration,
        history,
    }))
}

/// Registers an integration, or replaces its credential
///
/// Absent `metadata` leaves what is stored; without `refresh_token` the new credential has none. The
/// same tokens again replace nothing.
#[utoipa::path(
    put,
    path = "/api/dashboard/{orgId}/integrations/{integrationId}",
    operation_id = "putIntegration",
    tag = "Integrations",
    security(("bearer" = ["manage_integrations"])),
    request_body(content = Registration, example = json!({
        "platform": "google", "username": "Example Ads", "account_id": "1234567890",
        "access_token": "access-token", "refresh_token": "refresh-token",
        "token_expires_at": "2026-11-30T09:00:00Z",
    })),
    responses(
        (status = 201, description = "It is registered.", body = IntegrationView),
        (status = 200, description = "It has this credential.", body = IntegrationView),
        (status = 413, description = "The body is longer than 128 KiB."),
        (status = 503, description = "Others kept changing it, or the caller could not be checked."),
    ),
)]
pub(crate) async fn register(
    member: Member,
    State(app): State<App>,
    request: Request,
) -> Result<(StatusCode, Json<IntegrationView>), Problem> {
    member.must_manage()?;
    let key = member.integration()?;
    let body = to_bytes(request.into_body(), MAX_LINE).await;
    let body = body.map_err(|_| {
        Problem::too_large(format!(
            "The body must be at most {MAX_LINE} bytes of JSON."
        ))
    })?;
    let registration = parse_registration(&body)?;
    let now = app.clock.now();
    let registered = registration
        .store(
            &key,
            member.user(),
            Origin::HandedOver,
            &app.integrations,
            &app.sealer,
            now,
        )
        .await?;
    let (status, action) = match registered.change {
        Change::Created => (StatusCode::CREATED, Some(Action::Registered)),
        Change::Replaced => (StatusCode::OK, Some(Action::Replaced)),
        Change::Unchanged => (StatusCode::OK, None),
    };
    if let Some(action) = action {
        app.record(&member, key, action).await;
    }
    Ok((status, Json(IntegrationView::new(&registered.row, now))))
}

fn parse_registration(body: &[u8]) -> Result<Registration, Problem> {
    Registration::parse(body).map_err(|faults| Problem::bad_request(format!("{faults}.")))
}

/// Disconnects an integration
///
/// Erases its tokens, also where the row cannot be read. The second request is answered as the first.
#[utoipa::path(
    delete,
    path = "/api/dashboard/{orgId}/integrations/{integrationId}",
    operation_id = "deleteIntegration",
    tag = "Integrations",
    security(("bearer" = ["manage_integrations"])),
    responses((status = 204, description = "Its tokens are erased.")),
)]
pub(crate) async fn disconnect(
    member: Member,
    State(app): State<App>,
) -> Result<StatusCode, Problem> {
    member.must_manage()?;
    let key = member.integration()?;
    match registration::disconnect(&key, &app.integrations, app.clock.now()).await? {
        Disconnected::Unknown => return Err(Problem::unknown_integration()),
        Disconnected::Already => {}
        Disconnected::Now => app.record(&member, key, Action::Disconnected).await,
    }
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests;
