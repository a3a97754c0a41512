//! The DynamoDB tables. Every write is conditional; a lost race is a value:
//! the caller reads again and decides again. Nothing scans.

mod audit;
mod consents;
mod damaged;
mod integrations;
mod listing;
mod members;
mod notifications;
mod organizations;
mod platform_health;
mod usage;

use serde::de::DeserializeOwned;

pub use audit::{
    Action, AuditEntry, AuditEvent, AuditStream, AuditTable, MemberAction, MembershipAction,
    MembershipChange,
};
pub use consents::ConsentsTable;
pub use integrations::{Conflict, Found, IntegrationsTable};
pub use listing::{IntegrationIds, OverviewPage};
pub use members::MemberPage;
pub use notifications::{Delivered, NotificationsTable, Page};
pub use organizations::{OrganizationsTable, Put};
pub use platform_health::PlatformHealthTable;
pub use usage::{ReportedUsage, UsageTable};

use crate::aws::AwsError;
use crate::aws::attributes::Attributes;

#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The call to DynamoDB failed.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// A row is not of the form that we write.
    #[error("the row of {what} is damaged: {problem}")]
    Damaged { what: String, problem: String },
}

fn parse<T: DeserializeOwned>(
    what: impl std::fmt::Display,
    item: Attributes,
) -> Result<T, TableError> {
    serde_dynamo::from_item(item).map_err(|e| TableError::Damaged {
        what: what.to_string(),
        problem: e.to_string(),
    })
}

fn render<T: serde::Serialize>(
    what: impl std::fmt::Display,
    row: T,
) -> Result<Attributes, TableError> {
    serde_dynamo::to_item(row).map_err(|e| TableError::Damaged {
        what: what.to_string(),
        problem: e.to_string(),
    })
}
