//! The item of one key and its transition: what one conditional write does to it.
//!
//! The item holds `n`, the permits ever admitted. For each window it holds a
//! *lagged* copy `n - limit`, because a condition can compare attributes and do
//! no arithmetic. For each window and recent epoch with traffic it holds a
//! *snapshot*, the value of `n` just before that epoch's first grant.
//!
//! *Why no interval of a window's length holds more grants than its limit:* let
//! Z be a grant and A an earlier one less than that length before it. A's own
//! write made sure that a snapshot of A's epoch exists, with a value of at most
//! `n` before A. Skew included, that epoch lies in Z's range, so Z's condition
//! held for it: `n before Z - snapshot < limit`, hence at most `limit` grants
//! from A to Z, both counted. Writes to one item are serialised by DynamoDB, so
//! concurrency changes nothing.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use utoipa::ToSchema;

use super::block::Block;
use super::policy::Policy;
use super::window::{Window, seconds};

/// Names one of a policy's two windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Span {
    Period,
    Burst,
}

impl Span {
    pub(crate) const BOTH: [Self; 2] = [Self::Period, Self::Burst];

    pub(crate) const fn window(self, policy: &Policy) -> Window {
        match self {
            Self::Period => policy.period,
            Self::Burst => policy.burst,
        }
    }
}

/// A window and the number of one of its epochs.
pub(crate) type Epoch = (Span, u64);

/// The state of one key; the lagged copies follow from it and a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) admitted: u64,
    pub(crate) snapshots: BTreeMap<Epoch, u64>,
    /// Until its end, nothing is granted. It may be over.
    pub(crate) block: Option<Block>,
}

/// The outcome of the write's condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judgement {
    /// A grant would pass now.
    Free,
    /// No grant passes before this instant, in epoch seconds.
    Until(u64),
}

/// A window's limit, what is left of it, and when more frees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct WindowStatus {
    pub limit: u32,
    /// The limit holds for any interval of this length, in seconds.
    pub seconds: u32,
    pub remaining: u32,
    /// Epoch seconds at which the next permit frees if none is left, else at
    /// which the oldest counted epoch frees.
    pub reset: u64,
}

impl Item {
    /// Returns the lagged copy of `admitted`. A snapshot that is not above it refuses a grant.
    pub(crate) fn lag(&self, span: Span, policy: &Policy) -> i64 {
        let limit = i64::from(span.window(policy).limit);
        i64::try_from(self.admitted)
            .unwrap_or(i64::MAX)
            .saturating_sub(limit)
    }

    /// Returns an item before its first grant.
    pub(crate) const fn empty() -> Self {
        Self {
            admitted: 0,
            snapshots: BTreeMap::new(),
            block: None,
        }
    }

    /// Returns an item that grants nothing for as long as its windows last. It replaces a damaged
    /// one.
    pub(crate) fn exhausted(policy: &Policy, now: DateTime<Utc>) -> Self {
        let admitted = u64::from(policy.period.limit.max(policy.burst.limit));
        let snapshots = Span::BOTH
            .into_iter()
            .map(|span| {
                let window = span.window(policy);
                (
                    (span, window.epoch_of(now)),
                    admitted - u64::from(window.limit),
                )
            })
            .collect();
        Self {
            admitted,
            snapshots,
            block: None,
        }
    }

    /// Returns the same grants and block on this policy's grids, read from those of `old`. Grants on
    /// another grid that may still matter count as made now: too strict for a while, never too lax.
    pub(crate) fn regridded(
        &self,
        policy: &Policy,
        old: &[(Span, Window)],
        now: DateTime<Utc>,
    ) -> Self {
        let mut snapshots = BTreeMap::new();
        for span in Span::BOTH {
            let window = span.window(policy);
            let old = old
                .iter()
                .filter(|(of, _)| *of == span)
                .map(|(_, window)| *window);
            let old = old.max_by_key(|old| old.seconds);
            if old.is_some_and(|old| old.epoch == window.epoch && old.behind >= window.behind) {
                snapshots.extend(self.snapshots_of(span).map(|(epoch, n)| ((span, epoch), n)));
                continue;
            }
            let matters = |epoch: u64| {
                let Some(old) = old else { return true };
                let reach = old.reach().max(window.reach());
                (epoch + 1) * u64::from(old.epoch) + reach > seconds(now)
            };
            let oldest = self
                .snapshots_of(span)
                .filter(|(epoch, _)| matters(*epoch))
                .map(|(_, n)| n)
                .min();
            snapshots.extend(oldest.map(|n| ((span, window.epoch_of(now)), n)));
        }
        Self {
            admitted: self.admitted,
            snapshots,
            block: self.block,
        }
    }

    fn snapshots_of(&self, span: Span) -> impl Iterator<Item = (u64, u64)> {
        self.snapshots
            .range((span, 0)..=(span, u64::MAX))
            .map(|((_, epoch), snapshot)| (*epoch, *snapshot))
    }

    fn in_range(
        &self,
        span: Span,
        window: Window,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = (u64, u64)> {
        let range = window.range(window.epoch_of(now));
        self.snapshots_of(span)
            .filter(move |(epoch, _)| range.contains(epoch))
    }

    /// Evaluates the condition of the write: whether a grant would pass.
    pub(crate) fn judge(&self, policy: &Policy, now: DateTime<Utc>) -> Judgement {
        let violated = Span::BOTH.into_iter().flat_map(|span| {
            let window = span.window(policy);
            let lag = self.lag(span, policy);
            self.in_range(span, window, now)
                .filter(move |(_, snapshot)| i64::try_from(*snapshot).is_ok_and(|n| n <= lag))
                .map(move |(epoch, _)| window.frees_at(epoch))
        });
        let latest = violated.max().max(self.blocked_until(now));
        latest.map_or(Judgement::Free, Judgement::Until)
    }

    /// Returns the end of a block that is not over, in epoch seconds.
    pub(crate) fn blocked_until(&self, now: DateTime<Utc>) -> Option<u64> {
        let running = self.block.filter(|block| block.is_running(seconds(now)));
        running.map(|block| block.until)
    }

    /// Applies the update of the write. Returns whether the grant passed.
    #[cfg(test)] // DynamoDB does it; the proofs do it here
    pub(crate) fn admit(&mut self, policy: &Policy, now: DateTime<Utc>) -> bool {
        if self.judge(policy, now) != Judgement::Free {
            return false;
        }
        for span in Span::BOTH {
            let epoch = span.window(policy).epoch_of(now);
            self.snapshots.entry((span, epoch)).or_insert(self.admitted);
            for left in just_left(span.window(policy), epoch) {
                self.snapshots.remove(&(span, left));
            }
        }
        self.admitted += 1;
        true
    }

    pub(crate) fn status(&self, span: Span, policy: &Policy, now: DateTime<Utc>) -> WindowStatus {
        let window = span.window(policy);
        let oldest = self.in_range(span, window, now).next();
        // Not the oldest epoch's: a clock that is ahead can have left a smaller
        // total in a later epoch.
        let least = self
            .in_range(span, window, now)
            .map(|(_, snapshot)| snapshot)
            .min();
        let used = least.map_or(0, |snapshot| self.admitted - snapshot);
        let used = u32::try_from(used).unwrap_or(u32::MAX);
        let lag = self.lag(span, policy);
        let blocked = self
            .in_range(span, window, now)
            .filter(|(_, snapshot)| i64::try_from(*snapshot).is_ok_and(|n| n <= lag))
            .map(|(epoch, _)| window.frees_at(epoch))
            .max();
        WindowStatus {
            limit: window.limit,
            seconds: window.seconds,
            remaining: window.limit.saturating_sub(used),
            reset: blocked
                .or(oldest.map(|(epoch, _)| window.frees_at(epoch)))
                .unwrap_or_else(|| seconds(now)),
        }
    }

    /// Returns when nothing restricts any more, in epoch seconds: no snapshot and no block.
    pub(crate) fn ends_at(&self, policy: &Policy) -> u64 {
        self.snapshots
            .keys()
            .map(|(span, epoch)| span.window(policy).frees_at(*epoch))
            .chain(self.block.map(|block| block.until))
            .max()
            .unwrap_or_default()
    }

    /// Returns the snapshots that restrict nothing any more, by a clock that may be the most
    /// advanced of all.
    pub(crate) fn stale(&self, policy: &Policy, now: DateTime<Utc>) -> Vec<Epoch> {
        self.snapshots
            .keys()
            .filter(|(span, epoch)| {
                let window = span.window(policy);
                *epoch < *window.range(window.epoch_of(now)).start()
            })
            .copied()
            .collect()
    }
}

/// Returns the epochs that left the range last. Every grant removes them, so that an item in
/// use does not grow.
pub(crate) fn just_left(window: Window, epoch: u64) -> impl Iterator<Item = u64> {
    let first = epoch.saturating_sub(u64::from(window.behind));
    first.saturating_sub(4)..first
}
