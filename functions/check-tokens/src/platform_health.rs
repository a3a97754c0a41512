//! What this instance knows of our applications at the platforms, kept in step
//! with the rows that all instances share.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use shared::IntegrationKey;
use shared::aws::tables::PlatformHealthTable;
use shared::domain::integration::{Integration, RetryReason, State};
use shared::domain::platform_health::{
    Assessment, Availability, HealthEvent, Observation, PlatformHealth,
};
use shared::domain::refresh::{ProbeResult, Unbelieved};
use shared::domain::report::AttemptRecord;
use shared::domain::verdict::{Throttled, Verdict};
use shared::oauth::Unsuccessful;
use shared::platforms::catalog::RefreshModel;
use shared::{Clock, Platform};
use tokio::sync::{Mutex, MutexGuard};
use tracing::warn;

use crate::operations::Operation;
use crate::sweep::Sweep;

/// How often a write that lost a race is applied to what won it.
const TRIES: u32 = 5;

/// Our applications, as of one sweep.
#[derive(Debug)]
pub(crate) struct PlatformHealthCache<'a> {
    store: &'a PlatformHealthTable,
    clock: &'a Clock,
    known: BTreeMap<Platform, Mutex<Known>>,
    /// Held by whoever is asked about although the platform asks us to wait.
    alone: BTreeMap<Platform, Mutex<()>>,
}

/// The right to ask a platform although it asks us to wait: one at a time.
pub(crate) type Alone<'a> = MutexGuard<'a, ()>;

#[derive(Debug)]
struct Known {
    application: PlatformHealth,
    /// How many integrations may still try a broken application.
    tries: u8,
    /// Successes that the shared row does not have yet.
    unsaved: Vec<Observation>,
}

impl<'a> PlatformHealthCache<'a> {
    /// Reads what is known.
    pub(crate) async fn load(store: &'a PlatformHealthTable, clock: &'a Clock) -> Self {
        let known = futures::future::join_all(Platform::ALL.map(|platform| async move {
            let known = Known {
                application: read(store, platform).await,
                tries: 0,
                unsaved: Vec::new(),
            };
            (platform, Mutex::new(known))
        }))
        .await;
        Self {
            store,
            clock,
            known: known.into_iter().collect(),
            alone: Platform::ALL.map(|of| (of, Mutex::default())).into(),
        }
    }

    /// Takes the right to try broken applications where it is time for that.
    /// Returns the integrations that shall try, because they are the last that
    /// each worked with. Only for a sweep that refreshes: whoever takes the
    /// right and tries nothing leaves them broken for another round.
    pub(crate) async fn trials(&self) -> Vec<IntegrationKey> {
        let mut trials = Vec::new();
        for (platform, known) in &self.known {
            let mut known = known.lock().await;
            let tries = known.application.half_open(self.clock.now());
            if tries == 0 {
                continue;
            }
            if !matches!(self.store.replace(&mut known.application).await, Ok(true)) {
                // Only one instance has it.
                known.application = read(self.store, *platform).await;
                continue;
            }
            known.tries = tries;
            let seen = known.application.succeeded.iter();
            trials.extend(seen.take(known.tries.into()).map(|seen| seen.key.clone()));
        }
        trials
    }

    /// Whether an integration may be tried now. A few may although the application is
    /// broken; this counts as one of them. Whoever would end before a hold does may
    /// as well, one at a time: nobody else can keep it alive.
    pub(crate) async fn admit(&self, row: &Integration) -> Result<Option<Alone<'_>>, Availability> {
        let mut alone = None;
        loop {
            let mut known = self.known[&row.platform].lock().await;
            match known.application.availability(self.clock.now()) {
                Availability::Available => return Ok(None),
                Availability::BreakerOpen(_) if known.tries > 0 => {
                    known.tries -= 1;
                    return Ok(None);
                }
                Availability::HeldBack(until) if row.ends_before(until, self.clock.now()) => {
                    if alone.is_some() {
                        return Ok(alone);
                    }
                    drop(known);
                    alone = Some(self.alone[&row.platform].lock().await);
                }
                availability => return Err(availability),
            }
        }
    }

    /// The same for a question that would not show that it works.
    pub(crate) async fn of(&self, platform: Platform) -> Availability {
        let known = self.known[&platform].lock().await;
        known.application.availability(self.clock.now())
    }

    /// Takes in what an exchange showed, and says how to take it. What others
    /// must know at once is written at once.
    pub(crate) async fn observe(&self, platform: Platform, observation: Observation) -> Assessment {
        let now = self.clock.now();
        let mut known = self.known[&platform].lock().await;
        let mut assessment = known.application.observe(&observation, now);
        if !assessment.is_urgent {
            known.keep(observation);
            return assessment;
        }
        for _ in 0..TRIES {
            match self.store.replace(&mut known.application).await {
                Ok(true) => {
                    known.unsaved.clear();
                    return assessment;
                }
                Ok(false) => {
                    let events = known.read_again(self.store, now).await;
                    assessment = known.application.observe(&observation, now);
                    assessment.events.extend(events);
                    if !assessment.is_urgent {
                        break;
                    }
                }
                Err(error) => {
                    warn!(%error, %platform, "other instances could not be told of an application's standing");
                    break;
                }
            }
        }
        known.keep(observation);
        assessment
    }

    /// Platforms that refuse our application.
    pub(crate) async fn broken(&self) -> Vec<Platform> {
        let now = self.clock.now();
        let mut broken = Vec::new();
        for (platform, known) in &self.known {
            let availability = known.lock().await.application.availability(now);
            if matches!(availability, Availability::BreakerOpen(_)) {
                broken.push(*platform);
            }
        }
        broken
    }

    /// Writes down the successes that nobody had to know of at once. Returns
    /// what they turned out to change of rows that others have written meanwhile.
    pub(crate) async fn save(self) -> Vec<(Platform, HealthEvent)> {
        let now = self.clock.now();
        let mut all_events = Vec::new();
        for (platform, known) in self.known {
            let mut known = known.into_inner();
            if known.unsaved.is_empty() {
                continue;
            }
            let mut events = Vec::new();
            for _ in 0..TRIES {
                match self.store.replace(&mut known.application).await {
                    Ok(true) => {
                        all_events.extend(events.into_iter().map(|events| (platform, events)));
                        break;
                    }
                    Ok(false) => events = known.read_again(self.store, now).await,
                    Err(error) => {
                        warn!(%error, %platform, "an application's successes could not be written down");
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
            // Only the last few are remembered anyway.
            if self.unsaved.len() >= 8 {
                self.unsaved.remove(0);
            }
            self.unsaved.push(observation);
        }
    }

    /// Goes on from what others have written, which has none of what is unsaved here.
    async fn read_again(
        &mut self,
        store: &PlatformHealthTable,
        now: DateTime<Utc>,
    ) -> Vec<HealthEvent> {
        self.application = read(store, self.application.platform).await;
        let mut events = Vec::new();
        for observation in &self.unsaved {
            events.extend(self.application.observe(observation, now).events);
        }
        events
    }
}

impl Sweep<'_> {
    /// What a failure means, given what is known of our application, and whether
    /// a refusal may be believed.
    pub(crate) async fn weigh(
        &self,
        row: &Integration,
        refused: &Unsuccessful,
        entry: &AttemptRecord,
    ) -> (Verdict, bool) {
        let Unsuccessful { verdict, code } = refused.clone();
        let refused_since = match row.state {
            State::Retrying {
                reason: RetryReason::Refused | RetryReason::InDoubt,
                since,
                ..
            } => Some(since),
            _ => None,
        };
        // A refusal that our own crash explains says nothing of the application: a
        // sweep that dies may leave many. What the platform's own answer left in
        // doubt may be about both.
        let is_answered = row
            .refresh
            .intent
            .as_ref()
            .is_some_and(|intent| intent.answered);
        let is_refusal = matches!(verdict, Verdict::ReconnectNeeded(_));
        let is_explained = is_refusal && row.is_in_doubt() && !is_answered;
        let observation = Observation::Failure {
            key: IntegrationKey::from(row),
            verdict: verdict.clone(),
            had_worked: had_worked(row) && !is_explained,
            refused_since,
            code,
        };
        let assessment = self.standings.observe(row.platform, observation).await;
        for events in &assessment.events {
            self.operations.add(match events {
                HealthEvent::UnknownAnswer(_) => Operation::unknown_answer(row, entry),
                HealthEvent::BreakerOpened(cause) => Operation::breaker_opened(row, entry, *cause),
                HealthEvent::RefusedForOne => Operation::refused_for_one(row, entry),
                events => Operation::of(row.platform, events),
            });
        }
        (assessment.verdict.unwrap_or(verdict), assessment.conclusive)
    }

    /// What a probe failed with, taken in as [`Self::weigh`] does, but for an outage of
    /// the API: it says nothing of the token endpoint.
    pub(crate) async fn weigh_probe(
        &self,
        row: &Integration,
        refused: &Unsuccessful,
        entry: &AttemptRecord,
    ) -> bool {
        let is_outage = matches!(
            refused.verdict,
            Verdict::Throttled {
                whom: Throttled::Everyone,
                ..
            }
        );
        is_outage || self.weigh(row, refused, entry).await.1
    }

    /// A token that lives by the word of a platform that knows who asks shows that our
    /// application works there, as a refresh does.
    pub(crate) async fn found_alive(&self, row: &Integration) {
        if row.platform.probe_names_application() {
            let observation = Observation::Success {
                key: IntegrationKey::from(row),
                sent_at: self.standings.clock.now(),
                access_life: None,
                refresh_life: None,
            };
            self.observe(row.platform, observation).await;
        }
    }

    /// Tells the operator of ends that a probe names and nobody can believe.
    pub(crate) async fn doubt(&self, platform: Platform, seen: &ProbeResult) {
        let (_, doubts) = seen.clone().believed(platform, self.standings.clock.now());
        self.doubt_lives(platform, doubts).await;
    }

    /// Tells the operator of lives that nobody can believe.
    pub(crate) async fn doubt_lives(&self, platform: Platform, lives: Vec<Unbelieved>) {
        if !lives.is_empty() {
            self.observe(platform, Observation::Unbelieved(lives)).await;
        }
    }

    /// Takes in what an exchange showed, and keeps what the operator should hear.
    pub(crate) async fn observe(&self, platform: Platform, observation: Observation) -> Assessment {
        let assessment = self.standings.observe(platform, observation).await;
        for events in &assessment.events {
            self.operations.add(Operation::of(platform, events));
        }
        assessment
    }
}

/// Whether it was seen to work: refused now, together with others, it may be our
/// application that is refused.
fn had_worked(row: &Integration) -> bool {
    let is_all_that_shows = row.refresh_model() == RefreshModel::None;
    row.refresh.renewed_at.is_some() || is_all_that_shows && row.refresh.alive_at.is_some()
}

/// An application of which nothing can be read counts as one of which nothing
/// is known: the store's failing must not keep tokens from being refreshed.
async fn read(store: &PlatformHealthTable, platform: Platform) -> PlatformHealth {
    store.get(platform).await.unwrap_or_else(|error| {
        warn!(%error, %platform, "an application's standing could not be read");
        PlatformHealth::new(platform)
    })
}
