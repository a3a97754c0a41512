//! One sweep: every partition of `by_attention` at once, the short-lived
//! tokens first, so many connections at a time, until the deadline.

use std::collections::HashSet;
use std::future::ready;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use futures::{FutureExt, Stream, StreamExt, stream};
use shared::attention::attention_shards;
use shared::metrics::Metric;
use shared::oauth::{Credentials, CredentialsError};
use shared::refresh::attempt::{EXCHANGE, PERSIST};
use shared::report::{Failure, Report};
use shared::store::{Key, StoreError, Stream as AuditStream};
use tracing::{info, warn};

use crate::applications::Standings;
use crate::attend::Why;
use crate::operations::Operations;
use crate::outcomes::{Outcomes, write_sweep};
use crate::{CheckTokens, Request, SweepError};

/// On what terms a sweep handles each connection, and what comes up meanwhile.
#[derive(Debug)]
pub(crate) struct Sweep<'a> {
    pub(crate) request: Request,
    /// Until when needing attention counts as due.
    pub(crate) horizon: DateTime<Utc>,
    pub(crate) deadline: Option<DateTime<Utc>>,
    /// Who we are to the platforms; without it nothing can be refreshed.
    pub(crate) credentials: Option<&'a Credentials>,
    pub(crate) standings: Standings<'a>,
    pub(crate) operations: Operations,
    pub(crate) outcomes: Outcomes,
}

impl CheckTokens {
    /// Sweeps once. `progress` sees the report grow.
    ///
    /// # Errors
    /// [`SweepError::Index`] if part of the index could not be read,
    /// [`SweepError::Credentials`] if nothing could be refreshed; what could be
    /// done has been done.
    pub async fn sweep(
        &self,
        request: Request,
        deadline: Option<DateTime<Utc>>,
        mut progress: impl FnMut(&Report),
    ) -> Result<Report, SweepError> {
        let began = self.clock.precise();
        let cut_short = AtomicBool::new(false);
        let in_time = || {
            let in_time = deadline.is_none_or(|end| self.clock.now() + EXCHANGE + PERSIST < end);
            cut_short.fetch_or(!in_time, Ordering::Relaxed);
            in_time
        };
        let mut report = Report::default();
        let credentials = self.fetch_credentials().await;
        let sweep = self
            .begin_sweep(request, deadline, credentials.as_ref().ok())
            .await;
        for key in sweep.standings.trials().await {
            if let Ok(one) = self.attend_or_report(Ok(key), Why::Trial, &sweep).await {
                report.add(one);
            }
        }
        let mut index_error = None;
        for class in ['f', 's'] {
            let mut attended = self
                .due(class, sweep.horizon)
                .take_while(|_| ready(in_time()))
                .map(|key| self.attend_or_report(key, Why::Due, &sweep))
                .buffer_unordered(self.concurrency);
            while let Some(one) = attended.next().await {
                match one {
                    Ok(one) => report.add(one),
                    Err(error) => index_error = Some(error),
                }
                progress(&report);
            }
        }
        report.cut_short |= cut_short.into_inner();
        report.operator_events = self.finish_sweep(sweep).await;
        self.conclude(&report, began).await;
        if let Some(error) = index_error {
            return Err(SweepError::Index(error));
        }
        credentials?;
        Ok(report)
    }

    pub(crate) async fn fetch_credentials(&self) -> Result<Credentials, CredentialsError> {
        Credentials::fetch(&self.credentials.client, &self.credentials.id).await
    }

    pub(crate) async fn begin_sweep<'a>(
        &'a self,
        request: Request,
        deadline: Option<DateTime<Utc>>,
        credentials: Option<&'a Credentials>,
    ) -> Sweep<'a> {
        let now = self.clock.now();
        Sweep {
            request,
            horizon: match request.telling().window {
                usual if usual == shared::lapse::Window::default() => now,
                longer => now + longer.length(),
            },
            deadline,
            credentials,
            standings: Standings::load(&self.applications, &self.clock).await,
            operations: Operations::default(),
            outcomes: Outcomes::default(),
        }
    }

    /// Writes down what the sweep showed, and tells the operator.
    pub(crate) async fn finish_sweep(&self, sweep: Sweep<'_>) -> Vec<String> {
        let now = self.clock.precise();
        for platform in sweep.standings.broken().await {
            let by = Some(("platform", platform.name()));
            self.metrics
                .write(now, by, &[("BreakerOpen", Metric::Count(1))]);
        }
        sweep.outcomes.write(&self.metrics, now);
        sweep.standings.save().await;
        self.tell_operator(sweep.operations.take()).await
    }

    /// The keys in all partitions of one class that need attention until
    /// `horizon`, each once.
    fn due(
        &self,
        class: char,
        horizon: DateTime<Utc>,
    ) -> impl Stream<Item = Result<Key, StoreError>> {
        let shards = attention_shards(class)
            .into_iter()
            .map(|shard| Box::pin(self.integrations.due(&shard, horizon)));
        // Looking ahead, a connection that was handled comes up again at its
        // next instant of attention, within the same query.
        let mut seen = HashSet::new();
        stream::select_all(shards).filter(move |key| {
            ready(match key {
                Ok(key) => seen.insert(key.clone()),
                Err(_) => true,
            })
        })
    }

    /// One failing connection never stops the others: it becomes a line of the report.
    async fn attend_or_report(
        &self,
        key: Result<Key, StoreError>,
        why: Why,
        sweep: &Sweep<'_>,
    ) -> Result<Report, StoreError> {
        let key = key?;
        let mut report = Report::default();
        // Not even a panic in one connection may stop the others.
        let attended = AssertUnwindSafe(self.attend(&key, why, sweep, &mut report))
            .catch_unwind()
            .await;
        let problem = match attended {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("handling it panicked; the function's log has the place".to_owned()),
        };
        if let Some(problem) = problem {
            warn!(org_id = %key.org_id, integration_id = %key.integration_id, problem, "a connection could not be handled");
            report.add(Report {
                failures: vec![Failure {
                    org_id: key.org_id.to_string(),
                    integration_id: key.integration_id.to_string(),
                    problem,
                }],
                ..Report::default()
            });
        }
        Ok(report)
    }

    /// One audit row, one log line.
    async fn conclude(&self, report: &Report, began: DateTime<Utc>) {
        let id = format!("{:016x}", rand::random::<u64>());
        if let Err(error) = self.audit.record(AuditStream::Sweeps, &id, report).await {
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
