//! What Meta, Instagram and Threads share: the Graph API's errors and the extension
//! of access tokens.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::definition::{DocumentedLifetimes, ProbeOutcome};
use super::json::{code, text};
use super::rule::{
    APP_MISCONFIGURED, APPLICATION_THROTTLED, EXPIRED, ErrorBody, GRANT_REFUSED,
    INTEGRATION_THROTTLED, PERMISSION_LOST, REVOKED, Rule, SERVER_ERROR, any, between, on,
};
use crate::domain::probe_result::ProbeResult;
use crate::domain::verdict::{PlatformAction, ReconnectReason, ThrottleScope, Verdict};

const APP_REMOVED: Verdict = Verdict::ReconnectNeeded(ReconnectReason::AppRemoved);
const PASSWORD_CHANGED: Verdict = Verdict::ReconnectNeeded(ReconnectReason::PasswordChanged);
const INACTIVE: Verdict = Verdict::ReconnectNeeded(ReconnectReason::Inactive);
const LOG_IN: Verdict = Verdict::PlatformActionNeeded(PlatformAction::LogIn);
const CONFIRM: Verdict = Verdict::PlatformActionNeeded(PlatformAction::ConfirmAccount);
const BLOCKED: Verdict = Verdict::Throttled {
    wait: Some(TimeDelta::hours(6)),
    scope: ThrottleScope::Integration,
};

/// developers.facebook.com/docs/graph-api/guides/error-handling, and
/// .../overview/rate-limiting: throttles are HTTP 400.
#[rustfmt::skip] // a rule a line
pub(super) static RULES: &[Rule] = &[
    // Throttles come first: some of them carry `is_transient` as well.
    on(&["4", "341"]).means(APPLICATION_THROTTLED),
    on(&["17", "32", "613"]).means(INTEGRATION_THROTTLED),
    on(&["80000", "80001", "80002", "80003", "80004", "80005", "80006"]).means(INTEGRATION_THROTTLED),
    on(&["80008", "80009", "80014"]).means(INTEGRATION_THROTTLED),
    // Blocked for a while for breaking a policy.
    on(&["368"]).means(BLOCKED),
    // Our id or secret. The same code as "unknown error": only the words tell.
    on(&["1"]).saying("error validating client secret").means(APP_MISCONFIGURED),
    on(&["101"]).means(APP_MISCONFIGURED),
    // "API calls from the server require an appsecret_proof argument", or ours is
    // "invalid": made with another application's secret
    // (facebook/facebook-python-business-sdk#528).
    on(&["100"]).saying("appsecret_proof").means(APP_MISCONFIGURED),
    // Of a code: expired, used before (laravel/socialite#385, without a subcode), unknown. Its
    // redirect URI "is identical to the one you used": ours did not change.
    on(&["100"]).subcode("36007").of_code().means(EXPIRED),
    on(&["100"]).subcode("36008").of_code().means(APP_MISCONFIGURED),
    on(&["100"]).subcode("36009").of_code().means(GRANT_REFUSED),
    any().saying("authorization code has expired").of_code().means(EXPIRED),
    any().saying("authorization code has been used").of_code().means(GRANT_REFUSED),
    any().saying("code was not found or was already used").of_code().means(GRANT_REFUSED),
    any().saying("error validating verification code").of_code().means(APP_MISCONFIGURED),
    // Instagram's, with 400 for whatever it is (pdir/social-feed-bundle#105,
    // cosenary/Instagram-PHP-API#230).
    any().saying("invalid platform app").of_code().means(APP_MISCONFIGURED),
    any().saying("invalid client secret").of_code().means(APP_MISCONFIGURED),
    // What the application may call (brightbeanxyz/brightbean-studio#146): no other
    // grant helps.
    on(&["3"]).saying("does not have the capability").means(APP_MISCONFIGURED),
    // facebookarchive/php-graph-sdk#770: "Application has been deleted", as 190.
    any().saying("error validating application").means(APP_MISCONFIGURED),
    any().transient().means(SERVER_ERROR),
    // airbytehq/airbyte, source-facebook-marketing, streams/common.py
    any().subcode("99").means(SERVER_ERROR),
    on(&["1", "2", "104", "960"]).means(SERVER_ERROR),
    // 459's own words, which came without it (postiz #2054, for Instagram), and 490's
    // (snarfed/webutil's tests).
    on(&["190", "102"]).saying("till you log in to").means(LOG_IN),
    on(&["190", "102"]).saying("blocking, logged-in checkpoint").means(LOG_IN),
    on(&["190", "102"]).subcode("459").means(LOG_IN),
    on(&["190", "102"]).subcode("490").means(LOG_IN),
    on(&["190", "102"]).subcode("464").means(CONFIRM),
    // These subcodes name the end of the grant.
    on(&["190", "102"]).subcode("452").means(REVOKED), // the session does not match
    on(&["190", "102"]).subcode("458").means(APP_REMOVED),
    on(&["190", "102"]).subcode("460").means(PASSWORD_CHANGED),
    on(&["190", "102"]).subcode("463").means(EXPIRED),
    on(&["190", "102"]).subcode("467").means(REVOKED), // logged out
    on(&["190", "102"]).subcode("468").means(INACTIVE),
    on(&["190", "102"]).subcode("492").means(REVOKED), // the session is invalid
    // MrSwitch/hello.js#548: not used for 90 days.
    on(&["190", "102"]).subcode("493").means(INACTIVE),
    // Without a subcode that we know: anything may be behind it.
    on(&["190", "102"]).means(GRANT_REFUSED),
    // "Capability or permissions issue", in other words.
    on(&["3", "10"]).means(PERMISSION_LOST),
    between(200, 299).means(PERMISSION_LOST),
    // A token of another application: ours can neither look into it nor extend it
    // (code 100, seen of `debug_token`).
    any().saying("did not match the viewing app").means(GRANT_REFUSED),
    // trypost #254: dead tokens under other codes, such as 100. Only the words
    // "error validating access token" are evidence, and are to be confirmed. Of 100
    // "The requested resource does not exist" (trypost #230) nothing is published: a
    // wrong host or path says it as well.
    any().saying("error validating access token").means(GRANT_REFUSED),
];

/// The lifetimes of a token that is extended by itself, as Instagram and Threads document them:
/// 60 days, "at least 24 hours old". Each such token ends, even if nobody knows when.
pub(super) const EXTENDED_BY_ITSELF: DocumentedLifetimes = DocumentedLifetimes {
    access: TimeDelta::days(60),
    longest_access: TimeDelta::days(60),
    access_may_never_end: false,
    access_is_always_named: true,
    refresh: None,
    idle: None,
    data_access: None,
    minimum_age: TimeDelta::hours(24),
};

/// Looks for the person, whom Instagram's documentation shows in a list under `data`.
pub(super) fn is_somebody(body: &Value, _: DateTime<Utc>) -> Option<ProbeOutcome> {
    ["/user_id", "/id", "/data/0/user_id", "/data/0/id"]
        .into_iter()
        .find_map(|place| code(body.pointer(place)?))
        .map(|_| Ok(ProbeResult::default()))
}

/// Reads an error from the Graph API's envelope, or from Instagram's answer to a code, which has
/// none (espresso-dev/instagram-basic-display-php#14).
pub(super) fn error_body(body: &Value) -> ErrorBody<'_> {
    match &body["error_type"] {
        Value::Null => error(&body["error"], "error_subcode"),
        _ => ErrorBody {
            codes: code(&body["code"]).into_iter().collect(),
            message: text(&body["error_message"]),
            ..ErrorBody::default()
        },
    }
}

/// Reads an error, whose subcode has another name in some answers.
pub(super) fn error<'a>(error: &'a Value, subcode: &str) -> ErrorBody<'a> {
    ErrorBody {
        codes: code(&error["code"]).into_iter().collect(),
        subcode: code(&error[subcode]).filter(|subcode| subcode != "0"),
        message: text(&error["message"]),
        is_transient: error["is_transient"] == true,
        wait: None,
    }
}
