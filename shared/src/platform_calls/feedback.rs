//! Learns from platforms' answers to calls: closes quotas, keeps what they say of their own, and
//! has an integration checked that may be in trouble.
//!
//! An answer alone never changes an integration's state: whoever reports it may be wrong. The
//! evidence comes from a request of our own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

use crate::aws::AwsError;
use crate::aws::check_tokens::CheckTokensClient;
use crate::aws::quota::{Limiter, QuotaError};
use crate::aws::tables::{ReportedUsage, TableError, UsageTable};
use crate::domain::call_reading::{CallReading, CallVerdict, Usage, UsageScope};
use crate::domain::quota::{BlockSource, QuotaKey};
use crate::oauth::{CallAnswer, read_call};
use crate::runtime::metrics::{Metric, Metrics};
use crate::{Clock, IntegrationKey};

/// A use that moves by less is not stored again within [`STORED_FOR`].
const MIN_CHANGE: u32 = 5;
const STORED_FOR: TimeDelta = TimeDelta::minutes(5);
/// How many integrations' stored use an instance remembers.
const CAPACITY: usize = 10_000;

/// What an answer means, and what was done.
#[derive(Debug, Clone, PartialEq)]
pub struct Learned {
    pub reading: CallReading,
    /// Until when the integration gets no permit, if the answer closes its quota.
    pub closed_until: Option<DateTime<Utc>>,
}

impl Learned {
    /// Says what to do.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self.reading.verdict {
            CallVerdict::Accepted if self.closed_until.is_some() => {
                "The platform's own quota is nearly used up: permits are refused until then."
            }
            verdict => verdict.advice(),
        }
    }
}

/// What an answer asks for could not be done in full. Reporting it again does no harm.
#[derive(Debug, thiserror::Error)]
pub enum FeedbackError {
    #[error(transparent)]
    Quota(#[from] QuotaError),
    #[error(transparent)]
    Table(#[from] TableError),
    #[error(transparent)]
    Check(#[from] AwsError),
    /// An answer of Token Warden over HTTP.
    #[error(transparent)]
    Http(#[from] super::http_error::HttpError),
}

/// Who says what a platform answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Witness {
    /// We made the call.
    Us,
    /// Somebody who may be wrong.
    Reporter,
}

#[derive(Debug, Clone)]
pub struct Feedback {
    limiter: Limiter,
    usage: UsageTable,
    check_tokens: CheckTokensClient,
    stored: Arc<Mutex<HashMap<QuotaKey, Stored>>>,
    metrics: Metrics,
    clock: Clock,
}

/// The use that was stored last.
#[derive(Debug)]
struct Stored {
    at: DateTime<Utc>,
    percents: Vec<u32>,
}

impl Feedback {
    pub(super) fn new(
        limiter: Limiter,
        usage: UsageTable,
        check_tokens: CheckTokensClient,
        clock: Clock,
    ) -> Self {
        Self {
            limiter,
            usage,
            check_tokens,
            stored: Arc::default(),
            metrics: Metrics::default(),
            clock,
        }
    }

    pub(super) fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Learns from the answer to a call of our own, which a permit admitted. Returns what was
    /// learned, and whether all that follows could be done.
    pub async fn learn(
        &self,
        key: &QuotaKey,
        answer: &CallAnswer,
    ) -> (Learned, Result<(), FeedbackError>) {
        self.learn_from(key, answer, Witness::Us).await
    }

    /// Learns from an answer that somebody reports. The call may have been made without a
    /// permit: so the report may also show that a platform's own quota is free again. The
    /// `generation` is that of the access token of the call, if it is known.
    ///
    /// The reporter may be wrong. So a report closes its integration's quota for as long as the
    /// answer says, but those of everybody else only as
    /// [`Limiter::block_application_on_report`] does. It opens no quota but its integration's.
    ///
    /// # Errors
    /// [`FeedbackError`] if part of that could not be done.
    pub async fn learn_reported(
        &self,
        key: &QuotaKey,
        answer: &CallAnswer,
        generation: Option<u64>,
    ) -> Result<Learned, FeedbackError> {
        let earlier = self.usage.last_report(key, self.clock.now()).await?;
        let (learned, done) = self.learn_from(key, answer, Witness::Reporter).await;
        done?;
        let earlier = earlier.map_or_else(Vec::new, |earlier| earlier.usage);
        self.open(key, &learned.reading.usage, &earlier).await?;
        if learned.reading.verdict.asks_for_check() {
            self.have_checked(key, generation).await?;
        }
        Ok(learned)
    }

    async fn learn_from(
        &self,
        key: &QuotaKey,
        answer: &CallAnswer,
        witness: Witness,
    ) -> (Learned, Result<(), FeedbackError>) {
        let reading = self.read(key, answer);
        let closed = self.close(key, &reading, witness).await;
        let kept = self.keep(key, &reading.usage).await;
        let (closed_until, closed) = match closed {
            Ok(until) => (until, Ok(())),
            Err(error) => (None, Err(error.into())),
        };
        let learned = Learned {
            reading,
            closed_until,
        };
        (learned, closed.and(kept.map_err(FeedbackError::from)))
    }

    /// Has the integration checked in the background, at most once a minute.
    ///
    /// # Errors
    /// [`FeedbackError`] if the check was not begun.
    pub async fn have_checked(
        &self,
        key: &QuotaKey,
        generation: Option<u64>,
    ) -> Result<(), FeedbackError> {
        let now = self.clock.now();
        if !self.usage.claim_check(key, now).await? {
            return Ok(());
        }
        let integration = IntegrationKey::from(key);
        let requested = self.check_tokens.request_check(&integration, generation);
        if let Err(error) = requested.await {
            // So that the next answer asks again, and not one in a minute.
            if let Err(error) = self.usage.give_up_check(key, now).await {
                tracing::warn!(%error, quota_key = %key, "the claim of a check stays");
            }
            return Err(error.into());
        }
        Ok(())
    }

    fn read(&self, key: &QuotaKey, answer: &CallAnswer) -> CallReading {
        let reading = read_call(key.platform(), answer, self.clock.now());
        let CallReading { verdict, code, .. } = &reading;
        if *verdict != CallVerdict::Accepted {
            tracing::info!(
                quota_key = %key,
                verdict = verdict.name(),
                code,
                status = answer.status,
                "a platform did not accept a call"
            );
        }
        let is = |of: CallVerdict| Metric::Count((*verdict == of).into());
        let counts = [
            ("CallsAnswered", Metric::Count(1)),
            ("CallsThrottled", is(CallVerdict::Throttled)),
            ("CallTokensRefused", is(CallVerdict::TokenRefused)),
        ];
        let by = Some(("platform", key.platform().name()));
        self.metrics.write(self.clock.precise(), by, &counts);
        reading
    }

    /// Closes what the platform wants closed. Returns until when the integration's quota is.
    async fn close(
        &self,
        key: &QuotaKey,
        reading: &CallReading,
        witness: Witness,
    ) -> Result<Option<DateTime<Utc>>, QuotaError> {
        let full = reading.usage.iter().filter(|usage| usage.is_used_up);
        let full = full.filter_map(|usage| Some((usage.scope, usage.resets_at?, source(usage))));
        let throttle = reading.throttle;
        let throttle = throttle.map(|(scope, until)| (scope, until, BlockSource::Throttle));
        let all: Vec<_> = full.chain(throttle).collect();
        let latest = |all: &[(UsageScope, DateTime<Utc>, BlockSource)]| {
            let (_, until, source) = *all.iter().max_by_key(|(_, until, _)| *until)?;
            // No report lifts what a throttle closed.
            let is_throttled = all.iter().any(|(.., of)| *of == BlockSource::Throttle);
            Some((
                until,
                if is_throttled {
                    BlockSource::Throttle
                } else {
                    source
                },
            ))
        };
        let Some((until, source)) = latest(&all) else {
            return Ok(None);
        };
        // Also where the whole application is meant: others see that block seconds later.
        let block = self.limiter.block(key, until, source).await?;
        let of_application = all.into_iter();
        let of_application: Vec<_> = of_application
            .filter(|(scope, ..)| *scope == UsageScope::Application)
            .collect();
        let Some((until, source)) = latest(&of_application) else {
            return Ok(block.until());
        };
        tracing::warn!(quota_key = %key, %until, "a platform asks all integrations to wait");
        let platform = key.platform();
        let application = match witness {
            Witness::Us => {
                self.limiter
                    .block_application(platform, until, source)
                    .await?
            }
            Witness::Reporter => {
                let limiter = &self.limiter;
                limiter
                    .block_application_on_report(platform, until, source)
                    .await?
            }
        };
        Ok(block.until().max(application.until()))
    }

    /// Opens what was closed because of a use of the integration that is no longer near its end.
    /// What was said `earlier` of another use closes it again, until that one's end.
    async fn open(
        &self,
        key: &QuotaKey,
        usage: &[Usage],
        earlier: &[Usage],
    ) -> Result<(), QuotaError> {
        let free: Vec<_> = usage.iter().filter(|usage| !usage.is_used_up).collect();
        if free.is_empty() || self.limiter.status(key).await?.blocked_until.is_none() {
            return Ok(());
        }
        let mut is_open = false;
        for usage in free {
            is_open |= self.limiter.unblock(key, &source(usage)).await?;
        }
        let others = earlier.iter().filter(|of| of.is_used_up);
        let others = others.filter(|of| usage.iter().all(|told| source(told) != source(of)));
        let latest = others
            .filter_map(|of| Some((of.resets_at?, source(of))))
            .max_by_key(|(until, _)| *until);
        if let Some((until, source)) = latest.filter(|_| is_open) {
            self.limiter.block(key, until, source).await?;
        }
        Ok(())
    }

    /// Stores the use for people to see, if it has changed.
    async fn keep(&self, key: &QuotaKey, usage: &[Usage]) -> Result<(), TableError> {
        let now = self.clock.now();
        if usage.is_empty() || !self.has_changed(key, usage, now) {
            return Ok(());
        }
        let reported = ReportedUsage {
            reported_at: now,
            usage: usage.to_vec(),
        };
        self.usage.report(key, &reported).await?;
        let stored = Stored {
            at: now,
            percents: usage.iter().map(|usage| usage.percent).collect(),
        };
        let mut all = self.stored();
        if all.len() >= CAPACITY {
            all.clear();
        }
        all.insert(key.clone(), stored);
        Ok(())
    }

    fn has_changed(&self, key: &QuotaKey, usage: &[Usage], now: DateTime<Utc>) -> bool {
        let all = self.stored();
        let Some(stored) = all.get(key) else {
            return true;
        };
        let moved = |(old, new): (&u32, &Usage)| old.abs_diff(new.percent) >= MIN_CHANGE;
        now - stored.at >= STORED_FOR
            || stored.percents.len() != usage.len()
            || stored.percents.iter().zip(usage).any(moved)
    }

    fn stored(&self) -> std::sync::MutexGuard<'_, HashMap<QuotaKey, Stored>> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the name by which a later report of the same use is recognised.
fn source(usage: &Usage) -> BlockSource {
    BlockSource::usage(&usage.header, &usage.entry)
}
