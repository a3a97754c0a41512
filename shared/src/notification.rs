//! What one person reads about one alert.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::alert::{Alert, Kind};
use crate::lapse::Severity;
use crate::{OrgId, UserId};

/// How long a notification is kept.
const KEPT: TimeDelta = TimeDelta::days(90);

/// A notification, as one row of the notifications table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    /// Whose it is.
    pub user_id: UserId,
    /// `{org_id}#{id}`: a person's notifications of one organisation lie
    /// together, in the order of time. See [`Notification::id`].
    pub notification_id: String,
    /// The organisation it is about.
    pub org_id: OrgId,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// One line.
    pub title: String,
    /// What happened and what to do.
    pub message: String,
    /// The same for machines.
    pub data: serde_json::Value,
    /// How pressing it is.
    pub severity: Severity,
    /// Whether its reader has seen it.
    pub is_read: bool,
    /// Where the reader can do something about it.
    pub action_url: String,
    /// When what it tells of began.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub created_at: DateTime<Utc>,
    /// When DynamoDB deletes it.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub ttl: DateTime<Utc>,
}

/// The sort key of a notification.
#[must_use]
pub fn sort_key(org: &OrgId, id: &str) -> String {
    format!("{org}#{id}")
}

impl Notification {
    /// Its id within its reader's notifications of one organisation: sorts by
    /// time, derived from the alert alone, so that an alert delivered twice
    /// makes one notification.
    #[must_use]
    pub fn id(&self) -> &str {
        self.notification_id
            .rsplit_once('#')
            .map_or(self.notification_id.as_str(), |(_, id)| id)
    }

    /// What `user` reads about `alert`.
    #[must_use]
    pub fn new(user: &UserId, alert: &Alert, now: DateTime<Utc>) -> Self {
        let (title, message) = words(alert);
        let mut data = json!({
            "integration_id": alert.integration_id,
            "platform": alert.platform,
            "username": alert.username,
        });
        if alert.kind == Kind::TokenRefreshed {
            data["new_expires_at"] = json!(alert.expires_at);
        } else {
            data["expires_at"] = json!(alert.expires_at);
            data["days_until_expiry"] = json!(alert.days_until_expiry);
            data["severity"] = json!(alert.severity);
        }
        if let Some(reason) = &alert.reason {
            data["reason"] = json!(reason);
        }
        let id = format!("{:012}-{}", alert.occurred_at.timestamp(), alert.alert_id);
        Self {
            user_id: user.clone(),
            notification_id: sort_key(&alert.org_id, &id),
            org_id: alert.org_id.clone(),
            kind: alert.kind,
            title,
            message,
            data,
            severity: alert.severity,
            is_read: false,
            action_url: alert.action_url.clone(),
            created_at: alert.occurred_at,
            ttl: now + KEPT,
        }
    }
}

/// The title names the platform, the urgency and the time left; the message
/// names the account and says what to do.
fn words(alert: &Alert) -> (String, String) {
    let Alert {
        platform_name,
        username,
        ..
    } = alert;
    let reason = alert.reason.as_deref().unwrap_or_default();
    match alert.kind {
        Kind::TokenExpiring => {
            let urgency = match alert.severity {
                Severity::Critical => "Critical: ",
                Severity::Urgent => "Urgent: ",
                _ => "",
            };
            let left = left(alert.days_until_expiry.unwrap_or_default());
            (
                format!("{urgency}{platform_name} connection expires {left}"),
                format!(
                    "The {platform_name} connection of {username} stops working {left}. \
                     Reconnect the account before then."
                ),
            )
        }
        Kind::TokenExpired => (
            format!("Expired: {platform_name} connection no longer works"),
            format!(
                "The {platform_name} connection of {username} has expired. \
                 Reconnect the account to use it again."
            ),
        ),
        Kind::TokenRefreshed => (
            format!("{platform_name} connection renewed"),
            format!(
                "The {platform_name} connection of {username} was renewed automatically. \
                 There is nothing to do."
            ),
        ),
        Kind::ReconnectRequired => (
            format!("Critical: {platform_name} connection must be reconnected"),
            format!(
                "The {platform_name} connection of {username} can no longer be renewed: {reason}. \
                 Reconnect the account."
            ),
        ),
        Kind::PlatformActionRequired => (
            format!("Critical: {platform_name} needs you to act"),
            format!("The {platform_name} connection of {username} is blocked: {reason}."),
        ),
        Kind::PermissionLost => (
            format!("{platform_name} connection lost a permission"),
            format!(
                "The {platform_name} connection of {username} may no longer do everything \
                 it should ({reason}). Reconnect the account and allow what it asks for."
            ),
        ),
    }
}

/// Time left, from days to one decimal: "in 2 days", "in 5 hours", "within the hour".
fn left(days: f64) -> String {
    let hours = days * 24.0;
    if days >= 1.0 {
        let days = days.floor();
        format!("in {days} day{}", if days < 2.0 { "" } else { "s" })
    } else if hours >= 2.0 {
        format!("in {} hours", hours.floor())
    } else {
        "in less than 2 hours".to_owned()
    }
}
