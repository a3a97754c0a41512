//! Meta and Instagram: the Graph API.

use aws_lc_rs::hmac;
use chrono::{DateTime, TimeDelta, Utc};
use reqwest::RequestBuilder;
use serde_json::Value;

use super::answer::{self, Unsuccessful};
use super::dialect::{Ask, Dialect, Sight};
use super::rfc6749;
use super::rule::{
    self, ANYWHERE, Asked, EXPIRED, FAILED, Fault, HOLDS_IT_BACK, HOLDS_US_BACK, OUR_FAULT,
    PERMISSION, REFUSED, REVOKED, Rule, any, between, on, text,
};
use crate::domain::digest;
use crate::domain::refresh::ProbeResult;
use crate::domain::verdict::{PlatformAction, ReconnectReason, Throttled, Verdict};

pub(super) static META: Dialect = Dialect {
    refresh: exchange,
    granted: rfc6749::granted,
    probe: debug_token,
    seen: debugged,
    fault,
    rules: &[OUR_TOKEN, RULES, ANYWHERE],
};

pub(super) static INSTAGRAM: Dialect = Dialect {
    refresh: extend,
    granted: rfc6749::granted,
    probe: me,
    seen: is_somebody,
    fault,
    rules: &[RULES, ANYWHERE],
};

const APP_REMOVED: Verdict = Verdict::ReconnectNeeded(ReconnectReason::AppRemoved);
const PASSWORD_CHANGED: Verdict = Verdict::ReconnectNeeded(ReconnectReason::PasswordChanged);
const INACTIVE: Verdict = Verdict::ReconnectNeeded(ReconnectReason::Inactive);
const LOG_IN: Verdict = Verdict::PlatformActionNeeded(PlatformAction::LogIn);
const CONFIRM: Verdict = Verdict::PlatformActionNeeded(PlatformAction::ConfirmAccount);
const BLOCKED: Verdict = Verdict::Throttled {
    wait: Some(TimeDelta::hours(6)),
    whom: Throttled::Integration,
};

/// The token that asks `debug_token` is our own, `{app_id}|{app_secret}`: what
/// is wrong with the other one stands in `data`.
static OUR_TOKEN: &[Rule] = &[on(&["190", "102"]).in_probe().means(OUR_FAULT)];

/// developers.facebook.com/docs/graph-api/guides/error-handling, and
/// .../overview/rate-limiting: throttles are HTTP 400.
#[rustfmt::skip] // a rule a line
static RULES: &[Rule] = &[
    // Throttles come first: some of them carry `is_transient` as well.
    on(&["4", "341"]).means(HOLDS_US_BACK),
    on(&["17", "32", "613"]).means(HOLDS_IT_BACK),
    on(&["80000", "80001", "80002", "80003", "80004", "80005", "80006"]).means(HOLDS_IT_BACK),
    on(&["80008", "80009", "80014"]).means(HOLDS_IT_BACK),
    // Blocked for a while for breaking a policy.
    on(&["368"]).means(BLOCKED),
    // Our id or secret. The same code as "unknown error": only the words tell.
    on(&["1"]).saying("error validating client secret").means(OUR_FAULT),
    on(&["101"]).means(OUR_FAULT),
    // "API calls from the server require an appsecret_proof argument", or ours is
    // "invalid": made with another application's secret
    // (facebook/facebook-python-business-sdk#528).
    on(&["100"]).saying("appsecret_proof").means(OUR_FAULT),
    // What the application may call (brightbeanxyz/brightbean-studio#146): no other
    // grant helps.
    on(&["3"]).saying("does not have the capability").means(OUR_FAULT),
    // facebookarchive/php-graph-sdk#770: "Application has been deleted", as 190.
    any().saying("error validating application").means(OUR_FAULT),
    any().passing().means(FAILED),
    // airbytehq/airbyte, source-facebook-marketing, streams/common.py
    any().sub("99").means(FAILED),
    on(&["1", "2", "104", "960"]).means(FAILED),
    // 459's own words, which came without it (postiz #2054, for Instagram), and 490's
    // (snarfed/webutil's tests).
    on(&["190", "102"]).saying("till you log in to").means(LOG_IN),
    on(&["190", "102"]).saying("blocking, logged-in checkpoint").means(LOG_IN),
    on(&["190", "102"]).sub("459").means(LOG_IN),
    on(&["190", "102"]).sub("490").means(LOG_IN),
    on(&["190", "102"]).sub("464").means(CONFIRM),
    // These subcodes name the end of the grant.
    on(&["190", "102"]).sub("452").means(REVOKED), // the session does not match
    on(&["190", "102"]).sub("458").means(APP_REMOVED),
    on(&["190", "102"]).sub("460").means(PASSWORD_CHANGED),
    on(&["190", "102"]).sub("463").means(EXPIRED),
    on(&["190", "102"]).sub("467").means(REVOKED), // logged out
    on(&["190", "102"]).sub("468").means(INACTIVE),
    on(&["190", "102"]).sub("492").means(REVOKED), // the session is invalid
    // MrSwitch/hello.js#548: not used for 90 days.
    on(&["190", "102"]).sub("493").means(INACTIVE),
    // Without a subcode that we know: anything may be behind it.
    on(&["190", "102"]).means(REFUSED),
    // "Capability or permissions issue", in other words.
    on(&["3", "10"]).means(PERMISSION),
    between(200, 299).means(PERMISSION),
    // A token of another application: ours can neither look into it nor extend it
    // (code 100, seen of `debug_token`).
    any().saying("did not match the viewing app").means(REFUSED),
    // trypost #254: dead tokens under other codes, such as 100. Only the words
    // "error validating access token" are evidence, and are to be confirmed. Of 100
    // "The requested resource does not exist" (trypost #230) nothing is published: a
    // wrong host or path says it as well.
    any().saying("error validating access token").means(REFUSED),
];

/// facebook-login/guides/access-tokens/get-long-lived. A system user's token of 60
/// days is extended by the same exchange with `set_token_expires_in_60_days`
/// (business-management-apis/system-users/install-apps-and-generate-tokens). Whether
/// a token is a system user's is not known before it is asked about, and the answer to
/// a person's token is no other for it: DayMoonDevelopment/post-for-me sends it with
/// every account's. What never ends is not exchanged at all.
fn exchange(ask: &Ask<'_>) -> Option<RequestBuilder> {
    let (id, secret) = ask.client()?;
    Some(ask.http.get(&ask.endpoints.token).query(&[
        ("grant_type", "fb_exchange_token"),
        ("client_id", id),
        ("client_secret", secret),
        ("set_token_expires_in_60_days", "true"),
        ("fb_exchange_token", ask.access_token()),
        ("appsecret_proof", &proof(secret, ask.access_token())),
    ]))
}

/// graph-api/guides/secure-requests: an application may refuse every call without it.
fn proof(secret: &str, token: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    digest::hex(hmac::sign(&key, token.as_bytes()).as_ref())
}

/// instagram-platform/reference/refresh_access_token: the token alone, no client.
#[expect(clippy::unnecessary_wraps, reason = "others may lack something")]
fn extend(ask: &Ask<'_>) -> Option<RequestBuilder> {
    Some(ask.http.get(&ask.endpoints.token).query(&[
        ("grant_type", "ig_refresh_token"),
        ("access_token", ask.access_token()),
    ]))
}

/// facebook-login/guides/access-tokens/debugging. The proof is of the token that asks,
/// not of the one that is asked about (facebookarchive/php-graph-sdk, `debugToken`).
fn debug_token(ask: &Ask<'_>) -> Option<RequestBuilder> {
    let (id, secret) = ask.client()?;
    let ours = format!("{id}|{secret}");
    Some(ask.http.get(ask.api("debug_token")).query(&[
        ("input_token", ask.access_token()),
        ("access_token", &ours),
        ("appsecret_proof", &proof(secret, &ours)),
    ]))
}

fn debugged(json: &Value, _: DateTime<Utc>) -> Option<Sight> {
    let data = &json["data"];
    if data["is_valid"].as_bool()? {
        return Some(Ok(ProbeResult {
            access: answer::ends(&data["expires_at"]),
            data_access: answer::ends(&data["data_access_expires_at"]),
            scopes: answer::scopes(&data["scopes"]),
        }));
    }
    // The evidence is `is_valid`; beside it may stand why.
    let fault = graph_fault(&data["error"], "subcode");
    let verdict = match rule::find(&[RULES], Asked::Probe, 200, &fault) {
        Some(rule) if is_about_the_grant(&rule.means) => rule.means.clone(),
        _ => REFUSED,
    };
    Some(Err(Unsuccessful {
        verdict,
        code: fault.code_to_keep(),
    }))
}

const fn is_about_the_grant(verdict: &Verdict) -> bool {
    matches!(
        verdict,
        Verdict::ReconnectNeeded(_) | Verdict::PlatformActionNeeded(_)
    )
}

/// instagram-platform/instagram-api-with-instagram-login/get-started
#[expect(clippy::unnecessary_wraps, reason = "others may lack something")]
fn me(ask: &Ask<'_>) -> Option<RequestBuilder> {
    Some(
        ask.http
            .get(ask.api("me"))
            .query(&[("fields", "user_id"), ("access_token", ask.access_token())]),
    )
}

/// The documentation shows the person in a list under `data`.
fn is_somebody(json: &Value, _: DateTime<Utc>) -> Option<Sight> {
    ["/user_id", "/id", "/data/0/user_id", "/data/0/id"]
        .into_iter()
        .find_map(|place| rule::code(json.pointer(place)?))
        .map(|_| Ok(ProbeResult::default()))
}

fn fault(json: &Value) -> Fault<'_> {
    graph_fault(&json["error"], "error_subcode")
}

fn graph_fault<'a>(error: &'a Value, subcode: &str) -> Fault<'a> {
    Fault {
        codes: rule::code(&error["code"]).into_iter().collect(),
        subcode: rule::code(&error[subcode]).filter(|subcode| subcode != "0"),
        message: text(&error["message"]),
        passing: error["is_transient"] == true,
        wait: None,
    }
}
