//! What only an operator can look into: each thing once, in the log, as a
//! metric, in the audit and in the report.

use std::sync::{Mutex, PoisonError};

use serde::Serialize;
use shared::IntegrationKey;
use shared::Platform;
use shared::aws::tables::AuditStream;
use shared::domain::error_code;
use shared::domain::integration::Integration;
use shared::domain::platform_health::{BreakerCause, HealthEvent};
use shared::domain::refresh::{LifetimeKind, Unbelieved};
use shared::domain::report::AttemptRecord;
use shared::runtime::metrics::Metric;
use tracing::error;

use crate::CheckTokens;

/// What should never happen: an alarm goes off at the first.
const OUR_FAULT: [&str; 3] = ["rotation_lost", "row_damaged", "credential_damaged"];

/// One such thing, as an audit row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Operation {
    /// Of what kind: a metric's dimension.
    kind: &'static str,
    /// The platform, or the integration, that it is about.
    subject: String,
    /// What happened, and what to do.
    message: String,
}

impl Operation {
    pub(crate) fn of(platform: Platform, events: &HealthEvent) -> Self {
        let name = platform.display_name();
        let (kind, message) = match events {
            // These are told with what came: see below.
            HealthEvent::BreakerOpened(_) => (
                "breaker_opened",
                format!("{name} refuses our application. Nothing is refreshed there meanwhile."),
            ),
            HealthEvent::RefusedForOne => (
                "refused_for_one",
                format!("{name} refuses our application to one integration."),
            ),
            HealthEvent::BreakerClosed => (
                "breaker_closed",
                format!("{name} accepts our application again. Nothing is to be done."),
            ),
            HealthEvent::UnknownAnswer(code) => (
                "unknown_answer",
                format!(
                    "{name} answers something that we do not know ({}).",
                    error_code::in_words(code)
                ),
            ),
            HealthEvent::Unbelieved(Unbelieved { clock, said, taken }) => {
                let of = match clock {
                    LifetimeKind::Access => "access token",
                    LifetimeKind::Refresh => "refresh token",
                    LifetimeKind::DataAccess => "access to data",
                };
                let said = said.map_or("no life".to_owned(), |life| {
                    format!("a life of {life} seconds")
                });
                let taken = taken.map_or("what was known before is kept".to_owned(), |life| {
                    format!(
                        "its documented life of {} seconds is taken",
                        life.num_seconds()
                    )
                });
                (
                    "life_not_believed",
                    format!(
                        "{name} answers with {said} for the {of}, which cannot be: {taken}. \
                         Refreshes go on. Look whether {name} has changed its unit or the field."
                    ),
                )
            }
            HealthEvent::LifeChanged { token, before, now } => (
                "life_changed",
                format!(
                    "{name}'s {token} tokens now live {now} seconds; the last ones lived {before}. \
                     Refreshes follow by themselves: check whether that is intended, in {name}'s \
                     changelog and the application's settings."
                ),
            ),
        };
        Self {
            kind,
            subject: platform.to_string(),
            message,
        }
    }

    /// A row that cannot be read.
    pub(crate) fn row_damaged(key: &IntegrationKey, problem: &str) -> Self {
        Self {
            kind: "row_damaged",
            subject: key.to_string(),
            message: format!(
                "{problem}. It is set aside, so that it is not tried again and again: restore the \
                 row, or let its owner connect the account anew."
            ),
        }
    }

    /// A credential that cannot be opened.
    pub(crate) fn credential_damaged(key: &IntegrationKey, problem: &str) -> Self {
        Self {
            kind: "credential_damaged",
            subject: key.to_string(),
            message: format!(
                "{problem}. Its people are asked to reconnect; if there are more of them, look for \
                 who writes to the table besides this product."
            ),
        }
    }

    /// A grant that was lost between a platform's answer and our storing it.
    pub(crate) fn rotation_lost(key: &IntegrationKey, code: Option<&str>) -> Self {
        let last = code.map_or_else(String::new, |code| {
            format!(" (what came last: {})", error_code::in_words(code))
        });
        Self {
            kind: "rotation_lost",
            subject: key.to_string(),
            message: format!(
                "The platform replaced its refresh token and the answer never reached the \
                 table{last}: look for what came, for crashes and for a failing table at the first \
                 attempt that its audit calls in_doubt. Its people are asked to reconnect."
            ),
        }
    }

    /// An answer that no rule knows.
    pub(crate) fn unknown_answer(row: &Integration, entry: &AttemptRecord) -> Self {
        let name = row.platform.display_name();
        Self {
            kind: "unknown_answer",
            subject: row.platform.to_string(),
            message: format!(
                "{name} answers something that we do not know: {}. Such integrations are tried again \
                 later. If it goes on, {name}'s changelog may say why.",
                what_came(row, entry)
            ),
        }
    }

    /// A platform that refuses our application.
    pub(crate) fn breaker_opened(
        row: &Integration,
        entry: &AttemptRecord,
        cause: BreakerCause,
    ) -> Self {
        let name = row.platform.display_name();
        let (came, platform) = (what_came(row, entry), row.platform);
        let message = match cause {
            BreakerCause::Misconfigured => format!(
                "{name} refuses our application: {came}. Check its client id and secret in the \
                 platforms' secret, and its status, permissions and credits at {name}. Until it works \
                 again, {name} integrations are not refreshed; a few try every five minutes, and the \
                 first success goes on with all."
            ),
            BreakerCause::Refusals => format!(
                "{name} suddenly refuses integrations that had worked, and accepts none; the last: \
                 {came}. Check our client secret and the application's status at {name}. No integration \
                 is given up meanwhile; a few try every five minutes, and after six hours each is \
                 judged by itself."
            ),
        };
        Self {
            kind: "breaker_opened",
            subject: platform.to_string(),
            message,
        }
    }

    /// A platform that refuses our application to an integration that never worked.
    pub(crate) fn refused_for_one(row: &Integration, entry: &AttemptRecord) -> Self {
        let name = row.platform.display_name();
        Self {
            kind: "refused_for_one",
            subject: row.platform.to_string(),
            message: format!(
                "{name} refuses our application to an integration that never worked, while others work: \
                 {}. Either its credential is another application's, or {name} has begun to refuse \
                 ours: check its status there.",
                what_came(row, entry)
            ),
        }
    }
}

/// What came of which integration, for whoever asks the platform about it.
fn what_came(row: &Integration, entry: &AttemptRecord) -> String {
    let what = entry.code.as_deref().map(error_code::in_words);
    let text = |value: Option<String>| value.unwrap_or_else(|| "unknown".to_owned());
    format!(
        "{} (met by {}; HTTP status {}, content type {}, {} bytes, the platform's request id {})",
        what.unwrap_or_else(|| "no code".to_owned()),
        IntegrationKey::from(row),
        text(entry.http_status.map(|status| status.to_string())),
        text(entry.content_type.clone()),
        text(entry.body_bytes.map(|bytes| bytes.to_string())),
        text(entry.platform_request_id.clone()),
    )
}

/// What came up in one sweep.
#[derive(Debug, Default)]
pub(crate) struct Operations(Mutex<Vec<Operation>>);

impl Operations {
    pub(crate) fn add(&self, operation: Operation) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(operation);
    }

    pub(crate) fn take(&self) -> Vec<Operation> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl CheckTokens {
    /// Tells the operator, and returns the same as text for the report.
    pub(crate) async fn tell_operator(&self, operations: Vec<Operation>) -> Vec<String> {
        let mut told = Vec::new();
        for operation in operations {
            let Operation {
                kind,
                subject,
                message,
            } = &operation;
            error!(kind, subject, detail = message, "for the operator");
            let our_fault = OUR_FAULT.contains(kind);
            self.metrics.write(
                self.clock.precise(),
                Some(("kind", kind)),
                &[
                    ("OperatorEvents", Metric::Count(1)),
                    ("OurFault", Metric::Count(our_fault.into())),
                ],
            );
            let id = format!("{:016x}", rand::random::<u64>());
            let written = self
                .audit
                .record(AuditStream::Operations, &id, &operation)
                .await;
            if let Err(error) = written {
                error!(%error, "an event's audit row could not be written");
            }
            told.push(format!("{subject}: {message}"));
        }
        told
    }
}
