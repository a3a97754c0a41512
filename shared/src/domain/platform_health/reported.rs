//! Surprises, of which the operator hears once a day, and lifetimes that change.

use chrono::{DateTime, TimeDelta, Utc};

use super::observation::{Assessment, HealthEvent};
use super::row::PlatformHealth;
use crate::domain::refresh::{ImplausibleLifetime, LifetimeKind};

/// The operator hears of the same surprise this often.
const REPORT_INTERVAL: TimeDelta = TimeDelta::days(1);
/// How many surprises are told apart.
pub(super) const MAX_REPORTED: usize = 32;
const MAX_LIFETIMES: usize = 16;

impl PlatformHealth {
    pub(super) fn observe_implausible(
        &mut self,
        lives: &[ImplausibleLifetime],
        now: DateTime<Utc>,
    ) -> Assessment {
        let mut events = Vec::new();
        for life in lives {
            if self.is_first_report(&format!("{} life", life.kind.name()), now) {
                events.push(HealthEvent::ImplausibleLifetime(*life));
            }
        }
        Assessment {
            verdict: None,
            conclusive: true,
            is_urgent: !events.is_empty(),
            events,
        }
    }

    /// Records a surprise by its name, so that one that recurs hides no other. Returns
    /// whether the operator has not heard of it within a day.
    pub(super) fn is_first_report(&mut self, name: &str, now: DateTime<Utc>) -> bool {
        self.reported_at.retain(|_, at| now - *at < REPORT_INTERVAL);
        // A platform may make up any number of codes: so many, and all others as one.
        let name = match self.reported_at.len() >= MAX_REPORTED {
            true if !self.reported_at.contains_key(name) => "others",
            _ => name,
        };
        if self.reported_at.contains_key(name) {
            return false;
        }
        self.reported_at.insert(name.to_owned(), now);
        true
    }

    /// Compares the lifetimes of new tokens with those that were seen.
    pub(super) fn compare_lifetimes(
        &mut self,
        access: Option<TimeDelta>,
        refresh: Option<TimeDelta>,
    ) -> impl Iterator<Item = HealthEvent> {
        [
            (LifetimeKind::Access, &mut self.access_lifetimes, access),
            (LifetimeKind::Refresh, &mut self.refresh_lifetimes, refresh),
        ]
        .into_iter()
        .filter_map(|(kind, known, lifetime)| {
            let (before, now) = remember_lifetime(known, lifetime?.num_seconds())?;
            Some(HealthEvent::LifetimeChanged { kind, before, now })
        })
    }
}

/// Remembers a lifetime that differs from all that were seen by more than a fifth. Returns the
/// last of those with it, if there was one.
fn remember_lifetime(lives: &mut Vec<i64>, life: i64) -> Option<(i64, i64)> {
    let alike = |seen: &i64| (life - seen).abs() * 5 <= *seen;
    if lives.iter().any(alike) {
        return None;
    }
    let before = lives.last().copied();
    lives.push(life);
    if lives.len() > MAX_LIFETIMES {
        lives.remove(0);
    }
    before.map(|before| (before, life))
}
