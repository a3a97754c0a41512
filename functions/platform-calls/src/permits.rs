//! Permits, with which callers call a platform themselves.

use axum::Json;
use axum::extract::State;
use edge::problem::Problem;
use edge::quota_view::QuotaView;
use serde::Serialize;
use shared::{IntegrationKey, Platform};
use utoipa::ToSchema;

use crate::app::App;
use crate::caller::{Caller, other_platform};
use crate::metered::MeteredCall;

/// Permits one call to the platform before `use_by`. It has no numbers if the quota store did not
/// answer and the deployment admits calls then.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PermitView {
    platform: Platform,
    #[serde(flatten)]
    integration: IntegrationKey,
    use_by: String,
    #[serde(flatten)]
    quota: Option<QuotaView>,
}

/// Takes a permit
///
/// For one call to the platform, before `use_by`. A useless permit is spent too: a refund would make
/// the quota inexact for little gain.
#[utoipa::path(
    post,
    path = "/api/platforms/{platform}/{orgId}/{integrationId}/permits",
    operation_id = "takePermit",
    tag = "Calling platforms",
    security(("bearer" = ["use_integrations"])),
    responses(
        (status = 200, description = "Make one call.", body = PermitView),
        (status = 409, description = "The integration is of another platform."),
    ),
)]
pub(crate) async fn take(
    call: MeteredCall,
    State(app): State<App>,
) -> Result<Json<PermitView>, Problem> {
    let caller = call.caller;
    must_be_of_platform(&app, &caller).await?;
    Ok(Json(PermitView {
        platform: caller.platform,
        integration: caller.integration,
        use_by: call.use_by.to_rfc3339(),
        quota: call.permit.map(QuotaView::from),
    }))
}

/// Returns a problem if there is no such integration, or it is of another platform.
pub(crate) async fn must_be_of_platform(app: &App, caller: &Caller) -> Result<(), Problem> {
    match app.integrations.platform_of(&caller.integration).await? {
        None => Err(Problem::unknown_integration()),
        Some(platform) if platform != caller.platform => {
            Err(other_platform(platform, caller.platform))
        }
        Some(_) => Ok(()),
    }
}
