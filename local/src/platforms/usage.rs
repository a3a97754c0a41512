//! How often each grant has called lately.

use std::collections::{HashMap, VecDeque};

use super::grant::EpochSeconds;
use super::rules::Rules;

/// The calls of all grants within the window. A call over the limit is none.
#[derive(Default)]
pub(super) struct RecentCalls(HashMap<String, VecDeque<EpochSeconds>>);

/// How much of its limit a grant has used, the present call included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    pub(super) limit: u64,
    pub(super) used: u64,
    /// Whether the present call is one too many.
    pub(super) is_over: bool,
    /// Seconds until the oldest call no longer counts.
    pub(super) wait: u64,
}

impl RecentCalls {
    /// Counts a call. Returns nothing where the rules set no limit.
    pub(super) fn count(&mut self, rules: &Rules, grant: &str, now: EpochSeconds) -> Option<Usage> {
        let limit = rules.calls_limit?;
        let window = rules.calls_window.max(1);
        let calls = self.0.entry(grant.to_owned()).or_default();
        while calls.front().is_some_and(|at| at + window <= now) {
            calls.pop_front();
        }
        let is_over = calls.len() >= limit as usize;
        if !is_over {
            calls.push_back(now);
        }
        let oldest = calls.front().copied().unwrap_or(now);
        Some(Usage {
            limit: limit.into(),
            used: calls.len() as u64,
            is_over,
            wait: (oldest + window - now).unsigned_abs(),
        })
    }
}

impl Usage {
    pub(super) const fn percent(&self) -> u64 {
        match self.is_over {
            true => 100,
            false => self.used * 100 / self.limit,
        }
    }

    pub(super) const fn remaining(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    /// Returns the wait in minutes, and 0 while there is none.
    pub(super) const fn minutes(&self) -> u64 {
        match self.percent() < 100 {
            true => 0,
            false => self.wait.div_ceil(60),
        }
    }
}
