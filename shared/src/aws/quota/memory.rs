//! What an instance remembers of the keys that it has decided about.

use std::collections::HashMap;

use crate::domain::quota::item::Epoch;
use crate::domain::quota::{Denial, QuotaKey};

/// Seconds for which a denial is repeated without asking, at most. After them a reset is seen.
pub(super) const MAX_DENIAL_AGE: u64 = 60;
/// How many denials and lists of stale snapshots an instance remembers.
const CACHE_CAPACITY: usize = 10_000;
/// How many stale snapshots the next write clears by itself.
const CLEARED_BY_ITSELF: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Denials that need no request, each with the epoch second until which it holds.
    denied: HashMap<QuotaKey, (u64, Denial)>,
    /// Snapshots that restrict nothing any more.
    stale: HashMap<QuotaKey, Vec<Epoch>>,
}

impl Memory {
    /// Returns the denial that still holds at `now`, in epoch seconds.
    pub(super) fn denial(&mut self, key: &QuotaKey, now: u64) -> Option<Denial> {
        let (until, denial) = *self.denied.get(key)?;
        if now < until {
            return Some(denial);
        }
        self.denied.remove(key);
        None
    }

    pub(super) fn remember_denial(&mut self, key: &QuotaKey, denial: Denial, now: u64) {
        if self.denied.len() >= CACHE_CAPACITY {
            self.denied.retain(|_, (until, _)| *until > now);
        }
        if self.denied.len() < CACHE_CAPACITY {
            let until = denial.retry_at.min(now + MAX_DENIAL_AGE);
            self.denied.insert(key.clone(), (until, denial));
        }
    }

    pub(super) fn forget_denial(&mut self, key: &QuotaKey) {
        self.denied.remove(key);
    }

    pub(super) fn take_stale(&mut self, key: &QuotaKey) -> Vec<Epoch> {
        self.stale.remove(key).unwrap_or_default()
    }

    /// Holds the snapshots if they are more than the next write clears, as of a key seldom used.
    pub(super) fn remember_stale(&mut self, key: &QuotaKey, stale: Vec<Epoch>) {
        if stale.len() > CLEARED_BY_ITSELF && self.stale.len() < CACHE_CAPACITY {
            self.stale.insert(key.clone(), stale);
        }
    }
}
