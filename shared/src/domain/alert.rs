//! The alert: the message on SNS that something about an integration must be known.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::alert_policy::PendingAlert;
use crate::domain::integration::Integration;
use crate::domain::severity::Severity;
use crate::{IntegrationId, OrgId, Platform, UserId, domain::digest, domain::time_left};

/// The version of the JSON of an [`Alert`].
pub const SCHEMA: u32 = 1;

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
pub enum AlertKind {
    /// The integration will stop working unless a person acts.
    #[serde(rename = "integration_token_expiring")]
    TokenExpiring,
    /// `reconnect_by` has passed.
    #[serde(rename = "integration_token_expired")]
    TokenExpired,
    /// The integration is safe again: a recovery.
    #[serde(rename = "integration_token_refreshed")]
    TokenRefreshed,
    /// The grant is dead.
    #[serde(rename = "integration_reconnect_required")]
    ReconnectRequired,
    /// The grant waits for its owner to act on the platform.
    #[serde(rename = "integration_platform_action_required")]
    PlatformActionRequired,
    #[serde(rename = "integration_permission_lost")]
    PermissionLost,
}

/// An alert, published as JSON, with `kind`, `severity`, `platform` and
/// `org_id` as message attributes to filter on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// Always [`SCHEMA`].
    pub schema: u32,
    /// Derived from what the alert is about, so that it is the same however often it is
    /// published.
    pub alert_id: String,
    pub kind: AlertKind,
    pub severity: Severity,
    pub org_id: OrgId,
    /// Unique within the organisation.
    pub integration_id: IntegrationId,
    pub platform: Platform,
    /// The name of the platform, as people know it.
    pub platform_name: String,
    /// The name of the account on the platform.
    pub username: String,
    /// This user made the integration, and hears of it even if it is deleted meanwhile.
    pub created_by: UserId,
    /// The end of the integration; after a recovery, the end of its new token.
    pub expires_at: Option<DateTime<Utc>>,
    /// Days from publication to `expires_at`, to one decimal; negative when past.
    pub days_until_expiry: Option<f64>,
    /// The reason in words, where the kind does not say enough.
    pub reason: Option<String>,
    /// Leads to the page on which the reader can act.
    pub action_url: String,
    /// The threshold or state began at this instant, never the time of publishing.
    pub occurred_at: DateTime<Utc>,
}

impl AlertKind {
    /// Returns the serialised name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::TokenExpiring => "integration_token_expiring",
            Self::TokenExpired => "integration_token_expired",
            Self::TokenRefreshed => "integration_token_refreshed",
            Self::ReconnectRequired => "integration_reconnect_required",
            Self::PlatformActionRequired => "integration_platform_action_required",
            Self::PermissionLost => "integration_permission_lost",
        }
    }
}

/// Returns the path of an integration's page.
#[must_use]
pub fn integration_url(org: &OrgId, integration: &IntegrationId) -> String {
    format!("/dashboard/{org}/integrations/{integration}")
}

/// Returns the path of the page on which a person reconnects an integration.
#[must_use]
pub fn reconnect_url(org: &OrgId, integration: &IntegrationId) -> String {
    format!("{}/reconnect", integration_url(org, integration))
}

impl Alert {
    /// Makes the alert for what is pending about `row` since `occurred_at`.
    #[must_use]
    pub fn new(
        row: &Integration,
        pending: &PendingAlert,
        occurred_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Self {
        let (kind, severity, expires_at, expiry, reason) = match pending {
            PendingAlert::Expiry {
                reconnect_by,
                threshold: Severity::Expired,
            } => (
                AlertKind::TokenExpired,
                Severity::Expired,
                Some(*reconnect_by),
                Some(*reconnect_by),
                None,
            ),
            PendingAlert::Expiry {
                reconnect_by,
                threshold,
            } => (
                AlertKind::TokenExpiring,
                *threshold,
                Some(*reconnect_by),
                Some(*reconnect_by),
                None,
            ),
            PendingAlert::ReconnectRequired { reason } => (
                AlertKind::ReconnectRequired,
                Severity::Critical,
                row.expiry.access_token,
                Some(occurred_at),
                Some(reason.to_string()),
            ),
            PendingAlert::PlatformActionRequired { action } => (
                AlertKind::PlatformActionRequired,
                Severity::Critical,
                row.expiry.access_token,
                Some(occurred_at),
                Some(action.to_string()),
            ),
            PendingAlert::Refreshed { expiry } => (
                AlertKind::TokenRefreshed,
                Severity::Info,
                row.expiry.access_token,
                *expiry,
                None,
            ),
            PendingAlert::PermissionLost => (
                AlertKind::PermissionLost,
                Severity::Warning,
                row.reconnect_by,
                Some(occurred_at),
                Some(if row.permissions.missing.is_empty() {
                    "the platform refuses for want of a permission".to_owned()
                } else {
                    format!("missing: {}", row.permissions.missing.join(", "))
                }),
            ),
        };
        let action_url = match kind {
            AlertKind::TokenRefreshed => integration_url(&row.org_id, &row.integration_id),
            _ => reconnect_url(&row.org_id, &row.integration_id),
        };
        let expiry = expiry.map_or_else(String::new, |at| at.timestamp().to_string());
        Self {
            schema: SCHEMA,
            alert_id: digest::hex128(&[
                row.org_id.as_str(),
                row.integration_id.as_str(),
                kind.name(),
                &expiry,
                severity.name(),
            ]),
            kind,
            severity,
            org_id: row.org_id.clone(),
            integration_id: row.integration_id.clone(),
            platform: row.platform,
            platform_name: row.platform.display_name().to_owned(),
            username: row.account.username.clone(),
            created_by: row.created_by.clone(),
            expires_at,
            days_until_expiry: expires_at.map(|at| time_left::days_until(at, now)),
            reason,
            action_url,
            occurred_at,
        }
    }
}
