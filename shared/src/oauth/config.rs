//! Where the platforms are, and who we are to them.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde::Deserialize;

use crate::Platform;
use crate::aws::AwsError;
use crate::runtime::variables::{InvalidVariable, Variables};

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
    /// Of the platform's API, in the documented addresses.
    version: Option<String>,
    token: Option<String>,
    authorize: Option<String>,
    api: Option<String>,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self(
            Platform::ALL
                .into_iter()
                .map(|platform| (platform, documented(platform, None)))
                .collect(),
        )
    }
}

impl Endpoints {
    /// The documented addresses, replaced by those in `PLATFORM_ENDPOINTS`, or of
    /// another version of the API.
    ///
    /// # Errors
    /// [`InvalidVariable`] for anything but JSON of known platforms, versions and URLs.
    pub fn from_variables(variables: &Variables) -> Result<Self, InvalidVariable> {
        const NAME: &str = "PLATFORM_ENDPOINTS";
        let mut endpoints = Self::default();
        let Some(json) = variables.get(NAME) else {
            return Ok(endpoints);
        };
        let overrides: BTreeMap<Platform, Override> =
            serde_json::from_str(json).map_err(|e| variables.invalid(NAME, e))?;
        for (platform, given) in overrides {
            let of_version = match given.version.as_deref() {
                Some(_) if version(platform).is_none() => {
                    let text = format!("{platform}.version: its addresses have no version");
                    return Err(variables.invalid(NAME, text));
                }
                Some(other)
                    if version(platform).is_some_and(|known| shape(known) != shape(other)) =>
                {
                    let known = version(platform).unwrap_or_default();
                    let text = format!("{platform}.version must be of the form {known}");
                    return Err(variables.invalid(NAME, text));
                }
                version => documented(platform, version),
            };
            let address = |field, given: Option<String>, documented: String| match given {
                Some(address) => match url::Url::parse(&address) {
                    Ok(_) => Ok(address),
                    Err(e) => {
                        let text = format!("{platform}.{field} is not a URL: {e}");
                        Err(variables.invalid(NAME, text))
                    }
                },
                None => Ok(documented),
            };
            let known = PlatformEndpoints {
                token: address("token", given.token, of_version.token)?,
                authorize: address("authorize", given.authorize, of_version.authorize)?,
                api: address("api", given.api, of_version.api)?,
            };
            endpoints.0.insert(platform, known);
        }
        Ok(endpoints)
    }

    pub(super) fn of(&self, platform: Platform) -> &PlatformEndpoints {
        &self.0[&platform]
    }
}

/// A version with a zero for each of its numbers: `v0.0` for `v26.0`. Whatever has
/// another shape leads nowhere.
fn shape(version: &str) -> String {
    let mut shape = String::new();
    for letter in version.chars() {
        match letter.is_ascii_digit() {
            true if shape.ends_with('0') => {}
            true => shape.push('0'),
            false => shape.push(letter),
        }
    }
    shape
}

/// The version of the platform's API that its addresses name; the newest in November
/// 2026. Graph: v26.0 since July 2026, and each works for about two years; Google Ads:
/// each works for about one.
const fn version(platform: Platform) -> Option<&'static str> {
    match platform {
        Platform::Meta | Platform::Instagram => Some("v26.0"),
        Platform::Tiktok => Some("v2"),
        Platform::TiktokBusiness => Some("v1.3"),
        // Of its API no address is asked that has one, and no header is sent.
        Platform::Linkedin => None,
        Platform::Twitter => Some("2"),
        Platform::Google => Some("v26"),
        Platform::Snapchat => Some("v1"),
    }
}

/// The addresses that the platforms document (November 2026), with another version
/// of their API if one is given.
fn documented(platform: Platform, other: Option<&str>) -> PlatformEndpoints {
    const VERSION: &str = "{version}";
    let (token, authorize, api) = match platform {
        Platform::Meta => (
            "https://graph.facebook.com/{version}/oauth/access_token",
            "https://www.facebook.com/{version}/dialog/oauth",
            "https://graph.facebook.com/{version}",
        ),
        Platform::Instagram => (
            "https://graph.instagram.com/refresh_access_token",
            "https://www.instagram.com/oauth/authorize",
            "https://graph.instagram.com/{version}",
        ),
        Platform::Tiktok => (
            "https://open.tiktokapis.com/{version}/oauth/token/",
            "https://www.tiktok.com/{version}/auth/authorize/",
            "https://open.tiktokapis.com/{version}",
        ),
        Platform::TiktokBusiness => (
            "https://business-api.tiktok.com/open_api/{version}/tt_user/oauth2/refresh_token/",
            // Login Kit's, with a version of its own.
            "https://www.tiktok.com/v2/auth/authorize",
            "https://business-api.tiktok.com/open_api/{version}",
        ),
        Platform::Linkedin => (
            "https://www.linkedin.com/oauth/v2/accessToken",
            "https://www.linkedin.com/oauth/v2/authorization",
            "https://api.linkedin.com",
        ),
        Platform::Twitter => (
            "https://api.x.com/{version}/oauth2/token",
            "https://x.com/i/oauth2/authorize",
            "https://api.x.com/{version}",
        ),
        // OAuth's addresses have versions of their own.
        Platform::Google => (
            "https://oauth2.googleapis.com/token",
            "https://accounts.google.com/o/oauth2/v2/auth",
            "https://googleads.googleapis.com/{version}",
        ),
        Platform::Snapchat => (
            "https://accounts.snapchat.com/login/oauth2/access_token",
            "https://accounts.snapchat.com/login/oauth2/authorize",
            "https://adsapi.snapchat.com/{version}",
        ),
    };
    let version = other.or(version(platform)).unwrap_or_default();
    let address = |template: &str| template.replace(VERSION, version);
    PlatformEndpoints {
        token: address(token),
        authorize: address(authorize),
        api: address(api),
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
