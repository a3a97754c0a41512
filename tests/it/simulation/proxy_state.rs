//! What the proxy knows of the current run, and decides about each request.

use std::collections::{BTreeMap, HashMap};

use axum::body::Bytes;
use axum::http::request::Parts;
use chrono::{DateTime, Utc};
use serde_json::Value;
use test_support::Moment;

use super::plan::{Disturbance, Effect, Interruption, Plan};
use super::proxy::{Logged, Process, ServiceAnswer};
use super::request::{Claimed, ObservedRequest, RequestKind, Tables};

#[derive(Default)]
pub(super) struct ProxyState {
    pub(super) plan: Plan,
    pub(super) counts: BTreeMap<(RequestKind, Option<usize>), u32>,
    /// Interruptions still to come: one of the current sweep, and one of the whole run.
    pub(super) armed: [Option<Interruption>; 2],
    /// Processes that die at their next request, and those that are dead.
    pub(super) doomed: BTreeMap<Process, (RequestKind, Option<usize>)>,
    pub(super) dead: Vec<Process>,
    pub(super) claimed: BTreeMap<(Process, usize), Claimed>,
    /// The integration of each refresh token.
    pub(super) owners: HashMap<String, usize>,
    pub(super) log: Vec<Logged>,
}

impl ProxyState {
    /// Reads a request and decides about it. Nothing of a dead process arrives.
    #[expect(clippy::type_complexity, reason = "told apart by their types")]
    pub(super) fn arrive(
        &mut self,
        process: Process,
        is_platform: bool,
        head: &Parts,
        path: &str,
        body: &Bytes,
        tables: &Tables,
    ) -> Option<(ObservedRequest, Effect, Option<(Disturbance, Moment)>)> {
        if self.dead.contains(&process) {
            return None;
        }
        let request = if is_platform {
            ObservedRequest::of_platform(body, |token| self.owners.get(token).copied())
        } else {
            let claimed = |of| self.claimed.get(&(process, of)).copied();
            ObservedRequest::of_aws(head, path, body, tables, claimed)
        };
        let count = self
            .counts
            .entry((request.kind, request.integration))
            .or_default();
        *count += 1;
        let effect = self.plan.effect(request.kind, request.integration, *count);
        let mut interruption = None;
        for slot in &mut self.armed {
            if let Some(armed) = slot
                && armed.kind.is_none_or(|kind| kind == request.kind)
            {
                armed.nth = armed.nth.saturating_sub(1);
                if armed.nth == 0 && interruption.is_none() {
                    interruption = Some((armed.what, armed.moment));
                    *slot = None;
                }
            }
        }
        Some((request, effect, interruption))
    }

    /// Logs what a service did, and returns the place in the log.
    pub(super) fn record(
        &mut self,
        at: DateTime<Utc>,
        process: Process,
        request: ObservedRequest,
        effect: Effect,
        answer: Option<&ServiceAnswer>,
    ) -> usize {
        let done = answer.is_some_and(|answer| answer.status.is_success());
        let granted = answer
            .filter(|_| request.kind == RequestKind::Exchange)
            .and_then(|answer| serde_json::from_slice::<Value>(&answer.body).ok())
            .and_then(|body| {
                let fields = [&body, &body["data"]];
                let fields = fields
                    .into_iter()
                    .find(|of| of["access_token"].is_string())?;
                Some(fields["refresh_token"].as_str().map(str::to_owned))
            });
        if let (Some(Some(token)), Some(integration)) = (&granted, request.integration) {
            self.owners.insert(token.clone(), integration);
        }
        if let (true, Some(integration), Some(copy)) = (done, request.integration, &request.copy) {
            let of = (process, integration);
            match request.kind {
                RequestKind::Claim => {
                    let claimed = Claimed {
                        generation: copy.generation,
                        stored: None,
                    };
                    self.claimed.insert(of, claimed);
                }
                RequestKind::Store => {
                    if let Some(claimed) = self.claimed.get_mut(&of) {
                        claimed.stored = request.version;
                    }
                }
                _ => {}
            }
        }
        self.log.push(Logged {
            at,
            process,
            request,
            effect,
            done,
            answered: false,
            granted,
        });
        self.log.len() - 1
    }
}
