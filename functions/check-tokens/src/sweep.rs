//! One sweep: every partition of `by_attention` at once, the short-lived
//! tokens first, so many connections at a time, and so many of these with each
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
use shared::attention::attention_shards;
use shared::integration::Integration;
use shared::metrics::Metric;
use shared::oauth::Credentials;
use shared::platform::RefreshModel;
use shared::refresh::attempt::{EXCHANGE, PERSIST};
use shared::report::{Failure, Report};
use shared::store::{Key, StoreError, Stream as AuditStream};
use tracing::{info, warn};

use crate::applications::Standings;
use crate::attend::Why;
use crate::operations::{Operation, Operations};
use crate::outcomes::{Outcomes, write_sweep};
use crate::turns::{Turn, Turns};
use crate::{CheckTokens, Request, SweepError};

/// What a platform is asked about a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ask {
    /// For new tokens.
    Refresh,
    /// Whether the token lives.
    Probe,
}

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
    pub(crate) turns: Turns,
}

impl Sweep<'_> {
    /// Whether it refreshes anything.
    fn refreshes_at_all(&self) -> bool {
        !self.request.without_refresh && self.credentials.is_some()
    }

    /// What it asks a platform about this row, which nobody holds.
    pub(crate) fn asks(&self, row: &Integration, why: Why, now: DateTime<Utc>) -> Option<Ask> {
        let is_due = |at: Option<DateTime<Utc>>| at.is_some_and(|at| at <= now);
        let (refresh, probe) = match why {
            Why::Due => (
                is_due(row.refresh_due_at(now)),
                is_due(row.probe_due_at(now)),
            ),
            // What nothing refreshes can only be asked about.
            Why::Trial => (
                row.is_refreshable(now),
                row.refresh_model() == RefreshModel::None,
            ),
            // A token that the platform has replaced is not sent again: that may
            // end what still lives of the grant.
            Why::Asked => (row.is_refreshable(now) && !row.lost_its_rotation(), true),
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
            .map(|key| self.attend_or_report(Ok(key), Why::Trial, None, &sweep));
        for one in join_all(trials).await.into_iter().flatten() {
            report.add(one);
        }
        let mut index_error = None;
        self.attend_to_all(&sweep, in_time, |one| {
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

    /// Attends to all that is due while there is time, so many at once. Whoever
    /// must wait for its platform takes no place meanwhile, so that a platform
    /// that hangs holds up its own connections and no others.
    async fn attend_to_all(
        &self,
        sweep: &Sweep<'_>,
        in_time: impl Fn() -> bool,
        mut ended: impl FnMut(Result<Report, StoreError>),
    ) {
        let due = self.due('f', sweep.horizon);
        let due = due.chain(self.due('s', sweep.horizon));
        let mut due = pin!(due.take_while(|_| ready(in_time())));
        let mut all_is_read = false;
        let mut attending = FuturesUnordered::new();
        loop {
            while attending.len() < self.concurrency {
                let Some((key, turn)) = sweep.turns.next() else {
                    break;
                };
                // Whoever still waits is left to the next sweep.
                if !in_time() {
                    break;
                }
                attending.push(self.attend_or_report(Ok(key), Why::Due, Some(turn), sweep));
            }
            tokio::select! {
                biased;
                Some(one) = attending.next() => ended(one),
                key = due.next(), if !all_is_read && attending.len() < self.concurrency => {
                    match key {
                        Some(key) => {
                            attending.push(self.attend_or_report(key, Why::Due, None, sweep));
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
            horizon: match request.telling().window {
                usual if usual == shared::lapse::Window::default() => now,
                longer => now + longer.length(),
            },
            deadline,
            credentials,
            standings: Standings::load(&self.applications, &self.clock).await,
            operations: Operations::default(),
            outcomes: Outcomes::default(),
            turns: Turns::new(self.platform_concurrency, self.concurrency),
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
        for (platform, news) in sweep.standings.save().await {
            sweep.operations.add(Operation::of(platform, &news));
        }
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
        turn: Option<Turn<'_>>,
        sweep: &Sweep<'_>,
    ) -> Result<Report, StoreError> {
        let key = key?;
        let mut report = Report::default();
        // Not even a panic in one connection may stop the others.
        let attended = AssertUnwindSafe(self.attend(&key, why, turn, sweep, &mut report))
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
