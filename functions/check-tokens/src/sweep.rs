//! The pipeline, from top to bottom: find what is due, decide, refresh or probe, alert, report.
//! It runs until the deadline, and limits the integrations processed at once, in all and with
//! each platform.

use std::future::ready;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, Utc};
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use shared::aws::tables::{IntegrationsTable, PlatformHealthTable, TableError};
use shared::domain::integration::Integration;
use shared::domain::platform_health::Availability;
use shared::domain::refresh::attempt::{PERSIST_TIMEOUT, TOKEN_REQUEST_TIMEOUT};
use shared::domain::report::{IntegrationFailure, SweepReport};
use shared::domain::severity::Severity;
use shared::{Clock, IntegrationKey};
use tracing::warn;

use crate::alert::AlertPublisher;
use crate::decide::{self, AttemptKind, Trigger};
use crate::due::find_due;
use crate::error::SweepError;
use crate::limiter::{PlatformLimiter, Slot, WaitingKeys};
use crate::operator_events::OperatorEvent;
use crate::platform_secret::PlatformSecret;
use crate::probe::Prober;
use crate::refresh::Refresher;
use crate::report::Reporter;
use crate::request::Request;
use crate::run::Run;
use crate::stage::{ProcessError, Processed, StageEnd};

/// The stages through which an integration passes.
#[derive(Debug, Clone)]
pub(crate) struct Pipeline {
    pub(crate) secret: PlatformSecret,
    pub(crate) platform_health: PlatformHealthTable,
    pub(crate) integrations: IntegrationsTable,
    pub(crate) limiter: PlatformLimiter,
    pub(crate) refresher: Refresher,
    pub(crate) prober: Prober,
    pub(crate) alerts: AlertPublisher,
    pub(crate) reporter: Reporter,
    pub(crate) clock: Clock,
    /// How many integrations are processed at once.
    pub(crate) concurrency: usize,
}

impl Pipeline {
    /// Sweeps once, and calls `progress` after each integration.
    pub(crate) async fn sweep(
        &self,
        request: Request,
        deadline: Option<DateTime<Utc>>,
        mut progress: impl FnMut(&SweepReport),
    ) -> Result<SweepReport, SweepError> {
        let began = self.clock.precise();
        let clients = self.secret.clients().await;
        let run = Run::begin(
            request,
            deadline,
            clients.as_deref().ok(),
            &self.platform_health,
            &self.clock,
        )
        .await;
        let mut report = SweepReport::default();
        self.try_half_open(&run, &mut report).await;
        let mut index_error = None;
        let cut_short = self
            .process_due(&run, |one| {
                match one {
                    Ok(one) => report.add(one),
                    Err(error) => index_error = Some(error),
                }
                progress(&report);
            })
            .await;
        report.cut_short |= cut_short;
        report.operator_events = self.finish(run).await;
        self.reporter.conclude(&report, began).await;
        if let Some(error) = index_error {
            return Err(SweepError::Index(error));
        }
        clients?;
        Ok(report)
    }

    /// Tries a few integrations of each platform whose circuit breaker is half-open.
    async fn try_half_open(&self, run: &Run<'_>, report: &mut SweepReport) {
        if run.clients.is_none() {
            return;
        }
        let waiting = self.limiter.waiting_keys();
        let trials = run.health.half_open().await;
        let trials = trials.into_iter().map(|key| {
            let trigger = Trigger::HalfOpenTrial;
            self.process_or_report(Ok(key), trigger, None, run, &waiting)
        });
        for one in join_all(trials).await.into_iter().flatten() {
            report.add(one);
        }
    }

    /// Processes what is due while there is time, `concurrency` integrations at once. One that
    /// waits for its platform takes no place: a platform that hangs delays only its own
    /// integrations. Returns whether time ran out.
    async fn process_due(
        &self,
        run: &Run<'_>,
        mut ended: impl FnMut(Result<SweepReport, TableError>),
    ) -> bool {
        let cut_short = AtomicBool::new(false);
        let in_time = || {
            let in_time = run
                .deadline
                .is_none_or(|end| self.clock.now() + TOKEN_REQUEST_TIMEOUT + PERSIST_TIMEOUT < end);
            cut_short.fetch_or(!in_time, Ordering::Relaxed);
            in_time
        };
        let due = find_due(&self.integrations, run.horizon);
        let mut due = pin!(due.take_while(|_| ready(in_time())));
        let mut all_is_read = false;
        let waiting = self.limiter.waiting_keys();
        let process = |key, slot| self.process_or_report(key, Trigger::Due, slot, run, &waiting);
        let mut processing = FuturesUnordered::new();
        loop {
            let has_room = processing.len() < self.concurrency;
            // Whoever still waits at the deadline is left to the next sweep.
            let serves_waiting = has_room && !waiting.is_empty() && in_time();
            tokio::select! {
                biased;
                Some((key, slot)) = waiting.next(), if serves_waiting => {
                    processing.push(process(Ok(key), Some(slot)));
                }
                Some(one) = processing.next() => ended(one),
                key = due.next(), if !all_is_read && has_room => match key {
                    Some(key) => processing.push(process(key, None)),
                    None => all_is_read = true,
                },
                else => break,
            }
        }
        cut_short.into_inner()
    }

    /// Processes one integration. Its failure never stops others: it becomes a line of the report.
    async fn process_or_report<'a>(
        &'a self,
        key: Result<IntegrationKey, TableError>,
        trigger: Trigger,
        slot: Option<Slot<'a>>,
        run: &Run<'_>,
        waiting: &WaitingKeys<'a>,
    ) -> Result<SweepReport, TableError> {
        let key = key?;
        let mut report = SweepReport::default();
        let processing = self.process(&key, trigger, slot, run, waiting, &mut report);
        // Not even a panic in one integration may stop the others.
        let problem = match AssertUnwindSafe(processing).catch_unwind().await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("handling it panicked; the function's log has the place".to_owned()),
        };
        if let Some(problem) = problem {
            warn!(org_id = %key.org_id, integration_id = %key.integration_id, problem, "an integration could not be handled");
            report.failures.push(IntegrationFailure {
                org_id: key.org_id.to_string(),
                integration_id: key.integration_id.to_string(),
                problem,
            });
        }
        Ok(report)
    }

    /// Processes one integration, unless it must wait for its platform.
    async fn process<'a>(
        &'a self,
        key: &IntegrationKey,
        trigger: Trigger,
        slot: Option<Slot<'a>>,
        run: &Run<'_>,
        waiting: &WaitingKeys<'a>,
        report: &mut SweepReport,
    ) -> Result<(), ProcessError> {
        let now = self.clock.now();
        let row = match self.integrations.get(key).await {
            Err(error @ TableError::Damaged { .. }) => {
                self.set_aside(key, &error, run).await?;
                return Err(error.into());
            }
            row => row?,
        };
        let Some(row) = row.filter(|row| decide::is_due(row, trigger, run.horizon, now)) else {
            report.skipped += 1;
            return Ok(());
        };
        let platform = row.platform;
        let asks = run.clients.is_some() && decide::choose_attempt(&row, trigger, now).is_some();
        let _slot = match trigger {
            _ if !asks => None,
            // Only the row says of which platform it is. The key waits, not the row,
            // which may be another one by then.
            Trigger::Due => {
                let slot = slot.filter(|slot| slot.is_for(platform));
                let Some(slot) = slot.or_else(|| waiting.try_acquire(platform)) else {
                    report.cut_short |= !waiting.push(platform, key.clone());
                    return Ok(());
                };
                Some(slot)
            }
            _ => Some(self.limiter.acquire(platform).await),
        };
        report.examined += 1;
        self.process_row(row, trigger, run, report).await.map(drop)
    }

    /// Sets aside a row that cannot be read, so that it is reported only once.
    async fn set_aside(
        &self,
        key: &IntegrationKey,
        error: &TableError,
        run: &Run<'_>,
    ) -> Result<(), ProcessError> {
        let problem = error.to_string();
        let now = self.clock.now();
        if self.integrations.set_aside(key, &problem, now).await? {
            let event = OperatorEvent::row_damaged(key, &problem);
            run.operator_events.add(event);
        }
        Ok(())
    }

    /// Refreshes or probes a row that nobody holds, publishes its alerts, and counts its
    /// severity. The caller must hold a slot if this asks the platform.
    pub(crate) async fn process_row(
        &self,
        mut row: Integration,
        trigger: Trigger,
        run: &Run<'_>,
        report: &mut SweepReport,
    ) -> Result<Processed, ProcessError> {
        let now = self.clock.now();
        row.refresh.lease = None; // one that has ended is nobody's
        self.refresher.clear_fallback(&mut row).await;
        let attempt = decide::choose_attempt(&row, trigger, now);
        let end = match attempt {
            Some(attempt) => self.attempt(row, attempt, trigger, run, report).await?,
            None => StageEnd::untried(row),
        };
        if let Some(row) = end.row {
            let row = self.alerts.publish(row, run, report).await?;
            let now = self.clock.now();
            if let Some(reconnect_by) = row.reconnect_by(now) {
                let window = run.request.alert_policy().window;
                report.count_severity(Severity::at(reconnect_by, now, window));
            }
        }
        end.failure.map_or(Ok(end.processed), Err)
    }

    /// Refreshes or probes a row, if the platform's health allows it.
    async fn attempt(
        &self,
        mut row: Integration,
        attempt: AttemptKind,
        trigger: Trigger,
        run: &Run<'_>,
        report: &mut SweepReport,
    ) -> Result<StageEnd, ProcessError> {
        let Some(clients) = run.clients else {
            return Ok(StageEnd::untried(row));
        };
        // Asked only now that it has its slot: what the ones before it met counts.
        let admitted = if decide::shows_health(attempt, trigger) {
            run.health.admit(&row).await
        } else {
            match run.health.availability(row.platform).await {
                Availability::Available => Ok(None),
                availability => Err(availability),
            }
        };
        match admitted {
            Ok(_exception) => match attempt {
                AttemptKind::Refresh => self.refresher.refresh(row, clients, run, report).await,
                AttemptKind::Probe => self.prober.probe(row, clients, run, report).await,
            },
            Err(availability) => {
                report.held_back += 1;
                run.metrics.count_held_back(row.platform);
                decide::put_off(&mut row, attempt, availability, self.clock.now());
                Ok(StageEnd {
                    row: Some(row),
                    processed: Processed::HeldBack(availability),
                    failure: None,
                })
            }
        }
    }

    /// Reports what a run has found, and returns what the operator should hear.
    pub(crate) async fn finish(&self, run: Run<'_>) -> Vec<String> {
        // Whoever mends an open breaker may do it by putting another secret there.
        if !run.health.open_breakers().await.is_empty() {
            self.secret.forget().await;
        }
        self.reporter.finish(run).await
    }
}
