//! What platforms say of their own quotas, as one row of the quotas table for each integration
//! that is called; and when an integration was last checked because of an answer to a call.

use chrono::{DateTime, TimeDelta, Utc};
use utoipa::ToSchema;

use super::{TableError, parse, render};
use crate::aws::attributes::{number, text};
use crate::aws::error::{AwsError, unless_refused};
use crate::domain::call_reading::Usage;
use crate::domain::quota::QuotaKey;

/// For how long a row is worth anything: the period of the longest quota.
const LIFETIME: TimeDelta = TimeDelta::days(1);
/// The least time between two checks because of answers to calls.
const CHECK_INTERVAL: TimeDelta = TimeDelta::minutes(1);

#[derive(Debug, Clone)]
pub struct UsageTable {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

/// What a platform said last of one integration's use.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, ToSchema)]
pub struct ReportedUsage {
    /// In epoch seconds.
    #[serde(with = "chrono::serde::ts_seconds")]
    #[schema(value_type = i64)]
    pub reported_at: DateTime<Utc>,
    pub usage: Vec<Usage>,
}

/// An integration's quota key never begins so: it begins with a platform's name.
fn row_key(key: &QuotaKey) -> String {
    format!("usage#{key}")
}

impl UsageTable {
    #[must_use]
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    /// Stores what a platform said. The last writer wins: nothing is decided by it.
    ///
    /// # Errors
    /// When DynamoDB does not answer.
    pub async fn report(&self, key: &QuotaKey, reported: &ReportedUsage) -> Result<(), TableError> {
        let row = row_key(key);
        let mut fields = render(&row, reported)?;
        let usage = fields.remove("usage");
        self.client
            .update_item()
            .table_name(&self.table)
            .key("quota_key", text(&row))
            .update_expression("SET #usage = :usage, reported_at = :at, #ttl = :ttl")
            .expression_attribute_names("#usage", "usage")
            .expression_attribute_names("#ttl", "ttl")
            .set_expression_attribute_values(usage.map(|usage| {
                [
                    (":usage".to_owned(), usage),
                    (":at".to_owned(), number(reported.reported_at.timestamp())),
                    (":ttl".to_owned(), ttl(reported.reported_at)),
                ]
                .into()
            }))
            .send()
            .await
            .map_err(|e| AwsError::new("dynamodb:UpdateItem", e))?;
        Ok(())
    }

    /// Returns what the platform said last within a day, by one eventually consistent read.
    ///
    /// # Errors
    /// When DynamoDB does not answer, or the row is damaged.
    pub async fn last_report(
        &self,
        key: &QuotaKey,
        now: DateTime<Utc>,
    ) -> Result<Option<ReportedUsage>, TableError> {
        let row = row_key(key);
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("quota_key", text(&row))
            .send()
            .await
            .map_err(|e| AwsError::new("dynamodb:GetItem", e))?;
        let item = answer.item.filter(|item| item.contains_key("usage"));
        let reported = item.map(|item| parse::<ReportedUsage>(row, item));
        let is_recent = |reported: &ReportedUsage| now - reported.reported_at < LIFETIME;
        Ok(reported.transpose()?.filter(is_recent))
    }

    /// Claims a check of the integration because of an answer. Returns `false` if one was
    /// claimed within a minute, by whomever.
    ///
    /// # Errors
    /// When DynamoDB does not answer.
    pub async fn claim_check(
        &self,
        key: &QuotaKey,
        now: DateTime<Utc>,
    ) -> Result<bool, TableError> {
        const CALL: &str = "dynamodb:UpdateItem";
        let claimed = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("quota_key", text(row_key(key)))
            .update_expression("SET checked_at = :now, #ttl = :ttl")
            .condition_expression("attribute_not_exists(checked_at) OR checked_at <= :before")
            .expression_attribute_names("#ttl", "ttl")
            .expression_attribute_values(":now", number(now.timestamp()))
            .expression_attribute_values(":before", number((now - CHECK_INTERVAL).timestamp()))
            .expression_attribute_values(":ttl", ttl(now))
            .send()
            .await;
        Ok(unless_refused(CALL, claimed)?.is_some())
    }

    /// Takes back the claim of a check that could not be begun, if it is still that one.
    ///
    /// # Errors
    /// When DynamoDB does not answer.
    pub async fn give_up_check(
        &self,
        key: &QuotaKey,
        claimed_at: DateTime<Utc>,
    ) -> Result<(), TableError> {
        let given_up = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("quota_key", text(row_key(key)))
            .update_expression("REMOVE checked_at")
            .condition_expression("checked_at = :at")
            .expression_attribute_values(":at", number(claimed_at.timestamp()))
            .send()
            .await;
        unless_refused("dynamodb:UpdateItem", given_up)?;
        Ok(())
    }
}

fn ttl(now: DateTime<Utc>) -> aws_sdk_dynamodb::types::AttributeValue {
    number((now + LIFETIME).timestamp())
}
