//! The health of a platform, as our application meets it: a circuit breaker, a hold and an
//! outage. All integrations and all instances share it.

mod breaker;
mod hold;
mod observation;
mod reported;
mod row;
mod success;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};

pub use self::observation::{Assessment, HealthEvent, Observation};
pub use self::row::{Breaker, BreakerCause, Hold, Outage, PlatformHealth, Sighting};
use crate::domain::IntegrationKey;
use crate::domain::verdict::{ReconnectReason, ThrottleScope, Transient, Verdict};

/// Whether an integration may be tried now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// The circuit breaker is closed, and there is no hold and no outage.
    Available,
    /// A hold or an outage lasts until this instant.
    HeldBack(DateTime<Utc>),
    BreakerOpen(BreakerCause),
}

impl PlatformHealth {
    #[must_use]
    pub fn availability(&self, now: DateTime<Utc>) -> Availability {
        if let Some(breaker) = self.open_breaker(now) {
            return Availability::BreakerOpen(breaker.cause);
        }
        match self.held_until(now) {
            Some(until) => Availability::HeldBack(until),
            None => Availability::Available,
        }
    }

    /// Takes an observation in, and assesses it.
    pub fn observe(&mut self, observation: &Observation, now: DateTime<Utc>) -> Assessment {
        match observation {
            Observation::Success {
                key,
                sent_at,
                access_lifetime,
                refresh_lifetime,
            } => self.observe_success(key, *sent_at, *access_lifetime, *refresh_lifetime),
            Observation::Failure {
                key,
                verdict,
                had_worked,
                refused_since,
                code,
            } => {
                let mut assessment =
                    self.observe_failure(key, verdict, *had_worked, *refused_since, now);
                self.report_failure(verdict, code.as_deref(), now, &mut assessment);
                assessment
            }
            Observation::ImplausibleLifetime(lives) => self.observe_implausible(lives, now),
        }
    }

    fn observe_failure(
        &mut self,
        key: &IntegrationKey,
        verdict: &Verdict,
        had_worked: bool,
        refused_since: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Assessment {
        let mut assessment = Assessment {
            verdict: Some(verdict.clone()),
            conclusive: self.open_breaker(now).is_none(),
            events: Vec::new(),
            is_urgent: false,
        };
        match verdict {
            Verdict::AppMisconfigured if self.is_refused_for_one(had_worked, now) => {
                // Somebody registered a credential of another application: as
                // good as a refused one, and the others must not suffer for it.
                // Believed once others have worked since the first refusal.
                let last = self.succeeded.first().map(|seen| seen.at);
                assessment.events.push(HealthEvent::RefusedForOne);
                assessment.verdict = Some(Verdict::ReconnectNeeded(ReconnectReason::GrantRefused));
                assessment.conclusive = refused_since.is_some() && last > refused_since;
            }
            Verdict::AppMisconfigured => {
                assessment.conclusive = false;
                self.open(BreakerCause::Misconfigured, now, &mut assessment);
            }
            Verdict::ReconnectNeeded(ReconnectReason::GrantRefused) if had_worked => {
                self.observe_refusal(key, now, &mut assessment);
            }
            Verdict::Throttled {
                wait,
                scope: ThrottleScope::Application,
            } if !self.holds_only(key) => {
                assessment.is_urgent = self.begin_hold(key, *wait, now);
            }
            Verdict::Throttled {
                wait,
                scope: ThrottleScope::Platform,
            } => assessment.is_urgent = self.observe_outage(key, *wait, now),
            _ => {}
        }
        assessment
    }

    /// Reports a failure to the operator, unless they have heard of the same within a day.
    fn report_failure(
        &mut self,
        verdict: &Verdict,
        code: Option<&str>,
        now: DateTime<Utc>,
        assessment: &mut Assessment,
    ) {
        let code = code.unwrap_or("none");
        let is_unknown = *verdict == Verdict::Transient(Transient::Unintelligible);
        if is_unknown && self.is_first_report(code, now) {
            let unknown = HealthEvent::UnknownAnswer(code.to_owned());
            assessment.events.push(unknown);
            assessment.is_urgent = true;
        }
        if assessment.events.contains(&HealthEvent::RefusedForOne) {
            if self.is_first_report(&format!("{code} for one"), now) {
                assessment.is_urgent = true;
            } else {
                let events = &mut assessment.events;
                events.retain(|event| *event != HealthEvent::RefusedForOne);
            }
        }
    }
}
