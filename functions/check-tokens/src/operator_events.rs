//! Operator events: what only an operator can look into, and what they should do.

use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use shared::domain::error_code;
use shared::domain::integration::Integration;
use shared::domain::platform_health::{BreakerCause, HealthEvent};
use shared::domain::refresh::{ImplausibleLifetime, LifetimeKind};
use shared::domain::report::AnswerRecord;
use shared::{IntegrationKey, Platform};

/// What an operator event is about: a metric's dimension, and a field of the audit row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(into = "&'static str")]
pub(crate) enum OperatorEventKind {
    BreakerOpened,
    BreakerClosed,
    RefusedForOne,
    UnknownAnswer,
    ImplausibleLifetime,
    LifetimeChanged,
    RowDamaged,
    CredentialDamaged,
    RotationLost,
}

/// One thing that only an operator can look into, as an audit row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct OperatorEvent {
    pub(crate) kind: OperatorEventKind,
    /// The platform or the integration that the event is about.
    pub(crate) subject: String,
    /// What happened, and what to do.
    pub(crate) message: String,
}

impl OperatorEventKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::BreakerOpened => "breaker_opened",
            Self::BreakerClosed => "breaker_closed",
            Self::RefusedForOne => "refused_for_one",
            Self::UnknownAnswer => "unknown_answer",
            Self::ImplausibleLifetime => "implausible_lifetime",
            Self::LifetimeChanged => "lifetime_changed",
            Self::RowDamaged => "row_damaged",
            Self::CredentialDamaged => "credential_damaged",
            Self::RotationLost => "rotation_lost",
        }
    }

    /// Whether this should never happen, so that the first event sets off an alarm.
    pub(crate) const fn is_data_loss(self) -> bool {
        matches!(
            self,
            Self::RotationLost | Self::RowDamaged | Self::CredentialDamaged
        )
    }
}

impl From<OperatorEventKind> for &'static str {
    fn from(kind: OperatorEventKind) -> Self {
        kind.name()
    }
}

impl OperatorEvent {
    /// Describes a change of a platform's health that no single answer explains.
    pub(crate) fn for_health(platform: Platform, event: &HealthEvent) -> Self {
        let name = platform.display_name();
        let (kind, message) = match event {
            HealthEvent::BreakerOpened(_) => (
                OperatorEventKind::BreakerOpened,
                format!("{name} refuses our application. Nothing is refreshed there meanwhile."),
            ),
            HealthEvent::RefusedForOne => (
                OperatorEventKind::RefusedForOne,
                format!("{name} refuses our application to one integration."),
            ),
            HealthEvent::BreakerClosed => (
                OperatorEventKind::BreakerClosed,
                format!("{name} accepts our application again. Nothing is to be done."),
            ),
            HealthEvent::UnknownAnswer(code) => (
                OperatorEventKind::UnknownAnswer,
                format!(
                    "{name} answers something that we do not know ({}).",
                    error_code::in_words(code)
                ),
            ),
            HealthEvent::ImplausibleLifetime(lifetime) => (
                OperatorEventKind::ImplausibleLifetime,
                implausible_message(name, lifetime),
            ),
            HealthEvent::LifetimeChanged { kind, before, now } => (
                OperatorEventKind::LifetimeChanged,
                format!(
                    "{name}'s {} tokens now live {now} seconds; the last ones lived {before}. \
                     Refreshes follow by themselves: check whether that is intended, in {name}'s \
                     changelog and the application's settings.",
                    kind.name()
                ),
            ),
        };
        Self {
            kind,
            subject: platform.to_string(),
            message,
        }
    }

    /// Describes a change of a platform's health, and the answer to `row` that caused it.
    pub(crate) fn for_answer(
        row: &Integration,
        event: &HealthEvent,
        answer: &AnswerRecord,
    ) -> Self {
        let name = row.platform.display_name();
        let what = || describe_answer(row, answer);
        let message = match event {
            HealthEvent::UnknownAnswer(_) => format!(
                "{name} answers something that we do not know: {}. Such integrations are tried again \
                 later. If it goes on, {name}'s changelog may say why.",
                what()
            ),
            HealthEvent::BreakerOpened(BreakerCause::Misconfigured) => format!(
                "{name} refuses our application: {}. Check its client id and secret in the \
                 platforms' secret, and its status, permissions and credits at {name}. Until it works \
                 again, {name} integrations are not refreshed; a few try every five minutes, and the \
                 first success goes on with all.",
                what()
            ),
            HealthEvent::BreakerOpened(BreakerCause::Refusals) => format!(
                "{name} suddenly refuses integrations that had worked, and accepts none; the last: \
                 {}. Check our client secret and the application's status at {name}. No integration \
                 is given up meanwhile; a few try every five minutes, and after six hours each is \
                 judged by itself.",
                what()
            ),
            HealthEvent::RefusedForOne => format!(
                "{name} refuses our application to an integration that never worked, while others work: \
                 {}. Either its credential is another application's, or {name} has begun to refuse \
                 ours: check its status there.",
                what()
            ),
            _ => return Self::for_health(row.platform, event),
        };
        Self {
            message,
            ..Self::for_health(row.platform, event)
        }
    }

    pub(crate) fn row_damaged(key: &IntegrationKey, problem: &str) -> Self {
        Self {
            kind: OperatorEventKind::RowDamaged,
            subject: key.to_string(),
            message: format!(
                "{problem}. It is set aside, so that it is not tried again and again: restore the \
                 row, or let its owner reconnect the account."
            ),
        }
    }

    pub(crate) fn credential_damaged(key: &IntegrationKey, problem: &str) -> Self {
        Self {
            kind: OperatorEventKind::CredentialDamaged,
            subject: key.to_string(),
            message: format!(
                "{problem}. Its people are asked to reconnect; if there are more of them, look for \
                 who writes to the table besides this product."
            ),
        }
    }

    /// Describes a grant that was lost between a platform's answer and our write.
    pub(crate) fn rotation_lost(key: &IntegrationKey, code: Option<&str>) -> Self {
        let last = code.map_or_else(String::new, |code| {
            format!(" (what came last: {})", error_code::in_words(code))
        });
        Self {
            kind: OperatorEventKind::RotationLost,
            subject: key.to_string(),
            message: format!(
                "The platform replaced its refresh token and the answer never reached the \
                 table{last}: look for what came, for crashes and for a failing table at the first \
                 attempt that its audit calls in_doubt. Its people are asked to reconnect."
            ),
        }
    }
}

fn implausible_message(name: &str, lifetime: &ImplausibleLifetime) -> String {
    let ImplausibleLifetime {
        kind,
        stated,
        assumed,
    } = lifetime;
    let token = match kind {
        LifetimeKind::Access => "access token",
        LifetimeKind::Refresh => "refresh token",
        LifetimeKind::DataAccess => "access to data",
    };
    let stated = stated.map_or("no lifetime".to_owned(), |seconds| {
        format!("a lifetime of {seconds} seconds")
    });
    let assumed = assumed.map_or("what was known before is kept".to_owned(), |lifetime| {
        format!(
            "its documented lifetime of {} seconds is assumed",
            lifetime.num_seconds()
        )
    });
    format!(
        "{name} answers with {stated} for the {token}, which cannot be: {assumed}. \
         Refreshes go on. Look whether {name} has changed its unit or the field."
    )
}

/// Describes an answer and its integration, for an operator who asks the platform about it.
fn describe_answer(row: &Integration, answer: &AnswerRecord) -> String {
    let code = answer.code.as_deref().map(error_code::in_words);
    let text = |value: Option<String>| value.unwrap_or_else(|| "unknown".to_owned());
    format!(
        "{} (met by {}; HTTP status {}, content type {}, {} bytes, the platform's request id {})",
        code.unwrap_or_else(|| "no code".to_owned()),
        IntegrationKey::from(row),
        text(answer.http_status.map(|status| status.to_string())),
        text(answer.content_type.clone()),
        text(answer.body_bytes.map(|bytes| bytes.to_string())),
        text(answer.platform_request_id.clone()),
    )
}

/// The operator events of one run.
#[derive(Debug, Default)]
pub(crate) struct OperatorEvents(Mutex<Vec<OperatorEvent>>);

impl OperatorEvents {
    pub(crate) fn add(&self, event: OperatorEvent) {
        let mut events = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        events.push(event);
    }

    pub(crate) fn into_vec(self) -> Vec<OperatorEvent> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}
