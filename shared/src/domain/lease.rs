//! Who holds an integration, and whether an exchange of its credential is in doubt.

use chrono::{DateTime, Utc};

use crate::domain::integration::{Integration, Lease};

impl Integration {
    /// Whether `attempt` holds the lease, even one that has ended.
    #[must_use]
    pub fn is_leased_by(&self, attempt: &str) -> bool {
        self.refresh
            .lease
            .as_ref()
            .is_some_and(|lease| lease.attempt == attempt)
    }

    /// Whether an attempt holds a lease that has not ended.
    #[must_use]
    pub fn is_leased(&self, now: DateTime<Utc>) -> bool {
        self.refresh
            .lease
            .as_ref()
            .is_some_and(|lease| lease.until > now)
    }

    /// Whether an attempt began an exchange of the credential, and nobody has recorded its end: the
    /// platform may have replaced the token.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.is_in_doubt_but_for(self.refresh.lease.as_ref())
    }

    /// Like [`Self::is_in_doubt`], but the intent of `holder` leaves no doubt.
    pub(crate) fn is_in_doubt_but_for(&self, holder: Option<&Lease>) -> bool {
        self.refresh.intent.as_ref().is_some_and(|intent| {
            intent.generation == self.credential.generation
                && holder.is_none_or(|lease| lease.attempt != intent.attempt)
        })
    }

    /// Returns the generation of a credential that may lie in the fallback in vain: an attempt
    /// began an exchange, and the credential was replaced or erased since.
    #[must_use]
    pub fn stale_fallback(&self) -> Option<u64> {
        let intent = self.refresh.intent.as_ref()?;
        (intent.generation != self.credential.generation).then_some(intent.generation + 1)
    }
}
