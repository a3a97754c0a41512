//! How long a platform asks us to wait.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::HeaderMap;
use serde_json::Value;

/// The longest wait that is obeyed, in seconds: a day.
const LONGEST: i64 = 86_400;

/// How long a platform that holds us back asks us to wait: `Retry-After`, X's
/// `x-rate-limit-reset` as an instant (docs.x.com, rate-limits), or Meta's
/// minutes to regain access.
pub(super) fn of_throttle(headers: &HeaderMap, now: DateTime<Utc>) -> Option<TimeDelta> {
    let reset = || {
        let at: i64 = text(headers, "x-rate-limit-reset")?.parse().ok()?;
        bounded(at.saturating_sub(now.timestamp()))
    };
    retry_after(headers, now)
        .or_else(reset)
        .or_else(|| business_use_case(headers))
}

/// `Retry-After` in seconds or as a date (RFC 9110, 10.2.3).
pub(super) fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<TimeDelta> {
    let text = text(headers, "retry-after")?;
    let seconds = text.parse().ok().or_else(|| {
        let date = DateTime::parse_from_rfc2822(text).ok()?;
        Some((date.to_utc() - now).num_seconds())
    })?;
    bounded(seconds)
}

/// `30s` or `1.5s`, as protocol buffers write durations in JSON.
pub(super) fn duration(text: &str) -> Option<TimeDelta> {
    let (whole, fraction) = match text.strip_suffix('s')?.split_once('.') {
        Some((whole, fraction)) => (whole, fraction.bytes().any(|b| b != b'0')),
        None => (text.strip_suffix('s')?, false),
    };
    let seconds: i64 = whole.parse().ok()?;
    bounded(seconds.saturating_add(i64::from(fraction)))
}

/// `X-Business-Use-Case-Usage` maps a business id to a list of usages
/// (graph-api/overview/rate-limiting).
fn business_use_case(headers: &HeaderMap) -> Option<TimeDelta> {
    let usage: Value =
        serde_json::from_slice(headers.get("x-business-use-case-usage")?.as_bytes()).ok()?;
    let minutes = usage
        .as_object()?
        .values()
        .filter_map(Value::as_array)
        .flatten()
        .filter_map(|entry| entry["estimated_time_to_regain_access"].as_i64())
        .max()?;
    bounded(minutes.saturating_mul(60))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

fn bounded(seconds: i64) -> Option<TimeDelta> {
    (seconds > 0).then(|| TimeDelta::seconds(seconds.min(LONGEST)))
}
