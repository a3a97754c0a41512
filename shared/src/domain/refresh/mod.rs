//! What a platform's answer does to an integration: pure transitions. After a lost race, the
//! attempt applies its transition again to the row as it is now.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::integration::Sealed;

pub mod attempt;
mod backoff;
mod failure;
mod lifetimes;
mod probing;
mod renewal;

pub use super::probe_result::{Ends, ProbeResult};
pub use lifetimes::{ImplausibleLifetime, LifetimeKind};

/// A credential from a platform's answer, sealed for the generation it will have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewed {
    pub access_token: Sealed,
    /// The answer's refresh token, or the old one resealed where the answer had none.
    pub refresh_token: Option<Sealed>,
    /// Whether the refresh token differs from the one that was sent, which then may be used up.
    #[serde(default = "yes")]
    pub rotated: bool,
    pub lifetimes: Lifetimes,
    /// The request was sent at this instant. Lifetimes count from then.
    pub sent_at: DateTime<Utc>,
}

/// Returns the default of `rotated`: a fallback copy from before the field existed may be the
/// only copy.
const fn yes() -> bool {
    true
}

/// What an answer says of the new credential's lifetimes, which count from when the request was
/// sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifetimes {
    pub access: Option<TimeDelta>,
    pub refresh: Option<TimeDelta>,
    /// Empty if the answer does not say what the grant allows.
    pub scopes: Vec<String>,
}

/// An end that an answer gives as "seconds left" varies by the time that the answer
/// took. Only a larger move is a move.
pub const EXPIRY_TOLERANCE: TimeDelta = TimeDelta::hours(1);
/// Returns the tolerance for a lifetime: a twentieth of a short one.
fn expiry_tolerance(life: Option<TimeDelta>) -> TimeDelta {
    life.map_or(EXPIRY_TOLERANCE, |life| {
        EXPIRY_TOLERANCE.min(life.max(TimeDelta::zero()) / 20)
    })
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
