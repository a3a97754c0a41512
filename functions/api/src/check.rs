//! Checks one integration now, because a member asks for it.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;
use shared::IntegrationKey;
use shared::domain::check_result::CheckResult;

use crate::app::App;
use crate::check_tokens_client::CheckOutcome;
use crate::member::Member;
use crate::problem::Problem;

/// `POST .../integrations/{integrationId}/check`: the result of the check, or
/// 202 where it takes longer than the gateway waits.
pub(crate) async fn check(member: Member, State(app): State<App>) -> Result<Response, Problem> {
    member.must_manage()?;
    let key = member.integration()?;
    match app.check_tokens.check(&key).await? {
        CheckOutcome::Done(checked) if checked.verdict == CheckResult::NotFound => {
            Err(Problem::unknown_integration())
        }
        CheckOutcome::Done(checked) => Ok(Json(checked).into_response()),
        CheckOutcome::GoesOn => {
            let IntegrationKey {
                org_id,
                integration_id,
            } = key;
            let message = format!(
                "The check takes longer than usual and goes on. Its result will be in the history \
                 of /api/dashboard/{org_id}/integrations/{integration_id}."
            );
            Ok((StatusCode::ACCEPTED, Json(json!({ "message": message }))).into_response())
        }
    }
}
