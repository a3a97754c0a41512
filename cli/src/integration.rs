//! An integration as it is named on the command line.

use shared::IntegrationKey;
use shared::{IntegrationId, OrgId};

/// Reads `ORG/INTEGRATION`.
pub(crate) fn integration(text: &str) -> Result<IntegrationKey, String> {
    let (org_id, integration_id) = text
        .split_once('/')
        .ok_or("it must be the organisation's id and the integration's, as in acme/7f0c")?;
    Ok(IntegrationKey {
        org_id: OrgId::new(org_id).map_err(|e| e.to_string())?,
        integration_id: IntegrationId::new(integration_id).map_err(|e| e.to_string())?,
    })
}
