//! The requests to the table of quotas.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use chrono::{DateTime, Utc};

use super::error::QuotaError;
use super::write::Write;
use crate::Clock;
use crate::aws::AwsError;
use crate::aws::attributes::{Attributes, text};

/// How long one try may take. After the last one the store counts as unavailable.
const TRY_TIMEOUT: Duration = Duration::from_millis(300);
const MAX_SENDS: u32 = 2;

/// The table. Clones count their calls together.
#[derive(Debug, Clone)]
pub(super) struct Store {
    client: aws_sdk_dynamodb::Client,
    table: String,
    clock: Clock,
    calls: Arc<AtomicU64>,
}

pub(super) enum Sent {
    Done(Attributes),
    /// The condition did not hold. This is the item as it was, if there is one.
    Refused(Option<Attributes>),
}

fn late<E>() -> SdkError<E> {
    SdkError::timeout_error("no answer in time")
}

fn only_once() -> aws_sdk_dynamodb::config::Builder {
    aws_sdk_dynamodb::Config::builder().retry_config(RetryConfig::disabled())
}

impl Store {
    pub(super) fn new(client: aws_sdk_dynamodb::Client, table: String, clock: Clock) -> Self {
        Self {
            client,
            table,
            clock,
            calls: Arc::default(),
        }
    }

    /// Returns how many requests were sent to DynamoDB.
    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    fn count_call(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Reads an item, eventually consistent.
    pub(super) async fn read(
        &self,
        key: impl fmt::Display,
    ) -> Result<Option<Attributes>, QuotaError> {
        self.count_call();
        let request = self.client.get_item().table_name(&self.table);
        let answer = request.key("quota_key", text(key)).send().await;
        let answer =
            answer.map_err(|e| QuotaError::Unavailable(AwsError::new("dynamodb:GetItem", e)))?;
        Ok(answer.item)
    }

    /// Reads an item as it is now, by one try.
    pub(super) async fn look(
        &self,
        key: impl fmt::Display,
    ) -> Result<Option<Attributes>, AwsError> {
        self.count_call();
        let request = self.client.get_item().table_name(&self.table);
        let request = request.key("quota_key", text(key)).consistent_read(true);
        let request = request.customize().config_override(only_once()).send();
        let answer = self.clock.within(TRY_TIMEOUT, request).await;
        let answer = answer.ok_or_else(late).flatten();
        Ok(answer
            .map_err(|e| AwsError::new("dynamodb:GetItem", e))?
            .item)
    }

    pub(super) async fn delete(&self, key: impl fmt::Display) -> Result<(), QuotaError> {
        self.count_call();
        let request = self.client.delete_item().table_name(&self.table);
        let answer = request.key("quota_key", text(key)).send().await;
        answer.map_err(|e| QuotaError::Unavailable(AwsError::new("dynamodb:DeleteItem", e)))?;
        Ok(())
    }

    /// Sends a write, and returns the instant of sending. Each try builds the write anew, so
    /// that its epoch is that of the instant. A retried write whose first try did arrive
    /// consumes one permit too many: the safe side.
    pub(super) async fn send(
        &self,
        key: impl fmt::Display,
        write: impl Fn(DateTime<Utc>) -> Write,
    ) -> Result<(Sent, DateTime<Utc>), QuotaError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let now = self.clock.now();
            let Write {
                update,
                condition,
                values,
            } = write(now);
            // A name that no expression uses is refused.
            let uses_ttl = update.contains("#t") || condition.contains("#t");
            let names = uses_ttl.then(|| HashMap::from([("#t".to_owned(), "ttl".to_owned())]));
            self.count_call();
            let request = self
                .client
                .update_item()
                .table_name(&self.table)
                .key("quota_key", text(&key))
                .update_expression(update)
                .condition_expression(condition)
                .set_expression_attribute_names(names)
                .set_expression_attribute_values(Some(values))
                .return_values(ReturnValue::AllNew)
                .return_values_on_condition_check_failure(
                    ReturnValuesOnConditionCheckFailure::AllOld,
                )
                .customize()
                .config_override(only_once())
                .send();
            let result = self
                .clock
                .within(TRY_TIMEOUT, request)
                .await
                .ok_or_else(late)
                .flatten();
            let error = match result {
                Ok(answer) => return Ok((Sent::Done(answer.attributes.unwrap_or_default()), now)),
                Err(error) => error,
            };
            if let Some(UpdateItemError::ConditionalCheckFailedException(refused)) =
                error.as_service_error()
            {
                return Ok((Sent::Refused(refused.item.clone()), now));
            }
            if tries == MAX_SENDS {
                return Err(QuotaError::Unavailable(AwsError::new(
                    "dynamodb:UpdateItem",
                    error,
                )));
            }
        }
    }
}
