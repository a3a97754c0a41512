//! Looking after one integration now, because somebody asks.

use std::time::Duration;

use aws_sdk_lambda::config::StalledStreamProtectionConfig;
use aws_sdk_lambda::config::retry::RetryConfig;
use aws_sdk_lambda::primitives::Blob;
use serde_json::{Value, json};
use shared::Clock;
use shared::IntegrationKey;
use shared::aws::AwsError;
use shared::domain::report::Checked;

use crate::problem::Problem;

/// How long an answer is waited for: the gateway gives up after 29 s.
const PATIENCE: Duration = Duration::from_secs(25);

/// The function that checks tokens, as we ask it.
#[derive(Debug, Clone)]
pub(crate) struct CheckTokens {
    lambda: aws_sdk_lambda::Client,
    function: String,
    clock: Clock,
}

/// What came of asking.
#[derive(Debug)]
pub(crate) enum Asked {
    /// It has answered.
    Done(Checked),
    /// It goes on without us.
    GoesOn,
}

impl CheckTokens {
    pub(crate) fn new(sdk: &aws_config::SdkConfig, function: &str, clock: Clock) -> Self {
        let config = aws_sdk_lambda::config::Builder::from(sdk)
            // Asked twice, it would ask the platform twice.
            .retry_config(RetryConfig::disabled())
            // Nothing flows while it works, and that is no stall.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        Self {
            lambda: aws_sdk_lambda::Client::from_conf(config),
            function: function.to_owned(),
            clock,
        }
    }

    /// Has one integration looked after. Lambda lets the function go on when we
    /// no longer wait for it.
    pub(crate) async fn ask(&self, key: &IntegrationKey) -> Result<Asked, Problem> {
        let payload = json!({ "integration": key });
        let asked = self
            .lambda
            .invoke()
            .function_name(&self.function)
            .payload(Blob::new(payload.to_string()))
            .send();
        let Some(answer) = self.clock.within(PATIENCE, asked).await else {
            return Ok(Asked::GoesOn);
        };
        let answer = answer.map_err(|error| {
            let detail = "The function that checks is busy, or its answer was lost on the way. \
                          Please try again.";
            Problem::unavailable(detail).because(AwsError::new("lambda:Invoke", error))
        })?;
        let payload = answer.payload.map(Blob::into_inner).unwrap_or_default();
        if answer.function_error.is_some() {
            return Err(failed(what_failed(&payload)));
        }
        serde_json::from_slice(&payload)
            .map(Asked::Done)
            .map_err(|error| failed(format!("it did not answer what was checked: {error}")))
    }
}

fn failed(cause: String) -> Problem {
    let detail = "The check failed. Whatever is due is done by a later sweep by itself.";
    Problem::bad_gateway(detail, format!("check-tokens: {cause}"))
}

/// The error of a function, as Lambda reports it.
fn what_failed(payload: &[u8]) -> String {
    let error: Value = serde_json::from_slice(payload).unwrap_or_default();
    let part = |name: &str| error[name].as_str().unwrap_or("?").to_owned();
    format!("{}: {}", part("errorType"), part("errorMessage"))
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region, SdkConfig};
    use aws_sdk_lambda::config::{Credentials, SharedCredentialsProvider};
    use axum::Router;
    use axum::response::{IntoResponse, Response};
    use chrono::{DateTime, TimeDelta};
    use http::StatusCode;
    use shared::{IntegrationId, OrgId};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Asks a function that answers like this; tells too how often it was asked.
    async fn ask<R>(
        clock: &Clock,
        answer: impl Fn() -> R + Clone + Send + Sync + 'static,
    ) -> (String, usize)
    where
        R: Future<Output = Response> + Send,
    {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let router = Router::new().fallback(move || {
            counted.fetch_add(1, Ordering::SeqCst);
            answer()
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        let credentials = Credentials::new("a", "b", None, None, "test");
        let sdk = SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::from_static("us-east-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .endpoint_url(endpoint)
            .build();
        let check_tokens = CheckTokens::new(&sdk, "check", clock.clone());
        let key = IntegrationKey {
            org_id: OrgId::new("acme").unwrap(),
            integration_id: IntegrationId::new("7").unwrap(),
        };
        let asked = check_tokens.ask(&key).await;
        (format!("{asked:?}"), count.load(Ordering::SeqCst))
    }

    #[tokio::test]
    async fn whoever_takes_long_goes_on_alone_and_is_asked_once() {
        let clock = Clock::frozen(DateTime::UNIX_EPOCH);
        let passing = clock.clone();
        let (asked, times) = ask(&clock, move || {
            passing.advance(TimeDelta::seconds(25));
            std::future::pending()
        })
        .await;
        assert_eq!((asked.as_str(), times), ("Ok(GoesOn)", 1));
    }

    #[tokio::test]
    async fn a_failure_is_told_without_its_cause_and_not_tried_again() {
        let clock = Clock::frozen(DateTime::UNIX_EPOCH);
        for (status, failed, body, problem) in [
            (500, false, "{}", 503),
            (429, false, r#"{"Message":"slow down"}"#, 503),
            (
                200,
                true,
                r#"{"errorType":"T","errorMessage":"internals"}"#,
                502,
            ),
            (200, false, r#"{"examined":1}"#, 502),
            (200, false, "", 502),
        ] {
            let (asked, times) = ask(&clock, move || async move {
                let status = StatusCode::from_u16(status).unwrap();
                let mut response = (status, body).into_response();
                if failed {
                    let value = http::HeaderValue::from_static("Unhandled");
                    response.headers_mut().insert("x-amz-function-error", value);
                }
                response
            })
            .await;
            assert!(asked.contains(&format!("status: {problem},")), "{asked}");
            let detail = asked.split("cause").next().unwrap();
            assert!(!detail.contains("internals"), "{detail}");
            assert_eq!(times, 1, "{status}");
        }
    }
}
