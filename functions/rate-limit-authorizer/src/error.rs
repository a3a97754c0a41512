//! Why a request was not judged.

use lambda_runtime::Diagnostic;
use shared::aws::tables::TableError;

use crate::discovery::FetchError;

/// Why the authorizer did not answer. API Gateway makes 401 of an error whose
/// text is exactly `Unauthorized`, and `AUTHORIZER_FAILURE` of any other.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody we know calls. The reason is for the log alone.
    #[error("Unauthorized")]
    Unauthorized(#[source] Refusal),
    /// The issuer's keys cannot be had, so nobody can be known.
    #[error("the issuer's keys cannot be had")]
    Keys(#[from] FetchError),
    /// The membership cannot be had.
    #[error("the membership cannot be had")]
    Membership(#[from] TableError),
    /// The event is not what API Gateway sends.
    #[error("the event is no REQUEST authorizer event: {0}")]
    Event(&'static str),
}

/// What is wrong with a caller's identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is not exactly one `Authorization: Bearer` header.
    #[error("not exactly one bearer token")]
    NoToken,
    /// The token is no JWT, or says things that we would have to understand and don't.
    #[error("the token is no JWT that we understand")]
    Malformed,
    /// Another algorithm than RS256 and ES256, or than its key's.
    #[error("the token's algorithm is not allowed, or not its key's")]
    Algorithm,
    /// The token names no key.
    #[error("the token names no key")]
    NoKeyId,
    /// The issuer has no such key.
    #[error("the issuer has no key of that id")]
    UnknownKey,
    /// The signature is not the key's.
    #[error("the signature is wrong")]
    Signature,
    /// `iss` is another issuer.
    #[error("the token is of another issuer")]
    Issuer,
    /// `exp` has passed, or there is none.
    #[error("the token has expired, or never does")]
    Expired,
    /// `nbf` has not come.
    #[error("the token is not valid yet")]
    NotYet,
    /// It is meant for another audience.
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
    /// Logs it, with the cause that its text does not show.
    pub(crate) fn log(&self, request_id: Option<&str>) {
        match self {
            Self::Unauthorized(reason) => {
                tracing::info!(request_id, %reason, "a caller was refused")
            }
            Self::Keys(cause) => tracing::error!(request_id, %cause, "{self}"),
            Self::Membership(cause) => tracing::error!(request_id, %cause, "{self}"),
            Self::Event(_) => tracing::error!(request_id, "{self}"),
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
        };
        Self {
            error_type: error_type.to_owned(),
            error_message: error.to_string(),
        }
    }
}
