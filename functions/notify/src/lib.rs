//! One alert -> one notification for everybody concerned, however often the
//! alert is delivered.

use std::collections::BTreeSet;

use aws_lambda_events::event::sns::SnsEvent;
use lambda_runtime::{Diagnostic, LambdaEvent};
use shared::IntegrationKey;
use shared::aws::tables::{
    Delivered, IntegrationsTable, NotificationsTable, OrganizationsTable, TableError,
};
use shared::domain::alert::{Alert, SCHEMA};
use shared::domain::notification::Notification;
use shared::runtime::variables::InvalidVariable;
use shared::{Clock, OrgId, UserId, Variables};
use tracing::info;

/// The function, wired.
#[derive(Debug, Clone)]
pub struct Notify {
    integrations: IntegrationsTable,
    organizations: OrganizationsTable,
    notifications: NotificationsTable,
    clock: Clock,
}

/// Why an alert did not reach everybody. Delivering it again is safe.
#[derive(Debug, thiserror::Error)]
pub enum NotifyError {
    /// The event is not an alert.
    #[error("record {record} is not an alert: {problem}")]
    NotAnAlert {
        /// Which record of the event, from 0.
        record: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// The organisation is unknown: at most the integration's creator was told.
    #[error(
        "organisation {0} is unknown, so its people cannot be told; import it, then redrive this alert"
    )]
    UnknownOrganization(OrgId),
    /// A table failed.
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
    /// Wires the function: `INTEGRATIONS_TABLE`, `ORGANIZATIONS_TABLE`, `NOTIFICATIONS_TABLE`.
    ///
    /// # Errors
    /// [`InvalidVariable`].
    pub fn wire(
        sdk: &aws_config::SdkConfig,
        variables: &Variables,
        clock: Clock,
    ) -> Result<Self, InvalidVariable> {
        let dynamodb = aws_sdk_dynamodb::Client::new(sdk);
        Ok(Self {
            integrations: IntegrationsTable::new(
                dynamodb.clone(),
                variables.required("INTEGRATIONS_TABLE")?,
            ),
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

    /// Handles one event. Every record is tried; the first error is returned,
    /// so that the event is delivered again and in the end kept as a dead letter.
    ///
    /// # Errors
    /// [`NotifyError`].
    pub async fn handle(&self, event: LambdaEvent<SnsEvent>) -> Result<(), NotifyError> {
        let mut outcome = Ok(());
        for (number, record) in event.payload.records.iter().enumerate() {
            let told = match read(number, &record.sns.message) {
                Ok(alert) => self.tell(&alert).await,
                Err(error) => Err(error),
            };
            outcome = outcome.and(told);
        }
        outcome
    }

    async fn tell(&self, alert: &Alert) -> Result<(), NotifyError> {
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

    /// The integration's creator, the organisation's owner, and the members who
    /// manage integrations; each once. Of an unknown organisation only the
    /// creator, and the error that the others could not be told.
    async fn recipients(
        &self,
        alert: &Alert,
    ) -> Result<(BTreeSet<UserId>, Result<(), NotifyError>), NotifyError> {
        let key = IntegrationKey {
            org_id: alert.org_id.clone(),
            integration_id: alert.integration_id.clone(),
        };
        // An integration deleted since has no creator to tell.
        let creator = self.integrations.get(&key).await?.map(|row| row.created_by);
        let mut recipients: BTreeSet<_> = creator.into_iter().collect();
        let Some(organization) = self.organizations.organization(&alert.org_id).await? else {
            let unknown = NotifyError::UnknownOrganization(alert.org_id.clone());
            return Ok((recipients, Err(unknown)));
        };
        recipients.insert(organization.owner_id);
        recipients.extend(self.organizations.managers(&alert.org_id).await?);
        Ok((recipients, Ok(())))
    }
}

fn read(record: usize, message: &str) -> Result<Alert, NotifyError> {
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
