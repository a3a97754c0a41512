//! Decides what an answer means. Pure: status, headers and body go in; new tokens, the state of
//! the access token, or a verdict come out.
//!
//! Traps: a 200 may carry an error (TikTok, TikTok Business, Snapchat). A 400 may be a throttle
//! (Meta). A 401 here is about our application, not about the integration. What we do not
//! understand is transient.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::HeaderMap;
use secrecy::SecretString;
use serde_json::Value;

use super::body::{Body, content_type};
use super::tokens::{TokenResponse, Tokens};
use super::wait;
use crate::domain::error_code::ResponseDefect;
use crate::domain::probe_result::ProbeResult;
use crate::domain::refresh::Lifetimes;
use crate::domain::verdict::{ThrottleScope, Transient, Verdict};
use crate::platforms::definition::Definition;
use crate::platforms::json::scopes;
use crate::platforms::rule::{self, RequestKind, UNINTELLIGIBLE, Unsuccessful};

/// A platform's answer to a refresh or a probe.
#[derive(Debug)]
pub struct Response<T = TokenResponse> {
    /// What we asked for, or why it did not come.
    pub result: Result<T, Unsuccessful>,
    /// The platform's own id of the request.
    pub request_id: Option<String>,
    /// `None` if there was no answer.
    pub summary: Option<ResponseSummary>,
}

pub(super) struct Head {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
}

/// Describes an answer by parts that cannot hold a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseSummary {
    pub status: u16,
    /// The `Content-Type` without its parameters.
    pub content_type: Option<String>,
    /// Bytes of the body that arrived.
    pub length: usize,
}

/// The longest wait that a platform can ask for, unless a rule knows a longer one: some tokens
/// live two hours. A platform that wants more says so again.
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(1);
/// A hundred years in seconds. A longer life would overflow a date.
const LONGEST_LIFE: f64 = 100.0 * 366.0 * 86_400.0;

pub(super) fn read_refresh(
    platform: &Definition,
    head: &Head,
    body: &[u8],
    now: DateTime<Utc>,
) -> Response {
    read_tokens(
        platform,
        RequestKind::Refresh,
        platform.tokens,
        head,
        body,
        now,
    )
}

/// Reads an answer that may have tokens, in the object that `find` finds.
pub(super) fn read_tokens(
    platform: &Definition,
    kind: RequestKind,
    find: fn(&Value) -> Option<&Value>,
    head: &Head,
    body: &[u8],
    now: DateTime<Utc>,
) -> Response {
    let body = Body::parse(&head.headers, body);
    // An access token that is missing, blank or unusable is no success, whatever the status. What
    // is no success, and no error of theirs either, is unclear: they may have acted.
    let tokens = head.is_success().then(|| find(&body.json));
    let result = tokens
        .flatten()
        .and_then(parse_tokens)
        .ok_or_else(|| judge(platform, kind, head, &body, now));
    Response {
        result,
        request_id: request_id(head, &body.json),
        summary: Some(head.summary(body.length)),
    }
}

/// Reads the answer to a probe. The token works only if the platform says so in its own way.
pub(super) fn read_probe(
    platform: &Definition,
    head: &Head,
    body: &[u8],
    now: DateTime<Utc>,
) -> Response<ProbeResult> {
    let body = Body::parse(&head.headers, body);
    let probe = platform.probe.as_ref().filter(|_| head.is_success());
    let result = probe
        .and_then(|probe| (probe.outcome)(&body.json, now))
        .unwrap_or_else(|| Err(judge(platform, RequestKind::Probe, head, &body, now)));
    Response {
        result,
        request_id: request_id(head, &body.json),
        summary: Some(head.summary(body.length)),
    }
}

/// Reads the answer to the question whose a token is: its body, if it is a success.
pub(super) fn read_identity(
    platform: &Definition,
    head: &Head,
    body: &[u8],
    now: DateTime<Utc>,
) -> Response<Value> {
    let body = Body::parse(&head.headers, body);
    let error = (platform.error_body)(&body.json);
    let is_success = head.is_success() && !error.is_error();
    let request_id = request_id(head, &body.json);
    let summary = Some(head.summary(body.length));
    let result = match is_success && body.json.is_object() {
        false => Err(judge(platform, RequestKind::Call, head, &body, now)),
        true => Ok(body.json),
    };
    Response {
        result,
        request_id,
        summary,
    }
}

fn parse_tokens(fields: &Value) -> Option<TokenResponse> {
    let token = |name: &str| {
        let text = fields[name].as_str()?.trim();
        (!text.is_empty()).then(|| SecretString::from(text))
    };
    let life = |name: &str| {
        // Some send numbers as text, or with a fraction. `refresh::lifetimes` later
        // tells one that is no life at all from one that is not there.
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
    // It goes into a header. RFC 6749 (appendix A.12) allows the space as well, and no platform of
    // ours uses the space.
    let is_usable = |text: &&str| text.bytes().all(|byte| byte.is_ascii_graphic());
    fields["access_token"]
        .as_str()
        .map(str::trim)
        .filter(is_usable)?;
    // Instagram's, of a code.
    let allowed = fields.get("scope").unwrap_or(&fields["permissions"]);
    Some(TokenResponse {
        // TikTok Business names numbers.
        names_scopes: match allowed {
            Value::Array(names) => names.iter().all(Value::is_string),
            allowed => allowed.is_string(),
        },
        tokens: Tokens {
            access_token: token("access_token")?,
            refresh_token: token("refresh_token"),
        },
        lifetimes: Lifetimes {
            // `expires`: Facebook's own, before there was the RFC.
            access: life("expires_in").or_else(|| life("expires")),
            // TikTok's Login Kit alone calls it differently.
            refresh: life("refresh_token_expires_in").or_else(|| life("refresh_expires_in")),
            scopes: scopes(allowed),
        },
    })
}

fn judge(
    platform: &Definition,
    kind: RequestKind,
    head: &Head,
    body: &Body,
    now: DateTime<Utc>,
) -> Unsuccessful {
    let error = (platform.error_body)(&body.json);
    let rule = rule::find(platform.rules, kind, head.status, &error);
    let verdict = match rule.map_or(UNINTELLIGIBLE, |rule| rule.means.clone()) {
        Verdict::Throttled { wait: usual, scope } => {
            let said = error
                .wait
                .or_else(|| wait::from_headers(&head.headers, now));
            let longest = LONGEST_WAIT.max(usual.unwrap_or_default());
            Verdict::Throttled {
                wait: said.map(|wait| wait.min(longest)).or(usual),
                scope,
            }
        }
        // A failing platform that says when to come back is obeyed as well; it
        // may have acted all the same.
        Verdict::Transient(Transient::ServerError) => match wait::retry_after(&head.headers, now) {
            None => Verdict::Transient(Transient::ServerError),
            wait => Verdict::Throttled {
                wait: wait.map(|wait| wait.min(LONGEST_WAIT)),
                scope: ThrottleScope::Platform,
            },
        },
        Verdict::PermissionLost(_) => Verdict::PermissionLost(error.named_permissions()),
        other => other,
    };
    Unsuccessful {
        verdict,
        code: error.code_to_keep().or_else(|| Some(head.describe(body))),
    }
}

/// Returns the platform's id of the request. The body may hold it: Meta's, TikTok's (whose API
/// nests it), TikTok Business's and Snapchat's. Most successes have none there. Then a header
/// has the id that the platform's support asks for: Meta's, TikTok's, LinkedIn's
/// (learn.microsoft.com, api-guide/concepts/error-handling), Google Ads'
/// (developers.google.com/google-ads/api/docs/concepts/call-structure).
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

impl Head {
    pub(super) fn summary(&self, length: usize) -> ResponseSummary {
        ResponseSummary {
            status: self.status,
            content_type: content_type(&self.headers),
            length,
        }
    }

    /// Describes the answer in the form of a code, for when the platform gave none.
    fn describe(&self, body: &Body) -> String {
        match self.status {
            300..400 => ResponseDefect::Redirected.name().to_owned(),
            status => body.form.code(status),
        }
    }

    fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}
