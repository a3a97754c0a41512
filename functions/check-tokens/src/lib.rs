//! Keeps integrations alive: finds what is due, decides, refreshes, alerts, reports.

mod alert;
mod assess;
mod attempt;
mod attempt_log;
mod check;
mod consent;
mod decide;
mod due;
mod error;
mod limiter;
mod metrics;
mod opening;
mod operator_events;
mod platform_health;
mod platform_secret;
mod probe;
mod refresh;
mod report;
mod request;
mod run;
mod stage;
mod sweep;

use chrono::{DateTime, Utc};
use lambda_runtime::LambdaEvent;
use serde::Serialize;
use serde_json::Value;
use shared::aws::alert_topic::Topic;
use shared::aws::credential_fallback::CredentialFallback;
use shared::aws::tables::{
    AuditTable, ConsentsTable, IntegrationsTable, OrganizationsTable, PlatformHealthTable,
};
use shared::aws::token_cipher::TokenCipher;
use shared::domain::consent::ConsentOutcome;
use shared::domain::report::{Checked, SweepReport};
use shared::oauth::{Endpoints, OAuthClient};
use shared::runtime::metrics::Metrics;
use shared::{Clock, IntegrationKey, Variables};

use alert::AlertPublisher;
use attempt::AttemptDriver;
use attempt_log::AttemptLog;
use consent::Consents;
pub use error::{ConsentError, SetupError, SweepError};
use limiter::PlatformLimiter;
use opening::CredentialOpener;
use platform_secret::PlatformSecret;
use probe::Prober;
use refresh::Refresher;
use report::Reporter;
pub use request::{InvalidRequest, Invocation, Request};
use sweep::Pipeline;

#[derive(Debug, Clone)]
pub struct CheckTokens {
    pipeline: Pipeline,
    consents: Consents,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Response {
    Swept(Box<SweepReport>),
    Checked(Checked),
    Consent(ConsentOutcome),
}

impl CheckTokens {
    /// Reads `INTEGRATIONS_TABLE`, `ORGANIZATIONS_TABLE`, `AUDIT_TABLE`, `QUOTAS_TABLE` (which has
    /// the rows of platform health), `FALLBACK_BUCKET`, `ALERTS_TOPIC_ARN`, `TOKEN_KEY_ID`, and
    /// `PLATFORM_SECRET_ID` (the id of the secret). These are optional: `PLATFORM_ENDPOINTS`,
    /// `SWEEP_CONCURRENCY` (integrations processed at once, default 256) and
    /// `PLATFORM_CONCURRENCY` (of these, at once with each platform, default 32).
    ///
    /// # Errors
    /// [`SetupError`] if a variable is missing or unusable, or the HTTP client cannot be set up.
    pub fn from_environment(
        sdk: &aws_config::SdkConfig,
        variables: &Variables,
        clock: Clock,
    ) -> Result<Self, SetupError> {
        let at_least_one = |name, default: usize| match variables.parsed(name, default)? {
            0 => Err(variables.invalid(name, "must be at least 1")),
            number => Ok(number),
        };
        let concurrency = at_least_one("SWEEP_CONCURRENCY", 256)?;
        let per_platform = at_least_one("PLATFORM_CONCURRENCY", 32)?;
        let dynamodb = aws_sdk_dynamodb::Client::new(sdk);
        let table = variables.required("INTEGRATIONS_TABLE")?;
        let integrations = IntegrationsTable::new(dynamodb.clone(), table);
        let table = variables.required("ORGANIZATIONS_TABLE")?;
        let organizations = OrganizationsTable::new(dynamodb.clone(), table);
        let table = variables.required("AUDIT_TABLE")?;
        let audit = AuditTable::new(dynamodb.clone(), table, clock.clone());
        let table = variables.required("QUOTAS_TABLE")?;
        let consents = ConsentsTable::new(dynamodb.clone(), table);
        let platform_health = PlatformHealthTable::new(dynamodb, table);
        let secrets = aws_sdk_secretsmanager::Client::new(sdk);
        let secret = variables.required("PLATFORM_SECRET_ID")?;
        let secret = PlatformSecret::new(secrets, secret, clock.clone());
        let sns = aws_sdk_sns::Client::new(sdk);
        let topic = Topic::new(sns, variables.required("ALERTS_TOPIC_ARN")?);
        let kms = aws_sdk_kms::Client::new(sdk);
        let token_key = variables.required("TOKEN_KEY_ID")?;
        let oauth = OAuthClient::new(Endpoints::from_variables(variables)?, clock.clone())?;
        let opener = CredentialOpener {
            cipher: TokenCipher::new(kms, token_key, clock.clone()),
            integrations: integrations.clone(),
            attempts: AttemptLog {
                audit: audit.clone(),
            },
            clock: clock.clone(),
        };
        let consents = Consents {
            consents,
            integrations: integrations.clone(),
            organizations,
            cipher: opener.cipher.clone(),
            oauth: oauth.clone(),
            secret: secret.clone(),
            audit: audit.clone(),
            clock: clock.clone(),
        };
        Ok(Self {
            consents,
            pipeline: Pipeline {
                secret,
                platform_health,
                limiter: PlatformLimiter::new(per_platform, concurrency),
                refresher: Refresher {
                    driver: AttemptDriver {
                        opener: opener.clone(),
                        fallback: CredentialFallback::new(
                            sdk,
                            variables.required("FALLBACK_BUCKET")?,
                        ),
                        oauth: oauth.clone(),
                        clock: clock.clone(),
                    },
                },
                prober: Prober { opener, oauth },
                alerts: AlertPublisher {
                    topic,
                    integrations: integrations.clone(),
                    clock: clock.clone(),
                },
                reporter: Reporter {
                    audit,
                    metrics: Metrics::default(),
                    clock: clock.clone(),
                },
                integrations,
                clock,
                concurrency,
            },
        })
    }

    /// Writes metrics to `metrics`; otherwise they go nowhere.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.pipeline.reporter.metrics = metrics;
        self
    }

    /// Handles one invocation, until its deadline at most.
    ///
    /// # Errors
    /// [`SweepError`]; an integration that fails in a sweep is in its report instead.
    pub async fn handle(&self, event: LambdaEvent<Value>) -> Result<Response, SweepError> {
        let invocation = Invocation::parse(&event.payload)?;
        let deadline = i64::try_from(event.context.deadline)
            .ok()
            .and_then(DateTime::from_timestamp_millis);
        Ok(match invocation {
            Invocation::Sweep(request) => {
                Response::Swept(Box::new(self.sweep(request, deadline, |_| {}).await?))
            }
            Invocation::Consent(request) => Response::Consent(self.consents.take(*request).await?),
            Invocation::Check(key, generation) => {
                Response::Checked(self.check(&key, generation, deadline).await?)
            }
        })
    }

    /// Sweeps once, and calls `progress` after each integration.
    ///
    /// # Errors
    /// [`SweepError::Index`] if part of the index could not be read,
    /// [`SweepError::PlatformSecret`] if nothing could be refreshed. The sweep has then done what
    /// it could.
    pub async fn sweep(
        &self,
        request: Request,
        deadline: Option<DateTime<Utc>>,
        progress: impl FnMut(&SweepReport),
    ) -> Result<SweepReport, SweepError> {
        self.pipeline.sweep(request, deadline, progress).await
    }

    /// Checks one integration now; with a generation, only if its credential is still that one.
    /// So callers who want a new token at once cause one exchange.
    ///
    /// # Errors
    /// [`SweepError`] if the integration could not be processed, or the outcome is unknown.
    pub async fn check(
        &self,
        key: &IntegrationKey,
        generation: Option<u64>,
        deadline: Option<DateTime<Utc>>,
    ) -> Result<Checked, SweepError> {
        check::check(&self.pipeline, key, generation, deadline).await
    }
}
