//! Why the function could not start, and why an invocation failed.

use lambda_runtime::Diagnostic;

use crate::request::InvalidRequest;

/// Why the function could not start.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A variable is missing or unusable.
    #[error(transparent)]
    Variable(#[from] shared::runtime::variables::InvalidVariable),
    /// The HTTP client could not be set up.
    #[error("the HTTP client could not be set up: {0}")]
    Http(#[from] shared::oauth::HttpError),
}

/// Why an invocation failed. What could be done was done, and the next sweep
/// goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// The payload is not a request.
    #[error(transparent)]
    Request(#[from] InvalidRequest),
    /// The platforms' client credentials could not be had. Alerts that were due are
    /// published, and nothing was refreshed.
    #[error("nothing could be refreshed: {0}")]
    Credentials(#[from] shared::oauth::CredentialsError),
    /// Part of the index could not be read, so there may be more that is due.
    #[error("not everything that is due could be found: {0}")]
    Index(shared::aws::tables::TableError),
    /// The one integration that was to be checked could not be processed.
    #[error("the integration could not be checked: {0}")]
    Integration(String),
}

impl From<SweepError> for Diagnostic {
    fn from(error: SweepError) -> Self {
        Self {
            error_type: "SweepError".to_owned(),
            error_message: error.to_string(),
        }
    }
}
