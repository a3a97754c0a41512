//! What this instance knows of our applications at the platforms, kept in step
//! with the rows that all instances share.

use std::collections::BTreeMap;

use shared::application::{Application, Observation, Standing, Taken};
use shared::store::{Applications, Key};
use shared::{Clock, Platform};
use tokio::sync::Mutex;
use tracing::warn;

/// How often a write that lost a race is applied to what won it.
const TRIES: u32 = 5;

/// Our applications, as of one sweep.
#[derive(Debug)]
pub(crate) struct Standings<'a> {
    store: &'a Applications,
    clock: &'a Clock,
    known: BTreeMap<Platform, Mutex<Known>>,
}

#[derive(Debug)]
struct Known {
    application: Application,
    /// How many connections may still try a broken application.
    tries: u8,
    /// Successes that the shared row does not have yet.
    unsaved: Vec<Observation>,
}

impl<'a> Standings<'a> {
    /// Reads what is known, and takes the right to try broken applications
    /// where it is time for that.
    pub(crate) async fn load(store: &'a Applications, clock: &'a Clock) -> Self {
        let known = futures::future::join_all(Platform::ALL.map(|platform| async move {
            let mut application = read(store, platform).await;
            let mut tries = application.half_open(clock.now());
            // Only one instance has it.
            if tries > 0 && !matches!(store.replace(&mut application).await, Ok(true)) {
                tries = 0;
            }
            let known = Known {
                application,
                tries,
                unsaved: Vec::new(),
            };
            (platform, Mutex::new(known))
        }))
        .await;
        Self {
            store,
            clock,
            known: known.into_iter().collect(),
        }
    }

    /// Connections that shall try a broken application, because they are the
    /// last that it worked with.
    pub(crate) async fn trials(&self) -> Vec<Key> {
        let mut trials = Vec::new();
        for known in self.known.values() {
            let known = known.lock().await;
            let seen = known.application.succeeded.iter();
            trials.extend(seen.take(known.tries.into()).map(|seen| seen.key.clone()));
        }
        trials
    }

    /// Whether a connection may be tried now. A few may although the
    /// application is broken; this counts as one of them.
    pub(crate) async fn admit(&self, platform: Platform) -> Standing {
        let mut known = self.known[&platform].lock().await;
        let standing = known.application.standing(self.clock.now());
        if matches!(standing, Standing::Broken(_)) && known.tries > 0 {
            known.tries -= 1;
            return Standing::Open;
        }
        standing
    }

    /// Takes in what an exchange showed, and says how to take it. What others
    /// must know at once is written at once.
    pub(crate) async fn observe(&self, platform: Platform, observation: Observation) -> Taken {
        let now = self.clock.now();
        let mut known = self.known[&platform].lock().await;
        let mut taken = known.application.observe(&observation, now);
        if !taken.is_urgent {
            if matches!(observation, Observation::Success { .. }) {
                // Only the last few are remembered anyway.
                if known.unsaved.len() >= 8 {
                    known.unsaved.remove(0);
                }
                known.unsaved.push(observation);
            }
            return taken;
        }
        for _ in 0..TRIES {
            match self.store.replace(&mut known.application).await {
                Ok(true) => break,
                Ok(false) => {
                    known.application = read(self.store, platform).await;
                    taken = known.application.observe(&observation, now);
                    if !taken.is_urgent {
                        break;
                    }
                }
                Err(error) => {
                    warn!(%error, %platform, "other instances could not be told of an application's standing");
                    break;
                }
            }
        }
        taken
    }

    /// Platforms that refuse our application.
    pub(crate) async fn broken(&self) -> Vec<Platform> {
        let now = self.clock.now();
        let mut broken = Vec::new();
        for (platform, known) in &self.known {
            let standing = known.lock().await.application.standing(now);
            if matches!(standing, Standing::Broken(_)) {
                broken.push(*platform);
            }
        }
        broken
    }

    /// Writes down the successes that nobody had to know of at once.
    pub(crate) async fn save(self) {
        for (platform, known) in self.known {
            let mut known = known.into_inner();
            if known.unsaved.is_empty() {
                continue;
            }
            for _ in 0..TRIES {
                match self.store.replace(&mut known.application).await {
                    Ok(true) => break,
                    Ok(false) => {
                        known.application = read(self.store, platform).await;
                        for observation in &known.unsaved {
                            known.application.observe(observation, self.clock.now());
                        }
                    }
                    Err(error) => {
                        warn!(%error, %platform, "an application's successes could not be written down");
                        break;
                    }
                }
            }
        }
    }
}

/// An application of which nothing can be read counts as one of which nothing
/// is known: the store's failing must not keep tokens from being refreshed.
async fn read(store: &Applications, platform: Platform) -> Application {
    store.get(platform).await.unwrap_or_else(|error| {
        warn!(%error, %platform, "an application's standing could not be read");
        Application::new(platform)
    })
}
