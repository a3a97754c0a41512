use chrono::{DateTime, Utc};
use secrecy::SecretString;

use crate::Platform;
use crate::registration::fields::{Faults, Fields};

/// An account on a platform and the credential for it, as they are handed over.
#[derive(Debug)]
pub struct Registration {
    pub platform: Platform,
    /// The account's name, as people know it.
    pub username: String,
    /// The account's id on the platform.
    pub account_id: String,
    /// The access token; absent only of an integration that is switched off.
    pub access_token: Option<SecretString>,
    pub refresh_token: Option<SecretString>,
    /// When the access token was issued, if known.
    pub token_issued_at: Option<DateTime<Utc>>,
    /// When the access token ends; `None` if it does not, or nobody knows.
    pub token_expires_at: Option<DateTime<Utc>>,
    pub refresh_token_expires_at: Option<DateTime<Utc>>,
    /// Until when the platform lets us read the person's data.
    pub data_access_expires_at: Option<DateTime<Utc>>,
    /// What the grant allows, as far as known.
    pub scopes: Vec<String>,
    /// What the owner keeps with the integration; `None` leaves what is stored.
    pub metadata: Option<serde_json::Map<String, serde_json::Value>>,
}

impl Registration {
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

    /// Parses a JSON object that holds these fields and nothing else.
    ///
    /// # Errors
    /// [`Faults`] names each field that is wrong.
    pub fn parse(json: &[u8]) -> Result<Self, Faults> {
        let mut fields = Fields::parse(json)?;
        fields.only(&Self::FIELDS);
        let registration = Self::from_fields(&mut fields, true);
        fields.finish(registration)
    }

    /// Takes a registration from `fields`, which note what is wrong with them.
    pub(crate) fn from_fields(fields: &mut Fields, needs_token: bool) -> Option<Self> {
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
}
