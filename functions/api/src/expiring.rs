//! The integrations that end soon: the original system's answer, field
//! for field.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Number;
use shared::aws::tables::IntegrationsTable;
use shared::domain::alert::reconnect_url;
use shared::domain::integration::Integration;
use shared::domain::severity::{MAX_WINDOW_DAYS, Severity, WarningWindow};
use shared::domain::time_left;
use shared::{IntegrationId, OrgId, Platform};

use crate::problem::Problem;
use crate::query::Parameters;

/// The most rows in one answer.
const MOST: usize = 10_000;
/// The most bytes of rows in one answer, as they stand in the JSON string that
/// Lambda hands over: a response may have 6 MB there. Only names far longer
/// than real ones reach it before [`MOST`] does.
pub(crate) const MOST_BYTES: usize = 5_500_000;

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Query {
    window: WarningWindow,
    next: Option<Position>,
}

/// The row after which a page begins.
#[derive(Debug, Clone, PartialEq)]
struct Position {
    reconnect_by: DateTime<Utc>,
    integration: IntegrationId,
}

/// The answer, soonest first.
#[derive(Debug, Default, Serialize)]
pub(crate) struct ExpiringTokens {
    expiring_tokens: Vec<Row>,
    // The counts are of the rows above.
    total_count: usize,
    critical_count: usize,
    urgent_count: usize,
    warning_count: usize,
    /// What to ask for as `next` to get the rest; absent when this is all.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

#[derive(Debug, Serialize)]
struct Row {
    integration_id: IntegrationId,
    platform: Platform,
    platform_name: &'static str,
    username: String,
    account_id: String,
    expires_at: String,
    expires_at_human: String,
    days_until_expiry: Number,
    hours_until_expiry: Number,
    severity: Severity,
    has_refresh_token: bool,
    reconnect_url: String,
}

impl Query {
    pub(crate) fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let parameters = Parameters::parse(query, &["days", "next"])?;
        let allowed = format!("a whole number from 1 to {MAX_WINDOW_DAYS}");
        let window = parameters.get("days", &allowed, |value| value.parse().ok())?;
        let next = parameters.get("next", "what the page before said", Position::read)?;
        Ok(Self {
            window: window.unwrap_or_default(),
            next,
        })
    }
}

impl Position {
    fn of(row: &Integration) -> Option<Self> {
        Some(Self {
            reconnect_by: row.reconnect_by?,
            integration: row.integration_id.clone(),
        })
    }

    fn write(&self) -> String {
        BASE64.encode(format!(
            "{}.{}",
            self.reconnect_by.timestamp(),
            self.integration
        ))
    }

    fn read(cursor: &str) -> Option<Self> {
        let text = String::from_utf8(BASE64.decode(cursor).ok()?).ok()?;
        let (seconds, integration) = text.split_once('.')?;
        Some(Self {
            reconnect_by: DateTime::from_timestamp(seconds.parse().ok()?, 0)?,
            integration: IntegrationId::new(integration).ok()?,
        })
    }
}

/// Reads what expires within the window, after the page before.
pub(crate) async fn list(
    integrations: &IntegrationsTable,
    org: &OrgId,
    query: &Query,
    now: DateTime<Utc>,
) -> Result<ExpiringTokens, Problem> {
    let until = now + query.window.length();
    // A position outside the range is an error to DynamoDB. One that has expired
    // since lies before everything that is asked for now.
    let start = match &query.next {
        Some(position) if position.reconnect_by > until => return Ok(ExpiringTokens::default()),
        Some(position) if position.reconnect_by > now => Some(position.clone()),
        _ => None,
    };
    let start = start.map(|position| (position.reconnect_by, position.integration));
    // One more than fits, to know whether there is more.
    let found = integrations
        .expiring(org, (now, until), MOST + 1, start)
        .await?;
    page(&found.rows, query.window, now)
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
        let Some(row) = Row::of(integration, window, now) else {
            continue;
        };
        bytes += escaped_length(&serde_json::to_string(&row).map_err(Problem::internal)?);
        if answer.total_count == MOST || bytes > MOST_BYTES {
            answer.next = last.and_then(Position::of).map(|position| position.write());
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

/// The length of JSON as part of a JSON string.
pub(crate) fn escaped_length(json: &str) -> usize {
    let escapes = json.bytes().filter(|byte| matches!(byte, b'"' | b'\\'));
    json.len() + escapes.count() + ",".len()
}

impl Row {
    /// The row of an integration that expires after `now` and within the window.
    fn of(integration: &Integration, window: WarningWindow, now: DateTime<Utc>) -> Option<Self> {
        let reconnect_by = integration.reconnect_by.filter(|at| *at > now)?;
        Some(Self {
            integration_id: integration.integration_id.clone(),
            platform: integration.platform,
            platform_name: integration.platform.display_name(),
            username: integration.account.username.clone(),
            account_id: integration.account.id.clone(),
            expires_at: reconnect_by.to_rfc3339(),
            expires_at_human: time_left::humanly(reconnect_by, now),
            days_until_expiry: number(time_left::days_until(reconnect_by, now)),
            hours_until_expiry: number(time_left::hours_until(reconnect_by, now)),
            severity: Severity::of(reconnect_by, now, window)?,
            has_refresh_token: integration.credential.refresh_token.is_some(),
            reconnect_url: reconnect_url(&integration.org_id, &integration.integration_id),
        })
    }
}

/// A number as the original system writes it: 7, not 7.0.
#[expect(
    clippy::cast_possible_truncation,
    reason = "days and hours of a year at most"
)]
fn number(value: f64) -> Number {
    if value.fract() == 0.0 {
        Number::from(value as i64)
    } else {
        Number::from_f64(value).unwrap_or_else(|| Number::from(0))
    }
}

#[cfg(test)]
mod tests;
