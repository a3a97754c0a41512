//! Until when a person must act, or an integration stops working, and the failure grace.

use chrono::{DateTime, TimeDelta, Utc};

use crate::domain::integration::{Integration, RetryReason, State};
use crate::domain::schedule::{DAILY, LEAST_MARGIN, LEAST_PAUSE};
use crate::platforms::catalog::RefreshModel;

impl Integration {
    /// Returns for how long failures leave a proven grant proven.
    fn failure_grace(&self) -> TimeDelta {
        DAILY.min(self.access_lifetime().max(TimeDelta::hours(1)))
    }

    /// Returns the failure grace in the present state. An unconfirmed refusal may be about our
    /// application: the second one decides, and the first alerts nobody.
    fn failure_grace_in_state(&self) -> TimeDelta {
        match self.state {
            State::Retrying {
                reason: RetryReason::Refused,
                ..
            } => DAILY,
            _ => self.failure_grace(),
        }
    }

    /// Whether the last refresh of this grant worked. Failures that say nothing about the grant
    /// count only once they last: a blip alerts nobody.
    #[must_use]
    pub fn is_proven(&self, now: DateTime<Utc>) -> bool {
        self.proven_until().is_some_and(|until| {
            // What the refresh token's end finds proven stays so: from then on
            // that end is what alerts are about, not an earlier one as well.
            let ended = self
                .expiry
                .refresh_token
                .filter(|_| self.credential.refresh_token.is_some());
            now < until || ended.is_some_and(|end| end <= now && end < until)
        })
    }

    /// Returns until when the grant counts as proven, if it does; `MAX_UTC` where nothing ends
    /// that.
    pub(super) fn proven_until(&self) -> Option<DateTime<Utc>> {
        self.refresh.renewed_at?;
        let ends = self.expiry.access_token;
        let until = match self.state {
            // Nobody may have tried: a broken application, a sweep that does
            // not run. Then it is not working either, in the end.
            State::Active => ends.map_or(DateTime::<Utc>::MAX_UTC, |end| end + DAILY),
            // It will not last until it may be asked for again.
            State::Retrying { .. } if self.must_wait_beyond_its_end() => return None,
            State::Retrying { since, .. } => {
                let until = since + self.failure_grace_in_state();
                // Its rotation is probably lost. That is not sure before a second
                // refusal, which may come too late to act while the token lives.
                let is_likely = self.is_in_doubt() || self.is_possibly_replayed();
                match ends.filter(|_| self.was_refused() && is_likely) {
                    Some(end) => until.min(end - LEAST_MARGIN),
                    None => until,
                }
            }
            State::ReconnectRequired { .. }
            | State::PlatformActionRequired { .. }
            | State::Disconnected { .. } => return None,
        };
        // What has ended cannot be extended any more: people hear of it in time to act.
        Some(match (self.refresh_model(), ends, &self.state) {
            (RefreshModel::Extend, Some(end), State::Retrying { since, .. }) if *since < end => {
                until.min(*since + (end - *since) / 2)
            }
            (RefreshModel::Extend, Some(end), _) => until.min(end),
            _ => until,
        })
    }

    /// Whether the platform asks us to wait until after the end of an access token that lived when
    /// the failures began. Then the token ends unrefreshed, unless the platform gives way.
    fn must_wait_beyond_its_end(&self) -> bool {
        matches!(
            (&self.state, self.expiry.access_token),
            // One failure may be a blip: it is tried again first, at half of what is left.
            (State::Retrying { failures: 2.., since, wait_until: Some(until), .. }, Some(end))
                if *since < end && end <= *until
        )
    }

    /// Returns the end of the access token, or of what refreshes it if that comes first. The token
    /// must be refreshed by then.
    pub(crate) fn ends_at(&self) -> Option<DateTime<Utc>> {
        [self.expiry.access_token, self.refresh_ends_at()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether the integration lives and would end before `until`, or so soon after that no sweep
    /// need come in between. An integration that has ended can wait.
    #[must_use]
    pub fn ends_before(&self, until: DateTime<Utc>, now: DateTime<Utc>) -> bool {
        self.ends_at()
            .is_some_and(|end| now < end && end < until + LEAST_MARGIN)
    }

    /// Returns the instant at which the integration stops working unless a person acts; `None` if
    /// never, as far as anyone knows.
    #[must_use]
    pub fn reconnect_by(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if matches!(self.state, State::Disconnected { .. }) {
            return None;
        }
        let access = self.expiry.access_token.filter(|_| !self.is_proven(now));
        let refresh = self
            .expiry
            .refresh_token
            .filter(|_| self.credential.refresh_token.is_some());
        [access, refresh, self.expiry.data_access]
            .into_iter()
            .flatten()
            .min()
    }

    /// Returns until when a refresh may still show that the grant renews itself. Until then nobody
    /// hears that the access token ends. `None` if no refresh will show it before that.
    #[must_use]
    pub fn verdict_awaited_until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        if self.refresh.renewed_at.is_some() || self.must_wait_beyond_its_end() {
            return None;
        }
        let due = self.refresh_due_at(now)?;
        // Failure grace, but not so long that nothing of the token's life is left to act in.
        // What has a refresh token may also be refreshed after its end.
        let least = match self.refresh_model() {
            RefreshModel::Extend => LEAST_PAUSE,
            _ => TimeDelta::hours(1),
        };
        let awaited_from = |since: DateTime<Utc>| {
            let half = self
                .expiry
                .access_token
                .map_or(DAILY, |end| (end - since) / 2);
            Some(since + self.failure_grace().min(half.max(least)))
        };
        match self.state {
            State::Active if self.refresh.attempted_at.is_none() => awaited_from(due),
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
}
