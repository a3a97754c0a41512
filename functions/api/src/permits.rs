//! Permits: the caller will call the platform itself.

use serde::Serialize;
use shared::IntegrationKey;
use shared::aws::tables::IntegrationsTable;
use shared::domain::quota::{self, QuotaStatus, WindowStatus};
use shared::{IntegrationId, OrgId, Platform};

use crate::metered::Metered;
use crate::problem::Problem;

/// One call to the platform, made before `use_by`. Where the quota store did
/// not answer and the deployment lets calls pass then, there are no numbers.
#[derive(Debug, Serialize)]
pub(crate) struct Permit {
    platform: Platform,
    org_id: OrgId,
    integration_id: IntegrationId,
    use_by: String,
    #[serde(flatten)]
    quota: Option<Quota>,
}

/// How a quota stands, as every answer shows it: one window's numbers, and both
/// windows by name.
#[derive(Debug, Serialize)]
pub(crate) struct Quota {
    #[serde(flatten)]
    shown: WindowStatus,
    #[serde(flatten)]
    windows: QuotaStatus,
}

/// Where nobody took a permit.
impl From<QuotaStatus> for Quota {
    fn from(windows: QuotaStatus) -> Self {
        Self {
            shown: windows.shown(),
            windows,
        }
    }
}

impl From<quota::Permit> for Quota {
    fn from(permit: quota::Permit) -> Self {
        Self {
            shown: permit.shown(),
            windows: permit.status,
        }
    }
}

/// Hands out the permit that the authorizer took. It is spent even where it is
/// of no use: a refund would break exactness for little.
pub(crate) async fn hand_out(
    integrations: &IntegrationsTable,
    metered: Metered,
) -> Result<Permit, Problem> {
    let key = IntegrationKey {
        org_id: metered.org,
        integration_id: metered.integration,
    };
    match integrations.platform_of(&key).await? {
        None => return Err(unknown_integration()),
        Some(platform) if platform != metered.platform => {
            return Err(Problem::conflict(format!(
                "This integration is of {platform}, not of {}.",
                metered.platform
            )));
        }
        Some(_) => {}
    }
    Ok(Permit {
        platform: metered.platform,
        org_id: key.org_id,
        integration_id: key.integration_id,
        use_by: metered.use_by.to_rfc3339(),
        quota: metered.permit.map(Quota::from),
    })
}

pub(crate) fn unknown_integration() -> Problem {
    Problem::not_found("The organisation has no such integration.")
}
