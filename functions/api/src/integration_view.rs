//! An integration as everybody in its organisation may see it: without its
//! tokens and its owner's metadata.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::domain::alert::{integration_url, reconnect_url};
use shared::domain::integration::{Integration, RetryReason, State};
use shared::domain::integration_status::{IntegrationStatus, alert_threshold};
use shared::domain::severity::Severity;
use shared::domain::state_message;
use shared::domain::verdict::{PlatformAction, ReconnectReason};
use shared::platforms::catalog::RefreshModel;
use shared::{IntegrationId, OrgId, Platform, UserId};
use utoipa::ToSchema;
use utoipa::openapi::{ObjectBuilder, Type};

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IntegrationView {
    integration_id: IntegrationId,
    platform: Platform,
    #[schema(examples("Google Ads"))]
    platform_name: &'static str,
    username: String,
    account_id: String,
    created_by: UserId,
    refresh_model: RefreshModel,
    status: IntegrationStatus,
    state: StateName,
    /// When the state began; absent while the integration is active.
    since: Option<DateTime<Utc>>,
    reason: Option<StateReason>,
    /// The state in words, and what to do.
    message: String,
    severity: Option<Severity>,
    access_expires_at: Option<DateTime<Utc>>,
    refresh_expires_at: Option<DateTime<Utc>>,
    data_access_expires_at: Option<DateTime<Utc>>,
    reconnect_by: Option<DateTime<Utc>>,
    /// When the next refresh or probe is due; in the past if it is overdue.
    next_attempt_at: Option<DateTime<Utc>>,
    /// Until when the platform asks us to wait, if it does.
    wait_until: Option<DateTime<Utc>>,
    next_action_at: Option<DateTime<Utc>>,
    /// Failures in a row.
    failures: u32,
    missing_scopes: Vec<String>,
    granted_at: DateTime<Utc>,
    renewed_at: Option<DateTime<Utc>>,
    url: String,
    reconnect_url: String,
}

/// An integration of whose row only the id can be read.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DamagedIntegration {
    integration_id: IntegrationId,
    status: IntegrationStatus,
    #[schema(schema_with = damaged_schema)]
    state: StateName,
    message: &'static str,
    url: String,
    reconnect_url: String,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum ShownIntegration {
    Readable(Box<IntegrationView>),
    Damaged(DamagedIntegration),
}

impl ShownIntegration {
    /// Returns when the grant came to us, if that can be read.
    pub(crate) fn granted_at(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Readable(view) => Some(view.granted_at),
            Self::Damaged(_) => None,
        }
    }
}

/// No other integration has this state, so that a reader can tell the two apart.
fn damaged_schema() -> ObjectBuilder {
    let name = ObjectBuilder::new().schema_type(Type::String);
    name.enum_values(Some([json!(StateName::Damaged)]))
}

impl DamagedIntegration {
    pub(crate) fn new(org: &OrgId, id: &IntegrationId) -> Self {
        Self {
            integration_id: id.clone(),
            status: IntegrationStatus::Broken,
            state: StateName::Damaged,
            message: "The stored integration cannot be read; reconnect the account.",
            url: integration_url(org, id),
            reconnect_url: reconnect_url(org, id),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StateName {
    Active,
    Retrying,
    ReconnectRequired,
    PlatformActionRequired,
    Disconnected,
    /// The row has no state that can be read.
    Damaged,
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
enum StateReason {
    Retry(RetryReason),
    Reconnect(ReconnectReason),
    Action(PlatformAction),
}

impl StateName {
    pub(crate) const fn from_state(state: &State) -> Self {
        match state {
            State::Active => Self::Active,
            State::Retrying { .. } => Self::Retrying,
            State::ReconnectRequired { .. } => Self::ReconnectRequired,
            State::PlatformActionRequired { .. } => Self::PlatformActionRequired,
            State::Disconnected { .. } => Self::Disconnected,
        }
    }
}

impl IntegrationView {
    pub(crate) fn new(row: &Integration, now: DateTime<Utc>) -> Self {
        let severity = alert_threshold(row, now);
        let (reason, failures) = match &row.state {
            State::Active | State::Disconnected { .. } => (None, 0),
            State::Retrying {
                reason, failures, ..
            } => (Some(StateReason::Retry(*reason)), *failures),
            State::ReconnectRequired { reason, .. } => (Some(StateReason::Reconnect(*reason)), 0),
            State::PlatformActionRequired { action, .. } => (Some(StateReason::Action(*action)), 0),
        };
        Self {
            integration_id: row.integration_id.clone(),
            platform: row.platform,
            platform_name: row.platform.display_name(),
            username: row.account.username.clone(),
            account_id: row.account.id.clone(),
            created_by: row.created_by.clone(),
            refresh_model: row.refresh_model(),
            status: IntegrationStatus::from_row(row, now),
            state: StateName::from_state(&row.state),
            since: row.state.since(),
            reason,
            message: state_message::sentences(row, now),
            // What only a person can mend has the severity of its alert.
            severity: match row.state {
                State::ReconnectRequired { .. } | State::PlatformActionRequired { .. } => {
                    severity.max(Some(Severity::Critical))
                }
                _ => severity,
            },
            access_expires_at: row.expiry.access_token,
            refresh_expires_at: row.expiry.refresh_token,
            data_access_expires_at: row.expiry.data_access,
            reconnect_by: row.reconnect_by(now),
            next_attempt_at: row.next_attempt_at(now),
            wait_until: match row.state {
                State::Retrying { wait_until, .. } => wait_until.filter(|until| *until > now),
                _ => None,
            },
            next_action_at: row.next_action_at,
            failures,
            missing_scopes: row.permissions.missing.clone(),
            granted_at: row.credential.granted_at,
            renewed_at: row.refresh.renewed_at,
            url: integration_url(&row.org_id, &row.integration_id),
            reconnect_url: reconnect_url(&row.org_id, &row.integration_id),
        }
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn shown(changes: Value) -> Value {
        let mut row = json!({
            "org_id": "acme", "integration_id": "7", "platform": "google", "username": "ads",
            "account_id": "1", "created_by": "ian", "version": 1, "generation": 1, "grant": 1,
            "granted_at": NOW - 3_600, "state": {"kind": "active"}, "access_token": [1],
            "metadata": r#"{"secret":"planted"}"#,
        });
        for (name, value) in changes.as_object().unwrap() {
            row[name] = value.clone();
        }
        let row: Integration = serde_json::from_value(row).unwrap();
        let now = DateTime::from_timestamp(NOW, 0).unwrap();
        serde_json::to_value(IntegrationView::new(&row, now)).unwrap()
    }

    #[test]
    fn a_view_is_the_one_that_matters_most() {
        let hours = |hours| NOW + TimeDelta::hours(hours).num_seconds();
        let retrying = |next: i64| {
            json!({"kind": "retrying", "failures": 3, "since": NOW - 60, "reason": "transient",
                "next_attempt_at": next})
        };
        let dead = json!({"kind": "reconnect_required", "reason": "revoked", "since": NOW});
        let held = json!({"kind": "platform_action_required", "action": "log_in",
            "since": NOW, "next_check_at": NOW + 60});
        let off = json!({"kind": "disconnected", "since": NOW});
        for (changes, status, severity, message) in [
            (
                json!({}),
                "healthy",
                None,
                "asked about once a day, the first time",
            ),
            (
                json!({"probed_at": NOW - 60, "alive_at": NOW - 60}),
                "healthy",
                None,
                "It works, Google Ads said so 1 minute ago; no end of it is known",
            ),
            (
                json!({"probed_at": NOW - 60, "alive_at": NOW - 3 * 86_400}),
                "not_monitored",
                None,
                "the platform has not said lately that it lives",
            ),
            (
                json!({"platform": "twitter"}),
                "not_monitored",
                None,
                "Not monitored: no end of it is known, and the platform has no free way to ask",
            ),
            (
                json!({"access_expires_at": hours(200)}),
                "healthy",
                None,
                "It works; it expires in 8 days.",
            ),
            (
                json!({"access_expires_at": hours(60)}),
                "expiring",
                Some("urgent"),
                "It expires in 2 days unless somebody reconnects it.",
            ),
            (
                json!({"access_expires_at": hours(-2)}),
                "broken",
                Some("expired"),
                "It expired 2 hours ago; reconnect it.",
            ),
            // Never tried, so due at once, even past its end.
            (
                json!({"access_expires_at": hours(-2), "refresh_token": [1], "granted_at": NOW}),
                "renewing",
                Some("expired"),
                "due or under way",
            ),
            (
                json!({"access_expires_at": hours(1), "refresh_token": [1],
                    "attempted_at": NOW, "renewed_at": NOW}),
                "healthy",
                None,
                "It renews itself.",
            ),
            // Two sweeps should have done it.
            (
                json!({"access_expires_at": hours(2), "refresh_token": [1], "granted_at": NOW - 900}),
                "failing",
                Some("critical"),
                "Its refresh was due 15 minutes ago and has not happened",
            ),
            (
                json!({"access_expires_at": hours(1), "refresh_token": [1], "renewed_at": NOW,
                    "attempted_at": NOW, "state": {"kind": "retrying", "failures": 0, "since": NOW,
                    "reason": "throttled", "next_attempt_at": NOW + 2_400, "wait_until": NOW + 2_400}}),
                "failing",
                None,
                "Google Ads asks us to wait until 08:40 UTC (in 40 minutes). It is tried again then, or",
            ),
            (
                json!({"access_expires_at": hours(1), "refresh_token": [1], "renewed_at": NOW,
                    "attempted_at": NOW, "state": {"kind": "retrying", "failures": 1, "since": NOW,
                    "reason": "in_doubt", "next_attempt_at": NOW + 60, "code": "http_200_html"}}),
                "failing",
                None,
                "Google Ads gave no clear answer (an HTML page with status 200)",
            ),
            (
                json!({"lease": {"attempt": "a", "until": NOW + 60}}),
                "renewing",
                None,
                "due or under way",
            ),
            (
                json!({"refresh_token": [1], "renewed_at": NOW, "attempted_at": NOW,
                    "access_expires_at": hours(1), "state": retrying(NOW + 300)}),
                "failing",
                None,
                "It is tried again in 5 minutes.",
            ),
            (
                json!({"access_expires_at": hours(-2), "attempted_at": NOW, "refresh_token": [1],
                    "state": retrying(NOW)}),
                "broken",
                Some("expired"),
                "tried again now. It has expired meanwhile",
            ),
            (
                json!({"access_expires_at": hours(200), "state": dead}),
                "broken",
                Some("critical"),
                "Reconnect it: access was withdrawn.",
            ),
            (
                json!({"access_expires_at": hours(-1), "state": dead}),
                "broken",
                Some("expired"),
                "Reconnect it",
            ),
            (
                json!({"state": held}),
                "broken",
                Some("critical"),
                "Log in on the platform itself first",
            ),
            (
                json!({"state": off}),
                "disconnected",
                None,
                "its tokens are erased",
            ),
            (
                // Also where the platform did not say which.
                json!({"permission_lost_at": NOW}),
                "healthy",
                None,
                "It has lost permissions",
            ),
        ] {
            let shown = shown(changes);
            assert_eq!(shown["status"], status, "{shown}");
            assert_eq!(shown["severity"], json!(severity), "{shown}");
            let text = shown["message"].as_str().unwrap();
            assert!(text.contains(message), "{message}: {text}");
            assert!(!shown.to_string().contains("planted"));
        }
    }

    #[test]
    fn the_reason_and_the_failures_are_those_of_the_state() {
        let shown = shown(
            json!({"state": {"kind": "retrying", "failures": 3, "since": NOW,
            "reason": "in_doubt", "next_attempt_at": NOW + 60}, "refresh_token": [1]}),
        );
        let fields = ["state", "reason", "failures", "refresh_model"].map(|name| &shown[name]);
        let expected = [
            &json!("retrying"),
            &json!("in_doubt"),
            &json!(3),
            &json!("static"),
        ];
        assert_eq!(fields, expected);
        assert_eq!(shown["since"], "2027-01-15T08:00:00Z");
    }
}
