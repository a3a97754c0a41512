//! What attempts show of a platform, and what follows from it.

use chrono::{DateTime, TimeDelta, Utc};

use super::row::BreakerCause;
use crate::domain::IntegrationKey;
use crate::domain::refresh::{ImplausibleLifetime, LifetimeKind};
use crate::domain::verdict::Verdict;

/// What an attempt showed of the platform.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// The platform gave new tokens.
    Success {
        key: IntegrationKey,
        sent_at: DateTime<Utc>,
        /// The lifetime of its access token, where the platform was free to choose it.
        access_lifetime: Option<TimeDelta>,
        /// The lifetime of its refresh token, under the same condition.
        refresh_lifetime: Option<TimeDelta>,
    },
    /// The platform gave no new tokens.
    Failure {
        key: IntegrationKey,
        /// The answer by itself, without regard to what others met.
        verdict: Verdict,
        /// Whether the integration had refreshed before.
        had_worked: bool,
        /// The integration has been refused or in doubt since this instant, if it was before.
        refused_since: Option<DateTime<Utc>>,
        /// The platform's error code, or what stood in its place.
        code: Option<String>,
    },
    /// An answer named lifetimes that were not believed.
    ImplausibleLifetime(Vec<ImplausibleLifetime>),
}

/// What follows from an observation.
#[derive(Debug, Clone, PartialEq)]
pub struct Assessment {
    /// What the answer means for the integration, given all that is known.
    pub verdict: Option<Verdict>,
    /// Whether a refusal may be believed.
    pub conclusive: bool,
    /// What the operator should hear.
    pub events: Vec<HealthEvent>,
    /// Whether other instances must hear of it at once.
    pub is_urgent: bool,
}

/// A change of a platform's health that only an operator can look into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthEvent {
    BreakerOpened(BreakerCause),
    /// The circuit breaker closed: the application works.
    BreakerClosed,
    /// The platform refuses our application to an integration that never worked, while
    /// others work.
    RefusedForOne,
    /// No rule knows the platform's answer. This is its code, or what stood in its place.
    UnknownAnswer(String),
    /// The platform names an impossible lifetime.
    ImplausibleLifetime(ImplausibleLifetime),
    /// Tokens have a lifetime unlike all that were seen.
    LifetimeChanged {
        /// Which tokens.
        kind: LifetimeKind,
        /// The last lifetime before, in seconds.
        before: i64,
        /// The new lifetime, in seconds.
        now: i64,
    },
}
