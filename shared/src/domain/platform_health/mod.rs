//! The health of a platform, as our application meets it: a circuit breaker, a hold and an
//! outage. All integrations and all instances share it.

mod breaker;
mod hold;
mod observation;
mod success;
mod surprises;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

pub use self::breaker::{Breaker, BreakerCause};
pub use self::hold::{Hold, Outage};
pub use self::observation::{Assessment, HealthEvent, Observation};
use crate::domain::IntegrationKey;
use crate::domain::verdict::{ReconnectReason, Throttled, Transient, Verdict};
use crate::platforms::catalog::Platform;

/// How many integrations must meet the same trouble before it counts as the platform's.
const EVIDENCE_THRESHOLD: usize = 3;

/// The health of one platform, as one row of the quotas table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlatformHealth {
    /// The key of the row.
    pub platform: Platform,
    /// Counts writes: every write is conditional on the one it read.
    pub version: u64,
    /// The platform's own word that all must wait: a 429, or a code that names the
    /// application. Kept when it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// The platform fails several integrations, and none succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outage: Option<Outage>,
    /// Integrations that the platform failed since the last success, asking them to come
    /// back later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<Sighting>,
    /// The circuit breaker, if it has opened since the last success. Otherwise it is
    /// closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<Breaker>,
    /// Integrations that had refreshed, and were refused since the last success.
    #[serde(default)]
    pub refused: Vec<Sighting>,
    /// The integrations that refreshed most recently, the last one first, of
    /// different organisations where possible.
    #[serde(default)]
    pub succeeded: Vec<Sighting>,
    /// When the operator last heard of each surprise, by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub surprises: BTreeMap<String, DateTime<Utc>>,
    /// The lifetimes of access tokens that were seen, in seconds, each unlike the
    /// others: accounts of different kinds may get different ones for ever.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub access_lives: Vec<i64>,
    /// The same of single-use refresh tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refresh_lives: Vec<i64>,
}

/// An integration, and when it met something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// The integration.
    #[serde(flatten)]
    pub key: IntegrationKey,
    /// In whole seconds.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub at: DateTime<Utc>,
}

/// Whether an integration may be tried now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// The circuit breaker is closed, and there is no hold and no outage.
    Available,
    /// A hold or an outage lasts until this instant.
    HeldBack(DateTime<Utc>),
    /// The circuit breaker is open.
    BreakerOpen(BreakerCause),
}

impl PlatformHealth {
    /// The health of a platform of which nothing is known.
    #[must_use]
    pub const fn new(platform: Platform) -> Self {
        Self {
            platform,
            version: 0,
            hold: None,
            outage: None,
            failing: Vec::new(),
            breaker: None,
            refused: Vec::new(),
            succeeded: Vec::new(),
            surprises: BTreeMap::new(),
            access_lives: Vec::new(),
            refresh_lives: Vec::new(),
        }
    }

    /// Whether integrations may be tried.
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
                access_life,
                refresh_life,
            } => self.observe_success(key, *sent_at, *access_life, *refresh_life),
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
            Observation::Unbelieved(lives) => self.observe_unbelieved(lives, now),
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
            Verdict::AppMisconfigured if self.is_foreign(had_worked, now) => {
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
                whom: Throttled::Application,
            } if !self.holds_only(key) => {
                assessment.is_urgent = self.begin_hold(key, *wait, now);
            }
            Verdict::Throttled {
                wait,
                whom: Throttled::Everyone,
            } => assessment.is_urgent = self.observe_outage(key, *wait, now),
            _ => {}
        }
        assessment
    }

    /// Adds what the operator has not heard of a failure within a day.
    fn report_failure(
        &mut self,
        verdict: &Verdict,
        code: Option<&str>,
        now: DateTime<Utc>,
        assessment: &mut Assessment,
    ) {
        let code = code.unwrap_or("none");
        let is_unknown = *verdict == Verdict::Transient(Transient::Unintelligible);
        if is_unknown && self.record_surprise(code, now) {
            let unknown = HealthEvent::UnknownAnswer(code.to_owned());
            assessment.events.push(unknown);
            assessment.is_urgent = true;
        }
        if assessment.events.contains(&HealthEvent::RefusedForOne) {
            if self.record_surprise(&format!("{code} for one"), now) {
                assessment.is_urgent = true;
            } else {
                let events = &mut assessment.events;
                events.retain(|event| *event != HealthEvent::RefusedForOne);
            }
        }
    }
}

/// Records that an integration met something, once for each, and forgets what is older
/// than `window`. Returns whether others should hear of it at once.
fn record_sighting(
    sightings: &mut Vec<Sighting>,
    key: &IntegrationKey,
    window: chrono::TimeDelta,
    now: DateTime<Utc>,
) -> bool {
    let known = sightings.iter().any(|seen| seen.key == *key);
    sightings.retain(|seen| now - seen.at < window && seen.key != *key);
    sightings.push(Sighting {
        key: key.clone(),
        at: now,
    });
    !known && sightings.len() <= EVIDENCE_THRESHOLD
}
