//! One integration that needs attention: refresh it if that is due, tell people
//! what they must know, leave it where the next sweep will find it in time.

use shared::IntegrationKey;
use shared::Platform;
use shared::aws::AwsError;
use shared::aws::tables::{AuditStream, Conflict, TableError};
use shared::aws::token_cipher::{CipherError, SealedField};
use shared::domain::alert::Alert;
use shared::domain::integration::{Integration, RetryReason, Sealed, State};
use shared::domain::platform_health::Availability;
use shared::domain::refresh::attempt::{LEASE, Outcome};
use shared::domain::report::{AttemptRecord, SweepReport};
use shared::domain::severity::Severity;
use shared::oauth::{Credentials, Tokens};
use shared::platforms::catalog::RefreshModel;
use tracing::{info, warn};

use crate::CheckTokens;
use crate::exchange::{Exchanged, UNOPENABLE, encryption_context};
use crate::operations::Operation;
use crate::sweep::{Ask, Sweep};
use crate::turns::Turn;

/// Why an integration could not be handled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    #[error(transparent)]
    Store(#[from] TableError),
    #[error(transparent)]
    Sealing(#[from] CipherError),
    #[error("an alert could not be published: {0}")]
    Publish(#[from] AwsError),
}

/// Why an integration is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// Something is due.
    Due,
    /// To see whether a broken application works again.
    HalfOpenTrial,
    /// Somebody asked.
    Manual,
}

/// What was tried.
#[derive(Debug)]
pub(crate) enum Tried {
    /// Nothing was to be tried.
    Nothing,
    /// The platform holds our application back, or refuses it.
    HeldBack(Availability),
    /// The platform was asked.
    Asked {
        /// The verdict's name.
        verdict: String,
        /// What came of it, as a code.
        code: Option<String>,
        /// The attempt's id.
        attempt: String,
    },
}

impl Tried {
    pub(crate) fn asked(entry: &AttemptRecord) -> Self {
        Self::Asked {
            verdict: entry.verdict.clone(),
            code: entry.code.clone(),
            attempt: entry.attempt_id.clone(),
        }
    }
}

impl CheckTokens {
    pub(crate) async fn process(
        &self,
        key: &IntegrationKey,
        trigger: Trigger,
        mut turn: Option<Turn<'_>>,
        sweep: &Sweep<'_>,
        report: &mut SweepReport,
    ) -> Result<(), ProcessError> {
        let now = self.clock.now();
        let row = match self.integrations.get(key).await {
            Err(error @ TableError::Damaged { .. }) => {
                self.set_aside(key, &error, sweep).await?;
                return Err(error.into());
            }
            row => row?,
        };
        // The index lags behind the table: only the row itself says what is due.
        let due = |row: &Integration| match trigger {
            Trigger::Due => row.next_action_at.is_some_and(|at| at <= sweep.horizon),
            Trigger::HalfOpenTrial if row.refresh_model() == RefreshModel::None => {
                row.credential.access_token.is_some()
            }
            Trigger::HalfOpenTrial => row.is_refreshable(now) && row.refresh_due_at(now).is_some(),
            Trigger::Manual => row.is_refreshable(now),
        };
        let Some(row) = row.filter(|row| due(row) && !row.is_leased(now)) else {
            report.skipped += 1;
            return Ok(());
        };
        // Only the row says of which platform it is. The key waits, not the row,
        // which may be another one by then.
        if trigger == Trigger::Due && turn.is_none() && sweep.asks(&row, trigger, now).is_some() {
            turn = sweep.turns.take(row.platform);
            if turn.is_none() {
                report.cut_short |= !sweep.turns.wait(row.platform, key.clone());
                return Ok(());
            }
        }
        report.examined += 1;
        self.handle_row(row, trigger, sweep, report)
            .await
            .map(|_| ())
    }

    /// Handles a row that nobody holds: refreshes it; where nothing refreshes it
    /// and a refusal is to be confirmed, or somebody asked, probes it.
    pub(crate) async fn handle_row(
        &self,
        mut row: Integration,
        trigger: Trigger,
        sweep: &Sweep<'_>,
        report: &mut SweepReport,
    ) -> Result<Tried, ProcessError> {
        let now = self.clock.now();
        row.refresh.lease = None; // one that has ended is nobody's
        self.clear_fallback(&mut row).await;
        let mut tried = Tried::Nothing;
        let mut failure = None;
        if let Some(ask) = sweep.asks(&row, trigger, now)
            && let Some(credentials) = sweep.credentials
        {
            // Asked when it is its turn: what the ones before it met counts.
            let _turn = self.turn(row.platform).await;
            let admitted = match ask {
                Ask::Refresh => sweep.standings.admit(&row).await,
                Ask::Probe if trigger == Trigger::HalfOpenTrial => {
                    sweep.standings.admit(&row).await
                }
                Ask::Probe => match sweep.standings.of(row.platform).await {
                    Availability::Available => Ok(None),
                    availability => Err(availability),
                },
            };
            match admitted {
                Ok(_alone) => {
                    let now_is;
                    (now_is, tried, failure) = if ask == Ask::Refresh {
                        self.refresh(row, credentials, sweep, report).await?
                    } else {
                        let (now_is, what) = self.probe(row, credentials, sweep, report).await?;
                        (now_is, what, None)
                    };
                    match now_is {
                        Some(after) => row = after,
                        None => return failure.map_or(Ok(tried), Err),
                    }
                }
                Err(availability) => {
                    report.held_back += 1;
                    sweep.outcomes.held_back(row.platform);
                    let now = self.clock.now();
                    // It is not asked again before, and whoever looks at it sees why. A
                    // routine look at what works is only later.
                    if let Availability::HeldBack(until) = availability
                        && row.next_attempt_at(now).is_some_and(|at| at <= now)
                        && (ask == Ask::Refresh || row.state != State::Active)
                    {
                        row.wait_until(until, now);
                    }
                    tried = Tried::HeldBack(availability);
                }
            }
        }
        let row = self.tell(row, sweep, report).await?;
        let now = self.clock.now();
        if let Some(reconnect_by) = row.reconnect_by(now) {
            report.count_severity(Severity::of(
                reconnect_by,
                now,
                sweep.request.alert_policy().window,
            ));
        }
        failure.map_or(Ok(tried), Err)
    }

    /// Removes what an earlier attempt may have left in the fallback for a credential that a
    /// person has replaced or erased since.
    async fn clear_fallback(&self, row: &mut Integration) {
        let Some(generation) = row.stale_fallback() else {
            return;
        };
        let ended = |at| at + LEASE <= self.clock.now();
        if row
            .refresh
            .intent
            .as_ref()
            .is_some_and(|intent| ended(intent.at))
            && self
                .remove_fallback(&IntegrationKey::from(&*row), generation)
                .await
        {
            row.refresh.intent = None;
        }
    }

    pub(crate) async fn remove_fallback(&self, key: &IntegrationKey, generation: u64) -> bool {
        let removed = self.fallback.remove(key, generation).await;
        removed
            .inspect_err(|error| warn!(%error, %key, "a fallback credential could not be removed"))
            .is_ok()
    }

    /// A row that cannot be read is reported once, and then no more.
    async fn set_aside(
        &self,
        key: &IntegrationKey,
        error: &TableError,
        sweep: &Sweep<'_>,
    ) -> Result<(), ProcessError> {
        let problem = error.to_string();
        if self
            .integrations
            .set_aside(key, &problem, self.clock.now())
            .await?
        {
            sweep.operations.add(Operation::row_damaged(key, &problem));
        }
        Ok(())
    }

    /// Refreshes a row; without one in return it is in others' hands, or
    /// nobody knows how it is.
    async fn refresh(
        &self,
        row: Integration,
        credentials: &Credentials,
        sweep: &Sweep<'_>,
        report: &mut SweepReport,
    ) -> Result<(Option<Integration>, Tried, Option<ProcessError>), ProcessError> {
        // Opened before the claim: no attempt without a credential.
        let (access, refresh) = (
            row.credential.access_token.as_ref(),
            row.credential.refresh_token.as_ref(),
        );
        let tokens = match self
            .open(&row, row.credential.generation, access, refresh)
            .await
        {
            Ok(Some(tokens)) => tokens,
            Ok(None) => return Ok((Some(row), Tried::Nothing, None)),
            Err(error) => {
                sweep.outcomes.failed(row.platform);
                self.record_unopened(&row, &error).await;
                let row = self.put_off(row, &error, sweep, report).await?;
                return Ok((row, Tried::Nothing, Some(error.into())));
            }
        };
        let (key, platform) = (IntegrationKey::from(&row), row.platform);
        let untouched = row.clone();
        let Exchanged { end, entry } = self.exchange(row, &tokens, credentials, sweep).await;
        let outcome = end.outcome;
        count(&outcome, &entry.verdict, report);
        let tried = Tried::asked(&entry);
        if outcome == Outcome::RotationLost {
            let code = match &untouched.state {
                State::Retrying { code, .. } => code.as_deref(),
                _ => None,
            };
            sweep.operations.add(Operation::rotation_lost(&key, code));
        }
        let now = self.clock.now();
        sweep.outcomes.attempted(platform, &outcome, &entry, now);
        self.record_attempt(platform, key, entry).await;
        if outcome == Outcome::NoKey {
            // Backs off as if it could not be opened: KMS does not answer.
            let error = CipherError::NoKey;
            let row = self.put_off(untouched, &error, sweep, report).await?;
            return Ok((row, tried, Some(error.into())));
        }
        Ok((end.row, tried, None))
    }

    /// One that could not begin: its credential does not open.
    pub(crate) async fn record_unopened(&self, row: &Integration, error: &CipherError) {
        let verdict = match error {
            CipherError::NotOpenable(_) => "credential_damaged",
            _ => "unopenable",
        };
        let entry = AttemptRecord {
            verdict: verdict.to_owned(),
            ..AttemptRecord::at(row, attempt_id())
        };
        self.record_attempt(row.platform, IntegrationKey::from(row), entry)
            .await;
    }

    /// One log line and one audit row for every attempt, also one that never came
    /// to asking the platform.
    pub(crate) async fn record_attempt(
        &self,
        platform: Platform,
        key: IntegrationKey,
        entry: AttemptRecord,
    ) {
        info!(
            %platform,
            org_id = %key.org_id,
            integration_id = %key.integration_id,
            attempt_id = entry.attempt_id,
            verdict = entry.verdict,
            code = entry.code,
            http_status = entry.http_status,
            content_type = entry.content_type,
            body_bytes = entry.body_bytes,
            platform_request_id = entry.platform_request_id,
            duration_ms = entry.duration_ms,
            "attempt ended"
        );
        let id = entry.attempt_id.clone();
        let recorded = self.audit.record(AuditStream::Attempts(key), &id, entry);
        if let Err(error) = recorded.await {
            warn!(%error, "an attempt's audit row could not be written");
        }
    }

    /// An integration whose credential cannot be opened, or an answer to it not
    /// sealed, backs off like one whose platform fails, so that people hear of
    /// it before it expires. One that is damaged never will be: they hear at once.
    pub(crate) async fn put_off(
        &self,
        mut row: Integration,
        error: &CipherError,
        sweep: &Sweep<'_>,
        report: &mut SweepReport,
    ) -> Result<Option<Integration>, ProcessError> {
        let now = self.clock.now();
        let damaged = matches!(error, CipherError::NotOpenable(_));
        if damaged {
            row.damage(now);
        } else if row.is_in_doubt() {
            row.doubt(&UNOPENABLE, true, now, rand::random());
        } else {
            row.fail(&UNOPENABLE, true, now, rand::random());
        }
        match self.integrations.replace(row, now).await {
            Ok(row) => {
                if damaged {
                    let key = IntegrationKey::from(&row);
                    let operation = Operation::credential_damaged(&key, &error.to_string());
                    sweep.operations.add(operation);
                }
                Ok(Some(row))
            }
            Err(Conflict::Lost(_)) => {
                report.conflicts += 1;
                Ok(None)
            }
            Err(Conflict::Failed(error)) => Err(error.into()),
        }
    }

    /// Publishes what is due to be told, then records that it was. A crash in
    /// between repeats the publication, which `notify` recognises.
    pub(crate) async fn tell(
        &self,
        mut row: Integration,
        sweep: &Sweep<'_>,
        report: &mut SweepReport,
    ) -> Result<Integration, ProcessError> {
        let now = self.clock.now();
        let indexed = (row.next_action_at, row.reconnect_by);
        let mut due = row.pending_alerts(now, sweep.request.alert_policy());
        due.retain(|(at, _)| *at <= now);
        for (occurred_at, what) in &due {
            self.topic
                .publish(&Alert::new(&row, what, *occurred_at, now))
                .await?;
            report.alerts_published += 1;
        }
        for (_, what) in &due {
            row.record_sent(what);
            if what.needs_person() {
                sweep.outcomes.person_needed(row.platform);
            }
        }
        row.settle(now);
        // Nothing said, and found where it belongs: nothing to write.
        if due.is_empty() && indexed == (row.next_action_at, row.reconnect_by) {
            return Ok(row);
        }
        match self.integrations.replace(row.clone(), now).await {
            Ok(row) => Ok(row),
            Err(Conflict::Lost(_)) => {
                report.conflicts += 1;
                Ok(row)
            }
            Err(Conflict::Failed(error)) => Err(error.into()),
        }
    }

    /// Opens a credential of this row that was sealed for `generation`.
    pub(crate) async fn open(
        &self,
        row: &Integration,
        generation: u64,
        access: Option<&Sealed>,
        refresh: Option<&Sealed>,
    ) -> Result<Option<Tokens>, CipherError> {
        let context = |field| encryption_context(row, field, generation);
        let Some(access) = access else {
            return Ok(None);
        };
        let access_token = self
            .sealer
            .open(context(SealedField::AccessToken), access)
            .await?;
        let refresh_token = match refresh {
            Some(sealed) => Some(
                self.sealer
                    .open(context(SealedField::RefreshToken), sealed)
                    .await?,
            ),
            None => None,
        };
        Ok(Some(Tokens {
            access_token,
            refresh_token,
        }))
    }
}

/// A name for an attempt that no other has.
pub(crate) fn attempt_id() -> String {
    format!("{:016x}", rand::random::<u64>())
}

/// Counts an attempt.
fn count(outcome: &Outcome, verdict: &str, report: &mut SweepReport) {
    match outcome {
        Outcome::Renewed | Outcome::Recovered => report.auto_refreshed += 1,
        Outcome::Superseded => report.conflicts += 1,
        // Not begun: the next sweep goes on from here.
        Outcome::Released => report.cut_short = true,
        _ => {
            report.refresh_failed += 1;
            *report
                .refresh_failures
                .entry(verdict.to_owned())
                .or_default() += 1;
        }
    }
}

/// Whether a platform's own word keeps an integration from being tried, even if
/// somebody asks.
pub(crate) fn told_to_wait(row: &Integration, now: chrono::DateTime<chrono::Utc>) -> bool {
    matches!(
        row.state,
        // Without a failure of its own it was held back with all others: see there.
        State::Retrying { reason: RetryReason::Throttled, failures: 1.., next_attempt_at, .. }
            if next_attempt_at > now && !row.ends_before(next_attempt_at, now)
    )
}
