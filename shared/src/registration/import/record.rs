//! One line of an import: what it may hold, and what is wrong with it.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;

use crate::IntegrationKey;
use crate::domain::integration::Integration;
use crate::domain::organization::{Member, Organization, Permission};
use crate::registration::Registration;
use crate::registration::fields::{Faults, Fields};
use crate::{IntegrationId, OrgId, UserId, domain::digest, domain::redact};

/// The longest line, in bytes. A row of DynamoDB holds 400 kB in all.
pub const MAX_LINE: usize = 128 * 1024;
/// How many bytes of a digest are about the tokens, and how many there are in all.
pub(super) const TOKENS_DIGEST_BYTES: usize = 64;
pub(super) const DIGEST_BYTES: usize = 96;

/// One line of an import.
#[derive(Debug)]
pub enum Record {
    Organization(Organization),
    Member(Member),
    Integration(Box<IntegrationLine>),
}

/// A line of type `integration`.
#[derive(Debug)]
pub struct IntegrationLine {
    pub(super) key: IntegrationKey,
    pub(super) created_by: UserId,
    pub(super) registration: Registration,
    pub(super) is_active: bool,
}

const TYPES: &str = "organization, member or integration";

impl Record {
    /// Parses a line.
    ///
    /// # Errors
    /// [`Faults`] says what is wrong with the line, and repeats only names of fields and kinds.
    pub fn parse(line: &[u8]) -> Result<Self, Faults> {
        if line.len() > MAX_LINE {
            return Err(too_long().into());
        }
        let mut fields = Fields::parse(line)?;
        let kind = match fields.value("type") {
            None => return Err(format!("type is missing; it must be {TYPES}").into()),
            Some(Value::String(kind)) => kind.trim().to_ascii_lowercase(),
            Some(_) => return Err(format!("type must be {TYPES}").into()),
        };
        match kind.as_str() {
            "organization" => {
                fields.only(&["org_id", "name", "owner_id"]);
                let (org_id, name) = (fields.id("org_id", OrgId::new), fields.name("name"));
                let owner_id = fields.id("owner_id", UserId::new);
                let parsed = org_id.zip(name).zip(owner_id);
                let parsed = parsed.map(|((org_id, name), owner_id)| Organization {
                    org_id,
                    name,
                    owner_id,
                });
                fields.finish(parsed).map(Self::Organization)
            }
            "member" => {
                fields.only(&["org_id", "user_id", "permissions"]);
                let org_id = fields.id("org_id", OrgId::new);
                let user_id = fields.id("user_id", UserId::new);
                let permissions = fields.words("permissions");
                let parsed = org_id.zip(user_id).map(|(org_id, user_id)| Member {
                    org_id,
                    user_id,
                    permissions: permissions.into_iter().map(Permission::from).collect(),
                });
                fields.finish(parsed).map(Self::Member)
            }
            "integration" => {
                let parsed = IntegrationLine::from_fields(&mut fields).map(Box::new);
                fields.finish(parsed).map(Self::Integration)
            }
            other => {
                let other = redact::word(other);
                Err(format!("type {other:?} is unknown; it must be {TYPES}").into())
            }
        }
    }

    pub(super) fn integration(&self) -> Option<&IntegrationLine> {
        match self {
            Self::Integration(line) => Some(line),
            Self::Organization(_) | Self::Member(_) => None,
        }
    }

    #[must_use]
    pub fn org_id(&self) -> &OrgId {
        match self {
            Self::Organization(line) => &line.org_id,
            Self::Member(line) => &line.org_id,
            Self::Integration(line) => &line.key.org_id,
        }
    }

    /// Returns what the record would overwrite within one file. A second record of the same
    /// identity is a mistake in the export.
    #[must_use]
    pub fn identity(&self) -> String {
        match self {
            Self::Organization(line) => format!("organization {}", line.org_id),
            Self::Member(line) => format!("member {}/{}", line.org_id, line.user_id),
            Self::Integration(line) => line.key.to_string(),
        }
    }
}

pub(super) fn too_long() -> String {
    format!("longer than {MAX_LINE} bytes")
}

impl IntegrationLine {
    fn from_fields(fields: &mut Fields) -> Option<Self> {
        let own = ["org_id", "integration_id", "created_by", "is_active"];
        fields.only(&[&own[..], &Registration::FIELDS].concat());
        let org_id = fields.id("org_id", OrgId::new);
        let integration_id = fields.id("integration_id", IntegrationId::new);
        let created_by = fields.id("created_by", UserId::new);
        // Systems that know no switching off export no such field.
        let is_active = fields.truth("is_active").unwrap_or(true);
        let registration = Registration::from_fields(fields, is_active);
        let mut registration = registration?;
        // A line is complete: metadata that it does not have is none.
        registration.metadata.get_or_insert_default();
        Some(Self {
            key: IntegrationKey {
                org_id: org_id?,
                integration_id: integration_id?,
            },
            created_by: created_by?,
            registration,
            is_active,
        })
    }

    /// Digests what the line says of the credential: first its tokens ([`TOKENS_DIGEST_BYTES`]
    /// bytes), then its dates and whether it is active.
    pub(super) fn digest(&self) -> Vec<u8> {
        let token = |token: &Option<SecretString>| {
            digest::sha256(&[token.as_ref().map_or("", |token| token.expose_secret())])
        };
        let of = &self.registration;
        let rest = (
            of.token_issued_at,
            of.token_expires_at,
            of.refresh_token_expires_at,
            of.data_access_expires_at,
            self.is_active,
        );
        let rest = digest::sha256(&[&format!("{rest:?}")]);
        [token(&of.access_token), token(&of.refresh_token), rest].concat()
    }

    /// Returns the row with what the line says beside the credential.
    pub(super) fn with_account(&self, mut row: Integration) -> Integration {
        let of = &self.registration;
        row.account.username.clone_from(&of.username);
        row.account.id.clone_from(&of.account_id);
        row.created_by.clone_from(&self.created_by);
        row.metadata = of.metadata.clone().unwrap_or_default();
        row
    }

    pub(super) fn is_newer_than(&self, stored: &Integration) -> bool {
        if stored.credential.access_token.is_none() {
            return true;
        }
        let of = &self.registration;
        match (of.token_issued_at, stored.expiry.issued_at) {
            (Some(ours), Some(theirs)) => ours > theirs,
            // A token without an end outlives any other.
            _ => {
                let end = |at: Option<DateTime<Utc>>| at.unwrap_or(DateTime::<Utc>::MAX_UTC);
                end(of.token_expires_at) > end(stored.expiry.access_token)
            }
        }
    }
}
