//! What the stages of the pipeline hand to each other.

use shared::aws::AwsError;
use shared::aws::tables::TableError;
use shared::aws::token_cipher::CipherError;
use shared::domain::integration::Integration;
use shared::domain::platform_health::Availability;
use shared::domain::report::AttemptRecord;

/// Why an integration could not be processed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    #[error(transparent)]
    Store(#[from] TableError),
    #[error(transparent)]
    Sealing(#[from] CipherError),
    #[error("an alert could not be published: {0}")]
    Publish(#[from] AwsError),
}

/// What was tried at an integration.
#[derive(Debug)]
pub(crate) enum Processed {
    /// The platform was not asked.
    Untried,
    /// The platform's health forbids to ask.
    HeldBack(Availability),
    /// The platform was asked, or would have been.
    Attempted(Box<AttemptRecord>),
}

/// How a refresh or a probe leaves an integration.
#[derive(Debug)]
pub(crate) struct StageEnd {
    /// The row as it is now; without one it is in others' hands, or nobody knows.
    pub(crate) row: Option<Integration>,
    pub(crate) processed: Processed,
    /// An error with which the alerts of the row are still due.
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
