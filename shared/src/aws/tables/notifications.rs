use aws_sdk_dynamodb::types::{AttributeValue, Select};
use futures::{StreamExt, TryStreamExt, stream};

use super::{TableError, parse, render};
use crate::aws::attributes::{Attributes, text};
use crate::aws::error::{AwsError, unless_refused};
use crate::domain::notification::{Notification, sort_key};
use crate::{OrgId, UserId};

/// How many notifications are marked at once.
const CONCURRENT_WRITES: usize = 16;

#[derive(Debug, Clone)]
pub struct NotificationsTable {
    client: aws_sdk_dynamodb::Client,
    table: String,
}

/// When a notification was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// The notification is new.
    Now,
    /// The notification had been delivered before, and may have been read since.
    Before,
}

/// A page of notifications, newest first.
#[derive(Debug)]
pub struct Page {
    pub rows: Vec<Notification>,
    /// The id after which the next page begins.
    pub next: Option<String>,
}

impl NotificationsTable {
    #[must_use]
    pub fn new(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into(),
        }
    }

    /// Stores a notification unless it is stored already.
    ///
    /// # Errors
    /// When DynamoDB does not answer.
    pub async fn deliver(&self, notification: &Notification) -> Result<Delivered, TableError> {
        let result = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(render("notification", notification)?))
            .condition_expression("attribute_not_exists(user_id)")
            .send()
            .await;
        Ok(match unless_refused("dynamodb:PutItem", result)? {
            Some(_) => Delivered::Now,
            None => Delivered::Before,
        })
    }

    fn query(
        &self,
        user: &UserId,
        org: &OrgId,
        unread: bool,
    ) -> aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("user_id = :user AND begins_with(notification_id, :org)")
            .expression_attribute_values(":user", text(user))
            .expression_attribute_values(":org", text(sort_key(org, "")));
        if unread {
            query
                .filter_expression("is_read = :false")
                .expression_attribute_values(":false", AttributeValue::Bool(false))
        } else {
            query
        }
    }

    /// Lists a person's notifications of one organisation, newest first: at most `limit`, after
    /// the one with id `after`; only unread ones if `unread`.
    ///
    /// # Errors
    /// When DynamoDB does not answer, or a row is damaged.
    pub async fn list(
        &self,
        user: &UserId,
        org: &OrgId,
        unread: bool,
        limit: usize,
        after: Option<&str>,
    ) -> Result<Page, TableError> {
        let mut rows: Vec<Notification> = Vec::new();
        let mut start = after.map(|id| {
            Attributes::from([
                ("user_id".into(), text(user)),
                ("notification_id".into(), text(sort_key(org, id))),
            ])
        });
        loop {
            let answer = self
                .query(user, org, unread)
                .scan_index_forward(false)
                .set_exclusive_start_key(start)
                // One more than wanted, to know whether there is a next page. It
                // counts what is read, not what the filter leaves, so a filtered
                // page takes whatever fits into an answer.
                .set_limit((!unread).then(|| i32::try_from(limit + 1).unwrap_or(i32::MAX)))
                .send()
                .await
                .map_err(|e| AwsError::new("dynamodb:Query", e))?;
            for item in answer.items.unwrap_or_default() {
                rows.push(parse(format!("a notification of {user}"), item)?);
            }
            start = answer.last_evaluated_key;
            if start.is_none() || rows.len() > limit {
                break;
            }
        }
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|row| row.id().to_owned());
        Ok(Page { rows, next })
    }

    /// Counts the notifications of one organisation that a person has not read.
    ///
    /// # Errors
    /// When DynamoDB does not answer.
    pub async fn count_unread(&self, user: &UserId, org: &OrgId) -> Result<u64, TableError> {
        let mut pages = self
            .query(user, org, true)
            .select(Select::Count)
            .into_paginator()
            .send();
        let mut count = 0;
        while let Some(page) = pages.next().await {
            let page = page.map_err(|e| AwsError::new("dynamodb:Query", e))?;
            count += u64::try_from(page.count).unwrap_or_default();
        }
        Ok(count)
    }

    /// Marks all notifications of one organisation as read that a person has now; returns how
    /// many were unread. Hardly any that arrives meanwhile is marked: all are found first.
    ///
    /// # Errors
    /// When DynamoDB does not answer. Some may have been marked.
    pub async fn mark_all_read(&self, user: &UserId, org: &OrgId) -> Result<usize, TableError> {
        let mut unread = self
            .query(user, org, true)
            .projection_expression("notification_id")
            .into_paginator()
            .items()
            .send();
        let mut writes = Vec::new();
        while let Some(item) = unread.next().await {
            let mut item = item.map_err(|e| AwsError::new("dynamodb:Query", e))?;
            if let Some(sort_key) = item.remove("notification_id") {
                writes.push(self.set_read(user, sort_key));
            }
        }
        let writes = stream::iter(writes).buffer_unordered(CONCURRENT_WRITES);
        let were_there: Vec<bool> = writes.try_collect().await?;
        Ok(were_there
            .into_iter()
            .filter(|was_there| *was_there)
            .count())
    }

    /// Marks a notification as read; returns `false` if this person has no such notification.
    ///
    /// # Errors
    /// When DynamoDB does not answer.
    pub async fn mark_read(
        &self,
        user: &UserId,
        org: &OrgId,
        id: &str,
    ) -> Result<bool, TableError> {
        self.set_read(user, text(sort_key(org, id))).await
    }

    async fn set_read(&self, user: &UserId, sort_key: AttributeValue) -> Result<bool, TableError> {
        let result = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("user_id", text(user))
            .key("notification_id", sort_key)
            .update_expression("SET is_read = :true")
            .condition_expression("attribute_exists(user_id)")
            .expression_attribute_values(":true", AttributeValue::Bool(true))
            .send()
            .await;
        Ok(unless_refused("dynamodb:UpdateItem", result)?.is_some())
    }
}
