//! Checks one integration now, because a member asks for it.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde::Serialize;
use shared::aws::check_tokens::{CheckError, CheckTokensClient};
use shared::domain::check_result::CheckResult;
use shared::domain::report::Checked;
use shared::{Clock, IntegrationKey};
use utoipa::ToSchema;

use crate::app::App;
use edge::member::Member;
use edge::problem::Problem;

/// How long an answer may take: the gateway gives up after 29 s.
const INVOKE_TIMEOUT: Duration = Duration::from_secs(25);

/// The answer to a check that takes longer than the gateway waits.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct GoesOn {
    message: String,
}

/// Checks an integration now
///
/// Refreshes it; where nothing refreshes it, asks the platform whether its token works.
#[utoipa::path(
    post,
    path = "/api/dashboard/{orgId}/integrations/{integrationId}/check",
    operation_id = "checkIntegration",
    tag = "Integrations",
    security(("bearer" = ["manage_integrations"])),
    responses(
        (status = 200, description = "What came of it.", body = Checked),
        (status = 202, description = "It takes longer than 25 s and goes on; the history will say.", body = GoesOn),
        (status = 502, description = "The check failed. A later sweep does what is due."),
        (status = 503, description = "The function that checks, or the authorizer, is busy."),
    ),
)]
pub(crate) async fn check(member: Member, State(app): State<App>) -> Result<Response, Problem> {
    member.must_manage()?;
    let key = member.integration()?;
    match check_in_time(&app.check_tokens, &key, &app.clock).await? {
        Some(checked) if checked.result == CheckResult::NotFound => {
            Err(Problem::unknown_integration())
        }
        Some(checked) => Ok(Json(checked).into_response()),
        None => {
            let IntegrationKey {
                org_id,
                integration_id,
            } = key;
            let message = format!(
                "The check takes longer than usual and goes on. Its result will be in the history \
                 of /api/dashboard/{org_id}/integrations/{integration_id}."
            );
            Ok((StatusCode::ACCEPTED, Json(GoesOn { message })).into_response())
        }
    }
}

/// The result of the check; `None` if there is none within [`INVOKE_TIMEOUT`]. The
/// function goes on by itself.
async fn check_in_time(
    check_tokens: &CheckTokensClient,
    key: &IntegrationKey,
    clock: &Clock,
) -> Result<Option<Checked>, Problem> {
    let checked = clock.within(INVOKE_TIMEOUT, check_tokens.check(key)).await;
    checked.transpose().map_err(|error| match error {
        CheckError::Invoke(error) => {
            let detail = "The function that checks is busy, or its answer was lost on the way. \
                          Please try again.";
            Problem::unavailable(detail).because(error)
        }
        CheckError::Failed { .. } | CheckError::NotChecked { .. } => {
            let detail = "The check failed. Whatever is due is done by a later sweep by itself.";
            Problem::bad_gateway(detail, error.to_string())
        }
    })
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region, SdkConfig};
    use aws_sdk_kms::config::{Credentials, SharedCredentialsProvider};
    use axum::Router;
    use axum::response::{IntoResponse, Response};
    use chrono::{DateTime, TimeDelta};
    use http::StatusCode;
    use shared::{IntegrationId, OrgId};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// The outcome with a function that answers like this, and how often it was invoked.
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
        let check_tokens = CheckTokensClient::new(&sdk, "check");
        let key = IntegrationKey {
            org_id: OrgId::new("acme").unwrap(),
            integration_id: IntegrationId::new("7").unwrap(),
        };
        let outcome = check_in_time(&check_tokens, &key, clock).await;
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
        assert_eq!((outcome.as_str(), times), ("Ok(None)", 1));
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
