//! What time does to a connection: when it is refreshed, when it lapses, and
//! when it next needs anybody at all.

use chrono::{DateTime, TimeDelta, Utc};

use crate::announcement::Telling;
use crate::digest;
use crate::integration::{Integration, Lease, RetryReason, State};
use crate::platform::RefreshModel;
use crate::refresh::attempt::LEASE;

/// A refresh is due at least this long before the token ends.
const LEAST_MARGIN: TimeDelta = TimeDelta::minutes(10);
/// An unchanged or failing extension is tried again after this long.
const DAILY: TimeDelta = TimeDelta::days(1);

impl Integration {
    /// How its credential is renewed.
    #[must_use]
    pub fn refresh_model(&self) -> RefreshModel {
        self.platform.refresh_model(
            self.refresh_token.is_some(),
            self.access_expires_at.is_some(),
        )
    }

    /// The life of its access token from issue to end; the platform's usual
    /// one where the credential came without the time of issue.
    #[must_use]
    pub fn access_life(&self) -> TimeDelta {
        match (self.issued_at, self.access_expires_at) {
            (Some(issued), Some(expires)) if expires > issued => expires - issued,
            _ => self.platform.usual_access_life(),
        }
    }

    /// When the access token was issued, or probably was: not after it came to us.
    fn issued(&self) -> DateTime<Utc> {
        let usual = self
            .access_expires_at
            .map(|end| end - self.platform.usual_access_life());
        self.issued_at
            .unwrap_or_else(|| usual.map_or(self.granted_at, |at| at.min(self.granted_at)))
    }

    /// For how long failures leave a proven grant proven.
    fn patience(&self) -> TimeDelta {
        DAILY.min(self.access_life().max(TimeDelta::hours(1)))
    }

    /// A refusal that is not confirmed may be about our application: the second
    /// one decides, and people are not told of the first.
    fn patience_with_failures(&self) -> TimeDelta {
        match self.state {
            State::Retrying {
                reason: RetryReason::Refused,
                ..
            } => DAILY,
            _ => self.patience(),
        }
    }

    /// Whether the last refresh of this grant worked, counting failures that
    /// say nothing about the grant only once they last: a blip alerts nobody.
    #[must_use]
    pub fn is_proven(&self, now: DateTime<Utc>) -> bool {
        self.proven_until().is_some_and(|until| {
            // What the refresh token's end finds proven stays so: from then on
            // that end is what people are told of, not an earlier one as well.
            let ended = self
                .refresh_expires_at
                .filter(|_| self.refresh_token.is_some());
            now < until || ended.is_some_and(|end| end <= now && end < until)
        })
    }

    /// Until when it counts as proven, if it does; where nothing ends that, for ever.
    fn proven_until(&self) -> Option<DateTime<Utc>> {
        self.renewed_at?;
        let ends = self.access_expires_at;
        let until = match self.state {
            // Nobody may have tried: a broken application, a sweep that does
            // not run. Then it is not working either, in the end.
            State::Active => ends.map_or(DateTime::<Utc>::MAX_UTC, |end| end + DAILY),
            State::Retrying { since, .. } => {
                let until = since + self.patience_with_failures();
                // Its rotation is probably lost. That is not sure before a second
                // refusal, which may come too late to act while the token lives.
                let is_likely = self.is_in_doubt() || self.is_contested();
                match ends.filter(|_| self.was_refused() && is_likely) {
                    Some(end) => until.min(end - LEAST_MARGIN),
                    None => until,
                }
            }
            State::ReconnectRequired { .. }
            | State::PlatformActionRequired { .. }
            | State::Disconnected { .. } => return None,
        };
        // What has ended cannot be extended any more.
        Some(match (self.refresh_model(), ends) {
            (RefreshModel::Extend, Some(end)) => until.min(end),
            _ => until,
        })
    }

    /// The instant at which the connection stops working unless a person acts;
    /// `None` if never, as far as anyone knows.
    #[must_use]
    pub fn lapse(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if matches!(self.state, State::Disconnected { .. }) {
            return None;
        }
        let access = self.access_expires_at.filter(|_| !self.is_proven(now));
        let refresh = self
            .refresh_expires_at
            .filter(|_| self.refresh_token.is_some());
        [access, refresh, self.data_access_expires_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// Until when a refresh may still show that the grant renews itself; so
    /// long nobody is told that its access token ends. `None` if nothing will
    /// show it before that.
    #[must_use]
    pub fn verdict_awaited_until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.renewed_at.is_some() {
            return None;
        }
        let due = self.refresh_due_at(now)?;
        // Patience, but not so long that nothing of the token's life is left to act in.
        let awaited_from = |since: DateTime<Utc>| {
            let half = self
                .access_expires_at
                .map_or(DAILY, |end| (end - since) / 2);
            Some(since + self.patience().min(half.max(TimeDelta::hours(1))))
        };
        match self.state {
            State::Active if self.attempted_at.is_none() => awaited_from(due),
            // Failures that say nothing about the grant.
            State::Retrying {
                since,
                reason: RetryReason::Transient | RetryReason::Throttled | RetryReason::InDoubt,
                ..
            } => awaited_from(since),
            _ => None,
        }
        .filter(|until| now < *until)
    }

    /// Whether the platform would refresh it now, due or not.
    #[must_use]
    pub fn is_refreshable(&self, now: DateTime<Utc>) -> bool {
        self.access_token.is_some()
            && self.refresh_model() != RefreshModel::None
            && self.refresh_ends_at().is_none_or(|end| now < end)
            && self.issued() + self.platform.minimum_age() <= now
    }

    /// When what refreshes it ends.
    fn refresh_ends_at(&self) -> Option<DateTime<Utc>> {
        match self.refresh_model() {
            RefreshModel::None => None,
            // "You can not use an expired token to request a long-lived token" (Meta);
            // the same holds for Instagram.
            RefreshModel::Extend => self.access_expires_at,
            RefreshModel::Rotating | RefreshModel::Static => self.refresh_expires_at,
        }
    }

    /// When the credential should be refreshed; `None` if nothing but a person
    /// can renew it. May lie in the past: then it is due.
    #[must_use]
    pub fn refresh_due_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let model = self.refresh_model();
        let ended = self.refresh_ends_at();
        // One in doubt may have a newer credential parked, which has not ended.
        let may_be_replaced = model == RefreshModel::Rotating && self.is_in_doubt();
        if model == RefreshModel::None
            || self.access_token.is_none()
            || (ended.is_some_and(|end| end <= now) && !may_be_replaced)
        {
            return None;
        }
        let due = match self.state {
            // Somebody had it checked, and nobody knows what came of that: a
            // living credential may be parked.
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
        let due = due.max(self.issued() + self.platform.minimum_age());
        // What may only be extended after its end cannot be extended at all.
        (model != RefreshModel::Extend || ended.is_none_or(|end| due < end)).then_some(due)
    }

    /// When a free probe is due that confirms or refutes a refusal, where nothing
    /// refreshes the token that was refused: without one such a connection would
    /// stay as a single probe found it. What is fine is not polled.
    #[must_use]
    pub fn probe_due_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.refresh_model() != RefreshModel::None || self.access_token.is_none() {
            return None;
        }
        let due = match self.state {
            State::Retrying {
                next_attempt_at, ..
            } => next_attempt_at,
            State::PlatformActionRequired { next_check_at, .. } => next_check_at,
            _ => return None,
        };
        // What has ended needs no asking.
        let lives = |at| self.access_expires_at.is_none_or(|end| at < end);
        (lives(now) && lives(due)).then_some(due)
    }

    /// When it is next tried, if it is.
    #[must_use]
    pub fn next_attempt_at(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.refresh_due_at(now).or_else(|| self.probe_due_at(now))
    }

    fn refresh_due_when_active(&self, model: RefreshModel) -> DateTime<Utc> {
        // A grant never tried is due at once: only a refresh shows that it renews.
        let Some(attempted) = self.attempted_at else {
            return self.granted_at;
        };
        let life = self.access_life();
        let regular = match model {
            RefreshModel::Extend => (self.issued() + life / 2).max(attempted),
            _ => {
                let margin = LEAST_MARGIN.max(life * 15 / 100).min(life / 2);
                // Earlier by up to a twentieth of the life, never later, and
                // not beyond half of it: a thousand connections made in one
                // minute are not refreshed in one minute.
                let spread = (life / 20).min(life / 2 - margin);
                let jitter = spread * self.spread_of_4096() / 4096;
                self.access_expires_at.unwrap_or(self.issued() + life) - margin - jitter
            }
        };
        // An unused grant is used before it dies of idleness.
        let due = self
            .idle_expires_at
            .map_or(regular, |idle| regular.min(idle - DAILY));
        // An extension that moved nothing, or one refused for want of a permission.
        if self.renewed_at == Some(attempted) {
            due
        } else {
            due.max(attempted + DAILY)
        }
    }

    fn hash(&self) -> u64 {
        digest::short(&[self.org_id.as_str(), self.integration_id.as_str()])
    }

    /// A number below 4096 that is this connection's own; other bits than the shard's.
    fn spread_of_4096(&self) -> i32 {
        i32::from(u16::try_from(self.hash() >> 16 & 0xfff).unwrap_or_default())
    }

    /// Recomputes what the indexes hold. Called with every write, so that the
    /// sweep and the dashboard always find the row where it belongs.
    pub fn settle(&mut self, now: DateTime<Utc>) {
        self.lapses_at = self.lapse(now);
        self.attention_at = self.next_attention(now);
        self.attention_shard = self.attention_at.map(|_| {
            let class = if self.access_life() < DAILY { 'f' } else { 's' };
            format!("{class}#{:02}", self.hash() % 16)
        });
    }

    /// The earliest instant at which anything must be done. In the past: something is due.
    fn next_attention(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if let Some(lease) = &self.lease {
            return Some(lease.until);
        }
        // At this instant the lapse moves to the access token's end.
        let patience_ends = self
            .proven_until()
            .filter(|until| now < *until && *until < DateTime::<Utc>::MAX_UTC)
            .or_else(|| match self.state {
                State::Retrying { .. } => self.verdict_awaited_until(now),
                _ => None,
            });
        let told = self
            .announcements(now, Telling::default())
            .into_iter()
            .map(|(at, _)| at)
            .min();
        let in_vain = self
            .intent
            .as_ref()
            .filter(|_| self.parked_in_vain().is_some())
            .map(|intent| intent.at + LEASE);
        [self.next_attempt_at(now), told, patience_ends, in_vain]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether this attempt holds the right to refresh it.
    #[must_use]
    pub fn holds(&self, attempt: &str) -> bool {
        self.lease
            .as_ref()
            .is_some_and(|lease| lease.attempt == attempt)
    }

    /// Whether an exchange of its credential was begun whose end nobody has
    /// recorded: the platform may have replaced the token.
    #[must_use]
    pub fn is_in_doubt(&self) -> bool {
        self.is_in_doubt_but_for(self.lease.as_ref())
    }

    /// The same, where the intent of `holder` itself leaves no doubt.
    pub(crate) fn is_in_doubt_but_for(&self, holder: Option<&Lease>) -> bool {
        self.intent.as_ref().is_some_and(|intent| {
            intent.generation == self.generation
                && holder.is_none_or(|lease| lease.attempt != intent.attempt)
        })
    }

    /// The generation of a credential that may be parked in vain: an exchange
    /// was begun, and the credential was replaced or erased since.
    #[must_use]
    pub fn parked_in_vain(&self) -> Option<u64> {
        let intent = self.intent.as_ref()?;
        (intent.generation != self.generation).then_some(intent.generation + 1)
    }

    /// Whether somebody holds the right to refresh it.
    #[must_use]
    pub fn is_leased(&self, now: DateTime<Utc>) -> bool {
        self.lease.as_ref().is_some_and(|lease| lease.until > now)
    }
}

/// All partitions of `by_attention` of one class: `f` for tokens that live less
/// than a day, `s` for the rest. The sweep drains `f` first, so that after an
/// outage the tokens with minutes left don't queue behind those with weeks.
#[must_use]
pub fn attention_shards(class: char) -> Vec<String> {
    (0..16).map(|shard| format!("{class}#{shard:02}")).collect()
}

#[cfg(test)]
pub(crate) mod tests;
