//! One grant: what was issued for it, and until when that holds.

use std::collections::VecDeque;

use shared::Platform;

use super::consent_grant;
use super::lineage::{self, Lineage, TokenKind};
use super::rules::Rules;

/// Caps the living access tokens that one grant remembers; an older one counts as
/// expired. This keeps a grant small that a caller refreshes in a loop.
const REMEMBERED: usize = 256;

/// Seconds since the epoch.
pub(super) type EpochSeconds = i64;

pub(super) struct Grant {
    /// When the grant began, as far as we know.
    pub(super) since: EpochSeconds,
    /// The foreign token by which the simulator adopted the grant, if there is one.
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
    pub(super) issued_at: EpochSeconds,
    pub(super) expires_at: Option<EpochSeconds>,
    pub(super) adopted: bool,
}

pub(super) struct Refresh {
    pub(super) generation: u32,
    pub(super) token: String,
    pub(super) expires_at: Option<EpochSeconds>,
    pub(super) last_used: EpochSeconds,
    /// When the last exchange was, with what token, and its answer, for the grace window.
    pub(super) last: Option<(EpochSeconds, String, Issued)>,
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
    /// The token is of another platform, of the wrong kind, or tampered with.
    Unknown,
    /// The grant is dead.
    Revoked,
    /// A refresh token that was used before.
    Used,
    Expired,
    /// An access token too young to be extended.
    TooYoung,
    /// An access token after which a newer one was issued.
    Replaced,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TokenStatus {
    pub(super) grant: String,
    pub(super) since: EpochSeconds,
    pub(super) issued_at: EpochSeconds,
    pub(super) expires_at: Option<EpochSeconds>,
    pub(super) denied: Option<Denied>,
}

impl Grant {
    /// Returns the access token of this generation, adopting one that was never seen.
    pub(super) fn access(
        &mut self,
        lineage: &Lineage,
        token: &str,
        life: Option<i64>,
        now: EpochSeconds,
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
        life: Option<i64>,
        now: EpochSeconds,
    ) -> String {
        let token = lineage::mint(platform, id, TokenKind::Access, self.generation);
        let issued = Access {
            generation: self.generation,
            token: token.clone(),
            issued_at: now,
            expires_at: life.map(|life| now + life),
            adopted: false,
        };
        self.remember(issued, now);
        token
    }

    fn remember(&mut self, access: Access, now: EpochSeconds) {
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
    pub(super) fn is_over(&self, rules: &Rules, now: EpochSeconds) -> bool {
        past(self.expires_at, now)
            || past(rules.idle_lifetime.map(|idle| self.last_used + idle), now)
    }
}

pub(super) fn past(end: Option<EpochSeconds>, now: EpochSeconds) -> bool {
    end.is_some_and(|end| end <= now)
}

impl TokenStatus {
    /// Returns an account number that stays the same for one grant.
    pub(super) fn account(&self) -> String {
        account(&self.grant)
    }

    /// Returns what people call the account.
    pub(super) fn name(&self) -> String {
        name(&self.grant)
    }

    /// Returns the account's name where names are unique.
    pub(super) fn username(&self) -> String {
        consent_grant::name_of(&self.grant).unwrap_or_else(|| format!("user_{}", self.account()))
    }
}

impl Issued {
    pub(super) fn account(&self) -> String {
        account(&self.grant)
    }
}

pub(super) fn name(grant: &str) -> String {
    consent_grant::name_of(grant).unwrap_or_else(|| "A user".to_owned())
}

pub(super) fn account(grant: &str) -> String {
    consent_grant::account_of(grant).unwrap_or_else(|| {
        let digits = grant.bytes().fold(0_u64, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(byte.into())
        });
        (digits % 1_000_000_000_000_000).to_string()
    })
}
