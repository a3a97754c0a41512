//! PlatformQueues with the platforms within one sweep: whoever must wait for one waits
//! as a key in its platform's line, and takes up nothing that integrations of
//! other platforms need.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use shared::IntegrationKey;
use shared::Platform;

/// How many keys may wait for one platform: some ten megabytes at most, and more
/// than a sweep has time for.
const LONGEST_LINE: usize = 65_536;

#[derive(Debug)]
pub(crate) struct PlatformQueues {
    /// At once, with each platform.
    most: usize,
    lines: Mutex<BTreeMap<Platform, Line>>,
}

#[derive(Debug, Default)]
struct Line {
    taken: usize,
    waiting: VecDeque<IntegrationKey>,
}

/// A turn, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    turns: &'a PlatformQueues,
    platform: Platform,
}

impl PlatformQueues {
    /// So many at once with each platform, but never all of a sweep's places.
    pub(crate) fn new(most: usize, places: usize) -> Self {
        Self {
            most: most.min((places / 2).max(1)),
            lines: Mutex::default(),
        }
    }

    /// A turn with this platform, if one is free and nobody waits for it.
    pub(crate) fn take(&self, platform: Platform) -> Option<Turn<'_>> {
        let mut lines = self.lines();
        let line = lines.entry(platform).or_default();
        if line.taken >= self.most || !line.waiting.is_empty() {
            return None;
        }
        line.taken += 1;
        Some(Turn {
            turns: self,
            platform,
        })
    }

    /// Waits for a turn; `false` if too many do.
    pub(crate) fn wait(&self, platform: Platform, key: IntegrationKey) -> bool {
        let mut lines = self.lines();
        let line = lines.entry(platform).or_default();
        let has_room = line.waiting.len() < LONGEST_LINE;
        if has_room {
            line.waiting.push_back(key);
        }
        has_room
    }

    /// Whoever has waited longest for a turn that is free now.
    pub(crate) fn next(&self) -> Option<(IntegrationKey, Turn<'_>)> {
        let mut lines = self.lines();
        let mut free = lines.iter_mut().filter(|(_, line)| line.taken < self.most);
        free.find_map(|(platform, line)| {
            let key = line.waiting.pop_front()?;
            line.taken += 1;
            let turn = Turn {
                turns: self,
                platform: *platform,
            };
            Some((key, turn))
        })
    }

    fn lines(&self) -> MutexGuard<'_, BTreeMap<Platform, Line>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(line) = self.turns.lines().get_mut(&self.platform) {
            line.taken -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
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
        let turns = PlatformQueues::new(1, 4);
        let held = turns.take(Platform::Twitter).unwrap();
        assert!(turns.take(Platform::Twitter).is_none());
        assert!(turns.wait(Platform::Twitter, key("a")));
        assert!(turns.wait(Platform::Twitter, key("b")));
        assert!(turns.next().is_none());
        assert!(turns.take(Platform::Google).is_some());
        drop(held);
        assert!(turns.take(Platform::Twitter).is_none(), "others were first");
        let (first, turn) = turns.next().unwrap();
        assert_eq!(first, key("a"));
        drop(turn);
        assert_eq!(turns.next().unwrap().0, key("b"));
        assert!(turns.next().is_none());
        assert!(turns.take(Platform::Twitter).is_some());
    }

    #[test]
    fn no_platform_gets_all_places() {
        let turns = PlatformQueues::new(32, 4);
        let held = [(); 2].map(|()| turns.take(Platform::Twitter).unwrap());
        assert!(turns.take(Platform::Twitter).is_none());
        drop(held);
        assert!(PlatformQueues::new(32, 1).take(Platform::Twitter).is_some());
    }
}
