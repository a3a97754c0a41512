//! The integrations table and its indexes.

use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use chrono::{DateTime, Utc};
use futures::{Stream, TryStreamExt};
use serde::{Deserialize, Serialize};

use super::{Item, StoreError, number, parse, render, text};
use crate::aws::AwsError;
use crate::integration::Integration;
use crate::{IntegrationId, OrgId, Platform};

/// The connections.
#[derive(Debug, Clone)]
pub struct Integrations {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

/// A connection's primary key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key {
    /// The organisation.
    pub org_id: OrgId,
    /// The connection.
    pub integration_id: IntegrationId,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "integration {}/{}", self.org_id, self.integration_id)
    }
}

impl From<&Integration> for Key {
    fn from(row: &Integration) -> Self {
        Self {
            org_id: row.org_id.clone(),
            integration_id: row.integration_id.clone(),
        }
    }
}

/// A write lost a race.
#[derive(Debug)]
pub enum Conflict {
    /// Someone else wrote first: this is the row now, if it still exists.
    Lost(Option<Box<Integration>>),
    /// The write failed.
    Failed(StoreError),
}

impl<E: Into<StoreError>> From<E> for Conflict {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// A page of an organisation's connections, in the order in which they lapse.
#[derive(Debug)]
pub struct Lapsing {
    /// The connections.
    pub rows: Vec<Integration>,
    /// Where the next page begins.
    pub next: Option<(DateTime<Utc>, IntegrationId)>,
}

/// A page of all of an organisation's connections, in the order of their ids.
#[derive(Debug)]
pub struct Connections {
    /// The connections and what they connect to.
    pub rows: Vec<(IntegrationId, Platform)>,
    /// The last of this page, if there is another.
    pub next: Option<IntegrationId>,
}

/// What a quota is about, out of a connection's row.
#[derive(Deserialize)]
struct Connection {
    integration_id: IntegrationId,
    platform: Platform,
}

impl Integrations {
    /// The connections in `table`.
    #[must_use]
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    /// One connection, strongly consistent.
    ///
    /// # Errors
    /// When DynamoDB does not answer, or the row is damaged.
    pub async fn get(&self, key: &Key) -> Result<Option<Integration>, StoreError> {
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
        answer.item.map(|item| parse(key, item)).transpose()
    }

    /// The platform of one connection, strongly consistent: one that was just
    /// registered is there.
    ///
    /// # Errors
    /// When DynamoDB does not answer, or the row is damaged.
    pub async fn platform_of(&self, key: &Key) -> Result<Option<Platform>, StoreError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("org_id", text(&key.org_id))
            .key("integration_id", text(&key.integration_id))
            .projection_expression(CONNECTION)
            .consistent_read(true)
            .send()
            .await
            .map_err(|e| AwsError::new("dynamodb:GetItem", e))?;
        let row = answer.item.map(|item| parse::<Connection>(key, item));
        Ok(row.transpose()?.map(|row| row.platform))
    }

    /// An organisation's connections, also those that never lapse, at most
    /// `limit`, beginning after `start`.
    ///
    /// # Errors
    /// When DynamoDB does not answer, or a row is damaged.
    pub async fn of_organization(
        &self,
        org: &OrgId,
        limit: usize,
        start: Option<&IntegrationId>,
    ) -> Result<Connections, StoreError> {
        let mut rows = Vec::new();
        let mut from_key = start.map(|id| {
            Item::from([
                ("org_id".into(), text(org)),
                ("integration_id".into(), text(id)),
            ])
        });
        // One more than is asked for, to know whether there is another page.
        while rows.len() <= limit {
            let wanted = limit + 1 - rows.len();
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("org_id = :org")
                .expression_attribute_values(":org", text(org))
                .projection_expression(CONNECTION)
                .set_exclusive_start_key(from_key)
                .limit(i32::try_from(wanted).unwrap_or(i32::MAX))
                .send()
                .await
                .map_err(|e| AwsError::new("dynamodb:Query", e))?;
            for item in answer.items.unwrap_or_default() {
                let what = describe(&item);
                let row = parse::<Connection>(what, item)?;
                rows.push((row.integration_id, row.platform));
            }
            from_key = answer.last_evaluated_key;
            if from_key.is_none() {
                break;
            }
        }
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|(id, _)| id.clone());
        Ok(Connections { rows, next })
    }

    /// Stores a connection that did not exist.
    ///
    /// # Errors
    /// [`Conflict::Lost`] with the one that does.
    pub async fn create(
        &self,
        mut row: Integration,
        now: DateTime<Utc>,
    ) -> Result<Integration, Conflict> {
        row.version = 1;
        row.settle(now);
        self.put(row, "attribute_not_exists(org_id)", None).await
    }

    /// Stores a changed connection if nobody has written it since it was read.
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
        row.settle(now);
        self.put(row, "version = :read", Some(read)).await
    }

    async fn put(
        &self,
        row: Integration,
        condition: &str,
        read: Option<u64>,
    ) -> Result<Integration, Conflict> {
        let key = Key::from(&row);
        let result = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(render(&key, &row)?))
            .condition_expression(condition)
            .set_expression_attribute_values(
                read.map(|v| Item::from([(":read".into(), number(v))])),
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

    /// The keys in one partition of `by_attention` that need attention until
    /// `until`, the most pressing first.
    pub fn due(
        &self,
        shard: &str,
        until: DateTime<Utc>,
    ) -> impl Stream<Item = Result<Key, StoreError>> + use<> {
        let pages = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("by_attention")
            .key_condition_expression("attention_shard = :shard AND attention_at <= :until")
            .expression_attribute_values(":shard", text(shard))
            .expression_attribute_values(":until", number(until.timestamp()))
            .into_paginator()
            .items()
            .send();
        futures::stream::try_unfold(pages, |mut pages| async move {
            let Some(item) = pages.next().await else {
                return Ok(None);
            };
            let item = item.map_err(|e| AwsError::new("dynamodb:Query", e))?;
            Ok(Some((item, pages)))
        })
        .and_then(|item| async { parse("by_attention", item) })
    }

    /// An organisation's connections that lapse after `from` and until `to`,
    /// soonest first, at most `limit`, beginning after `start`. The rows have
    /// neither access tokens nor metadata.
    ///
    /// # Errors
    /// When DynamoDB does not answer, or a row is damaged.
    pub async fn lapsing(
        &self,
        org: &OrgId,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        limit: usize,
        start: Option<(DateTime<Utc>, IntegrationId)>,
    ) -> Result<Lapsing, StoreError> {
        let position = |at: DateTime<Utc>, id: &IntegrationId| -> Item {
            Item::from([
                ("org_id".into(), text(org)),
                ("integration_id".into(), text(id)),
                ("lapses_at".into(), number(at.timestamp())),
            ])
        };
        let mut rows = Vec::new();
        let mut from_key = start.map(|(at, id)| position(at, &id));
        loop {
            let wanted = limit - rows.len();
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .index_name("by_lapse")
                .key_condition_expression("org_id = :org AND lapses_at BETWEEN :from AND :to")
                .expression_attribute_values(":org", text(org))
                .expression_attribute_values(":from", number(from.timestamp() + 1))
                .expression_attribute_values(":to", number(to.timestamp()))
                .set_exclusive_start_key(from_key)
                .projection_expression(DASHBOARD.map(|name| format!("#{name}")).join(", "))
                .set_expression_attribute_names(Some(
                    DASHBOARD
                        .iter()
                        .map(|name| (format!("#{name}"), (*name).to_owned()))
                        .collect(),
                ))
                .limit(i32::try_from(wanted).unwrap_or(i32::MAX))
                .send()
                .await
                .map_err(|e| AwsError::new("dynamodb:Query", e))?;
            for item in answer.items.unwrap_or_default() {
                let what = describe(&item);
                rows.push(parse::<Integration>(what, item)?);
            }
            from_key = answer.last_evaluated_key;
            if from_key.is_none() || rows.len() >= limit {
                break;
            }
        }
        let next = match (&from_key, rows.last()) {
            (Some(_), Some(row)) => row.lapses_at.map(|at| (at, row.integration_id.clone())),
            _ => None,
        };
        Ok(Lapsing { rows, next })
    }
}

/// What [`Connection`] reads; none of the names is reserved.
const CONNECTION: &str = "org_id, integration_id, platform";

/// What a page of the dashboard reads of a connection: all that it must have,
/// and nothing large but the refresh token, of which it shows that there is one.
const DASHBOARD: [&str; 16] = [
    "org_id",
    "integration_id",
    "platform",
    "username",
    "account_id",
    "created_by",
    "version",
    "generation",
    "grant",
    "granted_at",
    "refresh_token",
    "access_expires_at",
    "renewed_at",
    "attempted_at",
    "state",
    "lapses_at",
];

fn describe(item: &Item) -> String {
    let part = |name| match item.get(name) {
        Some(AttributeValue::S(value)) => value.clone(),
        _ => "?".to_owned(),
    };
    format!("integration {}/{}", part("org_id"), part("integration_id"))
}
