//! Reports a run: metrics, operator events, and the report of a sweep.

use chrono::{DateTime, Utc};
use shared::Clock;
use shared::aws::tables::{AuditStream, AuditTable};
use shared::domain::report::SweepReport;
use shared::runtime::metrics::{Metric, Metrics};
use shared::runtime::random_id;
use tracing::{error, info, warn};

use crate::metrics::write_sweep;
use crate::operator_events::OperatorEvent;
use crate::run::Run;

#[derive(Debug, Clone)]
pub(crate) struct Reporter {
    pub(crate) audit: AuditTable,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
}

impl Reporter {
    /// Writes what a run has found, and returns what the operator should hear, as text.
    pub(crate) async fn finish(&self, run: Run<'_>) -> Vec<String> {
        let now = self.clock.precise();
        for platform in run.health.open_breakers().await {
            let dimension = Some(("platform", platform.name()));
            let open = [("BreakerOpen", Metric::Count(1))];
            self.metrics.write(now, dimension, &open);
        }
        run.metrics.write(&self.metrics, now);
        for (platform, event) in run.health.save().await {
            let event = OperatorEvent::for_health(platform, &event);
            run.operator_events.add(event);
        }
        let mut texts = Vec::new();
        for event in run.operator_events.into_vec() {
            self.report_event(&event).await;
            texts.push(format!("{}: {}", event.subject, event.message));
        }
        texts
    }

    /// Writes one log line, one metric and one audit row for an operator event.
    async fn report_event(&self, event: &OperatorEvent) {
        let OperatorEvent {
            kind,
            subject,
            message,
        } = event;
        let name = kind.name();
        error!(kind = name, subject, detail = message, "for the operator");
        self.metrics.write(
            self.clock.precise(),
            Some(("kind", name)),
            &[
                ("OperatorEvents", Metric::Count(1)),
                ("DataLoss", Metric::Count(kind.is_data_loss().into())),
            ],
        );
        let stream = AuditStream::OperatorEvents;
        if let Err(error) = self.audit.record(stream, &random_id(), event).await {
            error!(%error, "an event's audit row could not be written");
        }
    }

    /// Writes one audit row, one metric and one log line for a sweep that began at `began`.
    pub(crate) async fn conclude(&self, report: &SweepReport, began: DateTime<Utc>) {
        let stream = AuditStream::Sweeps;
        if let Err(error) = self.audit.record(stream, &random_id(), report).await {
            warn!(%error, "the sweep's audit row could not be written");
        }
        let now = self.clock.precise();
        write_sweep(&self.metrics, report, began, now);
        info!(
            examined = report.examined,
            critical = report.critical,
            urgent = report.urgent,
            warning = report.warning,
            expired = report.expired,
            auto_refreshed = report.auto_refreshed,
            refresh_failed = report.refresh_failed,
            alerts_published = report.alerts_published,
            conflicts = report.conflicts,
            skipped = report.skipped,
            held_back = report.held_back,
            failures = report.failures.len(),
            cut_short = report.cut_short,
            duration_ms = (now - began).num_milliseconds(),
            "sweep finished"
        );
    }
}
