//! What a sweep's exchanges came to, by platform: for metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use shared::Platform;
use shared::domain::refresh::attempt::Outcome;
use shared::domain::report::{AttemptRecord, SweepReport};
use shared::runtime::metrics::{Metric, Metrics};

/// What came up in one sweep.
#[derive(Debug, Default)]
pub(crate) struct Outcomes(Mutex<BTreeMap<Platform, Of>>);

#[derive(Debug, Default)]
struct Of {
    refreshed: u64,
    failed: u64,
    held_back: u64,
    /// Integrations that came to need a person.
    person_needed: u64,
    /// How long the platform took, in milliseconds.
    durations: Vec<u64>,
    /// What was left of a token's life when it was renewed, in seconds: 0 if it
    /// had ended.
    lives_left: Vec<u64>,
}

impl Outcomes {
    fn of<T>(&self, platform: Platform, change: impl FnOnce(&mut Of) -> T) -> T {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(all.entry(platform).or_default())
    }

    /// Counts an attempt, also one that never came to asking the platform.
    pub(crate) fn attempted(
        &self,
        platform: Platform,
        outcome: &Outcome,
        entry: &AttemptRecord,
        now: DateTime<Utc>,
    ) {
        let seconds = |left: TimeDelta| u64::try_from(left.num_seconds()).unwrap_or_default();
        self.of(platform, |of| {
            of.durations.extend(
                u64::try_from(entry.duration_ms)
                    .ok()
                    .filter(|took| *took > 0),
            );
            match outcome {
                Outcome::Renewed | Outcome::Recovered => {
                    of.refreshed += 1;
                    of.lives_left
                        .extend(entry.expired_at.map(|end| seconds(end - now)));
                }
                Outcome::Superseded | Outcome::Released => {}
                _ => of.failed += 1,
            }
        });
    }

    /// Counts one that could not begin: its credential does not open.
    pub(crate) fn failed(&self, platform: Platform) {
        self.of(platform, |of| of.failed += 1);
    }

    pub(crate) fn held_back(&self, platform: Platform) {
        self.of(platform, |of| of.held_back += 1);
    }

    pub(crate) fn person_needed(&self, platform: Platform) {
        self.of(platform, |of| of.person_needed += 1);
    }

    /// Writes them as metrics, by platform.
    pub(crate) fn write(self, metrics: &Metrics, now: DateTime<Utc>) {
        let all = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (platform, of) in all {
            let by = Some(("platform", platform.name()));
            let of = [
                ("Refreshed", Metric::Count(of.refreshed)),
                ("RefreshFailed", Metric::Count(of.failed)),
                ("HeldBack", Metric::Count(of.held_back)),
                ("PersonNeeded", Metric::Count(of.person_needed)),
                ("RefreshDuration", Metric::Milliseconds(&of.durations)),
                ("LifeLeft", Metric::Seconds(&of.lives_left)),
            ];
            metrics.write(now, by, &of);
        }
    }
}

/// That a sweep ended, and what it found: an alarm misses it when it is absent.
pub(crate) fn write_sweep(
    metrics: &Metrics,
    report: &SweepReport,
    began: DateTime<Utc>,
    now: DateTime<Utc>,
) {
    let took = u64::try_from((now - began).num_milliseconds()).unwrap_or_default();
    let of = [
        ("SweepsFinished", Metric::Count(1)),
        ("Examined", Metric::Count(report.examined)),
        ("AlertsPublished", Metric::Count(report.alerts_published)),
        ("SweepDuration", Metric::Milliseconds(&[took])),
    ];
    metrics.write(now, None, &of);
}
