//! Why there is no access token.

use super::http_error::HttpError;
use super::person::NeedsPerson;
use crate::Platform;
use crate::aws::tables::TableError;
use crate::aws::token_cipher::CipherError;

/// Why there is no access token.
#[derive(Debug, thiserror::Error)]
pub enum NoToken {
    #[error("the organisation has no such integration")]
    UnknownIntegration,
    /// The integration is of another platform than the caller says.
    #[error("the integration is of {0}")]
    OtherPlatform(Platform),
    #[error("{}", .0.message)]
    NeedsPerson(NeedsPerson),
    /// Nothing that lives is left, and the platform or somebody else holds the refresh back.
    #[error("{message}")]
    NotNow {
        message: String,
        /// Seconds, at least 1.
        retry_after: u32,
    },
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Cipher(#[from] CipherError),
    /// An answer of Token Warden over HTTP.
    #[error(transparent)]
    Http(#[from] HttpError),
}
