//! What the handlers work with.

use std::time::Duration;

use shared::aws::tables::IntegrationsTable;
use shared::oauth::{Endpoints, HttpError};
use shared::platform_calls::PlatformCalls;
use shared::runtime::metrics::Metrics;
use shared::runtime::variables::InvalidVariable;
use shared::{Clock, Variables};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The tables, clients and settings of the function. Cheap to clone.
#[derive(Debug, Clone)]
pub struct App {
    pub(crate) calls: PlatformCalls,
    pub(crate) integrations: IntegrationsTable,
    pub(crate) endpoints: Endpoints,
    /// For the platforms' APIs.
    pub(crate) http: reqwest::Client,
    pub(crate) metrics: Metrics,
}

/// The function cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error(transparent)]
    Variable(#[from] InvalidVariable),
    #[error("the HTTP client could not be set up: {0}")]
    Http(#[from] HttpError),
}

impl App {
    /// Reads the variables of [`PlatformCalls::from_environment`], and optionally
    /// `PLATFORM_ENDPOINTS`.
    ///
    /// # Errors
    /// [`SetupError`] names the variable that is missing or unusable.
    pub fn from_environment(
        sdk: &aws_config::SdkConfig,
        variables: &Variables,
        clock: Clock,
    ) -> Result<Self, SetupError> {
        let table = variables.required("INTEGRATIONS_TABLE")?;
        let dynamodb = aws_sdk_dynamodb::Client::new(sdk);
        Ok(Self {
            integrations: IntegrationsTable::new(dynamodb, table),
            endpoints: Endpoints::from_variables(variables)?,
            calls: PlatformCalls::from_environment(sdk, variables, clock)?,
            http: reqwest::Client::builder()
                .connect_timeout(CONNECT_TIMEOUT)
                // A token must not follow a redirect to wherever it points.
                .redirect(reqwest::redirect::Policy::none())
                .referer(false)
                .build()?,
            metrics: Metrics::default(),
        })
    }

    /// Writes metrics to `metrics`; otherwise they go nowhere.
    #[must_use]
    pub fn with_metrics(mut self, metrics: &Metrics) -> Self {
        self.calls = self.calls.with_metrics(metrics);
        self.metrics = metrics.clone();
        self
    }
}
