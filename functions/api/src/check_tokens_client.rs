//! The client of the function `check-tokens`.

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

/// How long an answer may take: the gateway gives up after 29 s.
const INVOKE_TIMEOUT: Duration = Duration::from_secs(25);

#[derive(Debug, Clone)]
pub(crate) struct CheckTokensClient {
    lambda: aws_sdk_lambda::Client,
    function: String,
    clock: Clock,
}

#[derive(Debug)]
pub(crate) enum CheckOutcome {
    Done(Checked),
    /// No answer within [`INVOKE_TIMEOUT`]; the function goes on by itself.
    GoesOn,
}

impl CheckTokensClient {
    pub(crate) fn new(sdk: &aws_config::SdkConfig, function: &str, clock: Clock) -> Self {
        let config = aws_sdk_lambda::config::Builder::from(sdk)
            // A second invocation would send a second request to the platform.
            .retry_config(RetryConfig::disabled())
            // No bytes flow while the function works, and that is no stall.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .build();
        Self {
            lambda: aws_sdk_lambda::Client::from_conf(config),
            function: function.to_owned(),
            clock,
        }
    }

    /// Checks one integration. Lambda lets the function go on when we no longer
    /// wait for it.
    pub(crate) async fn check(&self, key: &IntegrationKey) -> Result<CheckOutcome, Problem> {
        let payload = json!({ "integration": key });
        let invocation = self
            .lambda
            .invoke()
            .function_name(&self.function)
            .payload(Blob::new(payload.to_string()))
            .send();
        let Some(answer) = self.clock.within(INVOKE_TIMEOUT, invocation).await else {
            return Ok(CheckOutcome::GoesOn);
        };
        let answer = answer.map_err(|error| {
            let detail = "The function that checks is busy, or its answer was lost on the way. \
                          Please try again.";
            Problem::unavailable(detail).because(AwsError::new("lambda:Invoke", error))
        })?;
        let payload = answer.payload.map(Blob::into_inner).unwrap_or_default();
        if answer.function_error.is_some() {
            return Err(check_failed(function_error(&payload)));
        }
        serde_json::from_slice(&payload)
            .map(CheckOutcome::Done)
            .map_err(|error| {
                check_failed(format!("its answer is not the result of a check: {error}"))
            })
    }
}

fn check_failed(cause: String) -> Problem {
    let detail = "The check failed. Whatever is due is done by a later sweep by itself.";
    Problem::bad_gateway(detail, format!("check-tokens: {cause}"))
}

/// Formats the error that Lambda reports for a function.
fn function_error(payload: &[u8]) -> String {
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

    /// Returns the outcome with a function that gives `answer`, and the number of invocations.
    async fn check_with<R>(
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
        let check_tokens = CheckTokensClient::new(&sdk, "check", clock.clone());
        let key = IntegrationKey {
            org_id: OrgId::new("acme").unwrap(),
            integration_id: IntegrationId::new("7").unwrap(),
        };
        let outcome = check_tokens.check(&key).await;
        (format!("{outcome:?}"), count.load(Ordering::SeqCst))
    }

    #[tokio::test]
    async fn a_slow_check_goes_on_by_itself_and_is_invoked_once() {
        let clock = Clock::frozen(DateTime::UNIX_EPOCH);
        let passing = clock.clone();
        let (outcome, times) = check_with(&clock, move || {
            passing.advance(TimeDelta::seconds(25));
            std::future::pending()
        })
        .await;
        assert_eq!((outcome.as_str(), times), ("Ok(GoesOn)", 1));
    }

    #[tokio::test]
    async fn a_failure_shows_no_cause_and_is_not_retried() {
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
            let (outcome, times) = check_with(&clock, move || async move {
                let status = StatusCode::from_u16(status).unwrap();
                let mut response = (status, body).into_response();
                if failed {
                    let value = http::HeaderValue::from_static("Unhandled");
                    response.headers_mut().insert("x-amz-function-error", value);
                }
                response
            })
            .await;
            assert!(
                outcome.contains(&format!("status: {problem},")),
                "{outcome}"
            );
            let detail = outcome.split("cause").next().unwrap();
            assert!(!detail.contains("internals"), "{detail}");
            assert_eq!(times, 1, "{status}");
        }
    }
}
