//! Simulated platforms: OAuth servers that keep each real platform's rules,
//! for where the real ones cannot be called. A token never seen before is
//! adopted as a live grant; from then on the rules hold.
//!
//! Beside the platforms, `/control` takes scripts ([`Script`]: `POST`), forgets
//! them (`DELETE`), and counts (`GET`).

mod control;
mod google_ads;
mod grant;
mod graph;
mod instagram;
mod ledger;
mod lineage;
mod linkedin;
mod meta;
mod refusal;
mod request;
mod response;
mod rfc6749;
mod rules;
mod script;
mod simulated;
mod snapchat;
mod state;
#[cfg(test)]
mod tests;
mod threads;
mod tiktok;
mod tiktok_business;
mod x;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{IntoResponse, Response as HttpResponse};
use axum::routing::{MethodFilter, MethodRouter, get, on};
use serde::Serialize;
use serde_json::{Value, json};
use shared::{Clock, Platform};

pub use self::rules::Rules;
pub use self::script::{Action, InvalidScript, Requests, Respond, Script, Throttle};

use self::request::{Client, ProbeRequest, RefreshRequest};
use self::script::Armed;
use self::simulated::{Encoding, ProbeEndpoint, Simulated};
use self::state::State;

/// The simulators of all platforms. Clones share their memory.
#[derive(Clone)]
pub struct Platforms {
    clock: Clock,
    state: Arc<Mutex<State>>,
}

/// What one simulator has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Requests for new tokens, whatever became of them.
    pub exchanges: u64,
    /// Those among them that brought no new token. An answer that was lost
    /// after acting is not refused.
    pub refused: u64,
    /// Grants adopted because a token of theirs was never seen before.
    pub adopted: u64,
    /// Grants that are neither revoked nor past all their clocks.
    pub live_grants: u64,
}

/// The value of `PLATFORM_ENDPOINTS` for simulators served at `base`.
#[must_use]
pub fn endpoints(base: &str) -> Value {
    let base = base.trim_end_matches('/');
    let urls = |platform: Platform| {
        let Simulated {
            token,
            authorize,
            api,
            ..
        } = simulated::for_platform(platform);
        let [token, authorize, api] = [token, authorize, api].map(|path| format!("{base}{path}"));
        let urls = json!({"token": token, "authorize": authorize, "api": api});
        (platform.name().to_owned(), urls)
    };
    Value::Object(Platform::ALL.into_iter().map(urls).collect())
}

impl Platforms {
    /// Simulators without a memory, with every platform's documented rules.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            state: Arc::new(Mutex::new(State::new())),
        }
    }

    /// Serves every platform and `/control`.
    pub fn router(&self) -> Router {
        let control = get(control::counts)
            .post(control::script)
            .delete(control::clear);
        let mut router = Router::new().route("/control", control);
        for platform in Platform::ALL {
            let Simulated { token, probes, .. } = simulated::for_platform(platform);
            router = router.route(token, self.refresh_route(platform));
            for probe in *probes {
                router = router.route(probe.path, self.probe_route(platform, probe));
            }
        }
        router.with_state(self.clone())
    }

    /// Knows one client of a platform from now on: any other id or secret is
    /// refused. Without it any that is not empty is accepted.
    pub fn expect_client(&self, platform: Platform, id: &str, secret: &str) {
        self.locked().simulator(platform).client = Some(Client {
            id: id.to_owned(),
            secret: secret.to_owned(),
        });
    }

    /// The rules that a platform keeps.
    #[must_use]
    pub fn rules(&self, platform: Platform) -> Rules {
        self.locked().simulator(platform).rules.clone()
    }

    /// Changes the rules that a platform keeps from now on.
    pub fn set_rules(&self, platform: Platform, rules: Rules) {
        self.locked().simulator(platform).rules = rules;
    }

    /// Follows a script from now on, after those that were there before. How
    /// many there are then.
    ///
    /// # Errors
    /// [`InvalidScript`] names what is wrong, and the errors that are known.
    pub fn script(&self, script: Script) -> Result<usize, InvalidScript> {
        let armed = Armed::new(script)?;
        Ok(self.locked().arm(armed))
    }

    /// Forgets every script; what was revoked stays so.
    pub fn clear_scripts(&self) {
        self.locked().disarm();
    }

    /// What every simulator has seen so far.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Platform, Counts> {
        let now = self.clock.now().timestamp();
        let mut state = self.locked();
        Platform::ALL
            .into_iter()
            .map(|platform| (platform, state.simulator(platform).counts(now)))
            .collect()
    }

    /// How many exchanges a platform was asked for.
    #[must_use]
    pub fn exchanges(&self, platform: Platform) -> u64 {
        self.locked().simulator(platform).exchanges()
    }

    fn refresh_route(&self, platform: Platform) -> MethodRouter<Self> {
        let platforms = self.clone();
        let endpoint = &simulated::for_platform(platform).refresh;
        let handler = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let platforms = platforms.clone();
            async move {
                let request = RefreshRequest::parse(endpoint, &method, &uri, &headers, &body);
                let now = platforms.clock.now().timestamp();
                let outcome = platforms.locked().exchange(platform, &request, now);
                send(outcome).await
            }
        };
        let methods = endpoint.encodings.iter().map(|encoding| encoding.method());
        match methods.reduce(MethodFilter::or) {
            Some(methods) => on(methods, handler),
            None => MethodRouter::new(),
        }
    }

    fn probe_route(
        &self,
        platform: Platform,
        endpoint: &'static ProbeEndpoint,
    ) -> MethodRouter<Self> {
        let platforms = self.clone();
        let handler = move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let platforms = platforms.clone();
            async move {
                let request = ProbeRequest::parse(endpoint, &uri, &headers, &body);
                let now = platforms.clock.now().timestamp();
                let outcome = platforms.locked().probe(platform, endpoint, &request, now);
                send(outcome).await
            }
        };
        on(endpoint.encoding.method(), handler)
    }

    /// A panic elsewhere leaves the memory as it was: nothing in it is ever
    /// half written.
    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Encoding {
    const fn method(self) -> MethodFilter {
        match self {
            Self::Query => MethodFilter::GET,
            Self::Form | Self::Json => MethodFilter::POST,
        }
    }
}

async fn send(outcome: state::Outcome) -> HttpResponse {
    if !outcome.delay.is_zero() {
        tokio::time::sleep(outcome.delay).await;
    }
    match outcome.answer {
        Some(answer) => answer.into_response(),
        None => response::hang_up(),
    }
}
