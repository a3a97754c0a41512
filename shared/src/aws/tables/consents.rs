//! Consents that people have begun, as rows of the quotas table that live ten minutes.

use super::{TableError, parse, render};
use crate::aws::attributes::{Attributes, number, text};
use crate::aws::error::{AwsError, unless_refused};
use crate::domain::consent::Consent;

#[derive(Debug, Clone)]
pub struct ConsentsTable {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

/// No quota key begins so: it begins with a platform's name.
fn row_key(id: &str) -> String {
    format!("consent#{id}")
}

impl ConsentsTable {
    #[must_use]
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    /// Finds a consent by its id.
    ///
    /// # Errors
    /// When DynamoDB does not answer, or the row is damaged.
    pub async fn find(&self, id: &str) -> Result<Option<Consent>, TableError> {
        let key = row_key(id);
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("quota_key", text(&key))
            .consistent_read(true)
            .send()
            .await
            .map_err(|e| AwsError::new("dynamodb:GetItem", e))?;
        answer.item.map(|item| parse(key, item)).transpose()
    }

    /// Stores a consent of which `steps` - 1 steps were begun before; returns `false` if
    /// somebody else has begun this one.
    ///
    /// # Errors
    /// When DynamoDB does not answer.
    pub async fn store(&self, consent: &Consent) -> Result<bool, TableError> {
        let key = row_key(&consent.id);
        let mut item = render(&key, consent)?;
        item.insert("quota_key".to_owned(), text(&key));
        item.insert("ttl".to_owned(), number(consent.expires_at.timestamp()));
        let before = number(consent.steps.saturating_sub(1));
        let request = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item));
        let request = match consent.steps {
            0 => request.condition_expression("attribute_not_exists(quota_key)"),
            _ => request
                .condition_expression("steps = :before")
                .set_expression_attribute_values(Some(Attributes::from([(
                    ":before".to_owned(),
                    before,
                )]))),
        };
        let stored = request.send().await;
        Ok(unless_refused("dynamodb:PutItem", stored)?.is_some())
    }
}
