//! Our client ids and secrets at the platforms, as one secret holds them.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use shared::Clock;
use shared::oauth::{Credentials, CredentialsError};
use tokio::sync::Mutex;
use tracing::warn;

/// How long they are taken for what the secret holds: a rotation that a platform
/// does not make us notice, because it still accepts the old ones, is followed
/// within that time.
const LIFE: TimeDelta = TimeDelta::hours(1);

/// The secret. An instance reads it once, and again when what it read may have
/// been replaced: after an hour, and after a sweep in which a platform refused
/// our application.
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
    /// Until when they are taken for what the secret holds.
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

    /// What the secret holds, or held a moment ago.
    ///
    /// # Errors
    /// When it cannot be had or is not of the expected form.
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

    /// The next to ask reads the secret.
    pub(crate) async fn forget(&self) {
        if let Some(held) = &mut *self.held.lock().await {
            held.until = DateTime::UNIX_EPOCH;
        }
    }
}
