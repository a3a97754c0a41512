//! Every rule of every platform, as answers and what they mean.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use chrono::{DateTime, Utc};
use reqwest::header::{HeaderMap, HeaderName};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Platform;
use crate::domain::call_reading::CallReading;
use crate::domain::probe_result::{Ends, ProbeResult};
use crate::domain::verdict::{ThrottleScope, Verdict};
use crate::oauth::response::{self, Head};
use crate::oauth::{CallAnswer, TokenResponse, Unsuccessful, read_call};
use crate::platforms::rule::{self, Codes, RequestKind, Rule};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixture {
    row: String,
    /// Where the row or the answer's shape is from.
    source: String,
    /// What the answer is to; a refresh if it does not say.
    #[serde(default)]
    to: Sent,
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// A string is the body as it is; any other value is sent as JSON.
    body: Value,
    /// What the answer means, as [`describe`], [`renewed`] or [`alive`] writes it.
    expect: String,
    code: Option<String>,
}

#[derive(Deserialize, Default, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Sent {
    #[default]
    Refresh,
    Code,
    Probe,
    Call,
}

impl Fixture {
    fn kind(&self) -> RequestKind {
        match self.to {
            Sent::Refresh => RequestKind::Refresh,
            Sent::Code => RequestKind::Code,
            Sent::Probe => RequestKind::Probe,
            Sent::Call => RequestKind::Call,
        }
    }

    fn text(&self) -> String {
        match &self.body {
            Value::String(text) => text.clone(),
            json => json.to_string(),
        }
    }

    /// Returns what the client makes of the answer, and the code that it keeps.
    fn parse_response(&self, platform: Platform) -> (String, Option<String>) {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.insert(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        let status = self.status;
        let (definition, body) = (platform.definition(), self.text());
        let refused = match self.to {
            Sent::Probe => {
                let head = Head { status, headers };
                match response::read_probe(definition, &head, body.as_bytes(), now()).result {
                    Ok(seen) => return (alive(&seen), None),
                    Err(refused) => refused,
                }
            }
            Sent::Code => {
                let head = Head { status, headers };
                let find = platform.consent_flow(None).exchange.tokens;
                let (kind, body) = (self.kind(), body.as_bytes());
                match response::read_tokens(definition, kind, find, &head, body, now()).result {
                    Ok(granted) => return (renewed(&granted), None),
                    Err(refused) => refused,
                }
            }
            Sent::Refresh => {
                let head = Head { status, headers };
                match response::read_refresh(definition, &head, body.as_bytes(), now()).result {
                    Ok(granted) => return (renewed(&granted), None),
                    Err(refused) => refused,
                }
            }
            Sent::Call => {
                let body = body.into_bytes();
                let answer = CallAnswer {
                    status,
                    headers,
                    body,
                };
                return called(&read_call(platform, &answer, now()));
            }
        };
        let Unsuccessful { verdict, code } = refused;
        // Where the platform gave none, what came stands there: see `network`.
        let is_theirs = |code: &String| !code.starts_with("http_") && code != "redirected";
        (describe(&verdict), code.filter(is_theirs))
    }
}

fn now() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn fixtures(platform: Platform) -> Vec<Fixture> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/platforms/fixtures");
    let json = std::fs::read_to_string(format!("{folder}/{platform}.json"));
    let json = json.unwrap_or_else(|error| panic!("the fixtures of {platform}: {error}"));
    serde_json::from_str(&json).unwrap()
}

/// Writes a verdict in a line: its name, what it is about, and a wait in seconds.
fn describe(verdict: &Verdict) -> String {
    let detail = match verdict {
        Verdict::Transient(how) => stored(how),
        Verdict::ReconnectNeeded(reason) => stored(reason),
        Verdict::PlatformActionNeeded(action) => stored(action),
        Verdict::Throttled { wait, scope } => {
            let scope = match scope {
                ThrottleScope::Application => "application",
                ThrottleScope::Integration => "integration",
                ThrottleScope::Platform => "platform",
            };
            let wait = wait.map(|wait| wait.num_seconds().to_string());
            format!("{scope} {}", wait.unwrap_or_default())
        }
        Verdict::PermissionLost(named) => named.join(","),
        Verdict::AppMisconfigured | Verdict::ProbeNotApplicable => String::new(),
    };
    format!("{} {detail}", verdict.name()).trim_end().to_owned()
}

fn stored(value: impl Serialize) -> String {
    let name = serde_json::to_value(value).unwrap();
    name.as_str().unwrap().to_owned()
}

/// Writes new tokens in a line: lifetimes in seconds, and scopes.
fn renewed(granted: &TokenResponse) -> String {
    let TokenResponse {
        tokens, lifetimes, ..
    } = granted;
    let mut line = "granted".to_owned();
    for (name, life) in [("access", lifetimes.access), ("refresh", lifetimes.refresh)] {
        if let Some(life) = life {
            write!(line, " {name}={}", life.num_seconds()).unwrap();
        }
    }
    if tokens.refresh_token.is_some() {
        line += " rotated";
    }
    line + &scopes(&lifetimes.scopes)
}

/// Writes a living token in a line: its ends in seconds from now, and scopes.
fn alive(seen: &ProbeResult) -> String {
    let mut line = "alive".to_owned();
    let ends = [("access", seen.access), ("data_access", seen.data_access)];
    for (name, ends) in ends {
        match ends {
            Ends::NotSaid => {}
            Ends::Never => write!(line, " {name}=never").unwrap(),
            Ends::At(end) => {
                write!(line, " {name}={:+}", (end - now()).num_seconds()).unwrap();
            }
        }
    }
    line + &scopes(&seen.scopes)
}

fn scopes(scopes: &[String]) -> String {
    match scopes {
        [] => String::new(),
        scopes => format!(" scopes={}", scopes.join(",")),
    }
}

/// Writes what an answer to a call means in a line: its verdict, and whom it closes for how many
/// seconds.
fn called(reading: &CallReading) -> (String, Option<String>) {
    let mut line = format!("call {}", reading.verdict.name());
    let full = reading.usage.iter().filter(|usage| usage.is_used_up);
    let full = full.filter_map(|usage| Some((usage.scope, usage.resets_at?)));
    for (scope, until) in reading.throttle.into_iter().chain(full) {
        let seconds = (until - now()).num_seconds();
        write!(line, " {} {seconds}", stored(scope)).unwrap();
    }
    (line, reading.code.clone())
}

#[test]
fn every_row_means_what_it_should() {
    let mut wrong = Vec::new();
    for platform in Platform::ALL {
        let mut rows = BTreeSet::new();
        for fixture in fixtures(platform) {
            let row = &fixture.row;
            assert!(!fixture.source.is_empty(), "{platform}, {row}");
            assert!(rows.insert(row.clone()), "{platform}, {row}: twice");
            let (read, code) = fixture.parse_response(platform);
            if (&read, &code) != (&fixture.expect, &fixture.code) {
                wrong.push(format!("{platform}, {row}: {read} {code:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_platform_has_the_answers_that_any_server_may_give() {
    for platform in Platform::ALL {
        let fixtures = fixtures(platform);
        let row = |name: &str| {
            let found = fixtures.iter().find(|fixture| fixture.row == name);
            found.unwrap_or_else(|| panic!("{platform} has no fixture of {name}"))
        };
        assert!(row("success").expect.starts_with("granted"));
        for broken in [
            "html page",
            "html page with 200",
            "empty body",
            "truncated json",
            "missing access_token",
            "wrong types",
            "redirect",
        ] {
            let row = row(broken);
            assert!(row.expect.starts_with("transient"), "{platform}, {broken}");
            let unreadable = row.status < 300;
            assert!(
                !unreadable || row.expect.ends_with("unintelligible"),
                "{platform}, {broken}: the platform may have acted"
            );
        }
        let probed = fixtures.iter().filter(|fixture| fixture.to == Sent::Probe);
        let alive = probed.filter(|fixture| fixture.expect.starts_with("alive"));
        assert_eq!(alive.count() > 0, platform.has_free_probe(), "{platform}");
    }
}

/// A rule that no fixture tests is a guess.
#[test]
fn every_code_of_every_rule_has_a_fixture() {
    let mut hit = BTreeSet::new();
    let mut rules = BTreeMap::new();
    for platform in Platform::ALL {
        let definition = platform.definition();
        for rule in definition.rules.iter().flat_map(|table| table.iter()) {
            for code in codes(rule) {
                rules.insert((std::ptr::from_ref(rule), code), (platform, rule));
            }
        }
        for fixture in fixtures(platform) {
            let json = serde_json::from_str(&fixture.text()).unwrap_or_default();
            let error = (definition.error_body)(&json);
            let found = rule::find(definition.rules, fixture.kind(), fixture.status, &error);
            let Some(rule) = found.filter(|_| !fixture.expect.starts_with("alive")) else {
                continue;
            };
            for code in codes(rule) {
                if code.is_none_or(|code| error.codes.iter().any(|named| named == code)) {
                    hit.insert((std::ptr::from_ref(rule), code));
                }
            }
        }
    }
    for (key, (platform, rule)) in rules {
        assert!(
            hit.contains(&key),
            "no fixture of {platform} is decided by {:?} of {rule:?}",
            key.1
        );
    }
}

fn codes(rule: &Rule) -> Vec<Option<&'static str>> {
    match rule.codes {
        Codes::OneOf(codes) => codes.iter().copied().map(Some).collect(),
        Codes::Any | Codes::Between(..) => vec![None],
    }
}
