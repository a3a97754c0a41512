//! TikTok Business: advertisers' tokens and TikTok accounts' tokens. It answers
//! 200 to everything: `code` decides.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::code_exchange::{CodeExchange, account, list_of, unnamed};
use super::consent::{Consent, ConsentFlow, ConsentPage};
use super::definition::{
    Addresses, ApiCalls, DefaultQuota, Definition, DocumentedLifetimes, HOUR, Probe, ProbeOutcome,
    RefreshModel, TokenHeader,
};
use super::json::{code, scopes, text};
use super::request::Parameter::{
    AccessToken, ClientId, ClientSecret, Code, Literal, RedirectUri, RefreshToken,
};
use super::request::{Authentication, Endpoint, Parameters, RequestShape};
use super::rule::{
    ANYWHERE, APP_MISCONFIGURED, APPLICATION_THROTTLED, EXPIRED, ErrorBody, GRANT_REFUSED,
    PERMISSION_LOST, Rule, SERVER_ERROR, between, on,
};
use super::usage;
use crate::domain::account::Account;
use crate::domain::probe_result::ProbeResult;

pub(super) static DEFINITION: Definition = Definition {
    name: "tiktok_business",
    aliases: &[],
    display_name: "TikTok Business",
    addresses: Addresses {
        version: "v1.3",
        token: "https://business-api.tiktok.com/open_api/{version}/tt_user/oauth2/refresh_token/",
        code: Some("https://business-api.tiktok.com/open_api/{version}/tt_user/oauth2/token/"),
        // Login Kit's, with a version of its own.
        authorize: "https://www.tiktok.com/v2/auth/authorize",
        api: "https://business-api.tiktok.com/open_api/{version}",
    },
    consent: |had_refresh_token| match had_refresh_token {
        Some(true) => &ACCOUNT,
        Some(false) | None => &ADVERTISER,
    },
    // Not documented whether a TikTok account's refresh token works twice: treating it
    // as single-use is the safe side.
    refresh_model: RefreshModel::Rotating,
    refresh: REFRESH,
    tokens: |body| (body["code"] == 0).then(|| &body["data"]),
    // tiktok/tiktok-business-api-sdk: TikTok accounts' tokens.
    lifetimes: DocumentedLifetimes {
        access: TimeDelta::hours(24),
        longest_access: TimeDelta::hours(24),
        access_may_never_end: true,
        access_is_always_named: true,
        refresh: Some(TimeDelta::days(365)),
        idle: None,
        data_access: None,
        minimum_age: TimeDelta::zero(),
    },
    probe: Some(Probe {
        request: probe,
        outcome,
    }),
    api_headers: &[],
    error_body,
    rules: &[RULES, ANYWHERE],
    calls: ApiCalls {
        hosts: &[("business-api", "https://business-api.tiktok.com")],
        token_header: TokenHeader::Named("Access-Token"),
        usage: usage::none,
    },
    scope_spellings: &[],
    quota: DefaultQuota {
        limit: 100,
        period: HOUR,
        burst: 25,
    },
};

/// A grant for advertisers, which lasts until it is revoked: what there was without a refresh
/// token, and what a new integration gets. `tiktok` connects TikTok accounts.
///
/// The portal's page asks for what the application is registered with, and sends the code as
/// `auth_code` (business-api.tiktok.com/portal/docs?id=1738373141733378,
/// airbytehq/airbyte, source-tiktok-marketing).
static ADVERTISER: ConsentFlow = ConsentFlow {
    page: ConsentPage::OfHost("portal/auth"),
    consent: Consent {
        client_id: "app_id",
        scopes: &[],
        scope_separator: ",",
        parameters: &[],
        login_hint: None,
        pkce: false,
        refusals: &[],
    },
    exchange: CodeExchange {
        request: &ADVERTISER_CODE,
        tokens: code_tokens,
        lengthening: None,
        identity: &[(&ADVERTISERS, advertisers)],
        beside_tokens: |body| list(&body["data"]["advertiser_ids"], unnamed),
    },
};

/// A TikTok account's grant, as sns-sdks/python-tiktok documents it (authorization for business):
/// what there was with a refresh token. Its page is Login Kit's, which see.
static ACCOUNT: ConsentFlow = ConsentFlow {
    page: ConsentPage::Authorize,
    consent: Consent {
        client_id: "client_key",
        scopes: &[
            "user.info.basic",
            "user.insights",
            "video.list",
            "video.insights",
            "video.publish",
        ],
        scope_separator: ",",
        // gitroomhq/postiz-app, tiktok.business.provider.ts
        parameters: &[("disable_auto_auth", "1")],
        login_hint: None,
        pkce: false,
        refusals: &[],
    },
    exchange: CodeExchange {
        request: &ACCOUNT_CODE,
        tokens: code_tokens,
        lengthening: None,
        identity: &[],
        beside_tokens: |body| list_of(unnamed(&body["data"]["open_id"])),
    },
};

fn code_tokens(body: &Value) -> Option<&Value> {
    Some(&body["data"]).filter(|data| data.is_object())
}

/// Reads a list of accounts.
fn list(value: &Value, read: fn(&Value) -> Option<Account>) -> Vec<Account> {
    let all = value.as_array().into_iter().flatten();
    all.filter_map(read).collect()
}

/// Reads the answer of `oauth2/advertiser/get/` (the SDK's `oauth2_advertiser_get`).
fn advertisers(body: &Value) -> Vec<Account> {
    list(&body["data"]["list"], |of| {
        account(of, "advertiser_id", "advertiser_name")
    })
}

/// tiktok/tiktok-business-api-sdk, `tiktok_code.py`: names, and nothing more. Only codes that
/// name the end of a token conclude at once. What the others mean to a grant is not published.
/// Some codes are no evidence, and so not here: 20001, a partial success, and 40300, 40302 (no
/// such advertiser), since no request of ours names one.
#[rustfmt::skip] // a rule a line
static RULES: &[Rule] = &[
    // The access token's end, which a refresh mends.
    on(&["40102"]).of_access_token().means(EXPIRED),
    on(&["40103"]).means(EXPIRED), // the refresh token's
    // Invalid access token, core user, refresh token; authorisation code; advertiser
    // logged out; TikTok user not logged in, authorisation failed; log in first.
    on(&["40105", "40106", "40107", "40110", "40114", "40120", "40131", "40309"]).means(GRANT_REFUSED),
    // Invalid application; no token, wrong grant type: requests that we got wrong.
    on(&["40101", "40104", "40108"]).means(APP_MISCONFIGURED),
    // Application forbidden, not on the list; developer rejected, not permitted.
    on(&["40113", "40118", "40124", "40125"]).means(APP_MISCONFIGURED),
    // No permission, no scope; 40301: the role at the advertiser.
    on(&["40001", "40130", "40301"]).means(PERMISSION_LOST),
    // 40100 is "request too frequent", whatever others say of it
    // (airbyte, source-tiktok-marketing retries it). 51021 seen.
    on(&["40100", "40132", "61000", "51021"]).means(APPLICATION_THROTTLED),
    on(&["40201", "40202"]).means(SERVER_ERROR), // not ready, write conflict
    on(&["50000", "50002", "60001"]).means(SERVER_ERROR), // failure, timeout, maintenance
    between(51_000, 51_999).means(SERVER_ERROR), // between its servers
    between(52_000, 52_999).means(SERVER_ERROR), // its database
];

/// The SDK's `oauth2_access_token`.
static ADVERTISER_CODE: RequestShape = RequestShape {
    endpoint: Endpoint::Api("oauth2/access_token/"),
    authentication: Authentication::None,
    parameters: Parameters::Json(&[
        ("app_id", ClientId),
        ("secret", ClientSecret),
        ("auth_code", Code),
    ]),
};

/// A TikTok account's (sns-sdks/python-tiktok): the code is called otherwise than on its way back.
static ACCOUNT_CODE: RequestShape = RequestShape {
    endpoint: Endpoint::Code,
    authentication: Authentication::None,
    parameters: Parameters::Json(&[
        ("client_id", ClientId),
        ("client_secret", ClientSecret),
        ("grant_type", Literal("authorization_code")),
        ("auth_code", Code),
        ("redirect_uri", RedirectUri),
    ]),
};

/// The body is JSON; only TikTok accounts' tokens are refreshed.
const REFRESH: RequestShape = RequestShape {
    endpoint: Endpoint::Token,
    authentication: Authentication::None,
    parameters: Parameters::Json(&[
        ("client_id", ClientId),
        ("client_secret", ClientSecret),
        ("grant_type", Literal("refresh_token")),
        ("refresh_token", RefreshToken),
    ]),
};

/// An advertiser's token lists its advertisers (the SDK's `oauth2_advertiser_get`).
static ADVERTISERS: RequestShape = RequestShape {
    endpoint: Endpoint::Api("oauth2/advertiser/get/"),
    authentication: Authentication::Header("Access-Token"),
    parameters: Parameters::Query(&[("app_id", ClientId), ("secret", ClientSecret)]),
};

/// business-api.tiktok.com/portal/docs?id=1765927978092545
static TOKEN_INFO: RequestShape = RequestShape {
    endpoint: Endpoint::Api("tt_user/token_info/get/"),
    authentication: Authentication::None,
    parameters: Parameters::Json(&[("app_id", ClientId), ("access_token", AccessToken)]),
};

/// Only a TikTok account's token comes with a refresh token. It belongs to no advertiser, so
/// the probe asks for its scopes.
fn probe(has_refresh_token: bool, _: &[String]) -> &'static RequestShape {
    match has_refresh_token {
        true => &TOKEN_INFO,
        false => &ADVERTISERS,
    }
}

fn outcome(body: &Value, _: DateTime<Utc>) -> Option<ProbeOutcome> {
    (body["code"] == 0).then(|| {
        Ok(ProbeResult {
            scopes: scopes(&body["data"]["scope"]),
            ..ProbeResult::default()
        })
    })
}

fn error_body(body: &Value) -> ErrorBody<'_> {
    ErrorBody {
        codes: code(&body["code"]).into_iter().collect(),
        message: text(&body["message"]),
        ..ErrorBody::default()
    }
}
