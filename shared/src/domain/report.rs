//! What a sweep did.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::integration::Integration;
use crate::domain::severity::Severity;
use crate::oauth::Came;

/// The counts with which a sweep ends: its answer, one audit row, one log line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepReport {
    /// Integrations that were looked at because something was due.
    pub examined: u64,
    /// Of these, at the end, with at most a day left.
    pub critical: u64,
    /// With at most 3 days left.
    pub urgent: u64,
    /// Within the warning window.
    pub warning: u64,
    /// With no time left.
    pub expired: u64,
    /// Refreshes that brought a new token.
    pub auto_refreshed: u64,
    /// Refreshes that did not.
    pub refresh_failed: u64,
    /// Alerts handed to the topic.
    pub alerts_published: u64,
    /// Writes that lost a race; the winner did the work.
    pub conflicts: u64,
    /// Integrations with nothing to do, or in someone else's hands.
    pub skipped: u64,
    /// Refreshes that were due, but not tried: the platform holds our
    /// application back, or refuses it.
    #[serde(default)]
    pub held_back: u64,
    /// Failed refreshes by verdict.
    pub refresh_failures: BTreeMap<String, u64>,
    /// Integrations that could not be handled, with the reason: the rest went on.
    pub failures: Vec<IntegrationFailure>,
    /// Failures beyond those listed.
    pub failures_unlisted: u64,
    /// What only an operator can look into.
    #[serde(default)]
    pub operator_events: Vec<String>,
    /// Whether the deadline came first; the next sweep goes on from here.
    pub cut_short: bool,
}

/// An integration that could not be handled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntegrationFailure {
    /// The organisation.
    pub org_id: String,
    /// The integration.
    pub integration_id: String,
    /// What went wrong.
    pub problem: String,
}

/// How many failures a report lists: it must fit into an answer and an audit row.
const LISTED: usize = 100;

impl SweepReport {
    /// Counts where an integration stands.
    pub fn count_severity(&mut self, severity: Option<Severity>) {
        match severity {
            Some(Severity::Critical) => self.critical += 1,
            Some(Severity::Urgent) => self.urgent += 1,
            Some(Severity::Warning) => self.warning += 1,
            Some(Severity::Expired) => self.expired += 1,
            Some(Severity::Info) | None => {}
        }
    }

    /// Adds another report's counts.
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
        for (verdict, count) in other.refresh_failures {
            *self.refresh_failures.entry(verdict).or_default() += count;
        }
        for failure in other.failures {
            if self.failures.len() < LISTED {
                self.failures.push(failure);
            } else {
                self.failures_unlisted += 1;
            }
        }
    }

    /// Whether everything that was due could be handled.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty() && !self.cut_short
    }
}

/// What came of looking at one integration because somebody asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checked {
    /// The organisation.
    pub org_id: String,
    /// The integration.
    pub integration_id: String,
    /// `renewed`, `unchanged`, `shortened`, `alive`, a verdict's name, or why nothing was
    /// tried: `busy`, `held_back`, `breaker_open`, `disconnected`, `not_found`, `nothing_to_ask`.
    pub verdict: String,
    /// The same for people: what happened, and what to do.
    pub message: String,
    /// When the access token now ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it is tried again, if it is.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// The attempt's id in the audit, if something was asked of the platform.
    pub attempt_id: Option<String>,
}

/// One attempt at refreshing an integration, as an audit row. Never a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptRecord {
    /// Its id.
    pub attempt_id: String,
    /// What came of it: `renewed`, `unchanged`, `shortened`, or the verdict's name.
    pub verdict: String,
    /// The platform's error code; where it gave none, what came in its place
    /// (`http_200_html`, `redirected`, `timed_out_after_10_s`).
    pub code: Option<String>,
    /// The HTTP status of its answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// What the platform calls the answer's type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// How long the answer's body was, as it came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_bytes: Option<u64>,
    /// The platform's own id of the request, for asking them about it.
    pub platform_request_id: Option<String>,
    /// How long the exchange took.
    pub duration_ms: i64,
    /// The access token's end before.
    pub expired_at: Option<DateTime<Utc>>,
    /// And after.
    pub expires_at: Option<DateTime<Utc>>,
}

impl AttemptRecord {
    /// One at `row` of which nothing is known yet.
    #[must_use]
    pub const fn at(row: &Integration, attempt_id: String) -> Self {
        Self {
            attempt_id,
            verdict: String::new(),
            code: None,
            http_status: None,
            content_type: None,
            body_bytes: None,
            platform_request_id: None,
            duration_ms: 0,
            expired_at: row.expiry.access_token,
            expires_at: row.expiry.access_token,
        }
    }

    /// The same with what came of it.
    #[must_use]
    pub fn with(mut self, came: Option<Came>) -> Self {
        if let Some(came) = came {
            self.http_status = Some(came.status);
            self.content_type = came.content_type;
            self.body_bytes = u64::try_from(came.length).ok();
        }
        self
    }
}
