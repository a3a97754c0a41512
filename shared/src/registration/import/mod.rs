//! Taking over organisations, members and integrations from another system:
//! JSON Lines, one record a line, or a JSON array of records, in any order.

mod file;
mod foreign;
mod record;
mod records;
mod summary;

use chrono::{DateTime, Utc};

use super::store::{MAX_LOST_WRITES, RegistrationError};
use crate::Clock;
use crate::IntegrationKey;
use crate::aws::tables::{Conflict, Found, IntegrationsTable, OrganizationsTable, Put};
use crate::aws::token_cipher::{CipherError, EncryptionContext, SealedField, TokenCipher};
use crate::domain::integration::{Integration, Sealed, State};

pub use foreign::Foreign;
pub use record::{IntegrationLine, MAX_LINE, Record};
pub use records::{FileError, Position};
pub use summary::{Progress, RawRecord, Summary};

/// What an import did with a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Imported {
    /// The record is new.
    Created,
    /// The record replaced, or changed, what was there.
    Changed,
    /// The same record was there already.
    Unchanged,
    /// What is stored is newer, and stays.
    Older,
}

/// Writes records into the tables.
#[derive(Debug, Clone)]
pub struct Importer {
    pub integrations: IntegrationsTable,
    pub organizations: OrganizationsTable,
    pub sealer: TokenCipher,
    pub clock: Clock,
}

impl Importer {
    /// Stores one record, whole or not at all. Storing it again changes nothing. `found` is
    /// what is stored of an integration, if that was looked up.
    async fn store(
        &self,
        record: Record,
        found: Option<Found>,
    ) -> Result<Imported, RegistrationError> {
        let put = match record {
            Record::Organization(line) => self.organizations.put_organization(&line).await?,
            Record::Member(line) => self.organizations.put_member(&line).await?,
            Record::Integration(line) => return self.store_integration(&line, found).await,
        };
        Ok(match put {
            Put::Created => Imported::Created,
            Put::Changed => Imported::Changed,
            Put::Unchanged => Imported::Unchanged,
        })
    }

    async fn store_integration(
        &self,
        line: &IntegrationLine,
        found: Option<Found>,
    ) -> Result<Imported, RegistrationError> {
        let now = self.clock.now();
        let mut found = match found {
            Some(found) => found,
            None => self.integrations.find(&line.key).await?,
        };
        for _ in 0..MAX_LOST_WRITES {
            let (row, outcome) = match found.row() {
                Some(stored) => self.merge(line, stored, now).await?,
                None => {
                    let first = found.first_generation(now);
                    let row = self.register(line, None, first, now).await?;
                    let outcome = match found {
                        Found::Nothing => Imported::Created,
                        Found::Row(_) | Found::Damaged { .. } => Imported::Changed,
                    };
                    (Some(row), outcome)
                }
            };
            let Some(row) = row else {
                return Ok(outcome);
            };
            match self.integrations.write_over(&found, row, now).await {
                Ok(_) => return Ok(outcome),
                Err(Conflict::Lost(_)) => found = self.integrations.find(&line.key).await?,
                Err(Conflict::Failed(error)) => return Err(error.into()),
            }
        }
        Err(RegistrationError::Contended)
    }

    /// Returns the stored row as this line changes it, or `None` if it changes nothing.
    async fn merge(
        &self,
        line: &IntegrationLine,
        stored: &Integration,
        now: DateTime<Utc>,
    ) -> Result<(Option<Integration>, Imported), RegistrationError> {
        let digest = line.digest();
        let remembered = match &stored.credential.imported {
            Some(sealed) => {
                self.sealer
                    .open_bytes(remembered(&line.key), sealed)
                    .await?
            }
            None => Vec::new(),
        };
        let (known, grant) = remembered
            .split_at_checked(record::DIGEST_BYTES)
            .unwrap_or_default();
        let disconnected = matches!(stored.state, State::Disconnected { .. });
        let same_tokens =
            known.get(..record::TOKENS_DIGEST_BYTES) == digest.get(..record::TOKENS_DIGEST_BYTES);
        let same_grant = grant == stored.credential.grant.to_be_bytes();
        // A person has replaced these very tokens, or disconnected them, since:
        // whatever the line says of them is of the past.
        if same_tokens && !same_grant {
            let outcome = if known == digest {
                Imported::Unchanged
            } else {
                Imported::Older
            };
            return Ok((None, outcome));
        }
        if known == digest && stored.platform == line.registration.platform {
            let row = line.with_account(stored.clone());
            return Ok(if row == *stored {
                (None, Imported::Unchanged)
            } else {
                (Some(row), Imported::Changed)
            });
        }
        let newer = line.is_newer_than(stored);
        if !line.is_active {
            let about_this_grant = line.registration.access_token.is_none() || same_tokens;
            if !(disconnected || newer || about_this_grant) {
                return Ok((None, Imported::Older));
            }
            let mut row = line.with_account(stored.clone());
            if !disconnected {
                row.disconnect(now);
            }
            row.credential.imported = Some(self.remember(line, row.credential.grant).await?);
            return Ok((Some(row), Imported::Changed));
        }
        if !(disconnected || newer) {
            return Ok((None, Imported::Older));
        }
        let row = self.register(line, Some(stored), 1, now).await?;
        Ok((Some(row), Imported::Changed))
    }

    /// Returns the row of a new grant. It follows on the stored row, if there is one.
    async fn register(
        &self,
        line: &IntegrationLine,
        stored: Option<&Integration>,
        first_generation: u64,
        now: DateTime<Utc>,
    ) -> Result<Integration, RegistrationError> {
        let mut row = line
            .registration
            .row(
                &line.key,
                &line.created_by,
                stored,
                first_generation,
                &self.sealer,
                now,
            )
            .await?;
        row.credential.imported = Some(self.remember(line, row.credential.grant).await?);
        if !line.is_active {
            // It has no tokens, whoever disconnected it.
            (row.credential.access_token, row.credential.refresh_token) = (None, None);
            row.credential.registered = None;
            row.state = State::Disconnected { since: now };
        }
        Ok(row)
    }

    /// Seals a digest of the line and the number of its grant. A later grant is a person's act.
    async fn remember(&self, line: &IntegrationLine, grant: u64) -> Result<Sealed, CipherError> {
        let mut bytes = line.digest();
        bytes.extend(grant.to_be_bytes());
        self.sealer.seal_bytes(remembered(&line.key), &bytes).await
    }
}

fn remembered(key: &IntegrationKey) -> EncryptionContext<'_> {
    EncryptionContext {
        org_id: &key.org_id,
        integration_id: &key.integration_id,
        field: SealedField::Imported,
        generation: 0,
    }
}
