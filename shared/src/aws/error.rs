//! How a call to AWS fails.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

#[derive(Debug, Clone, thiserror::Error)]
#[error("{call} failed: {cause}")]
pub struct AwsError {
    call: &'static str,
    cause: String,
}

/// Returns the output of a conditional write; `None` if its condition did not hold. A
/// transaction counts as one: DynamoDB cancels it when a condition of it does not hold, or when
/// another is writing the same item.
pub(crate) fn unless_refused<T, E, R>(
    call: &'static str,
    result: Result<T, SdkError<E, R>>,
) -> Result<Option<T>, AwsError>
where
    E: std::error::Error + ProvideErrorMetadata + 'static,
    R: std::fmt::Debug + 'static,
{
    match result {
        Ok(output) => Ok(Some(output)),
        Err(error) => match error.code() {
            Some("ConditionalCheckFailedException" | "TransactionCanceledException") => Ok(None),
            _ => Err(AwsError::new(call, error)),
        },
    }
}

impl AwsError {
    /// Makes an error of `call`, such as `dynamodb:PutItem`. It keeps the service's code and
    /// message, or else the chain of causes. `SdkError` itself prints only "service error", and
    /// its debugging form prints bodies.
    pub fn new<E, R>(call: &'static str, error: SdkError<E, R>) -> Self
    where
        E: std::error::Error + ProvideErrorMetadata + 'static,
        R: std::fmt::Debug + 'static,
    {
        let cause = match (error.code(), error.message()) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(code), None) => code.to_owned(),
            _ => {
                let chain =
                    std::iter::successors(Some(&error as &dyn std::error::Error), |e| e.source());
                chain
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(": ")
            }
        };
        Self { call, cause }
    }

    /// Makes an error of a failure to build a request, or to read an answer.
    pub(crate) fn failed(call: &'static str, error: &dyn std::error::Error) -> Self {
        Self {
            call,
            cause: error.to_string(),
        }
    }

    /// Makes an error of an answer that lacks what the service promises.
    #[must_use]
    pub fn incomplete(call: &'static str, what: &str) -> Self {
        Self {
            call,
            cause: format!("the answer has no {what}"),
        }
    }
}
