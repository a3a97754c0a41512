//! Turns one alert into one notification for each person concerned, however often SNS delivers it.

use std::collections::BTreeSet;

use aws_lambda_events::event::sns::SnsEvent;
use lambda_runtime::{Diagnostic, LambdaEvent};
use shared::aws::tables::{Delivered, NotificationsTable, OrganizationsTable, TableError};
use shared::domain::alert::{Alert, SCHEMA};
use shared::domain::notification::Notification;
use shared::runtime::variables::InvalidVariable;
use shared::{Clock, OrgId, UserId, Variables};
use tracing::info;

#[derive(Debug, Clone)]
pub struct Notify {
    organizations: OrganizationsTable,
    notifications: NotificationsTable,
    clock: Clock,
}

/// Why an alert did not reach everybody. It is safe to deliver the alert again.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    #[error("record {record} is not an alert: {problem}")]
    NotAnAlert {
        /// The index of the record in the event, from 0.
        record: usize,
        problem: String,
    },
    /// The organisation is unknown, so that only the integration's creator was notified.
    #[error(
        "organisation {0} is unknown, so its people cannot be notified; import it, then redrive this alert"
    )]
    UnknownOrganization(OrgId),
    #[error(transparent)]
    Store(#[from] TableError),
}

impl From<NotifyError> for Diagnostic {
    fn from(error: NotifyError) -> Self {
        Self {
            error_type: "NotifyError".to_owned(),
            error_message: error.to_string(),
        }
    }
}

impl Notify {
    /// Reads `ORGANIZATIONS_TABLE` and `NOTIFICATIONS_TABLE`.
    ///
    /// # Errors
    /// [`InvalidVariable`] names the variable that is missing.
    pub fn from_environment(
        sdk: &aws_config::SdkConfig,
        variables: &Variables,
        clock: Clock,
    ) -> Result<Self, InvalidVariable> {
        let dynamodb = aws_sdk_dynamodb::Client::new(sdk);
        Ok(Self {
            organizations: OrganizationsTable::new(
                dynamodb.clone(),
                variables.required("ORGANIZATIONS_TABLE")?,
            ),
            notifications: NotificationsTable::new(
                dynamodb,
                variables.required("NOTIFICATIONS_TABLE")?,
            ),
            clock,
        })
    }

    /// Handles one event. Tries every record, and returns the first error, so that the event is
    /// delivered again and finally kept as a dead letter.
    ///
    /// # Errors
    /// The first [`NotifyError`] of the event's records.
    pub async fn handle(&self, event: LambdaEvent<SnsEvent>) -> Result<(), NotifyError> {
        let mut outcome = Ok(());
        for (number, record) in event.payload.records.iter().enumerate() {
            let delivered = match parse_alert(number, &record.sns.message) {
                Ok(alert) => self.deliver(&alert).await,
                Err(error) => Err(error),
            };
            outcome = outcome.and(delivered);
        }
        outcome
    }

    async fn deliver(&self, alert: &Alert) -> Result<(), NotifyError> {
        let now = self.clock.now();
        let mut delivered = 0_u32;
        let (recipients, organization) = self.recipients(alert).await?;
        for user in &recipients {
            let notification = Notification::new(user, alert, now);
            if self.notifications.deliver(&notification).await? == Delivered::Now {
                delivered += 1;
            }
        }
        info!(
            alert_id = alert.alert_id,
            kind = alert.kind.name(),
            org_id = %alert.org_id,
            integration_id = %alert.integration_id,
            recipients = recipients.len(),
            delivered,
            "alert delivered"
        );
        organization
    }

    /// Finds the integration's creator, the organisation's owner, and the members who
    /// manage integrations, each once. An unknown organisation leaves only the creator,
    /// and the error that nobody else can be found.
    async fn recipients(
        &self,
        alert: &Alert,
    ) -> Result<(BTreeSet<UserId>, Result<(), NotifyError>), NotifyError> {
        let mut recipients = BTreeSet::from([alert.created_by.clone()]);
        let Some(organization) = self.organizations.organization(&alert.org_id).await? else {
            let unknown = NotifyError::UnknownOrganization(alert.org_id.clone());
            return Ok((recipients, Err(unknown)));
        };
        recipients.insert(organization.owner_id);
        recipients.extend(self.organizations.managers(&alert.org_id).await?);
        Ok((recipients, Ok(())))
    }
}

fn parse_alert(record: usize, message: &str) -> Result<Alert, NotifyError> {
    let not_an_alert = |problem| NotifyError::NotAnAlert { record, problem };
    let alert: Alert = serde_json::from_str(message).map_err(|e| not_an_alert(e.to_string()))?;
    if alert.schema == SCHEMA {
        Ok(alert)
    } else {
        Err(not_an_alert(format!(
            "its schema is {}, this function reads {SCHEMA}",
            alert.schema
        )))
    }
}
