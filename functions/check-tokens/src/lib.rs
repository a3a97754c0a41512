//! The sweep: finds the integrations that need attention, refreshes what can be
//! refreshed, tells people what only they can mend, and reports.

mod check;
mod credentials;
mod exchange;
mod operations;
mod outcomes;
mod platform_health;
mod probe;
mod process;
mod request;
mod sweep;
mod turns;

use std::collections::BTreeMap;
use std::sync::Arc;

use lambda_runtime::{Diagnostic, LambdaEvent};
use serde::Serialize;
use serde_json::Value;
use shared::aws::alert_topic::Topic;
use shared::aws::credential_fallback::CredentialFallback;
use shared::aws::tables::{AuditTable, IntegrationsTable, PlatformHealthTable};
use shared::aws::token_cipher::TokenCipher;
use shared::domain::report::{Checked, SweepReport};
use shared::oauth::{Endpoints, OAuthClient};
use shared::runtime::metrics::Metrics;
use shared::{Clock, Platform, Variables};
use tokio::sync::{Semaphore, SemaphorePermit};

use credentials::PlatformSecret;
pub use request::{InvalidRequest, Invocation, Request};

/// The function, wired.
#[derive(Debug, Clone)]
pub struct CheckTokens {
    integrations: IntegrationsTable,
    audit: AuditTable,
    sealer: TokenCipher,
    oauth: OAuthClient,
    credentials: PlatformSecret,
    topic: Topic,
    fallback: CredentialFallback,
    applications: PlatformHealthTable,
    metrics: Metrics,
    clock: Clock,
    concurrency: usize,
    /// How many exchanges run at once with each platform.
    platform_concurrency: usize,
    /// Shared by all that this instance does at once.
    turns: Arc<BTreeMap<Platform, Semaphore>>,
}

/// What an invocation answers.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// Of a sweep.
    Swept(Box<SweepReport>),
    /// Of a check of one integration.
    Checked(Checked),
}

/// Why the function could not start.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// A variable is missing or nonsense.
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
    /// The platforms' client credentials could not be had, so people were told
    /// what was due to be told, and nothing was refreshed.
    #[error("nothing could be refreshed: {0}")]
    Credentials(#[from] shared::oauth::CredentialsError),
    /// Part of the index could not be read, so there may be more that is due.
    #[error("not everything that is due could be found: {0}")]
    Index(shared::aws::tables::TableError),
    /// The one integration that was to be checked could not be handled.
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

impl CheckTokens {
    /// Wires the function: `INTEGRATIONS_TABLE`, `AUDIT_TABLE`,
    /// `QUOTAS_TABLE` (where our applications' rows are), `FALLBACK_BUCKET`,
    /// `ALERTS_TOPIC_ARN`, `TOKEN_KEY_ID`, `PLATFORM_CREDENTIALS` (the id of
    /// the secret), and optionally `PLATFORM_ENDPOINTS`, `SWEEP_CONCURRENCY`
    /// (integrations handled at once, default 256) and `PLATFORM_CONCURRENCY`
    /// (of these, exchanges at once with each platform, default 32).
    ///
    /// # Errors
    /// [`WireError`] names the variable or the secret.
    pub fn wire(
        sdk: &aws_config::SdkConfig,
        variables: &Variables,
        clock: Clock,
    ) -> Result<Self, WireError> {
        let dynamodb = aws_sdk_dynamodb::Client::new(sdk);
        let credentials = PlatformSecret::new(
            aws_sdk_secretsmanager::Client::new(sdk),
            variables.required("PLATFORM_CREDENTIALS")?,
            clock.clone(),
        );
        let endpoints = Endpoints::from_variables(variables)?;
        let at_least_one = |name, default: usize| match variables.parsed(name, default)? {
            0 => Err(variables.invalid(name, "must be at least 1")),
            number => Ok(number),
        };
        let concurrency = at_least_one("SWEEP_CONCURRENCY", 256)?;
        let turns = at_least_one("PLATFORM_CONCURRENCY", 32)?;
        Ok(Self {
            integrations: IntegrationsTable::new(
                dynamodb.clone(),
                variables.required("INTEGRATIONS_TABLE")?,
            ),
            audit: AuditTable::new(
                dynamodb.clone(),
                variables.required("AUDIT_TABLE")?,
                clock.clone(),
            ),
            sealer: TokenCipher::new(
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
            fallback: CredentialFallback::new(sdk, variables.required("FALLBACK_BUCKET")?),
            applications: PlatformHealthTable::new(dynamodb, variables.required("QUOTAS_TABLE")?),
            metrics: Metrics::default(),
            clock,
            concurrency,
            platform_concurrency: turns,
            turns: Arc::new(
                Platform::ALL
                    .into_iter()
                    .map(|platform| (platform, Semaphore::new(turns)))
                    .collect(),
            ),
        })
    }

    /// The same, with metrics that go somewhere.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Waits for a turn with a platform.
    async fn turn(&self, platform: Platform) -> Option<SemaphorePermit<'_>> {
        // Never closed, so there always is one.
        self.turns[&platform].acquire().await.ok()
    }

    /// Handles one invocation, until its deadline at most.
    ///
    /// # Errors
    /// [`SweepError`]; an integration that fails is in the report instead.
    pub async fn handle(&self, event: LambdaEvent<Value>) -> Result<Answer, SweepError> {
        let invocation = Invocation::parse(&event.payload)?;
        let deadline = i64::try_from(event.context.deadline)
            .ok()
            .and_then(chrono::DateTime::from_timestamp_millis);
        Ok(match invocation {
            Invocation::Sweep(request) => {
                Answer::Swept(Box::new(self.sweep(request, deadline, |_| {}).await?))
            }
            Invocation::Check(key) => Answer::Checked(self.check(&key, deadline).await?),
        })
    }
}
