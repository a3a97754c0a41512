//! The grants of one platform: who may still exchange what. Pure: a function
//! of what happened, the rules, and the time.

use std::collections::HashMap;

use shared::Platform;

use super::grant::{Access, Denied, EpochSeconds, Grant, Issued, Refresh, TokenStatus, past};
use super::lineage::{self, Lineage, TokenKind};
use super::rules::Rules;

pub(super) struct Ledger {
    platform: Platform,
    grants: HashMap<String, Grant>,
}

impl Ledger {
    pub(super) fn new(platform: Platform) -> Self {
        Self {
            platform,
            grants: HashMap::new(),
        }
    }

    /// Returns the foreign token by which the simulator adopted a grant, if there is one.
    pub(super) fn origin(&self, grant: &str) -> Option<&str> {
        self.grants.get(grant)?.origin.as_deref()
    }

    /// Counts the grants that can still be used or refreshed.
    pub(super) fn live(&self, rules: &Rules, now: EpochSeconds) -> usize {
        let alive = |grant: &&Grant| {
            let access = |access: &Access| !past(access.expires_at, now);
            let refresh = |refresh: &Refresh| !refresh.is_over(rules, now);
            !grant.revoked
                && (grant.access.iter().any(access) || grant.refresh.as_ref().is_some_and(refresh))
        };
        self.grants.values().filter(alive).count()
    }

    pub(super) fn grants(&self) -> usize {
        self.grants.len()
    }

    /// Kills the grants that `chosen` picks by id and origin, and returns how many.
    pub(super) fn revoke(&mut self, mut chosen: impl FnMut(&str, Option<&str>) -> bool) -> usize {
        let mut revoked = 0;
        for (id, grant) in self.grants.iter_mut().filter(|(_, grant)| !grant.revoked) {
            if chosen(id, grant.origin.as_deref()) {
                grant.revoked = true;
                revoked += 1;
            }
        }
        revoked
    }

    /// Kills the grant of `token`, adopting it if need be, so that the platform refuses
    /// all its later requests. Returns whether the grant was alive.
    pub(super) fn revoke_token(&mut self, token: &str, now: EpochSeconds) -> bool {
        let Some(lineage) = lineage::parse(self.platform, token) else {
            return false;
        };
        let grant = self.adopt(&lineage, token, now);
        !std::mem::replace(&mut grant.revoked, true)
    }

    /// Begins a grant of this id, with an access token of this life; `None` if it never ends.
    pub(super) fn begin(
        &mut self,
        rules: &Rules,
        grant: String,
        life: Option<i64>,
        has_refresh_token: bool,
        now: EpochSeconds,
    ) -> Issued {
        let platform = self.platform;
        let refresh = has_refresh_token.then(|| Refresh {
            generation: 1,
            token: lineage::mint(platform, &grant, TokenKind::Refresh, 1),
            expires_at: rules.refresh_lifetime.map(|life| now + life),
            last_used: now,
            last: None,
        });
        let mut begun = Grant {
            since: now,
            origin: None,
            revoked: false,
            generation: 1,
            access: Default::default(),
            forgotten_before: 0,
            refresh,
        };
        let issued = Issued {
            access_token: begun.issue(platform, &grant, life, now),
            grant: grant.clone(),
            expires_in: life.unwrap_or_default(),
            refresh_token: begun.refresh.as_ref().map(|refresh| refresh.token.clone()),
            refresh_expires_in: rules.refresh_lifetime.filter(|_| has_refresh_token),
        };
        self.grants.insert(grant, begun);
        issued
    }

    /// Extends a living access token (Meta, Instagram).
    pub(super) fn extend(
        &mut self,
        rules: &Rules,
        token: &str,
        now: EpochSeconds,
    ) -> Result<Issued, Denied> {
        let platform = self.platform;
        let lineage = lineage::parse(platform, token).ok_or(Denied::Unknown)?;
        if lineage.kind == Some(TokenKind::Refresh) {
            return Err(Denied::Unknown);
        }
        let grant = self.adopt(&lineage, token, now);
        let access = grant
            .access(&lineage, token, Some(rules.access_lifetime), now)?
            .clone();
        if grant.revoked {
            return Err(Denied::Revoked);
        }
        if past(access.expires_at, now) {
            return Err(Denied::Expired);
        }
        if !access.adopted && now - access.issued_at < rules.minimum_age {
            return Err(Denied::TooYoung);
        }
        let (access_token, expires_in) = if rules.extends {
            grant.generation += 1;
            let issued = grant.issue(platform, &lineage.grant, Some(rules.access_lifetime), now);
            (issued, rules.access_lifetime)
        } else {
            let left = access
                .expires_at
                .map_or(rules.access_lifetime, |at| at - now);
            (access.token, left)
        };
        Ok(Issued {
            grant: lineage.grant,
            access_token,
            expires_in,
            refresh_token: None,
            refresh_expires_in: None,
        })
    }

    /// Exchanges a refresh token.
    pub(super) fn refresh(
        &mut self,
        rules: &Rules,
        token: &str,
        now: EpochSeconds,
    ) -> Result<Issued, Denied> {
        let platform = self.platform;
        let lineage = lineage::parse(platform, token).ok_or(Denied::Unknown)?;
        if lineage.kind == Some(TokenKind::Access) {
            return Err(Denied::Unknown);
        }
        let grant = self.adopt(&lineage, token, now);
        if grant.revoked {
            return Err(Denied::Revoked);
        }
        let since = grant.since;
        let refresh = grant.refresh.get_or_insert_with(|| Refresh {
            generation: lineage.generation,
            token: token.to_owned(),
            expires_at: rules.refresh_lifetime.map(|life| since + life),
            last_used: now,
            last: None,
        });
        if lineage.generation > refresh.generation {
            // Issued before a restart, after the one that we adopted first.
            refresh.generation = lineage.generation;
            token.clone_into(&mut refresh.token);
            refresh.last = None;
        }
        if let Some((at, used, answer)) = &refresh.last
            && used == token
            && now - at <= rules.grace_window
            && rules.grace_window > 0
        {
            return Ok(answer.clone());
        }
        if lineage.generation < refresh.generation {
            grant.revoked = rules.family_kill;
            return Err(Denied::Used);
        }
        if refresh.token != token {
            return Err(Denied::Unknown);
        }
        if refresh.is_over(rules, now) {
            return Err(Denied::Expired);
        }

        refresh.last_used = now;
        if rules.refresh_slides {
            refresh.expires_at = rules.refresh_lifetime.map(|life| now + life);
        }
        let refresh_expires_in = refresh.expires_at.map(|at| at - now);
        // Where the refresh token's end is fixed, the access token is clipped to it.
        let access_lifetime = match refresh_expires_in {
            Some(left) if !rules.refresh_slides => rules.access_lifetime.min(left),
            _ => rules.access_lifetime,
        };
        grant.generation = grant.generation.max(refresh.generation) + 1;
        if rules.rotates {
            refresh.generation = grant.generation;
            refresh.token = lineage::mint(
                platform,
                &lineage.grant,
                TokenKind::Refresh,
                grant.generation,
            );
        }
        let refresh_token = refresh.token.clone();
        let issued = Issued {
            access_token: grant.issue(platform, &lineage.grant, Some(access_lifetime), now),
            grant: lineage.grant,
            expires_in: access_lifetime,
            refresh_token: Some(refresh_token),
            refresh_expires_in,
        };
        if let Some(refresh) = &mut grant.refresh
            && rules.rotates
        {
            refresh.last = Some((now, token.to_owned(), issued.clone()));
        }
        Ok(issued)
    }

    /// Looks at a token without using it. A token seen for the first time lives for
    /// `adopted_lifetime` seconds, or for ever if that is `None`.
    pub(super) fn look(
        &mut self,
        rules: &Rules,
        adopted_lifetime: Option<i64>,
        token: &str,
        now: EpochSeconds,
    ) -> Result<TokenStatus, Denied> {
        let lineage = lineage::parse(self.platform, token).ok_or(Denied::Unknown)?;
        let grant = self.adopt(&lineage, token, now);
        let refresh = grant.refresh.as_ref().filter(|r| r.token == token);
        let (issued_at, expires_at, over) = match refresh {
            Some(refresh) => (grant.since, refresh.expires_at, refresh.is_over(rules, now)),
            None if lineage.kind == Some(TokenKind::Refresh) => return Err(Denied::Unknown),
            None => {
                let access = grant.access(&lineage, token, adopted_lifetime, now)?;
                let over = past(access.expires_at, now);
                (access.issued_at, access.expires_at, over)
            }
        };
        let denied = match (grant.revoked, over) {
            (true, _) => Some(Denied::Revoked),
            (_, true) => Some(Denied::Expired),
            _ => None,
        };
        Ok(TokenStatus {
            since: grant.since,
            grant: lineage.grant,
            issued_at,
            expires_at,
            denied,
        })
    }

    /// Looks at the access token of an API call. Returns the token only if it works.
    pub(super) fn call(
        &mut self,
        rules: &Rules,
        adopted_lifetime: Option<i64>,
        token: &str,
        now: EpochSeconds,
    ) -> Result<TokenStatus, Denied> {
        let lineage = lineage::parse(self.platform, token).ok_or(Denied::Unknown)?;
        if lineage.kind == Some(TokenKind::Refresh) {
            return Err(Denied::Unknown);
        }
        let status = self.look(rules, adopted_lifetime, token, now)?;
        status.denied.map_or(Ok(status), Err)
    }

    /// Whether a newer access token was issued for the grant of this one.
    pub(super) fn is_replaced(&self, token: &str) -> bool {
        let lineage = lineage::parse(self.platform, token);
        lineage.is_some_and(|lineage| {
            let grant = self.grants.get(&lineage.grant);
            grant.is_some_and(|grant| lineage.generation < grant.generation)
        })
    }

    fn adopt(&mut self, lineage: &Lineage, token: &str, now: EpochSeconds) -> &mut Grant {
        let grant = self
            .grants
            .entry(lineage.grant.clone())
            .or_insert_with(|| Grant {
                since: now,
                origin: lineage.kind.is_none().then(|| token.to_owned()),
                revoked: false,
                generation: 0,
                access: Default::default(),
                forgotten_before: 0,
                refresh: None,
            });
        grant.generation = grant.generation.max(lineage.generation);
        grant
    }
}
