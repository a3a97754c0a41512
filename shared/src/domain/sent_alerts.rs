//! The alerts that were sent about an integration, as its row keeps them.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::encoding::seconds;
use crate::domain::severity::Severity;

/// The last alert of each kind that was sent, and a recovery that is pending.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentAlerts {
    /// The last threshold that was alerted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<SentThreshold>,
    /// Since when the state lasted that was alerted.
    #[serde(with = "seconds", default, skip_serializing_if = "Option::is_none")]
    pub state_since: Option<DateTime<Utc>>,
    /// When the permissions were lost whose loss was alerted.
    #[serde(with = "seconds", default, skip_serializing_if = "Option::is_none")]
    pub permission_lost_at: Option<DateTime<Utc>>,
    /// A recovery whose alert is pending.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<Recovery>,
}

/// A threshold that was alerted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentThreshold {
    /// The expiry that it is about.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub reconnect_by: DateTime<Utc>,
    /// Never [`Severity::Info`].
    pub threshold: Severity,
}

/// A refresh or reconnect that people should hear of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recovery {
    /// When it happened.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub at: DateTime<Utc>,
    /// The expiry that it ended.
    #[serde(with = "seconds", default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<DateTime<Utc>>,
}
