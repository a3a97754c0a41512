//! What a person does to an integration: hands over a credential for it, or
//! switches it off. Either wins over a refresh that is under way: a race lost to
//! one is decided again on the row as it is then.

pub mod fields;
pub mod fingerprint;
pub mod import;

use chrono::{DateTime, Utc};
use secrecy::SecretString;

use crate::IntegrationKey;
use crate::aws::tables::{Conflict, Found, IntegrationsTable, TableError};
use crate::aws::token_cipher::{CipherError, EncryptionContext, SealedField, TokenCipher};
use crate::domain::alert_policy::SentAlerts;
use crate::domain::integration::{
    Account, Credential, Expiry, Integration, Permissions, RefreshState, State,
};
use crate::domain::verdict::ReconnectReason;
use crate::registration::fields::{Faults, Fields};
use crate::registration::fingerprint::{Fingerprint, Likeness};
use crate::{Platform, UserId};

/// How often a lost race is run again. A refresh writes its row a few times.
const TRIES: u32 = 10;

/// An account on a platform and the credential for it, as they are handed over.
#[derive(Debug)]
pub struct Registration {
    /// The platform.
    pub platform: Platform,
    /// The account's name, as people know it.
    pub username: String,
    /// The account's id on the platform.
    pub account_id: String,
    /// The access token; absent only of an integration that is switched off.
    pub access_token: Option<SecretString>,
    /// The refresh token, where the platform gave one.
    pub refresh_token: Option<SecretString>,
    /// When the access token was issued, if known.
    pub token_issued_at: Option<DateTime<Utc>>,
    /// When it ends; absent if it does not, or nobody knows.
    pub token_expires_at: Option<DateTime<Utc>>,
    /// When the refresh token ends.
    pub refresh_token_expires_at: Option<DateTime<Utc>>,
    /// Until when the platform lets us read the person's data.
    pub data_access_expires_at: Option<DateTime<Utc>>,
    /// What the grant allows, as far as known.
    pub scopes: Vec<String>,
    /// Whatever its owner keeps with it; absent: what is stored stays.
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

/// The generation of the credential that takes the place of a damaged row, whose
/// own nobody knows: beyond any that it can have had.
pub(crate) fn generation_after_damage(now: DateTime<Utc>) -> u64 {
    now.timestamp().unsigned_abs()
}

/// Why a person's act could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] TableError),
    /// The credential could not be sealed.
    #[error(transparent)]
    Sealing(#[from] CipherError),
    /// Others kept writing the same row.
    #[error("the row was changed by others {TRIES} times in a row")]
    Contended,
}

/// An integration whose credential was handed over.
#[derive(Debug)]
pub struct Registered {
    /// As it is stored.
    pub row: Integration,
    /// What change of the credential.
    pub change: Change,
}

/// What change of a credential that was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The integration's first.
    Created,
    /// It took the place of another.
    Replaced,
    /// It was that integration's already, which goes on with it or with what it
    /// was exchanged for.
    Unchanged,
}

/// What change of switching an integration off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disconnected {
    /// It is off now, and its tokens are gone.
    Now,
    /// It was off already.
    Already,
    /// There is no such integration.
    Unknown,
}

impl Registration {
    /// The fields of a registration.
    pub const FIELDS: [&str; 11] = [
        "platform",
        "username",
        "account_id",
        "access_token",
        "refresh_token",
        "token_expires_at",
        "token_issued_at",
        "refresh_token_expires_at",
        "data_access_expires_at",
        "scopes",
        "metadata",
    ];

    /// Reads one from a JSON object that holds nothing else.
    ///
    /// # Errors
    /// [`Faults`] names each field that is wrong.
    pub fn parse(json: &[u8]) -> Result<Self, Faults> {
        let mut fields = Fields::parse(json)?;
        fields.only(&Self::FIELDS);
        let read = Self::read(&mut fields, true);
        fields.end(read)
    }

    /// Reads it from among `fields`; whatever is wrong with them is noted there.
    pub(crate) fn read(fields: &mut Fields, needs_token: bool) -> Option<Self> {
        let platform = fields.platform("platform");
        let username = fields.name("username");
        let account_id = fields.name_or_number("account_id");
        let access_token = if needs_token {
            fields.required_token("access_token")
        } else {
            fields.token("access_token")
        };
        let registration = Self {
            refresh_token: fields.token("refresh_token"),
            token_issued_at: fields.instant("token_issued_at"),
            token_expires_at: fields.instant("token_expires_at"),
            refresh_token_expires_at: fields.instant("refresh_token_expires_at"),
            data_access_expires_at: fields.instant("data_access_expires_at"),
            scopes: fields.words("scopes"),
            metadata: fields.object("metadata"),
            access_token,
            platform: platform?,
            username: username?,
            account_id: account_id?,
        };
        if let Some(issued) = registration.token_issued_at
            && registration
                .token_expires_at
                .is_some_and(|end| issued >= end)
        {
            fields.fault("token_issued_at must be before token_expires_at");
        }
        Some(registration)
    }

    /// The row of a new grant, its tokens sealed for its generation, following
    /// on the stored one if there is any; if not, of `first_generation`.
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
                registered: Fingerprint::of(self)?,
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
            Some(before) => row.following(before, now),
            None => row,
        })
    }

    /// The ends that it was handed over with.
    const fn expiry(&self) -> Expiry {
        Expiry {
            issued_at: self.token_issued_at,
            access_token: self.token_expires_at,
            refresh_token: self.refresh_token_expires_at,
            data_access: self.data_access_expires_at,
            idle: None,
        }
    }

    /// The stored row with whatever this says beside the credential, if it is
    /// the credential that was last handed over. A caller that got no answer
    /// sends it again: meanwhile it may have been exchanged for another, which
    /// is the only one that lives, and must stay. `None` if it is another one,
    /// or nothing is left of what is stored.
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
            row.credential.registered = Fingerprint::of(self)?;
        }
        Ok(Some(row))
    }

    /// Stores it for an integration, new or not. Whoever made the integration
    /// stays its creator; of a new one that is `caller`. Stored again it
    /// changes nothing.
    ///
    /// # Errors
    /// When it could not be stored; then nothing of it is.
    pub async fn store(
        &self,
        key: &IntegrationKey,
        caller: &UserId,
        integrations: &IntegrationsTable,
        sealer: &TokenCipher,
        now: DateTime<Utc>,
    ) -> Result<Registered, ActError> {
        let mut found = integrations.find(key).await?;
        for _ in 0..TRIES {
            let stored = found.row();
            if let Some(stored) = stored
                && let Some(row) = self.repeated(stored)?
            {
                let change = Change::Unchanged;
                if row == *stored {
                    return Ok(Registered { row, change });
                }
                match integrations.replace(row, now).await {
                    Ok(row) => return Ok(Registered { row, change }),
                    Err(Conflict::Lost(_)) => found = integrations.find(key).await?,
                    Err(Conflict::Failed(error)) => return Err(error.into()),
                }
                continue;
            }
            let change = match found {
                Found::Nothing => Change::Created,
                Found::Row(_) | Found::Damaged { .. } => Change::Replaced,
            };
            let creator = stored.map_or(caller, |row| &row.created_by);
            let first = match found {
                Found::Damaged { .. } => generation_after_damage(now),
                _ => 1,
            };
            let row = self.row(key, creator, stored, first, sealer, now).await?;
            let written = match found {
                Found::Nothing => integrations.create(row, now).await,
                Found::Row(_) => integrations.replace(row, now).await,
                Found::Damaged { version, .. } => integrations.mend(row, version, now).await,
            };
            match written {
                Ok(row) => return Ok(Registered { row, change }),
                Err(Conflict::Lost(_)) => found = integrations.find(key).await?,
                Err(Conflict::Failed(error)) => return Err(error.into()),
            }
        }
        Err(ActError::Contended)
    }
}

/// Switches an integration off and erases its tokens, also if its row cannot be read.
///
/// # Errors
/// When that could not be stored; then it is as it was.
pub async fn disconnect(
    key: &IntegrationKey,
    integrations: &IntegrationsTable,
    now: DateTime<Utc>,
) -> Result<Disconnected, ActError> {
    for _ in 0..TRIES {
        let mut row = match integrations.find(key).await? {
            Found::Nothing => return Ok(Disconnected::Unknown),
            Found::Damaged {
                has_tokens: false, ..
            } => return Ok(Disconnected::Already),
            Found::Damaged { .. } => {
                let generation = generation_after_damage(now);
                if integrations.erase(key, generation, now).await? {
                    return Ok(Disconnected::Now);
                }
                continue;
            }
            Found::Row(row) => row,
        };
        if matches!(row.state, State::Disconnected { .. }) {
            return Ok(Disconnected::Already);
        }
        row.disconnect(now);
        match integrations.replace(*row, now).await {
            Ok(_) => return Ok(Disconnected::Now),
            Err(Conflict::Lost(_)) => {}
            Err(Conflict::Failed(error)) => return Err(error.into()),
        }
    }
    Err(ActError::Contended)
}
