//! The key for which a quota is counted.

use std::fmt;

use crate::{IntegrationId, IntegrationKey, OrgId, Platform};

/// One integration's quota at one platform. The organisation is part of the key, so no caller
/// can spend another's quota.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct QuotaKey {
    platform: Platform,
    org_id: OrgId,
    integration_id: IntegrationId,
}

impl QuotaKey {
    #[must_use]
    pub const fn new(platform: Platform, org_id: OrgId, integration_id: IntegrationId) -> Self {
        Self {
            platform,
            org_id,
            integration_id,
        }
    }

    #[must_use]
    pub const fn platform(&self) -> Platform {
        self.platform
    }

    /// Returns the segments of a URL path that name the key: `meta/acme/7`.
    #[must_use]
    pub fn path(&self) -> String {
        format!(
            "{}/{}/{}",
            self.platform,
            self.org_id.path_segment(),
            self.integration_id.path_segment()
        )
    }
}

impl From<&QuotaKey> for IntegrationKey {
    fn from(key: &QuotaKey) -> Self {
        Self {
            org_id: key.org_id.clone(),
            integration_id: key.integration_id.clone(),
        }
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

/// The key of our application's own item at a platform, whose block closes every quota there. No
/// quota's key equals it: those begin with a platform's name, and no platform is called
/// `application`.
pub(crate) fn application_key(platform: Platform) -> String {
    format!("application#{platform}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_platform_is_called_application() {
        for platform in Platform::ALL {
            assert_ne!(platform.name(), "application");
            assert_eq!(application_key(platform), format!("application#{platform}"));
        }
    }
}
