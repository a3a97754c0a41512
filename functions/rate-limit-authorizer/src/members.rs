//! Remembers for a short while which organisations callers belong to.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use shared::aws::tables::{OrganizationsTable, TableError};
use shared::domain::organization::Membership;
use shared::{Clock, OrgId, UserId};

/// How long a membership that was given or taken may go unnoticed.
const MAX_AGE: TimeDelta = TimeDelta::seconds(60);
/// How many memberships are remembered at once.
const CACHE_CAPACITY: usize = 10_000;

/// Memberships, read at most once in [`MAX_AGE`].
#[derive(Debug)]
pub(crate) struct Members {
    organizations: OrganizationsTable,
    clock: Clock,
    known: Mutex<HashMap<(OrgId, UserId), KnownMembership>>,
}

#[derive(Debug, Clone)]
struct KnownMembership {
    read_at: DateTime<Utc>,
    membership: Option<Membership>,
}

impl KnownMembership {
    /// Also returns `false` if the clock was set back.
    fn is_fresh(&self, now: DateTime<Utc>) -> bool {
        (TimeDelta::zero()..MAX_AGE).contains(&(now - self.read_at))
    }
}

impl Members {
    pub(crate) fn new(organizations: OrganizationsTable, clock: Clock) -> Self {
        Self {
            organizations,
            clock,
            known: Mutex::default(),
        }
    }

    /// Returns the membership of `user` in `org`, no older than [`MAX_AGE`]. Also remembers that a
    /// user is no member, but never an error.
    pub(crate) async fn membership(
        &self,
        org: &OrgId,
        user: &UserId,
    ) -> Result<Option<Membership>, TableError> {
        let key = (org.clone(), user.clone());
        let read_at = self.clock.now();
        if let Some(known) = self
            .known()
            .get(&key)
            .filter(|known| known.is_fresh(read_at))
        {
            return Ok(known.membership.clone());
        }
        let membership = self.organizations.membership(org, user).await?;
        let mut all = self.known();
        if all.len() >= CACHE_CAPACITY {
            all.retain(|_, known| known.is_fresh(read_at));
        }
        // All of them fresh: dropping them costs reads, keeping them memory.
        if all.len() >= CACHE_CAPACITY {
            all.clear();
        }
        let known = KnownMembership {
            read_at,
            membership: membership.clone(),
        };
        all.insert(key, known);
        Ok(membership)
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<(OrgId, UserId), KnownMembership>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
