//! How an integration stands, as everybody in its organisation may see it:
//! nothing of its tokens, and nothing of what its owner keeps with it.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use shared::domain::alert::{integration_url, reconnect_url};
use shared::domain::error_code;
use shared::domain::integration::{Integration, RetryReason, State};
use shared::domain::severity::{Severity, WarningWindow};
use shared::domain::time_left::{exactly, humanly};
use shared::domain::verdict::{PlatformAction, ReconnectReason};
use shared::platforms::catalog::RefreshModel;
use shared::{IntegrationId, OrgId, Platform, UserId};

/// An integration as it is shown.
#[derive(Debug, Serialize)]
pub(crate) struct Standing {
    integration_id: IntegrationId,
    platform: Platform,
    platform_name: &'static str,
    username: String,
    account_id: String,
    created_by: UserId,
    /// How its credential is renewed.
    refresh_model: RefreshModel,
    view: View,
    state: StateName,
    /// Since when; absent while it is active.
    since: Option<DateTime<Utc>>,
    reason: Option<Reason>,
    /// The state in words, and what to do.
    message: String,
    severity: Option<Severity>,
    access_expires_at: Option<DateTime<Utc>>,
    refresh_expires_at: Option<DateTime<Utc>>,
    data_access_expires_at: Option<DateTime<Utc>>,
    /// When it stops working unless a person acts.
    reconnect_by: Option<DateTime<Utc>>,
    /// When it is next refreshed, or asked about; past: it is due.
    next_attempt_at: Option<DateTime<Utc>>,
    /// Until when the platform asks us to wait, if it does.
    wait_until: Option<DateTime<Utc>>,
    /// When it next needs us at all.
    next_action_at: Option<DateTime<Utc>>,
    /// Failures in a row.
    failures: u32,
    missing_scopes: Vec<String>,
    granted_at: DateTime<Utc>,
    renewed_at: Option<DateTime<Utc>>,
    url: String,
    reconnect_url: String,
}

/// One of which nothing but its id can be read.
#[derive(Debug, Serialize)]
pub(crate) struct Damaged {
    integration_id: IntegrationId,
    view: View,
    state: StateName,
    message: &'static str,
    url: String,
    reconnect_url: String,
}

/// An integration as it is shown, whether it can be read or not.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Shown {
    Standing(Box<Standing>),
    Damaged(Damaged),
}

impl Damaged {
    pub(crate) fn of(org: &OrgId, id: &IntegrationId) -> Self {
        Self {
            integration_id: id.clone(),
            view: View::Broken,
            state: StateName::Damaged,
            message: "The stored integration cannot be read; connect the account anew.",
            url: integration_url(org, id),
            reconnect_url: reconnect_url(org, id),
        }
    }
}

/// What an integration's state comes to, now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum View {
    /// Nothing is to be done.
    Healthy,
    /// Nothing would show that it has died: no refresh, no end, no free way to ask.
    NotMonitored,
    /// A refresh is due or under way.
    Renewing,
    /// It expires within a week unless a person acts.
    Expiring,
    /// Refreshing fails for now, or has not happened although it was due.
    Failing,
    /// Only a person can mend it.
    Broken,
    /// A person has switched it off.
    Disconnected,
}

/// The name of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StateName {
    Active,
    Retrying,
    ReconnectRequired,
    PlatformActionRequired,
    Disconnected,
    /// None: the row cannot be read.
    Damaged,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Reason {
    Retry(RetryReason),
    Reconnect(ReconnectReason),
    Action(PlatformAction),
}

impl StateName {
    pub(crate) const fn of(state: &State) -> Self {
        match state {
            State::Active => Self::Active,
            State::Retrying { .. } => Self::Retrying,
            State::ReconnectRequired { .. } => Self::ReconnectRequired,
            State::PlatformActionRequired { .. } => Self::PlatformActionRequired,
            State::Disconnected { .. } => Self::Disconnected,
        }
    }
}

impl View {
    /// The most telling one that holds.
    pub(crate) fn of(row: &Integration, now: DateTime<Utc>) -> Self {
        let reconnect_by = row.reconnect_by(now);
        let due = row.refresh_due_at(now).is_some_and(|at| at <= now);
        let overdue = overdue_since(row, now).is_some();
        match row.state {
            State::Disconnected { .. } => Self::Disconnected,
            State::ReconnectRequired { .. } | State::PlatformActionRequired { .. } => Self::Broken,
            // Also past its end: a refresh token may yet bring it back.
            State::Active if row.is_leased(now) || due && !overdue => Self::Renewing,
            _ if reconnect_by.is_some_and(|at| at <= now) => Self::Broken,
            State::Retrying { .. } => Self::Failing,
            State::Active if overdue => Self::Failing,
            State::Active if at_threshold(row, now).is_some() => Self::Expiring,
            State::Active if !row.is_monitored(now) => Self::NotMonitored,
            State::Active => Self::Healthy,
        }
    }
}

/// A refresh that is due happens in the next sweep, or the one after it.
const OVERDUE: TimeDelta = TimeDelta::minutes(15);

/// Since when a refresh has been due, if that is longer than it should be.
fn overdue_since(row: &Integration, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let due = row.refresh_due_at(now)?;
    (due + OVERDUE <= now).then_some(due)
}

fn at_threshold(row: &Integration, now: DateTime<Utc>) -> Option<Severity> {
    Severity::of(row.reconnect_by(now)?, now, WarningWindow::default())
}

impl Standing {
    pub(crate) fn of(row: &Integration, now: DateTime<Utc>) -> Self {
        let view = View::of(row, now);
        let severity = at_threshold(row, now);
        let (reason, failures) = match &row.state {
            State::Active | State::Disconnected { .. } => (None, 0),
            State::Retrying {
                reason, failures, ..
            } => (Some(Reason::Retry(*reason)), *failures),
            State::ReconnectRequired { reason, .. } => (Some(Reason::Reconnect(*reason)), 0),
            State::PlatformActionRequired { action, .. } => (Some(Reason::Action(*action)), 0),
        };
        Self {
            integration_id: row.integration_id.clone(),
            platform: row.platform,
            platform_name: row.platform.display_name(),
            username: row.account.username.clone(),
            account_id: row.account.id.clone(),
            created_by: row.created_by.clone(),
            refresh_model: row.refresh_model(),
            view,
            state: StateName::of(&row.state),
            since: row.state.since(),
            reason,
            message: message(row, view, now),
            // What only a person can mend is as pressing as it was told.
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

fn message(row: &Integration, view: View, now: DateTime<Utc>) -> String {
    let mut text = match &row.state {
        State::Disconnected { .. } => "Disconnected; its tokens are erased.".to_owned(),
        State::ReconnectRequired { reason, .. } => format!("Reconnect it: {reason}."),
        State::PlatformActionRequired { action, .. } => {
            let action = action.to_string();
            let (first, rest) = action.split_at(1);
            format!("{}{rest}.", first.to_uppercase())
        }
        State::Retrying {
            reason,
            code,
            wait_until,
            failures,
            ..
        } => {
            let platform = row.platform.display_name();
            let wait = match wait_until {
                Some(until) if *until > now => {
                    format!(
                        " {platform} asks us to wait until {}.",
                        exactly(*until, now)
                    )
                }
                _ => String::new(),
            };
            // Held back with all others, it goes on when they do.
            let with_all = !wait.is_empty() && *failures == 0;
            let next = match row.next_attempt_at(now) {
                _ if with_all => {
                    " It is tried again then, or once the platform accepts others.".to_owned()
                }
                Some(at) if at + OVERDUE <= now => format!(
                    " It was to be tried again {} and was not: {}",
                    humanly(at, now),
                    whose_fault(row)
                ),
                Some(at) if at <= now => " It is tried again now.".to_owned(),
                Some(at) => format!(" It is tried again {}.", humanly(at, now)),
                None => String::new(),
            };
            let ended = if view == View::Broken {
                " It has expired meanwhile; reconnect it if that cannot wait."
            } else {
                ""
            };
            let failure = failure(platform, *reason, code.as_deref(), !wait.is_empty());
            format!("{failure}{wait}{next}{ended}")
                .trim_start()
                .to_owned()
        }
        State::Active => active(row, view, now),
    };
    if row.permissions.lost_at.is_some() {
        text += &match &row.permissions.missing[..] {
            [] => " It has lost permissions; reconnect it to grant them again.".to_owned(),
            missing => format!(
                " It has lost permissions ({}); reconnect it to grant them again.",
                missing.join(", ")
            ),
        };
    }
    text
}

fn active(row: &Integration, view: View, now: DateTime<Utc>) -> String {
    let expires = row.reconnect_by(now).map(|at| humanly(at, now));
    match (view, expires) {
        (View::Renewing, _) => "A refresh is due or under way.".to_owned(),
        (View::Failing, _) => {
            let since = overdue_since(row, now).unwrap_or(now);
            let since = humanly(since, now);
            format!(
                "Its refresh was due {since} and has not happened: {}",
                whose_fault(row)
            )
        }
        (View::NotMonitored, _) => format!(
            "Not monitored: no end of it is known, and {}. It may have died unseen.",
            match row.platform.has_free_probe() {
                true => "the platform has not said lately that it lives",
                false => "the platform has no free way to ask whether it lives",
            }
        ),
        (View::Broken, Some(ago)) => format!("It expired {ago}; reconnect it."),
        (View::Expiring, Some(left)) => {
            format!("It expires {left} unless somebody reconnects it.")
        }
        _ if row.is_proven(now) => "It renews itself.".to_owned(),
        (_, Some(left)) => format!("It works; it expires {left}."),
        (_, None) => match row.refresh.alive_at {
            Some(at) => format!(
                "It works, {} said so {}; no end of it is known, and it is asked about once a day.",
                row.platform.display_name(),
                humanly(at, now)
            ),
            None => {
                "No end of it is known; it is asked about once a day, the first time within a day."
                    .to_owned()
            }
        },
    }
}

fn whose_fault(row: &Integration) -> String {
    format!(
        "either no sweep runs, or {} refuses our application. Whoever runs this must look.",
        row.platform.display_name()
    )
}

/// Why it is tried again; nothing where only the wait is to be told.
fn failure(platform: &str, reason: RetryReason, code: Option<&str>, must_wait: bool) -> String {
    let what = code.map(error_code::in_words);
    match (reason, what) {
        (RetryReason::Throttled, _) if must_wait => String::new(),
        (RetryReason::Throttled, _) => format!("{platform} asked us to wait."),
        (RetryReason::Transient, Some(what)) => {
            format!("{platform}, or the way to it, failed: {what}.")
        }
        (RetryReason::Transient, None) => format!("{platform}, or the way to it, failed."),
        (RetryReason::Refused, what) => {
            let what = what.map_or_else(String::new, |what| format!(" ({what})"));
            format!("{platform} refused it once{what}; a second refusal would confirm it.")
        }
        (RetryReason::InDoubt, Some(what)) => format!(
            "{platform} gave no clear answer ({what}), so nobody knows yet whether it has replaced \
             the token."
        ),
        (RetryReason::InDoubt, None) => {
            format!("An answer of {platform} did not reach us; it may have replaced the token.")
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
        serde_json::to_value(Standing::of(&row, now)).unwrap()
    }

    #[test]
    fn a_view_is_the_most_telling_that_holds() {
        let hours = |hours| NOW + TimeDelta::hours(hours).num_seconds();
        let retrying = |next: i64| {
            json!({"kind": "retrying", "failures": 3, "since": NOW - 60, "reason": "transient",
                "next_attempt_at": next})
        };
        let dead = json!({"kind": "reconnect_required", "reason": "revoked", "since": NOW});
        let held = json!({"kind": "platform_action_required", "action": "log_in",
            "since": NOW, "next_check_at": NOW + 60});
        let off = json!({"kind": "disconnected", "since": NOW});
        for (changes, view, severity, message) in [
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
            assert_eq!(shown["view"], view, "{shown}");
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
