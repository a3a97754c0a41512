//! The integrations table, one row at a time.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, KeysAndAttributes, Put as DynamoPut, ReturnValuesOnConditionCheckFailure,
    TransactWriteItem,
};
use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::{TableError, parse, render};
use crate::aws::attributes::{Attributes, number, text};
use crate::aws::error::{AwsError, unless_refused};
use crate::domain::integration::Integration;
use crate::{IntegrationId, IntegrationKey, OrgId, Platform};

#[derive(Debug, Clone)]
pub struct IntegrationsTable {
    pub(super) client: aws_sdk_dynamodb::Client,
    pub(super) table: String,
}

/// The part of an integration's row that a quota is about.
#[derive(Deserialize)]
pub(super) struct QuotaSubject {
    pub(super) integration_id: IntegrationId,
    pub(super) platform: Platform,
}

/// The attributes of a [`QuotaSubject`] and its key; none of them is a reserved word.
pub(super) const QUOTA_SUBJECT: [&str; 3] = ["org_id", "integration_id", "platform"];

/// The condition of every write of a row that did not exist.
const IS_NEW: &str = "attribute_not_exists(org_id)";

impl Integration {
    /// Returns the integration as the first version of its row.
    fn new_row(mut self, now: DateTime<Utc>) -> Self {
        self.version = 1;
        self.derive_index_keys(now);
        self
    }
}

/// What is stored of an integration.
#[derive(Debug)]
pub enum Found {
    Nothing,
    Row(Box<Integration>),
    /// A row that cannot be read.
    Damaged {
        /// The row's version, if it still has one, which may be no number.
        version: Option<AttributeValue>,
        /// Whether the row still has a credential.
        has_tokens: bool,
    },
}

impl Found {
    fn from_item(key: &IntegrationKey, item: Attributes) -> Self {
        let version = item.get("version").cloned();
        let has_tokens = ["access_token", "refresh_token"]
            .iter()
            .any(|token| item.contains_key(*token));
        match parse(key, item) {
            Ok(row) => Self::Row(Box::new(row)),
            Err(_) => Self::Damaged {
                version,
                has_tokens,
            },
        }
    }

    /// The generation of a credential that takes the place of this and follows on no row:
    /// after one that cannot be read, a generation beyond any that it can have had.
    #[must_use]
    pub fn first_generation(&self, now: DateTime<Utc>) -> u64 {
        match self {
            Self::Damaged { .. } => now.timestamp().unsigned_abs(),
            Self::Nothing | Self::Row(_) => 1,
        }
    }

    /// Returns the row, if there is one that can be read.
    #[must_use]
    pub fn row(&self) -> Option<&Integration> {
        match self {
            Self::Row(row) => Some(row),
            Self::Nothing | Self::Damaged { .. } => None,
        }
    }
}

/// A write lost a race, or failed.
#[derive(Debug)]
pub enum Conflict {
    /// Somebody else wrote first: this is the row now, if it still exists.
    Lost(Option<Box<Integration>>),
    Failed(TableError),
}

impl<E: Into<TableError>> From<E> for Conflict {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl IntegrationsTable {
    #[must_use]
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    /// Reads one integration, strongly consistent.
    ///
    /// # Errors
    /// When DynamoDB does not answer, or the row is damaged.
    pub async fn get(&self, key: &IntegrationKey) -> Result<Option<Integration>, TableError> {
        let item = self.item(key).await?;
        item.map(|item| parse(key, item)).transpose()
    }

    /// Reads what is stored of an integration, also if the row is damaged: for whoever has a
    /// credential to put in its place.
    ///
    /// # Errors
    /// When DynamoDB does not answer.
    pub async fn find(&self, key: &IntegrationKey) -> Result<Found, TableError> {
        let item = self.item(key).await?;
        Ok(item.map_or(Found::Nothing, |item| Found::from_item(key, item)))
    }

    /// Reads what is stored of each of these integrations, at most 100 and each named once. An
    /// integration that did not fit into DynamoDB's answer is missing.
    ///
    /// # Errors
    /// When DynamoDB does not answer.
    pub async fn find_all(
        &self,
        keys: &[IntegrationKey],
    ) -> Result<HashMap<IntegrationKey, Found>, TableError> {
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let wanted = keys.iter().map(|key| {
            Attributes::from([
                ("org_id".into(), text(&key.org_id)),
                ("integration_id".into(), text(&key.integration_id)),
            ])
        });
        let wanted = KeysAndAttributes::builder()
            .set_keys(Some(wanted.collect()))
            .consistent_read(true)
            .build()
            .map_err(|e| AwsError::failed("dynamodb:BatchGetItem", &e))?;
        let answer = self
            .client
            .batch_get_item()
            .request_items(&self.table, wanted)
            .send()
            .await
            .map_err(|e| AwsError::new("dynamodb:BatchGetItem", e))?;
        let key_of = |item: &Attributes| {
            Some(IntegrationKey {
                org_id: OrgId::new(item.get("org_id")?.as_s().ok()?).ok()?,
                integration_id: IntegrationId::new(item.get("integration_id")?.as_s().ok()?)
                    .ok()?,
            })
        };
        let mut found: HashMap<IntegrationKey, Found> = keys
            .iter()
            .map(|key| (key.clone(), Found::Nothing))
            .collect();
        let unread = answer.unprocessed_keys.unwrap_or_default();
        for key in unread.values().flat_map(KeysAndAttributes::keys) {
            if let Some(key) = key_of(key) {
                found.remove(&key);
            }
        }
        let rows = answer.responses.unwrap_or_default();
        for item in rows.into_values().flatten() {
            if let Some(key) = key_of(&item) {
                let row = Found::from_item(&key, item);
                found.insert(key, row);
            }
        }
        Ok(found)
    }

    pub(super) async fn item(&self, key: &IntegrationKey) -> Result<Option<Attributes>, AwsError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("org_id", text(&key.org_id))
            .key("integration_id", text(&key.integration_id))
            .consistent_read(true)
            .send()
            .await
            .map_err(|e| AwsError::new("dynamodb:GetItem", e))?;
        Ok(answer.item)
    }

    /// Reads the platform of one integration, strongly consistent: one that was just registered
    /// is there.
    ///
    /// # Errors
    /// When DynamoDB does not answer, or the row is damaged.
    pub async fn platform_of(&self, key: &IntegrationKey) -> Result<Option<Platform>, TableError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("org_id", text(&key.org_id))
            .key("integration_id", text(&key.integration_id))
            .projection_expression(QUOTA_SUBJECT.join(", "))
            .consistent_read(true)
            .send()
            .await
            .map_err(|e| AwsError::new("dynamodb:GetItem", e))?;
        let row = answer.item.map(|item| parse::<QuotaSubject>(key, item));
        Ok(row.transpose()?.map(|row| row.platform))
    }

    /// Stores an integration that did not exist.
    ///
    /// # Errors
    /// [`Conflict::Lost`] with the one that exists.
    pub async fn create(
        &self,
        row: Integration,
        now: DateTime<Utc>,
    ) -> Result<Integration, Conflict> {
        self.put(row.new_row(now), IS_NEW, None).await
    }

    /// Stores integrations that did not exist, at most 100, all or none. Returns `false` if one
    /// of them exists, or another call is writing it. It is one call, for two write units where
    /// [`IntegrationsTable::create`] takes one.
    ///
    /// # Errors
    /// When DynamoDB does not answer, or does not take so much at once.
    pub async fn create_all(
        &self,
        rows: Vec<Integration>,
        now: DateTime<Utc>,
    ) -> Result<bool, TableError> {
        const CALL: &str = "dynamodb:TransactWriteItems";
        let mut writes = Vec::with_capacity(rows.len());
        for row in rows {
            let row = row.new_row(now);
            let put = DynamoPut::builder()
                .table_name(&self.table)
                .set_item(Some(render(IntegrationKey::from(&row), &row)?))
                .condition_expression(IS_NEW)
                .build()
                .map_err(|e| AwsError::failed(CALL, &e))?;
            writes.push(TransactWriteItem::builder().put(put).build());
        }
        let result = self
            .client
            .transact_write_items()
            .set_transact_items(Some(writes))
            .send()
            .await;
        Ok(unless_refused(CALL, result)?.is_some())
    }

    /// Stores a changed integration if nobody has written it since it was read.
    ///
    /// # Errors
    /// [`Conflict::Lost`] with the row as it is now.
    pub async fn replace(
        &self,
        mut row: Integration,
        now: DateTime<Utc>,
    ) -> Result<Integration, Conflict> {
        let read = row.version;
        row.version += 1;
        row.derive_index_keys(now);
        self.put(row, "version = :read", Some(number(read))).await
    }

    /// Stores a row in the place of what was found there.
    ///
    /// # Errors
    /// [`Conflict::Lost`] if something else is there by now.
    pub async fn write_over(
        &self,
        found: &Found,
        row: Integration,
        now: DateTime<Utc>,
    ) -> Result<Integration, Conflict> {
        match found {
            Found::Nothing => self.create(row, now).await,
            Found::Row(_) => self.replace(row, now).await,
            Found::Damaged { version, .. } => self.replace_damaged(row, version.clone(), now).await,
        }
    }

    pub(super) async fn put(
        &self,
        row: Integration,
        condition: &str,
        read: Option<AttributeValue>,
    ) -> Result<Integration, Conflict> {
        let key = IntegrationKey::from(&row);
        let result = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(render(&key, &row)?))
            .condition_expression(condition)
            .set_expression_attribute_values(
                read.map(|read| Attributes::from([(":read".into(), read)])),
            )
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match result {
            Ok(_) => Ok(row),
            Err(error) => match error.as_service_error() {
                Some(PutItemError::ConditionalCheckFailedException(lost)) => {
                    let current = lost
                        .item
                        .clone()
                        .map(|item| parse(&key, item))
                        .transpose()?;
                    // A write that the SDK sent twice, because the first answer was
                    // lost, finds itself: that race was won.
                    if current.as_ref() == Some(&row) {
                        return Ok(row);
                    }
                    Err(Conflict::Lost(current.map(Box::new)))
                }
                _ => Err(AwsError::new("dynamodb:PutItem", error).into()),
            },
        }
    }
}
