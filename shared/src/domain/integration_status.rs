//! What an integration's state amounts to now, in one word.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::integration::{Integration, State};
use super::severity::{Severity, WarningWindow};

/// Leaves time for two sweeps: a due refresh happens in the next one, or the one after it.
pub(super) const OVERDUE_AFTER: TimeDelta = TimeDelta::minutes(15);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum IntegrationStatus {
    /// Nobody needs to do anything.
    Healthy,
    /// Nothing would show that the integration has died: no refresh, no end, no answered free
    /// probe.
    NotMonitored,
    /// A refresh is due or under way.
    Renewing,
    /// The integration expires within a week unless a person acts.
    Expiring,
    /// A refresh fails for now, or has not happened although it was due.
    Failing,
    /// Only a person can repair the integration.
    Broken,
    /// A person has switched the integration off.
    Disconnected,
}

impl IntegrationStatus {
    /// Returns the status of `row`; of several that hold, the one that matters most.
    #[must_use]
    pub fn from_row(row: &Integration, now: DateTime<Utc>) -> Self {
        let reconnect_by = row.reconnect_by(now);
        let due = row.refresh_due_at(now).is_some_and(|at| at <= now);
        let overdue = overdue_since(row, now).is_some();
        match row.state {
            State::Disconnected { .. } => Self::Disconnected,
            State::ReconnectRequired { .. } | State::PlatformActionRequired { .. } => Self::Broken,
            // Also past its end: a refresh token may yet bring it back.
            State::Active if row.is_leased(now) || due && !overdue => Self::Renewing,
            _ if reconnect_by.is_some_and(|at| at <= now) => Self::Broken,
            State::Retrying { .. } => Self::Failing,
            State::Active if overdue => Self::Failing,
            State::Active if alert_threshold(row, now).is_some() => Self::Expiring,
            State::Active if !row.is_monitored(now) => Self::NotMonitored,
            State::Active => Self::Healthy,
        }
    }
}

/// Returns the alert threshold that `row` has crossed, by the default warning window.
#[must_use]
pub fn alert_threshold(row: &Integration, now: DateTime<Utc>) -> Option<Severity> {
    Severity::at(row.reconnect_by(now)?, now, WarningWindow::default())
}

/// Returns since when a refresh has been due, if for at least [`OVERDUE_AFTER`].
pub(super) fn overdue_since(row: &Integration, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let due = row.refresh_due_at(now)?;
    (due + OVERDUE_AFTER <= now).then_some(due)
}
