//! Our client ids and secrets at the platforms, as one secret holds them.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use shared::Clock;
use shared::oauth::{PlatformClients, PlatformSecretError};
use tokio::sync::Mutex;
use tracing::warn;

/// How long an instance trusts what it read. Within this time it follows a rotation that it
/// cannot notice, because the platform still accepts the old credentials.
const CACHE_LIFETIME: TimeDelta = TimeDelta::hours(1);

/// The secret. An instance reads it again when it may have been replaced: after an hour, and after
/// a run that ends with an open circuit breaker.
#[derive(Debug, Clone)]
pub(crate) struct PlatformSecret {
    client: aws_sdk_secretsmanager::Client,
    id: String,
    clock: Clock,
    cached: Arc<Mutex<Option<CachedClients>>>,
}

#[derive(Debug)]
struct CachedClients {
    clients: Arc<PlatformClients>,
    /// When the secret is to be read again.
    until: DateTime<Utc>,
}

impl PlatformSecret {
    pub(crate) fn new(
        client: aws_sdk_secretsmanager::Client,
        id: impl Into<String>,
        clock: Clock,
    ) -> Self {
        Self {
            client,
            id: id.into(),
            clock,
            cached: Arc::default(),
        }
    }

    /// Returns what the secret holds, or held when this instance last read it.
    ///
    /// # Errors
    /// If the secret is unreadable or malformed, and this instance has never read it before.
    pub(crate) async fn clients(&self) -> Result<Arc<PlatformClients>, PlatformSecretError> {
        let now = self.clock.now();
        let mut cached = self.cached.lock().await;
        if let Some(cached) = &*cached
            && now < cached.until
        {
            return Ok(Arc::clone(&cached.clients));
        }
        let clients = match (
            PlatformClients::fetch(&self.client, &self.id).await,
            &*cached,
        ) {
            (Ok(clients), _) => Arc::new(clients),
            // What it cached last still refreshes most of what is due.
            (Err(error), Some(cached)) => {
                warn!(%error, "the platforms' secret could not be read again");
                return Ok(Arc::clone(&cached.clients));
            }
            (Err(error), None) => return Err(error),
        };
        *cached = Some(CachedClients {
            clients: Arc::clone(&clients),
            until: now + CACHE_LIFETIME,
        });
        Ok(clients)
    }

    /// Makes the next call of `read` fetch the secret.
    pub(crate) async fn forget(&self) {
        if let Some(cached) = &mut *self.cached.lock().await {
            cached.until = DateTime::UNIX_EPOCH;
        }
    }
}
