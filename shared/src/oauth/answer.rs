//! What an answer says. Pure: status, headers and body in; tokens, a sight of
//! the access token, or a verdict out.
//!
//! What bites: a 200 may carry an error (TikTok, TikTok Business, Snapchat); a
//! 400 may be a throttle (Meta); a 401 here is about our application, not about
//! the connection; what we do not understand is transient.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::HeaderMap;
use secrecy::SecretString;
use serde_json::Value;

use super::dialect::Dialect;
use super::rule::{self, Asked, UNCLEAR};
use super::wait;
use super::{Answer, Granted, Seen, Tokens};
use crate::refresh::{Ends, Lifetimes};
use crate::verdict::{Throttled, Transient, Verdict};

/// The head of an answer.
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
}

/// An answer without new tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsuccessful {
    /// What it means.
    pub verdict: Verdict,
    /// The platform's error code, of a form that cannot hold a token.
    pub code: Option<String>,
}

/// The longest life we believe; anything beyond it is nonsense that would
/// overflow a date.
const LONGEST_LIFE: u64 = 100 * 366 * 86_400;

/// Reads the answer to an exchange.
pub(super) fn exchanged(dialect: &Dialect, head: &Head, body: &[u8], now: DateTime<Utc>) -> Answer {
    let json = parsed(body);
    // A missing or blank access token is no success, whatever the status. What
    // is no success, and no error of theirs either, is unclear: they may have acted.
    let tokens = head.is_success().then(|| (dialect.granted)(&json));
    let result = tokens
        .flatten()
        .and_then(granted)
        .ok_or_else(|| judge(dialect, Asked::Exchange, head, &json, now));
    Answer {
        result,
        request_id: request_id(head, &json),
    }
}

/// Reads the answer to a probe: the token lives only if the platform says so in
/// its own way.
pub(super) fn probed(
    dialect: &Dialect,
    head: &Head,
    body: &[u8],
    now: DateTime<Utc>,
) -> Answer<Seen> {
    let json = parsed(body);
    let said = head.is_success().then(|| (dialect.seen)(&json, now));
    Answer {
        result: said
            .flatten()
            .unwrap_or_else(|| Err(judge(dialect, Asked::Probe, head, &json, now))),
        request_id: request_id(head, &json),
    }
}

/// What is no JSON, or only the beginning of some, says nothing.
fn parsed(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or(Value::Null)
}

fn granted(fields: &Value) -> Option<Granted> {
    let token = |name: &str| {
        let text = fields[name].as_str()?.trim();
        (!text.is_empty()).then(|| SecretString::from(text))
    };
    let life = |name: &str| {
        // Some send numbers as text.
        let seconds = fields[name]
            .as_u64()
            .or_else(|| fields[name].as_str()?.parse().ok())?;
        (1..=LONGEST_LIFE)
            .contains(&seconds)
            .then(|| TimeDelta::seconds(i64::try_from(seconds).unwrap_or_default()))
    };
    Some(Granted {
        tokens: Tokens {
            access_token: token("access_token")?,
            refresh_token: token("refresh_token"),
        },
        lifetimes: Lifetimes {
            access: life("expires_in"),
            // TikTok's Login Kit alone calls it differently.
            refresh: life("refresh_token_expires_in").or_else(|| life("refresh_expires_in")),
            scopes: scopes(&fields["scope"]),
        },
    })
}

fn judge(
    dialect: &Dialect,
    asked: Asked,
    head: &Head,
    json: &Value,
    now: DateTime<Utc>,
) -> Unsuccessful {
    let fault = (dialect.fault)(json);
    let rule = rule::find(dialect.rules, asked, head.status, &fault);
    let verdict = match rule.map_or(UNCLEAR, |rule| rule.means.clone()) {
        Verdict::Throttled { wait: usual, whom } => Verdict::Throttled {
            wait: fault
                .wait
                .or_else(|| wait::of_throttle(&head.headers, now))
                .or(usual),
            whom,
        },
        // A failing platform that says when to come back is obeyed as well; it
        // may have acted all the same.
        Verdict::Transient(Transient::ServerError) => match wait::retry_after(&head.headers, now) {
            None => Verdict::Transient(Transient::ServerError),
            wait => Verdict::Throttled {
                wait,
                whom: Throttled::Everyone,
            },
        },
        Verdict::PermissionLost(_) => Verdict::PermissionLost(fault.named_permissions()),
        other => other,
    };
    Unsuccessful {
        verdict,
        code: fault.code_to_keep(),
    }
}

/// The platform's id of the request: Meta's, TikTok's (whose API nests it), and
/// TikTok Business's or Snapchat's. Where the body has none, as most successes
/// have, the header that the platform's support asks for: Meta's, TikTok's,
/// LinkedIn's (learn.microsoft.com, api-guide/concepts/error-handling), Google
/// Ads' (developers.google.com/google-ads/api/docs/concepts/call-structure).
fn request_id(head: &Head, json: &Value) -> Option<String> {
    const PLACES: [&str; 4] = [
        "/error/fbtrace_id",
        "/log_id",
        "/error/log_id",
        "/request_id",
    ];
    const HEADERS: [&str; 4] = ["x-fb-trace-id", "x-tt-logid", "x-li-uuid", "request-id"];
    let header = |name| head.headers.get(name)?.to_str().ok();
    let id = PLACES
        .into_iter()
        .find_map(|place| json.pointer(place)?.as_str())
        .or_else(|| HEADERS.into_iter().find_map(header))?;
    // LinkedIn's is in base64.
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.+/=".contains(&b);
    (!id.is_empty() && id.len() <= 64 && id.bytes().all(plain)).then(|| id.to_owned())
}

/// Scopes are separated by space (X, Google, Snapchat), comma (TikTok), either
/// (LinkedIn), or come as a list (TikTok Business).
pub(super) fn scopes(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => text
            .split([' ', ','])
            .filter(|scope| !scope.is_empty())
            .map(str::to_owned)
            .collect(),
        Value::Array(list) => list
            .iter()
            .filter_map(|scope| scope.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    }
}

/// Epoch seconds; 0, said outright, is never (Meta).
pub(super) fn ends(value: &Value) -> Ends {
    match instant(value) {
        Some(end) => Ends::At(end),
        None if *value == 0 => Ends::Never,
        None => Ends::NotSaid,
    }
}

/// Epoch seconds.
pub(super) fn instant(value: &Value) -> Option<DateTime<Utc>> {
    let seconds = value.as_i64().filter(|seconds| *seconds > 0)?;
    DateTime::from_timestamp(seconds, 0)
}

impl Head {
    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}
