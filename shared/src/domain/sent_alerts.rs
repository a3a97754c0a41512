//! The alerts that were sent about an integration, as its row keeps them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::encoding::seconds;
use crate::domain::severity::Severity;

/// Records the last sent alert of each kind, and a pending recovery.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentAlerts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<SentThreshold>,
    /// The alerted state began at this instant.
    #[serde(with = "seconds", default, skip_serializing_if = "Option::is_none")]
    pub state_since: Option<DateTime<Utc>>,
    /// The alerted loss of permissions happened at this instant.
    #[serde(with = "seconds", default, skip_serializing_if = "Option::is_none")]
    pub permission_lost_at: Option<DateTime<Utc>>,
    /// The alert of this recovery is pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentThreshold {
    /// The alert is about this expiry.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub reconnect_by: DateTime<Utc>,
    /// Never [`Severity::Info`].
    pub threshold: Severity,
}

/// A refresh or reconnect that people should hear of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    #[serde(with = "chrono::serde::ts_seconds")]
    pub at: DateTime<Utc>,
    /// The recovery ended this expiry.
    #[serde(with = "seconds", default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<DateTime<Utc>>,
}
