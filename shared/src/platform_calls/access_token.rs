//! Hands out living access tokens, and has one refreshed that is not.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::{ExposeSecret, SecretString};

use super::hand_outs::HandOuts;
use super::no_token::NoToken;
use super::person::{NeedsPerson, is_living};
use crate::aws::check_tokens::CheckTokensClient;
use crate::aws::tables::{AuditTable, Found, IntegrationsTable};
use crate::aws::token_cipher::{CipherError, EncryptionContext, SealedField, TokenCipher};
use crate::domain::check_result::CheckResult;
use crate::domain::integration::{Integration, State};
use crate::domain::state_message;
use crate::runtime::metrics::{Metric, Metrics};
use crate::{Clock, IntegrationKey, Platform, UserId};

/// How long callers wait for a refresh.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a refresh by somebody else is looked for, in real time: on a clock that stands
/// still, looking must not let time pass.
const POLL_INTERVAL: Duration = Duration::from_millis(250);
/// For how long the platform's own word to us stands against a caller's.
const SURE: TimeDelta = TimeDelta::minutes(1);
/// A token that was issued within this time is as good as a new one.
const NEWLY_ISSUED: TimeDelta = TimeDelta::minutes(5);
/// When to ask again, where nobody knows better.
const RETRY_AFTER: TimeDelta = TimeDelta::seconds(5);
const LONGEST_RETRY_AFTER: TimeDelta = TimeDelta::hours(1);
/// When to ask again while nothing of the platform is refreshed: the next sweep may find out that
/// it can be.
const HELD_RETRY_AFTER: TimeDelta = TimeDelta::minutes(5);

/// What a check of our own came to.
struct OwnCheck {
    result: CheckResult,
    /// In words, if it answered.
    message: Option<String>,
}

/// What the token must be good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The least life that is left of it.
    pub min_validity: TimeDelta,
    /// The platform has refused this generation: only another one helps.
    pub rejected_generation: Option<u64>,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            min_validity: TimeDelta::seconds(60),
            rejected_generation: None,
        }
    }
}

/// An access token that lives, as far as anybody knows.
#[derive(Debug, Clone)]
pub struct AccessToken {
    pub platform: Platform,
    pub token: SecretString,
    /// `None` if it does not end, or nobody knows when.
    pub expires_at: Option<DateTime<Utc>>,
    /// What the grant allows, as far as known.
    pub scopes: Vec<String>,
    pub generation: u64,
}

#[derive(Debug, Clone)]
pub struct AccessTokens {
    integrations: IntegrationsTable,
    cipher: TokenCipher,
    check_tokens: CheckTokensClient,
    hand_outs: HandOuts,
    metrics: Metrics,
    clock: Clock,
}

impl Wanted {
    fn is_met_by(&self, row: &Integration, now: DateTime<Utc>) -> bool {
        let is_new = row
            .expiry
            .issued_at
            .is_some_and(|at| now - at < NEWLY_ISSUED);
        let least = if is_new {
            TimeDelta::zero()
        } else {
            self.min_validity
        };
        is_living(row, now + least) && !self.rejects(row, now)
    }

    /// Whether the caller wants another token than the row's. One that is newer than a minute, or
    /// that the platform has accepted from us within one, is not replaced: whatever is wrong,
    /// another exchange for each call does not mend it.
    fn rejects(&self, row: &Integration, now: DateTime<Utc>) -> bool {
        let times = [row.expiry.issued_at, row.refresh.alive_at];
        let is_sure = times.into_iter().flatten().any(|at| now - at < SURE);
        self.rejected_generation == Some(row.credential.generation) && !is_sure
    }
}

impl AccessToken {
    /// Returns the header that carries the token in a call, and its value.
    #[must_use]
    pub fn header(&self) -> (&'static str, SecretString) {
        let (name, value) = self.platform.token_header(self.token.expose_secret());
        (name, value.into())
    }
}

impl AccessTokens {
    pub(super) fn new(
        integrations: IntegrationsTable,
        cipher: TokenCipher,
        check_tokens: CheckTokensClient,
        audit: AuditTable,
        clock: Clock,
    ) -> Self {
        Self {
            integrations,
            cipher,
            check_tokens,
            hand_outs: HandOuts::new(audit),
            metrics: Metrics::default(),
            clock,
        }
    }

    pub(super) fn with_metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Hands a living token to `caller`, and records that: without the record there is no token.
    ///
    /// It takes one read, and no call of KMS while the data key is remembered. If the stored
    /// token is not what is wanted, `check-tokens` refreshes it first; callers at the same time
    /// wait for that one exchange.
    ///
    /// # Errors
    /// [`NoToken`] says whether a person must act, or when to ask again.
    pub async fn hand_out(
        &self,
        caller: &UserId,
        key: &IntegrationKey,
        platform: Platform,
        wanted: Wanted,
    ) -> Result<AccessToken, NoToken> {
        let token = self.find(key, platform, wanted).await?;
        let now = self.clock.now();
        self.hand_outs.record(caller, key, now).await?;
        tracing::info!(
            org_id = %key.org_id,
            integration_id = %key.integration_id,
            %platform,
            %caller,
            generation = token.generation,
            "an access token was handed out"
        );
        let by = Some(("platform", platform.name()));
        let count = [("AccessTokensHandedOut", Metric::Count(1))];
        self.metrics.write(self.clock.precise(), by, &count);
        Ok(token)
    }

    /// Returns a living token that does not leave this process but to its platform.
    ///
    /// # Errors
    /// [`NoToken`], as of [`Self::hand_out`].
    pub async fn find(
        &self,
        key: &IntegrationKey,
        platform: Platform,
        wanted: Wanted,
    ) -> Result<AccessToken, NoToken> {
        let row = self.row(key).await?;
        if row.platform != platform {
            return Err(NoToken::OtherPlatform(row.platform));
        }
        let now = self.clock.now();
        let row = match NeedsPerson::of(&row, now) {
            Some(person) => return Err(NoToken::NeedsPerson(person)),
            None if wanted.is_met_by(&row, now) => row,
            None => self.refreshed(key, row, wanted).await?,
        };
        match self.open(&row).await {
            // Whoever checks it finds that out too, and asks its people to reconnect.
            Err(NoToken::Cipher(CipherError::NotOpenable(_))) => {
                let rejected = Wanted {
                    rejected_generation: Some(row.credential.generation),
                    ..wanted
                };
                let row = self.refreshed(key, row, rejected).await?;
                self.open(&row).await
            }
            opened => opened,
        }
    }

    async fn row(&self, key: &IntegrationKey) -> Result<Integration, NoToken> {
        match self.integrations.find(key).await? {
            Found::Row(row) => Ok(*row),
            Found::Nothing => Err(NoToken::UnknownIntegration),
            Found::Damaged { .. } => Err(NoToken::NeedsPerson(NeedsPerson::damaged(key))),
        }
    }

    async fn open(&self, row: &Integration) -> Result<AccessToken, NoToken> {
        let Some(sealed) = &row.credential.access_token else {
            return Err(NoToken::UnknownIntegration);
        };
        let context = EncryptionContext {
            org_id: &row.org_id,
            integration_id: &row.integration_id,
            field: SealedField::AccessToken,
            generation: row.credential.generation,
        };
        Ok(AccessToken {
            platform: row.platform,
            token: self.cipher.open(context, sealed).await?,
            expires_at: row.expiry.access_token,
            scopes: row.permissions.granted.clone(),
            generation: row.credential.generation,
        })
    }

    /// Returns the row after a refresh, or as it is if that fails and its token still lives.
    async fn refreshed(
        &self,
        key: &IntegrationKey,
        row: Integration,
        wanted: Wanted,
    ) -> Result<Integration, NoToken> {
        let waiting = self.wait_for_refresh(key, row, wanted);
        let (row, check) = match self.clock.within(REFRESH_TIMEOUT, waiting).await {
            Some(ended) => ended?,
            None => (self.row(key).await?, None),
        };
        let now = self.clock.now();
        if let Some(person) = NeedsPerson::of(&row, now) {
            return Err(NoToken::NeedsPerson(person));
        }
        // By the platform's own word to us, whatever it said to the caller.
        let is_alive = is(&check, CheckResult::Alive);
        if is_living(&row, now) && (is_alive || !wanted.rejects(&row, now)) {
            return Ok(row);
        }
        // The row does not show what holds all of its platform.
        let is_held = is(&check, CheckResult::BreakerOpen) || is(&check, CheckResult::HeldBack);
        let message = check.and_then(|check| check.message).filter(|_| is_held);
        let usual = if is_held {
            HELD_RETRY_AFTER
        } else {
            RETRY_AFTER
        };
        Err(NoToken::NotNow {
            message: message.unwrap_or_else(|| state_message::sentences(&row, now)),
            retry_after: retry_after(&row, usual, now),
        })
    }

    /// Has the integration refreshed, or waits for whoever is refreshing it. Returns the row
    /// then, and what a check of our own came to.
    async fn wait_for_refresh(
        &self,
        key: &IntegrationKey,
        mut row: Integration,
        wanted: Wanted,
    ) -> Result<(Integration, Option<OwnCheck>), NoToken> {
        loop {
            let now = self.clock.now();
            if row.has_just_failed(now) && !row.is_leased(now) {
                return Ok((row, None));
            }
            let check = if row.is_leased(now) {
                tokio::time::sleep(POLL_INTERVAL).await;
                None
            } else {
                let generation = row.credential.generation;
                let checked = self.check_tokens.check_generation(key, generation).await;
                let checked = checked.inspect_err(|error| {
                    tracing::error!(%error, %key, "a token could not be refreshed");
                });
                let check = checked.map_or(
                    OwnCheck {
                        result: CheckResult::Transient,
                        message: None,
                    },
                    |checked| OwnCheck {
                        result: checked.result,
                        message: Some(checked.message),
                    },
                );
                // Somebody else refreshes it, or has.
                let is_others = matches!(check.result, CheckResult::Busy | CheckResult::Superseded);
                Some(check).filter(|_| !is_others)
            };
            row = self.row(key).await?;
            let now = self.clock.now();
            let is_settled = wanted.is_met_by(&row, now) || NeedsPerson::of(&row, now).is_some();
            if is_settled || check.is_some() {
                return Ok((row, check));
            }
        }
    }
}

fn is(check: &Option<OwnCheck>, result: CheckResult) -> bool {
    check.as_ref().is_some_and(|check| check.result == result)
}

/// Returns after how many seconds a refresh may have been possible, `usual` if nothing says.
fn retry_after(row: &Integration, usual: TimeDelta, now: DateTime<Utc>) -> u32 {
    let lease = row.refresh.lease.as_ref().map(|lease| lease.until);
    let (next, wait) = match &row.state {
        State::Retrying {
            next_attempt_at,
            wait_until,
            ..
        } => (Some(*next_attempt_at), *wait_until),
        _ => (None, None),
    };
    let ahead = [lease, next, wait].into_iter().flatten();
    let at = ahead.filter(|at| *at > now).max();
    let wait = at.map_or(usual, |at| at - now);
    let wait = wait.clamp(TimeDelta::seconds(1), LONGEST_RETRY_AFTER);
    u32::try_from(wait.num_seconds()).unwrap_or(1)
}
