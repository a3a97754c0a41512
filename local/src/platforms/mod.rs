//! Simulated platforms: OAuth servers that keep each real platform's rules,
//! for where the real ones cannot be called. A token never seen before is
//! adopted as a live grant; from then on the rules hold.
//!
//! Beside the platforms, `/control` takes scripts ([`Script`]: `POST`), forgets
//! them (`DELETE`), and counts (`GET`).

mod answer;
mod control;
mod exchange;
mod fault;
mod grant;
mod ledger;
mod lineage;
mod named;
mod probe;
mod rules;
mod script;
mod state;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, MethodRouter, get, on};
use serde::Serialize;
use serde_json::{Value, json};
use shared::{Clock, Platform};

pub use self::rules::Rules;
pub use self::script::{Action, InvalidScript, Requests, Respond, Script, Throttle};

use self::exchange::{Client, Exchange};
use self::probe::Probe;
use self::script::Armed;
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

#[derive(Clone, Copy)]
enum Purpose {
    Exchange,
    Probe,
}

/// Where each platform answers, below the base URL: the refresh exchange, the
/// consent page, the API; paths end like the real ones.
const fn paths(platform: Platform) -> [&'static str; 3] {
    match platform {
        Platform::Meta => ["/meta/oauth/access_token", "/meta/dialog/oauth", "/meta"],
        Platform::Instagram => [
            "/instagram/refresh_access_token",
            "/instagram/oauth/authorize",
            "/instagram",
        ],
        Platform::Tiktok => [
            "/tiktok/v2/oauth/token/",
            "/tiktok/v2/auth/authorize/",
            "/tiktok/v2",
        ],
        Platform::TiktokBusiness => [
            "/tiktok_business/open_api/v1.3/tt_user/oauth2/refresh_token/",
            "/tiktok_business/portal/auth",
            "/tiktok_business/open_api/v1.3",
        ],
        Platform::Linkedin => [
            "/linkedin/oauth/v2/accessToken",
            "/linkedin/oauth/v2/authorization",
            "/linkedin",
        ],
        Platform::Twitter => [
            "/twitter/2/oauth2/token",
            "/twitter/i/oauth2/authorize",
            "/twitter/2",
        ],
        Platform::Google => ["/google/token", "/google/o/oauth2/v2/auth", "/google/v26"],
        Platform::Snapchat => [
            "/snapchat/login/oauth2/access_token",
            "/snapchat/login/oauth2/authorize",
            "/snapchat/v1",
        ],
        Platform::Threads => [
            "/threads/refresh_access_token",
            "/threads/oauth/authorize",
            "/threads/v1.0",
        ],
    }
}

/// The free probe of each platform.
const fn probe_path(platform: Platform) -> &'static str {
    match platform {
        Platform::Meta => "/meta/debug_token",
        Platform::Instagram => "/instagram/me",
        Platform::Tiktok => "/tiktok/v2/user/info/",
        Platform::TiktokBusiness => "/tiktok_business/open_api/v1.3/oauth2/advertiser/get/",
        Platform::Linkedin => "/linkedin/oauth/v2/introspectToken",
        Platform::Twitter => "/twitter/2/users/me",
        Platform::Google => "/google/v26/customers:listAccessibleCustomers",
        Platform::Snapchat => "/snapchat/v1/me",
        Platform::Threads => "/threads/v1.0/me",
    }
}

/// The free probe of a TikTok account's token; [`probe_path`] is an advertiser's.
const TOKEN_INFO: &str = "/tiktok_business/open_api/v1.3/tt_user/token_info/get/";

/// The free probe of a Google token whatever it is for; [`probe_path`] is Google Ads'.
const TOKENINFO: &str = "/google/tokeninfo";

/// The value of `PLATFORM_ENDPOINTS` for simulators served at `base`.
#[must_use]
pub fn endpoints(base: &str) -> Value {
    let base = base.trim_end_matches('/');
    let of = |platform: Platform| {
        let [token, authorize, api] = paths(platform).map(|path| format!("{base}{path}"));
        let urls = json!({"token": token, "authorize": authorize, "api": api});
        (platform.name().to_owned(), urls)
    };
    Value::Object(Platform::ALL.into_iter().map(of).collect())
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
        Platform::ALL
            .into_iter()
            .fold(Router::new(), |router, platform| {
                let (exchange, probe) = match platform {
                    Platform::Meta => (MethodFilter::GET.or(MethodFilter::POST), MethodFilter::GET),
                    Platform::Instagram | Platform::Threads => {
                        (MethodFilter::GET, MethodFilter::GET)
                    }
                    Platform::Linkedin => (MethodFilter::POST, MethodFilter::POST),
                    _ => (MethodFilter::POST, MethodFilter::GET),
                };
                let [token, ..] = paths(platform);
                router
                    .route(token, self.route(exchange, platform, Purpose::Exchange))
                    .route(
                        probe_path(platform),
                        self.route(probe, platform, Purpose::Probe),
                    )
            })
            .route(
                TOKEN_INFO,
                self.route(MethodFilter::POST, Platform::TiktokBusiness, Purpose::Probe),
            )
            .route(
                TOKENINFO,
                self.route(MethodFilter::GET, Platform::Google, Purpose::Probe),
            )
            .route("/control", control)
            .with_state(self.clone())
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

    fn route(
        &self,
        methods: MethodFilter,
        platform: Platform,
        purpose: Purpose,
    ) -> MethodRouter<Self> {
        let platforms = self.clone();
        let handler = move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let platforms = platforms.clone();
            async move {
                let outcome = {
                    let now = platforms.clock.now().timestamp();
                    match purpose {
                        Purpose::Exchange => {
                            let request = Exchange::read(platform, &method, &uri, &headers, &body);
                            platforms.locked().exchange(platform, &request, now)
                        }
                        Purpose::Probe => {
                            let request = Probe::read(platform, &uri, &headers, &body);
                            platforms.locked().probe(platform, &request, now)
                        }
                    }
                };
                send(outcome).await
            }
        };
        on(methods, handler)
    }

    /// A panic elsewhere leaves the memory as it was: nothing in it is ever
    /// half written.
    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn send(outcome: state::Outcome) -> Response {
    if !outcome.delay.is_zero() {
        tokio::time::sleep(outcome.delay).await;
    }
    match outcome.answer {
        Some(answer) => answer.into_response(),
        None => answer::hang_up(),
    }
}
