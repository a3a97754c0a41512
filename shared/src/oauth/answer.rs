//! What an answer says. Pure: status, headers and body in; tokens, a sight of
//! the access token, or a verdict out.
//!
//! What bites: a 200 may carry an error (TikTok, TikTok Business, Snapchat); a
//! 400 may be a throttle (Meta); a 401 here is about our application, not about
//! the integration; what we do not understand is transient.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::HeaderMap;
use secrecy::SecretString;
use serde_json::Value;

use super::body::{Body, content_type};
use super::dialect::Dialect;
use super::rule::{self, Asked, UNCLEAR};
use super::wait;
use super::{Answer, Granted, ProbeResult, Tokens};
use crate::domain::refresh::{Ends, Lifetimes};
use crate::domain::verdict::{Throttled, Transient, Verdict};

/// The head of an answer.
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
}

/// The outside of an answer, in which no token can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Came {
    /// The HTTP status.
    pub status: u16,
    /// What the platform calls its type, without parameters.
    pub content_type: Option<String>,
    /// How much of its body came, in bytes.
    pub length: usize,
}

/// An answer without new tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsuccessful {
    /// What it means.
    pub verdict: Verdict,
    /// The platform's error code, of a form that cannot hold a token; where it gave
    /// none, what came instead: `http_200_html`, `redirected`, `timed_out_after_10_s`.
    pub code: Option<String>,
}

/// The longest wait that a platform can ask for, where no rule knows of a longer
/// one: there are tokens that live two hours. One that wants more says so again.
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(1);
/// Anything beyond it would overflow a date: a hundred years, in seconds.
const LONGEST_LIFE: f64 = 100.0 * 366.0 * 86_400.0;

/// Reads the answer to an exchange.
pub(super) fn exchanged(dialect: &Dialect, head: &Head, body: &[u8], now: DateTime<Utc>) -> Answer {
    let body = Body::read(&head.headers, body);
    let json = &body.json;
    // A missing or blank access token is no success, whatever the status. What
    // is no success, and no error of theirs either, is unclear: they may have acted.
    let tokens = head.is_success().then(|| (dialect.granted)(json));
    let result = tokens
        .flatten()
        .and_then(granted)
        .ok_or_else(|| judge(dialect, Asked::Exchange, head, &body, now));
    Answer {
        result,
        request_id: request_id(head, json),
        came: Some(head.came(body.length)),
    }
}

/// Reads the answer to a probe: the token lives only if the platform says so in
/// its own way.
pub(super) fn probed(
    dialect: &Dialect,
    head: &Head,
    body: &[u8],
    now: DateTime<Utc>,
) -> Answer<ProbeResult> {
    let body = Body::read(&head.headers, body);
    let json = &body.json;
    let said = head.is_success().then(|| (dialect.seen)(json, now));
    Answer {
        result: said
            .flatten()
            .unwrap_or_else(|| Err(judge(dialect, Asked::Probe, head, &body, now))),
        request_id: request_id(head, json),
        came: Some(head.came(body.length)),
    }
}

fn granted(fields: &Value) -> Option<Granted> {
    let token = |name: &str| {
        let text = fields[name].as_str()?.trim();
        (!text.is_empty()).then(|| SecretString::from(text))
    };
    let life = |name: &str| {
        // Some send numbers as text.
        // Some send numbers as text, or with a fraction. One that is no life at all
        // is told apart later from one that is not there (`refresh::life`).
        let value = &fields[name];
        let seconds = value
            .as_f64()
            .or_else(|| value.as_str()?.trim().parse().ok())?;
        let seconds = seconds.clamp(0.0, LONGEST_LIFE).floor();
        #[expect(clippy::cast_possible_truncation, reason = "clamped")]
        seconds
            .is_finite()
            .then(|| TimeDelta::seconds(seconds as i64))
    };
    Some(Granted {
        tokens: Tokens {
            access_token: token("access_token")?,
            refresh_token: token("refresh_token"),
        },
        lifetimes: Lifetimes {
            // `expires`: Facebook's own, before there was the RFC.
            access: life("expires_in").or_else(|| life("expires")),
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
    body: &Body,
    now: DateTime<Utc>,
) -> Unsuccessful {
    let fault = (dialect.fault)(&body.json);
    let rule = rule::find(dialect.rules, asked, head.status, &fault);
    let verdict = match rule.map_or(UNCLEAR, |rule| rule.means.clone()) {
        Verdict::Throttled { wait: usual, whom } => {
            let said = fault.wait.or_else(|| wait::of_throttle(&head.headers, now));
            let longest = LONGEST_WAIT.max(usual.unwrap_or_default());
            Verdict::Throttled {
                wait: said.map(|wait| wait.min(longest)).or(usual),
                whom,
            }
        }
        // A failing platform that says when to come back is obeyed as well; it
        // may have acted all the same.
        Verdict::Transient(Transient::ServerError) => match wait::retry_after(&head.headers, now) {
            None => Verdict::Transient(Transient::ServerError),
            wait => Verdict::Throttled {
                wait: wait.map(|wait| wait.min(LONGEST_WAIT)),
                whom: Throttled::Everyone,
            },
        },
        Verdict::PermissionLost(_) => Verdict::PermissionLost(fault.named_permissions()),
        other => other,
    };
    Unsuccessful {
        verdict,
        code: fault.code_to_keep().or_else(|| Some(head.what_came(body))),
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
    pub(super) fn came(&self, length: usize) -> Came {
        Came {
            status: self.status,
            content_type: content_type(&self.headers),
            length,
        }
    }

    /// What came where no code of the platform's did, in the form of one.
    fn what_came(&self, body: &Body) -> String {
        match self.status {
            300..400 => "redirected".to_owned(),
            status => format!("http_{status}_{}", body.form),
        }
    }

    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}
