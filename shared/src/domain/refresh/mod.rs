//! What a platform's answer does to an integration: pure transitions. One that lost
//! a race is applied again to the row as it is now.

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
pub use lifetimes::{LifetimeKind, Unbelieved};

/// A credential from a platform's answer, sealed for the generation it will have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewed {
    /// The access token.
    pub access_token: Sealed,
    /// The refresh token: the answer's, or the old one resealed where the answer had none.
    pub refresh_token: Option<Sealed>,
    /// Whether it is another than the one that was sent, which then may be used up.
    #[serde(default = "yes")]
    pub rotated: bool,
    /// What the answer says of its lifetimes.
    pub lifetimes: Lifetimes,
    /// When the request was sent: lifetimes count from then.
    pub sent_at: DateTime<Utc>,
}

/// A fallback copy from before this field existed may be the only copy.
const fn yes() -> bool {
    true
}

/// What an answer says of the new credential's lifetimes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifetimes {
    /// Of the access token, from when the request was sent.
    pub access: Option<TimeDelta>,
    /// Of the refresh token, from when the request was sent.
    pub refresh: Option<TimeDelta>,
    /// What the grant allows; empty if the answer does not say.
    pub scopes: Vec<String>,
}

/// An end that an answer gives as "seconds left" varies by the time that the answer
/// took. Only a larger move is a move.
const EXPIRY_TOLERANCE: TimeDelta = TimeDelta::hours(1);
/// The tolerance for a lifetime: a twentieth of a short one.
fn expiry_tolerance(life: Option<TimeDelta>) -> TimeDelta {
    life.map_or(EXPIRY_TOLERANCE, |life| {
        EXPIRY_TOLERANCE.min(life.max(TimeDelta::zero()) / 20)
    })
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
