//! One connection that needs attention: refresh it if that is due, tell people
//! what they must know, leave it where the next sweep will find it in time.

use chrono::{DateTime, TimeDelta, Utc};
use shared::alert::Alert;
use shared::aws::AwsError;
use shared::integration::{Integration, Lease, Sealed};
use shared::lapse::Severity;
use shared::oauth::{Answer, Credentials, Granted, Tokens};
use shared::refresh::Renewed;
use shared::report::{Attempt, Report};
use shared::sealing::{Field, Place, SealingError};
use shared::store::{Conflict, Key, StoreError, Stream as AuditStream};
use shared::verdict::{Transient, Verdict};
use tracing::warn;

use crate::sweep::Terms;
use crate::{CheckTokens, Request};

/// For how long an attempt holds a connection: the exchange, storing what it
/// brought, and clocks that differ.
const LEASE: TimeDelta = TimeDelta::seconds(60);
/// How often a write is tried again after a lost race or a failing store.
const TRIES: u32 = 5;

/// Why a connection could not be handled.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AttendError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sealing(#[from] SealingError),
    #[error("an alert could not be published: {0}")]
    Publish(#[from] AwsError),
}

impl CheckTokens {
    pub(crate) async fn attend(
        &self,
        key: &Key,
        terms: Terms<'_>,
        report: &mut Report,
    ) -> Result<(), AttendError> {
        let Terms {
            request,
            horizon,
            credentials,
        } = terms;
        let now = self.clock.now();
        let row = self.integrations.get(key).await?;
        // The index lags behind the table: only the row itself says what is due.
        let due = |row: &Integration| row.attention_at.is_some_and(|at| at <= horizon);
        let Some(mut row) = row.filter(|row| due(row) && !row.is_leased(now)) else {
            report.skipped += 1;
            return Ok(());
        };
        row.lease = None; // one that has ended is nobody's
        report.examined += 1;

        let refresh_is_due = row.refresh_due_at(now).is_some_and(|at| at <= now);
        let mut unopenable = None;
        if refresh_is_due
            && !request.without_refresh
            && let Some(credentials) = credentials
        {
            // Opened before the claim: no attempt without a credential.
            let refreshed = match self.open(&row).await {
                Ok(Some(tokens)) => self.refresh(row, &tokens, credentials, report).await?,
                Ok(None) => Some(row),
                Err(error) => {
                    unopenable = Some(error);
                    self.put_off(row, report).await?
                }
            };
            let Some(refreshed) = refreshed else {
                return Ok(());
            };
            row = refreshed;
        }
        let row = self.tell(row, request, report).await?;
        let now = self.clock.now();
        if let Some(lapses_at) = row.lapse(now) {
            report.count_severity(Severity::of(lapses_at, now, request.telling().window));
        }
        unopenable.map_or(Ok(()), |error| Err(error.into()))
    }

    /// A connection whose credential cannot be opened backs off like one whose
    /// platform fails, so that people hear of it before it lapses.
    async fn put_off(
        &self,
        mut row: Integration,
        report: &mut Report,
    ) -> Result<Option<Integration>, AttendError> {
        let now = self.clock.now();
        row.fail(
            &Verdict::Transient(Transient::Unopenable),
            now,
            rand::random(),
        );
        match self.integrations.replace(row, now).await {
            Ok(row) => Ok(Some(row)),
            Err(Conflict::Lost(_)) => {
                report.conflicts += 1;
                Ok(None)
            }
            Err(Conflict::Failed(error)) => Err(error.into()),
        }
    }

    /// Publishes what is due to be told, then records that it was. A crash in
    /// between repeats the publication, which `notify` recognises.
    async fn tell(
        &self,
        mut row: Integration,
        request: Request,
        report: &mut Report,
    ) -> Result<Integration, AttendError> {
        let now = self.clock.now();
        let indexed = (row.attention_at, row.lapses_at);
        let mut due = row.announcements(now, request.telling());
        due.retain(|(at, _)| *at <= now);
        for (occurred_at, what) in &due {
            self.topic
                .publish(&Alert::new(&row, what, *occurred_at, now))
                .await?;
            report.alerts_published += 1;
        }
        for (_, what) in &due {
            row.record_told(what);
        }
        row.settle(now);
        // Nothing said, and found where it belongs: nothing to write.
        if due.is_empty() && indexed == (row.attention_at, row.lapses_at) {
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

    /// Refreshes a connection; `None` if somebody else was quicker.
    async fn refresh(
        &self,
        mut row: Integration,
        tokens: &Tokens,
        credentials: &Credentials,
        report: &mut Report,
    ) -> Result<Option<Integration>, AttendError> {
        let attempt = format!("{:016x}", rand::random::<u64>());
        let claimed_at = self.clock.now();
        row.lease = Some(Lease {
            attempt: attempt.clone(),
            until: claimed_at + LEASE,
        });
        let claimed = match self.integrations.replace(row, claimed_at).await {
            Ok(claimed) => claimed,
            Err(Conflict::Lost(_)) => {
                report.conflicts += 1;
                return Ok(None);
            }
            Err(Conflict::Failed(error)) => return Err(error.into()),
        };

        let sent_at = self.clock.precise();
        let answer = self
            .oauth
            .refresh(
                claimed.platform,
                claimed.refresh_model(),
                credentials,
                tokens,
            )
            .await;
        let duration = self.clock.precise() - sent_at;
        let Answer { result, request_id } = answer;
        let (outcome, code) = match result {
            Ok(granted) => (
                Ok(self.seal(&claimed, granted, tokens, claimed_at).await?),
                None,
            ),
            Err(refused) => (Err(refused.verdict), refused.code),
        };
        let before = claimed.access_expires_at;
        let key = Key::from(&claimed);
        let stored = self.store_outcome(claimed, &attempt, &outcome).await?;

        let verdict = match (&outcome, &stored) {
            (_, None) => "superseded",
            (Ok(_), Some(row)) if row.renewed_at.is_none() => "unchanged",
            (Ok(_), Some(_)) => "renewed",
            (Err(verdict), Some(_)) => verdict.name(),
        };
        match &outcome {
            _ if stored.is_none() => report.conflicts += 1,
            Ok(_) => report.auto_refreshed += 1,
            Err(_) => {
                report.refresh_failed += 1;
                *report
                    .refresh_failures
                    .entry(verdict.to_owned())
                    .or_default() += 1;
            }
        }
        let entry = Attempt {
            attempt_id: attempt.clone(),
            verdict: verdict.to_owned(),
            code,
            platform_request_id: request_id,
            duration_ms: duration.num_milliseconds(),
            expired_at: before,
            expires_at: stored.as_ref().and_then(|row| row.access_expires_at),
        };
        if let Err(error) = self
            .audit
            .record(AuditStream::Attempts(key), &attempt, entry)
            .await
        {
            warn!(%error, "an attempt's audit row could not be written");
        }
        Ok(stored)
    }

    /// Applies an outcome to the row as it is by now. New tokens win over
    /// anything but a newer credential, whoever holds the lease; a refusal
    /// counts only while the lease is ours.
    async fn store_outcome(
        &self,
        claimed: Integration,
        attempt: &str,
        outcome: &Result<Renewed, Verdict>,
    ) -> Result<Option<Integration>, AttendError> {
        let generation = claimed.generation;
        let luck = rand::random::<f64>();
        let mut row = claimed;
        let mut tries = 0;
        loop {
            let now = self.clock.now();
            let mut next = row.clone();
            match outcome {
                Ok(renewed) => next.renew(renewed.clone(), now),
                Err(verdict) => next.fail(verdict, now, luck),
            }
            tries += 1;
            match self.integrations.replace(next, now).await {
                Ok(stored) => return Ok(Some(stored)),
                Err(Conflict::Lost(Some(current)))
                    if tries < TRIES
                        && current.generation == generation
                        && (outcome.is_ok() || current.holds(attempt)) =>
                {
                    row = *current;
                }
                Err(Conflict::Lost(_)) => return Ok(None),
                Err(Conflict::Failed(_)) if tries < TRIES => {}
                Err(Conflict::Failed(error)) => return Err(error.into()),
            }
        }
    }

    async fn open(&self, row: &Integration) -> Result<Option<Tokens>, SealingError> {
        let place = |field| place(row, field, row.generation);
        let Some(access_token) = &row.access_token else {
            return Ok(None);
        };
        let access_token = self
            .sealer
            .open(place(Field::AccessToken), access_token)
            .await?;
        let refresh_token = match &row.refresh_token {
            Some(sealed) => Some(self.sealer.open(place(Field::RefreshToken), sealed).await?),
            None => None,
        };
        Ok(Some(Tokens {
            access_token,
            refresh_token,
        }))
    }

    /// Seals what came, for the generation it will be. An answer without a
    /// refresh token leaves the old one in force.
    async fn seal(
        &self,
        row: &Integration,
        granted: Granted,
        old: &Tokens,
        sent_at: DateTime<Utc>,
    ) -> Result<Renewed, SealingError> {
        let place = |field| place(row, field, row.generation + 1);
        let new = &granted.tokens;
        let access_token = self
            .sealer
            .seal(place(Field::AccessToken), &new.access_token)
            .await?;
        let refresh_token: Option<Sealed> =
            match new.refresh_token.as_ref().or(old.refresh_token.as_ref()) {
                Some(token) => Some(self.sealer.seal(place(Field::RefreshToken), token).await?),
                None => None,
            };
        Ok(Renewed {
            access_token,
            refresh_token,
            lifetimes: granted.lifetimes,
            sent_at,
        })
    }
}

fn place(row: &Integration, field: Field, generation: u64) -> Place<'_> {
    Place {
        org_id: &row.org_id,
        integration_id: &row.integration_id,
        field,
        generation,
    }
}
