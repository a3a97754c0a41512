//! Counts the attempts of one run by platform, for metrics.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use shared::Platform;
use shared::domain::refresh::attempt::Outcome;
use shared::domain::report::{AttemptRecord, SweepReport};
use shared::runtime::metrics::{Metric, Metrics};

#[derive(Debug, Default)]
pub(crate) struct PlatformMetrics(Mutex<BTreeMap<Platform, Counts>>);

#[derive(Debug, Default)]
struct Counts {
    refreshed: u64,
    failed: u64,
    held_back: u64,
    /// Counts alerts that ask a person to act.
    reconnects_needed: u64,
    /// How long the platform took for each answer, in milliseconds.
    durations: Vec<u64>,
    /// What was left of each token's lifetime when it was refreshed, in seconds; 0 if it
    /// had ended.
    remaining_lifetimes: Vec<u64>,
}

impl PlatformMetrics {
    fn update(&self, platform: Platform, change: impl FnOnce(&mut Counts)) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(all.entry(platform).or_default());
    }

    /// Counts an attempt, also one that sent nothing.
    pub(crate) fn count_attempt(
        &self,
        platform: Platform,
        outcome: &Outcome,
        attempt: &AttemptRecord,
        now: DateTime<Utc>,
    ) {
        let seconds = |left: TimeDelta| u64::try_from(left.num_seconds()).unwrap_or_default();
        self.update(platform, |counts| {
            counts.durations.extend(
                u64::try_from(attempt.answer.duration_ms)
                    .ok()
                    .filter(|took| *took > 0),
            );
            match outcome {
                Outcome::Renewed | Outcome::StoredFromFallback => {
                    counts.refreshed += 1;
                    counts
                        .remaining_lifetimes
                        .extend(attempt.access_expires_before.map(|end| seconds(end - now)));
                }
                Outcome::Superseded | Outcome::OutOfTime => {}
                _ => counts.failed += 1,
            }
        });
    }

    /// Counts an attempt that could not begin, because the credential does not open.
    pub(crate) fn count_failed(&self, platform: Platform) {
        self.update(platform, |counts| counts.failed += 1);
    }

    pub(crate) fn count_held_back(&self, platform: Platform) {
        self.update(platform, |counts| counts.held_back += 1);
    }

    pub(crate) fn count_reconnect_needed(&self, platform: Platform) {
        self.update(platform, |counts| counts.reconnects_needed += 1);
    }

    /// Writes one line of metrics for each platform.
    pub(crate) fn write(self, metrics: &Metrics, now: DateTime<Utc>) {
        let all = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        for (platform, counts) in all {
            let by = Some(("platform", platform.name()));
            let values = [
                ("Refreshed", Metric::Count(counts.refreshed)),
                ("RefreshFailed", Metric::Count(counts.failed)),
                ("HeldBack", Metric::Count(counts.held_back)),
                ("ReconnectsNeeded", Metric::Count(counts.reconnects_needed)),
                ("RefreshDuration", Metric::Milliseconds(&counts.durations)),
                (
                    "RemainingLifetime",
                    Metric::Seconds(&counts.remaining_lifetimes),
                ),
            ];
            metrics.write(now, by, &values);
        }
    }
}

/// Writes the metrics of a sweep that has ended. An alarm goes off if they are absent.
pub(crate) fn write_sweep(
    metrics: &Metrics,
    report: &SweepReport,
    began: DateTime<Utc>,
    now: DateTime<Utc>,
) {
    let took = u64::try_from((now - began).num_milliseconds()).unwrap_or_default();
    let values = [
        ("SweepsFinished", Metric::Count(1)),
        ("Examined", Metric::Count(report.examined)),
        ("AlertsPublished", Metric::Count(report.alerts_published)),
        ("SweepDuration", Metric::Milliseconds(&[took])),
    ];
    metrics.write(now, None, &values);
}
