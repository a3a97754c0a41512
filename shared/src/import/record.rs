//! One line of an import: what it may hold, and what is said of one that may not.

use chrono::{DateTime, Utc};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Deserializer};

use crate::integration::Integration;
use crate::organization::Permission;
use crate::registration::{InvalidRegistration, Registration, check_name};
use crate::store::Key;
use crate::{IntegrationId, OrgId, Platform, UserId, digest, redact};

/// The longest line, in bytes. A row of DynamoDB holds 400 kB in all.
pub const MAX_LINE: usize = 128 * 1024;
/// How much of a digest is about the tokens, and how long it is.
pub(super) const TOKENS: usize = 64;
pub(super) const DIGEST: usize = 96;

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
    pub(super) org_id: OrgId,
    pub(super) name: String,
    pub(super) owner_id: UserId,
}

/// A line of type `member`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberLine {
    pub(super) org_id: OrgId,
    pub(super) user_id: UserId,
    pub(super) permissions: Vec<Permission>,
}

/// A line of type `integration`.
#[derive(Debug, Deserialize)]
#[serde(from = "IntegrationFields")]
pub struct IntegrationLine {
    pub(super) key: Key,
    pub(super) created_by: UserId,
    pub(super) registration: Registration,
    pub(super) is_active: bool,
}

/// The same, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IntegrationFields {
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

impl From<IntegrationFields> for IntegrationLine {
    fn from(fields: IntegrationFields) -> Self {
        Self {
            key: Key {
                org_id: fields.org_id,
                integration_id: fields.integration_id,
            },
            created_by: fields.created_by,
            registration: Registration {
                platform: fields.platform,
                username: fields.username,
                account_id: fields.account_id,
                access_token: fields.access_token,
                refresh_token: fields.refresh_token,
                token_issued_at: fields.token_issued_at,
                token_expires_at: fields.token_expires_at,
                refresh_token_expires_at: fields.refresh_token_expires_at,
                data_access_expires_at: fields.data_access_expires_at,
                scopes: fields.scopes,
                metadata: Some(fields.metadata),
            },
            is_active: fields.is_active,
        }
    }
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

impl From<InvalidRegistration> for BadLine {
    fn from(invalid: InvalidRegistration) -> Self {
        Self(invalid.to_string())
    }
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
            Self::Organization(line) => check_name("name", &line.name)?,
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
            Self::Integration(line) => &line.key.org_id,
        }
    }

    /// What it would overwrite within one file: a second record of the same
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

/// serde's message without the values that it may quote, which could be tokens.
fn explain(error: &serde_json::Error) -> String {
    // What is missing has no place.
    let place = match error.column() {
        0 => "in this line".to_owned(),
        column => format!("column {column}"),
    };
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

impl IntegrationLine {
    fn validate(&self) -> Result<(), BadLine> {
        self.registration.validate()?;
        if self.is_active && self.registration.access_token.is_none() {
            return Err(BadLine(
                "missing field `access_token` of an active integration".to_owned(),
            ));
        }
        Ok(())
    }

    /// What the line says of the credential, digested: first its tokens
    /// ([`TOKENS`] bytes), then its dates and whether it is active.
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

    /// Takes over what the line says beside the credential; tells whether that
    /// changed anything.
    pub(super) fn describe(&self, stored: &mut Integration) -> bool {
        let before = stored.clone();
        let of = &self.registration;
        stored.username.clone_from(&of.username);
        stored.account_id.clone_from(&of.account_id);
        stored.created_by.clone_from(&self.created_by);
        stored
            .metadata
            .clone_from(&of.metadata.clone().unwrap_or_default());
        *stored != before
    }

    /// Whether this line's credential is newer than the stored one.
    pub(super) fn is_newer_than(&self, stored: &Integration) -> bool {
        if stored.access_token.is_none() {
            return true;
        }
        let of = &self.registration;
        match (of.token_issued_at, stored.issued_at) {
            (Some(ours), Some(theirs)) => ours > theirs,
            // A token without an end outlives any other.
            _ => {
                let end = |at: Option<DateTime<Utc>>| at.unwrap_or(DateTime::<Utc>::MAX_UTC);
                end(of.token_expires_at) > end(stored.access_expires_at)
            }
        }
    }
}
