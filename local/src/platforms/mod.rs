//! Simulated platforms: OAuth servers that keep each real platform's rules, with an
//! API to call, for where the real ones cannot be called. A token never seen before
//! is adopted as a live grant; from then on the rules hold.
//!
//! Beside the platforms, `/control` takes scripts ([`Script`]: `POST`), forgets
//! them (`DELETE`), and counts (`GET`).

mod api;
mod call_request;
mod catalog;
mod consent;
mod consent_grant;
mod consent_page;
mod control;
mod google_ads;
mod grant;
mod graph;
mod graph_api;
mod instagram;
mod ledger;
mod lineage;
mod linkedin;
mod meta;
mod paging;
mod parameters;
mod probe;
mod refusal;
mod request;
mod response;
mod rfc6749;
mod router;
mod rules;
mod script;
mod simulated;
mod simulator;
mod snapchat;
mod state;
#[cfg(test)]
mod tests;
mod threads;
mod tiktok;
mod tiktok_business;
mod usage;
mod x;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use shared::{Clock, Platform};

pub use self::consent::OfferedAccount;
pub use self::rules::Rules;
pub use self::script::{Action, InvalidScript, Requests, Respond, Script, Throttle};
pub use self::simulator::Counts;

use self::parameters::Client;
use self::script::Armed;
use self::simulated::Simulated;
use self::state::State;

/// The simulators of all platforms. Clones share their memory.
#[derive(Clone)]
pub struct Platforms {
    clock: Clock,
    state: Arc<Mutex<State>>,
}

/// Returns the value of `PLATFORM_ENDPOINTS` for simulators served at `base`.
#[must_use]
pub fn endpoints(base: &str) -> Value {
    let base = base.trim_end_matches('/');
    let urls = |platform: Platform| {
        let Simulated {
            token,
            authorize,
            api,
            code,
            ..
        } = catalog::for_platform(platform);
        let code = code.path.unwrap_or(token);
        let [token, authorize, api, code] =
            [token, authorize, api, code].map(|path| format!("{base}{path}"));
        let hosts = hosts(platform, base);
        let urls = json!({
            "token": token, "code": code, "authorize": authorize, "api": api, "hosts": hosts,
        });
        (platform.name().to_owned(), urls)
    };
    Value::Object(Platform::ALL.into_iter().map(urls).collect())
}

/// Returns where a platform's hosts are, by name: the URL that stands for each host's root. One
/// that is not simulated answers 404 to everything, and nothing leaves this machine.
fn hosts(platform: Platform, base: &str) -> Value {
    let simulated = catalog::for_platform(platform).calls.hosts;
    let urls = platform.hosts().map(|name| {
        let host = simulated.iter().find(|host| host.name == name);
        let prefix = host.map_or("/not-simulated", |host| host.prefix);
        (name.to_owned(), Value::String(format!("{base}{prefix}")))
    });
    Value::Object(urls.collect())
}

impl Platforms {
    /// Creates simulators without a memory, with every platform's documented rules.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            state: Arc::new(Mutex::new(State::new())),
        }
    }

    /// Makes a platform refuse every other client id and secret from now on. Without this
    /// it accepts any that are not empty.
    pub fn expect_client(&self, platform: Platform, id: &str, secret: &str) {
        self.locked().simulator(platform).client = Some(Client {
            id: id.to_owned(),
            secret: secret.to_owned(),
        });
    }

    #[must_use]
    pub fn rules(&self, platform: Platform) -> Rules {
        self.locked().simulator(platform).rules.clone()
    }

    pub fn set_rules(&self, platform: Platform, rules: Rules) {
        self.locked().simulator(platform).rules = rules;
    }

    /// Follows a script from now on, after those that were there before. Returns how
    /// many there are then.
    ///
    /// # Errors
    /// [`InvalidScript`] names what is wrong, and the known errors.
    pub fn script(&self, script: Script) -> Result<usize, InvalidScript> {
        let armed = Armed::new(script)?;
        Ok(self.locked().arm(armed))
    }

    /// Forgets every script; what was revoked stays so.
    pub fn clear_scripts(&self) {
        self.locked().disarm();
    }

    /// Returns what every simulator has seen so far.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Platform, Counts> {
        let now = self.clock.now().timestamp();
        let mut state = self.locked();
        Platform::ALL
            .into_iter()
            .map(|platform| (platform, state.simulator(platform).counts(now)))
            .collect()
    }

    /// Offers these accounts on a platform's consent page.
    pub fn offer_accounts(&self, platform: Platform, accounts: Vec<OfferedAccount>) {
        self.locked().simulator(platform).consents.offered = accounts;
    }

    /// Returns how many refreshes a platform was asked for.
    #[must_use]
    pub fn refreshes(&self, platform: Platform) -> u64 {
        self.locked().simulator(platform).refreshes
    }

    /// Returns the token by which the grant of a token of ours was adopted.
    #[must_use]
    pub fn origin(&self, platform: Platform, token: &str) -> Option<String> {
        let grant = lineage::parse(platform, token)?.grant;
        let mut state = self.locked();
        let origin = state.simulator(platform).ledger.origin(&grant);
        origin.map(str::to_owned)
    }

    /// Ignores a panic elsewhere: nothing in the memory is ever half written.
    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
