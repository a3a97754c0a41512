//! When an integration is refreshed and probed, and when a sweep must next do
//! anything about it.

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::alert_policy::AlertPolicy;
use crate::domain::digest;
use crate::domain::integration::{Integration, State};
use crate::domain::refresh::attempt::LEASE_DURATION;
use crate::platforms::catalog::RefreshModel;

/// A refresh is due at least this long before the token ends.
pub(super) const LEAST_MARGIN: TimeDelta = TimeDelta::minutes(10);
/// An unchanged or failing extension is tried again after this long.
pub(super) const DAILY: TimeDelta = TimeDelta::days(1);
/// A probe that said nothing is tried again after this long.
const HOURLY: TimeDelta = TimeDelta::hours(1);
/// Nothing is tried twice within this long.
pub(super) const LEAST_PAUSE: TimeDelta = TimeDelta::minutes(1);

impl Integration {
    #[must_use]
    pub fn refresh_model(&self) -> RefreshModel {
        self.platform.refresh_model(
            self.credential.refresh_token.is_some(),
            self.expiry.access_token.is_some(),
        )
    }

    /// Returns the life of the access token from issue to end, or the platform's usual one where
    /// either instant is unknown.
    #[must_use]
    pub fn access_lifetime(&self) -> TimeDelta {
        match (self.expiry.issued_at, self.expiry.access_token) {
            (Some(issued), Some(expires)) if expires > issued => expires - issued,
            _ => self.platform.usual_access_lifetime(),
        }
    }

    /// Returns when the access token was issued, or an estimate that is never after it came to us.
    fn issued(&self) -> DateTime<Utc> {
        let usual = self
            .expiry
            .access_token
            .map(|end| end - self.platform.usual_access_lifetime());
        self.expiry.issued_at.unwrap_or_else(|| {
            usual.map_or(self.credential.granted_at, |at| {
                at.min(self.credential.granted_at)
            })
        })
    }

    /// Whether the platform would refresh it now, due or not.
    #[must_use]
    pub fn is_refreshable(&self, now: DateTime<Utc>) -> bool {
        self.credential.access_token.is_some()
            && self.refresh_model() != RefreshModel::None
            && self.refresh_ends_at().is_none_or(|end| now < end)
            && self.refreshable_from() <= now
    }

    /// Returns when to look again whether a person has acted on the platform: daily, and before
    /// nothing can refresh the integration any more.
    pub(crate) fn rechecked_at(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let left = self.refresh_ends_at().filter(|end| *end > now);
        let half = left.map_or(DAILY, |end| (end - now) / 2);
        now + DAILY.min(half.max(LEAST_PAUSE))
    }

    /// Returns the instant from which the token is old enough for the platform to refresh it. A
    /// token that lives too short for that is tried from half its life on, whatever the platform
    /// documents: it has nothing to lose.
    fn refreshable_from(&self) -> DateTime<Utc> {
        let (issued, age) = (self.issued(), self.platform.minimum_age());
        let half = self.expiry.access_token.map(|end| (end - issued) / 2);
        issued + half.map_or(age, |half| age.min(half))
    }

    /// Returns the end of what refreshes the access token.
    pub(super) fn refresh_ends_at(&self) -> Option<DateTime<Utc>> {
        match self.refresh_model() {
            RefreshModel::None => None,
            // "You can not use an expired token to request a long-lived token" (Meta);
            // the same holds for Instagram.
            // One that lives shorter than two sweeps is tried once more after its end:
            // the platform that names such a life may mean another unit.
            RefreshModel::Extend => self.expiry.access_token.map(|end| {
                match self.access_lifetime() < LEAST_MARGIN * 2 {
                    true => end + LEAST_MARGIN,
                    false => end,
                }
            }),
            RefreshModel::Rotating | RefreshModel::Static => self.expiry.refresh_token,
        }
    }

    /// Returns when the credential should be refreshed; `None` if only a person can renew it. An
    /// instant in the past means that the refresh is due.
    #[must_use]
    pub fn refresh_due_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let model = self.refresh_model();
        let ended = self.refresh_ends_at();
        // One in doubt may have a newer credential in the fallback, which has not ended.
        let may_be_replaced = model == RefreshModel::Rotating && self.is_in_doubt();
        if model == RefreshModel::None
            || self.credential.access_token.is_none()
            || (ended.is_some_and(|end| end <= now) && !may_be_replaced)
        {
            return None;
        }
        let due = match self.state {
            // Somebody had it checked, and nobody knows what came of that: a
            // living credential may be in the fallback.
            State::ReconnectRequired { .. } if self.is_in_doubt() => now,
            State::Disconnected { .. } | State::ReconnectRequired { .. } => return None,
            State::Retrying {
                next_attempt_at, ..
            } => next_attempt_at,
            State::PlatformActionRequired { next_check_at, .. } => next_check_at,
            // Cleared up at once: the sooner, the more of the access token's life is left.
            State::Active if self.is_in_doubt() => now,
            State::Active => self.refresh_due_when_active(model),
        };
        let due = due.max(self.refreshable_from());
        // What may only be tried after its end is not tried at all.
        (ended.is_none_or(|end| due < end) || may_be_replaced).then_some(due)
    }

    /// Returns when a free probe is due where nothing refreshes the token. A daily probe shows
    /// whether the token has died; a probe also confirms or refutes a refusal.
    #[must_use]
    pub fn probe_due_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.refresh_model() != RefreshModel::None || self.credential.access_token.is_none() {
            return None;
        }
        let due = match self.state {
            State::Retrying {
                next_attempt_at, ..
            } => next_attempt_at,
            State::PlatformActionRequired { next_check_at, .. } => next_check_at,
            State::Active if self.platform.has_free_probe() => match self.refresh.probed_at {
                // A thousand that came in one minute are spread over a day.
                None => self.credential.granted_at + DAILY * self.jitter_in_4096ths() / 4096,
                Some(at) if self.refresh.alive_at >= Some(at) => at + DAILY,
                // It gave no answer that says anything; some never do.
                Some(at)
                    if at - self.refresh.alive_at.unwrap_or(self.credential.granted_at)
                        < DAILY * 2 =>
                {
                    at + HOURLY
                }
                Some(at) => at + DAILY,
            },
            _ => return None,
        };
        // What has ended needs no asking.
        let lives = |at| self.expiry.access_token.is_none_or(|end| at < end);
        (lives(now) && lives(due)).then_some(due)
    }

    /// Whether anything would show that the token has died before it is used: a refresh, a known
    /// end, or an answered probe.
    #[must_use]
    pub fn is_monitored(&self, now: DateTime<Utc>) -> bool {
        if self.refresh_model() != RefreshModel::None || self.expiry.access_token.is_some() {
            return true;
        }
        // The first answer may be to come.
        let seen = self.refresh.alive_at.unwrap_or(self.credential.granted_at);
        self.platform.has_free_probe() && now - seen <= DAILY * 2
    }

    /// Returns when the next refresh or probe is due, if any.
    #[must_use]
    pub fn next_attempt_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.refresh_due_at(now).or_else(|| self.probe_due_at(now))
    }

    fn refresh_due_when_active(&self, model: RefreshModel) -> DateTime<Utc> {
        // A grant never tried is due at once: only a refresh shows that it renews.
        let Some(attempted) = self.refresh.attempted_at else {
            return self.credential.granted_at;
        };
        let life = self.access_lifetime();
        let regular = match model {
            RefreshModel::Extend => (self.issued() + life / 2).max(attempted),
            _ => {
                let margin = LEAST_MARGIN.max(life * 15 / 100).min(life / 2);
                // Earlier by up to a twentieth of the life, never later, and
                // not beyond half of it: a thousand integrations made in one
                // minute are not refreshed in one minute.
                let spread = (life / 20).min(life / 2 - margin);
                let jitter = spread * self.jitter_in_4096ths() / 4096;
                let regular =
                    self.expiry.access_token.unwrap_or(self.issued() + life) - margin - jitter;
                // What refreshes it ends sooner than that: while it is there to be used.
                match self.expiry.refresh_token {
                    Some(end) if end <= regular => attempted + (end - attempted) / 2,
                    _ => regular,
                }
            }
        };
        // An unused grant is used before it dies of idleness.
        let due = self
            .expiry
            .idle
            .map_or(regular, |idle| regular.min(idle - DAILY));
        // An extension that moved nothing, or one refused for want of a permission: daily,
        // and what ends for good more often as that comes near.
        let again = match (model, self.expiry.access_token) {
            (RefreshModel::Extend, Some(end)) => DAILY.min((end - attempted) / 2).max(LEAST_PAUSE),
            _ => DAILY,
        };
        if self.refresh.renewed_at == Some(attempted) {
            due
        } else {
            due.max(attempted + again)
        }
    }

    fn hash(&self) -> u64 {
        digest::short(&[self.org_id.as_str(), self.integration_id.as_str()])
    }

    /// Returns this integration's own number below 4096, from other bits of the hash than the
    /// shard's.
    fn jitter_in_4096ths(&self) -> i32 {
        i32::from(u16::try_from(self.hash() >> 16 & 0xfff).unwrap_or_default())
    }

    /// Derives the keys of the indexes from the rest of the row. Every write does
    /// this, so that the sweep and the dashboard find the row where it belongs.
    pub fn derive_index_keys(&mut self, now: DateTime<Utc>) {
        self.reconnect_by = self.reconnect_by(now);
        self.next_action_at = self.next_action(now);
        self.next_action_shard = self.next_action_at.map(|_| {
            let class = match self.access_lifetime() < DAILY {
                true => ShardClass::ShortLived,
                false => ShardClass::LongLived,
            };
            class.shard(self.hash() % ShardClass::SHARDS)
        });
    }

    /// Returns the earliest instant at which anything must be done. If it lies in the past,
    /// something is due.
    fn next_action(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if let Some(lease) = &self.refresh.lease {
            return Some(lease.until);
        }
        // At this instant `reconnect_by` moves to the access token's end.
        let grace_ends = self
            .proven_until()
            .filter(|until| now < *until && *until < DateTime::<Utc>::MAX_UTC)
            .or_else(|| match self.state {
                State::Retrying { .. } => self.verdict_awaited_until(now),
                _ => None,
            });
        let alert_due = self
            .pending_alerts(now, AlertPolicy::default())
            .into_iter()
            .map(|(at, _)| at)
            .min();
        let in_vain = self
            .refresh
            .intent
            .as_ref()
            .filter(|_| self.stale_fallback().is_some())
            .map(|intent| intent.at + LEASE_DURATION);
        [self.next_attempt_at(now), alert_due, grace_ends, in_vain]
            .into_iter()
            .flatten()
            .min()
    }
}

/// The two classes of partitions of `by_next_action`. The sweep drains those of the
/// short-lived tokens first, so that after an outage the tokens with minutes left do
/// not queue behind those with weeks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardClass {
    /// Access tokens that live less than a day.
    ShortLived,
    /// All others.
    LongLived,
}

impl ShardClass {
    /// How many partitions a class has.
    const SHARDS: u64 = 16;

    /// The keys of all partitions of this class.
    pub fn shards(self) -> impl Iterator<Item = String> {
        (0..Self::SHARDS).map(move |number| self.shard(number))
    }

    fn shard(self, number: u64) -> String {
        let class = match self {
            Self::ShortLived => "short",
            Self::LongLived => "long",
        };
        format!("{class}#{number:02}")
    }
}

#[cfg(test)]
pub(crate) mod tests;
