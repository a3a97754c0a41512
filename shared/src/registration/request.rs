use chrono::{DateTime, Utc};
use secrecy::SecretString;
use utoipa::ToSchema;
use utoipa::openapi::schema::SchemaType;
use utoipa::openapi::{ArrayBuilder, ObjectBuilder, OneOfBuilder, Type};

use crate::Platform;
use crate::registration::fields::{Faults, Fields};

/// An account on a platform and the credential for it, as they are handed over.
#[derive(Debug, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    pub platform: Platform,
    /// The account's name, as people know it.
    #[schema(min_length = 1, max_length = 512)]
    pub username: String,
    /// The account's id on the platform.
    #[schema(schema_with = text_or_number_schema)]
    pub account_id: String,
    /// The access token; absent only of an integration that is switched off.
    #[schema(value_type = String, pattern = "^[!-~]+$", max_length = 16384)]
    pub access_token: Option<SecretString>,
    #[schema(value_type = Option<String>, pattern = "^[!-~]*$", max_length = 16384)]
    pub refresh_token: Option<SecretString>,
    /// When the access token was issued, if known.
    #[schema(schema_with = instant_schema)]
    pub token_issued_at: Option<DateTime<Utc>>,
    /// When the access token ends; `None` if it does not, or nobody knows.
    #[schema(schema_with = instant_schema)]
    pub token_expires_at: Option<DateTime<Utc>>,
    #[schema(schema_with = instant_schema)]
    pub refresh_token_expires_at: Option<DateTime<Utc>>,
    /// Until when the platform lets us read the person's data.
    #[schema(schema_with = instant_schema)]
    pub data_access_expires_at: Option<DateTime<Utc>>,
    /// What the grant allows, as far as known.
    #[schema(schema_with = words_schema, required = false)]
    pub scopes: Vec<String>,
    /// What the owner keeps with the integration; `None` leaves what is stored.
    #[schema(value_type = Option<Object>)]
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

/// An id of a database, which many export as a number.
fn text_or_number_schema() -> ObjectBuilder {
    let types = SchemaType::from_iter([Type::String, Type::Integer]);
    ObjectBuilder::new()
        .schema_type(types)
        .min_length(Some(1))
        .max_length(Some(512))
        .minimum(Some(0))
}

fn instant_schema() -> ObjectBuilder {
    ObjectBuilder::new()
        .schema_type(SchemaType::from_iter([
            Type::String,
            Type::Number,
            Type::Null,
        ]))
        .description(Some(
            "Between the years 2000 and 2100, as of RFC 3339 or in epoch seconds.",
        ))
}

fn words_schema() -> OneOfBuilder {
    let text = || ObjectBuilder::new().schema_type(Type::String);
    let null = ObjectBuilder::new().schema_type(Type::Null);
    OneOfBuilder::new()
        .item(ArrayBuilder::new().items(text()))
        .item(text().description(Some("Separated by spaces or commas.")))
        .item(null)
}
