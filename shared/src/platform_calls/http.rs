//! The routes of `platform-calls`, for [`super::Client`].

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::access_token::{AccessToken, Wanted};
use super::http_error::HttpError;
use super::no_token::NoToken;
use super::permit::{Permit, Wait};
use super::person::NeedsPerson;
use crate::Platform;
use crate::domain::call_reading::CallVerdict;
use crate::domain::quota::{DenialReason, QuotaKey, QuotaStatus};
use crate::oauth::CallAnswer;

/// How long a client of the API waits: the gateway answers within 29 s.
pub const API_TIMEOUT: Duration = Duration::from_secs(35);
/// The most that is reported of an answer's body, in bytes: the route takes no more.
pub const MAX_REPORTED_BODY: usize = 16 * 1024;

#[derive(Clone)]
pub(super) struct Api {
    http: reqwest::Client,
    base: String,
    bearer: Arc<dyn Fn() -> SecretString + Send + Sync>,
}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Api")
            .field("base", &self.base)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct PermitBody {
    use_by: DateTime<Utc>,
}

#[derive(Deserialize)]
struct DenialBody {
    retry_after: i64,
    reason: DenialReason,
}

#[derive(Deserialize)]
struct TokenBody {
    access_token: SecretString,
    expires_at: Option<DateTime<Utc>>,
    scopes: Vec<String>,
    generation: u64,
}

#[derive(Deserialize)]
struct VerdictBody {
    verdict: CallVerdict,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct ProblemBody {
    detail: String,
    state: Option<String>,
    reason: Option<String>,
    reconnect_url: Option<String>,
    platform: Option<Platform>,
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    fn json<T: DeserializeOwned>(&self) -> Result<T, HttpError> {
        serde_json::from_slice(&self.body).map_err(|error| HttpError::Answer {
            status: self.status.as_u16(),
            detail: format!("what is not documented: {error}"),
        })
    }

    fn problem(&self) -> ProblemBody {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Makes the error of an answer that is none of those that the caller knows.
    fn error(&self) -> HttpError {
        HttpError::Answer {
            status: self.status.as_u16(),
            detail: self.problem().detail,
        }
    }

    fn retry_after(&self) -> u32 {
        let header = self.headers.get("retry-after");
        let text = header.and_then(|value| value.to_str().ok());
        text.and_then(|text| text.parse().ok()).unwrap_or(5)
    }
}

impl Api {
    pub(super) fn new(
        base: &str,
        bearer: impl Fn() -> SecretString + Send + Sync + 'static,
    ) -> Result<Self, HttpError> {
        let http = reqwest::Client::builder()
            .timeout(API_TIMEOUT)
            // A bearer token must not follow a redirect to wherever it points.
            .redirect(reqwest::redirect::Policy::none())
            .build()?;
        Ok(Self {
            http,
            base: base.trim_end_matches('/').to_owned(),
            bearer: Arc::new(bearer),
        })
    }

    async fn send(
        &self,
        method: Method,
        key: &QuotaKey,
        route: &str,
        body: Option<Value>,
    ) -> Result<Answer, HttpError> {
        let path = key.path();
        let url = format!("{}/api/platforms/{path}/{route}", self.base);
        let bearer = (self.bearer)();
        let mut request = self
            .http
            .request(method, url)
            .bearer_auth(bearer.expose_secret());
        if let Some(body) = body {
            request = request.json(&body);
        }
        let response = request.send().await?;
        Ok(Answer {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.bytes().await?.to_vec(),
        })
    }

    pub(super) async fn take_permit(
        &self,
        key: &QuotaKey,
    ) -> Result<Result<Permit, Wait>, HttpError> {
        let answer = self.send(Method::POST, key, "permits", None).await?;
        match answer.status {
            StatusCode::OK => {
                let PermitBody { use_by } = answer.json()?;
                Ok(Ok(Permit { use_by }))
            }
            // The gateway's own throttle has the same status, and is no denial.
            StatusCode::TOO_MANY_REQUESTS if answer.headers.contains_key("x-ratelimit-limit") => {
                let DenialBody {
                    retry_after,
                    reason,
                } = answer.json()?;
                let reset = answer.headers.get("x-ratelimit-reset");
                let reset = reset.and_then(|value| value.to_str().ok()?.parse().ok());
                let until = reset.and_then(|at| DateTime::from_timestamp(at, 0));
                let until = until.ok_or_else(|| HttpError::Answer {
                    status: 429,
                    detail: format!("wait {retry_after} s, and not until when"),
                })?;
                Ok(Err(Wait { until, reason }))
            }
            _ => Err(answer.error()),
        }
    }

    pub(super) async fn quota(&self, key: &QuotaKey) -> Result<QuotaStatus, HttpError> {
        let answer = self.send(Method::GET, key, "quota", None).await?;
        match answer.status {
            StatusCode::OK => answer.json(),
            _ => Err(answer.error()),
        }
    }

    pub(super) async fn access_token(
        &self,
        key: &QuotaKey,
        wanted: Wanted,
    ) -> Result<AccessToken, NoToken> {
        let mut body = json!({ "min_validity_seconds": wanted.min_validity.num_seconds() });
        if let Some(rejected) = wanted.rejected_generation {
            body["rejected_generation"] = json!(rejected);
        }
        let answer = self
            .send(Method::POST, key, "access-token", Some(body))
            .await?;
        let problem = answer.problem();
        Err(match answer.status {
            StatusCode::OK => {
                let body: TokenBody = answer.json()?;
                return Ok(AccessToken {
                    platform: key.platform(),
                    token: body.access_token,
                    expires_at: body.expires_at,
                    scopes: body.scopes,
                    generation: body.generation,
                });
            }
            StatusCode::NOT_FOUND => NoToken::UnknownIntegration,
            StatusCode::CONFLICT => {
                match (problem.state, problem.reconnect_url, problem.platform) {
                    (Some(state), Some(reconnect_url), _) => NoToken::NeedsPerson(NeedsPerson {
                        state,
                        reason: problem.reason,
                        message: problem.detail,
                        reconnect_url,
                    }),
                    (_, _, Some(platform)) => NoToken::OtherPlatform(platform),
                    _ => answer.error().into(),
                }
            }
            StatusCode::SERVICE_UNAVAILABLE => NoToken::NotNow {
                message: problem.detail,
                retry_after: answer.retry_after(),
            },
            _ => answer.error().into(),
        })
    }

    pub(super) async fn feed_back(
        &self,
        key: &QuotaKey,
        answer: &CallAnswer,
        generation: u64,
    ) -> Result<CallVerdict, HttpError> {
        let mut headers: HashMap<&str, Vec<&str>> = HashMap::new();
        for (name, value) in &answer.headers {
            if let Ok(value) = value.to_str() {
                headers.entry(name.as_str()).or_default().push(value);
            }
        }
        // A longer body is what was asked for, and no error.
        let body = String::from_utf8_lossy(&answer.body);
        let body = Some(body).filter(|body| body.len() <= MAX_REPORTED_BODY);
        let report = json!({
            "status": answer.status, "headers": headers, "body": body, "generation": generation,
        });
        let answer = self
            .send(Method::POST, key, "feedback", Some(report))
            .await?;
        match answer.status {
            StatusCode::OK => answer.json().map(|VerdictBody { verdict }| verdict),
            _ => Err(answer.error()),
        }
    }
}
