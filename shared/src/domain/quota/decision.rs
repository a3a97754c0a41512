//! A decision about a quota, and the status of its windows.

use chrono::{DateTime, Utc};

use super::item::{Item, Span, WindowStatus, seconds};
use super::policy::Policy;

/// The answer to a request for a permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// One call may be made before `use_by`.
    Admitted(Permit),
    /// No call may be made now.
    Denied(Denial),
}

/// The right to make one call to the platform before `use_by`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Permit {
    pub use_by: DateTime<Utc>,
    pub status: QuotaStatus,
}

/// Says which window refuses, and when to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denial {
    /// Epoch seconds at which the next permit frees, if nobody takes it before.
    pub retry_at: u64,
    pub status: QuotaStatus,
}

/// The status of both windows of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct QuotaStatus {
    /// The long window.
    pub period: WindowStatus,
    /// The short window.
    pub burst: WindowStatus,
}

impl QuotaStatus {
    pub(crate) fn from_item(item: &Item, policy: &Policy, now: DateTime<Utc>) -> Self {
        Self {
            period: item.status(Span::Period, policy, now),
            burst: item.status(Span::Burst, policy, now),
        }
    }

    /// Returns how many calls may be made right now: the smaller of both windows' remainders. A
    /// limit or a reset may belong to the other window, so those go with [`Self::shown`].
    #[must_use]
    pub fn remaining(&self) -> u32 {
        self.period.remaining.min(self.burst.remaining)
    }

    /// Returns the one window whose limit, remainder and reset are shown together where nobody took
    /// a permit: the window that would refuse the next call, else the period.
    #[must_use]
    pub fn shown(&self) -> WindowStatus {
        self.refusing().unwrap_or(self.period)
    }

    /// Returns the window that is used up, and if both are, the one that frees later.
    fn refusing(&self) -> Option<WindowStatus> {
        [self.period, self.burst]
            .into_iter()
            .filter(|window| window.remaining == 0)
            .max_by_key(|window| window.reset)
    }
}

impl Permit {
    /// Returns the one window whose limit, remainder and reset are shown together: the period, even
    /// where this permit was the last of the burst.
    #[must_use]
    pub const fn shown(&self) -> WindowStatus {
        self.status.period
    }
}

impl Denial {
    /// Returns the one window whose limit, remainder and reset are shown together: the one that
    /// refuses. Its reset is `retry_at`.
    #[must_use]
    pub fn shown(&self) -> WindowStatus {
        self.status.shown()
    }

    /// Returns the seconds until the next permit frees, at least 1.
    #[must_use]
    pub fn retry_after(&self, now: DateTime<Utc>) -> u64 {
        self.retry_at.saturating_sub(seconds(now)).max(1)
    }
}
