//! The issuer's keys, kept in this instance and fetched again when needed.

use chrono::{DateTime, TimeDelta, Utc};
use shared::Clock;
use tokio::sync::{Mutex, RwLock};

use crate::discovery::{Discovery, FetchError};
use crate::keys::{KeySet, SigningKey};

/// An unknown key id, which anyone can make up, fetches no more often than this.
const PAUSE: TimeDelta = TimeDelta::minutes(1);
/// The same while there are no keys at all: nobody gets in, so it is tried sooner.
const PAUSE_WITHOUT_KEYS: TimeDelta = TimeDelta::seconds(2);
/// A key that the issuer has withdrawn is trusted no longer than this, as long
/// as the issuer answers.
const MOST_AGE: TimeDelta = TimeDelta::hours(1);

/// The keys of an issuer that serves them.
#[derive(Debug)]
pub(crate) struct Issuer {
    discovery: Discovery,
    clock: Clock,
    known: RwLock<Option<Known>>,
    /// When they were last asked for. Locked while they are, so that those who
    /// need a key at the same time wait for one answer.
    asked_at: Mutex<Option<DateTime<Utc>>>,
}

#[derive(Debug)]
struct Known {
    keys: KeySet,
    fetched_at: DateTime<Utc>,
}

impl Issuer {
    pub(crate) fn new(discovery: Discovery, clock: Clock) -> Self {
        Self {
            discovery,
            clock,
            known: RwLock::default(),
            asked_at: Mutex::default(),
        }
    }

    /// The key of this id; `None` if the issuer has none.
    ///
    /// # Errors
    /// When no keys are known and none can be fetched.
    pub(crate) async fn key(&self, id: &str) -> Result<Option<SigningKey>, FetchError> {
        if let Some(key) = self.fresh(id).await {
            return Ok(Some(key));
        }
        let mut asked_at = self.asked_at.lock().await;
        // Whoever held the lock may have fetched it.
        if let Some(key) = self.fresh(id).await {
            return Ok(Some(key));
        }
        let now = self.clock.now();
        let any_known = self.known.read().await.is_some();
        let pause = if any_known { PAUSE } else { PAUSE_WITHOUT_KEYS };
        if asked_at.is_none_or(|at| (now - at).abs() >= pause) {
            *asked_at = Some(now);
            match self.discovery.key_set().await {
                Ok(keys) => {
                    let fetched_at = now;
                    *self.known.write().await = Some(Known { keys, fetched_at });
                }
                Err(error) if any_known => {
                    tracing::warn!(%error, "the issuer's keys could not be fetched; the known ones stay");
                }
                Err(error) => return Err(error),
            }
        }
        match self.known.read().await.as_ref() {
            Some(known) => Ok(known.keys.find(id).cloned()),
            None => Err(FetchError::Pausing),
        }
    }

    async fn fresh(&self, id: &str) -> Option<SigningKey> {
        let known = self.known.read().await;
        let known = known.as_ref()?;
        let age = self.clock.now() - known.fetched_at;
        known.keys.find(id).filter(|_| age < MOST_AGE).cloned()
    }
}
