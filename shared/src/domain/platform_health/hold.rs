//! Holds and outages: reasons why all integrations of a platform wait.

use chrono::{DateTime, TimeDelta, Utc};

use super::row::{self, EVIDENCE_THRESHOLD, Hold, Outage, PlatformHealth, Sighting};
use crate::domain::IntegrationKey;

/// A hold lasts this long at most: there are tokens that live two hours.
const MAX_HOLD: TimeDelta = TimeDelta::hours(1);
/// A hold lasts this long if the platform does not say.
const DEFAULT_HOLD: TimeDelta = TimeDelta::minutes(1);
/// Failures within this time, with no success in between, count together: two sweeps.
const OUTAGE_WINDOW: TimeDelta = TimeDelta::minutes(10);
/// Other instances need not hear at once of an end that moves by less.
const MIN_EXTENSION: TimeDelta = TimeDelta::seconds(10);

impl PlatformHealth {
    /// Returns until when all integrations must wait, if they must.
    pub(super) fn held_until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let outage = self.outage.map(|outage| outage.until);
        let hold = self.hold.as_ref().map(|hold| hold.until);
        hold.max(outage).filter(|until| *until > now)
    }

    /// Whether the platform last asked this integration to wait, and others have succeeded since
    /// the hold began. A further request to wait is about this one alone (LinkedIn, for one, limits
    /// each member).
    pub(super) fn holds_only(&self, key: &IntegrationKey) -> bool {
        self.hold.as_ref().is_some_and(|hold| {
            let of_others = |seen: &Sighting| seen.key != *key && seen.at > hold.since;
            hold.by == *key && self.succeeded.iter().any(of_others)
        })
    }

    /// Begins a hold, or extends it. Returns whether others must hear of it at once.
    pub(super) fn begin_hold(
        &mut self,
        key: &IntegrationKey,
        wait: Option<TimeDelta>,
        now: DateTime<Utc>,
    ) -> bool {
        let until = hold_end(wait, now);
        let before = self.hold.as_ref().filter(|hold| hold.until > now);
        let (before, since) = match before {
            Some(hold) => (Some(hold.until), hold.since),
            None => (None, now),
        };
        self.hold = Some(Hold {
            until: before.map_or(until, |before| before.max(until)),
            since,
            by: key.clone(),
        });
        is_extended(until, before)
    }

    /// Takes in that the platform failed an integration. That counts as chance until several
    /// integrations meet it. Returns whether others must hear of it at once.
    pub(super) fn observe_outage(
        &mut self,
        key: &IntegrationKey,
        wait: Option<TimeDelta>,
        now: DateTime<Utc>,
    ) -> bool {
        let mut is_urgent = row::record_sighting(&mut self.failing, key, OUTAGE_WINDOW, now);
        if self.failing.len() >= EVIDENCE_THRESHOLD {
            let until = hold_end(wait, now);
            let before = self.outage.map(|outage| outage.until);
            is_urgent |= is_extended(until, before);
            self.outage = Some(Outage {
                until: before.map_or(until, |before| before.max(until)),
                since: now,
            });
            self.failing
                .drain(..self.failing.len() - EVIDENCE_THRESHOLD);
        }
        is_urgent
    }
}

/// Returns the end of a hold that begins now.
fn hold_end(wait: Option<TimeDelta>, now: DateTime<Utc>) -> DateTime<Utc> {
    now + wait.unwrap_or(DEFAULT_HOLD).min(MAX_HOLD)
}

/// Whether the end moves by enough that others must hear of it.
fn is_extended(until: DateTime<Utc>, before: Option<DateTime<Utc>>) -> bool {
    before.is_none_or(|before| until - before > MIN_EXTENSION)
}
