//! Platform health: one row of the quotas table for each platform, which all
//! instances share.

use super::{TableError, parse, render};
use crate::Platform;
use crate::aws::attributes::{Attributes, number, text};
use crate::aws::error::{AwsError, unless_refused};
use crate::domain::platform_health::PlatformHealth;

#[derive(Debug, Clone)]
pub struct PlatformHealthTable {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

fn key(platform: Platform) -> String {
    format!("platform#{platform}")
}

impl PlatformHealthTable {
    #[must_use]
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    /// Reads the health of a platform. A damaged row counts as none: nothing in it is worth
    /// stopping a sweep for.
    ///
    /// # Errors
    /// When DynamoDB does not answer.
    pub async fn get(&self, platform: Platform) -> Result<PlatformHealth, TableError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("quota_key", text(key(platform)))
            .consistent_read(true)
            .send()
            .await
            .map_err(|e| AwsError::new("dynamodb:GetItem", e))?;
        let Some(item) = answer.item else {
            return Ok(PlatformHealth::new(platform));
        };
        let version = item
            .get("version")
            .and_then(|version| version.as_n().ok()?.parse().ok());
        Ok(parse(key(platform), item).unwrap_or(PlatformHealth {
            version: version.unwrap_or_default(),
            ..PlatformHealth::new(platform)
        }))
    }

    /// Stores `health` if nobody has written it since it was read; returns whether it did.
    ///
    /// # Errors
    /// When DynamoDB does not answer.
    pub async fn replace(&self, health: &mut PlatformHealth) -> Result<bool, TableError> {
        let read = health.version;
        let written = PlatformHealth {
            version: read + 1,
            ..health.clone()
        };
        let mut item = render(key(health.platform), &written)?;
        item.insert("quota_key".into(), text(key(health.platform)));
        let result = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(quota_key) OR version = :read")
            .set_expression_attribute_values(Some(Attributes::from([(
                ":read".into(),
                number(read),
            )])))
            .send()
            .await;
        let is_written = unless_refused("dynamodb:PutItem", result)?.is_some();
        // Else it stays of the version that was read: of any other, the next write
        // would overwrite what another instance has made of it.
        if is_written {
            health.version = written.version;
        }
        Ok(is_written)
    }
}
