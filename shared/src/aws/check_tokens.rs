//! The client of the function `check-tokens`, for one integration.

use aws_config::SdkConfig;
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::config::{Config, StalledStreamProtectionConfig};
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::IntegrationKey;
use crate::aws::AwsError;
use crate::domain::consent::{ConsentOutcome, ConsentRequest};
use crate::domain::report::Checked;

/// Invokes `check-tokens` and waits for its answer.
#[derive(Debug, Clone)]
pub struct CheckTokensClient {
    lambda: aws_sdk_lambda::Client,
    function: String,
}

/// Why there is no answer of the function.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// Lambda did not invoke it, or its answer was lost on the way.
    #[error(transparent)]
    Invoke(#[from] AwsError),
    /// The function failed.
    #[error("{function} failed: {message}")]
    Failed {
        /// The function's name.
        function: String,
        /// What the function says of its failure.
        message: String,
    },
    /// The function answered something else than the result of a check.
    #[error("{function} did not answer what it checked: {source}")]
    NotChecked {
        /// The function's name.
        function: String,
        /// What is wrong with the answer.
        source: serde_json::Error,
    },
}

impl CheckTokensClient {
    /// Makes a client of the function of this name.
    #[must_use]
    pub fn new(sdk: &SdkConfig, function: impl Into<String>) -> Self {
        let config = aws_sdk_lambda::config::Builder::from(sdk)
            // A second invocation would send a second request to the platform.
            .retry_config(RetryConfig::disabled())
            // No bytes flow while the function works, and that is no stall.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        Self {
            lambda: aws_sdk_lambda::Client::from_conf(config),
            function: function.into(),
        }
    }

    /// Refreshes or probes one integration now. Lambda lets the function go on when the
    /// caller no longer waits.
    ///
    /// # Errors
    /// [`CheckError`] says whether the function was reached.
    pub async fn check(&self, key: &IntegrationKey) -> Result<Checked, CheckError> {
        self.invoke(json!({ "integration": key })).await
    }

    /// Like [`Self::check`], but only while the integration's credential is of this generation:
    /// whoever comes after another refresh causes none.
    ///
    /// # Errors
    /// [`CheckError`] says whether the function was reached.
    pub async fn check_generation(
        &self,
        key: &IntegrationKey,
        generation: u64,
    ) -> Result<Checked, CheckError> {
        self.invoke(json!({ "integration": key, "generation": generation }))
            .await
    }

    /// Has the function check one integration in the background; with a generation, only while
    /// its credential is of it. Lambda repeats the check if it fails.
    ///
    /// # Errors
    /// When Lambda does not take the request.
    pub async fn request_check(
        &self,
        key: &IntegrationKey,
        generation: Option<u64>,
    ) -> Result<(), AwsError> {
        let payload = json!({ "integration": key, "generation": generation });
        self.lambda
            .invoke()
            .function_name(&self.function)
            .invocation_type(InvocationType::Event)
            .payload(Blob::new(payload.to_string()))
            .customize()
            // A second event does no harm: the first check leaves nothing to do for another.
            .config_override(Config::builder().retry_config(RetryConfig::standard()))
            .send()
            .await
            .map_err(|error| AwsError::new("lambda:Invoke", error))?;
        Ok(())
    }

    /// Takes a step of a person's consent.
    ///
    /// # Errors
    /// [`CheckError`] says whether the function was reached.
    pub async fn consent(&self, request: &ConsentRequest) -> Result<ConsentOutcome, CheckError> {
        self.invoke(json!({ "consent": request })).await
    }

    async fn invoke<T: DeserializeOwned>(&self, payload: Value) -> Result<T, CheckError> {
        let answer = self
            .lambda
            .invoke()
            .function_name(&self.function)
            .payload(Blob::new(payload.to_string()))
            .send()
            .await
            .map_err(|error| AwsError::new("lambda:Invoke", error))?;
        let payload = answer.payload.map(Blob::into_inner).unwrap_or_default();
        let function = self.function.clone();
        if answer.function_error.is_some() {
            let error: Value = serde_json::from_slice(&payload).unwrap_or_default();
            let message = error["errorMessage"].as_str();
            let message = message.unwrap_or("it did not say why").to_owned();
            return Err(CheckError::Failed { function, message });
        }
        serde_json::from_slice(&payload)
            .map_err(|source| CheckError::NotChecked { function, source })
    }
}
