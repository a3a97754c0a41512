//! What the limiter decides, and how a key stands.

use chrono::{DateTime, Utc};

use super::item::{Item, Span, WindowStatus, seconds};
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
    pub status: QuotaStatus,
}

/// Why not, and when again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denial {
    /// Epoch seconds at which the next permit frees, if nobody takes it before.
    pub retry_at: u64,
    /// How both windows stand.
    pub status: QuotaStatus,
}

/// How both windows of a key stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct QuotaStatus {
    /// The long window.
    pub period: WindowStatus,
    /// The short window.
    pub burst: WindowStatus,
}

/// A decision could not be made. It is not an allowance.
#[derive(Debug, thiserror::Error)]
pub enum QuotaError {
    /// DynamoDB did not answer in time.
    #[error("the quota store does not answer: {0}")]
    Unavailable(AwsError),
    /// Others changed the same item again and again.
    #[error("too many use this quota at the same moment; try again")]
    Contended,
    /// The item was not one that we write; it was replaced by an exhausted one.
    #[error("what was stored of this quota was damaged; it counts as used up now")]
    Damaged,
}

impl QuotaStatus {
    pub(super) fn of(item: &Item, policy: &Policy, now: DateTime<Utc>) -> Self {
        Self {
            period: item.status(Span::Period, policy, now),
            burst: item.status(Span::Burst, policy, now),
        }
    }

    /// How many calls may be made right now: the smaller of both windows'
    /// remainders. Beside a limit or a reset it would belong to another window:
    /// [`Self::shown`] is told there.
    #[must_use]
    pub fn remaining(&self) -> u32 {
        self.period.remaining.min(self.burst.remaining)
    }

    /// The one window whose limit, remainder and reset are told together where
    /// nobody took a permit: the one that would refuse the next call, else the
    /// period.
    #[must_use]
    pub fn shown(&self) -> WindowStatus {
        self.refusing().unwrap_or(self.period)
    }

    /// The window that refuses: the one that is used up, and if both are, the
    /// one that frees later.
    fn refusing(&self) -> Option<WindowStatus> {
        [self.period, self.burst]
            .into_iter()
            .filter(|window| window.remaining == 0)
            .max_by_key(|window| window.reset)
    }
}

impl Permit {
    /// The one window whose limit, remainder and reset are told together: the
    /// period, also where this permit was the last of the burst.
    #[must_use]
    pub const fn shown(&self) -> WindowStatus {
        self.status.period
    }
}

impl Denial {
    /// The one window whose limit, remainder and reset are told together: the
    /// one that refuses. Its reset is `retry_at`.
    #[must_use]
    pub fn shown(&self) -> WindowStatus {
        self.status.shown()
    }

    /// Seconds until the next permit frees, at least 1.
    #[must_use]
    pub fn retry_after(&self, now: DateTime<Utc>) -> u64 {
        self.retry_at.saturating_sub(seconds(now)).max(1)
    }
}
