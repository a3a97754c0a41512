//! A platform that knows which of its tokens live: the truth against which a
//! loss is judged.

use chrono::{DateTime, TimeDelta, Utc};
use test_support::Random;

use crate::Platform;
use crate::platforms::catalog::RefreshModel;

/// The tokens of one answer, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SimulatedTokens {
    pub(super) grant: usize,
    pub(super) access: u32,
    pub(super) refresh: Option<u32>,
}

/// How a request reached the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    /// Once, while its sender waited.
    Sender,
    /// A second time, by the network's doing.
    Double,
    /// After its sender had given up.
    Late,
}

/// Why a family of tokens was killed: a used token was shown again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kill {
    /// When the sender had last looked for the replacement in the fallback, and in the row.
    pub(super) looked_at: (DateTime<Utc>, DateTime<Utc>),
    pub(super) replayed: u32,
    pub(super) via: Via,
}

/// What the platform gave for a token.
#[derive(Debug, Clone, Copy)]
pub(super) struct ExchangeAnswer {
    pub(super) tokens: SimulatedTokens,
    /// The answer uses up the old token.
    pub(super) rotated: bool,
    /// The old token had been used up before, and the grace window allowed it.
    pub(super) grace: bool,
}

#[derive(Debug)]
struct Refresh {
    grant: usize,
    used_at: Option<DateTime<Utc>>,
    successor: Option<u32>,
}

#[derive(Debug)]
pub(super) struct SimulatedPlatform {
    pub(super) name: Platform,
    pub(super) model: RefreshModel,
    pub(super) family_kill: bool,
    pub(super) grace: Option<TimeDelta>,
    /// Within the grace window, the platform gives a sibling of the successor, not that again.
    siblings: bool,
    /// The platform sometimes leaves the refresh token in force and names none.
    lazy: bool,
    pub(super) names_life: bool,
    pub(super) probes: bool,
    pub(super) life: TimeDelta,
    refresh: Vec<Refresh>,
    access: Vec<(usize, DateTime<Utc>)>,
    grants: Vec<Option<Kill>>,
}

impl SimulatedPlatform {
    pub(super) fn new(chance: &mut Random) -> Self {
        use RefreshModel::{Extend, Rotating, Static};
        let (name, model) = match chance.below(20) {
            0..8 => (Platform::Twitter, Rotating),
            8..13 => (Platform::Tiktok, Rotating),
            13..16 => (Platform::Snapchat, Rotating),
            16 => (Platform::Google, Static),
            17 => (Platform::Linkedin, Static),
            18 => (Platform::Meta, Extend),
            _ => (Platform::Instagram, Extend),
        };
        let grace = chance.percent(35);
        Self {
            name,
            model,
            family_kill: chance.percent(50),
            grace: grace.then(|| chance.millis(30_000, 300_000)),
            siblings: chance.percent(50),
            lazy: chance.percent(10),
            names_life: chance.percent(70),
            probes: chance.percent(50),
            life: name.usual_access_lifetime(),
            refresh: Vec::new(),
            access: Vec::new(),
            grants: Vec::new(),
        }
    }

    pub(super) fn consent(&mut self, now: DateTime<Utc>) -> SimulatedTokens {
        self.grants.push(None);
        self.issue(self.grants.len() - 1, now)
    }

    fn issue(&mut self, grant: usize, now: DateTime<Utc>) -> SimulatedTokens {
        let refresh = (self.model != RefreshModel::Extend).then(|| self.issue_refresh(grant));
        SimulatedTokens {
            grant,
            access: self.issue_access(grant, now),
            refresh,
        }
    }

    fn issue_access(&mut self, grant: usize, now: DateTime<Utc>) -> u32 {
        self.access.push((grant, now + self.life));
        u32::try_from(self.access.len() - 1).unwrap()
    }

    fn issue_refresh(&mut self, grant: usize) -> u32 {
        self.refresh.push(Refresh {
            grant,
            used_at: None,
            successor: None,
        });
        u32::try_from(self.refresh.len() - 1).unwrap()
    }

    /// Exchanges tokens for new ones; `None` is a refusal.
    pub(super) fn exchange(
        &mut self,
        with: SimulatedTokens,
        via: Via,
        looked_at: (DateTime<Utc>, DateTime<Utc>),
        now: DateTime<Utc>,
        chance: &mut Random,
    ) -> Option<ExchangeAnswer> {
        let grant = with.grant;
        if !self.can_refresh(with, now) {
            return self.replayed(with, via, looked_at, now);
        }
        let mut given = ExchangeAnswer {
            tokens: SimulatedTokens {
                access: self.issue_access(grant, now),
                ..with
            },
            rotated: false,
            grace: false,
        };
        if self.model == RefreshModel::Rotating && !(self.lazy && chance.percent(30)) {
            let new = self.issue_refresh(grant);
            let old = &mut self.refresh[with.refresh? as usize];
            (old.used_at, old.successor) = (Some(now), Some(new));
            given.tokens.refresh = Some(new);
            given.rotated = true;
        }
        Some(given)
    }

    /// Answers a request with a used-up token. Within the grace window the token works once more;
    /// after that it may kill the whole family.
    fn replayed(
        &mut self,
        with: SimulatedTokens,
        via: Via,
        looked_at: (DateTime<Utc>, DateTime<Utc>),
        now: DateTime<Utc>,
    ) -> Option<ExchangeAnswer> {
        let replayed = with.refresh?;
        let old = &self.refresh[replayed as usize];
        if self.grants[with.grant].is_some() {
            return None;
        }
        let used_at = old.used_at?;
        let successor = old.successor?;
        let fresh = self.refresh[successor as usize].used_at.is_none();
        if fresh && self.grace.is_some_and(|grace| now - used_at <= grace) {
            let refresh = match self.siblings {
                true => self.issue_refresh(with.grant),
                false => successor,
            };
            let tokens = SimulatedTokens {
                access: self.issue_access(with.grant, now),
                refresh: Some(refresh),
                ..with
            };
            return Some(ExchangeAnswer {
                tokens,
                rotated: true,
                grace: true,
            });
        }
        if self.family_kill {
            self.grants[with.grant] = Some(Kill {
                looked_at,
                replayed,
                via,
            });
        }
        None
    }

    /// Whether these tokens can still be exchanged.
    pub(super) fn can_refresh(&self, tokens: SimulatedTokens, now: DateTime<Utc>) -> bool {
        self.grants[tokens.grant].is_none()
            && match tokens.refresh {
                Some(refresh) => self.refresh[refresh as usize].used_at.is_none(),
                None => self.lives(tokens.access, now),
            }
    }

    pub(super) fn kill_of(&self, grant: usize) -> Option<Kill> {
        self.grants[grant]
    }

    pub(super) fn lives(&self, access: u32, now: DateTime<Utc>) -> bool {
        let (grant, end) = self.access[access as usize];
        self.grants[grant].is_none() && now < end
    }

    /// Returns when an access token ends, if nothing kills it before.
    pub(super) fn end_of(&self, access: u32) -> DateTime<Utc> {
        self.access[access as usize].1
    }

    pub(super) fn grant_of_access(&self, access: u32) -> usize {
        self.access[access as usize].0
    }

    pub(super) fn grant_of_refresh(&self, refresh: u32) -> usize {
        self.refresh[refresh as usize].grant
    }
}
