//! The client for applications in Rust.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;

use super::access_token::{AccessToken, Wanted};
use super::calls::PlatformCalls;
use super::feedback::FeedbackError;
use super::http::Api;
use super::http_error::HttpError;
use super::no_token::NoToken;
use super::permit::{Permit, Wait, decided};
use crate::aws::quota::QuotaError;
use crate::domain::call_reading::CallVerdict;
use crate::domain::quota::{QuotaKey, QuotaStatus};
use crate::oauth::CallAnswer;
use crate::{Clock, IntegrationKey, UserId};

/// A token that was found longer ago is looked up again before it is used.
const FRESH: TimeDelta = TimeDelta::seconds(1);
/// A permit that holds no longer is given up for another.
const LEAST_TIME_LEFT: TimeDelta = TimeDelta::seconds(5);

/// Takes permits and tokens, makes calls, and reports what platforms answered.
///
/// A connector like the original system's:
///
/// ```no_run
/// use std::time::Duration;
///
/// use shared::oauth::CallAnswer;
/// use shared::domain::quota::QuotaKey;
/// use shared::platform_calls::{CallError, Client};
/// use shared::{IntegrationId, OrgId, Platform};
///
/// struct MetaConnector {
///     warden: Client,
///     http: reqwest::Client,
///     page: QuotaKey,
/// }
///
/// impl MetaConnector {
///     /// Publishes a post, waiting at most ten seconds for a permit. A token that the platform
///     /// no longer takes is renewed, and the call repeated once.
///     async fn publish_post(
///         &self,
///         message: &str,
///     ) -> Result<CallAnswer, CallError<reqwest::Error>> {
///         let wait = Duration::from_secs(10);
///         self.warden
///             .execute(&self.page, wait, async |token| {
///                 let (name, value) = token.header();
///                 let request = self
///                     .http
///                     .post("https://graph.facebook.com/v26.0/me/feed")
///                     .header(name, value)
///                     .form(&[("message", message)])
///                     // The permit is for a call that begins before this.
///                     .timeout(token.time_left());
///                 CallAnswer::read(request.send().await?).await
///             })
///             .await
///     }
/// }
///
/// # async fn example(warden: Client) -> Result<(), Box<dyn std::error::Error>> {
/// let (org, page) = (OrgId::new("acme")?, IntegrationId::new("page-1")?);
/// let connector = MetaConnector {
///     warden,
///     http: reqwest::Client::new(),
///     page: QuotaKey::new(Platform::Meta, org, page),
/// };
/// match connector.publish_post("Hello").await {
///     Ok(answer) if answer.status == 200 => {}
///     Ok(answer) => eprintln!("the platform answered {}", answer.status),
///     // Nothing was sent: put the post back into the queue for then.
///     Err(CallError::Wait(wait)) => eprintln!("not before {}", wait.until),
///     Err(error) => eprintln!("{error}"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Client {
    backend: Backend,
    clock: Clock,
}

#[derive(Debug, Clone)]
enum Backend {
    Tables {
        calls: Box<PlatformCalls>,
        caller: UserId,
    },
    Http(Api),
}

/// An access token, and until when the permit for a call with it holds.
#[derive(Debug, Clone)]
pub struct PermittedToken {
    pub token: AccessToken,
    pub use_by: DateTime<Utc>,
    clock: Clock,
}

impl PermittedToken {
    /// Returns the header that carries the token in the call, and its value.
    #[must_use]
    pub fn header(&self) -> (&'static str, String) {
        use secrecy::ExposeSecret;

        let (name, value) = self.token.header();
        (name, value.expose_secret().to_owned())
    }

    /// Returns how long the permit still holds.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        (self.use_by - self.clock.precise())
            .to_std()
            .unwrap_or_default()
    }
}

/// Why a call was not made, or brought no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError<E> {
    /// No permit frees within the time that the caller would wait. Nothing was sent.
    #[error("no permit before {}", .0.until)]
    Wait(Wait),
    /// Nothing was sent.
    #[error(transparent)]
    NoToken(#[from] NoToken),
    /// There was no decision about the quota, which is no permit. Nothing was sent.
    #[error(transparent)]
    NoDecision(#[from] DecisionError),
    /// The caller's own error.
    #[error("the call failed")]
    Call(#[source] E),
}

/// No decision about a quota could be made.
#[derive(Debug, thiserror::Error)]
pub enum DecisionError {
    #[error(transparent)]
    Quota(#[from] QuotaError),
    #[error(transparent)]
    Http(#[from] HttpError),
}

impl Client {
    /// Works on the tables, as a service whose role may: see the role of the function
    /// `platform-calls`. `caller` is who the audit says took a token.
    #[must_use]
    pub fn on_tables(calls: PlatformCalls, caller: UserId) -> Self {
        Self {
            clock: calls.clock.clone(),
            backend: Backend::Tables {
                calls: Box::new(calls),
                caller,
            },
        }
    }

    /// Works over HTTP, at the base URL of the API, with the bearer token that `bearer` returns.
    ///
    /// # Errors
    /// When the URL is none, or the HTTP client cannot be set up.
    pub fn over_http(
        base: &str,
        bearer: impl Fn() -> SecretString + Send + Sync + 'static,
        clock: Clock,
    ) -> Result<Self, HttpError> {
        let backend = Backend::Http(Api::new(base, bearer)?);
        Ok(Self { backend, clock })
    }

    /// Takes a permit, if there is one.
    ///
    /// # Errors
    /// [`DecisionError`], which is no permit.
    pub async fn check(&self, key: &QuotaKey) -> Result<Result<Permit, Wait>, DecisionError> {
        match &self.backend {
            Backend::Tables { calls, .. } => Ok(decided(calls.limiter.take_permit(key).await?)),
            Backend::Http(api) => Ok(api.take_permit(key).await?),
        }
    }

    /// Returns what is left of the quota; takes nothing.
    ///
    /// # Errors
    /// [`DecisionError`] if that could not be found out.
    pub async fn remaining(&self, key: &QuotaKey) -> Result<QuotaStatus, DecisionError> {
        match &self.backend {
            Backend::Tables { calls, .. } => Ok(calls.limiter.status(key).await?),
            Backend::Http(api) => Ok(api.quota(key).await?),
        }
    }

    /// Takes a permit, waiting for one at most `max`. If the next one frees later than that, it
    /// says so at once.
    ///
    /// # Errors
    /// [`DecisionError`], which is no permit.
    pub async fn wait_until_ready(
        &self,
        key: &QuotaKey,
        max: Duration,
    ) -> Result<Result<Permit, Wait>, DecisionError> {
        let api = match &self.backend {
            Backend::Tables { calls, .. } => {
                return Ok(decided(calls.limiter.wait_until_ready(key, max).await?));
            }
            Backend::Http(api) => api,
        };
        let max = TimeDelta::from_std(max).unwrap_or(TimeDelta::MAX);
        let deadline = self.clock.precise().checked_add_signed(max);
        loop {
            let decision = api.take_permit(key).await?;
            let Err(wait) = decision else {
                return Ok(decision);
            };
            // Waiters that were refused together do not come back together.
            let at = wait.until + TimeDelta::milliseconds(rand::random_range(0..1_000));
            if deadline.is_some_and(|deadline| at > deadline) {
                return Ok(decision);
            }
            self.clock.sleep_until(at).await;
        }
    }

    /// Returns a living access token.
    ///
    /// # Errors
    /// [`NoToken`] says whether a person must act, or when to ask again.
    pub async fn access_token(
        &self,
        key: &QuotaKey,
        wanted: Wanted,
    ) -> Result<AccessToken, NoToken> {
        match &self.backend {
            Backend::Tables { calls, caller } => {
                let integration = IntegrationKey::from(key);
                calls
                    .tokens
                    .hand_out(caller, &integration, key.platform(), wanted)
                    .await
            }
            Backend::Http(api) => api.access_token(key, wanted).await,
        }
    }

    /// Reports what the platform answered to a call with the token of this generation.
    ///
    /// # Errors
    /// [`FeedbackError`] if not all of it could be acted on.
    pub async fn feed_back(
        &self,
        key: &QuotaKey,
        answer: &CallAnswer,
        generation: u64,
    ) -> Result<CallVerdict, FeedbackError> {
        match &self.backend {
            Backend::Tables { calls, .. } => {
                let learned = calls
                    .feedback
                    .learn_reported(key, answer, Some(generation))
                    .await;
                learned.map(|learned| learned.reading.verdict)
            }
            Backend::Http(api) => Ok(api.feed_back(key, answer, generation).await?),
        }
    }

    /// Takes a permit, waiting at most `wait`, and a living token; calls; and reports the
    /// answer. If the platform refuses the token, it does all of that once more with a new one.
    ///
    /// # Errors
    /// [`CallError`]. Only with [`CallError::Call`] anything was sent.
    pub async fn execute<E>(
        &self,
        key: &QuotaKey,
        wait: Duration,
        call: impl AsyncFn(PermittedToken) -> Result<CallAnswer, E>,
    ) -> Result<CallAnswer, CallError<E>> {
        let (answer, refused) = self.call_once(key, wait, Wanted::default(), &call).await?;
        let Some(generation) = refused else {
            return Ok(answer);
        };
        let wanted = Wanted {
            rejected_generation: Some(generation),
            ..Wanted::default()
        };
        match self.call_once(key, wait, wanted, &call).await {
            Ok((answer, _)) => Ok(answer),
            Err(CallError::Call(error)) => Err(CallError::Call(error)),
            // Nothing more was sent. The platform's own word is the best explanation that there is.
            Err(error) => {
                tracing::info!(%error, quota_key = %key, "a refused call could not be repeated");
                Ok(answer)
            }
        }
    }

    /// Calls once. Returns the answer, and the generation of the token if the platform refuses it.
    async fn call_once<E>(
        &self,
        key: &QuotaKey,
        wait: Duration,
        wanted: Wanted,
        call: &impl AsyncFn(PermittedToken) -> Result<CallAnswer, E>,
    ) -> Result<(CallAnswer, Option<u64>), CallError<E>> {
        // The token first: having one refreshed may take longer than a permit holds.
        let mut token = self.access_token(key, wanted).await?;
        let mut found_at = self.clock.precise();
        let permit = loop {
            let permit = self.wait_until_ready(key, wait).await?;
            let permit = permit.map_err(CallError::Wait)?;
            if self.clock.precise() - found_at <= FRESH {
                break permit;
            }
            // The grant may be another by now, or erased.
            token = self.access_token(key, wanted).await?;
            found_at = self.clock.precise();
            if found_at + LEAST_TIME_LEFT < permit.use_by {
                break permit;
            }
        };
        let generation = token.generation;
        let answer = call(PermittedToken {
            token,
            use_by: permit.use_by,
            clock: self.clock.clone(),
        });
        let answer = answer.await.map_err(CallError::Call)?;
        let refused = match self.feed_back(key, &answer, generation).await {
            Ok(verdict) => verdict == CallVerdict::TokenRefused,
            // The call was made: its answer must not be lost for that.
            Err(error) => {
                tracing::error!(%error, quota_key = %key, "an answer could not be reported");
                false
            }
        };
        Ok((answer, refused.then_some(generation)))
    }
}
