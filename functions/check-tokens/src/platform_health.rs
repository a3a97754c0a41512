//! Caches platform health for one run, and keeps it in step with the rows that all instances share.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use shared::aws::tables::PlatformHealthTable;
use shared::domain::integration::Integration;
use shared::domain::platform_health::{
    Assessment, Availability, HealthEvent, Observation, PlatformHealth,
};
use shared::{Clock, IntegrationKey, Platform};
use tokio::sync::{Mutex, MutexGuard};
use tracing::warn;

/// Limits how often a run tries to write a row that others write at the same time.
const MAX_LOST_WRITES: u32 = 5;
/// Limits the successes that wait for a write: the shared row remembers only the last few.
const MAX_UNSAVED: usize = 8;

#[derive(Debug)]
pub(crate) struct PlatformHealthCache<'a> {
    store: &'a PlatformHealthTable,
    clock: &'a Clock,
    known: BTreeMap<Platform, Mutex<Known>>,
    /// Locked by the one integration of a platform that is tried during a hold.
    exceptions: BTreeMap<Platform, Mutex<()>>,
}

/// The right to be tried during a hold, for one integration of a platform at a time.
pub(crate) type HoldException<'a> = MutexGuard<'a, ()>;

#[derive(Debug)]
struct Known {
    health: PlatformHealth,
    /// Counts the half-open trials that this run may still make.
    trials_left: u8,
    /// Successes that the shared row does not have yet.
    unsaved: Vec<Observation>,
}

impl<'a> PlatformHealthCache<'a> {
    /// Reads the rows of all platforms.
    pub(crate) async fn load(store: &'a PlatformHealthTable, clock: &'a Clock) -> Self {
        let known = futures::future::join_all(Platform::ALL.map(|platform| async move {
            let known = Known {
                health: load_health(store, platform).await,
                trials_left: 0,
                unsaved: Vec::new(),
            };
            (platform, Mutex::new(known))
        }))
        .await;
        Self {
            store,
            clock,
            known: known.into_iter().collect(),
            exceptions: Platform::ALL
                .map(|platform| (platform, Mutex::default()))
                .into(),
        }
    }

    /// Turns open circuit breakers half-open where that is due. Returns the integrations to
    /// try: the last ones that worked. Only a sweep that refreshes may call this: a breaker
    /// that is half-open without a trial stays open for another interval.
    pub(crate) async fn half_open(&self) -> Vec<IntegrationKey> {
        let mut trials = Vec::new();
        for (platform, known) in &self.known {
            let mut known = known.lock().await;
            let trials_left = known.health.half_open(self.clock.now());
            if trials_left == 0 {
                continue;
            }
            if !matches!(self.store.replace(&mut known.health).await, Ok(true)) {
                // Only one instance may.
                known.health = load_health(self.store, *platform).await;
                continue;
            }
            known.trials_left = trials_left;
            let seen = known.health.succeeded.iter();
            trials.extend(
                seen.take(known.trials_left.into())
                    .map(|seen| seen.key.clone()),
            );
        }
        trials
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Admits an integration that may be tried now, as a trial if the circuit breaker is half-open.
    /// Also admits one that would end before a hold does, one at a time: nothing else can keep it
    /// alive.
    pub(crate) async fn admit(
        &self,
        row: &Integration,
    ) -> Result<Option<HoldException<'_>>, Availability> {
        let mut exception = None;
        loop {
            let mut known = self.known[&row.platform].lock().await;
            match known.health.availability(self.clock.now()) {
                Availability::Available => return Ok(None),
                Availability::BreakerOpen(_) if known.trials_left > 0 => {
                    known.trials_left -= 1;
                    return Ok(None);
                }
                Availability::HeldBack(until) if row.ends_before(until, self.clock.now()) => {
                    if exception.is_some() {
                        return Ok(exception);
                    }
                    drop(known);
                    exception = Some(self.exceptions[&row.platform].lock().await);
                }
                availability => return Err(availability),
            }
        }
    }

    /// Whether a platform may be asked now by an attempt that says nothing about its health.
    pub(crate) async fn availability(&self, platform: Platform) -> Availability {
        let known = self.known[&platform].lock().await;
        known.health.availability(self.clock.now())
    }

    /// Applies an observation, and assesses it. Writes at once what other instances must know at
    /// once.
    pub(crate) async fn observe(&self, platform: Platform, observation: Observation) -> Assessment {
        let now = self.clock.now();
        let mut known = self.known[&platform].lock().await;
        let mut assessment = known.health.observe(&observation, now);
        if !assessment.is_urgent {
            known.keep(observation);
            return assessment;
        }
        for _ in 0..MAX_LOST_WRITES {
            match self.store.replace(&mut known.health).await {
                Ok(true) => {
                    known.unsaved.clear();
                    return assessment;
                }
                Ok(false) => {
                    let events = known.read_again(self.store, now).await;
                    assessment = known.health.observe(&observation, now);
                    assessment.events.extend(events);
                    if !assessment.is_urgent {
                        break;
                    }
                }
                Err(error) => {
                    warn!(%error, %platform, "a platform's health could not be written for other instances");
                    break;
                }
            }
        }
        known.keep(observation);
        assessment
    }

    pub(crate) async fn open_breakers(&self) -> Vec<Platform> {
        let now = self.clock.now();
        let mut open = Vec::new();
        for (platform, known) in &self.known {
            let availability = known.lock().await.health.availability(now);
            if matches!(availability, Availability::BreakerOpen(_)) {
                open.push(*platform);
            }
        }
        open
    }

    /// Writes the successes that were not urgent. Returns the events that they cause in rows
    /// that other instances have written meanwhile.
    pub(crate) async fn save(self) -> Vec<(Platform, HealthEvent)> {
        let now = self.clock.now();
        let mut all_events = Vec::new();
        for (platform, known) in self.known {
            let mut known = known.into_inner();
            if known.unsaved.is_empty() {
                continue;
            }
            let mut events = Vec::new();
            for _ in 0..MAX_LOST_WRITES {
                match self.store.replace(&mut known.health).await {
                    Ok(true) => {
                        all_events.extend(events.into_iter().map(|event| (platform, event)));
                        break;
                    }
                    Ok(false) => events = known.read_again(self.store, now).await,
                    Err(error) => {
                        warn!(%error, %platform, "a platform's successes could not be written");
                        break;
                    }
                }
            }
        }
        all_events
    }
}

impl Known {
    /// Keeps a success until the shared row has it.
    fn keep(&mut self, observation: Observation) {
        if matches!(observation, Observation::Success { .. }) {
            if self.unsaved.len() >= MAX_UNSAVED {
                self.unsaved.remove(0);
            }
            self.unsaved.push(observation);
        }
    }

    /// Reads the row that others have written, and applies the unsaved successes to it.
    async fn read_again(
        &mut self,
        store: &PlatformHealthTable,
        now: DateTime<Utc>,
    ) -> Vec<HealthEvent> {
        self.health = load_health(store, self.health.platform).await;
        let mut events = Vec::new();
        for observation in &self.unsaved {
            events.extend(self.health.observe(observation, now).events);
        }
        events
    }
}

/// Reads a platform's row. An unreadable row counts as one that knows nothing: a failing table
/// must not stop refreshes.
async fn load_health(store: &PlatformHealthTable, platform: Platform) -> PlatformHealth {
    store.get(platform).await.unwrap_or_else(|error| {
        warn!(%error, %platform, "a platform's health could not be read");
        PlatformHealth::new(platform)
    })
}
