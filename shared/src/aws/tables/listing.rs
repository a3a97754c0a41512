//! Many integrations at once: what is due, what expires, all of an organisation's.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, Utc};
use futures::{Stream, TryStreamExt};
use serde::de::DeserializeOwned;
use tracing::warn;

use super::integrations::{IntegrationsTable, QUOTA_SUBJECT, QuotaSubject};
use super::{TableError, parse};
use crate::aws::AwsError;
use crate::aws::attributes::{Attributes, number, text};
use crate::domain::integration::Integration;
use crate::{IntegrationId, IntegrationKey, OrgId, Platform};

/// A page of all of an organisation's integrations, in the order of their ids.
#[derive(Debug)]
pub struct IntegrationIds {
    pub rows: Vec<(IntegrationId, Platform)>,
    /// The last integration of this page, if there is another page.
    pub next: Option<IntegrationId>,
}

/// A page of all of an organisation's integrations, as a list shows them: without credentials.
#[derive(Debug)]
pub struct OverviewPage {
    /// The integrations; `Err` has the id of one that cannot be read.
    pub rows: Vec<Result<Integration, IntegrationId>>,
    /// The last integration of this page, if there is another page.
    pub next: Option<IntegrationId>,
}

impl IntegrationsTable {
    /// Lists an organisation's integrations, also those that never end: at most `limit`,
    /// beginning after `start`.
    ///
    /// # Errors
    /// When DynamoDB does not answer. A damaged row is left out.
    pub async fn list_ids(
        &self,
        org: &OrgId,
        limit: usize,
        start: Option<&IntegrationId>,
    ) -> Result<IntegrationIds, TableError> {
        let (rows, more) = self
            .page::<QuotaSubject>(org, limit, start, &QUOTA_SUBJECT)
            .await?;
        let next = rows.last().filter(|_| more).map(|row| match row {
            Ok(row) => row.integration_id.clone(),
            Err(id) => id.clone(),
        });
        let rows = rows.into_iter().flatten();
        let rows = rows.map(|row| (row.integration_id, row.platform));
        Ok(IntegrationIds {
            rows: rows.collect(),
            next,
        })
    }

    /// Lists an organisation's integrations with all that an overview shows, and without metadata.
    ///
    /// # Errors
    /// When DynamoDB does not answer.
    pub async fn overview(
        &self,
        org: &OrgId,
        limit: usize,
        start: Option<&IntegrationId>,
    ) -> Result<OverviewPage, TableError> {
        let (rows, more) = self
            .page::<Integration>(org, limit, start, &OVERVIEW)
            .await?;
        let next = rows.last().filter(|_| more).map(|row| match row {
            Ok(row) => row.integration_id.clone(),
            Err(id) => id.clone(),
        });
        Ok(OverviewPage { rows, next })
    }

    /// Reads at most `limit` rows after `start`, and whether there are more; of one that cannot
    /// be read its id alone.
    async fn page<T: DeserializeOwned>(
        &self,
        org: &OrgId,
        limit: usize,
        start: Option<&IntegrationId>,
        attributes: &[&str],
    ) -> Result<(Vec<Result<T, IntegrationId>>, bool), TableError> {
        let mut rows = Vec::new();
        let mut from_key = start.map(|id| {
            Attributes::from([
                ("org_id".into(), text(org)),
                ("integration_id".into(), text(id)),
            ])
        });
        // One more than is asked for, to know whether there is another page.
        while rows.len() <= limit {
            let wanted = limit + 1 - rows.len();
            let (names, projection) = projection(attributes);
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("org_id = :org")
                .expression_attribute_values(":org", text(org))
                .set_expression_attribute_names(Some(names))
                .projection_expression(projection)
                .set_exclusive_start_key(from_key)
                .limit(i32::try_from(wanted).unwrap_or(i32::MAX))
                .send()
                .await
                .map_err(|e| AwsError::new("dynamodb:Query", e))?;
            for item in answer.items.unwrap_or_default() {
                let what = describe(&item);
                let id = item.get("integration_id").and_then(|id| id.as_s().ok());
                let id = id.and_then(|id| IntegrationId::new(id).ok());
                // One damaged row must not hide the others; the sweep reports it.
                match (parse(&what, item), id) {
                    (Ok(row), _) => rows.push(Ok(row)),
                    (Err(_), Some(id)) => rows.push(Err(id)),
                    (Err(error), None) => warn!(%error, "a row is left out"),
                }
            }
            from_key = answer.last_evaluated_key;
            if from_key.is_none() {
                break;
            }
        }
        let more = rows.len() > limit;
        rows.truncate(limit);
        Ok((rows, more))
    }

    /// Returns the keys in one partition of `by_next_action` that are due by `until`, the most
    /// pressing first.
    pub fn due(
        &self,
        shard: &str,
        until: DateTime<Utc>,
    ) -> impl Stream<Item = Result<IntegrationKey, TableError>> + use<> {
        let pages = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("by_next_action")
            .key_condition_expression("next_action_shard = :shard AND next_action_at <= :until")
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
        .and_then(|item| async { parse("by_next_action", item) })
    }

    /// Lists an organisation's integrations that end after `from` and until `to`, soonest
    /// first: at most `limit`, beginning after `start`. The rows have neither access tokens nor
    /// metadata.
    ///
    /// # Errors
    /// When DynamoDB does not answer. A damaged row is left out.
    pub async fn expiring(
        &self,
        org: &OrgId,
        (from, to): (DateTime<Utc>, DateTime<Utc>),
        limit: usize,
        start: Option<(DateTime<Utc>, IntegrationId)>,
    ) -> Result<Vec<Integration>, TableError> {
        let position = |at: DateTime<Utc>, id: &IntegrationId| -> Attributes {
            Attributes::from([
                ("org_id".into(), text(org)),
                ("integration_id".into(), text(id)),
                ("reconnect_by".into(), number(at.timestamp())),
            ])
        };
        let mut rows = Vec::new();
        let mut from_key = start.map(|(at, id)| position(at, &id));
        loop {
            let wanted = limit - rows.len();
            let (names, projection) = projection(&DASHBOARD);
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .index_name("by_reconnect_by")
                .key_condition_expression("org_id = :org AND reconnect_by BETWEEN :from AND :to")
                .expression_attribute_values(":org", text(org))
                .expression_attribute_values(":from", number(from.timestamp() + 1))
                .expression_attribute_values(":to", number(to.timestamp()))
                .set_exclusive_start_key(from_key)
                .projection_expression(projection)
                .set_expression_attribute_names(Some(names))
                .limit(i32::try_from(wanted).unwrap_or(i32::MAX))
                .send()
                .await
                .map_err(|e| AwsError::new("dynamodb:Query", e))?;
            for item in answer.items.unwrap_or_default() {
                let what = describe(&item);
                match parse::<Integration>(&what, item) {
                    Ok(row) => rows.push(row),
                    Err(error) => warn!(%error, "a row is left out"),
                }
            }
            from_key = answer.last_evaluated_key;
            if from_key.is_none() || rows.len() >= limit {
                break;
            }
        }
        Ok(rows)
    }
}

/// The attributes that an overview reads of an integration: all that somebody is shown.
const OVERVIEW: [&str; 27] = [
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
    // Of these, that there are any.
    "access_token",
    "refresh_token",
    "issued_at",
    "access_expires_at",
    "refresh_expires_at",
    "data_access_expires_at",
    "idle_expires_at",
    "renewed_at",
    "attempted_at",
    "probed_at",
    "alive_at",
    "state",
    "missing_scopes",
    "permission_lost_at",
    "lease",
    "intent",
    "next_action_at",
];

/// The attributes that a page of the dashboard reads of an integration: all that it must have,
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
    "reconnect_by",
];

/// Returns the placeholders of these attributes, some of which are reserved words, and the
/// expression that names them.
fn projection(attributes: &[&str]) -> (HashMap<String, String>, String) {
    let names = attributes
        .iter()
        .map(|name| (format!("#{name}"), (*name).to_owned()));
    let expression: Vec<String> = attributes.iter().map(|name| format!("#{name}")).collect();
    (names.collect(), expression.join(", "))
}

fn describe(item: &Attributes) -> String {
    let part = |name| match item.get(name) {
        Some(AttributeValue::S(value)) => value.clone(),
        _ => "?".to_owned(),
    };
    format!("integration {}/{}", part("org_id"), part("integration_id"))
}
