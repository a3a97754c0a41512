//! What a success shows of a platform.

use chrono::{DateTime, TimeDelta, Utc};

use super::observation::Assessment;
use super::row::{PlatformHealth, Sighting};
use crate::domain::IntegrationKey;
use crate::domain::refresh::attempt::TOKEN_REQUEST_TIMEOUT;

pub(super) const MAX_SUCCESSES: usize = 3;

impl PlatformHealth {
    /// Takes a success in. The effect depends on when the request was sent, not on the present. So
    /// a success may be taken in late, or again by a row that others have written meanwhile. A
    /// request under way when a hold or the circuit breaker began says nothing of the time since.
    pub(super) fn observe_success(
        &mut self,
        key: &IntegrationKey,
        sent_at: DateTime<Utc>,
        access_lifetime: Option<TimeDelta>,
        refresh_lifetime: Option<TimeDelta>,
    ) -> Assessment {
        let mut events: Vec<_> = self.close(sent_at).into_iter().collect();
        // Whoever ends before a hold does is asked although it lasts. That one was let
        // through does not take back the platform's word about all the others; that it
        // fails all was our conclusion.
        let ended = self
            .outage
            .take_if(|outage| sent_at + TOKEN_REQUEST_TIMEOUT > outage.since);
        // Its answer arrived within the time of an exchange: after these.
        let before = self.refused.len() + self.failing.len();
        self.refused
            .retain(|seen| seen.at > sent_at + TOKEN_REQUEST_TIMEOUT);
        self.failing
            .retain(|seen| seen.at > sent_at + TOKEN_REQUEST_TIMEOUT);
        let had_trouble = self.refused.len() + self.failing.len() < before || ended.is_some();
        self.remember_success(key, sent_at);
        events.extend(self.compare_lifetimes(access_lifetime, refresh_lifetime));
        Assessment {
            verdict: None,
            conclusive: true,
            is_urgent: !events.is_empty() || had_trouble || self.version == 0,
            events,
        }
    }

    /// Keeps the most recent successes first. A success of another organisation is worth more than
    /// a second of the same, because it shows that there are two.
    fn remember_success(&mut self, key: &IntegrationKey, at: DateTime<Utc>) {
        let known = |seen: &Sighting| seen.key == *key && seen.at > at;
        if self.succeeded.iter().any(known) {
            return;
        }
        self.succeeded.retain(|seen| seen.key != *key);
        let index = self.succeeded.iter().position(|seen| seen.at <= at);
        self.succeeded.insert(
            index.unwrap_or(self.succeeded.len()),
            Sighting {
                key: key.clone(),
                at,
            },
        );
        if self.succeeded.len() > MAX_SUCCESSES {
            let repeated = (1..self.succeeded.len()).rev().find(|&n| {
                let org = &self.succeeded[n].key.org_id;
                self.succeeded[..n]
                    .iter()
                    .any(|seen| seen.key.org_id == *org)
            });
            self.succeeded.remove(repeated.unwrap_or(MAX_SUCCESSES));
        }
    }
}
