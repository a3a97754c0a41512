//! One grant: what was issued for it, and until when that holds.

use std::collections::VecDeque;

use shared::Platform;

use super::lineage::{self, Kind, Lineage};
use super::rules::Rules;

/// How many living access tokens of one grant are remembered; an older one
/// counts as expired. Keeps a grant small that is refreshed in a loop.
const REMEMBERED: usize = 256;

/// Seconds since the epoch.
pub(super) type Instant = i64;

pub(super) struct Grant {
    /// When the grant began, as far as we know.
    pub(super) since: Instant,
    /// The foreign token that it was adopted by, if it was one.
    pub(super) origin: Option<String>,
    pub(super) revoked: bool,
    /// The highest generation issued or seen.
    pub(super) generation: u32,
    pub(super) access: VecDeque<Access>,
    pub(super) forgotten_before: u32,
    pub(super) refresh: Option<Refresh>,
}

#[derive(Clone)]
pub(super) struct Access {
    pub(super) generation: u32,
    pub(super) token: String,
    pub(super) issued_at: Instant,
    pub(super) expires_at: Option<Instant>,
    pub(super) adopted: bool,
}

pub(super) struct Refresh {
    pub(super) generation: u32,
    pub(super) token: String,
    pub(super) expires_at: Option<Instant>,
    pub(super) last_used: Instant,
    /// The last exchange, for the grace window: when, with what, and the answer.
    pub(super) last: Option<(Instant, String, Issued)>,
}

/// What a successful exchange hands out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Issued {
    pub(super) grant: String,
    pub(super) access_token: String,
    pub(super) expires_in: i64,
    pub(super) refresh_token: Option<String>,
    pub(super) refresh_expires_in: Option<i64>,
}

/// Why a token is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Denied {
    /// Nobody issued it: another platform's, the wrong kind, or tampered with.
    Unknown,
    /// The grant is dead.
    Revoked,
    /// A refresh token that was used before.
    Used,
    /// Its time ran out.
    Expired,
    /// An access token too young to be extended.
    TooYoung,
}

/// What a probe sees of a living or dead token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sight {
    pub(super) grant: String,
    pub(super) since: Instant,
    pub(super) issued_at: Instant,
    pub(super) expires_at: Option<Instant>,
    pub(super) denied: Option<Denied>,
}

impl Grant {
    /// The access token of that place, adopted if it was never seen.
    pub(super) fn access(
        &mut self,
        lineage: &Lineage,
        token: &str,
        life: Option<i64>,
        now: Instant,
    ) -> Result<&Access, Denied> {
        if lineage.generation < self.forgotten_before {
            return Err(Denied::Expired);
        }
        let found = self
            .access
            .iter()
            .rposition(|access| access.generation == lineage.generation);
        let index = match found {
            Some(index) if self.access[index].token != token => return Err(Denied::Unknown),
            Some(index) => index,
            None => {
                let adopted = Access {
                    generation: lineage.generation,
                    token: token.to_owned(),
                    issued_at: now,
                    expires_at: life.map(|life| now + life),
                    adopted: true,
                };
                self.remember(adopted, now);
                self.access.len() - 1
            }
        };
        Ok(&self.access[index])
    }

    pub(super) fn issue(
        &mut self,
        platform: Platform,
        id: &str,
        life: i64,
        now: Instant,
    ) -> String {
        let token = lineage::mint(platform, id, Kind::Access, self.generation);
        let issued = Access {
            generation: self.generation,
            token: token.clone(),
            issued_at: now,
            expires_at: Some(now + life),
            adopted: false,
        };
        self.remember(issued, now);
        token
    }

    fn remember(&mut self, access: Access, now: Instant) {
        while let Some(oldest) = self.access.front()
            && (past(oldest.expires_at, now) || self.access.len() >= REMEMBERED)
        {
            self.forgotten_before = self.forgotten_before.max(oldest.generation + 1);
            self.access.pop_front();
        }
        self.access.push_back(access);
    }
}

impl Refresh {
    pub(super) fn is_over(&self, rules: &Rules, now: Instant) -> bool {
        past(self.expires_at, now) || past(rules.idle_life.map(|idle| self.last_used + idle), now)
    }
}

pub(super) fn past(end: Option<Instant>, now: Instant) -> bool {
    end.is_some_and(|end| end <= now)
}
