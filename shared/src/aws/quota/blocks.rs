//! Blocks: how the limiter closes a quota because the platform said so, and opens it again.

use chrono::{DateTime, TimeDelta, Utc};

use super::attributes::{self, Stored, decode};
use super::block_write::{self, Closes};
use super::error::QuotaError;
use super::limiter::{Limiter, MAX_LOST_WRITES, denial, item_of};
use super::store::Sent;
use super::write::{self, Write};
use crate::Platform;
use crate::aws::attributes::Attributes;
use crate::domain::quota::key::application_key;
use crate::domain::quota::window::seconds;
use crate::domain::quota::{Block, BlockSource, LIFTABLE_AFTER_SECONDS, QuotaKey};

/// For how long a report alone closes all quotas of a platform.
const LONGEST_ON_REPORT: TimeDelta = TimeDelta::minutes(1);
/// The least time from the beginning of one block of a platform to that of another on a report.
const PAUSE_BETWEEN_REPORTS: TimeDelta = TimeDelta::minutes(5);

/// What came of setting a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockOutcome {
    /// This block holds now.
    Set(Block),
    /// This one was there, which ends no earlier. It stays.
    Kept(Block),
    /// The instant had passed already: nothing was blocked.
    Over,
}

/// One try to set a block.
enum Try {
    Held(BlockOutcome, Attributes),
    /// Another write was quicker; this is the item as it was then.
    Lost(Option<Attributes>),
}

/// What came of lifting one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lift {
    Done,
    /// There was none to lift.
    Nothing,
    /// There is one that this report must not lift.
    Stays,
}

impl Limiter {
    /// Closes a quota until `until`, at most a day from now, for all callers at once: from then on
    /// the write of every decision is refused. A longer block stays.
    ///
    /// # Errors
    /// [`QuotaError`] if the block could not be set.
    pub async fn block(
        &self,
        key: &QuotaKey,
        until: DateTime<Utc>,
        source: BlockSource,
    ) -> Result<BlockOutcome, QuotaError> {
        let policy = self.policy(key);
        let mut seen = None;
        for _ in 0..MAX_LOST_WRITES {
            let Some(block) = Block::new(until, source, self.clock.now()) else {
                return Ok(BlockOutcome::Over);
            };
            let tried = match seen.take() {
                Some(None) => {
                    let write = write::create_blocked(block, &policy);
                    self.try_to_set(key, block, write).await?
                }
                Some(Some(old)) if decode(&old, &policy) == Stored::Damaged => {
                    match self.replace_damaged(key, &policy, &old).await {
                        QuotaError::Damaged => continue,
                        other => return Err(other),
                    }
                }
                other => self.set(key, block, Closes::Quota, other.flatten()).await?,
            };
            match tried {
                Try::Held(outcome, attributes) => {
                    let now = self.clock.now();
                    let item = item_of(&attributes, &policy, now);
                    if let Some(denial) = denial(&item, &policy, now) {
                        self.remember(key, denial);
                    }
                    return Ok(outcome);
                }
                Try::Lost(old) => seen = Some(old),
            }
        }
        Err(QuotaError::Contended)
    }

    /// Lifts the block of a quota, if it is of `source` and was set at least a minute ago, by one
    /// conditional write. Returns whether it did. A throttle's block is never lifted.
    ///
    /// # Errors
    /// [`QuotaError::Unavailable`] if DynamoDB does not answer.
    pub async fn unblock(&self, key: &QuotaKey, source: &BlockSource) -> Result<bool, QuotaError> {
        let lift = self.lift(key, *source).await?;
        if lift != Lift::Stays {
            self.memory().forget_denial(key);
        }
        Ok(lift == Lift::Done)
    }

    /// Closes every quota of a platform until `until`, at most a day from now. A longer block stays.
    /// Other instances see it within [`super::APPLICATION_BLOCK_MAX_AGE`] seconds.
    ///
    /// # Errors
    /// [`QuotaError`] if the block could not be set.
    pub async fn block_application(
        &self,
        platform: Platform,
        until: DateTime<Utc>,
        source: BlockSource,
    ) -> Result<BlockOutcome, QuotaError> {
        let key = application_key(platform);
        let mut seen = None;
        for _ in 0..MAX_LOST_WRITES {
            let now = self.clock.now();
            let Some(block) = Block::new(until, source, now) else {
                return Ok(BlockOutcome::Over);
            };
            match self.set(&key, block, Closes::Application, seen).await? {
                Try::Held(outcome, _) => {
                    let held = outcome.block();
                    self.applications.learn(platform, held, seconds(now)).await;
                    return Ok(outcome);
                }
                Try::Lost(old) => seen = old,
            }
        }
        Err(QuotaError::Contended)
    }

    /// Closes every quota of a platform because somebody reports that it asks for that: until
    /// `until`, for a minute at most, and not within five minutes of the beginning of another
    /// block. So whoever reports what is not so, as often as it likes, leaves everybody else most
    /// of the time. One conditional write.
    ///
    /// # Errors
    /// [`QuotaError::Unavailable`] if DynamoDB does not answer.
    pub async fn block_application_on_report(
        &self,
        platform: Platform,
        until: DateTime<Utc>,
        source: BlockSource,
    ) -> Result<BlockOutcome, QuotaError> {
        let now = self.clock.now();
        let Some(block) = Block::new(until.min(now + LONGEST_ON_REPORT), source, now) else {
            return Ok(BlockOutcome::Over);
        };
        let write = block_write::set_after_pause(&block, seconds(now - PAUSE_BETWEEN_REPORTS));
        let key = application_key(platform);
        let outcome = match self.try_to_set(&key, block, write).await? {
            Try::Held(outcome, _) => outcome,
            Try::Lost(old) => {
                let stored = attributes::block(&old.unwrap_or_default()).unwrap_or_default();
                match stored.filter(|block| block.is_running(seconds(now))) {
                    Some(block) => BlockOutcome::Kept(block),
                    None => return Ok(BlockOutcome::Over),
                }
            }
        };
        self.applications
            .learn(platform, outcome.block(), seconds(now))
            .await;
        Ok(outcome)
    }

    /// Sets `block`, merged with the one that was `seen` when the last try was lost.
    async fn set(
        &self,
        key: &impl std::fmt::Display,
        block: Block,
        closes: Closes,
        seen: Option<Attributes>,
    ) -> Result<Try, QuotaError> {
        let Some(old) = seen else {
            let write = block_write::set(&block, closes);
            return self.try_to_set(key, block, write).await;
        };
        // A damaged one is overwritten.
        let stored = attributes::block(&old).unwrap_or_default();
        let merged = block.over(stored);
        if stored == Some(merged) {
            return Ok(Try::Held(BlockOutcome::Kept(merged), old));
        }
        let write = block_write::set_over(&merged, closes, &old);
        self.try_to_set(key, merged, write).await
    }

    async fn try_to_set(
        &self,
        key: &impl std::fmt::Display,
        block: Block,
        write: Write,
    ) -> Result<Try, QuotaError> {
        let (sent, _) = self.store.send(key, |_| write.clone()).await?;
        Ok(match sent {
            Sent::Done(attributes) => Try::Held(BlockOutcome::Set(block), attributes),
            Sent::Refused(old) => Try::Lost(old),
        })
    }

    async fn lift(
        &self,
        key: &impl std::fmt::Display,
        source: BlockSource,
    ) -> Result<Lift, QuotaError> {
        if source == BlockSource::Throttle {
            return Ok(Lift::Stays);
        }
        let age = TimeDelta::seconds(i64::from(LIFTABLE_AFTER_SECONDS));
        let lifting = |now: DateTime<Utc>| block_write::lift(source, seconds(now - age));
        let (sent, sent_at) = self.store.send(key, lifting).await?;
        Ok(match sent {
            Sent::Done(_) => Lift::Done,
            Sent::Refused(old) => {
                let stored = attributes::block(&old.unwrap_or_default()).unwrap_or_default();
                match stored.filter(|block| block.is_running(seconds(sent_at))) {
                    Some(_) => Lift::Stays,
                    None => Lift::Nothing,
                }
            }
        })
    }
}

impl BlockOutcome {
    /// Returns the block that holds now.
    #[must_use]
    pub const fn block(&self) -> Option<Block> {
        match self {
            Self::Set(block) | Self::Kept(block) => Some(*block),
            Self::Over => None,
        }
    }

    /// Returns when the block that holds now ends.
    #[must_use]
    pub fn until(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(self.block()?.until.try_into().ok()?, 0)
    }
}
