//! The message that goes out when something happens to an integration.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::alert_policy::PendingAlert;
use crate::domain::integration::Integration;
use crate::domain::severity::Severity;
use crate::{IntegrationId, OrgId, Platform, UserId, domain::digest, domain::time_left};

/// The version of [`Alert`]'s JSON.
pub const SCHEMA: u32 = 1;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AlertKind {
    /// It will stop working unless a person acts.
    #[serde(rename = "integration_token_expiring")]
    TokenExpiring,
    /// It expired.
    #[serde(rename = "integration_token_expired")]
    TokenExpired,
    /// It is safe again.
    #[serde(rename = "integration_token_refreshed")]
    TokenRefreshed,
    /// Its grant is dead.
    #[serde(rename = "integration_reconnect_required")]
    ReconnectRequired,
    /// It waits for its owner to act on the platform.
    #[serde(rename = "integration_platform_action_required")]
    PlatformActionRequired,
    /// It lost permissions.
    #[serde(rename = "integration_permission_lost")]
    PermissionLost,
}

/// An alert, published as JSON, with `kind`, `severity`, `platform` and
/// `org_id` as message attributes to filter on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The version of this format: [`SCHEMA`].
    pub schema: u32,
    /// The same however often the alert is published.
    pub alert_id: String,
    /// What happened.
    pub kind: AlertKind,
    /// How pressing it is.
    pub severity: Severity,
    /// The organisation.
    pub org_id: OrgId,
    /// The integration.
    pub integration_id: IntegrationId,
    /// Its platform.
    pub platform: Platform,
    /// The platform's name, as people know it.
    pub platform_name: String,
    /// The account's name.
    pub username: String,
    /// Who made the integration, and hears of it whatever becomes of its row.
    pub created_by: UserId,
    /// When the integration ends; after a recovery, when its new token does.
    pub expires_at: Option<DateTime<Utc>>,
    /// Days until then when this was published, to one decimal; negative when past.
    pub days_until_expiry: Option<f64>,
    /// Why, in words, where there is more to say.
    pub reason: Option<String>,
    /// Where the reader can do something about it.
    pub action_url: String,
    /// When the threshold or state began: never the time of publishing.
    pub occurred_at: DateTime<Utc>,
}

impl AlertKind {
    /// Its name, as serialised.
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

/// The page of an integration.
#[must_use]
pub fn integration_url(org: &OrgId, integration: &IntegrationId) -> String {
    format!("/dashboard/{org}/integrations/{integration}")
}

/// The page on which a person reconnects an integration.
#[must_use]
pub fn reconnect_url(org: &OrgId, integration: &IntegrationId) -> String {
    format!("{}/reconnect", integration_url(org, integration))
}

impl Alert {
    /// Words a pending alert that holds since `occurred_at`.
    #[must_use]
    pub fn new(
        of: &Integration,
        what: &PendingAlert,
        occurred_at: DateTime<Utc>,
        now: DateTime<Utc>,
    ) -> Self {
        let (kind, severity, expires_at, expiry, reason) = match what {
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
                of.expiry.access_token,
                Some(occurred_at),
                Some(reason.to_string()),
            ),
            PendingAlert::PlatformActionRequired { action } => (
                AlertKind::PlatformActionRequired,
                Severity::Critical,
                of.expiry.access_token,
                Some(occurred_at),
                Some(action.to_string()),
            ),
            PendingAlert::Refreshed { expiry } => (
                AlertKind::TokenRefreshed,
                Severity::Info,
                of.expiry.access_token,
                *expiry,
                None,
            ),
            PendingAlert::PermissionLost => (
                AlertKind::PermissionLost,
                Severity::Warning,
                of.reconnect_by,
                Some(occurred_at),
                Some(if of.permissions.missing.is_empty() {
                    "the platform refuses for want of a permission".to_owned()
                } else {
                    format!("missing: {}", of.permissions.missing.join(", "))
                }),
            ),
        };
        let action_url = match kind {
            AlertKind::TokenRefreshed => integration_url(&of.org_id, &of.integration_id),
            _ => reconnect_url(&of.org_id, &of.integration_id),
        };
        let expiry = expiry.map_or_else(String::new, |at| at.timestamp().to_string());
        Self {
            schema: SCHEMA,
            alert_id: digest::hex128(&[
                of.org_id.as_str(),
                of.integration_id.as_str(),
                kind.name(),
                &expiry,
                severity.name(),
            ]),
            kind,
            severity,
            org_id: of.org_id.clone(),
            integration_id: of.integration_id.clone(),
            platform: of.platform,
            platform_name: of.platform.display_name().to_owned(),
            username: of.account.username.clone(),
            created_by: of.created_by.clone(),
            expires_at,
            days_until_expiry: expires_at.map(|at| time_left::days_until(at, now)),
            reason,
            action_url,
            occurred_at,
        }
    }
}
