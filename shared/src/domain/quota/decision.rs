//! A decision about a quota, and the status of its windows.

use chrono::{DateTime, Utc};
use utoipa::ToSchema;

use super::item::{Item, Span, WindowStatus};
use super::policy::Policy;
use super::window::seconds;
use crate::Platform;

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

/// Says what refuses, and when to ask again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Denial {
    /// Epoch seconds at which the next permit frees, if nobody takes it before: the end of the
    /// window or of the block that refuses, whichever is later.
    pub retry_at: u64,
    pub status: QuotaStatus,
}

/// Why there is no permit now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum DenialReason {
    /// A window is used up.
    #[serde(rename = "quota_used_up")]
    UsedUp,
    /// The platform asks us to wait.
    #[serde(rename = "platform_asks_to_wait")]
    Blocked,
}

/// The status of both windows of a key, and of what blocks it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct QuotaStatus {
    /// The long window.
    pub period: WindowStatus,
    /// The short window.
    pub burst: WindowStatus,
    /// Epoch seconds until which the platform asks us to wait, if that is still to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocked_until: Option<u64>,
}

impl DenialReason {
    /// Returns the name that answers have.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::UsedUp => "quota_used_up",
            Self::Blocked => "platform_asks_to_wait",
        }
    }

    /// Returns a sentence for the caller. The gateway puts it into JSON as it is, so it holds
    /// neither quotes nor backslashes.
    #[must_use]
    pub fn message(self, platform: Platform) -> String {
        match self {
            Self::UsedUp => {
                format!("Too many requests to {platform} API. Please try again later.")
            }
            Self::Blocked => {
                let platform = platform.display_name();
                format!("{platform} asks us to wait. Please try again later.")
            }
        }
    }
}

impl QuotaStatus {
    pub(crate) fn from_item(item: &Item, policy: &Policy, now: DateTime<Utc>) -> Self {
        Self {
            period: item.status(Span::Period, policy, now),
            burst: item.status(Span::Burst, policy, now),
            blocked_until: item.blocked_until(now),
        }
    }

    /// Returns the status of a key whose windows nobody looked at, because a block of the whole
    /// application refuses until `until`. Nothing is left of them so long.
    pub(crate) fn closed(policy: &Policy, until: u64) -> Self {
        let [period, burst] = policy.windows().map(|window| WindowStatus {
            limit: window.limit,
            seconds: window.seconds,
            remaining: 0,
            reset: until,
        });
        Self {
            period,
            burst,
            blocked_until: Some(until),
        }
    }

    /// Returns the status under another block besides: the later of both counts.
    pub(crate) fn also_blocked(self, until: Option<u64>) -> Self {
        Self {
            blocked_until: self.blocked_until.max(until),
            ..self
        }
    }

    /// Returns how many calls may be made right now: the smaller of both windows' remainders, and
    /// none while blocked. A limit or a reset may belong to the other window, so those go with
    /// [`Self::shown`].
    #[must_use]
    pub fn remaining(&self) -> u32 {
        match self.blocked_until {
            Some(_) => 0,
            None => self.period.remaining.min(self.burst.remaining),
        }
    }

    /// Returns the one window whose limit, remainder and reset are shown together where nobody took
    /// a permit: the window that would refuse the next call, else the period. If it is a block that
    /// refuses, they are the period's limit, nothing, and the block's end.
    #[must_use]
    pub fn shown(&self) -> WindowStatus {
        match (self.block(), self.refusing()) {
            (Some(until), _) => WindowStatus {
                remaining: 0,
                reset: until,
                ..self.period
            },
            (None, refusing) => refusing.unwrap_or(self.period),
        }
    }

    /// Returns the end of the block, if that is what refuses: no window that is used up frees
    /// later.
    fn block(&self) -> Option<u64> {
        let window = self.refusing().map(|window| window.reset);
        self.blocked_until.filter(|until| Some(*until) >= window)
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
    /// Returns why there is no permit. If a window and a block refuse, the later one is the reason.
    #[must_use]
    pub fn reason(&self) -> DenialReason {
        match self.status.block() {
            Some(_) => DenialReason::Blocked,
            None => DenialReason::UsedUp,
        }
    }

    /// Returns the one window whose limit, remainder and reset are shown together: the one that
    /// refuses, or the period's limit with nothing left until the block's end. Its reset is
    /// `retry_at`.
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
