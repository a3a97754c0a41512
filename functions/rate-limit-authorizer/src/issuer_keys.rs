//! The issuer's keys, kept in this instance and fetched again when needed.

use chrono::{DateTime, TimeDelta, Utc};
use shared::Clock;
use shared::openid::{FetchError, Issuer};
use tokio::sync::{Mutex, RwLock};
use url::Url;

use crate::keys::{InvalidKeySet, KeySet, SigningKey};

/// An unknown key id, which anyone can make up, causes at most one fetch in this time.
const FETCH_INTERVAL: TimeDelta = TimeDelta::minutes(1);
/// The interval without any keys is shorter, because nobody gets in.
const FETCH_INTERVAL_WITHOUT_KEYS: TimeDelta = TimeDelta::seconds(2);
/// A key that the issuer has withdrawn is trusted no longer than this, as long
/// as the issuer answers.
const MAX_KEY_AGE: TimeDelta = TimeDelta::hours(1);

#[derive(Debug)]
pub(crate) struct IssuerKeys {
    issuer: Issuer,
    clock: Clock,
    fetched: RwLock<Option<FetchedKeys>>,
    /// When the keys were last requested. Locked during a request, so that all who need a key at
    /// that time wait for one answer.
    asked_at: Mutex<Option<DateTime<Utc>>>,
}

/// Why the keys of an issuer are not known.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error("the key set at {0} is of no use: {1}")]
    KeySet(Url, InvalidKeySet),
    #[error("the last attempt failed, and the next one is not due yet")]
    Pausing,
}

#[derive(Debug)]
struct FetchedKeys {
    keys: KeySet,
    fetched_at: DateTime<Utc>,
}

impl IssuerKeys {
    pub(crate) fn new(issuer: Issuer, clock: Clock) -> Self {
        Self {
            issuer,
            clock,
            fetched: RwLock::default(),
            asked_at: Mutex::default(),
        }
    }

    /// Returns the key of this id, or `None` if the issuer has no such key.
    ///
    /// # Errors
    /// If this instance knows no keys and cannot fetch any.
    pub(crate) async fn key(&self, id: &str) -> Result<Option<SigningKey>, KeysError> {
        if let Some(key) = self.fresh(id).await {
            return Ok(Some(key));
        }
        let mut asked_at = self.asked_at.lock().await;
        // Whoever held the lock may have fetched it.
        if let Some(key) = self.fresh(id).await {
            return Ok(Some(key));
        }
        let now = self.clock.now();
        let has_keys = self.fetched.read().await.is_some();
        let pause = if has_keys {
            FETCH_INTERVAL
        } else {
            FETCH_INTERVAL_WITHOUT_KEYS
        };
        if asked_at.is_none_or(|at| (now - at).abs() >= pause) {
            *asked_at = Some(now);
            match self.fetch().await {
                Ok(keys) => {
                    let fetched_at = now;
                    *self.fetched.write().await = Some(FetchedKeys { keys, fetched_at });
                }
                Err(error) if has_keys => {
                    tracing::warn!(%error, "the issuer's keys could not be fetched; the known ones stay");
                }
                Err(error) => return Err(error),
            }
        }
        match self.fetched.read().await.as_ref() {
            Some(fetched) => Ok(fetched.keys.find(id).cloned()),
            None => Err(KeysError::Pausing),
        }
    }

    /// Fetches the discovery document, and then the keys.
    async fn fetch(&self) -> Result<KeySet, KeysError> {
        let metadata = self.issuer.metadata().await?;
        let keys = self.issuer.address("jwks_uri", &metadata.jwks_uri)?;
        let json = self.issuer.get(&keys).await?;
        KeySet::parse(&json).map_err(|error| KeysError::KeySet(keys, error))
    }

    async fn fresh(&self, id: &str) -> Option<SigningKey> {
        let fetched = self.fetched.read().await;
        let fetched = fetched.as_ref()?;
        let age = self.clock.now() - fetched.fetched_at;
        fetched.keys.find(id).filter(|_| age < MAX_KEY_AGE).cloned()
    }
}
