//! Limits how many integrations of each platform this process handles at once, in sweeps and
//! checks together.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::future::select_all;
use shared::{IntegrationKey, Platform};
use tokio::sync::{Semaphore, SemaphorePermit};

/// How many keys may wait for one platform: some ten megabytes at most, and more
/// than a sweep has time for.
const MAX_WAITING: usize = 65_536;

#[derive(Debug, Clone)]
pub(crate) struct PlatformLimiter {
    semaphores: Arc<BTreeMap<Platform, Semaphore>>,
}

/// The right to process one integration of a platform, until it is dropped.
#[derive(Debug)]
pub(crate) struct Slot<'a> {
    platform: Platform,
    _permit: Option<SemaphorePermit<'a>>,
}

/// The keys of one sweep that wait for a slot. Waiting, they use none of the sweep's concurrency.
#[derive(Debug)]
pub(crate) struct WaitingKeys<'a> {
    limiter: &'a PlatformLimiter,
    keys: Mutex<BTreeMap<Platform, VecDeque<IntegrationKey>>>,
}

impl PlatformLimiter {
    /// Allows `per_platform` slots for each platform, but at most half of a sweep's
    /// `concurrency`, and at least one slot.
    pub(crate) fn new(per_platform: usize, concurrency: usize) -> Self {
        let slots = per_platform.min((concurrency / 2).max(1));
        let semaphores = Platform::ALL.map(|platform| (platform, Semaphore::new(slots)));
        Self {
            semaphores: Arc::new(semaphores.into()),
        }
    }

    pub(crate) async fn acquire(&self, platform: Platform) -> Slot<'_> {
        // Never closed, so there always is a permit.
        let permit = self.semaphores[&platform].acquire().await.ok();
        Slot {
            platform,
            _permit: permit,
        }
    }

    /// Returns the empty queue of a sweep.
    pub(crate) fn waiting_keys(&self) -> WaitingKeys<'_> {
        WaitingKeys {
            limiter: self,
            keys: Mutex::default(),
        }
    }
}

impl Slot<'_> {
    pub(crate) fn is_for(&self, platform: Platform) -> bool {
        self.platform == platform
    }
}

impl<'a> WaitingKeys<'a> {
    /// Takes a slot, if one is free and no key waits for it.
    pub(crate) fn try_acquire(&self, platform: Platform) -> Option<Slot<'a>> {
        if self.keys().contains_key(&platform) {
            return None;
        }
        let permit = self.limiter.semaphores[&platform].try_acquire().ok()?;
        Some(Slot {
            platform,
            _permit: Some(permit),
        })
    }

    /// Queues a key for a slot. Returns `false` if too many wait.
    pub(crate) fn push(&self, platform: Platform, key: IntegrationKey) -> bool {
        let mut keys = self.keys();
        let keys = keys.entry(platform).or_default();
        let has_room = keys.len() < MAX_WAITING;
        if has_room {
            keys.push_back(key);
        }
        has_room
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys().is_empty()
    }

    /// Waits for the next slot that is free for a key, and returns it with the key that
    /// has waited longest for it; `None` if no key waits.
    pub(crate) async fn next(&self) -> Option<(IntegrationKey, Slot<'a>)> {
        let platforms: Vec<_> = self.keys().keys().copied().collect();
        if platforms.is_empty() {
            return None;
        }
        let slots = platforms
            .into_iter()
            .map(|platform| Box::pin(self.limiter.acquire(platform)));
        let (slot, ..) = select_all(slots).await;
        let mut keys = self.keys();
        let waiting = keys.get_mut(&slot.platform)?;
        let key = waiting.pop_front()?;
        if waiting.is_empty() {
            keys.remove(&slot.platform);
        }
        Some((key, slot))
    }

    fn keys(&self) -> MutexGuard<'_, BTreeMap<Platform, VecDeque<IntegrationKey>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use shared::{IntegrationId, OrgId};

    use super::*;

    fn key(id: &str) -> IntegrationKey {
        IntegrationKey {
            org_id: OrgId::new("acme").unwrap(),
            integration_id: IntegrationId::new(id).unwrap(),
        }
    }

    #[test]
    fn who_waits_for_one_platform_keeps_nobody_from_another() {
        let limiter = PlatformLimiter::new(1, 4);
        let waiting = limiter.waiting_keys();
        let held = waiting.try_acquire(Platform::Twitter).unwrap();
        assert!(waiting.try_acquire(Platform::Twitter).is_none());
        assert!(waiting.push(Platform::Twitter, key("a")));
        assert!(waiting.push(Platform::Twitter, key("b")));
        assert!(waiting.next().now_or_never().is_none());
        assert!(waiting.try_acquire(Platform::Google).is_some());
        drop(held);
        assert!(
            waiting.try_acquire(Platform::Twitter).is_none(),
            "others were first"
        );
        let (first, slot) = waiting.next().now_or_never().flatten().unwrap();
        assert_eq!(first, key("a"));
        assert!(waiting.next().now_or_never().is_none());
        drop(slot);
        let (second, _) = waiting.next().now_or_never().flatten().unwrap();
        assert_eq!(second, key("b"));
        assert!(waiting.is_empty());
        assert!(matches!(waiting.next().now_or_never(), Some(None)));
        assert!(waiting.try_acquire(Platform::Twitter).is_some());
    }

    #[test]
    fn no_platform_gets_all_places() {
        let limiter = PlatformLimiter::new(32, 4);
        let waiting = limiter.waiting_keys();
        let held = [(); 2].map(|()| waiting.try_acquire(Platform::Twitter).unwrap());
        assert!(waiting.try_acquire(Platform::Twitter).is_none());
        drop(held);
        let limiter = PlatformLimiter::new(32, 1);
        let waiting = limiter.waiting_keys();
        assert!(waiting.try_acquire(Platform::Twitter).is_some());
    }

    #[test]
    fn a_check_and_a_sweep_share_the_slots() {
        let limiter = PlatformLimiter::new(1, 4);
        let check = limiter.acquire(Platform::Twitter).now_or_never().unwrap();
        let waiting = limiter.waiting_keys();
        assert!(waiting.try_acquire(Platform::Twitter).is_none());
        assert!(waiting.push(Platform::Twitter, key("a")));
        drop(check);
        let (_, slot) = waiting.next().now_or_never().flatten().unwrap();
        assert!(slot.is_for(Platform::Twitter));
        assert!(limiter.acquire(Platform::Twitter).now_or_never().is_none());
    }
}
