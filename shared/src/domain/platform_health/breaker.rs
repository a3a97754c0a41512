//! The circuit breaker of a platform that refuses our application: closed, open, half-open.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};

use super::observation::{Assessment, HealthEvent};
use super::row::{self, Breaker, BreakerCause, EVIDENCE_THRESHOLD, PlatformHealth, Sighting};
use crate::domain::IntegrationKey;

/// Refusals within this time, with no success in between, count together.
const REFUSAL_WINDOW: TimeDelta = TimeDelta::hours(1);
/// How long refusals alone keep the breaker open.
const REFUSALS_INCONCLUSIVE_FOR: TimeDelta = TimeDelta::hours(6);
/// How often an open breaker turns half-open.
const TRIAL_INTERVAL: TimeDelta = TimeDelta::minutes(4);
/// How many half-open trials there are each time.
pub(super) const TRIALS_PER_INTERVAL: u8 = 3;
/// If our application worked within this time, it is not to blame for a credential that never
/// worked.
const TRUST_PERIOD: TimeDelta = TimeDelta::days(7);

impl PlatformHealth {
    /// Returns the breaker while it is open. Refusals alone keep it open for six hours; then each
    /// integration is judged by itself.
    pub(super) fn open_breaker(&self, now: DateTime<Utc>) -> Option<&Breaker> {
        self.breaker.as_ref().filter(|breaker| {
            breaker.cause == BreakerCause::Misconfigured
                || now < breaker.since + REFUSALS_INCONCLUSIVE_FOR
        })
    }

    /// Turns an open breaker half-open, and returns how many trials it lets through; 0 if
    /// it is closed or not due.
    pub fn half_open(&mut self, now: DateTime<Utc>) -> u8 {
        if self.open_breaker(now).is_none() || self.held_until(now).is_some() {
            return 0;
        }
        match &mut self.breaker {
            Some(breaker) if breaker.next_try_at <= now => {
                breaker.next_try_at = now + TRIAL_INTERVAL;
                TRIALS_PER_INTERVAL
            }
            _ => 0,
        }
    }

    pub(super) fn open(
        &mut self,
        cause: BreakerCause,
        now: DateTime<Utc>,
        assessment: &mut Assessment,
    ) {
        if let Some(breaker) = &self.breaker
            && breaker.cause == BreakerCause::Misconfigured
        {
            return;
        }
        self.breaker = Some(Breaker {
            cause,
            since: now,
            next_try_at: now + TRIAL_INTERVAL,
        });
        assessment.events.push(HealthEvent::BreakerOpened(cause));
        assessment.is_urgent = true;
    }

    /// Closes the breaker if a success of a request sent at `sent_at` refutes it.
    ///
    /// The platform itself says that our application is misconfigured, so only a success of a later
    /// request refutes that. Refusals are our own conclusion from the lack of successes, so any
    /// success refutes them. Otherwise a few dead grants among many that work would hold up all of
    /// them again and again.
    pub(super) fn close(&mut self, sent_at: DateTime<Utc>) -> Option<HealthEvent> {
        let closes = |breaker: &mut Breaker| {
            breaker.cause == BreakerCause::Refusals || breaker.since < sent_at
        };
        self.breaker
            .take_if(closes)
            .map(|_| HealthEvent::BreakerClosed)
    }

    /// Takes in a refusal of the grant of an integration that had refreshed.
    pub(super) fn observe_refusal(
        &mut self,
        key: &IntegrationKey,
        now: DateTime<Utc>,
        assessment: &mut Assessment,
    ) {
        assessment.is_urgent = row::record_sighting(&mut self.refused, key, REFUSAL_WINDOW, now);
        if self.is_suspicious() && self.breaker.is_none() {
            self.open(BreakerCause::Refusals, now, assessment);
            assessment.conclusive = false;
        }
        // Enough to see that there are many, and of how many organisations.
        if self.refused.len() > EVIDENCE_THRESHOLD * 2 {
            self.refused.remove(0);
        }
    }

    /// Whether a credential is another application's, as the platform says: it never worked, and
    /// our application has worked lately.
    pub(super) fn is_refused_for_one(&self, had_worked: bool, now: DateTime<Utc>) -> bool {
        let last = self.succeeded.first();
        !had_worked
            && self.breaker.is_none()
            && last.is_some_and(|seen| now - seen.at < TRUST_PERIOD)
    }

    /// Whether there are enough refusals to blame our application: not if they are one
    /// organisation's, where there are others.
    fn is_suspicious(&self) -> bool {
        let orgs = |seen: &[Sighting]| -> BTreeSet<_> {
            seen.iter().map(|seen| seen.key.org_id.clone()).collect()
        };
        let refused = orgs(&self.refused);
        let known = refused.union(&orgs(&self.succeeded)).count();
        self.refused.len() >= EVIDENCE_THRESHOLD && (refused.len() >= 2 || known < 2)
    }
}

impl BreakerCause {
    /// Returns the serialised name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Misconfigured => "misconfigured",
            Self::Refusals => "refusals",
        }
    }
}
