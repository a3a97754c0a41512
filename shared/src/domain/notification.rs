//! The notification: what one person reads about one alert.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::domain::alert::{Alert, AlertKind};
use crate::domain::severity::Severity;
use crate::{OrgId, UserId};

const RETENTION: TimeDelta = TimeDelta::days(90);

/// A notification is one row of the notifications table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notification {
    pub user_id: UserId,
    /// `{org_id}#{id}` keeps a person's notifications of one organisation together, in the order of
    /// time. See [`Notification::id`].
    pub notification_id: String,
    pub org_id: OrgId,
    #[serde(rename = "type")]
    pub kind: AlertKind,
    /// The title fits on one line.
    pub title: String,
    /// Says what happened and what to do.
    pub message: String,
    /// Carries the same facts for machines.
    pub data: serde_json::Value,
    pub severity: Severity,
    pub is_read: bool,
    /// Leads to the page on which the reader can act.
    pub action_url: String,
    /// The alert's threshold or state began at this instant.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub created_at: DateTime<Utc>,
    /// DynamoDB deletes the row after this instant.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub ttl: DateTime<Utc>,
}

#[must_use]
pub fn sort_key(org: &OrgId, id: &str) -> String {
    format!("{org}#{id}")
}

impl Notification {
    /// Returns the id within the reader's notifications of one organisation. Ids sort by time. They
    /// derive from the alert alone, so an alert delivered twice makes one notification.
    #[must_use]
    pub fn id(&self) -> &str {
        self.notification_id
            .rsplit_once('#')
            .map_or(self.notification_id.as_str(), |(_, id)| id)
    }

    /// Puts `alert` into words for `user`.
    #[must_use]
    pub fn new(user: &UserId, alert: &Alert, now: DateTime<Utc>) -> Self {
        let (title, message) = words(alert, now);
        let mut data = json!({
            "integration_id": alert.integration_id,
            "platform": alert.platform,
            "username": alert.username,
        });
        if alert.kind == AlertKind::TokenRefreshed {
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
            ttl: now + RETENTION,
        }
    }
}

/// The title names the platform, the urgency and the time left; the message
/// names the account and says what to do.
fn words(alert: &Alert, now: DateTime<Utc>) -> (String, String) {
    let Alert {
        platform_name,
        username,
        ..
    } = alert;
    let reason = alert.reason.as_deref().unwrap_or_default();
    match alert.kind {
        AlertKind::TokenExpiring => {
            let urgency = match alert.severity {
                Severity::Critical => "Critical: ",
                Severity::Urgent => "Urgent: ",
                _ => "",
            };
            let left = alert
                .expires_at
                .map_or_else(|| "soon".to_owned(), |end| left(end, now));
            (
                format!("{urgency}{platform_name} connection expires {left}"),
                format!(
                    "The {platform_name} connection of {username} stops working {left}. \
                     Reconnect the account before then."
                ),
            )
        }
        AlertKind::TokenExpired => (
            format!("Expired: {platform_name} connection no longer works"),
            format!(
                "The {platform_name} connection of {username} has expired. \
                 Reconnect the account to use it again."
            ),
        ),
        AlertKind::TokenRefreshed => (
            format!("{platform_name} connection renewed"),
            format!(
                "The {platform_name} connection of {username} was renewed. There is nothing to do."
            ),
        ),
        AlertKind::ReconnectRequired => (
            format!("Critical: {platform_name} connection must be reconnected"),
            format!(
                "The {platform_name} connection of {username} can no longer be renewed: {reason}. \
                 Reconnect the account."
            ),
        ),
        AlertKind::PlatformActionRequired => (
            format!("Critical: {platform_name} needs you to act"),
            format!("The {platform_name} connection of {username} is blocked: {reason}."),
        ),
        AlertKind::PermissionLost => (
            format!("{platform_name} connection lost a permission"),
            format!(
                "The {platform_name} connection of {username} may no longer do everything \
                 it should ({reason}). Reconnect the account and allow what it asks for."
            ),
        ),
    }
}

/// Returns the time left, to the nearest hour, and beyond a day in full days.
fn left(until: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let hours = ((until - now).num_minutes() + 30) / 60;
    match hours {
        ..2 => "in less than 2 hours".to_owned(),
        2..24 => format!("in {hours} hours"),
        24..48 => "in 1 day".to_owned(),
        _ => format!("in {} days", hours / 24),
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn time_left_is_not_overstated() {
        let now = DateTime::UNIX_EPOCH;
        for (minutes, words) in [
            (-5, "in less than 2 hours"),
            (59, "in less than 2 hours"),
            (22 * 60 + 31, "in 23 hours"),
            (24 * 60 - 1, "in 1 day"),
            (36 * 60, "in 1 day"),
            (48 * 60 - 1, "in 2 days"),
            (7 * 24 * 60, "in 7 days"),
        ] {
            assert_eq!(
                left(now + TimeDelta::minutes(minutes), now),
                words,
                "{minutes}"
            );
        }
    }
}
