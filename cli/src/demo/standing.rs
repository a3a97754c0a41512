//! How an integration stands, in the words of the table.

use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::Platform;
use shared::domain::integration::{Integration, RetryReason, State};
use shared::domain::severity::{Severity, WarningWindow};
use shared::domain::time_left::humanly;
use shared::domain::verdict::{PlatformAction, ReconnectReason};
use shared::platforms::catalog::RefreshModel;

/// One row of the table.
#[derive(Debug, Serialize)]
pub(crate) struct Standing {
    integration_id: String,
    platform: Platform,
    username: String,
    state: String,
    reconnect_by: Option<DateTime<Utc>>,
    next_action_at: Option<DateTime<Utc>>,
    /// The title of the owner's latest notification about it.
    last_told: Option<String>,
}

impl Standing {
    pub(super) fn of(row: &Integration, last_told: Option<String>, now: DateTime<Utc>) -> Self {
        Self {
            integration_id: row.integration_id.to_string(),
            platform: row.platform,
            username: row.account.username.clone(),
            state: state(row, now),
            reconnect_by: row.reconnect_by,
            next_action_at: row.next_action_at,
            last_told,
        }
    }

    pub(super) const HEADER: [&str; 6] = [
        "Platform",
        "Account",
        "State",
        "Expires",
        "Next look",
        "Olga was last told",
    ];

    pub(super) fn cells(&self, now: DateTime<Utc>) -> [String; 6] {
        let expires = self.reconnect_by.map(|at| humanly(at, now));
        let attention = self.next_action_at.map(|at| {
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
            or_dash(attention),
            or_dash(self.last_told.clone()),
        ]
    }
}

/// Short: the notification has room for reasons and advice.
fn state(row: &Integration, now: DateTime<Utc>) -> String {
    match &row.state {
        State::Active => active(row, now),
        State::Retrying { reason, .. } => format!("retrying: {}", failure(*reason)),
        State::ReconnectRequired { reason, .. } => format!("reconnect: {}", death(*reason)),
        State::PlatformActionRequired { action, .. } => format!("act first: {}", demand(*action)),
        State::Disconnected { .. } => "disconnected".to_owned(),
    }
}

fn active(row: &Integration, now: DateTime<Utc>) -> String {
    let on = row
        .reconnect_by
        .and_then(|at| Severity::of(at, now, WarningWindow::default()));
    match on {
        Some(Severity::Expired) => "expired".to_owned(),
        Some(severity) => format!("expiring: {}", severity.name()),
        None if !row.permissions.missing.is_empty() => "alive, lost a permission".to_owned(),
        None if row.is_proven(now) => "healthy, renews itself".to_owned(),
        None if !row.is_monitored(now) => "not monitored".to_owned(),
        None if row.refresh_model() == RefreshModel::None && row.reconnect_by.is_none() => {
            "no end, asked about daily".to_owned()
        }
        None => "healthy".to_owned(),
    }
}

const fn failure(reason: RetryReason) -> &'static str {
    match reason {
        RetryReason::Transient => "platform failed",
        RetryReason::Throttled => "asked to wait",
        RetryReason::Refused => "refused once",
        RetryReason::InDoubt => "in doubt: an answer was lost",
    }
}

const fn death(reason: ReconnectReason) -> &'static str {
    match reason {
        ReconnectReason::GrantRefused => "refused twice",
        ReconnectReason::Expired => "expired",
        ReconnectReason::Revoked => "withdrawn",
        ReconnectReason::AppRemoved => "app removed",
        ReconnectReason::RotationLost => "rotation lost",
        ReconnectReason::CredentialDamaged => "stored token damaged",
        ReconnectReason::PasswordChanged => "password changed",
        ReconnectReason::Inactive => "unused too long",
    }
}

const fn demand(action: PlatformAction) -> &'static str {
    match action {
        PlatformAction::LogIn => "log in there",
        PlatformAction::ConfirmAccount => "confirm account",
        PlatformAction::AdministratorPolicy => "sign in again",
        PlatformAction::AdministratorApproval => "ask the admin",
        PlatformAction::AccountProtection => "change protection",
        PlatformAction::StrongerSignIn => "stronger sign-in",
        PlatformAction::Enrol => "enrol there",
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
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
        row.settle(now);
        Standing::of(&row, None, now).cells(now)
    }

    #[test]
    fn a_state_is_said_in_a_few_words() {
        let in_hours = |hours| NOW + TimeDelta::hours(hours).num_seconds();
        for (changes, state, expires) in [
            (
                json!({"access_token": [1]}),
                "no end, asked about daily",
                "-",
            ),
            (
                json!({"access_token": [1], "probed_at": NOW, "alive_at": in_hours(-72)}),
                "not monitored",
                "-",
            ),
            (json!({"renewed_at": NOW}), "healthy, renews itself", "-"),
            (
                json!({"access_expires_at": in_hours(60)}),
                "expiring: urgent",
                "in 2 days",
            ),
            (
                json!({"access_expires_at": in_hours(200)}),
                "healthy",
                "in 8 days",
            ),
            (
                json!({"access_expires_at": in_hours(-2)}),
                "expired",
                "2 hours ago",
            ),
            (
                json!({"missing_scopes": ["ads"]}),
                "alive, lost a permission",
                "-",
            ),
            (
                json!({"state": {"kind": "retrying", "failures": 1, "since": NOW,
                    "reason": "transient", "next_attempt_at": NOW + 60}}),
                "retrying: platform failed",
                "-",
            ),
            (
                json!({"state": {"kind": "reconnect_required", "reason": "revoked", "since": NOW}}),
                "reconnect: withdrawn",
                "-",
            ),
            (
                json!({"state": {"kind": "platform_action_required", "action": "log_in",
                    "since": NOW, "next_check_at": NOW + 60}}),
                "act first: log in there",
                "-",
            ),
            (
                json!({"state": {"kind": "disconnected", "since": NOW}}),
                "disconnected",
                "-",
            ),
        ] {
            let cells = cells(changes);
            assert_eq!((cells[2].as_str(), cells[3].as_str()), (state, expires));
            assert_eq!(
                (cells[0].as_str(), cells[1].as_str()),
                ("Google Ads", "ads")
            );
        }
    }

    #[test]
    fn what_is_overdue_is_looked_at_now() {
        let due = cells(json!({"access_expires_at": NOW - 60}));
        assert_eq!(due[4], "now");
        assert_eq!(cells(json!({}))[4], "-");
    }
}
