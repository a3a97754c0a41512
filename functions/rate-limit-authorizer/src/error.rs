//! Why a request was not judged.

use lambda_runtime::Diagnostic;
use shared::aws::tables::TableError;

use crate::issuer_keys::KeysError;

/// Why the authorizer did not answer. API Gateway makes 401 of an error whose
/// text is exactly `Unauthorized`, and `AUTHORIZER_FAILURE` of any other.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller could not be identified. Only the log has the reason.
    #[error("Unauthorized")]
    Unauthorized(#[source] Refusal),
    #[error("the issuer's keys cannot be had")]
    Keys(#[from] KeysError),
    #[error("the membership cannot be had")]
    Membership(#[from] TableError),
    #[error("the event is no REQUEST authorizer event: {0}")]
    Event(&'static str),
    /// Nobody is let in then: tokens for anybody else are signed by the same keys.
    #[error(
        "the stage's variable auth_audience must name one audience, or several separated by commas"
    )]
    Audience,
}

/// What is wrong with a caller's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is not exactly one `Authorization: Bearer` header.
    #[error("not exactly one bearer token")]
    NoToken,
    /// The token is no JWT, has a `crit` header, or has an `nbf` that is no number.
    #[error("the token is no JWT that we understand")]
    Malformed,
    /// The algorithm is neither RS256 nor ES256, or is not its key's.
    #[error("the token's algorithm is not allowed, or not its key's")]
    Algorithm,
    #[error("the token names no key")]
    NoKeyId,
    #[error("the issuer has no key of that id")]
    UnknownKey,
    #[error("the signature is wrong")]
    Signature,
    /// `iss` is another issuer.
    #[error("the token is of another issuer")]
    Issuer,
    /// `exp` has passed, or there is none.
    #[error("the token has expired, or never does")]
    Expired,
    /// `nbf` is in the future.
    #[error("the token is not valid yet")]
    NotYet,
    #[error("the token is for another audience")]
    Audience,
    /// The user claim is missing or no user id.
    #[error("the user claim holds no user id")]
    User,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Unauthorized(refusal)
    }
}

impl Error {
    /// Logs the error, with the cause that its text does not show.
    pub(crate) fn log(&self, request_id: Option<&str>) {
        match self {
            Self::Unauthorized(reason) => {
                tracing::info!(request_id, %reason, "a caller was refused")
            }
            Self::Keys(cause) => tracing::error!(request_id, %cause, "{self}"),
            Self::Membership(cause) => tracing::error!(request_id, %cause, "{self}"),
            Self::Event(_) | Self::Audience => tracing::error!(request_id, "{self}"),
        }
    }
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        let error_type = match error {
            Error::Unauthorized(_) => "Unauthorized",
            Error::Keys(_) => "KeysUnavailable",
            Error::Membership(_) => "MembershipUnavailable",
            Error::Event(_) => "InvalidEvent",
            Error::Audience => "InvalidStage",
        };
        Self {
            error_type: error_type.to_owned(),
            error_message: error.to_string(),
        }
    }
}
