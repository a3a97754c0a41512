//! Drives an attempt: does each step that the protocol names, and says what
//! came of it. What must not be forgotten stands in the protocol, not here.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use shared::IntegrationKey;
use shared::aws::credential_fallback::FallbackError;
use shared::aws::tables::Conflict;
use shared::aws::token_cipher::{CipherError, DataKey, EncryptionContext, SealedField};
use shared::domain::integration::Integration;
use shared::domain::platform_health::Observation;
use shared::domain::refresh::attempt::{Answered, Attempt, End, Event, Outcome, Step};
use shared::domain::refresh::{Lifetimes, ProbeResult, Renewed};
use shared::domain::report::AttemptRecord;
use shared::domain::verdict::{Transient, Verdict};
use shared::oauth::{Answer, Credentials, Granted, Tokens};
use shared::platforms::catalog::RefreshModel;
use tokio::time::timeout;
use tracing::{error, warn};

use crate::CheckTokens;
use crate::process::attempt_id;
use crate::sweep::Sweep;

/// How long one try at storing or reading something may take: two of them end between the
/// protocol's time for storing and the end of the lease. In real time, not the clock's: a
/// process that was frozen for minutes still reads an answer that has come, and so does
/// one in a test whose clock is moved in the middle of a call.
const WRITE: Duration = Duration::from_secs(5);
/// Clocks given as "seconds left" that agree within this are one.
const EXPIRY_TOLERANCE: TimeDelta = TimeDelta::hours(1);

/// An attempt that has ended.
pub(crate) struct Exchanged {
    pub(crate) end: End,
    pub(crate) entry: AttemptRecord,
}

struct Driver<'a> {
    function: &'a CheckTokens,
    sweep: &'a Sweep<'a>,
    credentials: &'a Credentials,
    tokens: &'a Tokens,
    /// The row that is exchanged, as it was before.
    before: &'a Integration,
    key: IntegrationKey,
    data_key: Option<DataKey>,
    /// What came, once it did: the old access token may be another one.
    new_tokens: Option<Tokens>,
    /// What the platform gave, and when it was asked for.
    gave: Option<(Lifetimes, DateTime<Utc>)>,
    /// Whether a new refresh token was with it.
    rotated: bool,
    entry: AttemptRecord,
}

impl CheckTokens {
    /// Refreshes an integration that nobody else holds.
    pub(crate) async fn exchange(
        &self,
        row: Integration,
        tokens: &Tokens,
        credentials: &Credentials,
        sweep: &Sweep<'_>,
    ) -> Exchanged {
        let entry = AttemptRecord::at(&row, attempt_id());
        let id = entry.attempt_id.clone();
        let mut driver = Driver {
            function: self,
            sweep,
            credentials,
            tokens,
            before: &row,
            key: IntegrationKey::from(&row),
            data_key: None,
            new_tokens: None,
            gave: None,
            rotated: false,
            entry,
        };
        let now = self.clock.now();
        let mut attempt = Attempt::new(id, row.clone(), sweep.deadline, rand::random(), now);
        let mut step = attempt.begin(now);
        let end = loop {
            let event = match step {
                Step::Done(end) => break *end,
                step => driver.perform(step).await,
            };
            step = attempt.next(event, self.clock.now());
        };
        driver.conclude(end).await
    }
}

impl Driver<'_> {
    async fn perform(&mut self, step: Step) -> Event {
        let function = self.function;
        match step {
            Step::SecureKey => {
                let key = timeout(WRITE, function.sealer.data_key()).await;
                self.data_key = key.ok().and_then(|key| {
                    key.inspect_err(|error| warn!(%error, "no data key, so nothing is sent"))
                        .ok()
                });
                Event::Key(self.data_key.is_some())
            }
            Step::Claim(row) | Step::Store(row) | Step::Record(row) => self.write(*row).await,
            Step::FindFallback(generation) => self.find_fallback(generation).await,
            Step::ReadAgain => self.read_again().await,
            Step::StoreFallback(renewed) => {
                let generation = self.before.credential.generation + 1;
                let fallback = function.fallback.put(&self.key, generation, &renewed);
                let fallback = timeout(WRITE, fallback).await;
                Event::FallbackStored(fallback.is_ok_and(|fallback| {
                    fallback.inspect_err(|error| warn!(%error, key = %self.key, "a new credential could not be stored in the fallback")).is_ok()
                }))
            }
            Step::Pause(pause) => {
                let clock = &function.clock;
                clock.sleep_until(clock.precise() + pause).await;
                Event::Paused
            }
            Step::RemoveFallback(generation) => {
                function.remove_fallback(&self.key, generation).await;
                Event::Removed
            }
            Step::Send => self.send().await,
            Step::Probe => Event::Probed(self.probe().await),
            Step::Done(_) => Event::Removed, // nothing comes of it
        }
    }

    async fn write(&self, row: Integration) -> Event {
        let now = self.function.clock.now();
        match timeout(WRITE, self.function.integrations.replace(row, now)).await {
            Ok(Ok(row)) => Event::Written(Box::new(row)),
            Ok(Err(Conflict::Lost(row))) => Event::Lost(row),
            Ok(Err(Conflict::Failed(error))) => {
                warn!(%error, key = %self.key, "a row could not be written");
                Event::Unwritten
            }
            Err(_) => Event::Unwritten,
        }
    }

    async fn read_again(&self) -> Event {
        match timeout(WRITE, self.function.integrations.get(&self.key)).await {
            Ok(Ok(row)) => Event::Read(row.map(Box::new)),
            Ok(Err(error)) => {
                warn!(%error, key = %self.key, "a row could not be read again");
                Event::Unreadable
            }
            Err(_) => Event::Unreadable,
        }
    }

    /// What an earlier attempt left in the fallback, if it opens: a copy that does not is none.
    async fn find_fallback(&mut self, generation: u64) -> Event {
        let found = timeout(WRITE, self.function.fallback.find(&self.key, generation)).await;
        let renewed = match found {
            Ok(Ok(Some(renewed))) => renewed,
            Ok(Ok(None)) => return Event::FallbackFound(None),
            Ok(Err(error @ FallbackError::Damaged(_))) => {
                error!(%error, key = %self.key, "a fallback credential is damaged");
                return Event::FallbackFound(None);
            }
            Ok(Err(error)) => {
                warn!(%error, key = %self.key, "whether a credential is in the fallback could not be found out");
                return Event::Unreadable;
            }
            Err(_) => return Event::Unreadable,
        };
        let (access, refresh) = (Some(&renewed.access_token), renewed.refresh_token.as_ref());
        match self
            .function
            .open(self.before, generation, access, refresh)
            .await
        {
            Ok(_) => {
                self.gave = Some((renewed.lifetimes.clone(), renewed.sent_at));
                self.rotated = renewed.rotated;
                Event::FallbackFound(Some(Box::new(renewed)))
            }
            Err(error @ CipherError::NotOpenable(_)) => {
                error!(%error, key = %self.key, "a fallback credential is damaged");
                Event::FallbackFound(None)
            }
            Err(error) => {
                warn!(%error, key = %self.key, "a fallback credential could not be opened");
                Event::Unreadable
            }
        }
    }

    async fn send(&mut self) -> Event {
        let clock = &self.function.clock;
        let (sent_at, began) = (clock.now(), clock.precise());
        let Answer {
            result,
            request_id,
            came,
        } = self
            .function
            .oauth
            .refresh(
                self.before.platform,
                self.before.refresh_model(),
                self.credentials,
                self.tokens,
            )
            .await;
        self.entry.duration_ms = (clock.precise() - began).num_milliseconds();
        self.entry.platform_request_id = request_id;
        self.entry = self.entry.clone().with(came);
        match result {
            // Sealed with the key at hand, and handed over to be stored: between
            // the answer and its being stored nothing else may be done.
            Ok(granted) => match self.seal(granted, sent_at) {
                Ok(renewed) => Event::Answered(Answered::Renewed(Box::new(renewed))),
                Err(error) => {
                    error!(%error, key = %self.key, "a new credential could not be sealed");
                    Event::Unwritten
                }
            },
            Err(refused) => {
                self.entry.code.clone_from(&refused.code);
                let (verdict, conclusive) =
                    self.sweep.weigh(self.before, &refused, &self.entry).await;
                Event::Answered(Answered::Refused {
                    verdict,
                    conclusive,
                    code: refused.code,
                })
            }
        }
    }

    async fn probe(&self) -> Option<Result<ProbeResult, Verdict>> {
        let Self {
            function,
            before,
            credentials,
            ..
        } = self;
        let tokens = self.new_tokens.as_ref().unwrap_or(self.tokens);
        let probed = function.oauth.probe(
            before.platform,
            credentials,
            tokens,
            &before.permissions.granted,
        );
        let result = probed.await?.result.map_err(|refused| refused.verdict);
        if let Ok(seen) = &result {
            self.sweep.doubt(before.platform, seen).await;
        }
        Some(result)
    }

    /// Seals what came, for the generation it will be. An answer without a
    /// refresh token leaves the old one in force.
    fn seal(&mut self, granted: Granted, sent_at: DateTime<Utc>) -> Result<Renewed, CipherError> {
        let key = self.data_key.as_ref().ok_or(CipherError::Cipher)?;
        let context =
            |field| encryption_context(self.before, field, self.before.credential.generation + 1);
        let Granted { tokens, lifetimes } = granted;
        let rotated = tokens.rotate(self.tokens);
        let refresh_token = tokens
            .refresh_token
            .as_ref()
            .or(self.tokens.refresh_token.as_ref())
            .map(|token| key.seal(context(SealedField::RefreshToken), token))
            .transpose()?;
        self.gave = Some((lifetimes.clone(), sent_at));
        self.rotated = rotated;
        let access_token = key.seal(context(SealedField::AccessToken), &tokens.access_token)?;
        self.new_tokens = Some(tokens);
        Ok(Renewed {
            access_token,
            refresh_token,
            rotated,
            lifetimes,
            sent_at,
        })
    }

    /// What is left to do once nothing can be lost any more.
    async fn conclude(mut self, end: End) -> Exchanged {
        let row = end.row.as_ref();
        self.entry.expires_at = row.and_then(|row| row.expiry.access_token);
        self.entry.verdict = match (&end.outcome, row) {
            (Outcome::Renewed, Some(row)) if row.refresh.renewed_at.is_none() => {
                match row.expiry.access_token < self.before.expiry.access_token {
                    true => "shortened",
                    false => "unchanged",
                }
            }
            (outcome, _) => outcome.name(),
        }
        .to_owned();
        if let (Outcome::Renewed | Outcome::Recovered, Some(row)) = (&end.outcome, row)
            && let Some((lifetimes, sent_at)) = self.gave.take()
        {
            let (lifetimes, doubts) =
                lifetimes.believed(row.platform, self.before.refresh_model(), self.rotated);
            let observation = success(row, &lifetimes, sent_at);
            self.sweep.observe(row.platform, observation).await;
            self.sweep.doubt_lives(row.platform, doubts).await;
        }
        Exchanged {
            end,
            entry: self.entry,
        }
    }
}

/// What a success shows of the platform: the lives of its tokens, where it was
/// free to choose them.
fn success(row: &Integration, lifetimes: &Lifetimes, sent_at: DateTime<Utc>) -> Observation {
    let model = row.refresh_model();
    // An extension that moved nothing says how much is left, and no access token
    // outlives a refresh token that does not slide (LinkedIn).
    let unmoved = model == RefreshModel::Extend && row.refresh.renewed_at.is_none();
    let clipped = match (row.expiry.access_token, row.expiry.refresh_token) {
        (Some(access), Some(refresh)) => (access - refresh).abs() < EXPIRY_TOLERANCE,
        _ => false,
    };
    Observation::Success {
        key: IntegrationKey::from(row),
        sent_at,
        access_life: lifetimes.access.filter(|_| !unmoved && !clipped),
        refresh_life: lifetimes
            .refresh
            .filter(|_| model == RefreshModel::Rotating),
    }
}

/// The verdict for a credential that could not be opened for want of its key.
pub(crate) const UNOPENABLE: Verdict = Verdict::Transient(Transient::Unopenable);

/// Where a field of this row is sealed.
pub(crate) fn encryption_context(
    row: &Integration,
    field: SealedField,
    generation: u64,
) -> EncryptionContext<'_> {
    EncryptionContext {
        org_id: &row.org_id,
        integration_id: &row.integration_id,
        field,
        generation,
    }
}
