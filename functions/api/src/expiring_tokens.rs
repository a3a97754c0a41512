//! The integrations that end soon: the original system's answer, field
//! for field.

use axum::Json;
use axum::extract::State;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use chrono::{DateTime, Utc};
use http::Uri;
use serde::Serialize;
use serde_json::Number;
use shared::domain::alert::reconnect_url;
use shared::domain::integration::Integration;
use shared::domain::severity::{MAX_WINDOW_DAYS, Severity, WarningWindow};
use shared::domain::time_left;
use shared::{IntegrationId, Platform};
use utoipa::{IntoParams, ToSchema};

use crate::app::App;
use crate::paging::{CURSOR_SOURCE, MAX_PAGE_BYTES, escaped_length};
use edge::member::Member;
use edge::problem::Problem;
use edge::query::QueryParameters;

/// The most rows in one answer. Only unrealistically long names reach [`MAX_PAGE_BYTES`] first.
const MAX_PAGE_ROWS: usize = 10_000;

#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
struct ExpiringQuery {
    /// How many days ahead; 7 if it is absent.
    #[param(rename = "days", value_type = Option<u32>, minimum = 1, maximum = 365)]
    window: WarningWindow,
    /// `next` of the page before.
    #[param(value_type = Option<String>)]
    next: Option<ExpiryCursor>,
}

/// The row after which a page begins.
#[derive(Debug, Clone, PartialEq)]
struct ExpiryCursor {
    reconnect_by: DateTime<Utc>,
    integration: IntegrationId,
}

/// The answer, soonest first.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(crate) struct ExpiringTokens {
    expiring_tokens: Vec<ExpiringToken>,
    // The counts are of the rows above.
    total_count: usize,
    critical_count: usize,
    urgent_count: usize,
    warning_count: usize,
    /// The value of `next` for the rest; absent on the last page.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
struct ExpiringToken {
    integration_id: IntegrationId,
    platform: Platform,
    platform_name: &'static str,
    username: String,
    account_id: String,
    expires_at: String,
    expires_at_human: String,
    #[schema(value_type = f64)]
    days_until_expiry: Number,
    #[schema(value_type = f64)]
    hours_until_expiry: Number,
    severity: Severity,
    has_refresh_token: bool,
    reconnect_url: String,
}

impl ExpiringQuery {
    fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let parameters = QueryParameters::parse(query, &["days", "next"])?;
        let allowed = format!("a whole number from 1 to {MAX_WINDOW_DAYS}");
        let window = parameters.get("days", &allowed, |value| value.parse().ok())?;
        let next = parameters.get("next", CURSOR_SOURCE, ExpiryCursor::decode)?;
        Ok(Self {
            window: window.unwrap_or_default(),
            next,
        })
    }
}

impl ExpiryCursor {
    fn after(row: &Integration) -> Option<Self> {
        Some(Self {
            reconnect_by: row.reconnect_by?,
            integration: row.integration_id.clone(),
        })
    }

    fn encode(&self) -> String {
        BASE64.encode(format!(
            "{}.{}",
            self.reconnect_by.timestamp(),
            self.integration
        ))
    }

    fn decode(cursor: &str) -> Option<Self> {
        let text = String::from_utf8(BASE64.decode(cursor).ok()?).ok()?;
        let (seconds, integration) = text.split_once('.')?;
        Some(Self {
            reconnect_by: DateTime::from_timestamp(seconds.parse().ok()?, 0)?,
            integration: IntegrationId::new(integration).ok()?,
        })
    }
}

/// Lists what ends soon
///
/// Soonest first. What has ended is not among it.
#[utoipa::path(
    get,
    path = "/api/dashboard/{orgId}/integrations/expiring-tokens",
    operation_id = "listExpiringTokens",
    tag = "Integrations",
    security(("bearer" = [])),
    params(ExpiringQuery),
    responses((status = 200, description = "At most 10,000 rows.", body = ExpiringTokens)),
)]
pub(crate) async fn list(
    member: Member,
    State(app): State<App>,
    uri: Uri,
) -> Result<Json<ExpiringTokens>, Problem> {
    let now = app.clock.now();
    let query = ExpiringQuery::parse(uri.query())?;
    let until = now + query.window.length();
    // A cursor outside the range is an error to DynamoDB. One that has expired
    // since lies before everything within the range.
    let start = match query.next {
        Some(cursor) if cursor.reconnect_by > until => return Ok(Json::default()),
        Some(cursor) if cursor.reconnect_by > now => Some(cursor),
        _ => None,
    };
    let start = start.map(|cursor| (cursor.reconnect_by, cursor.integration));
    // One more than fits, to know whether there is more.
    let found = app
        .integrations
        .expiring(member.org(), (now, until), MAX_PAGE_ROWS + 1, start)
        .await?;
    Ok(Json(page(&found, query.window, now)?))
}

fn page(
    found: &[Integration],
    window: WarningWindow,
    now: DateTime<Utc>,
) -> Result<ExpiringTokens, Problem> {
    let mut answer = ExpiringTokens::default();
    let mut bytes = 0;
    let mut last = None;
    for integration in found {
        let Some(row) = ExpiringToken::new(integration, window, now) else {
            continue;
        };
        bytes += escaped_length(&serde_json::to_string(&row).map_err(Problem::internal)?);
        if answer.total_count == MAX_PAGE_ROWS || bytes > MAX_PAGE_BYTES {
            answer.next = last
                .and_then(ExpiryCursor::after)
                .map(|cursor| cursor.encode());
            break;
        }
        answer.total_count += 1;
        match row.severity {
            Severity::Critical => answer.critical_count += 1,
            Severity::Urgent => answer.urgent_count += 1,
            _ => answer.warning_count += 1,
        }
        answer.expiring_tokens.push(row);
        last = Some(integration);
    }
    Ok(answer)
}

impl ExpiringToken {
    /// Returns `None` for an integration that does not expire after `now` and within the window.
    fn new(integration: &Integration, window: WarningWindow, now: DateTime<Utc>) -> Option<Self> {
        let reconnect_by = integration.reconnect_by.filter(|at| *at > now)?;
        Some(Self {
            integration_id: integration.integration_id.clone(),
            platform: integration.platform,
            platform_name: integration.platform.display_name(),
            username: integration.account.username.clone(),
            account_id: integration.account.id.clone(),
            expires_at: reconnect_by.to_rfc3339(),
            expires_at_human: time_left::humanly(reconnect_by, now),
            days_until_expiry: shortest_number(time_left::days_until(reconnect_by, now)),
            hours_until_expiry: shortest_number(time_left::hours_until(reconnect_by, now)),
            severity: Severity::at(reconnect_by, now, window)?,
            has_refresh_token: integration.credential.refresh_token.is_some(),
            reconnect_url: reconnect_url(&integration.org_id, &integration.integration_id),
        })
    }
}

/// Writes a number as the original system does: 7, not 7.0.
#[expect(
    clippy::cast_possible_truncation,
    reason = "days and hours of a year at most"
)]
fn shortest_number(value: f64) -> Number {
    if value.fract() == 0.0 {
        Number::from(value as i64)
    } else {
        Number::from_f64(value).unwrap_or_else(|| Number::from(0))
    }
}

#[cfg(test)]
mod tests;
