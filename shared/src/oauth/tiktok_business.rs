//! TikTok Business: advertisers' tokens and TikTok accounts' tokens. It answers
//! 200 to everything: `code` decides.

use chrono::{DateTime, Utc};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::answer;
use super::dialect::{Ask, Dialect, Sight};
use super::rule::{
    self, ANYWHERE, EXPIRED, FAILED, Fault, HOLDS_US_BACK, OUR_FAULT, PERMISSION, REFUSED, Rule,
    between, on, text,
};
use crate::domain::refresh::ProbeResult;

pub(super) static DIALECT: Dialect = Dialect {
    refresh,
    granted,
    probe,
    seen,
    fault,
    rules: &[RULES, ANYWHERE],
};

/// tiktok/tiktok-business-api-sdk, `tiktok_code.py`: names, and nothing more. Only
/// those that name the end of a token conclude at once; for the rest nothing is
/// published of what they mean to a grant. No evidence, and so not here: 20001, a
/// partial success, and 40300, 40302 (no such advertiser), since nothing that is asked
/// names one.
#[rustfmt::skip] // a rule a line
static RULES: &[Rule] = &[
    // The access token's end, which a refresh mends.
    on(&["40102"]).in_probe().means(EXPIRED),
    on(&["40103"]).means(EXPIRED), // the refresh token's
    // Invalid access token, core user, refresh token; authorisation code; advertiser
    // logged out; TikTok user not logged in, authorisation failed; log in first.
    on(&["40105", "40106", "40107", "40110", "40114", "40120", "40131", "40309"]).means(REFUSED),
    // Invalid application; no token, wrong grant type: requests that we got wrong.
    on(&["40101", "40104", "40108"]).means(OUR_FAULT),
    // Application forbidden, not on the list; developer rejected, not permitted.
    on(&["40113", "40118", "40124", "40125"]).means(OUR_FAULT),
    // No permission, no scope; 40301: the role at the advertiser.
    on(&["40001", "40130", "40301"]).means(PERMISSION),
    // 40100 is "request too frequent", whatever others say of it
    // (airbyte, source-tiktok-marketing retries it). 51021 seen.
    on(&["40100", "40132", "61000", "51021"]).means(HOLDS_US_BACK),
    on(&["40201", "40202"]).means(FAILED), // not ready, write conflict
    on(&["50000", "50002", "60001"]).means(FAILED), // failure, timeout, maintenance
    between(51_000, 51_999).means(FAILED), // between its servers
    between(52_000, 52_999).means(FAILED), // its database
];

/// JSON; only TikTok accounts' tokens are refreshed.
fn refresh(ask: &Ask<'_>) -> Option<RequestBuilder> {
    let (id, secret) = ask.client()?;
    Some(ask.http.post(&ask.endpoints.token).json(&json!({
        "client_id": id,
        "client_secret": secret,
        "grant_type": "refresh_token",
        "refresh_token": ask.refresh_token()?,
    })))
}

fn granted(json: &Value) -> Option<&Value> {
    (json["code"] == 0).then(|| &json["data"])
}

/// An advertiser's token lists its advertisers (the SDK's
/// `oauth2_advertiser_get`). A TikTok account's, which alone comes with a refresh
/// token, is no advertiser's: its scopes are asked for
/// (business-api.tiktok.com/portal/docs?id=1765927978092545).
fn probe(ask: &Ask<'_>) -> Option<RequestBuilder> {
    let (id, secret) = ask.client()?;
    Some(if ask.refresh_token().is_some() {
        ask.http
            .post(ask.api("tt_user/token_info/get/"))
            .json(&json!({"app_id": id, "access_token": ask.access_token()}))
    } else {
        ask.http
            .get(ask.api("oauth2/advertiser/get/"))
            .query(&[("app_id", id), ("secret", secret)])
            .header("Access-Token", ask.access_token())
    })
}

fn seen(json: &Value, _: DateTime<Utc>) -> Option<Sight> {
    (json["code"] == 0).then(|| {
        Ok(ProbeResult {
            scopes: answer::scopes(&json["data"]["scope"]),
            ..ProbeResult::default()
        })
    })
}

fn fault(json: &Value) -> Fault<'_> {
    Fault {
        codes: rule::code(&json["code"]).into_iter().collect(),
        message: text(&json["message"]),
        ..Fault::default()
    }
}
