//! Drives one attempt: performs each step that the protocol names, and reports the event that
//! follows. The rules that must hold are in the protocol, not here.

use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::aws::credential_fallback::{CredentialFallback, FallbackError};
use shared::aws::tables::Conflict;
use shared::aws::token_cipher::{CipherError, DataKey, SealedField};
use shared::domain::check_result::CheckResult;
use shared::domain::integration::Integration;
use shared::domain::refresh::attempt::{Answered, Attempt, End, Event, Outcome, Step};
use shared::domain::refresh::{Lifetimes, ProbeResult, Renewed};
use shared::domain::report::{AnswerRecord, AttemptRecord};
use shared::domain::verdict::Verdict;
use shared::oauth::{OAuthClient, PlatformClients, Response, TokenResponse, Tokens};
use shared::runtime::random_id;
use shared::{Clock, IntegrationKey};
use tokio::time::timeout;
use tracing::{error, warn};

use crate::assess::success;
use crate::attempt_log::answer_record;
use crate::opening::{CredentialOpener, encryption_context};
use crate::run::Run;

/// Limits one try to store or to read: two tries end between the protocol's time for storing and
/// the end of the lease. This is real time, not the clock's: a process that was frozen for minutes
/// still reads an answer that has come. So does a test that moves its clock during a call.
const STORE_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub(crate) struct AttemptDriver {
    pub(crate) opener: CredentialOpener,
    pub(crate) fallback: CredentialFallback,
    pub(crate) oauth: OAuthClient,
    pub(crate) clock: Clock,
}

/// One attempt under way, and what it gathers.
struct Running<'a> {
    driver: &'a AttemptDriver,
    run: &'a Run<'a>,
    clients: &'a PlatformClients,
    tokens: &'a Tokens,
    before: &'a Integration,
    key: IntegrationKey,
    data_key: Option<DataKey>,
    /// The platform's new tokens, once it gave some: the old access token may be dead.
    new_tokens: Option<Tokens>,
    /// The lifetimes that the platform gave, and when the request was sent.
    new_lifetimes: Option<(Lifetimes, DateTime<Utc>)>,
    /// Whether a new refresh token was among the new tokens.
    rotated: bool,
    answer: AnswerRecord,
}

impl AttemptDriver {
    pub(crate) async fn remove_fallback(&self, key: &IntegrationKey, generation: u64) -> bool {
        let removed = self.fallback.remove(key, generation).await;
        removed
            .inspect_err(|error| warn!(%error, %key, "a fallback credential could not be removed"))
            .is_ok()
    }

    /// Refreshes an integration that nobody else holds, and returns how that ended.
    pub(crate) async fn drive(
        &self,
        row: Integration,
        tokens: &Tokens,
        clients: &PlatformClients,
        run: &Run<'_>,
    ) -> (End, AttemptRecord) {
        let id = random_id();
        let mut running = Running {
            driver: self,
            run,
            clients,
            tokens,
            before: &row,
            key: IntegrationKey::from(&row),
            data_key: None,
            new_tokens: None,
            new_lifetimes: None,
            rotated: false,
            answer: AnswerRecord::default(),
        };
        let clock = &self.clock;
        let now = clock.now();
        let jitter = rand::random();
        let mut attempt = Attempt::new(id.clone(), row.clone(), run.deadline, jitter, now);
        let mut step = attempt.begin();
        let end = loop {
            let event = match step {
                Step::Done(end) => break *end,
                step => running.perform(step).await,
            };
            step = attempt.next(event, clock.now());
        };
        let record = running.conclude(&end, id).await;
        (end, record)
    }
}

impl Running<'_> {
    async fn perform(&mut self, step: Step) -> Event {
        let AttemptDriver {
            opener,
            fallback,
            clock,
            ..
        } = self.driver;
        match step {
            Step::SecureKey => {
                let key = timeout(STORE_TIMEOUT, opener.cipher.data_key()).await;
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
                let stored = fallback.put(&self.key, generation, &renewed);
                let stored = timeout(STORE_TIMEOUT, stored).await;
                Event::FallbackStored(stored.is_ok_and(|stored| {
                    stored.inspect_err(|error| warn!(%error, key = %self.key, "a new credential could not be stored in the fallback")).is_ok()
                }))
            }
            Step::Pause(pause) => {
                clock.sleep_until(clock.precise() + pause).await;
                Event::Paused
            }
            Step::RemoveFallback(generation) => {
                self.driver.remove_fallback(&self.key, generation).await;
                Event::Removed
            }
            Step::Send => self.send().await,
            Step::Probe => Event::Probed(self.probe().await),
            Step::Done(_) => Event::Removed, // of which nothing follows
        }
    }

    async fn write(&self, row: Integration) -> Event {
        let AttemptDriver { opener, clock, .. } = self.driver;
        match timeout(STORE_TIMEOUT, opener.integrations.replace(row, clock.now())).await {
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
        match timeout(
            STORE_TIMEOUT,
            self.driver.opener.integrations.get(&self.key),
        )
        .await
        {
            Ok(Ok(row)) => Event::Read(row.map(Box::new)),
            Ok(Err(error)) => {
                warn!(%error, key = %self.key, "a row could not be read again");
                Event::Unreadable
            }
            Err(_) => Event::Unreadable,
        }
    }

    /// Finds the credential that an earlier attempt left in the fallback. A damaged copy counts as
    /// none.
    async fn find_fallback(&mut self, generation: u64) -> Event {
        let AttemptDriver {
            opener, fallback, ..
        } = self.driver;
        let found = fallback.find(&self.key, generation);
        let renewed = match timeout(STORE_TIMEOUT, found).await {
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
        let (access, refresh) = (&renewed.access_token, renewed.refresh_token.as_ref());
        match opener.open(self.before, generation, access, refresh).await {
            Ok(_) => {
                self.new_lifetimes = Some((renewed.lifetimes.clone(), renewed.sent_at));
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
        let AttemptDriver { oauth, clock, .. } = self.driver;
        let (sent_at, began) = (clock.now(), clock.precise());
        let model = self.before.refresh_model();
        let Response {
            result,
            request_id,
            summary,
        } = oauth
            .refresh(self.before.platform, model, self.clients, self.tokens)
            .await;
        self.answer = answer_record(summary, request_id, clock.precise() - began);
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
                self.answer.code.clone_from(&refused.code);
                let assessed = self.run.assess(self.before, &refused, &self.answer);
                let (verdict, conclusive) = assessed.await;
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
            driver,
            before,
            clients,
            ..
        } = self;
        let tokens = self.new_tokens.as_ref().unwrap_or(self.tokens);
        let probed = driver.oauth.probe(
            before.platform,
            clients,
            tokens,
            &before.permissions.granted,
        );
        let result = probed.await?.result.map_err(|refused| refused.verdict);
        if let Ok(seen) = &result {
            self.run
                .report_implausible_ends(before.platform, seen)
                .await;
        }
        Some(result)
    }

    /// Seals new tokens for the next generation. An answer without a refresh token leaves the
    /// old one in force.
    fn seal(
        &mut self,
        granted: TokenResponse,
        sent_at: DateTime<Utc>,
    ) -> Result<Renewed, CipherError> {
        let key = self.data_key.as_ref().ok_or(CipherError::Cipher)?;
        let context =
            |field| encryption_context(self.before, field, self.before.credential.generation + 1);
        let TokenResponse {
            tokens, lifetimes, ..
        } = granted;
        let rotated = tokens.rotate(self.tokens);
        let refresh_token = tokens
            .refresh_token
            .as_ref()
            .or(self.tokens.refresh_token.as_ref())
            .map(|token| key.seal(context(SealedField::RefreshToken), token))
            .transpose()?;
        self.new_lifetimes = Some((lifetimes.clone(), sent_at));
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

    /// Observes a success and completes the record, now that nothing can be lost any more.
    async fn conclude(self, end: &End, id: String) -> AttemptRecord {
        let row = end.row.as_ref();
        let (before, after) = (
            self.before.expiry.access_token,
            row.and_then(|row| row.expiry.access_token),
        );
        let result = match (&end.outcome, row) {
            (Outcome::Renewed, Some(row)) if row.refresh.renewed_at.is_none() => {
                match after < before {
                    true => CheckResult::Shortened,
                    false => CheckResult::Unchanged,
                }
            }
            (outcome, _) => outcome.into(),
        };
        if let (Outcome::Renewed | Outcome::StoredFromFallback, Some(row)) = (&end.outcome, row)
            && let Some((lifetimes, sent_at)) = self.new_lifetimes
        {
            let (lifetimes, implausible) =
                lifetimes.plausible(row.platform, self.before.refresh_model(), self.rotated);
            let observation = success(row, &lifetimes, sent_at);
            self.run.observe(row.platform, observation).await;
            self.run
                .report_implausible_lifetimes(row.platform, implausible)
                .await;
        }
        AttemptRecord {
            access_expires_after: after,
            ..AttemptRecord::new(self.before, id, result, self.answer)
        }
    }
}
