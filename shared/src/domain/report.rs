//! The records of a sweep, of a check and of an attempt.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::domain::check_result::CheckResult;
use crate::domain::integration::Integration;
use crate::domain::severity::Severity;

/// The counts with which a sweep ends: its answer, one audit row, one log line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepReport {
    /// Counts the integrations that were processed because something was due.
    pub examined: u64,
    /// Counts examined integrations of this [`Severity`] after processing, as do the next three.
    pub critical: u64,
    pub urgent: u64,
    pub warning: u64,
    pub expired: u64,
    /// Refreshes that brought a new token.
    pub auto_refreshed: u64,
    /// Refreshes that brought no new token.
    pub refresh_failed: u64,
    /// Alerts handed to the topic.
    pub alerts_published: u64,
    /// Writes that lost a race; the winner did the work.
    pub conflicts: u64,
    /// Integrations with nothing due any more, or leased by another process.
    pub skipped: u64,
    /// Attempts that were due and not made, because of a hold, an outage or an open
    /// circuit breaker.
    #[serde(default)]
    pub held_back: u64,
    /// Failed refreshes by their result.
    pub refresh_failures: BTreeMap<CheckResult, u64>,
    /// The first 100 integrations that could not be processed. The sweep went on with the others.
    pub failures: Vec<IntegrationFailure>,
    /// Counts the failures beyond those listed.
    pub failures_unlisted: u64,
    #[serde(default)]
    pub operator_events: Vec<String>,
    /// Whether the deadline ended the sweep. The next one goes on from here.
    pub cut_short: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntegrationFailure {
    pub org_id: String,
    pub integration_id: String,
    /// The error in words.
    pub problem: String,
}

/// A report must fit into an answer and an audit row.
const MAX_LISTED_FAILURES: usize = 100;

impl SweepReport {
    pub fn count_severity(&mut self, severity: Option<Severity>) {
        match severity {
            Some(Severity::Critical) => self.critical += 1,
            Some(Severity::Urgent) => self.urgent += 1,
            Some(Severity::Warning) => self.warning += 1,
            Some(Severity::Expired) => self.expired += 1,
            Some(Severity::Info) | None => {}
        }
    }

    pub fn add(&mut self, other: Self) {
        self.examined += other.examined;
        self.critical += other.critical;
        self.urgent += other.urgent;
        self.warning += other.warning;
        self.expired += other.expired;
        self.auto_refreshed += other.auto_refreshed;
        self.refresh_failed += other.refresh_failed;
        self.alerts_published += other.alerts_published;
        self.conflicts += other.conflicts;
        self.skipped += other.skipped;
        self.held_back += other.held_back;
        self.operator_events.extend(other.operator_events);
        self.failures_unlisted += other.failures_unlisted;
        self.cut_short |= other.cut_short;
        for (result, count) in other.refresh_failures {
            *self.refresh_failures.entry(result).or_default() += count;
        }
        for failure in other.failures {
            if self.failures.len() < MAX_LISTED_FAILURES {
                self.failures.push(failure);
            } else {
                self.failures_unlisted += 1;
            }
        }
    }

    /// Whether everything that was due could be processed.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty() && !self.cut_short
    }
}

/// The answer to a check of one integration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Checked {
    pub org_id: String,
    pub integration_id: String,
    pub result: CheckResult,
    /// Tells people what happened, and what to do.
    pub message: String,
    /// The access token now ends at this instant, if it ends.
    pub access_expires_at: Option<DateTime<Utc>>,
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// The attempt's id in the audit, if there was an attempt.
    pub attempt_id: Option<String>,
}

/// One attempt at an integration, as an audit row. It never holds a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttemptRecord {
    /// A random id, which the lease and the intent on the row name too.
    pub attempt_id: String,
    pub result: CheckResult,
    /// Empty if nothing was sent.
    #[serde(flatten)]
    pub answer: AnswerRecord,
    /// The end of the access token before the attempt.
    pub access_expires_before: Option<DateTime<Utc>>,
    /// The end of the access token after the attempt.
    pub access_expires_after: Option<DateTime<Utc>>,
}

/// The parts of a platform's answer in which no token can be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AnswerRecord {
    /// The platform's error code, or our description of what came in its place (`http_200_html`,
    /// `redirected`, `timed_out_after_10_s`).
    pub code: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// The media type, as the platform names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// The length of the body in bytes, before it is unpacked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<u64>,
    /// The platform's own id of the request, with which we can ask the platform about it.
    pub platform_request_id: Option<String>,
    /// How long the platform took, in milliseconds.
    pub duration_ms: i64,
}

impl AttemptRecord {
    /// Records an attempt at `row` that left its access token as it was.
    #[must_use]
    pub const fn new(
        row: &Integration,
        attempt_id: String,
        result: CheckResult,
        answer: AnswerRecord,
    ) -> Self {
        Self {
            attempt_id,
            result,
            answer,
            access_expires_before: row.expiry.access_token,
            access_expires_after: row.expiry.access_token,
        }
    }
}
