//! The limiter: decisions, and the requests that they take.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::applications::Applications;
use super::attributes::{self, Stored, decode};
use super::error::QuotaError;
use super::memory::Memory;
use super::store::{Sent, Store};
use super::write;
use crate::aws::attributes::Attributes;
use crate::domain::quota::item::{Item, Judgement};
use crate::domain::quota::window::seconds;
use crate::domain::quota::{
    Decision, Denial, PERMIT_SECONDS, Permit, Policies, Policy, QuotaKey, QuotaStatus,
};
use crate::runtime::variables::InvalidVariable;
use crate::{Clock, Platform, Variables};

/// How often one decision may begin anew because others were quicker.
pub(super) const MAX_LOST_WRITES: u32 = 6;

/// Decides who may call a platform, exactly, with one conditional write a decision.
#[derive(Debug, Clone)]
pub struct Limiter {
    pub(super) store: Store,
    policies: Arc<Policies>,
    pub(super) clock: Clock,
    memory: Arc<Mutex<Memory>>,
    pub(super) applications: Arc<Applications>,
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
            store: Store::new(client, table.into(), clock.clone()),
            policies: Arc::new(policies),
            clock,
            memory: Arc::default(),
            applications: Arc::default(),
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
        self.store.calls()
    }

    /// Takes a permit, if there is one, by one conditional write. A denial is remembered, and
    /// repeated without any call. Besides, at most once in
    /// [`super::APPLICATION_BLOCK_MAX_AGE`] seconds a read sees whether the whole application is
    /// blocked.
    ///
    /// # Errors
    /// [`QuotaError`] if there is no decision, which is no allowance.
    pub async fn take_permit(&self, key: &QuotaKey) -> Result<Decision, QuotaError> {
        let policy = self.policy(key);
        if let Some(denial) = self.memory().denial(key, seconds(self.clock.now())) {
            return Ok(Decision::Denied(denial));
        }
        if let Some(until) = self.application_blocked_until(key.platform()).await {
            return Ok(Decision::Denied(Denial {
                retry_at: until,
                status: QuotaStatus::closed(&policy, until),
            }));
        }
        for _ in 0..MAX_LOST_WRITES {
            let stale = self.memory().take_stale(key);
            let admitting = |now| write::admit(&policy, now, &stale);
            let (sent, sent_at) = self.store.send(key, admitting).await?;
            let decision = match sent {
                Sent::Done(attributes) => Some(self.granted(key, &policy, &attributes).await?),
                Sent::Refused(None) => self.create(key, &policy).await?,
                Sent::Refused(Some(old)) => self.refused(key, &policy, &old, sent_at).await?,
            };
            if let Some(decision) = decision {
                return Ok(decision);
            }
        }
        Err(QuotaError::Contended)
    }

    /// Reads what the main form has written.
    async fn granted(
        &self,
        key: &QuotaKey,
        policy: &Policy,
        attributes: &Attributes,
    ) -> Result<Decision, QuotaError> {
        match decode(attributes, policy) {
            Stored::Current(item) => Ok(self.admit(key, policy, &item)),
            // What was just written cannot be trusted: no allowance.
            _ => Err(self.replace_damaged(key, policy, attributes).await),
        }
    }

    /// Makes the first grant. `None` if that race is lost: there is an item now, so the main form
    /// again.
    async fn create(
        &self,
        key: &QuotaKey,
        policy: &Policy,
    ) -> Result<Option<Decision>, QuotaError> {
        let creating = |now| write::create(policy, now);
        let (created, _) = self.store.send(key, creating).await?;
        let Sent::Done(attributes) = created else {
            return Ok(None);
        };
        Ok(match decode(&attributes, policy) {
            Stored::Current(item) => Some(self.admit(key, policy, &item)),
            _ => None,
        })
    }

    /// Says why the main form was refused at `sent_at`; `None` if nothing refuses it any more.
    async fn refused(
        &self,
        key: &QuotaKey,
        policy: &Policy,
        old: &Attributes,
        sent_at: DateTime<Utc>,
    ) -> Result<Option<Decision>, QuotaError> {
        match decode(old, policy) {
            // By the clock of the write that was refused: if a new epoch has begun since, the
            // decision begins anew. The status is of that instant too, or the window that refused
            // could be shown as free.
            Stored::Current(item) => Ok(denial(&item, policy, sent_at).map(|denial| {
                self.remember(key, denial);
                Decision::Denied(denial)
            })),
            Stored::OtherPolicy(item, windows) => {
                let replacing =
                    |now| write::replace(&item.regridded(policy, &windows, now), policy, old);
                self.store.send(key, replacing).await?;
                Ok(None)
            }
            Stored::Damaged => Err(self.replace_damaged(key, policy, old).await),
        }
    }

    /// Returns the status of a key by one eventually consistent read; takes no permit. A block of
    /// the whole application is part of it.
    ///
    /// # Errors
    /// [`QuotaError::Unavailable`] if DynamoDB does not answer.
    pub async fn status(&self, key: &QuotaKey) -> Result<QuotaStatus, QuotaError> {
        let policy = self.policy(key);
        let read = self.store.read(key).await?;
        let application = self.application_blocked_until(key.platform()).await;
        let now = self.clock.now();
        let item = read.map_or_else(Item::empty, |item| item_of(&item, &policy, now));
        Ok(QuotaStatus::from_item(&item, &policy, now).also_blocked(application))
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

    /// Forgets what was granted to a key, and its block.
    ///
    /// # Errors
    /// [`QuotaError::Unavailable`] if DynamoDB does not answer.
    pub async fn reset(&self, key: &QuotaKey) -> Result<(), QuotaError> {
        self.store.delete(key).await?;
        self.memory().forget_denial(key);
        Ok(())
    }

    async fn application_blocked_until(&self, platform: Platform) -> Option<u64> {
        self.applications
            .blocked_until(platform, &self.store, &self.clock)
            .await
    }

    pub(super) fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn policy(&self, key: &QuotaKey) -> Policy {
        self.policies.for_platform(key.platform())
    }

    fn admit(&self, key: &QuotaKey, policy: &Policy, item: &Item) -> Decision {
        let now = self.clock.now();
        self.memory().remember_stale(key, item.stale(policy, now));
        Decision::Admitted(Permit {
            use_by: now + TimeDelta::seconds(i64::from(PERMIT_SECONDS)),
            status: QuotaStatus {
                // It was over when the permit was taken.
                blocked_until: None,
                ..QuotaStatus::from_item(item, policy, now)
            },
        })
    }

    pub(super) fn remember(&self, key: &QuotaKey, denial: Denial) {
        let now = seconds(self.clock.now());
        self.memory().remember_denial(key, denial, now);
    }

    /// Replaces a damaged item by an exhausted one, so that it never becomes an allowance. A block
    /// that is not damaged stays.
    pub(super) async fn replace_damaged(
        &self,
        key: &QuotaKey,
        policy: &Policy,
        old: &Attributes,
    ) -> QuotaError {
        tracing::error!(quota_key = %key, "a quota item was damaged and now counts as exhausted");
        let replacing = |now| write::replace(&exhausted(old, policy, now), policy, old);
        let replaced = self.store.send(key, replacing).await;
        replaced.err().unwrap_or(QuotaError::Damaged)
    }
}

fn exhausted(old: &Attributes, policy: &Policy, now: DateTime<Utc>) -> Item {
    Item {
        block: attributes::block(old).unwrap_or_default(),
        ..Item::exhausted(policy, now)
    }
}

/// Returns what a stored item is under this policy.
pub(super) fn item_of(stored: &Attributes, policy: &Policy, now: DateTime<Utc>) -> Item {
    match decode(stored, policy) {
        Stored::Current(item) => item,
        Stored::OtherPolicy(item, windows) => item.regridded(policy, &windows, now),
        Stored::Damaged => exhausted(stored, policy, now),
    }
}

/// Returns the denial of an item that grants nothing now.
pub(super) fn denial(item: &Item, policy: &Policy, now: DateTime<Utc>) -> Option<Denial> {
    match item.judge(policy, now) {
        Judgement::Free => None,
        Judgement::Until(retry_at) => Some(Denial {
            retry_at,
            status: QuotaStatus::from_item(item, policy, now),
        }),
    }
}
