//! The audit table: what was done, in streams, in the order of time. Never a token.

use chrono::TimeDelta;
use serde::Serialize;

use super::{StoreError, number, render, text};
use crate::Clock;
use crate::aws::AwsError;
use crate::store::Key;

/// How long audit rows are kept.
const KEPT: TimeDelta = TimeDelta::days(400);

/// The audit rows.
#[derive(Debug, Clone)]
pub struct Audit {
    client: aws_sdk_dynamodb::Client,
    table: String,
    clock: Clock,
}

/// What a row is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stream {
    /// One row a sweep.
    Sweeps,
    /// One row an attempt at refreshing this connection.
    Attempts(Key),
}

impl std::fmt::Display for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sweeps => f.write_str("sweep"),
            Self::Attempts(key) => write!(f, "integration#{}#{}", key.org_id, key.integration_id),
        }
    }
}

impl Audit {
    /// The audit rows in `table`.
    #[must_use]
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>, clock: Clock) -> Self {
        Self {
            client,
            table: table.into(),
            clock,
        }
    }

    /// Adds a row; `id` tells it from others of the same millisecond.
    ///
    /// # Errors
    /// When DynamoDB does not answer.
    pub async fn record(
        &self,
        stream: Stream,
        id: &str,
        what: impl Serialize,
    ) -> Result<(), StoreError> {
        let now = self.clock.precise();
        let mut item = render(&stream, what)?;
        item.insert("stream".into(), text(&stream));
        item.insert(
            "at".into(),
            text(format!("{:015}#{id}", now.timestamp_millis())),
        );
        item.insert("ttl".into(), number((now + KEPT).timestamp()));
        self.client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(#stream)")
            .expression_attribute_names("#stream", "stream")
            .send()
            .await
            .map_err(|e| AwsError::new("dynamodb:PutItem", e))?;
        Ok(())
    }
}
