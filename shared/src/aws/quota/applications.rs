//! What an instance knows of the blocks of our applications at the platforms.
//!
//! Each application has an item of its own in the table. A look at it is a read, which every
//! decision would pay: so its answer is believed for a while.

use std::collections::HashMap;

use tokio::sync::{Mutex, MutexGuard};

use super::attributes;
use super::memory::MAX_DENIAL_AGE;
use super::store::Store;
use crate::domain::quota::Block;
use crate::domain::quota::key::application_key;
use crate::domain::quota::window::seconds;
use crate::{Clock, Platform};

/// Seconds for which an instance believes that an application is not blocked.
pub const APPLICATION_BLOCK_MAX_AGE: u64 = 5;

#[derive(Debug)]
pub(super) struct Applications(HashMap<Platform, Mutex<Known>>);

/// What was seen last of one application.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Epoch seconds of the last look, whatever came of it.
    looked_at: Option<u64>,
    block: Option<Block>,
}

impl Default for Applications {
    fn default() -> Self {
        let known = Platform::ALL.map(|platform| (platform, Mutex::default()));
        Self(known.into())
    }
}

impl Applications {
    async fn known(&self, platform: Platform) -> MutexGuard<'_, Known> {
        self.0[&platform].lock().await
    }

    /// Returns until when a platform asks our whole application to wait. Whoever comes during a look
    /// waits for its answer.
    ///
    /// A look that fails changes nothing: it is no reason to refuse, because each integration's own
    /// quota still holds. Nor is it repeated before it is due again.
    pub(super) async fn blocked_until(
        &self,
        platform: Platform,
        store: &Store,
        clock: &Clock,
    ) -> Option<u64> {
        let mut known = self.known(platform).await;
        let now = seconds(clock.now());
        if known.is_due(now) {
            known.looked_at = Some(now);
            match store.look(application_key(platform)).await {
                Ok(item) => match attributes::block(&item.unwrap_or_default()) {
                    Ok(block) => known.block = block,
                    Err(_) => tracing::warn!(%platform, "the application's block is damaged"),
                },
                Err(cause) => {
                    tracing::warn!(%platform, %cause, "the application's block was not seen");
                }
            }
        }
        known.blocked_until(seconds(clock.now()))
    }

    /// Notes what was just written.
    pub(super) async fn learn(&self, platform: Platform, block: Option<Block>, now: u64) {
        let mut known = self.known(platform).await;
        *known = Known {
            looked_at: Some(now),
            block,
        };
    }
}

impl Known {
    fn blocked_until(&self, now: u64) -> Option<u64> {
        let running = self.block.filter(|block| block.is_running(now));
        running.map(|block| block.until)
    }

    /// Whether it is time for another look. A block is believed for as long as a denial is.
    fn is_due(&self, now: u64) -> bool {
        let max_age = match self.blocked_until(now) {
            Some(_) => MAX_DENIAL_AGE,
            None => APPLICATION_BLOCK_MAX_AGE,
        };
        // A clock that was set back makes it due as well.
        self.looked_at
            .is_none_or(|at| now.checked_sub(at).is_none_or(|age| age >= max_age))
    }
}
