//! How long an answer's headers ask us to wait.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::platforms::wait::{bounded, parse_number};

/// Returns how long a platform that holds us back asks us to wait. It reads `Retry-After`, X's
/// `x-rate-limit-reset` as an instant (docs.x.com, rate-limits), or Meta's minutes to regain
/// access.
pub(super) fn from_headers(headers: &HeaderMap, now: DateTime<Utc>) -> Option<TimeDelta> {
    let reset = || {
        let at = parse_number(text(headers, "x-rate-limit-reset")?)?;
        bounded(at - as_seconds(now.timestamp()))
    };
    retry_after(headers, now)
        .or_else(reset)
        .or_else(|| business_use_case(headers))
}

/// Reads `Retry-After` in seconds or as a date (RFC 9110, 10.2.3). The RFC has whole seconds;
/// some platforms send fractions.
pub(super) fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<TimeDelta> {
    let text = text(headers, "retry-after")?;
    let seconds = parse_number(text).or_else(|| {
        let date = DateTime::parse_from_rfc2822(text).ok()?;
        Some(as_seconds((date.to_utc() - now).num_seconds()))
    })?;
    bounded(seconds)
}

/// Reads `X-Business-Use-Case-Usage`, which maps a business id to a list of usages
/// (graph-api/overview/rate-limiting).
fn business_use_case(headers: &HeaderMap) -> Option<TimeDelta> {
    let usage: Value =
        serde_json::from_slice(headers.get("x-business-use-case-usage")?.as_bytes()).ok()?;
    let minutes = usage
        .as_object()?
        .values()
        .filter_map(Value::as_array)
        .flatten()
        .filter_map(|entry| entry["estimated_time_to_regain_access"].as_f64())
        .reduce(f64::max)?;
    bounded(minutes * 60.0)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 seconds")]
const fn as_seconds(seconds: i64) -> f64 {
    seconds as f64
}
