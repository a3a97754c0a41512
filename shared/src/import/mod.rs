//! Taking over organisations, members and connections from another system:
//! JSON Lines, one record a line, in any order.

mod file;
mod record;

use chrono::{DateTime, Utc};
use secrecy::SecretString;

use crate::announcement::Told;
use crate::integration::{Integration, Sealed, State};
use crate::organization::{Member, Organization};
use crate::sealing::{Field, Place, Sealer, SealingError};
use crate::store::{Conflict, Integrations, Organizations, Put, StoreError};
use crate::{Clock, IntegrationId, OrgId};

pub use file::{Progress, Summary};
pub use record::{BadLine, IntegrationLine, MAX_LINE, MemberLine, OrganizationLine, Record};

/// What became of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    /// It is new.
    Created,
    /// It replaced, or changed, what was there.
    Changed,
    /// It was there already, just so.
    Unchanged,
    /// What is stored is newer, and stays.
    Older,
}

/// Why a record could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The credential could not be sealed.
    #[error(transparent)]
    Sealing(#[from] SealingError),
    /// Others kept writing the same row.
    #[error("the row was changed by others again and again; import the file once more")]
    Contended,
}

/// Writes records into the tables.
#[derive(Debug, Clone)]
pub struct Importer {
    /// Where connections go.
    pub integrations: Integrations,
    /// Where organisations and members go.
    pub organizations: Organizations,
    /// What seals their tokens.
    pub sealer: Sealer,
    /// Now.
    pub clock: Clock,
}

impl Importer {
    /// Stores one record, whole or not at all. Storing it again changes nothing.
    ///
    /// # Errors
    /// When it could not be stored; then nothing of it is.
    pub async fn store(&self, record: Record) -> Result<Imported, ImportError> {
        let put = match record {
            Record::Organization(OrganizationLine {
                org_id,
                name,
                owner_id,
            }) => {
                self.organizations
                    .put_organization(&Organization {
                        org_id,
                        name,
                        owner_id,
                    })
                    .await?
            }
            Record::Member(MemberLine {
                org_id,
                user_id,
                permissions,
            }) => {
                self.organizations
                    .put_member(&Member {
                        org_id,
                        user_id,
                        permissions,
                    })
                    .await?
            }
            Record::Integration(line) => return self.store_integration(&line).await,
        };
        Ok(match put {
            Put::Created => Imported::Created,
            Put::Changed => Imported::Changed,
            Put::Unchanged => Imported::Unchanged,
        })
    }

    async fn store_integration(&self, line: &IntegrationLine) -> Result<Imported, ImportError> {
        let now = self.clock.now();
        let mut stored = self.integrations.get(&line.key()).await?;
        // Losing a race to a sweep is normal; losing it five times is not.
        for _ in 0..5 {
            let written = match stored {
                None => {
                    let row = self.register(line, None, now).await?;
                    self.integrations
                        .create(row, now)
                        .await
                        .map(|_| Imported::Created)
                }
                Some(row) => match self.merge(line, row, now).await? {
                    (None, outcome) => return Ok(outcome),
                    (Some(row), outcome) => {
                        self.integrations.replace(row, now).await.map(|_| outcome)
                    }
                },
            };
            match written {
                Ok(outcome) => return Ok(outcome),
                Err(Conflict::Lost(current)) => stored = current.map(|row| *row),
                Err(Conflict::Failed(error)) => return Err(error.into()),
            }
        }
        Err(ImportError::Contended)
    }

    /// What this line changes about the stored row, if anything.
    async fn merge(
        &self,
        line: &IntegrationLine,
        mut stored: Integration,
        now: DateTime<Utc>,
    ) -> Result<(Option<Integration>, Imported), ImportError> {
        let place = imported_place(&line.org_id, &line.integration_id);
        let digest = line.digest();
        let known = match &stored.imported {
            Some(sealed) => self.sealer.open_bytes(place, sealed).await?,
            None => Vec::new(),
        };
        let disconnected = matches!(stored.state, State::Disconnected { .. });
        if known == digest && stored.platform == line.platform {
            return Ok(if line.describe(&mut stored) {
                (Some(stored), Imported::Changed)
            } else {
                (None, Imported::Unchanged)
            });
        }
        let newer = line.is_newer_than(&stored);
        if !line.is_active {
            let about_this_grant = line.access_token.is_none()
                || known.get(..record::TOKENS) == digest.get(..record::TOKENS);
            if !(disconnected || newer || about_this_grant) {
                return Ok((None, Imported::Older));
            }
            if !disconnected {
                stored.disconnect(now);
            }
            line.describe(&mut stored);
            stored.imported = Some(self.sealer.seal_bytes(place, &digest).await?);
            return Ok((Some(stored), Imported::Changed));
        }
        if !(disconnected || newer) {
            return Ok((None, Imported::Older));
        }
        let row = self.register(line, Some(&stored), now).await?;
        Ok((Some(row), Imported::Changed))
    }

    /// The row of a new grant, following on the stored one if there is any.
    async fn register(
        &self,
        line: &IntegrationLine,
        stored: Option<&Integration>,
        now: DateTime<Utc>,
    ) -> Result<Integration, ImportError> {
        let generation = stored.map_or(1, |row| row.generation + 1);
        let IntegrationLine {
            org_id,
            integration_id,
            ..
        } = line;
        let place = |field| Place {
            org_id,
            integration_id,
            field,
            generation,
        };
        let seal =
            async |field, token: &Option<SecretString>| -> Result<Option<Sealed>, SealingError> {
                match token {
                    // A disconnected connection has no tokens, whoever disconnected it.
                    Some(token) if line.is_active => {
                        self.sealer.seal(place(field), token).await.map(Some)
                    }
                    _ => Ok(None),
                }
            };
        let row = Integration {
            org_id: org_id.clone(),
            integration_id: integration_id.clone(),
            platform: line.platform,
            username: line.username.clone(),
            account_id: line.account_id.clone(),
            created_by: line.created_by.clone(),
            scopes: line.scopes.clone(),
            metadata: line.metadata.clone(),
            version: stored.map_or(0, |row| row.version),
            generation,
            grant: stored.map_or(1, |row| row.grant + 1),
            granted_at: now,
            access_token: seal(Field::AccessToken, &line.access_token).await?,
            refresh_token: seal(Field::RefreshToken, &line.refresh_token).await?,
            imported: Some(
                self.sealer
                    .seal_bytes(imported_place(org_id, integration_id), &line.digest())
                    .await?,
            ),
            issued_at: line.token_issued_at,
            access_expires_at: line.token_expires_at,
            refresh_expires_at: line.refresh_token_expires_at,
            data_access_expires_at: line.data_access_expires_at,
            idle_expires_at: None,
            renewed_at: None,
            attempted_at: None,
            state: if line.is_active {
                State::Active
            } else {
                State::Disconnected { since: now }
            },
            missing_scopes: Vec::new(),
            permission_lost_at: None,
            lease: None,
            told: Told::default(),
            lapses_at: None,
            attention_at: None,
            attention_shard: None,
        };
        Ok(match stored {
            Some(before) => row.following(before, now),
            None => row,
        })
    }
}

fn imported_place<'a>(org_id: &'a OrgId, integration_id: &'a IntegrationId) -> Place<'a> {
    Place {
        org_id,
        integration_id,
        field: Field::Imported,
        generation: 0,
    }
}
