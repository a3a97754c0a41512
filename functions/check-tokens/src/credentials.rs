//! Our client ids and secrets at the platforms, as one secret holds them.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use shared::Clock;
use shared::oauth::{Credentials, CredentialsError};
use tokio::sync::Mutex;
use tracing::warn;

/// How long an instance trusts what it read. Within this time it follows a rotation that it
/// cannot notice, because the platform still accepts the old credentials.
const LIFE: TimeDelta = TimeDelta::hours(1);

/// The secret. An instance reads it again when it may have been replaced: after an hour, and after
/// a run that ends with an open circuit breaker.
#[derive(Debug, Clone)]
pub(crate) struct PlatformSecret {
    client: aws_sdk_secretsmanager::Client,
    id: String,
    clock: Clock,
    held: Arc<Mutex<Option<Held>>>,
}

#[derive(Debug)]
struct Held {
    credentials: Arc<Credentials>,
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
            held: Arc::default(),
        }
    }

    /// Returns what the secret holds, or held when this instance last read it.
    ///
    /// # Errors
    /// If the secret is unreadable or malformed, and this instance has never read it before.
    pub(crate) async fn read(&self) -> Result<Arc<Credentials>, CredentialsError> {
        let now = self.clock.now();
        let mut held = self.held.lock().await;
        if let Some(held) = &*held
            && now < held.until
        {
            return Ok(Arc::clone(&held.credentials));
        }
        let credentials = match (Credentials::fetch(&self.client, &self.id).await, &*held) {
            (Ok(credentials), _) => Arc::new(credentials),
            // What it held last still refreshes most of what is due.
            (Err(error), Some(held)) => {
                warn!(%error, "the platforms' secret could not be read again");
                return Ok(Arc::clone(&held.credentials));
            }
            (Err(error), None) => return Err(error),
        };
        *held = Some(Held {
            credentials: Arc::clone(&credentials),
            until: now + LIFE,
        });
        Ok(credentials)
    }

    /// Makes the next call of `read` fetch the secret.
    pub(crate) async fn forget(&self) {
        if let Some(held) = &mut *self.held.lock().await {
            held.until = DateTime::UNIX_EPOCH;
        }
    }
}
