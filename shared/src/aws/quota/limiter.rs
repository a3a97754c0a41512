//! The limiter: decisions, and the requests that they take.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use chrono::{DateTime, TimeDelta, Utc};

use super::attributes::{Stored, decode};
use super::memory::Memory;
use super::write::{self, Write};
use crate::aws::AwsError;
use crate::aws::attributes::{Attributes, text};
use crate::domain::quota::item::{Item, Judgement, seconds};
use crate::domain::quota::{
    Decision, Denial, PERMIT_SECONDS, Permit, Policies, Policy, QuotaKey, QuotaStatus,
};
use crate::runtime::variables::InvalidVariable;
use crate::{Clock, Variables};

/// How long one try may take. After the last one the store counts as unavailable.
const TRY_TIMEOUT: Duration = Duration::from_millis(300);
const MAX_SENDS: u32 = 2;
/// How often one decision may begin anew because others were quicker.
const MAX_LOST_WRITES: u32 = 6;

/// No decision could be made, which is no allowance.
#[derive(Debug, thiserror::Error)]
pub enum QuotaError {
    /// DynamoDB did not answer in time.
    #[error("the quota store does not answer: {0}")]
    Unavailable(AwsError),
    /// Others changed the same item again and again.
    #[error("too many use this quota at the same moment; try again")]
    Contended,
    /// The item was not one that we write; an exhausted one replaced it.
    #[error("what was stored of this quota was damaged; it counts as used up now")]
    Damaged,
}

/// Decides who may call a platform, exactly, with one conditional write a decision.
#[derive(Debug, Clone)]
pub struct Limiter {
    client: aws_sdk_dynamodb::Client,
    table: String,
    policies: Arc<Policies>,
    clock: Clock,
    memory: Arc<Mutex<Memory>>,
    calls: Arc<AtomicU64>,
}

enum Sent {
    Done(Attributes),
    /// The condition did not hold. This is the item as it was, if there is one.
    Refused(Option<Attributes>),
}

impl Limiter {
    /// Creates a limiter on `table`, whose partition key is `quota_key`.
    #[must_use]
    pub fn new(
        client: aws_sdk_dynamodb::Client,
        table: impl Into<String>,
        policies: Policies,
        clock: Clock,
    ) -> Self {
        Self {
            client,
            table: table.into(),
            policies: Arc::new(policies),
            clock,
            memory: Arc::default(),
            calls: Arc::default(),
        }
    }

    /// Makes the limiter that the variables `QUOTAS_TABLE` and `QUOTA_POLICIES` describe.
    ///
    /// # Errors
    /// [`InvalidVariable`] names the variable.
    pub fn from_variables(
        client: aws_sdk_dynamodb::Client,
        variables: &Variables,
        clock: Clock,
    ) -> Result<Self, InvalidVariable> {
        let policies = variables.parsed("QUOTA_POLICIES", Policies::default())?;
        let table = variables.required("QUOTAS_TABLE")?;
        Ok(Self::new(client, table, policies, clock))
    }

    #[must_use]
    pub fn policies(&self) -> &Policies {
        &self.policies
    }

    /// Returns how many requests this limiter, clones included, has sent to DynamoDB.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    fn count_call(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Takes a permit, if there is one, by one conditional write. A denial is remembered, and
    /// repeated without any call.
    ///
    /// # Errors
    /// [`QuotaError`] if there is no decision, which is no allowance.
    pub async fn take_permit(&self, key: &QuotaKey) -> Result<Decision, QuotaError> {
        let policy = self.policies.for_platform(key.platform());
        if let Some(denial) = self.memory().denial(key, seconds(self.clock.now())) {
            return Ok(Decision::Denied(denial));
        }
        for _ in 0..MAX_LOST_WRITES {
            let stale = self.memory().take_stale(key);
            let sent = self
                .send(key, |now| write::admit(&policy, now, &stale))
                .await?;
            let now = self.clock.now();
            match sent {
                (Sent::Done(attributes), _) => match decode(&attributes, &policy) {
                    Stored::Current(item) => return Ok(self.admit(key, &policy, &item, now)),
                    // What was just written cannot be trusted: no allowance.
                    _ => return Err(self.replace_damaged(key, &policy, &attributes).await),
                },
                (Sent::Refused(None), _) => {
                    let created = self.send(key, |now| write::create(&policy, now)).await?;
                    // Lost that race: there is an item now, so the main form again.
                    if let (Sent::Done(attributes), _) = created
                        && let Stored::Current(item) = decode(&attributes, &policy)
                    {
                        return Ok(self.admit(key, &policy, &item, now));
                    }
                }
                (Sent::Refused(Some(old)), sent_at) => match decode(&old, &policy) {
                    Stored::Current(item) => {
                        // By the clock of the write that was refused: if a new epoch
                        // has begun since, the decision begins anew.
                        if let Judgement::Until(retry_at) = item.judge(&policy, sent_at) {
                            // The status is of that instant too, or the window that
                            // refused could be shown as free.
                            let status = QuotaStatus::from_item(&item, &policy, sent_at);
                            let denial = Denial { retry_at, status };
                            return Ok(self.deny(key, denial, now));
                        }
                    }
                    Stored::OtherPolicy(item, windows) => {
                        self.send(key, |now| {
                            write::replace(&item.regridded(&policy, &windows, now), &policy, &old)
                        })
                        .await?;
                    }
                    Stored::Damaged => return Err(self.replace_damaged(key, &policy, &old).await),
                },
            }
        }
        Err(QuotaError::Contended)
    }

    /// Returns the status of a key by one eventually consistent read; takes no permit.
    ///
    /// # Errors
    /// [`QuotaError::Unavailable`] if DynamoDB does not answer.
    pub async fn status(&self, key: &QuotaKey) -> Result<QuotaStatus, QuotaError> {
        let policy = self.policies.for_platform(key.platform());
        self.count_call();
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("quota_key", text(key))
            .send()
            .await
            .map_err(|e| QuotaError::Unavailable(AwsError::new("dynamodb:GetItem", e)))?;
        let now = self.clock.now();
        let item = match answer.item.map(|item| decode(&item, &policy)) {
            None => Item::empty(),
            Some(Stored::Current(item)) => item,
            Some(Stored::OtherPolicy(item, windows)) => item.regridded(&policy, &windows, now),
            Some(Stored::Damaged) => Item::exhausted(&policy, now),
        };
        Ok(QuotaStatus::from_item(&item, &policy, now))
    }

    /// Takes a permit, waiting for one at most `max`. If the next one frees later than that, it
    /// returns the denial at once.
    ///
    /// # Errors
    /// [`QuotaError`] if there is no decision, which is no allowance.
    pub async fn wait_until_ready(
        &self,
        key: &QuotaKey,
        max: Duration,
    ) -> Result<Decision, QuotaError> {
        let until = TimeDelta::from_std(max)
            .ok()
            .and_then(|max| self.clock.precise().checked_add_signed(max))
            .unwrap_or(DateTime::<Utc>::MAX_UTC);
        loop {
            let decision = self.take_permit(key).await?;
            let Decision::Denied(denial) = decision else {
                return Ok(decision);
            };
            let now = self.clock.precise();
            // Waiters that were refused together do not come back together.
            let jitter = TimeDelta::milliseconds(rand::random_range(0..1_000));
            let wait = TimeDelta::seconds(denial.retry_after(now).cast_signed()) + jitter;
            if now + wait > until {
                return Ok(decision);
            }
            self.clock.sleep_until(now + wait).await;
        }
    }

    /// Forgets what was granted to a key.
    ///
    /// # Errors
    /// [`QuotaError::Unavailable`] if DynamoDB does not answer.
    pub async fn reset(&self, key: &QuotaKey) -> Result<(), QuotaError> {
        self.count_call();
        self.client
            .delete_item()
            .table_name(&self.table)
            .key("quota_key", text(key))
            .send()
            .await
            .map_err(|e| QuotaError::Unavailable(AwsError::new("dynamodb:DeleteItem", e)))?;
        self.memory().forget_denial(key);
        Ok(())
    }

    /// Waits at most `wait` for a permit, and makes one call under it. So a Rust service spends
    /// the same quota as callers that ask the API for permits.
    ///
    /// `call` gets the permit, because it must begin before `use_by`. Later it
    /// would fall into a window that no longer counts it. Each try is a call of
    /// its own to the platform, so a retry asks for another permit.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use shared::aws::quota::{Limiter, QuotaError};
    /// use shared::domain::quota::QuotaKey;
    /// use shared::{Clock, IntegrationId, OrgId, Platform};
    ///
    /// /// What came of a post that is due.
    /// enum Outcome {
    ///     Posted,
    ///     /// The platform did not answer while the permit was good.
    ///     TooLate,
    ///     /// There is no permit for so many seconds.
    ///     RetryAfter(u64),
    /// }
    ///
    /// # async fn call_platform() {}
    /// async fn post(limiter: &Limiter, key: &QuotaKey, clock: &Clock) -> Result<Outcome, QuotaError> {
    ///     let called = limiter.execute(key, Duration::from_secs(10), async |permit| {
    ///         // The permit's end is the deadline of everything that leads to the call.
    ///         let left = (permit.use_by - clock.precise()).to_std().unwrap_or_default();
    ///         clock.within(left, call_platform()).await
    ///     });
    ///     Ok(match called.await? {
    ///         Ok(Some(())) => Outcome::Posted,
    ///         Ok(None) => Outcome::TooLate,
    ///         // Nothing was sent: put the post back into the queue for then.
    ///         Err(denial) => Outcome::RetryAfter(denial.retry_after(clock.now())),
    ///     })
    /// }
    ///
    /// # async fn example(client: aws_sdk_dynamodb::Client) -> Result<(), Box<dyn std::error::Error>> {
    /// let clock = Clock::system();
    /// let limiter = Limiter::new(client, "quotas", "{}".parse()?, clock.clone());
    /// let key = QuotaKey::new(Platform::Meta, OrgId::new("acme")?, IntegrationId::new("page-1")?);
    /// // A store that does not answer is an error here, and no allowance.
    /// post(&limiter, &key, &clock).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`QuotaError`] where there was no decision; the inner `Err` is a denial. In
    /// both cases `call` was not made.
    pub async fn execute<T>(
        &self,
        key: &QuotaKey,
        wait: Duration,
        call: impl AsyncFnOnce(Permit) -> T,
    ) -> Result<Result<T, Denial>, QuotaError> {
        match self.wait_until_ready(key, wait).await? {
            Decision::Admitted(permit) => Ok(Ok(call(permit).await)),
            Decision::Denied(denial) => Ok(Err(denial)),
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(&self, key: &QuotaKey, policy: &Policy, item: &Item, now: DateTime<Utc>) -> Decision {
        self.memory().remember_stale(key, item.stale(policy, now));
        Decision::Admitted(Permit {
            use_by: now + TimeDelta::seconds(i64::from(PERMIT_SECONDS)),
            status: QuotaStatus::from_item(item, policy, now),
        })
    }

    fn deny(&self, key: &QuotaKey, denial: Denial, now: DateTime<Utc>) -> Decision {
        self.memory().remember_denial(key, denial, seconds(now));
        Decision::Denied(denial)
    }

    /// Replaces a damaged item by an exhausted one, so that it never becomes an allowance.
    async fn replace_damaged(
        &self,
        key: &QuotaKey,
        policy: &Policy,
        old: &Attributes,
    ) -> QuotaError {
        tracing::error!(quota_key = %key, "a quota item was damaged and now counts as exhausted");
        let replaced = self
            .send(key, |now| {
                write::replace(&Item::exhausted(policy, now), policy, old)
            })
            .await;
        replaced.err().unwrap_or(QuotaError::Damaged)
    }

    /// Sends a write, and returns the instant of sending. Each try builds the write anew, so
    /// that its epoch is that of the instant. A retried write whose first try did arrive
    /// consumes one permit too many: the safe side.
    async fn send(
        &self,
        key: &QuotaKey,
        write: impl Fn(DateTime<Utc>) -> Write,
    ) -> Result<(Sent, DateTime<Utc>), QuotaError> {
        let mut tries = 0;
        loop {
            tries += 1;
            let now = self.clock.now();
            let Write {
                update,
                condition,
                values,
            } = write(now);
            self.count_call();
            let request = self
                .client
                .update_item()
                .table_name(&self.table)
                .key("quota_key", text(key))
                .update_expression(update)
                .condition_expression(condition)
                .expression_attribute_names("#t", "ttl")
                .set_expression_attribute_values(Some(values))
                .return_values(ReturnValue::AllNew)
                .return_values_on_condition_check_failure(
                    ReturnValuesOnConditionCheckFailure::AllOld,
                )
                .customize()
                .config_override(
                    aws_sdk_dynamodb::Config::builder().retry_config(RetryConfig::disabled()),
                )
                .send();
            let late = || SdkError::timeout_error("no answer in time");
            let result = self
                .clock
                .within(TRY_TIMEOUT, request)
                .await
                .ok_or_else(late)
                .flatten();
            let error = match result {
                Ok(answer) => return Ok((Sent::Done(answer.attributes.unwrap_or_default()), now)),
                Err(error) => error,
            };
            if let Some(UpdateItemError::ConditionalCheckFailedException(refused)) =
                error.as_service_error()
            {
                return Ok((Sent::Refused(refused.item.clone()), now));
            }
            if tries == MAX_SENDS {
                return Err(QuotaError::Unavailable(AwsError::new(
                    "dynamodb:UpdateItem",
                    error,
                )));
            }
        }
    }
}
