//! Taking over organisations, members and connections from another system:
//! JSON Lines, one record a line, in any order.

mod file;

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

use crate::announcement::Told;
use crate::digest;
use crate::integration::{Integration, Sealed, State};
use crate::organization::{Member, Organization, Permission};
use crate::sealing::{Field, Place, Sealer, SealingError};
use crate::store::{Conflict, Integrations, Key, Organizations, Put, StoreError};
use crate::{Clock, IntegrationId, OrgId, Platform, UserId, redact};

pub use file::{Progress, Summary};

/// The longest line, in bytes. A row of DynamoDB holds 400 kB in all.
pub const MAX_LINE: usize = 128 * 1024;
/// The longest name, in characters.
const MAX_NAME: usize = 512;
/// The longest token, in bytes. The longest seen in the field are under 4 kB.
const MAX_TOKEN: usize = 16 * 1024;

/// One line of an import.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Record {
    /// An organisation.
    Organization(OrganizationLine),
    /// A member of one.
    Member(MemberLine),
    /// A connection of one.
    Integration(Box<IntegrationLine>),
}

/// A line of type `organization`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrganizationLine {
    org_id: OrgId,
    name: String,
    owner_id: UserId,
}

/// A line of type `member`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberLine {
    org_id: OrgId,
    user_id: UserId,
    permissions: Vec<Permission>,
}

/// A line of type `integration`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntegrationLine {
    org_id: OrgId,
    integration_id: IntegrationId,
    #[serde(deserialize_with = "platform")]
    platform: Platform,
    username: String,
    account_id: String,
    created_by: UserId,
    #[serde(default)]
    access_token: Option<SecretString>,
    #[serde(default)]
    refresh_token: Option<SecretString>,
    #[serde(default)]
    token_expires_at: Option<DateTime<Utc>>,
    #[serde(default)]
    token_issued_at: Option<DateTime<Utc>>,
    #[serde(default)]
    refresh_token_expires_at: Option<DateTime<Utc>>,
    #[serde(default)]
    data_access_expires_at: Option<DateTime<Utc>>,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    metadata: serde_json::Map<String, serde_json::Value>,
    is_active: bool,
}

fn platform<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Platform, D::Error> {
    String::deserialize(deserializer)?
        .parse()
        .map_err(serde::de::Error::custom)
}

/// Why a line was not taken over. Never repeats what the line holds beyond ids
/// and names of fields.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadLine(String);

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

impl Record {
    /// Reads a line.
    ///
    /// # Errors
    /// [`BadLine`] says what is wrong with it.
    pub fn parse(line: &[u8]) -> Result<Self, BadLine> {
        if line.len() > MAX_LINE {
            return Err(BadLine(format!("the line is longer than {MAX_LINE} bytes")));
        }
        let record: Self = serde_json::from_slice(line).map_err(|e| BadLine(explain(&e)))?;
        match &record {
            Self::Organization(line) => name("name", &line.name)?,
            Self::Member(_) => {}
            Self::Integration(line) => line.validate()?,
        }
        Ok(record)
    }

    /// The organisation that it belongs to.
    #[must_use]
    pub fn org_id(&self) -> &OrgId {
        match self {
            Self::Organization(line) => &line.org_id,
            Self::Member(line) => &line.org_id,
            Self::Integration(line) => &line.org_id,
        }
    }

    /// What it would overwrite within one file: a second record of the same
    /// identity is a mistake in the export.
    #[must_use]
    pub fn identity(&self) -> String {
        match self {
            Self::Organization(line) => format!("organization {}", line.org_id),
            Self::Member(line) => format!("member {}/{}", line.org_id, line.user_id),
            Self::Integration(line) => {
                format!("integration {}/{}", line.org_id, line.integration_id)
            }
        }
    }
}

/// serde's message without the values that it may quote, which could be tokens.
fn explain(error: &serde_json::Error) -> String {
    let place = format!("column {}", error.column());
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    if error.is_syntax() || error.is_eof() {
        return format!("not valid JSON: {text} ({place})");
    }
    if text.starts_with("invalid type") || text.starts_with("invalid value") {
        let expected = text.rsplit("expected ").next().unwrap_or_default();
        return format!("a value is not of the right type: expected {expected} ({place})");
    }
    // chrono's words for a text that is no date.
    if text.starts_with("premature end of input")
        || text.starts_with("input ")
        || text.starts_with("trailing input")
    {
        return format!("a date is not RFC 3339, such as 2026-11-30T09:00:00Z ({place})");
    }
    // "unknown field `...`, expected one of ..." and the like.
    if let Some((what, rest)) = text.split_once(" `")
        && what.starts_with("unknown")
        && let Some((name, rest)) = rest.split_once('`')
    {
        return format!("{what} `{}`{rest} ({place})", redact::word(name));
    }
    format!("{text} ({place})")
}

fn name(field: &str, value: &str) -> Result<(), BadLine> {
    if value.trim().is_empty() || value.chars().count() > MAX_NAME {
        return Err(BadLine(format!(
            "{field} must be 1 to {MAX_NAME} characters"
        )));
    }
    Ok(())
}

impl IntegrationLine {
    fn validate(&self) -> Result<(), BadLine> {
        name("username", &self.username)?;
        name("account_id", &self.account_id)?;
        for (field, token) in [
            ("access_token", &self.access_token),
            ("refresh_token", &self.refresh_token),
        ] {
            if let Some(token) = token {
                let length = token.expose_secret().len();
                if token.expose_secret().trim().is_empty() || length > MAX_TOKEN {
                    return Err(BadLine(format!(
                        "{field} must be 1 to {MAX_TOKEN} bytes, or null"
                    )));
                }
            }
        }
        if self.is_active && self.access_token.is_none() {
            return Err(BadLine(
                "missing field `access_token` of an active integration".to_owned(),
            ));
        }
        for (field, at) in [
            ("token_expires_at", self.token_expires_at),
            ("token_issued_at", self.token_issued_at),
            ("refresh_token_expires_at", self.refresh_token_expires_at),
            ("data_access_expires_at", self.data_access_expires_at),
        ] {
            // Date arithmetic far from these years means a wrong unit, and could overflow.
            if at.is_some_and(|at| !(946_684_800..4_102_444_800).contains(&at.timestamp())) {
                return Err(BadLine(format!(
                    "{field} must lie between the years 2000 and 2100"
                )));
            }
        }
        if let (Some(issued), Some(expires)) = (self.token_issued_at, self.token_expires_at)
            && issued >= expires
        {
            return Err(BadLine(
                "token_issued_at must be before token_expires_at".to_owned(),
            ));
        }
        Ok(())
    }

    fn digest(&self) -> Vec<u8> {
        let text = |token: &Option<SecretString>| {
            token
                .as_ref()
                .map_or_else(String::new, |token| token.expose_secret().to_owned())
        };
        // Each part digested on its own: tokens may hold the separator.
        let parts = [text(&self.access_token), text(&self.refresh_token)];
        parts
            .iter()
            .flat_map(|part| digest::sha256(&[part]))
            .collect()
    }

    fn key(&self) -> Key {
        Key {
            org_id: self.org_id.clone(),
            integration_id: self.integration_id.clone(),
        }
    }

    /// Whether this line's credential is newer than the stored one.
    fn is_newer_than(&self, stored: &Integration) -> bool {
        if stored.access_token.is_none() {
            return true;
        }
        match (self.token_issued_at, stored.issued_at) {
            (Some(ours), Some(theirs)) => ours > theirs,
            _ => self.token_expires_at > stored.access_expires_at,
        }
    }
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
        let disconnected = matches!(stored.state, State::Disconnected { .. });
        let same_credential = match &stored.imported {
            Some(sealed) => {
                let place = imported_place(&stored.org_id, &stored.integration_id);
                self.sealer.open_bytes(place, sealed).await? == line.digest()
            }
            None => false,
        };
        if same_credential && stored.platform == line.platform {
            if !line.is_active && !disconnected {
                stored.disconnect(now);
                return Ok((Some(stored), Imported::Changed));
            }
            let identity = (
                line.username.as_str(),
                line.account_id.as_str(),
                &line.created_by,
                &line.metadata,
            );
            if identity
                == (
                    stored.username.as_str(),
                    stored.account_id.as_str(),
                    &stored.created_by,
                    &stored.metadata,
                )
            {
                return Ok((None, Imported::Unchanged));
            }
            stored.username.clone_from(&line.username);
            stored.account_id.clone_from(&line.account_id);
            stored.created_by = line.created_by.clone();
            stored.metadata.clone_from(&line.metadata);
            return Ok((Some(stored), Imported::Changed));
        }
        if !line.is_newer_than(&stored) {
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
