//! What the stages of the pipeline hand to each other.

use chrono::{DateTime, Utc};
use shared::aws::AwsError;
use shared::aws::tables::{Conflict, IntegrationsTable, TableError};
use shared::aws::token_cipher::CipherError;
use shared::domain::integration::Integration;
use shared::domain::platform_health::Availability;
use shared::domain::report::{AttemptRecord, SweepReport};

#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    #[error(transparent)]
    Store(#[from] TableError),
    #[error(transparent)]
    Sealing(#[from] CipherError),
    #[error("an alert could not be published: {0}")]
    Publish(#[from] AwsError),
}

#[derive(Debug)]
pub(crate) enum Processed {
    /// The platform was not asked.
    Untried,
    /// The platform's health forbade an attempt.
    HeldBack(Availability),
    /// The platform was asked, or the attempt ended before its request.
    Attempted(Box<AttemptRecord>),
}

/// How a refresh or a probe leaves an integration.
#[derive(Debug)]
pub(crate) struct StageEnd {
    /// The row as it is now; `None` if another process has it, or its state is unknown.
    pub(crate) row: Option<Integration>,
    pub(crate) processed: Processed,
    /// An error that does not keep the row's alerts from being published.
    pub(crate) failure: Option<ProcessError>,
}

impl StageEnd {
    pub(crate) fn untried(row: Integration) -> Self {
        Self {
            row: Some(row),
            processed: Processed::Untried,
            failure: None,
        }
    }
}

/// Stores the row; returns none, and counts a conflict, if another process has written it
/// and knows more.
pub(crate) async fn replace_or_count(
    integrations: &IntegrationsTable,
    row: Integration,
    now: DateTime<Utc>,
    report: &mut SweepReport,
) -> Result<Option<Integration>, ProcessError> {
    match integrations.replace(row, now).await {
        Ok(row) => Ok(Some(row)),
        Err(Conflict::Lost(_)) => {
            report.conflicts += 1;
            Ok(None)
        }
        Err(Conflict::Failed(error)) => Err(error.into()),
    }
}
