//! One platform's simulator: what it remembers, and how it judges a request.

use serde::Serialize;
use shared::Platform;

use super::api::{Api, ApiEndpoint, Call, CallRequest, Fault};
use super::catalog;
use super::consent::Consents;
use super::consent_grant;
use super::grant::{Denied, EpochSeconds, TokenStatus};
use super::ledger::Ledger;
use super::parameters::Client;
use super::probe::{ProbeAnswer, ProbeContext, ProbeEndpoint};
use super::refusal::Refusal;
use super::request::{ProbeRequest, RefreshRequest};
use super::response::PlatformResponse;
use super::rules::Rules;
use super::simulated::{CodeEndpoint, Life, Simulated};
use super::usage::RecentCalls;

/// What one simulator has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Requests for new tokens, whatever became of them.
    pub refreshes: u64,
    /// Exchanges that brought no new token. An exchange whose answer was lost after it
    /// acted does not count.
    pub refused: u64,
    /// Calls of the API, whatever became of them.
    pub calls: u64,
    /// Calls that changed something. One whose answer was lost counts.
    pub writes: u64,
    /// Grants adopted because a token of theirs was never seen before.
    pub adopted: u64,
    /// Grants that are neither revoked nor past all their clocks.
    pub live_grants: u64,
}

pub(super) struct Simulator {
    pub(super) platform: Platform,
    simulated: &'static Simulated,
    pub(super) rules: Rules,
    pub(super) client: Option<Client>,
    pub(super) ledger: Ledger,
    pub(super) consents: Consents,
    recent_calls: RecentCalls,
    pub(super) refreshes: u64,
    pub(super) refused: u64,
    pub(super) calls: u64,
    writes: u64,
}

impl Simulator {
    pub(super) fn new(platform: Platform) -> Self {
        Self {
            platform,
            simulated: catalog::for_platform(platform),
            rules: Rules::documented(platform),
            client: None,
            ledger: Ledger::new(platform),
            consents: Consents::default(),
            recent_calls: RecentCalls::default(),
            refreshes: 0,
            refused: 0,
            calls: 0,
            writes: 0,
        }
    }

    pub(super) fn counts(&self, now: EpochSeconds) -> Counts {
        Counts {
            refreshes: self.refreshes,
            refused: self.refused,
            calls: self.calls,
            writes: self.writes,
            adopted: self.ledger.grants() as u64,
            live_grants: self.ledger.live(&self.rules, now) as u64,
        }
    }

    /// Returns the answer, and whether it carries new tokens.
    pub(super) fn refresh(
        &mut self,
        request: &RefreshRequest,
        now: EpochSeconds,
    ) -> (PlatformResponse, bool) {
        let Simulated {
            refresh, refuse, ..
        } = self.simulated;
        let issued = request
            .accept(refresh, self.client.as_ref(), &self.rules)
            .and_then(|token| {
                match refresh.extends {
                    true => self.ledger.extend(&self.rules, token, now),
                    false => self.ledger.refresh(&self.rules, token, now),
                }
                .map_err(Refusal::Token)
            });
        match issued {
            Ok(issued) => {
                let body = (refresh.body)(&self.rules_of(&issued.grant), &issued);
                (PlatformResponse::ok(&body), true)
            }
            Err(refusal) => (refuse(refusal), false),
        }
    }

    /// Exchanges the code of a consent.
    pub(super) fn exchange(
        &mut self,
        endpoint: &CodeEndpoint,
        request: &RefreshRequest,
        now: EpochSeconds,
    ) -> PlatformResponse {
        let Simulated {
            refuse, refresh, ..
        } = self.simulated;
        let accepted = request.accept_code(endpoint, self.client.as_ref());
        let wants = endpoint.wants_redirect_uri;
        let taken = accepted
            .and_then(|(parameters, code)| self.consents.take(code, wants, parameters, now));
        match taken {
            Ok(grant) => {
                let rules = self.rules_of(&grant);
                let (life, is_refreshed) = match endpoint.life {
                    Life::AsRefreshed => (Some(rules.access_lifetime), !refresh.extends),
                    Life::Seconds(life) => (Some(life), !refresh.extends),
                    Life::ForEver => (None, false),
                };
                let issued = self.ledger.begin(&rules, grant, life, is_refreshed, now);
                PlatformResponse::ok(&(endpoint.body)(&rules, &issued))
            }
            Err(Refusal::Token(denied)) => (endpoint.refuse)(denied),
            Err(refusal) => refuse(refusal),
        }
    }

    /// Exchanges the token of a code for one that lives longer.
    pub(super) fn lengthen(
        &mut self,
        grant_type: &str,
        request: &RefreshRequest,
        now: EpochSeconds,
    ) -> PlatformResponse {
        let Simulated {
            refresh, refuse, ..
        } = self.simulated;
        let accepted = request.accept_lengthening(grant_type, self.client.as_ref());
        // No token is too young for that.
        let rules = Rules {
            minimum_age: 0,
            ..self.rules.clone()
        };
        let issued = accepted.and_then(|token| {
            let extended = self.ledger.extend(&rules, token, now);
            extended.map_err(Refusal::Token)
        });
        match issued {
            Ok(issued) => PlatformResponse::ok(&(refresh.body)(&rules, &issued)),
            Err(refusal) => refuse(refusal),
        }
    }

    /// Returns the rules with what a grant allows.
    fn rules_of(&self, grant: &str) -> Rules {
        let mut rules = self.rules.clone();
        if let Some(scopes) = consent_grant::scopes_of(self.platform, grant) {
            let separator = self.platform.consent(Some(true)).scope_separator;
            rules.scope = scopes.join(separator);
        }
        rules
    }

    pub(super) fn probe(
        &mut self,
        endpoint: &ProbeEndpoint,
        request: &ProbeRequest,
        now: EpochSeconds,
    ) -> PlatformResponse {
        let rules = &self.rules;
        let caller = match (endpoint.caller)(&request.parameters, self.client.as_ref(), rules) {
            Ok(caller) => caller,
            Err(answer) => return answer,
        };
        let Some(token) = &request.token else {
            return (endpoint.refuse)(None);
        };
        let life = (!endpoint.adopts_for_ever).then_some(rules.access_lifetime);
        let found = self.ledger.look(rules, life, token, now);
        let rules = match &found {
            Ok(status) => self.rules_of(&status.grant),
            Err(_) => rules.clone(),
        };
        let context = ProbeContext {
            rules: &rules,
            caller: &caller,
            now,
        };
        match (&endpoint.answer, found) {
            (ProbeAnswer::Any(answer), found) => answer(&context, found),
            (ProbeAnswer::Works(answer), Ok(status)) => match status.denied {
                None => answer(&context, &status),
                denied => (endpoint.refuse)(denied),
            },
            (ProbeAnswer::Works(_), Err(denied)) => (endpoint.refuse)(Some(denied)),
        }
    }

    /// Judges a call and acts on it.
    pub(super) fn call(&mut self, request: &CallRequest, now: EpochSeconds) -> PlatformResponse {
        let api = &self.simulated.calls;
        if request.is_endless() {
            return PlatformResponse::endless();
        }
        let Some(endpoint) = request.endpoint else {
            return (api.refuse)(request, Fault::Path);
        };
        let status = match self.admit(api, endpoint, request, now) {
            Ok(status) => status,
            Err(denied) => return (api.refuse)(request, Fault::Token(denied)),
        };
        let usage = self.recent_calls.count(&self.rules, &status.grant, now);
        let call = Call {
            request,
            rules: &self.rules,
            client: self.client.as_ref(),
            status: &status,
            now,
            writes: self.writes + 1,
        };
        let answer = match &usage {
            Some(usage) if usage.is_over => Err((api.refuse)(request, Fault::Limit(usage))),
            _ => endpoint.answer(api, &call),
        };
        self.writes += u64::from(answer.is_ok() && endpoint.writes());
        let answer = answer.unwrap_or_else(|refused| refused);
        match usage {
            Some(usage) => (api.tell)(answer, &call, &usage),
            None => answer,
        }
    }

    /// Returns the token of a call if it works, and otherwise why not, or nothing for none.
    fn admit(
        &mut self,
        api: &Api,
        endpoint: &ApiEndpoint,
        request: &CallRequest,
        now: EpochSeconds,
    ) -> Result<TokenStatus, Option<Denied>> {
        let token = request.token.as_ref().ok_or(None)?;
        let life = (!api.adopts_for_ever).then_some(self.rules.access_lifetime);
        let status = self.ledger.call(&self.rules, life, token, now)?;
        let dies = self.rules.old_access_dies && !endpoint.is_probe();
        match dies && self.ledger.is_replaced(token) {
            true => Err(Some(Denied::Replaced)),
            false => Ok(status),
        }
    }
}
