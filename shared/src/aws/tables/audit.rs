//! The audit table: what was done, in streams, in the order of time. It never holds a token.

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{TableError, parse, render};
use crate::IntegrationKey;
use crate::aws::attributes::{Attributes, number, text};
use crate::aws::error::{AwsError, unless_refused};
use crate::domain::organization::Permission;
use crate::domain::report::AttemptRecord;
use crate::runtime::random_id;
use crate::{Clock, OrgId, UserId};

/// For how long audit rows are kept.
const RETENTION: TimeDelta = TimeDelta::days(400);

#[derive(Debug, Clone)]
pub struct AuditTable {
    client: aws_sdk_dynamodb::Client,
    table: String,
    clock: Clock,
}

/// What a row is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditStream {
    /// One row a sweep.
    Sweeps,
    /// One row for each operator event.
    OperatorEvents,
    /// One row for each change of the organisation's members.
    Members(OrgId),
    /// One row for each attempt at this integration, and for each act of a person.
    Integration(IntegrationKey),
}

/// What a person did to an integration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemberAction {
    pub action: Action,
    pub by: UserId,
}

/// What a person can do to an integration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Registered,
    /// The integration got a new credential.
    Replaced,
    Disconnected,
    /// What was granted of the integration's quota is forgotten.
    QuotaReset,
    /// An application or a person took an access token, at least once within the hour that began
    /// then.
    AccessTokenTaken,
}

/// How one person changed what another may do in an organisation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MembershipChange {
    pub action: MembershipAction,
    pub user_id: UserId,
    /// What the member may do since.
    pub permissions: Vec<Permission>,
    pub by: UserId,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MembershipAction {
    MemberAdded,
    PermissionsChanged,
    MemberRemoved,
}

/// Something that happened to an integration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AuditEntry {
    pub at: DateTime<Utc>,
    #[serde(flatten)]
    pub event: AuditEvent,
}

/// What a row of an integration's stream records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AuditEvent {
    Attempt(AttemptRecord),
    Action(MemberAction),
}

impl AuditEntry {
    fn from_item(key: &IntegrationKey, item: Attributes) -> Result<Self, TableError> {
        let at = time_of(&AuditStream::Integration(key.clone()), &item)?;
        let what = format!("the audit of {key} at {at}");
        // Only a person's act has one.
        let event = if item.contains_key("action") {
            AuditEvent::Action(parse(what, item)?)
        } else {
            AuditEvent::Attempt(parse(what, item)?)
        };
        Ok(Self { at, event })
    }
}

/// Returns when a row of `stream` was added.
fn time_of(stream: &AuditStream, item: &Attributes) -> Result<DateTime<Utc>, TableError> {
    let millis = match item.get("at") {
        Some(AttributeValue::S(at)) => at.split('#').next().and_then(|at| at.parse().ok()),
        _ => None,
    };
    let at = millis.and_then(DateTime::from_timestamp_millis);
    at.ok_or_else(|| TableError::Damaged {
        what: format!("the audit stream {stream}"),
        problem: "its time is none".to_owned(),
    })
}

impl std::fmt::Display for AuditStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sweeps => f.write_str("sweep"),
            Self::OperatorEvents => f.write_str("operator_events"),
            Self::Members(org) => write!(f, "members#{org}"),
            Self::Integration(key) => {
                write!(f, "integration#{}#{}", key.org_id, key.integration_id)
            }
        }
    }
}

impl AuditTable {
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
        stream: AuditStream,
        id: &str,
        what: impl Serialize,
    ) -> Result<(), TableError> {
        self.put(stream, self.clock.precise(), id, what).await
    }

    /// Adds a person's act at `at`, unless there is one of this `id` there already.
    ///
    /// # Errors
    /// When DynamoDB does not answer.
    pub async fn record_once(
        &self,
        key: IntegrationKey,
        at: DateTime<Utc>,
        id: &str,
        act: MemberAction,
    ) -> Result<(), TableError> {
        let stream = AuditStream::Integration(key);
        self.put(stream, at, id, act).await
    }

    /// Puts a row unless there is one with the same time and id: that is the same row.
    async fn put(
        &self,
        stream: AuditStream,
        at: DateTime<Utc>,
        id: &str,
        what: impl Serialize,
    ) -> Result<(), TableError> {
        let mut item = render(&stream, what)?;
        item.insert("stream".into(), text(&stream));
        item.insert(
            "at".into(),
            text(format!("{:015}#{id}", at.timestamp_millis())),
        );
        item.insert("ttl".into(), number((at + RETENTION).timestamp()));
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(#stream)")
            .expression_attribute_names("#stream", "stream")
            .send()
            .await;
        unless_refused("dynamodb:PutItem", put)?;
        Ok(())
    }

    /// Adds a person's act.
    ///
    /// # Errors
    /// When DynamoDB does not answer.
    pub async fn record_action(
        &self,
        key: IntegrationKey,
        act: MemberAction,
    ) -> Result<(), TableError> {
        self.record(AuditStream::Integration(key), &random_id(), act)
            .await
    }

    /// Returns when the last sweep ended, by one eventually consistent read.
    ///
    /// # Errors
    /// When DynamoDB does not answer, or the row is damaged.
    pub async fn last_sweep(&self) -> Result<Option<DateTime<Utc>>, TableError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#stream = :stream")
            .expression_attribute_names("#stream", "stream")
            .expression_attribute_names("#at", "at")
            .expression_attribute_values(":stream", text(AuditStream::Sweeps))
            .projection_expression("#at")
            .scan_index_forward(false)
            .limit(1)
            .send()
            .await
            .map_err(|e| AwsError::new("dynamodb:Query", e))?;
        let last = answer.items.unwrap_or_default().pop();
        last.map(|item| time_of(&AuditStream::Sweeps, &item))
            .transpose()
    }

    /// Returns what happened to an integration last, newest first, at most `limit` entries.
    ///
    /// # Errors
    /// When DynamoDB does not answer, or a row is damaged.
    pub async fn history(
        &self,
        key: &IntegrationKey,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, TableError> {
        let stream = AuditStream::Integration(key.clone());
        let mut entries = Vec::new();
        let mut from_key = None;
        while entries.len() < limit {
            let wanted = limit - entries.len();
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .key_condition_expression("#stream = :stream")
                .expression_attribute_names("#stream", "stream")
                .expression_attribute_values(":stream", text(&stream))
                .scan_index_forward(false)
                .consistent_read(true)
                .set_exclusive_start_key(from_key)
                .limit(i32::try_from(wanted).unwrap_or(i32::MAX))
                .send()
                .await
                .map_err(|e| AwsError::new("dynamodb:Query", e))?;
            for item in answer.items.unwrap_or_default() {
                entries.push(AuditEntry::from_item(key, item)?);
            }
            from_key = answer.last_evaluated_key;
            if from_key.is_none() {
                break;
            }
        }
        Ok(entries)
    }
}
