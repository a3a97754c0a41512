use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::Deserialize;

use crate::Platform;
use crate::aws::AwsError;

/// Our application's credentials at one platform.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCredentials {
    /// `client_id`, by whatever name the platform knows it.
    pub client_id: String,
    /// `client_secret`, by whatever name the platform knows it.
    pub client_secret: SecretString,
    /// Google Ads' `developer-token`, which its API no longer needs.
    #[serde(default)]
    pub developer_token: Option<SecretString>,
}

/// Our application's credentials at every platform that it is registered with.
#[derive(Debug, Clone, Default)]
pub struct PlatformClients(BTreeMap<Platform, ClientCredentials>);

#[derive(Debug, thiserror::Error)]
pub enum PlatformSecretError {
    /// Secrets Manager did not give the secret.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The secret is not of the expected form. The error does not repeat what the secret holds.
    #[error(
        "the platforms' secret must be JSON such as \
         {{\"meta\":{{\"client_id\":\"...\",\"client_secret\":\"...\"}}}}; {0}"
    )]
    Malformed(String),
}

impl PlatformClients {
    /// Reads the secret named `secret_id` from Secrets Manager.
    ///
    /// # Errors
    /// If Secrets Manager does not give the secret, or the secret is not of the expected form.
    pub async fn fetch(
        client: &aws_sdk_secretsmanager::Client,
        secret_id: &str,
    ) -> Result<Self, PlatformSecretError> {
        const CALL: &str = "secretsmanager:GetSecretValue";
        let answer = client
            .get_secret_value()
            .secret_id(secret_id)
            .send()
            .await
            .map_err(|e| AwsError::new(CALL, e))?;
        let secret = answer
            .secret_string
            .ok_or_else(|| AwsError::incomplete(CALL, "text"))?;
        Self::from_json(&secret)
    }

    /// Reads the secret's text.
    ///
    /// # Errors
    /// [`PlatformSecretError::Malformed`] says where the fault is, never what stands there.
    pub fn from_json(secret: &str) -> Result<Self, PlatformSecretError> {
        serde_json::from_str(secret).map(Self).map_err(|e| {
            // serde's own message may quote a value: only the place is safe.
            PlatformSecretError::Malformed(format!("see line {}, column {}", e.line(), e.column()))
        })
    }

    pub(super) fn get(&self, platform: Platform) -> Option<&ClientCredentials> {
        self.0.get(&platform)
    }
}
