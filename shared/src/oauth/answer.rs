//! What a platform's answer to a refresh says. Pure: status, headers and body
//! in, tokens or a verdict out.
//!
//! What bites: a 200 may carry an error (TikTok, TikTok Business, Snapchat); a
//! 400 may be a throttle (Meta); a 401 here is about our application, not about
//! the connection; what we do not understand is transient.

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::HeaderMap;
use secrecy::SecretString;
use serde_json::Value;

use super::{Answer, Granted, Tokens};
use crate::Platform;
use crate::refresh::Lifetimes;
use crate::verdict::{PlatformAction, ReconnectReason, Transient, Verdict};

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

/// Reads an answer.
pub(super) fn read(platform: Platform, head: &Head, body: &[u8], now: DateTime<Utc>) -> Answer {
    let json: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let request_id = ["/error/fbtrace_id", "/log_id", "/request_id"]
        .into_iter()
        .find_map(|place| json.pointer(place)?.as_str())
        .filter(|id| {
            id.len() <= 64
                && id
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        })
        .map(str::to_owned);
    let result = granted(platform, head, &json).ok_or_else(|| refused(platform, head, &json, now));
    Answer { result, request_id }
}

/// New tokens, if the answer has them: a missing or blank access token is no
/// success, whatever the status.
fn granted(platform: Platform, head: &Head, json: &Value) -> Option<Granted> {
    if !(200..300).contains(&head.status) {
        return None;
    }
    let fields = match platform {
        Platform::TiktokBusiness if json["code"] == 0 => &json["data"],
        Platform::TiktokBusiness => return None,
        _ => json,
    };
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

/// Scopes are separated by space (X, Google, Snapchat), comma (TikTok), either
/// (LinkedIn), or come as a list (TikTok Business).
fn scopes(value: &Value) -> Vec<String> {
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

fn refused(platform: Platform, head: &Head, json: &Value, now: DateTime<Utc>) -> Unsuccessful {
    let (verdict, code) = match platform {
        Platform::Meta | Platform::Instagram => graph(&json["error"]),
        Platform::TiktokBusiness => tiktok_business(json),
        _ => oauth(platform, json),
    };
    let by_status = match head.status {
        429 => Verdict::Throttled(None),
        500.. => Verdict::Transient(Transient::ServerError),
        _ => Verdict::Transient(Transient::Unintelligible),
    };
    let verdict = verdict.unwrap_or(by_status);
    let verdict = match verdict {
        // A failing platform that says when to come back is obeyed as well.
        Verdict::Throttled(None) | Verdict::Transient(Transient::ServerError) => {
            match (wait(&head.headers, now), verdict) {
                (None, verdict) => verdict,
                (wait, _) => Verdict::Throttled(wait),
            }
        }
        other => other,
    };
    Unsuccessful { verdict, code }
}

/// How long the platform asks us to wait, at most a day: `Retry-After` in
/// seconds or as a date (RFC 9110, 10.2.3), X's `x-rate-limit-reset` as an
/// instant, or Meta's minutes to regain access.
fn wait(headers: &HeaderMap, now: DateTime<Utc>) -> Option<TimeDelta> {
    let text = |name: &str| Some(headers.get(name)?.to_str().ok()?.trim().to_owned());
    let number = |name: &str| text(name)?.parse::<i64>().ok();
    let date = || {
        let date = DateTime::parse_from_rfc2822(&text("retry-after")?).ok()?;
        Some((date.to_utc() - now).num_seconds())
    };
    let wait = number("retry-after")
        .or_else(date)
        .or_else(|| number("x-rate-limit-reset").map(|at| at.saturating_sub(now.timestamp())))
        .or_else(|| business_use_case_wait(headers))?;
    (wait > 0).then(|| TimeDelta::seconds(wait.min(86_400)))
}

/// `X-Business-Use-Case-Usage` maps a business id to a list of usages.
fn business_use_case_wait(headers: &HeaderMap) -> Option<i64> {
    let usage: Value =
        serde_json::from_slice(headers.get("x-business-use-case-usage")?.as_bytes()).ok()?;
    usage
        .as_object()?
        .values()
        .filter_map(Value::as_array)
        .flatten()
        .filter_map(|entry| entry["estimated_time_to_regain_access"].as_i64())
        .max()
        .map(|minutes| minutes.saturating_mul(60))
}

type Classified = (Option<Verdict>, Option<String>);

/// The Graph API's errors (guides/error-handling); Instagram shares them.
fn graph(error: &Value) -> Classified {
    use ReconnectReason::{AppRemoved, Expired, Inactive, PasswordChanged, Revoked};
    let Some(code) = error["code"].as_i64() else {
        return (None, None);
    };
    let subcode = error["error_subcode"].as_i64();
    let verdict = match (code, subcode) {
        // HTTP 400, not 429; before `is_transient`, which throttles carry too.
        (4 | 17 | 32 | 341 | 368 | 613 | 80_000..=80_006 | 80_008 | 80_009 | 80_014, _) => {
            Verdict::Throttled(None)
        }
        _ if error["is_transient"] == true => Verdict::Transient(Transient::ServerError),
        (_, Some(99)) => Verdict::Transient(Transient::ServerError),
        (190, Some(458)) => Verdict::ReconnectNeeded(AppRemoved),
        (190, Some(459)) => Verdict::PlatformActionNeeded(PlatformAction::LogIn),
        (190, Some(464)) => Verdict::PlatformActionNeeded(PlatformAction::ConfirmAccount),
        (190, _)
            if error["message"]
                .as_str()
                .is_some_and(|text| text.contains("till you log in to")) =>
        {
            Verdict::PlatformActionNeeded(PlatformAction::LogIn)
        }
        (190, Some(460)) => Verdict::ReconnectNeeded(PasswordChanged),
        (190, Some(463)) => Verdict::ReconnectNeeded(Expired),
        (190, Some(468 | 493)) => Verdict::ReconnectNeeded(Inactive),
        (190 | 102, _) => Verdict::ReconnectNeeded(Revoked),
        (101, _) => Verdict::AppMisconfigured,
        (3 | 10 | 200..=299, _) => Verdict::PermissionLost,
        (1 | 2 | 104 | 960, _) => Verdict::Transient(Transient::ServerError),
        _ => Verdict::Transient(Transient::Unintelligible),
    };
    let code = subcode.map_or_else(|| code.to_string(), |subcode| format!("{code}/{subcode}"));
    (Some(verdict), Some(code))
}

/// TikTok Business answers 200 and decides by `code`
/// (tiktok-business-api-sdk, `tiktok_code.py`).
fn tiktok_business(json: &Value) -> Classified {
    use ReconnectReason::{Expired, Revoked};
    let Some(code) = json["code"].as_i64() else {
        return (None, None);
    };
    let verdict = match code {
        40_103 => Verdict::ReconnectNeeded(Expired),
        40_105..=40_107 | 40_110 | 40_114 | 40_131 => Verdict::ReconnectNeeded(Revoked),
        40_101 | 40_104 | 40_108 | 40_113 | 40_118 | 40_124 | 40_125 => Verdict::AppMisconfigured,
        40_001 | 40_130 => Verdict::PermissionLost,
        40_100 | 40_132 | 61_000 | 51_021 => Verdict::Throttled(None),
        40_201 | 40_202 | 50_000..=52_999 | 60_001 => Verdict::Transient(Transient::ServerError),
        _ => Verdict::Transient(Transient::Unintelligible),
    };
    (Some(verdict), Some(code.to_string()))
}

/// RFC 6749, section 5.2, and what the platforms make of it.
fn oauth(platform: Platform, json: &Value) -> Classified {
    // X's API-style errors are problem details without `error`; TikTok's nest it.
    let error = json["error"]
        .as_str()
        .or_else(|| json["error"]["code"].as_str());
    let Some(error) = error else {
        return (None, None);
    };
    let description = json["error_description"].as_str().unwrap_or_default();
    let about_the_token = match platform {
        // "Value passed for the token was invalid."
        Platform::Twitter => description.contains("token was invalid"),
        // "The provided authorization grant or refresh token is invalid, expired or revoked."
        Platform::Linkedin => description.contains("refresh token is invalid"),
        _ => false,
    };
    let verdict = match error {
        "invalid_grant" if json["error_subtype"] == "invalid_rapt" => {
            Verdict::PlatformActionNeeded(PlatformAction::AdministratorPolicy)
        }
        "invalid_grant" => Verdict::ReconnectNeeded(ReconnectReason::GrantRefused),
        "invalid_request" if about_the_token => {
            Verdict::ReconnectNeeded(ReconnectReason::GrantRefused)
        }
        "invalid_client"
        | "unauthorized_client"
        | "deleted_client"
        | "org_internal"
        | "unsupported_grant_type"
        | "invalid_scope" => Verdict::AppMisconfigured,
        "rate_limit_exceeded" | "slow_down" => Verdict::Throttled(None),
        "server_error" | "temporarily_unavailable" | "internal_error" | "internal_failure" => {
            Verdict::Transient(Transient::ServerError)
        }
        _ => return (None, safe(error)),
    };
    (Some(verdict), safe(error))
}

/// An error code is short lower-case words; anything else could be a token
/// echoed back.
fn safe(code: &str) -> Option<String> {
    let plain = code.len() <= 40 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    plain.then(|| code.to_owned())
}

#[cfg(test)]
mod tests;
