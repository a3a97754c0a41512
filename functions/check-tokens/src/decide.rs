//! Decides what to do about an integration, without I/O.

use chrono::{DateTime, Utc};
use shared::domain::check_result::CheckResult;
use shared::domain::integration::{Integration, RetryReason, State};
use shared::domain::platform_health::Availability;
use shared::platforms::catalog::RefreshModel;

/// Why an integration is processed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// The integration's `next_action_at` is within the horizon.
    Due,
    /// The attempt shows whether an open circuit breaker may close.
    HalfOpenTrial,
    /// A person asks for a check.
    Manual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttemptKind {
    Refresh,
    Probe,
}

/// Whether this row has anything due. The index lags behind the table: only the row itself says
/// what is due.
pub(crate) fn is_due(
    row: &Integration,
    trigger: Trigger,
    horizon: DateTime<Utc>,
    now: DateTime<Utc>,
) -> bool {
    let is_due = match trigger {
        Trigger::Due => row.next_action_at.is_some_and(|at| at <= horizon),
        Trigger::HalfOpenTrial if row.refresh_model() == RefreshModel::None => {
            row.credential.access_token.is_some()
        }
        Trigger::HalfOpenTrial => row.is_refreshable(now) && row.refresh_due_at(now).is_some(),
        Trigger::Manual => true,
    };
    is_due && !row.is_leased(now)
}

/// Returns why a check leaves this row alone, if it does.
pub(crate) fn obstacle_to_check(row: &Integration, now: DateTime<Utc>) -> Option<CheckResult> {
    if row.credential.access_token.is_none() {
        Some(CheckResult::Disconnected)
    } else if row.is_leased(now) {
        Some(CheckResult::Busy)
    } else if is_asked_to_wait(row, now) {
        Some(CheckResult::HeldBack)
    } else {
        None
    }
}

/// Whether the platform asked this integration to wait, which even a check by a person respects.
fn is_asked_to_wait(row: &Integration, now: DateTime<Utc>) -> bool {
    matches!(
        row.state,
        // Without a failure of its own it was held back with all others: see there.
        State::Retrying { reason: RetryReason::Throttled, failures: 1.., next_attempt_at, .. }
            if next_attempt_at > now && !row.ends_before(next_attempt_at, now)
    )
}

/// Chooses how to ask the platform about a row that nobody holds; `None` asks nothing.
pub(crate) fn choose_attempt(
    row: &Integration,
    trigger: Trigger,
    now: DateTime<Utc>,
) -> Option<AttemptKind> {
    let is_due = |at: Option<DateTime<Utc>>| at.is_some_and(|at| at <= now);
    let (refresh, probe) = match trigger {
        Trigger::Due => (
            is_due(row.refresh_due_at(now)),
            is_due(row.probe_due_at(now)),
        ),
        // What nothing refreshes can only be probed.
        Trigger::HalfOpenTrial => (
            row.is_refreshable(now),
            row.refresh_model() == RefreshModel::None,
        ),
        // A token that the platform has replaced is not sent again: that may
        // end what still lives of the grant.
        Trigger::Manual => (row.is_refreshable(now) && !row.lost_its_rotation(), true),
    };
    match (refresh, probe) {
        (true, _) => Some(AttemptKind::Refresh),
        (false, true) => Some(AttemptKind::Probe),
        (false, false) => None,
    }
}

/// Whether the attempt shows that a platform works. Only such an attempt may be a half-open
/// trial, or keep an integration alive during a hold.
pub(crate) fn shows_health(attempt: AttemptKind, trigger: Trigger) -> bool {
    attempt == AttemptKind::Refresh || trigger == Trigger::HalfOpenTrial
}

/// Puts off an integration until the end of a hold, and records why it waits. A routine probe
/// of an active integration comes later without a record.
pub(crate) fn put_off(
    row: &mut Integration,
    attempt: AttemptKind,
    availability: Availability,
    now: DateTime<Utc>,
) {
    if let Availability::HeldBack(until) = availability
        && row.next_attempt_at(now).is_some_and(|at| at <= now)
        && (attempt == AttemptKind::Refresh || row.state != State::Active)
    {
        row.wait_until(until, now);
    }
}
