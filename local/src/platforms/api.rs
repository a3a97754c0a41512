//! What a platform's API is to a caller with an access token: its hosts, its paths, and
//! how it speaks.

use axum::http::{HeaderMap, Method};
use url::form_urlencoded;

use super::grant::{Denied, EpochSeconds, TokenStatus};
use super::paging::{self, Cursor, Page};
use super::parameters::{Client, RequestParameters, text};
use super::probe::{ProbeAnswer, ProbeContext, ProbeEndpoint, TokenPlace};
use super::response::PlatformResponse;
use super::rules::Rules;
use super::usage::Usage;

pub(super) struct Api {
    pub(super) hosts: &'static [Host],
    pub(super) token: TokenPlace,
    /// Whether it takes parameters from a form, besides a query and JSON.
    pub(super) forms: bool,
    /// Whether a token that is seen for the first time never ends.
    pub(super) adopts_for_ever: bool,
    /// Checks what the platform demands of every call besides a token that works.
    pub(super) check: fn(&Call<'_>) -> Result<(), PlatformResponse>,
    pub(super) refuse: fn(&CallRequest, Fault<'_>) -> PlatformResponse,
    /// Adds to an answer how much of its limit the grant has used.
    pub(super) tell: fn(PlatformResponse, &Call<'_>, &Usage) -> PlatformResponse,
}

/// A call, read but not yet judged.
pub(super) struct CallRequest {
    /// What is called, if there is such a thing.
    pub(super) endpoint: Option<&'static ApiEndpoint>,
    pub(super) method: Method,
    /// The path below the host's root, without a version.
    pub(super) path: String,
    /// The id in the path.
    pub(super) id: Option<String>,
    pub(super) parameters: RequestParameters,
    pub(super) token: Option<String>,
    pub(super) headers: HeaderMap,
    /// The address that `path` is below.
    pub(super) base: String,
    pub(super) query: Vec<(String, String)>,
}

impl CallRequest {
    /// Whether the call is for the answer that never ends.
    pub(super) fn is_endless(&self) -> bool {
        self.path == "/endless"
    }

    pub(super) fn is_probe(&self) -> bool {
        self.endpoint.is_some_and(ApiEndpoint::is_probe)
    }

    /// Returns the path and query of the same call with other parameters.
    pub(super) fn again_with(&self, changed: &[(&str, &str)]) -> String {
        let kept = self.query.iter().filter(|(name, _)| {
            let mut changed = changed.iter();
            !changed.any(|(other, _)| other == name)
        });
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(kept)
            .extend_pairs(changed)
            .finish();
        format!("{}?{query}", self.path)
    }
}

/// A list, and how its platform pages it.
pub(super) struct List {
    pub(super) cursor: Cursor,
    /// The parameter with the number of things on a page, where there is one.
    pub(super) size: Option<&'static str>,
    /// The number of things on a page that nobody asked to be larger or smaller.
    pub(super) usual_size: u64,
    pub(super) answer: fn(&Call<'_>, &Page) -> PlatformResponse,
}

impl List {
    /// Returns the page that is asked for, or the name of a parameter that makes no sense.
    pub(super) fn page(&self, parameters: &RequestParameters) -> Result<Page, &'static str> {
        paging::page(&self.cursor, self.size, self.usual_size, parameters)
    }
}

/// One host of the real platform.
pub(super) struct Host {
    pub(super) name: &'static str,
    /// The path, below the base URL, that stands for the host's root.
    pub(super) prefix: &'static str,
    /// Whether a path may begin with a version, and any will do (Graph API).
    pub(super) any_version: bool,
    pub(super) endpoints: &'static [ApiEndpoint],
}

pub(super) struct ApiEndpoint {
    pub(super) method: Method,
    /// Below the host's root. `{id}` stands for the id of anything.
    pub(super) path: &'static str,
    /// The parameters that must be there, each as alternatives: `text|media`.
    pub(super) needs: &'static [&'static str],
    pub(super) act: Act,
}

pub(super) enum Act {
    /// Answers as this probe does, and counts as one too.
    Probe(&'static ProbeEndpoint),
    Read(CallAnswer),
    List(List),
    Write(CallAnswer),
}

pub(super) type CallAnswer = fn(&Call<'_>) -> PlatformResponse;

/// Why a call is refused.
pub(super) enum Fault<'a> {
    /// Nothing is at this path for this method.
    Path,
    /// A token that the platform does not accept, or none.
    Token(Option<Denied>),
    /// A parameter is missing or makes no sense.
    Parameter(&'a str),
    /// The grant has called too often.
    Limit(&'a Usage),
}

/// A call whose token works.
pub(super) struct Call<'a> {
    pub(super) request: &'a CallRequest,
    pub(super) rules: &'a Rules,
    pub(super) client: Option<&'a Client>,
    pub(super) status: &'a TokenStatus,
    pub(super) now: EpochSeconds,
    /// Counts the simulator's writes, this one included.
    pub(super) writes: u64,
}

/// Returns an API that takes a bearer token and JSON, and tells nothing of its limits.
pub(super) const fn bearer_api(refuse: fn(&CallRequest, Fault<'_>) -> PlatformResponse) -> Api {
    Api {
        hosts: &[],
        token: TokenPlace::Bearer,
        forms: false,
        adopts_for_ever: false,
        check: |_| Ok(()),
        refuse,
        tell: |answer, _, _| answer,
    }
}

pub(super) const fn probe(path: &'static str, probe: &'static ProbeEndpoint) -> ApiEndpoint {
    endpoint(Method::GET, path, Act::Probe(probe))
}

pub(super) const fn read(path: &'static str, answer: CallAnswer) -> ApiEndpoint {
    endpoint(Method::GET, path, Act::Read(answer))
}

pub(super) const fn list(path: &'static str, list: List) -> ApiEndpoint {
    endpoint(Method::GET, path, Act::List(list))
}

/// Returns a list that is asked for by POST.
pub(super) const fn query(path: &'static str, list: List) -> ApiEndpoint {
    endpoint(Method::POST, path, Act::List(list))
}

pub(super) const fn write(path: &'static str, answer: CallAnswer) -> ApiEndpoint {
    endpoint(Method::POST, path, Act::Write(answer))
}

const fn endpoint(method: Method, path: &'static str, act: Act) -> ApiEndpoint {
    ApiEndpoint {
        method,
        path,
        needs: &[],
        act,
    }
}

impl Api {
    /// Whether the probe is one of the API's own paths.
    pub(super) fn serves(&self, probe: &ProbeEndpoint) -> bool {
        let mut endpoints = self.hosts.iter().flat_map(|host| host.endpoints);
        endpoints
            .any(|endpoint| matches!(endpoint.act, Act::Probe(served) if served.path == probe.path))
    }
}

impl Host {
    /// Splits a path below the host's root into its version and the rest. The Graph APIs take a
    /// slash at its end, which Meta's own client libraries send (`facebook_business`).
    pub(super) fn split_version<'p>(&self, path: &'p str) -> (&'p str, &'p str) {
        let end = path.get(1..).and_then(|rest| rest.find('/'));
        let (first, rest) = path.split_at(end.map_or(path.len(), |end| end + 1));
        if !self.any_version {
            return ("", path);
        }
        let (version, path) = match is_version(first) {
            true => (first, rest),
            false => ("", path),
        };
        let without_slash = path.strip_suffix('/').filter(|path| !path.is_empty());
        (version, without_slash.unwrap_or(path))
    }

    /// Returns the endpoint at a path without its version, and the id in the path.
    pub(super) fn find<'p>(
        &self,
        method: &Method,
        path: &'p str,
    ) -> Option<(&'static ApiEndpoint, Option<&'p str>)> {
        let of_method = |endpoint: &&ApiEndpoint| endpoint.method == *method;
        let mut endpoints = self.endpoints.iter().filter(of_method);
        endpoints.find_map(|endpoint| Some((endpoint, ids(endpoint.path, path)?)))
    }
}

impl ApiEndpoint {
    pub(super) const fn needs(mut self, needs: &'static [&'static str]) -> Self {
        self.needs = needs;
        self
    }

    pub(super) const fn is_probe(&self) -> bool {
        matches!(self.act, Act::Probe(_))
    }

    pub(super) const fn writes(&self) -> bool {
        matches!(self.act, Act::Write(_))
    }

    /// Acts, or says in an error why not.
    pub(super) fn answer(
        &self,
        api: &Api,
        call: &Call<'_>,
    ) -> Result<PlatformResponse, PlatformResponse> {
        (api.check)(call)?;
        let refuse = |name| (api.refuse)(call.request, Fault::Parameter(name));
        for need in self.needs {
            if !need.split('|').any(|name| call.text(name).is_some()) {
                return Err(refuse(need.split('|').next().unwrap_or_default()));
            }
        }
        match &self.act {
            Act::Probe(probe) => Ok(call.probe(probe)),
            Act::Read(answer) | Act::Write(answer) => Ok(answer(call)),
            Act::List(list) => {
                let page = list.page(&call.request.parameters).map_err(refuse)?;
                Ok((list.answer)(call, &page))
            }
        }
    }
}

impl Call<'_> {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        text(&self.request.parameters, name)
    }

    pub(super) fn account(&self) -> String {
        self.status.account()
    }

    /// Returns what the path is about: the account itself, unless it names another thing.
    pub(super) fn subject(&self) -> String {
        match self.request.id.as_deref() {
            None | Some("me") => self.account(),
            Some(id) => id.to_owned(),
        }
    }

    /// Returns the id of the account's thing of this number.
    pub(super) fn thing(&self, number: u64) -> String {
        format!("{}{number:04}", self.account())
    }

    /// Returns the id of what this call has made.
    pub(super) fn made(&self) -> String {
        format!("9{}", self.thing(self.writes))
    }

    fn probe(&self, probe: &ProbeEndpoint) -> PlatformResponse {
        let context = ProbeContext {
            rules: self.rules,
            caller: "",
            now: self.now,
        };
        match probe.answer {
            ProbeAnswer::Works(answer) => answer(&context, self.status),
            ProbeAnswer::Any(answer) => answer(&context, Ok(self.status.clone())),
        }
    }
}

/// Whether a path's first part is like `/v26.0`.
fn is_version(part: &str) -> bool {
    let digits = part.strip_prefix("/v").unwrap_or_default();
    digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// Returns the last id in `path`, if the path is like `pattern`.
fn ids<'p>(pattern: &str, path: &'p str) -> Option<Option<&'p str>> {
    let (mut wanted, mut given) = (pattern.split('/'), path.split('/'));
    let mut id = None;
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return Some(id),
            (Some("{id}"), Some(part)) if is_id(part) => id = Some(part),
            (Some(wanted), Some(part)) if wanted == part => {}
            _ => return None,
        }
    }
}

/// Whether a part of a path can be an id: all platforms' ids have digits.
fn is_id(part: &str) -> bool {
    part == "me" || part.contains(|c: char| c.is_ascii_digit())
}
