//! What a quota is counted for.

use std::fmt;

use crate::{IntegrationId, OrgId, Platform};

/// One integration's quota at one platform. The organisation is part of it, so
/// no caller can spend another's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct QuotaKey {
    platform: Platform,
    org_id: OrgId,
    integration_id: IntegrationId,
}

impl QuotaKey {
    /// The quota of this integration.
    #[must_use]
    pub const fn new(platform: Platform, org_id: OrgId, integration_id: IntegrationId) -> Self {
        Self {
            platform,
            org_id,
            integration_id,
        }
    }

    /// The platform.
    #[must_use]
    pub const fn platform(&self) -> Platform {
        self.platform
    }
}

impl fmt::Display for QuotaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}#{}#{}",
            self.platform, self.org_id, self.integration_id
        )
    }
}
