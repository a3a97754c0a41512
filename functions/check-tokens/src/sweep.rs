//! One sweep: every partition of `by_next_action` at once, the short-lived
//! tokens first, so many integrations at a time, and so many of these with each
//! platform, until the deadline.

use std::collections::HashSet;
use std::future::ready;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, Stream, StreamExt, stream};
use shared::IntegrationKey;
use shared::aws::tables::{AuditStream, TableError};
use shared::domain::integration::Integration;
use shared::domain::refresh::attempt::{EXCHANGE, PERSIST};
use shared::domain::report::{IntegrationFailure, SweepReport};
use shared::domain::schedule::next_action_shards;
use shared::oauth::Credentials;
use shared::platforms::catalog::RefreshModel;
use shared::runtime::metrics::Metric;
use tracing::{info, warn};

use crate::operations::{Operation, Operations};
use crate::outcomes::{Outcomes, write_sweep};
use crate::platform_health::PlatformHealthCache;
use crate::process::Trigger;
use crate::turns::{PlatformQueues, Turn};
use crate::{CheckTokens, Request, SweepError};

/// What a platform is asked about an integration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// For new tokens.
    Refresh,
    /// Whether the token lives.
    Probe,
}

/// On what terms a sweep handles each integration, and what comes up meanwhile.
#[derive(Debug)]
pub(crate) struct Sweep<'a> {
    pub(crate) request: Request,
    /// Until when needing attention counts as due.
    pub(crate) horizon: DateTime<Utc>,
    pub(crate) deadline: Option<DateTime<Utc>>,
    /// Who we are to the platforms; without it nothing can be refreshed.
    pub(crate) credentials: Option<&'a Credentials>,
    pub(crate) standings: PlatformHealthCache<'a>,
    pub(crate) operations: Operations,
    pub(crate) outcomes: Outcomes,
    pub(crate) turns: PlatformQueues,
}

impl Sweep<'_> {
    /// Whether it refreshes anything.
    fn refreshes_at_all(&self) -> bool {
        !self.request.without_refresh && self.credentials.is_some()
    }

    /// What it asks a platform about this row, which nobody holds.
    pub(crate) fn asks(
        &self,
        row: &Integration,
        trigger: Trigger,
        now: DateTime<Utc>,
    ) -> Option<Ask> {
        let is_due = |at: Option<DateTime<Utc>>| at.is_some_and(|at| at <= now);
        let (refresh, probe) = match trigger {
            Trigger::Due => (
                is_due(row.refresh_due_at(now)),
                is_due(row.probe_due_at(now)),
            ),
            // What nothing refreshes can only be asked about.
            Trigger::HalfOpenTrial => (
                row.is_refreshable(now),
                row.refresh_model() == RefreshModel::None,
            ),
            // A token that the platform has replaced is not sent again: that may
            // end what still lives of the grant.
            Trigger::Manual => (row.is_refreshable(now) && !row.lost_its_rotation(), true),
        };
        let ask = match (refresh, probe) {
            (true, _) => Some(Ask::Refresh),
            (false, true) => Some(Ask::Probe),
            (false, false) => None,
        };
        ask.filter(|_| self.refreshes_at_all())
    }
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
        mut progress: impl FnMut(&SweepReport),
    ) -> Result<SweepReport, SweepError> {
        let began = self.clock.precise();
        let cut_short = AtomicBool::new(false);
        let in_time = || {
            let in_time = deadline.is_none_or(|end| self.clock.now() + EXCHANGE + PERSIST < end);
            cut_short.fetch_or(!in_time, Ordering::Relaxed);
            in_time
        };
        let mut report = SweepReport::default();
        let credentials = self.credentials.read().await;
        let sweep = self
            .begin_sweep(request, deadline, credentials.as_deref().ok())
            .await;
        let trials = match sweep.refreshes_at_all() {
            true => sweep.standings.trials().await,
            false => Vec::new(),
        };
        let trials = trials
            .into_iter()
            .map(|key| self.process_or_report(Ok(key), Trigger::HalfOpenTrial, None, &sweep));
        for one in join_all(trials).await.into_iter().flatten() {
            report.add(one);
        }
        let mut index_error = None;
        self.process_all(&sweep, in_time, |one| {
            match one {
                Ok(one) => report.add(one),
                Err(error) => index_error = Some(error),
            }
            progress(&report);
        })
        .await;
        report.cut_short |= cut_short.into_inner();
        report.operator_events = self.finish_sweep(sweep).await;
        self.conclude(&report, began).await;
        if let Some(error) = index_error {
            return Err(SweepError::Index(error));
        }
        credentials?;
        Ok(report)
    }

    /// Processes to all that is due while there is time, so many at once. Whoever
    /// must wait for its platform takes no place meanwhile, so that a platform
    /// that hangs holds up its own integrations and no others.
    async fn process_all(
        &self,
        sweep: &Sweep<'_>,
        in_time: impl Fn() -> bool,
        mut ended: impl FnMut(Result<SweepReport, TableError>),
    ) {
        let due = self.due('f', sweep.horizon);
        let due = due.chain(self.due('s', sweep.horizon));
        let mut due = pin!(due.take_while(|_| ready(in_time())));
        let mut all_is_read = false;
        let mut processing = FuturesUnordered::new();
        loop {
            while processing.len() < self.concurrency {
                let Some((key, turn)) = sweep.turns.next() else {
                    break;
                };
                // Whoever still waits is left to the next sweep.
                if !in_time() {
                    break;
                }
                processing.push(self.process_or_report(Ok(key), Trigger::Due, Some(turn), sweep));
            }
            tokio::select! {
                biased;
                Some(one) = processing.next() => ended(one),
                key = due.next(), if !all_is_read && processing.len() < self.concurrency => {
                    match key {
                        Some(key) => {
                            processing.push(self.process_or_report(key, Trigger::Due, None, sweep));
                        }
                        None => all_is_read = true,
                    }
                }
                else => break,
            }
        }
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
            horizon: match request.alert_policy().window {
                usual if usual == shared::domain::severity::WarningWindow::default() => now,
                longer => now + longer.length(),
            },
            deadline,
            credentials,
            standings: PlatformHealthCache::load(&self.applications, &self.clock).await,
            operations: Operations::default(),
            outcomes: Outcomes::default(),
            turns: PlatformQueues::new(self.platform_concurrency, self.concurrency),
        }
    }

    /// Writes down what the sweep showed, and tells the operator.
    pub(crate) async fn finish_sweep(&self, sweep: Sweep<'_>) -> Vec<String> {
        let now = self.clock.precise();
        let broken = sweep.standings.broken().await;
        // Whoever mends that may do it by putting another secret there.
        if !broken.is_empty() {
            self.credentials.forget().await;
        }
        for platform in broken {
            let by = Some(("platform", platform.name()));
            self.metrics
                .write(now, by, &[("BreakerOpen", Metric::Count(1))]);
        }
        sweep.outcomes.write(&self.metrics, now);
        for (platform, events) in sweep.standings.save().await {
            sweep.operations.add(Operation::of(platform, &events));
        }
        self.tell_operator(sweep.operations.take()).await
    }

    /// The keys in all partitions of one class that need attention until
    /// `horizon`, each once.
    fn due(
        &self,
        class: char,
        horizon: DateTime<Utc>,
    ) -> impl Stream<Item = Result<IntegrationKey, TableError>> {
        let shards = next_action_shards(class)
            .into_iter()
            .map(|shard| Box::pin(self.integrations.due(&shard, horizon)));
        // Looking ahead, an integration that was handled comes up again at its
        // next instant of attention, within the same query.
        let mut seen = HashSet::new();
        stream::select_all(shards).filter(move |key| {
            ready(match key {
                Ok(key) => seen.insert(key.clone()),
                Err(_) => true,
            })
        })
    }

    /// One failing integration never stops the others: it becomes a line of the report.
    async fn process_or_report(
        &self,
        key: Result<IntegrationKey, TableError>,
        trigger: Trigger,
        turn: Option<Turn<'_>>,
        sweep: &Sweep<'_>,
    ) -> Result<SweepReport, TableError> {
        let key = key?;
        let mut report = SweepReport::default();
        // Not even a panic in one integration may stop the others.
        let processed = AssertUnwindSafe(self.process(&key, trigger, turn, sweep, &mut report))
            .catch_unwind()
            .await;
        let problem = match processed {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("handling it panicked; the function's log has the place".to_owned()),
        };
        if let Some(problem) = problem {
            warn!(org_id = %key.org_id, integration_id = %key.integration_id, problem, "an integration could not be handled");
            report.add(SweepReport {
                failures: vec![IntegrationFailure {
                    org_id: key.org_id.to_string(),
                    integration_id: key.integration_id.to_string(),
                    problem,
                }],
                ..SweepReport::default()
            });
        }
        Ok(report)
    }

    /// One audit row, one log line.
    async fn conclude(&self, report: &SweepReport, began: DateTime<Utc>) {
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
