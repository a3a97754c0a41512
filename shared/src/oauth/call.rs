//! Reads a platform's answer to a call of its API, by the same rules as its answers to us.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::HeaderMap;

use super::body::{Body, MAX_BODY};
use super::wait;
use crate::Platform;
use crate::domain::call_reading::{CallReading, CallVerdict, Usage, UsageScope};
use crate::domain::verdict::{ThrottleScope, Verdict};
use crate::platforms::rule::{self, ErrorBody, RequestKind};

/// A platform's answer to a call of its API.
#[derive(Debug, Clone)]
pub struct CallAnswer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl CallAnswer {
    /// Reads an answer of an HTTP client to its end.
    ///
    /// # Errors
    /// When the body is cut off.
    pub async fn read(response: reqwest::Response) -> Result<Self, reqwest::Error> {
        Ok(Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            body: response.bytes().await?.to_vec(),
        })
    }
}

/// How long calls stop if the platform does not say.
const DEFAULT_WAIT: TimeDelta = TimeDelta::minutes(1);
/// The longest wait that is believed: the period of the longest quota that platforms document.
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(24);

/// Reads an answer of `platform`.
#[must_use]
pub fn read_call(platform: Platform, answer: &CallAnswer, now: DateTime<Utc>) -> CallReading {
    let definition = platform.definition();
    // Errors are short. A long answer is what was asked for.
    let body = if answer.body.len() > MAX_BODY {
        &[][..]
    } else {
        &answer.body
    };
    let body = Body::parse(&answer.headers, body);
    let error = (definition.error_body)(&body.json);
    let usage = usage(platform, &answer.headers, now);
    let rule = rule::find(definition.rules, RequestKind::Call, answer.status, &error);
    let (verdict, throttle) = match rule {
        Some(rule) => judge(&rule.means, &error, answer, &usage, now),
        // A redirect that nobody follows did nothing.
        None if (300..304).contains(&answer.status) || answer.status > 304 || error.is_error() => {
            (CallVerdict::Rejected, None)
        }
        None => (CallVerdict::Accepted, None),
    };
    CallReading {
        verdict,
        code: error
            .code_to_keep()
            .filter(|_| verdict != CallVerdict::Accepted),
        throttle,
        usage,
    }
}

fn judge(
    means: &Verdict,
    error: &ErrorBody<'_>,
    answer: &CallAnswer,
    usage: &[Usage],
    now: DateTime<Utc>,
) -> (CallVerdict, Option<(UsageScope, DateTime<Utc>)>) {
    let retry_after = wait::retry_after(&answer.headers, now);
    let (scope, usual) = match means {
        Verdict::Throttled { wait, scope } => (*scope, *wait),
        // A failing platform that says when to come back is obeyed.
        Verdict::Transient(_) if retry_after.is_some() => (ThrottleScope::Platform, None),
        Verdict::Transient(_) => return (CallVerdict::Transient, None),
        Verdict::ReconnectNeeded(_) => return (CallVerdict::TokenRefused, None),
        Verdict::PlatformActionNeeded(_) => return (CallVerdict::PlatformActionNeeded, None),
        Verdict::PermissionLost(_) => return (CallVerdict::PermissionLost, None),
        Verdict::AppMisconfigured => return (CallVerdict::AppMisconfigured, None),
        Verdict::ProbeNotApplicable => return (CallVerdict::Rejected, None),
    };
    let full = usage.iter().filter(|usage| usage.is_used_up);
    let by_usage = full.filter_map(|usage| usage.resets_at).max();
    // What is used up says more than a reset of what may not be (X has several).
    let wait = error
        .wait
        .or(retry_after)
        .or_else(|| by_usage.map(|until| until - now))
        .or_else(|| wait::from_headers(&answer.headers, now))
        .or(usual)
        .unwrap_or(DEFAULT_WAIT)
        .min(LONGEST_WAIT);
    let scope = match scope {
        ThrottleScope::Application => UsageScope::Application,
        ThrottleScope::Integration | ThrottleScope::Platform => UsageScope::Integration,
    };
    (CallVerdict::Throttled, Some((scope, now + wait)))
}

fn usage(platform: Platform, headers: &HeaderMap, now: DateTime<Utc>) -> Vec<Usage> {
    let header = |name: &str| headers.get(name)?.to_str().ok();
    let mut usage = (platform.definition().calls.usage)(&header, now);
    for full in usage.iter_mut().filter(|usage| usage.is_used_up) {
        let until = full.resets_at.unwrap_or(now + DEFAULT_WAIT);
        full.resets_at = Some(until.min(now + LONGEST_WAIT));
    }
    usage
}
