//! What the simulators remember, and what they decide. Everything in here runs
//! under one lock, so nothing in here waits.

use std::time::Duration;

use shared::Platform;

use super::api::CallRequest;
use super::grant::EpochSeconds;
use super::probe::ProbeEndpoint;
use super::request::{ProbeRequest, RefreshRequest};
use super::response::PlatformResponse;
use super::script::{Action, Armed, Requests};
use super::simulated::CodeEndpoint;
use super::simulator::Simulator;
use super::{catalog, lineage};

pub(super) struct State {
    simulators: [Simulator; Platform::ALL.len()],
    scripts: Vec<Armed>,
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
            simulators: Platform::ALL.map(Simulator::new),
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
        let plan = self.plan(platform, &[Requests::Refresh], token, now);
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

    pub(super) fn exchange(
        &mut self,
        platform: Platform,
        endpoint: &CodeEndpoint,
        request: &RefreshRequest,
        now: EpochSeconds,
    ) -> Outcome {
        let plan = self.plan(platform, &[Requests::Refresh], "", now);
        let answer = match plan.instead(platform, now) {
            Some(answer) => answer,
            None => self.simulator(platform).exchange(endpoint, request, now),
        };
        plan.outcome(answer)
    }

    pub(super) fn probe(
        &mut self,
        platform: Platform,
        endpoint: &ProbeEndpoint,
        request: &ProbeRequest,
        now: EpochSeconds,
    ) -> Outcome {
        let token = request.token.as_deref().unwrap_or_default();
        let plan = self.plan(platform, &[Requests::Probe], token, now);
        let answer = match plan.instead(platform, now) {
            Some(answer) => answer,
            None => self.simulator(platform).probe(endpoint, request, now),
        };
        plan.outcome(answer)
    }

    pub(super) fn call(
        &mut self,
        platform: Platform,
        request: &CallRequest,
        now: EpochSeconds,
    ) -> Outcome {
        let requests: &[Requests] = match request.is_probe() {
            true => &[Requests::Call, Requests::Probe],
            false => &[Requests::Call],
        };
        let token = request.token.as_deref().unwrap_or_default();
        let plan = self.plan(platform, requests, token, now);
        let simulator = self.simulator(platform);
        simulator.calls += 1;
        let answer = match plan.instead(platform, now) {
            Some(answer) => answer,
            None => simulator.call(request, now),
        };
        plan.outcome(answer)
    }

    /// Returns what the scripts say about one request, which is of all these kinds.
    fn plan(
        &mut self,
        platform: Platform,
        requests: &[Requests],
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
            let on = armed.script.on;
            if on != Requests::Any && !requests.contains(&on) {
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
