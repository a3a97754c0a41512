//! Stores a credential that was handed over. It wins over a refresh that is under way: after a
//! lost race it decides again, on the row as it is then.

use chrono::{DateTime, Utc};
use secrecy::SecretString;

use crate::aws::tables::{Conflict, Found, IntegrationsTable, TableError};
use crate::aws::token_cipher::{CipherError, EncryptionContext, SealedField, TokenCipher};
use crate::domain::account::Account;
use crate::domain::integration::{
    Credential, Expiry, Integration, Permissions, RefreshState, State,
};
use crate::domain::sent_alerts::SentAlerts;
use crate::domain::verdict::ReconnectReason;
use crate::registration::Registration;
use crate::registration::fingerprint::{Fingerprint, Likeness};
use crate::{IntegrationKey, UserId};

/// How often a write that lost a race is tried. A refresh writes its row a few times.
pub(super) const MAX_LOST_WRITES: u32 = 10;

#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    #[error(transparent)]
    Store(#[from] TableError),
    #[error(transparent)]
    Sealing(#[from] CipherError),
    /// Others kept writing the same row.
    #[error("others keep changing the row; try again")]
    Contended,
}

/// Where a credential comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Somebody hands it over. Only a refresh shows that it renews, and the same again may be a
    /// repetition, after it was exchanged.
    HandedOver,
    /// The platform has just issued it to our application, for a person's consent. That shows as
    /// much as a refresh.
    Issued,
}

/// An integration whose credential was handed over.
#[derive(Debug)]
pub struct Registered {
    /// The row as it is stored.
    pub row: Integration,
    pub change: Change,
}

/// How a credential that was handed over changed the stored one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The credential is the integration's first.
    Created,
    /// The credential replaced another.
    Replaced,
    /// The credential is the stored one, or was exchanged for the stored one since.
    Unchanged,
}

impl Registration {
    /// Returns the row of a new grant, with its tokens sealed for its generation. It follows on
    /// the `stored` row; without one, its generation is `first_generation`.
    ///
    /// # Errors
    /// When the tokens cannot be sealed.
    pub async fn row(
        &self,
        key: &IntegrationKey,
        created_by: &UserId,
        stored: Option<&Integration>,
        first_generation: u64,
        sealer: &TokenCipher,
        now: DateTime<Utc>,
    ) -> Result<Integration, CipherError> {
        let generation = stored.map_or(first_generation, |row| row.credential.generation + 1);
        let seal = async |field, token: &Option<SecretString>| {
            let context = EncryptionContext {
                org_id: &key.org_id,
                integration_id: &key.integration_id,
                field,
                generation,
            };
            match token {
                Some(token) => sealer.seal(context, token).await.map(Some),
                None => Ok(None),
            }
        };
        let metadata = self.metadata.as_ref();
        let metadata = metadata.or(stored.map(|row| &row.metadata)).cloned();
        let row = Integration {
            org_id: key.org_id.clone(),
            integration_id: key.integration_id.clone(),
            platform: self.platform,
            created_by: created_by.clone(),
            metadata: metadata.unwrap_or_default(),
            version: stored.map_or(0, |row| row.version),
            account: Account {
                id: self.account_id.clone(),
                username: self.username.clone(),
            },
            credential: Credential {
                generation,
                grant: stored.map_or(1, |row| row.credential.grant + 1),
                granted_at: now,
                access_token: seal(SealedField::AccessToken, &self.access_token).await?,
                refresh_token: seal(SealedField::RefreshToken, &self.refresh_token).await?,
                // An import still knows the line that it has taken before.
                imported: stored.and_then(|row| row.credential.imported.clone()),
                registered: Fingerprint::new(self)?,
            },
            permissions: Permissions {
                granted: self.scopes.clone(),
                ..Permissions::default()
            },
            expiry: self.expiry(),
            refresh: RefreshState {
                // An exchange that was begun may yet store what it brings in the
                // fallback: that is to be found and removed.
                intent: stored.and_then(|row| row.refresh.intent.clone()),
                ..RefreshState::default()
            },
            state: State::Active,
            sent_alerts: SentAlerts::default(),
            reconnect_by: None,
            next_action_at: None,
            next_action_shard: None,
        };
        Ok(match stored {
            Some(before) => row.with_recovery_after(before, now),
            None => row,
        })
    }

    /// Returns the ends that were handed over.
    const fn expiry(&self) -> Expiry {
        Expiry {
            issued_at: self.token_issued_at,
            access_token: self.token_expires_at,
            refresh_token: self.refresh_token_expires_at,
            data_access: self.data_access_expires_at,
            idle: None,
        }
    }

    /// Returns the stored row with whatever this says beside the credential, if it is the
    /// credential last handed over. `None` if it is another, or nothing is left of what is
    /// stored. A caller that got no answer sends the credential again. Meanwhile a refresh may
    /// have exchanged it for another, which is the only one that lives, and must stay.
    fn repeated(&self, stored: &Integration) -> Result<Option<Integration>, CipherError> {
        let is_lost = matches!(
            stored.state,
            State::Disconnected { .. }
                | State::ReconnectRequired {
                    reason: ReconnectReason::CredentialDamaged,
                    ..
                }
        );
        let known = stored.credential.registered.as_ref().filter(|_| !is_lost);
        let likeness = known.map_or(Likeness::Other, |known| known.likeness(self));
        if likeness == Likeness::Other {
            return Ok(None);
        }
        let mut row = stored.clone();
        row.account.username.clone_from(&self.username);
        row.account.id.clone_from(&self.account_id);
        if let Some(metadata) = &self.metadata {
            row.metadata.clone_from(metadata);
        }
        // Put right; once it was tried, what is stored is the platform's word.
        let is_untried =
            row.refresh.attempted_at.is_none() && row.refresh.lease.is_none() && !row.is_in_doubt();
        if likeness == Likeness::SameTokens && is_untried {
            row.expiry = self.expiry();
            row.permissions.granted.clone_from(&self.scopes);
            row.credential.registered = Fingerprint::new(self)?;
        }
        Ok(Some(row))
    }

    /// Stores the registration for an integration, new or not. Whoever made the integration
    /// stays its creator; of a new one that is `caller`. Storing it again changes nothing.
    ///
    /// # Errors
    /// When it could not be stored; then nothing of it is.
    pub async fn store(
        &self,
        key: &IntegrationKey,
        caller: &UserId,
        origin: Origin,
        integrations: &IntegrationsTable,
        sealer: &TokenCipher,
        now: DateTime<Utc>,
    ) -> Result<Registered, RegistrationError> {
        let mut found = integrations.find(key).await?;
        for _ in 0..MAX_LOST_WRITES {
            let stored = found.row();
            let handed_over = stored.filter(|_| origin == Origin::HandedOver);
            let repeated = handed_over
                .map(|stored| self.repeated(stored))
                .transpose()?;
            let (row, change) = match repeated.flatten() {
                Some(row) if Some(&row) == stored => {
                    let change = Change::Unchanged;
                    return Ok(Registered { row, change });
                }
                Some(row) => (row, Change::Unchanged),
                None => {
                    let creator = stored.map_or(caller, |row| &row.created_by);
                    let first = found.first_generation(now);
                    let row = self.row(key, creator, stored, first, sealer, now);
                    let mut row = row.await?;
                    if origin == Origin::Issued {
                        row.refresh.attempted_at = Some(now);
                        row.refresh.renewed_at = Some(now);
                    }
                    let change = match found {
                        Found::Nothing => Change::Created,
                        Found::Row(_) | Found::Damaged { .. } => Change::Replaced,
                    };
                    (row, change)
                }
            };
            match integrations.write_over(&found, row, now).await {
                Ok(row) => return Ok(Registered { row, change }),
                Err(Conflict::Lost(_)) => found = integrations.find(key).await?,
                Err(Conflict::Failed(error)) => return Err(error.into()),
            }
        }
        Err(RegistrationError::Contended)
    }
}
