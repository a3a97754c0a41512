//! The sweep: finds the connections that need attention, refreshes what can be
//! refreshed, tells people what only they can mend, and reports.

mod attend;
mod request;
mod sweep;

use lambda_runtime::{Diagnostic, LambdaEvent};
use serde_json::Value;
use shared::oauth::{Endpoints, OAuthClient};
use shared::report::Report;
use shared::sealing::Sealer;
use shared::store::{Audit, Integrations};
use shared::topic::Topic;
use shared::{Clock, Variables};

pub use request::{InvalidRequest, Request};

/// The function, wired.
#[derive(Debug, Clone)]
pub struct CheckTokens {
    integrations: Integrations,
    audit: Audit,
    sealer: Sealer,
    oauth: OAuthClient,
    credentials: PlatformSecret,
    topic: Topic,
    clock: Clock,
    concurrency: usize,
}

/// The secret with our client ids and secrets. Read by every sweep, so that one
/// that was filled in or rotated is used by the next.
#[derive(Debug, Clone)]
struct PlatformSecret {
    client: aws_sdk_secretsmanager::Client,
    id: String,
}

/// Why the function could not start.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// A variable is missing or nonsense.
    #[error(transparent)]
    Variable(#[from] shared::variables::InvalidVariable),
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
    /// The platforms' client credentials could not be had, so people were told
    /// what was due to be told, and nothing was refreshed.
    #[error("nothing could be refreshed: {0}")]
    Credentials(#[from] shared::oauth::CredentialsError),
    /// Part of the index could not be read, so there may be more that is due.
    #[error("not everything that is due could be found: {0}")]
    Index(shared::store::StoreError),
}

impl From<SweepError> for Diagnostic {
    fn from(error: SweepError) -> Self {
        Self {
            error_type: "SweepError".to_owned(),
            error_message: error.to_string(),
        }
    }
}

impl CheckTokens {
    /// Wires the function: `INTEGRATIONS_TABLE`, `AUDIT_TABLE`,
    /// `ALERTS_TOPIC_ARN`, `TOKEN_KEY_ID`, `PLATFORM_CREDENTIALS` (the id of
    /// the secret), and optionally `PLATFORM_ENDPOINTS` and
    /// `SWEEP_CONCURRENCY` (connections handled at once, default 32).
    ///
    /// # Errors
    /// [`WireError`] names the variable or the secret.
    pub fn wire(
        sdk: &aws_config::SdkConfig,
        variables: &Variables,
        clock: Clock,
    ) -> Result<Self, WireError> {
        let dynamodb = aws_sdk_dynamodb::Client::new(sdk);
        let credentials = PlatformSecret {
            client: aws_sdk_secretsmanager::Client::new(sdk),
            id: variables.required("PLATFORM_CREDENTIALS")?.to_owned(),
        };
        let endpoints = Endpoints::from_variables(variables)?;
        let concurrency = variables.parsed("SWEEP_CONCURRENCY", 32_usize)?;
        if concurrency == 0 {
            return Err(variables
                .invalid("SWEEP_CONCURRENCY", "must be at least 1")
                .into());
        }
        Ok(Self {
            integrations: Integrations::new(
                dynamodb.clone(),
                variables.required("INTEGRATIONS_TABLE")?,
            ),
            audit: Audit::new(dynamodb, variables.required("AUDIT_TABLE")?, clock.clone()),
            sealer: Sealer::new(
                aws_sdk_kms::Client::new(sdk),
                variables.required("TOKEN_KEY_ID")?,
                clock.clone(),
            ),
            oauth: OAuthClient::new(endpoints, clock.clone())?,
            credentials,
            topic: Topic::new(
                aws_sdk_sns::Client::new(sdk),
                variables.required("ALERTS_TOPIC_ARN")?,
            ),
            clock,
            concurrency,
        })
    }

    /// Handles one invocation: sweeps until its deadline at most.
    ///
    /// # Errors
    /// [`SweepError`]; a connection that fails is in the report instead.
    pub async fn handle(&self, event: LambdaEvent<Value>) -> Result<Report, SweepError> {
        let request = Request::parse(&event.payload)?;
        let deadline = i64::try_from(event.context.deadline)
            .ok()
            .and_then(chrono::DateTime::from_timestamp_millis);
        self.sweep(request, deadline, |_| {}).await
    }
}
