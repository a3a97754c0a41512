//! What the limiter decides, and how a key stands.

use chrono::{DateTime, Utc};

use super::item::{Item, Span, WindowStanding, seconds};
use super::policy::Policy;
use crate::aws::AwsError;

/// The answer to an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// One call may be made before `use_by`.
    Admitted(Permit),
    /// No call may be made now.
    Denied(Denial),
}

/// One call to the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit {
    /// The call must be made before this instant.
    pub use_by: DateTime<Utc>,
    /// What is left.
    pub standing: Standing,
}

/// Why not, and when again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denial {
    /// Epoch seconds at which the next permit frees, if nobody takes it before.
    pub retry_at: u64,
    /// How both windows stand.
    pub standing: Standing,
}

/// How both windows of a key stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Standing {
    /// The long window.
    pub period: WindowStanding,
    /// The short window.
    pub burst: WindowStanding,
}

/// A decision could not be made. It is not an allowance.
#[derive(Debug, thiserror::Error)]
pub enum QuotaError {
    /// DynamoDB did not answer in time.
    #[error("the quota store does not answer: {0}")]
    Unavailable(AwsError),
    /// Others changed the same item again and again.
    #[error("the quota of this key is contended; try again")]
    Contended,
    /// The item was not one that we write; it was replaced by an exhausted one.
    #[error("the quota item was damaged and now counts as exhausted")]
    Damaged,
}

impl Standing {
    pub(super) fn of(item: &Item, policy: &Policy, now: DateTime<Utc>) -> Self {
        Self {
            period: item.standing(Span::Period, policy, now),
            burst: item.standing(Span::Burst, policy, now),
        }
    }

    /// What is left: the smaller of both windows'.
    #[must_use]
    pub fn remaining(&self) -> u32 {
        self.period.remaining.min(self.burst.remaining)
    }

    /// Epoch seconds at which the next permit frees if none is left, else at
    /// which the oldest counted epoch of the period frees.
    #[must_use]
    pub fn reset(&self) -> u64 {
        let exhausted = [self.period, self.burst]
            .into_iter()
            .filter(|window| window.remaining == 0);
        exhausted
            .map(|window| window.reset)
            .max()
            .unwrap_or(self.period.reset)
    }
}

impl Denial {
    /// Seconds until the next permit frees, at least 1.
    #[must_use]
    pub fn retry_after(&self, now: DateTime<Utc>) -> u64 {
        self.retry_at.saturating_sub(seconds(now)).max(1)
    }
}
