//! Publishes the alerts that are pending, and records that they are sent.

use shared::Clock;
use shared::aws::alert_topic::Topic;
use shared::aws::tables::IntegrationsTable;
use shared::domain::alert::Alert;
use shared::domain::integration::Integration;
use shared::domain::report::SweepReport;

use crate::run::Run;
use crate::stage::{ProcessError, replace_or_count};

#[derive(Debug, Clone)]
pub(crate) struct AlertPublisher {
    pub(crate) topic: Topic,
    pub(crate) integrations: IntegrationsTable,
    pub(crate) clock: Clock,
}

impl AlertPublisher {
    /// Publishes the alerts that are due, then records them. A crash in between repeats
    /// the publication, which `notify` recognises.
    pub(crate) async fn publish(
        &self,
        mut row: Integration,
        run: &Run<'_>,
        report: &mut SweepReport,
    ) -> Result<Integration, ProcessError> {
        let now = self.clock.now();
        let indexed = (row.next_action_at, row.reconnect_by);
        let mut due = row.pending_alerts(now, run.request.alert_policy());
        due.retain(|(at, _)| *at <= now);
        for (occurred_at, pending) in &due {
            let alert = Alert::new(&row, pending, *occurred_at, now);
            self.topic.publish(&alert).await?;
            report.alerts_published += 1;
        }
        for (_, pending) in &due {
            row.record_sent(pending);
            if pending.needs_person() {
                run.metrics.count_reconnect_needed(row.platform);
            }
        }
        row.derive_index_keys(now);
        // No alert, and the index has it where it belongs: nothing to write.
        if due.is_empty() && indexed == (row.next_action_at, row.reconnect_by) {
            return Ok(row);
        }
        let stored = replace_or_count(&self.integrations, row.clone(), now, report).await?;
        Ok(stored.unwrap_or(row))
    }
}
