//! An integration's state in words: sentences for the API, a label for a table,
//! and the phrases that other messages share with them.

use chrono::{DateTime, Utc};

use super::error_code;
use super::integration::{Integration, RetryReason, State};
use super::integration_status::{IntegrationStatus, OVERDUE_AFTER, overdue_since};
use super::severity::{Severity, WarningWindow};
use super::time_left::{exactly, humanly};
use super::verdict::{PlatformAction, ReconnectReason};
use crate::platforms::catalog::RefreshModel;

/// Says when an integration that its platform holds with all others is tried again.
pub const AGAIN_WITH_ALL_OTHERS: &str =
    "It is tried again then, or once the platform accepts others.";

/// Says that the platform asks for a pause, and until when.
#[must_use]
pub fn asks_to_wait(platform: &str, until: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let until = exactly(until, now);
    format!("{platform} asks us to wait until {until}.")
}

/// Says that an answer left the integration in doubt. `what` is the answer in words, in
/// parentheses and after a space, or empty.
#[must_use]
pub fn gave_no_clear_answer(platform: &str, what: &str) -> String {
    format!(
        "{platform} gave no clear answer{what}, so nobody knows yet whether it has replaced the \
         token."
    )
}

/// Returns the state in sentences, and what to do.
#[must_use]
pub fn sentences(row: &Integration, now: DateTime<Utc>) -> String {
    let mut text = match &row.state {
        State::Active => active_sentence(row, now),
        State::Retrying { .. } => retrying_sentences(row, now),
        State::ReconnectRequired { reason, .. } => format!("Reconnect it: {reason}."),
        State::PlatformActionRequired { action, .. } => {
            let action = action.to_string();
            let (first, rest) = action.split_at(1);
            format!("{}{rest}.", first.to_uppercase())
        }
        State::Disconnected { .. } => "Disconnected; its tokens are erased.".to_owned(),
    };
    if row.permissions.lost_at.is_some() {
        let scopes = match &row.permissions.missing[..] {
            [] => String::new(),
            missing => format!(" ({})", missing.join(", ")),
        };
        text += &format!(" It has lost permissions{scopes}; reconnect it to grant them again.");
    }
    text
}

fn retrying_sentences(row: &Integration, now: DateTime<Utc>) -> String {
    let State::Retrying {
        reason,
        code,
        wait_until,
        failures,
        ..
    } = &row.state
    else {
        return String::new();
    };
    let platform = row.platform.display_name();
    let wait = wait_until.filter(|until| *until > now);
    // Held back with all others, it goes on when they do.
    let with_all = wait.is_some() && *failures == 0;
    let next = match row.next_attempt_at(now) {
        _ if with_all => AGAIN_WITH_ALL_OTHERS.to_owned(),
        Some(at) if at + OVERDUE_AFTER <= now => format!(
            "It was to be tried again {} and was not: {}",
            humanly(at, now),
            why_overdue(row)
        ),
        Some(at) if at <= now => "It is tried again now.".to_owned(),
        Some(at) => format!("It is tried again {}.", humanly(at, now)),
        None => String::new(),
    };
    let ended = match IntegrationStatus::from_row(row, now) {
        IntegrationStatus::Broken => {
            "It has expired meanwhile; reconnect it if that cannot wait.".to_owned()
        }
        _ => String::new(),
    };
    let sentences = [
        failure_sentence(platform, *reason, code.as_deref(), wait.is_some()),
        wait.map_or_else(String::new, |until| asks_to_wait(platform, until, now)),
        next,
        ended,
    ];
    let sentences: Vec<_> = sentences.into_iter().filter(|s| !s.is_empty()).collect();
    sentences.join(" ")
}

/// Says why the integration is tried again; empty where the wait says it all.
fn failure_sentence(
    platform: &str,
    reason: RetryReason,
    code: Option<&str>,
    must_wait: bool,
) -> String {
    let what = code.map(error_code::in_words);
    let in_parentheses = what
        .as_ref()
        .map_or_else(String::new, |what| format!(" ({what})"));
    match (reason, what) {
        (RetryReason::Throttled, _) if must_wait => String::new(),
        (RetryReason::Throttled, _) => format!("{platform} asked us to wait."),
        (RetryReason::Transient, Some(what)) => {
            format!("{platform}, or the way to it, failed: {what}.")
        }
        (RetryReason::Transient, None) => format!("{platform}, or the way to it, failed."),
        (RetryReason::Refused, _) => format!(
            "{platform} refused it once{in_parentheses}; a second refusal would confirm it."
        ),
        (RetryReason::InDoubt, Some(_)) => gave_no_clear_answer(platform, &in_parentheses),
        (RetryReason::InDoubt, None) => {
            format!("An answer of {platform} did not reach us; it may have replaced the token.")
        }
    }
}

fn active_sentence(row: &Integration, now: DateTime<Utc>) -> String {
    let platform = row.platform.display_name();
    let expires = row.reconnect_by(now).map(|at| humanly(at, now));
    match (IntegrationStatus::from_row(row, now), expires) {
        (IntegrationStatus::Renewing, _) => "A refresh is due or under way.".to_owned(),
        (IntegrationStatus::Failing, _) => {
            let since = humanly(overdue_since(row, now).unwrap_or(now), now);
            let why = why_overdue(row);
            format!("Its refresh was due {since} and has not happened: {why}")
        }
        (IntegrationStatus::NotMonitored, _) => format!(
            "Not monitored: no end of it is known, and {}. It may have died unseen.",
            match row.platform.has_free_probe() {
                true => "the platform has not said lately that it lives",
                false => "the platform has no free way to ask whether it lives",
            }
        ),
        (IntegrationStatus::Broken, Some(ago)) => format!("It expired {ago}; reconnect it."),
        (IntegrationStatus::Expiring, Some(left)) => {
            format!("It expires {left} unless somebody reconnects it.")
        }
        _ if row.is_proven(now) => "It renews itself.".to_owned(),
        (_, Some(left)) => format!("It works; it expires {left}."),
        (_, None) => match row.refresh.alive_at {
            Some(at) => format!(
                "It works, {platform} said so {}; no end of it is known, and it is asked about \
                 once a day.",
                humanly(at, now)
            ),
            None => {
                "No end of it is known; it is asked about once a day, the first time within a day."
                    .to_owned()
            }
        },
    }
}

fn why_overdue(row: &Integration) -> String {
    format!(
        "either no sweep runs, or {} refuses our application. The operator must look.",
        row.platform.display_name()
    )
}

/// Returns the state in a few words, for a table. Notifications have room for reasons and advice.
#[must_use]
pub fn label(row: &Integration, now: DateTime<Utc>) -> String {
    match &row.state {
        State::Active => active_label(row, now),
        State::Retrying { reason, .. } => format!("retrying: {}", retry_label(*reason)),
        State::ReconnectRequired { reason, .. } => {
            format!("reconnect: {}", reconnect_label(*reason))
        }
        State::PlatformActionRequired { action, .. } => {
            format!("act first: {}", action_label(*action))
        }
        State::Disconnected { .. } => "disconnected".to_owned(),
    }
}

fn active_label(row: &Integration, now: DateTime<Utc>) -> String {
    let threshold = row
        .reconnect_by
        .and_then(|at| Severity::at(at, now, WarningWindow::default()));
    match threshold {
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

const fn retry_label(reason: RetryReason) -> &'static str {
    match reason {
        RetryReason::Transient => "platform failed",
        RetryReason::Throttled => "asked to wait",
        RetryReason::Refused => "refused once",
        RetryReason::InDoubt => "in doubt: an answer was lost",
    }
}

const fn reconnect_label(reason: ReconnectReason) -> &'static str {
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

const fn action_label(action: PlatformAction) -> &'static str {
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

    fn label_of(changes: Value) -> String {
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
        label(&row, now)
    }

    #[test]
    fn a_label_is_the_state_in_a_few_words() {
        let in_hours = |hours| NOW + TimeDelta::hours(hours).num_seconds();
        for (changes, expected) in [
            (json!({"access_token": [1]}), "no end, asked about daily"),
            (
                json!({"access_token": [1], "probed_at": NOW, "alive_at": in_hours(-72)}),
                "not monitored",
            ),
            (json!({"renewed_at": NOW}), "healthy, renews itself"),
            (
                json!({"access_expires_at": in_hours(60)}),
                "expiring: urgent",
            ),
            (json!({"access_expires_at": in_hours(200)}), "healthy"),
            (json!({"access_expires_at": in_hours(-2)}), "expired"),
            (
                json!({"missing_scopes": ["ads"]}),
                "alive, lost a permission",
            ),
            (
                json!({"state": {"kind": "retrying", "failures": 1, "since": NOW,
                    "reason": "transient", "next_attempt_at": NOW + 60}}),
                "retrying: platform failed",
            ),
            (
                json!({"state": {"kind": "reconnect_required", "reason": "revoked", "since": NOW}}),
                "reconnect: withdrawn",
            ),
            (
                json!({"state": {"kind": "platform_action_required", "action": "log_in",
                    "since": NOW, "next_check_at": NOW + 60}}),
                "act first: log in there",
            ),
            (
                json!({"state": {"kind": "disconnected", "since": NOW}}),
                "disconnected",
            ),
        ] {
            assert_eq!(label_of(changes), expected);
        }
    }
}
