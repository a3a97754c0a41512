//! Permits, with which callers call a platform themselves.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use shared::domain::quota::{Permit, QuotaStatus, WindowStatus};
use shared::{IntegrationId, IntegrationKey, OrgId, Platform};

use crate::app::App;
use crate::metered::MeteredCall;
use crate::problem::Problem;

/// Permits one call to the platform before `use_by`. It has no numbers if the quota store did not
/// answer and the deployment admits calls then.
#[derive(Debug, Serialize)]
pub(crate) struct PermitView {
    platform: Platform,
    org_id: OrgId,
    integration_id: IntegrationId,
    use_by: String,
    #[serde(flatten)]
    quota: Option<QuotaView>,
}

/// What is left of a quota, as every answer shows it: one window's
/// numbers, and both windows by name.
#[derive(Debug, Serialize)]
pub(crate) struct QuotaView {
    #[serde(flatten)]
    shown: WindowStatus,
    #[serde(flatten)]
    windows: QuotaStatus,
}

/// Serves answers that take no permit.
impl From<QuotaStatus> for QuotaView {
    fn from(windows: QuotaStatus) -> Self {
        Self {
            shown: windows.shown(),
            windows,
        }
    }
}

impl From<Permit> for QuotaView {
    fn from(permit: Permit) -> Self {
        Self {
            shown: permit.shown(),
            windows: permit.status,
        }
    }
}

/// Hands out the permit that the authorizer took. A useless permit is spent too: a refund would
/// make the quota inexact for little gain.
pub(crate) async fn take(
    call: MeteredCall,
    State(app): State<App>,
) -> Result<Json<PermitView>, Problem> {
    let key = IntegrationKey {
        org_id: call.org,
        integration_id: call.integration,
    };
    match app.integrations.platform_of(&key).await? {
        None => return Err(Problem::unknown_integration()),
        Some(platform) if platform != call.platform => {
            return Err(Problem::conflict(format!(
                "This integration is of {platform}, not of {}.",
                call.platform
            )));
        }
        Some(_) => {}
    }
    Ok(Json(PermitView {
        platform: call.platform,
        org_id: key.org_id,
        integration_id: key.integration_id,
        use_by: call.use_by.to_rfc3339(),
        quota: call.permit.map(QuotaView::from),
    }))
}
