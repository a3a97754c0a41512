//! Refreshes one integration that is due.

use shared::IntegrationKey;
use shared::aws::token_cipher::CipherError;
use shared::domain::integration::{Integration, State};
use shared::domain::refresh::attempt::{LEASE_DURATION, Outcome};
use shared::domain::report::{AnswerRecord, AttemptRecord, SweepReport};
use shared::oauth::PlatformClients;

use crate::attempt::AttemptDriver;
use crate::operator_events::OperatorEvent;
use crate::run::Run;
use crate::stage::{ProcessError, Processed, StageEnd};

#[derive(Debug, Clone)]
pub(crate) struct Refresher {
    pub(crate) driver: AttemptDriver,
}

impl Refresher {
    /// Refreshes a row that nobody else holds.
    pub(crate) async fn refresh(
        &self,
        row: Integration,
        clients: &PlatformClients,
        run: &Run<'_>,
        report: &mut SweepReport,
    ) -> Result<StageEnd, ProcessError> {
        // Opened before the claim: no attempt without a credential.
        let tokens = match self.driver.opener.open_current(&row).await {
            Ok(Some(tokens)) => tokens,
            Ok(None) => return Ok(StageEnd::untried(row)),
            Err(error) => {
                run.metrics.count_failed(row.platform);
                self.driver.opener.record_unopened(&row, &error).await;
                let row = self
                    .driver
                    .opener
                    .back_off(row, &error, run, report)
                    .await?;
                return Ok(StageEnd {
                    row,
                    processed: Processed::Untried,
                    failure: Some(error.into()),
                });
            }
        };
        let (key, platform) = (IntegrationKey::from(&row), row.platform);
        let untouched = row.clone();
        let (end, record) = self.driver.drive(row, &tokens, clients, run).await;
        let outcome = end.outcome;
        count(&outcome, &record, report);
        if outcome == Outcome::RotationLost {
            let code = match &untouched.state {
                State::Retrying { code, .. } => code.as_deref(),
                _ => None,
            };
            let event = OperatorEvent::rotation_lost(&key, code);
            run.operator_events.add(event);
        }
        let now = self.driver.clock.now();
        run.metrics.count_attempt(platform, &outcome, &record, now);
        // Somebody else was quicker, and records what came of it.
        let is_nothing = outcome == Outcome::Superseded && record.answer == AnswerRecord::default();
        if !is_nothing {
            let attempts = &self.driver.opener.attempts;
            attempts.record(platform, key, &record).await;
        }
        let (row, failure) = match outcome {
            // Backs off as if it could not be opened: KMS does not answer.
            Outcome::NoKey => {
                let error = CipherError::NoKey;
                let row = self
                    .driver
                    .opener
                    .back_off(untouched, &error, run, report)
                    .await?;
                (row, Some(error.into()))
            }
            _ => (end.row, None),
        };
        Ok(StageEnd {
            row,
            processed: Processed::Attempted(Box::new(record)),
            failure,
        })
    }

    /// Removes what an earlier attempt may have left in the fallback for a credential that a
    /// person has replaced or erased since.
    pub(crate) async fn clear_fallback(&self, row: &mut Integration) {
        let Some(generation) = row.stale_fallback() else {
            return;
        };
        let has_ended = |at| at + LEASE_DURATION <= self.driver.clock.now();
        let intent = row.refresh.intent.as_ref();
        if intent.is_some_and(|intent| has_ended(intent.at))
            && self
                .driver
                .remove_fallback(&IntegrationKey::from(&*row), generation)
                .await
        {
            row.refresh.intent = None;
        }
    }
}

fn count(outcome: &Outcome, record: &AttemptRecord, report: &mut SweepReport) {
    match outcome {
        Outcome::Renewed | Outcome::StoredFromFallback => report.auto_refreshed += 1,
        Outcome::Superseded => report.conflicts += 1,
        // Not begun: the next sweep goes on from here.
        Outcome::OutOfTime => report.cut_short = true,
        _ => {
            report.refresh_failed += 1;
            *report.refresh_failures.entry(record.result).or_default() += 1;
        }
    }
}
