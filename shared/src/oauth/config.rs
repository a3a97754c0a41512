//! Where the platforms are, and who we are to them.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::Deserialize;

use crate::Platform;
use crate::aws::AwsError;
use crate::variables::{InvalidVariable, Variables};

/// The addresses of one platform.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlatformEndpoints {
    /// Where credentials are exchanged.
    pub token: String,
    /// The consent page.
    pub authorize: String,
    /// The base of the API.
    pub api: String,
}

/// The addresses of every platform.
#[derive(Debug, Clone)]
pub struct Endpoints(BTreeMap<Platform, PlatformEndpoints>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Override {
    token: Option<String>,
    authorize: Option<String>,
    api: Option<String>,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self(
            Platform::ALL
                .into_iter()
                .map(|platform| (platform, documented(platform)))
                .collect(),
        )
    }
}

impl Endpoints {
    /// The documented addresses, replaced by those in `PLATFORM_ENDPOINTS`.
    ///
    /// # Errors
    /// [`InvalidVariable`] for anything but JSON of known platforms and URLs.
    pub fn from_variables(variables: &Variables) -> Result<Self, InvalidVariable> {
        const NAME: &str = "PLATFORM_ENDPOINTS";
        let mut endpoints = Self::default();
        let Some(json) = variables.get(NAME) else {
            return Ok(endpoints);
        };
        let overrides: BTreeMap<Platform, Override> =
            serde_json::from_str(json).map_err(|e| variables.invalid(NAME, e))?;
        for (
            platform,
            Override {
                token,
                authorize,
                api,
            },
        ) in overrides
        {
            for (field, address) in [("token", &token), ("authorize", &authorize), ("api", &api)] {
                if let Some(address) = address {
                    url::Url::parse(address).map_err(|e| {
                        variables.invalid(NAME, format!("{platform}.{field} is not a URL: {e}"))
                    })?;
                }
            }
            if let Some(known) = endpoints.0.get_mut(&platform) {
                known.token = token.unwrap_or_else(|| known.token.clone());
                known.authorize = authorize.unwrap_or_else(|| known.authorize.clone());
                known.api = api.unwrap_or_else(|| known.api.clone());
            }
        }
        Ok(endpoints)
    }

    pub(super) fn of(&self, platform: Platform) -> &PlatformEndpoints {
        &self.0[&platform]
    }
}

/// The addresses that the platforms document (November 2026).
fn documented(platform: Platform) -> PlatformEndpoints {
    let (token, authorize, api) = match platform {
        Platform::Meta => (
            "https://graph.facebook.com/v25.0/oauth/access_token",
            "https://www.facebook.com/v25.0/dialog/oauth",
            "https://graph.facebook.com/v25.0",
        ),
        Platform::Instagram => (
            "https://graph.instagram.com/refresh_access_token",
            "https://www.instagram.com/oauth/authorize",
            "https://graph.instagram.com/v25.0",
        ),
        Platform::Tiktok => (
            "https://open.tiktokapis.com/v2/oauth/token/",
            "https://www.tiktok.com/v2/auth/authorize/",
            "https://open.tiktokapis.com/v2",
        ),
        Platform::TiktokBusiness => (
            "https://business-api.tiktok.com/open_api/v1.3/tt_user/oauth2/refresh_token/",
            "https://www.tiktok.com/v2/auth/authorize",
            "https://business-api.tiktok.com/open_api/v1.3",
        ),
        Platform::Linkedin => (
            "https://www.linkedin.com/oauth/v2/accessToken",
            "https://www.linkedin.com/oauth/v2/authorization",
            "https://api.linkedin.com",
        ),
        Platform::Twitter => (
            "https://api.x.com/2/oauth2/token",
            "https://x.com/i/oauth2/authorize",
            "https://api.x.com/2",
        ),
        Platform::Google => (
            "https://oauth2.googleapis.com/token",
            "https://accounts.google.com/o/oauth2/v2/auth",
            "https://googleads.googleapis.com",
        ),
        Platform::Snapchat => (
            "https://accounts.snapchat.com/login/oauth2/access_token",
            "https://accounts.snapchat.com/login/oauth2/authorize",
            "https://adsapi.snapchat.com/v1",
        ),
    };
    PlatformEndpoints {
        token: token.to_owned(),
        authorize: authorize.to_owned(),
        api: api.to_owned(),
    }
}

/// Our application's credentials at one platform.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientCredentials {
    /// `client_id`, by whatever name the platform knows it.
    pub client_id: String,
    /// `client_secret`, by whatever name the platform knows it.
    pub client_secret: SecretString,
}

/// Our application's credentials at every platform that it is registered with.
#[derive(Debug, Clone, Default)]
pub struct Credentials(BTreeMap<Platform, ClientCredentials>);

/// Why the credentials could not be had.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// Secrets Manager did not give the secret.
    #[error(transparent)]
    Aws(#[from] AwsError),
    /// The secret is not of the expected form. What it holds is not repeated here.
    #[error(
        "the platforms' secret must be JSON such as \
         {{\"meta\":{{\"client_id\":\"...\",\"client_secret\":\"...\"}}}}; {0}"
    )]
    Malformed(String),
}

impl Credentials {
    /// Reads the secret named `secret_id` from Secrets Manager.
    ///
    /// # Errors
    /// When it cannot be had or is not of the expected form.
    pub async fn fetch(
        client: &aws_sdk_secretsmanager::Client,
        secret_id: &str,
    ) -> Result<Self, CredentialsError> {
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
    /// [`CredentialsError::Malformed`] says where, never what.
    pub fn from_json(secret: &str) -> Result<Self, CredentialsError> {
        serde_json::from_str(secret).map(Self).map_err(|e| {
            // serde's own message may quote a value: only the place is safe.
            CredentialsError::Malformed(format!("see line {}, column {}", e.line(), e.column()))
        })
    }

    pub(super) fn of(&self, platform: Platform) -> Option<&ClientCredentials> {
        self.0.get(&platform)
    }
}
