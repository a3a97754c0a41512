//! The item of one key and its transition, pure: what DynamoDB is asked to do
//! in one conditional write, and what an item that it returns means.
//!
//! The item holds `n`, the permits ever granted; for each window a *lagged*
//! copy `n - limit`, because a condition can compare attributes and do no
//! arithmetic; and for each window and recent epoch with traffic a *snapshot*,
//! the value of `n` just before that epoch's first grant.
//!
//! *Why no interval of a window's length holds more grants than its limit:* let
//! Z be a grant and A an earlier one less than that length before it. A's own
//! write made sure that a snapshot of A's epoch exists, with a value of at most
//! `n` before A. Skew included, that epoch lies in Z's range, so Z's condition
//! held for it: `n before Z - snapshot < limit`, hence at most `limit` grants
//! from A to Z, both counted. Writes to one item are serialised by DynamoDB, so
//! concurrency changes nothing.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};

use super::policy::Policy;
use super::window::Window;

/// Which of a policy's two windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Span {
    Period,
    Burst,
}

impl Span {
    pub(super) const BOTH: [Self; 2] = [Self::Period, Self::Burst];

    pub(super) const fn of(self, policy: &Policy) -> Window {
        match self {
            Self::Period => policy.period,
            Self::Burst => policy.burst,
        }
    }

    /// Prefix of its snapshots' names. With the digit, no name that it begins
    /// is a reserved word.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Period => "p0",
            Self::Burst => "b0",
        }
    }

    /// The name of its lagged copy. It names limit and length, because a copy
    /// that some writer does not advance would loosen the limit.
    pub(super) fn lag(self, policy: &Policy) -> String {
        let Window { limit, seconds, .. } = self.of(policy);
        format!("l{}{limit}_{seconds}", &self.prefix()[..1])
    }

    /// The window that a lagged copy's name tells of.
    pub(super) fn parse_lag(name: &str) -> Option<(Self, Window)> {
        let (limit, seconds) = name.get(2..)?.split_once('_')?;
        let (limit, seconds) = (limit.parse().ok()?, seconds.parse().ok()?);
        let (span, window) = match name.get(..2)? {
            "lp" => (Self::Period, Window::period(limit, seconds)),
            "lb" => (Self::Burst, Window::burst(limit, seconds)),
            _ => return None,
        };
        Some((span, window.ok()?))
    }

    /// The name of its snapshot of an epoch: short, because every byte counts
    /// towards the kilobyte of one write unit.
    pub(super) fn snapshot(self, epoch: u64) -> String {
        format!("{}{}", self.prefix(), base36(epoch))
    }

    fn parse_snapshot(name: &str) -> Option<(Self, u64)> {
        let span = Self::BOTH
            .into_iter()
            .find(|span| name.starts_with(span.prefix()))?;
        Some((span, u64::from_str_radix(&name[2..], 36).ok()?))
    }
}

fn base36(mut value: u64) -> String {
    let mut digits = Vec::new();
    loop {
        let digit = u8::try_from(value % 36).unwrap_or_default();
        digits.push(char::from(if digit < 10 {
            b'0' + digit
        } else {
            b'a' + digit - 10
        }));
        value /= 36;
        if value == 0 {
            return digits.iter().rev().collect();
        }
    }
}

/// An item as it was stored under this policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// Permits ever granted.
    pub(super) granted: u64,
    /// Snapshots by window and epoch.
    pub(super) snapshots: BTreeMap<(Span, u64), u64>,
}

/// What a stored item is to this policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stored {
    /// In order.
    Current(Item),
    /// Written under another policy, whose windows these are: its snapshots
    /// are on their grids.
    OtherPolicy(Item, Vec<(Span, Window)>),
    /// Something that we never write. It must not become an allowance.
    Damaged,
}

/// What the condition says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Judgement {
    /// A grant would pass now.
    Free,
    /// Not before this instant, in epoch seconds.
    Until(u64),
}

/// The limit, what is left of it, and when more is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct WindowStatus {
    /// At most so many ...
    pub limit: u32,
    /// ... in any so many seconds.
    pub seconds: u32,
    /// How many are left.
    pub remaining: u32,
    /// Epoch seconds at which the next permit frees if none is left, else at
    /// which the oldest counted epoch frees.
    pub reset: u64,
}

impl Item {
    /// Reads an item.
    pub(super) fn read(attributes: &HashMap<String, AttributeValue>, policy: &Policy) -> Stored {
        let whole = |value: &AttributeValue| value.as_n().ok()?.parse::<i64>().ok();
        let Some(granted) = attributes
            .get("n")
            .and_then(whole)
            .and_then(|n| u64::try_from(n).ok())
        else {
            return Stored::Damaged;
        };
        let mut snapshots = BTreeMap::new();
        for (name, value) in attributes {
            let Some(at) = Span::parse_snapshot(name) else {
                continue;
            };
            match whole(value).and_then(|n| u64::try_from(n).ok()) {
                Some(snapshot) if snapshot < granted => snapshots.insert(at, snapshot),
                _ => return Stored::Damaged,
            };
        }
        let item = Self { granted, snapshots };
        let mut current = true;
        for span in Span::BOTH {
            match attributes.get(&span.lag(policy)) {
                None => current = false,
                Some(lag) if whole(lag) == Some(item.lag(span, policy)) => {}
                Some(_) => return Stored::Damaged,
            }
        }
        if current {
            return Stored::Current(item);
        }
        let windows = attributes
            .keys()
            .filter_map(|name| Span::parse_lag(name))
            .collect();
        Stored::OtherPolicy(item, windows)
    }

    pub(super) fn lag(&self, span: Span, policy: &Policy) -> i64 {
        let limit = i64::from(span.of(policy).limit);
        i64::try_from(self.granted)
            .unwrap_or(i64::MAX)
            .saturating_sub(limit)
    }

    /// An item before its first grant.
    pub(super) const fn empty() -> Self {
        Self {
            granted: 0,
            snapshots: BTreeMap::new(),
        }
    }

    /// An item that grants nothing for as long as its windows last: what a
    /// damaged one is replaced by.
    pub(super) fn exhausted(policy: &Policy, now: DateTime<Utc>) -> Self {
        let granted = u64::from(policy.period.limit.max(policy.burst.limit));
        let snapshots = Span::BOTH
            .into_iter()
            .map(|span| {
                let window = span.of(policy);
                (
                    (span, window.epoch_of(now)),
                    granted - u64::from(window.limit),
                )
            })
            .collect();
        Self { granted, snapshots }
    }

    /// The same grants on this policy's grids, read from those of `old`. What
    /// lies on another grid is counted as if the oldest of it that may matter
    /// had been granted now: too strict for a while, never too lax.
    pub(super) fn regridded(
        &self,
        policy: &Policy,
        old: &[(Span, Window)],
        now: DateTime<Utc>,
    ) -> Self {
        let mut snapshots = BTreeMap::new();
        for span in Span::BOTH {
            let window = span.of(policy);
            let old = old
                .iter()
                .filter(|(of, _)| *of == span)
                .map(|(_, window)| *window);
            let old = old.max_by_key(|old| old.seconds);
            if old.is_some_and(|old| old.epoch == window.epoch && old.behind >= window.behind) {
                snapshots.extend(self.of(span).map(|(epoch, n)| ((span, epoch), n)));
                continue;
            }
            let matters = |epoch: u64| {
                let Some(old) = old else { return true };
                let reach = old.reach().max(window.reach());
                (epoch + 1) * u64::from(old.epoch) + reach > seconds(now)
            };
            let oldest = self
                .of(span)
                .filter(|(epoch, _)| matters(*epoch))
                .map(|(_, n)| n)
                .min();
            snapshots.extend(oldest.map(|n| ((span, window.epoch_of(now)), n)));
        }
        Self {
            granted: self.granted,
            snapshots,
        }
    }

    fn of(&self, span: Span) -> impl Iterator<Item = (u64, u64)> {
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
        self.of(span)
            .filter(move |(epoch, _)| range.contains(epoch))
    }

    /// Whether a grant would pass: the condition of the write, evaluated here.
    pub(super) fn judge(&self, policy: &Policy, now: DateTime<Utc>) -> Judgement {
        let violated = Span::BOTH.into_iter().flat_map(|span| {
            let window = span.of(policy);
            let lag = self.lag(span, policy);
            self.in_range(span, window, now)
                .filter(move |(_, snapshot)| i64::try_from(*snapshot).is_ok_and(|n| n <= lag))
                .map(move |(epoch, _)| window.frees_at(epoch))
        });
        violated.max().map_or(Judgement::Free, Judgement::Until)
    }

    /// The grant: the write's update, evaluated here. Tells whether it passed.
    #[cfg(test)] // DynamoDB does it; the proofs do it here
    pub(super) fn grant(&mut self, policy: &Policy, now: DateTime<Utc>) -> bool {
        if self.judge(policy, now) != Judgement::Free {
            return false;
        }
        for span in Span::BOTH {
            let epoch = span.of(policy).epoch_of(now);
            self.snapshots.entry((span, epoch)).or_insert(self.granted);
            for left in just_left(span.of(policy), epoch) {
                self.snapshots.remove(&(span, left));
            }
        }
        self.granted += 1;
        true
    }

    /// How one window stands.
    pub(super) fn status(&self, span: Span, policy: &Policy, now: DateTime<Utc>) -> WindowStatus {
        let window = span.of(policy);
        let oldest = self.in_range(span, window, now).next();
        // Not the oldest epoch's: a clock that is ahead can have left a smaller
        // total in a later epoch.
        let least = self
            .in_range(span, window, now)
            .map(|(_, snapshot)| snapshot)
            .min();
        let used = least.map_or(0, |snapshot| self.granted - snapshot);
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

    /// When nothing of it restricts anything any more, in epoch seconds.
    pub(super) fn ends_at(&self, policy: &Policy) -> u64 {
        self.snapshots
            .keys()
            .map(|(span, epoch)| span.of(policy).frees_at(*epoch))
            .max()
            .unwrap_or_default()
    }

    /// The names of snapshots that restrict nothing any more, by a clock that
    /// may be the most advanced of all.
    pub(super) fn stale(&self, policy: &Policy, now: DateTime<Utc>) -> Vec<String> {
        self.snapshots
            .keys()
            .filter(|(span, epoch)| {
                let window = span.of(policy);
                *epoch < *window.range(window.epoch_of(now)).start()
            })
            .map(|(span, epoch)| span.snapshot(*epoch))
            .collect()
    }
}

/// Epoch seconds.
pub(super) fn seconds(at: DateTime<Utc>) -> u64 {
    u64::try_from(at.timestamp()).unwrap_or_default()
}

/// The epochs that left the range last: removed with every grant, so that an
/// item in use does not grow.
pub(super) fn just_left(window: Window, epoch: u64) -> impl Iterator<Item = u64> {
    let first = epoch.saturating_sub(u64::from(window.behind));
    first.saturating_sub(4)..first
}
