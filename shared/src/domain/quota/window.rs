//! One rolling window and the grid of epochs on which it is kept exact.
//!
//! A window allows at most `limit` grants in any interval of `seconds`. Time
//! falls into epochs; the item holds, for each recent epoch with traffic, the
//! total of grants before that epoch's first one (a *snapshot*). A grant is
//! allowed if, for every snapshot in range, fewer than `limit` grants were made
//! since.

use chrono::{DateTime, Utc};

/// The length of the burst window, in seconds.
pub const BURST_SECONDS: u32 = 60;
/// For how long a permit may be held before it is used, in seconds.
pub const PERMIT_SECONDS: u32 = 30;
/// Bounds the difference between clocks together with a request's deadline, in seconds.
pub(super) const SKEW: u32 = 1;

/// Epoch seconds.
pub(crate) fn seconds(at: DateTime<Utc>) -> u64 {
    u64::try_from(at.timestamp()).unwrap_or_default()
}

/// A limit on grants in any interval of a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub limit: u32,
    /// The length, in seconds.
    pub seconds: u32,
    /// The length of an epoch, in seconds.
    pub(crate) epoch: u32,
    /// How many epochs before the current one are in range.
    pub(crate) behind: u32,
    /// How many epochs after the current one are in range: clocks that are ahead write them.
    pub(crate) ahead: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWindow {
    /// The limit or the length is 0: nothing would ever pass.
    #[error("must be at least 1")]
    Zero,
    /// The limit is above a thousand million.
    #[error("must be at most {0}")]
    TooLarge(u32),
    /// The length is above a year.
    #[error("must be at most {0} seconds")]
    TooLong(u32),
}

const MAX_SECONDS: u32 = 366 * 86_400;
const MAX_LIMIT: u32 = 1_000_000_000;

impl Window {
    /// Returns a long window: 30 epochs, and permits that callers may hold before they use them.
    pub(crate) fn period(limit: u32, seconds: u32) -> Result<Self, InvalidWindow> {
        Self::on_grid(limit, seconds, 30, PERMIT_SECONDS)
    }

    /// Returns a short window: 20 epochs, counting grants and not uses.
    pub(crate) fn burst(limit: u32, seconds: u32) -> Result<Self, InvalidWindow> {
        Self::on_grid(limit, seconds, 20, 0)
    }

    fn on_grid(limit: u32, seconds: u32, epochs: u32, held: u32) -> Result<Self, InvalidWindow> {
        if limit == 0 || seconds == 0 {
            return Err(InvalidWindow::Zero);
        }
        if limit > MAX_LIMIT {
            return Err(InvalidWindow::TooLarge(MAX_LIMIT));
        }
        if seconds > MAX_SECONDS {
            return Err(InvalidWindow::TooLong(MAX_SECONDS));
        }
        // A short window that permits outlast by much would otherwise need more
        // epochs in range than the item and the expression have room for.
        let covered = seconds + held + 2 * SKEW;
        let epoch = seconds
            .div_ceil(epochs)
            .max(covered.div_ceil(epochs + 3))
            .max(2 * SKEW);
        Ok(Self {
            limit,
            seconds,
            epoch,
            behind: covered.div_ceil(epoch),
            ahead: (2 * SKEW).div_ceil(epoch).max(1),
        })
    }

    /// Returns how far back a grant can matter, in seconds.
    pub(crate) fn reach(&self) -> u64 {
        u64::from(self.behind) * u64::from(self.epoch)
    }

    pub(crate) fn epoch_of(&self, at: DateTime<Utc>) -> u64 {
        u64::try_from(at.timestamp()).unwrap_or_default() / u64::from(self.epoch)
    }

    /// Returns the epochs whose snapshots restrict a grant in `epoch`.
    pub(crate) fn range(&self, epoch: u64) -> std::ops::RangeInclusive<u64> {
        epoch.saturating_sub(u64::from(self.behind))..=epoch + u64::from(self.ahead)
    }

    /// Returns the instant at which a snapshot of `epoch` stops restricting, in epoch seconds by
    /// the caller's clock.
    pub(crate) fn frees_at(&self, epoch: u64) -> u64 {
        (epoch + u64::from(self.behind) + 1) * u64::from(self.epoch)
    }
}
