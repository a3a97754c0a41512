//! Why the function could not start, and why an invocation failed.

use lambda_runtime::Diagnostic;

use crate::request::InvalidRequest;

#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error(transparent)]
    Variable(#[from] shared::runtime::variables::InvalidVariable),
    #[error("the HTTP client could not be set up: {0}")]
    Http(#[from] shared::oauth::HttpError),
}

/// Why an invocation failed. It has done what it could, and the next sweep goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    #[error(transparent)]
    Request(#[from] InvalidRequest),
    /// The platforms' client credentials could not be read. A sweep then still publishes the
    /// alerts that are due, but refreshes nothing.
    #[error("nothing could be refreshed: {0}")]
    PlatformSecret(#[from] shared::oauth::PlatformSecretError),
    /// Part of the index could not be read, so more integrations may be due.
    #[error("not everything that is due could be found: {0}")]
    Index(shared::aws::tables::TableError),
    #[error("the integration could not be checked: {0}")]
    Integration(String),
    #[error("the consent could not be taken further: {0}")]
    Consent(#[from] ConsentError),
}

/// Why a step of a consent failed.
#[derive(Debug, thiserror::Error)]
pub enum ConsentError {
    #[error(transparent)]
    Table(#[from] shared::aws::tables::TableError),
    #[error(transparent)]
    PlatformSecret(#[from] shared::oauth::PlatformSecretError),
    #[error(transparent)]
    Sealing(#[from] shared::aws::token_cipher::CipherError),
    #[error(transparent)]
    Storing(#[from] shared::registration::RegistrationError),
}

impl From<SweepError> for Diagnostic {
    fn from(error: SweepError) -> Self {
        Self {
            error_type: "SweepError".to_owned(),
            error_message: error.to_string(),
        }
    }
}
