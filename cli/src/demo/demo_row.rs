//! One integration in the table of the demo.

use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::Platform;
use shared::domain::integration::Integration;
use shared::domain::state_message;
use shared::domain::time_left::humanly;

#[derive(Debug, Serialize)]
pub(crate) struct DemoRow {
    integration_id: String,
    platform: Platform,
    username: String,
    state: String,
    reconnect_by: Option<DateTime<Utc>>,
    next_action_at: Option<DateTime<Utc>>,
    /// The title of the owner's latest notification about it.
    last_notification: Option<String>,
}

impl DemoRow {
    pub(super) fn new(
        row: &Integration,
        last_notification: Option<String>,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            integration_id: row.integration_id.to_string(),
            platform: row.platform,
            username: row.account.username.clone(),
            state: state_message::label(row, now),
            reconnect_by: row.reconnect_by,
            next_action_at: row.next_action_at,
            last_notification,
        }
    }

    pub(super) const HEADER: [&str; 6] = [
        "Platform",
        "Account",
        "State",
        "Expires",
        "Next action",
        "Olga's last notification",
    ];

    pub(super) fn cells(&self, now: DateTime<Utc>) -> [String; 6] {
        let expires = self.reconnect_by.map(|at| humanly(at, now));
        let next_action = self.next_action_at.map(|at| {
            if at <= now {
                "now".to_owned()
            } else {
                humanly(at, now)
            }
        });
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        [
            self.platform.display_name().to_owned(),
            self.username.clone(),
            self.state.clone(),
            or_dash(expires),
            or_dash(next_action),
            or_dash(self.last_notification.clone()),
        ]
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn cells(changes: Value) -> [String; 6] {
        let mut row = json!({
            "org_id": "demo", "integration_id": "1", "platform": "google", "username": "ads",
            "account_id": "1", "created_by": "ian", "version": 1, "generation": 1, "grant": 1,
            "granted_at": NOW, "state": {"kind": "active"},
        });
        for (name, value) in changes.as_object().unwrap() {
            row[name] = value.clone();
        }
        let mut row: Integration = serde_json::from_value(row).unwrap();
        let now = DateTime::from_timestamp(NOW, 0).unwrap();
        row.derive_index_keys(now);
        DemoRow::new(&row, None, now).cells(now)
    }

    #[test]
    fn what_is_overdue_is_looked_at_now() {
        let due = cells(json!({"access_expires_at": NOW - 60}));
        assert_eq!(due[4], "now");
        assert_eq!(cells(json!({}))[4], "-");
    }
}
