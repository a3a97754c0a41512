//! When a failed attempt is made again.

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::integration::{Integration, RetryReason, State};
use crate::domain::verdict::Verdict;

const MIN_BACKOFF: TimeDelta = TimeDelta::minutes(1);
const MAX_BACKOFF: TimeDelta = TimeDelta::hours(1);
/// A sweep looks again after this long at an integration held back with all others of its platform.
const HOLD_RECHECK_INTERVAL: TimeDelta = TimeDelta::minutes(15);

/// For how long a failure keeps applications from causing another exchange.
const MIN_FAILURE_AGE: TimeDelta = TimeDelta::minutes(1);

impl Integration {
    /// Whether a refresh or a probe failed a moment ago. Whoever waited for it gets that result, and
    /// whoever comes now does not have the platform asked again at once.
    #[must_use]
    pub fn has_just_failed(&self, now: DateTime<Utc>) -> bool {
        let asked_at = self.refresh.attempted_at.max(self.refresh.probed_at);
        matches!(self.state, State::Retrying { .. })
            && asked_at.is_some_and(|at| now - at < MIN_FAILURE_AGE)
    }

    /// Returns the state until the next attempt. `wait` is what the platform asks for.
    pub(super) fn retrying(
        &self,
        reason: RetryReason,
        wait: Option<TimeDelta>,
        now: DateTime<Utc>,
        jitter: f64,
    ) -> State {
        if let State::PlatformActionRequired { action, since, .. } = self.state {
            // A failing look changes nothing about what the person must do.
            return State::PlatformActionRequired {
                action,
                since,
                next_check_at: self.rechecked_at(now),
            };
        }
        let (failures, since) = match self.state {
            State::Retrying {
                failures, since, ..
            } => (failures, since),
            _ => (0, now),
        };
        // A refusal is remembered through other failures until it is confirmed or refuted.
        let reason = if self.was_refused() {
            RetryReason::Refused
        } else {
            reason
        };
        // Once it has ended there is no hurry left.
        let left = self.ends_at().filter(|end| *end > now).map(|end| end - now);
        let pause = backoff(failures, left.map_or(MAX_BACKOFF, |left| left / 8), jitter);
        let wait_or_pause = wait.map_or(pause, |wait| match left {
            // Waiting would be its end: asked once more when half of what is left is over.
            Some(left) if self.ends_before(now + wait, now) => (left / 2).max(MIN_BACKOFF),
            _ => wait.max(pause),
        });
        State::Retrying {
            failures: failures.saturating_add(1),
            since,
            reason,
            next_attempt_at: now + wait_or_pause,
            wait_until: wait.map(|wait| now + wait),
            code: None,
        }
    }

    /// Records that the platform asks our whole application to wait, so that a due attempt is not
    /// made. That says nothing of the grant. The hold may end sooner, so a sweep looks at the
    /// integration again after at most a quarter of an hour.
    pub fn wait_until(&mut self, until: DateTime<Utc>, now: DateTime<Utc>) {
        let is_in_doubt = self.is_in_doubt();
        let again = until.min(now + HOLD_RECHECK_INTERVAL);
        match &mut self.state {
            State::Active => {
                self.state = State::Retrying {
                    failures: 0,
                    since: now,
                    reason: match is_in_doubt {
                        true => RetryReason::InDoubt,
                        false => RetryReason::Throttled,
                    },
                    next_attempt_at: again,
                    wait_until: Some(until),
                    code: None,
                }
            }
            State::Retrying {
                next_attempt_at,
                wait_until,
                ..
            } => (*next_attempt_at, *wait_until) = (again, Some(until)),
            State::PlatformActionRequired { next_check_at, .. } => *next_check_at = again,
            State::ReconnectRequired { .. } | State::Disconnected { .. } => {}
        }
    }

    /// Keeps the error code of an attempt that is to be made again, for people to see.
    /// A refusal of our application leaves the row as it was.
    pub fn record_error_code(&mut self, verdict: &Verdict, error_code: Option<&String>) {
        if *verdict == Verdict::AppMisconfigured {
            return;
        }
        if let State::Retrying { code, .. } = &mut self.state {
            *code = error_code.cloned();
        }
    }
}

/// Returns a pause with full jitter
/// (aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter): anywhere from a minute
/// up to a ceiling that doubles with each failure. The ceiling is at most an hour and an eighth
/// of the life left, and never under a minute.
pub(super) fn backoff(failures: u32, eighth_of_life_left: TimeDelta, jitter: f64) -> TimeDelta {
    let doubled = MIN_BACKOFF * 2_i32.pow(failures.min(10) + 1);
    let ceiling = doubled
        .min(MAX_BACKOFF)
        .min(eighth_of_life_left)
        .max(MIN_BACKOFF);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "under an hour"
    )]
    let spread = ((ceiling - MIN_BACKOFF).num_seconds() as f64 * jitter) as i64;
    MIN_BACKOFF + TimeDelta::seconds(spread)
}
