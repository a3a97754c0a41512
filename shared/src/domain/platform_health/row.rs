//! The health of one platform, as one row of the quotas table.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::IntegrationKey;
use crate::platforms::catalog::Platform;

/// How many integrations must meet the same trouble before it counts as the platform's.
pub(super) const EVIDENCE_THRESHOLD: usize = 3;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlatformHealth {
    /// The key of the row.
    pub platform: Platform,
    /// Counts writes. Every write is conditional on the version that it read.
    pub version: u64,
    /// The platform itself asks all to wait, by a 429 or a code that names the application. The row
    /// keeps a hold that is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outage: Option<Outage>,
    /// The platform failed these integrations since the last success, and asked them to come back
    /// later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failing: Vec<Sighting>,
    /// Present if the circuit breaker has opened since the last success. Otherwise it is closed.
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
    pub reported_at: BTreeMap<String, DateTime<Utc>>,
    /// The lifetimes of access tokens that were seen, in seconds, each unlike the
    /// others: accounts of different kinds may get different ones for ever.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub access_lifetimes: Vec<i64>,
    /// The same for single-use refresh tokens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refresh_lifetimes: Vec<i64>,
}

/// An integration, and when it met something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    #[serde(flatten)]
    pub key: IntegrationKey,
    /// In whole seconds.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub at: DateTime<Utc>,
}

/// A circuit breaker that has opened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    pub cause: BreakerCause,
    #[serde(with = "chrono::serde::ts_seconds")]
    pub since: DateTime<Utc>,
    /// The breaker next turns half-open at this instant.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub next_try_at: DateTime<Utc>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerCause {
    /// The platform says that our client id, secret or application is wrong.
    Misconfigured,
    /// The platform refuses many grants at once that had worked, and accepts none.
    Refusals,
}

/// A platform's word that all integrations must wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The latest end that the platform has named.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub until: DateTime<Utc>,
    /// The platform first asked at this instant.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub since: DateTime<Utc>,
    /// The integration that the platform last asked.
    #[serde(flatten)]
    pub by: IntegrationKey,
}

/// The platform fails several integrations. The first success refutes that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outage {
    /// The latest end that the platform has named.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub until: DateTime<Utc>,
    /// The platform last failed at this instant.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub since: DateTime<Utc>,
}

impl PlatformHealth {
    /// Returns the health of a platform of which nothing is known.
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
            reported_at: BTreeMap::new(),
            access_lifetimes: Vec::new(),
            refresh_lifetimes: Vec::new(),
        }
    }
}

/// Records that an integration met something, once for each integration, and forgets what is
/// older than `window`. Returns whether others should hear of it at once.
pub(super) fn record_sighting(
    sightings: &mut Vec<Sighting>,
    key: &IntegrationKey,
    window: TimeDelta,
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
