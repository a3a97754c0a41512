//! Rows of the integrations table that cannot be read.

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};

use super::integrations::{Conflict, IntegrationsTable};
use super::{TableError, parse, render};
use crate::IntegrationKey;
use crate::aws::attributes::{Attributes, number, text};
use crate::aws::error::unless_refused;
use crate::domain::integration::{Integration, State};

impl IntegrationsTable {
    /// Puts a readable row in the place of one that is not, if nobody else has
    /// mended it since it was found.
    ///
    /// # Errors
    /// [`Conflict::Lost`] if somebody has.
    pub(super) async fn replace_damaged(
        &self,
        mut row: Integration,
        version: Option<AttributeValue>,
        now: DateTime<Utc>,
    ) -> Result<Integration, Conflict> {
        row.version = version_after(version.as_ref(), row.credential.generation);
        row.derive_index_keys(now);
        let condition = still_damaged(version.as_ref());
        self.put(row, condition, version).await
    }

    /// Erases the credential of a row that cannot be read, and marks the row as disconnected. If
    /// nothing else was damaged, it can be read again. No answer on its way may belong to
    /// `generation`. Returns `false` if somebody has written the row meanwhile.
    ///
    /// # Errors
    /// When DynamoDB does not answer.
    pub async fn disconnect_damaged(
        &self,
        key: &IntegrationKey,
        generation: u64,
        now: DateTime<Utc>,
    ) -> Result<bool, TableError> {
        let Some(mut item) = self.item(key).await? else {
            return Ok(false);
        };
        // Mended meanwhile: whoever did it counts its generations.
        if parse::<Integration>(key, item.clone()).is_ok() {
            return Ok(false);
        }
        let read = item.get("version").cloned();
        let version = version_after(read.as_ref(), generation);
        for erased in [
            "access_token",
            "refresh_token",
            "registered",
            "lease",
            "next_action_shard",
            "next_action_at",
            "reconnect_by",
        ] {
            item.remove(erased);
        }
        let state = render(key, State::Disconnected { since: now })?;
        item.extend([
            ("state".to_owned(), AttributeValue::M(state)),
            ("version".to_owned(), number(version)),
            ("generation".to_owned(), number(generation)),
            ("grant".to_owned(), number(generation)),
        ]);
        let condition = still_damaged(read.as_ref());
        let result = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression(condition)
            .set_expression_attribute_values(
                read.map(|read| Attributes::from([(":read".into(), read)])),
            )
            .send()
            .await;
        Ok(unless_refused("dynamodb:PutItem", result)?.is_some())
    }

    /// Takes a row that cannot be read out of `by_next_action`, so that no sweep meets it
    /// again, and notes why. Returns `false` if it was taken out before.
    ///
    /// # Errors
    /// When DynamoDB does not answer.
    pub async fn set_aside(
        &self,
        key: &IntegrationKey,
        problem: &str,
        now: DateTime<Utc>,
    ) -> Result<bool, TableError> {
        let result = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("org_id", text(&key.org_id))
            .key("integration_id", text(&key.integration_id))
            .update_expression(
                "REMOVE next_action_shard, next_action_at, reconnect_by SET damaged = :problem, damaged_at = :now",
            )
            .condition_expression("attribute_exists(next_action_shard)")
            .expression_attribute_values(":problem", text(problem))
            .expression_attribute_values(":now", number(now.timestamp()))
            .send()
            .await;
        Ok(unless_refused("dynamodb:UpdateItem", result)?.is_some())
    }
}

/// Returns the version that follows a damaged row's. Where that has none, or no number, it is
/// one that no writer on its way has read.
fn version_after(damaged: Option<&AttributeValue>, generation: u64) -> u64 {
    damaged
        .and_then(|version| version.as_n().ok()?.parse::<u64>().ok())
        .map_or(generation, |version| version + 1)
}

/// Returns the condition that nobody has written a damaged row since its version was read.
const fn still_damaged(version: Option<&AttributeValue>) -> &'static str {
    match version {
        Some(_) => "version = :read",
        None => "attribute_exists(org_id) AND attribute_not_exists(version)",
    }
}
