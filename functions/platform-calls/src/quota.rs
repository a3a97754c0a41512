//! What is left of one integration's quota; takes no permit.

use axum::Json;
use axum::extract::State;
use edge::problem::Problem;
use edge::quota_view::QuotaView;

use crate::app::App;
use crate::caller::Caller;
use crate::permits::must_be_of_platform;

/// Shows what is left of a quota
///
/// Takes no permit.
#[utoipa::path(
    get,
    path = "/api/platforms/{platform}/{orgId}/{integrationId}/quota",
    operation_id = "getQuota",
    tag = "Calling platforms",
    security(("bearer" = ["use_integrations"])),
    responses(
        (status = 200, description = "What is left.", body = QuotaView),
        (status = 409, description = "The integration is of another platform."),
    ),
)]
pub(crate) async fn show(
    caller: Caller,
    State(app): State<App>,
) -> Result<Json<QuotaView>, Problem> {
    must_be_of_platform(&app, &caller).await?;
    let status = app.calls.limiter.status(&caller.quota_key()).await?;
    Ok(Json(status.into()))
}
