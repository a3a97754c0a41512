//! A block: until an instant no call may be made, because the platform said so.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Serialize, Serializer};

use super::window::{SKEW, seconds};
use crate::domain::digest;

/// No block is longer, in seconds: what a platform says may be wrong.
pub const MAX_BLOCK_SECONDS: u32 = 86_400;
/// A block is lifted only by what is known so many seconds after it was set. A call that was
/// admitted before ends within 55 s, and its late answer knows nothing of the block.
pub const LIFTABLE_AFTER_SECONDS: u32 = 60;

/// An interval in which no call may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Block {
    /// Epoch seconds of its end. It includes the difference between clocks.
    pub until: u64,
    /// Epoch seconds at which it was set.
    pub since: u64,
    pub source: BlockSource,
}

/// What the platform said. Serialised and stored as a text of at most 5 characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BlockSource {
    /// It refused a call. Only the end of such a block lifts it, or a reset.
    Throttle,
    /// It reported that almost everything is used. A later report of the same usage may lift the
    /// block.
    Usage(UsageDigest),
}

/// Recognises the reports of one usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UsageDigest(u16);

/// The text is no source of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no source of a block")]
pub struct InvalidBlockSource;

impl BlockSource {
    /// Returns the source of all reports in this header (whatever its case) about this entry.
    #[must_use]
    pub fn usage(header: &str, entry: &str) -> Self {
        let digest = digest::short(&[&header.to_ascii_lowercase(), entry]);
        Self::Usage(UsageDigest(u16::try_from(digest >> 48).unwrap_or_default()))
    }
}

impl fmt::Display for BlockSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Throttle => f.write_str("t"),
            Self::Usage(UsageDigest(digest)) => write!(f, "u{digest:04x}"),
        }
    }
}

impl FromStr for BlockSource {
    type Err = InvalidBlockSource;

    fn from_str(text: &str) -> Result<Self, InvalidBlockSource> {
        if text == "t" {
            return Ok(Self::Throttle);
        }
        let digest = text.strip_prefix('u').filter(|digits| digits.len() == 4);
        let digest = digest.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        digest
            .map(|digest| Self::Usage(UsageDigest(digest)))
            .filter(|source| source.to_string() == text)
            .ok_or(InvalidBlockSource)
    }
}

impl Serialize for BlockSource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Block {
    /// Returns the block until `until`, at most [`MAX_BLOCK_SECONDS`] from now; `None` if that has
    /// passed. It ends a second later than asked, so that a writer whose clock is ahead does not
    /// admit early.
    pub(crate) fn new(
        until: DateTime<Utc>,
        source: BlockSource,
        now: DateTime<Utc>,
    ) -> Option<Self> {
        let latest = now + TimeDelta::seconds(i64::from(MAX_BLOCK_SECONDS));
        let until = until.min(latest);
        if until <= now {
            return None;
        }
        let part = u64::from(until.timestamp_subsec_nanos() > 0);
        Some(Self {
            until: seconds(until) + part + u64::from(SKEW),
            since: seconds(now),
            source,
        })
    }

    /// Whether we could have set such a block. Anything else is damage.
    pub(crate) fn is_possible(&self) -> bool {
        let latest = u64::from(MAX_BLOCK_SECONDS + SKEW) + 1;
        self.since < self.until && self.until - self.since <= latest
    }

    pub(crate) const fn is_running(&self, now: u64) -> bool {
        now < self.until
    }

    /// Returns the one block that holds after this one is set over `stored`: the later end of both.
    /// It is a throttle's if one of both is, because an item holds one source and such a block
    /// must not be lifted.
    pub(crate) fn over(self, stored: Option<Self>) -> Self {
        let Some(stored) = stored.filter(|stored| stored.is_running(self.since)) else {
            return self;
        };
        let is_throttle = [self, stored]
            .iter()
            .any(|block| block.source == BlockSource::Throttle);
        let longer = if self.until > stored.until {
            self
        } else {
            stored
        };
        let source = match is_throttle {
            true => BlockSource::Throttle,
            false => longer.source,
        };
        Self { source, ..longer }
    }

    /// Whether a report of `source` at `now` may lift it. The write decides by the same condition.
    #[cfg(test)]
    pub(crate) fn is_liftable(&self, source: BlockSource, now: u64) -> bool {
        source != BlockSource::Throttle
            && self.source == source
            && self.since + u64::from(LIFTABLE_AFTER_SECONDS) <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(1_800_000_000_000 + millis).unwrap()
    }

    fn block(after: i64, source: BlockSource) -> Block {
        Block::new(at(after * 1000), source, at(0)).unwrap()
    }

    #[test]
    fn it_ends_late_rather_than_early_and_within_a_day() {
        let start = seconds(at(0));
        let until = |millis| {
            let block = Block::new(at(millis), BlockSource::Throttle, at(0));
            block.map(|block| block.until - start)
        };
        assert_eq!(until(0), None);
        assert_eq!(until(-1), None);
        assert_eq!(until(1), Some(2));
        assert_eq!(until(60_000), Some(61));
        assert_eq!(until(60_001), Some(62));
        assert_eq!(until(90_000_000), Some(86_401));
        let far = Block::new(
            DateTime::<Utc>::MAX_UTC,
            BlockSource::Throttle,
            at(0) + TimeDelta::milliseconds(999),
        );
        assert!(far.unwrap().is_possible());
    }

    #[test]
    fn a_source_is_a_short_text() {
        let usage = BlockSource::usage("X-App-Usage", "call_count");
        assert_eq!(usage, BlockSource::usage("x-app-usage", "call_count"));
        assert_ne!(usage, BlockSource::usage("x-app-usage", "total_time"));
        for source in [BlockSource::Throttle, usage] {
            let text = source.to_string();
            assert!(text.len() <= 5, "{text}");
            assert_eq!(text.parse(), Ok(source));
            assert_eq!(serde_json::json!(source), text);
        }
        for other in [
            "", "u", "T", "tt", "u12", "u12345", "u+123", "uABCD", "b12c4",
        ] {
            assert_eq!(other.parse::<BlockSource>(), Err(InvalidBlockSource));
        }
    }

    #[test]
    fn the_longer_one_holds_and_a_throttle_is_never_forgotten() {
        let (usage, other) = (BlockSource::usage("h", "a"), BlockSource::usage("h", "b"));
        let throttle = BlockSource::Throttle;
        for (new, stored, until, source) in [
            ((10, usage), (5, other), 11, usage),
            ((5, usage), (10, other), 11, other),
            ((5, usage), (5, other), 6, other),
            ((10, usage), (5, throttle), 11, throttle),
            ((5, usage), (10, throttle), 11, throttle),
            ((10, throttle), (5, usage), 11, throttle),
            ((5, throttle), (10, usage), 11, throttle),
        ] {
            let held = block(new.0, new.1).over(Some(block(stored.0, stored.1)));
            let expected = (seconds(at(0)) + until, source);
            assert_eq!((held.until, held.source), expected, "{new:?} {stored:?}");
        }
        // One that is over does not matter.
        let later = Block::new(at(20_000), usage, at(6_000)).unwrap();
        assert_eq!(later.over(Some(block(5, throttle))), later);
        assert_eq!(later.over(None), later);
    }
}
