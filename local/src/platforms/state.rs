//! What the simulators remember, and what they decide. Everything in here runs
//! under one lock, so nothing in here waits.

use std::time::Duration;

use serde::Serialize;
use shared::Platform;

use super::grant::EpochSeconds;
use super::ledger::Ledger;
use super::parameters::Client;
use super::refusal::Refusal;
use super::request::{ProbeRequest, RefreshRequest};
use super::response::PlatformResponse;
use super::rules::Rules;
use super::script::{Action, Armed, Requests};
use super::simulated::{ProbeAnswer, ProbeContext, ProbeEndpoint, Simulated};
use super::{catalog, lineage};

/// What one simulator has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Requests for new tokens, whatever became of them.
    pub refreshes: u64,
    /// Exchanges that brought no new token. An exchange whose answer was lost after it
    /// acted does not count.
    pub refused: u64,
    /// Grants adopted because a token of theirs was never seen before.
    pub adopted: u64,
    /// Grants that are neither revoked nor past all their clocks.
    pub live_grants: u64,
}

pub(super) struct State {
    simulators: [Simulator; Platform::ALL.len()],
    scripts: Vec<Armed>,
}

pub(super) struct Simulator {
    platform: Platform,
    simulated: &'static Simulated,
    pub(super) rules: Rules,
    pub(super) client: Option<Client>,
    ledger: Ledger,
    refreshes: u64,
    refused: u64,
}

/// The answer and its delay; without an answer, the connection closes.
pub(super) struct Outcome {
    pub(super) answer: Option<PlatformResponse>,
    pub(super) delay: Duration,
}

/// What the scripts say about one request.
#[derive(Default)]
struct Plan {
    delay: Duration,
    action: Option<Action>,
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            simulators: Platform::ALL.map(|platform| Simulator {
                platform,
                simulated: catalog::for_platform(platform),
                rules: Rules::documented(platform),
                client: None,
                ledger: Ledger::new(platform),
                refreshes: 0,
                refused: 0,
            }),
            scripts: Vec::new(),
        }
    }

    pub(super) fn simulator(&mut self, platform: Platform) -> &mut Simulator {
        &mut self.simulators[platform as usize]
    }

    /// Follows one more script, and returns how many there are now.
    pub(super) fn arm(&mut self, mut armed: Armed) -> usize {
        if armed.script.action == Action::Revoke {
            for simulator in &mut self.simulators {
                let platform = simulator.platform;
                simulator.ledger.revoke(|grant, origin| {
                    // The grant's id stands in for its issued tokens' texts.
                    let token = format!("sim.{platform}.{grant}.");
                    let picked = !armed.is_spent() && armed.picks(platform, &token, grant, origin);
                    if picked {
                        armed.spend();
                    }
                    picked
                });
            }
        }
        if !armed.is_spent() {
            self.scripts.push(armed);
        }
        self.scripts.len()
    }

    pub(super) fn scripts(&self) -> usize {
        self.scripts.len()
    }

    pub(super) fn disarm(&mut self) {
        self.scripts.clear();
    }

    pub(super) fn refresh(
        &mut self,
        platform: Platform,
        request: &RefreshRequest,
        now: EpochSeconds,
    ) -> Outcome {
        let token = request
            .token(&catalog::for_platform(platform).refresh)
            .unwrap_or_default();
        let plan = self.plan(platform, Requests::Refresh, token, now);
        let simulator = self.simulator(platform);
        simulator.refreshes += 1;
        let instead = plan.instead(platform, now);
        let (answer, issued) = match instead {
            Some(answer) => (answer, false),
            None => simulator.refresh(request, now),
        };
        simulator.refused += u64::from(!issued);
        plan.outcome(answer)
    }

    pub(super) fn probe(
        &mut self,
        platform: Platform,
        endpoint: &ProbeEndpoint,
        request: &ProbeRequest,
        now: EpochSeconds,
    ) -> Outcome {
        let token = request.token(endpoint).unwrap_or_default();
        let plan = self.plan(platform, Requests::Probe, token, now);
        let answer = match plan.instead(platform, now) {
            Some(answer) => answer,
            None => self.simulator(platform).probe(endpoint, request, now),
        };
        plan.outcome(answer)
    }

    fn plan(
        &mut self,
        platform: Platform,
        requests: Requests,
        token: &str,
        now: EpochSeconds,
    ) -> Plan {
        let mut plan = Plan::default();
        if self.scripts.is_empty() {
            return plan;
        }
        let grant = lineage::parse(platform, token)
            .map(|lineage| lineage.grant)
            .unwrap_or_default();
        let Self {
            simulators,
            scripts,
        } = self;
        let ledger = &mut simulators[platform as usize].ledger;
        for armed in scripts.iter_mut() {
            let origin = ledger.origin(&grant);
            if !armed.picks(platform, token, &grant, origin) {
                continue;
            }
            if armed.script.action == Action::Revoke {
                if !token.is_empty() && ledger.revoke_token(token, now) {
                    armed.spend();
                }
                continue;
            }
            if ![requests, Requests::Any].contains(&armed.script.on) {
                continue;
            }
            match &armed.script.action {
                Action::DelayMs(millis) => {
                    plan.delay = plan.delay.saturating_add(Duration::from_millis(*millis));
                }
                Action::Refuse(name) if catalog::for_platform(platform).named(name).is_none() => {
                    continue;
                }
                _ if plan.action.is_some() => continue,
                action => plan.action = Some(action.clone()),
            }
            armed.spend();
        }
        scripts.retain(|armed| !armed.is_spent());
        plan
    }
}

impl Plan {
    /// Returns the answer that the platform gives instead of acting.
    fn instead(&self, platform: Platform, now: EpochSeconds) -> Option<PlatformResponse> {
        match self.action.as_ref()? {
            Action::Refuse(name) => catalog::for_platform(platform).named(name),
            Action::Throttle(wait) => Some((catalog::for_platform(platform).throttle)(
                wait.retry_after,
                now,
            )),
            Action::Respond(respond) => respond.answer().ok(),
            Action::DelayMs(_) | Action::LoseAnswer | Action::Revoke => None,
        }
    }

    fn outcome(self, answer: PlatformResponse) -> Outcome {
        Outcome {
            answer: (self.action != Some(Action::LoseAnswer)).then_some(answer),
            delay: self.delay,
        }
    }
}

impl Simulator {
    pub(super) fn counts(&self, now: EpochSeconds) -> Counts {
        Counts {
            refreshes: self.refreshes,
            refused: self.refused,
            adopted: self.ledger.grants() as u64,
            live_grants: self.ledger.live(&self.rules, now) as u64,
        }
    }

    pub(super) const fn refreshes(&self) -> u64 {
        self.refreshes
    }

    /// Returns the answer, and whether it carries new tokens.
    fn refresh(&mut self, request: &RefreshRequest, now: EpochSeconds) -> (PlatformResponse, bool) {
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
                let body = (refresh.body)(&self.rules, &issued);
                (PlatformResponse::ok(&body), true)
            }
            Err(refusal) => (refuse(refusal), false),
        }
    }

    fn probe(
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
        let Some(token) = request.token(endpoint) else {
            return (endpoint.refuse)(None);
        };
        let life = (!endpoint.adopts_for_ever).then_some(rules.access_lifetime);
        let found = self.ledger.look(rules, life, token, now);
        let context = ProbeContext {
            rules,
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
}
