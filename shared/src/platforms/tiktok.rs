//! TikTok Login Kit v2.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use super::code_exchange::{CodeExchange, account, list_of, unnamed};
use super::consent::{Consent, ConsentFlow, ConsentPage};
use super::definition::{
    Addresses, ApiCalls, DefaultQuota, Definition, DocumentedLifetimes, HOUR, Probe, ProbeOutcome,
    RefreshModel, TokenHeader,
};
use super::json::{code, text};
use super::request::Parameter::{ClientId, ClientSecret, Code, Literal, RedirectUri, RefreshToken};
use super::request::{Authentication, Endpoint, Parameters, RequestShape};
use super::rule::{
    ANYWHERE, ErrorBody, GRANT_REFUSED, PERMISSION_LOST, PROBE_NOT_APPLICABLE, Rule, SERVER_ERROR,
    on,
};
use super::{rfc6749, usage};
use crate::domain::probe_result::ProbeResult;

pub(super) static DEFINITION: Definition = Definition {
    name: "tiktok",
    aliases: &[],
    display_name: "TikTok",
    addresses: Addresses {
        version: "v2",
        token: "https://open.tiktokapis.com/{version}/oauth/token/",
        code: None,
        authorize: "https://www.tiktok.com/{version}/auth/authorize/",
        api: "https://open.tiktokapis.com/{version}",
    },
    consent: |_| &CONSENT,
    refresh_model: RefreshModel::Rotating,
    refresh: REFRESH,
    tokens: rfc6749::tokens,
    // developers.tiktok.com/doc/oauth-user-access-token-management. It said 24 hours
    // until November 2026, and not every application need have changed at once.
    lifetimes: DocumentedLifetimes {
        access: TimeDelta::hours(2),
        longest_access: TimeDelta::hours(24),
        access_may_never_end: false,
        access_is_always_named: true,
        refresh: Some(TimeDelta::days(180)),
        idle: None,
        data_access: None,
        minimum_age: TimeDelta::zero(),
    },
    probe: Some(Probe {
        request: |_, _| &USER_INFO,
        outcome: user_info,
    }),
    api_headers: &[],
    error_body,
    rules: &[RULES, rfc6749::RULES, ANYWHERE],
    calls: ApiCalls {
        hosts: &[("open-api", "https://open.tiktokapis.com")],
        token_header: TokenHeader::Bearer,
        usage: usage::none,
    },
    scope_spellings: &[],
    quota: DefaultQuota {
        limit: 100,
        period: HOUR,
        burst: 25,
    },
};

static CONSENT: ConsentFlow = ConsentFlow {
    page: ConsentPage::Authorize,
    // developers.tiktok.com/doc/login-kit-web: a code challenge is for desktop and mobile
    // applications. Without `disable_auto_auth` whoever is signed in there sees no page, and so
    // cannot choose another account.
    consent: Consent {
        client_id: "client_key",
        scopes: &["user.info.basic", "video.list", "video.publish"],
        scope_separator: ",",
        parameters: &[("disable_auto_auth", "1")],
        login_hint: None,
        pkce: false,
        refusals: &[],
    },
    // developers.tiktok.com/doc/oauth-user-access-token-management. A person may leave
    // `user.info.basic` out; the answer names the account all the same.
    exchange: CodeExchange {
        request: &CODE,
        tokens: rfc6749::tokens,
        lengthening: None,
        identity: &[(&WHO, |body| {
            let user = &body["data"]["user"];
            list_of(account(user, "open_id", "display_name"))
        })],
        beside_tokens: |body| list_of(unnamed(&body["open_id"])),
    },
};

/// The API's errors (developers.tiktok.com/doc/tiktok-api-v2-error-handling);
/// the token endpoint's (.../doc/oauth-error-handling) are those of the RFC,
/// with a status that is not documented.
#[rustfmt::skip] // a rule a line
static RULES: &[Rule] = &[
    // "invalid or not found in the request": for whatever reason.
    on(&["access_token_invalid"]).of_access_token().means(GRANT_REFUSED),
    // The probe needs `user.info.basic`, which a grant for something else never had.
    // What a grant allows is said by every refresh.
    on(&["scope_not_authorized", "scope_permission_missed"]).in_probe().means(PROBE_NOT_APPLICABLE),
    on(&["scope_not_authorized", "scope_permission_missed"]).means(PERMISSION_LOST),
    on(&["internal_error"]).means(SERVER_ERROR),
];

static CODE: RequestShape = RequestShape {
    endpoint: Endpoint::Code,
    authentication: Authentication::None,
    parameters: Parameters::Form(&[
        ("client_key", ClientId),
        ("client_secret", ClientSecret),
        ("code", Code),
        ("grant_type", Literal("authorization_code")),
        ("redirect_uri", RedirectUri),
    ]),
};

/// developers.tiktok.com/doc/tiktok-api-v2-get-user-info
static WHO: RequestShape = RequestShape {
    endpoint: Endpoint::Api("user/info/"),
    authentication: Authentication::Bearer,
    parameters: Parameters::Query(&[("fields", Literal("open_id,display_name"))]),
};

/// developers.tiktok.com/doc/oauth-user-access-token-management: `client_key`.
const REFRESH: RequestShape = RequestShape {
    endpoint: Endpoint::Token,
    authentication: Authentication::None,
    parameters: Parameters::Form(&[
        ("grant_type", Literal("refresh_token")),
        ("refresh_token", RefreshToken),
        ("client_key", ClientId),
        ("client_secret", ClientSecret),
    ]),
};

/// developers.tiktok.com/doc/tiktok-api-v2-get-user-info
static USER_INFO: RequestShape = RequestShape {
    endpoint: Endpoint::Api("user/info/"),
    authentication: Authentication::Bearer,
    parameters: Parameters::Query(&[("fields", Literal("open_id"))]),
};

fn user_info(body: &Value, _: DateTime<Utc>) -> Option<ProbeOutcome> {
    (body["error"]["code"] == "ok").then(|| Ok(ProbeResult::default()))
}

fn error_body(body: &Value) -> ErrorBody<'_> {
    rfc6749::error_body(body).unwrap_or_else(|| ErrorBody {
        codes: code(&body["error"]["code"]).into_iter().collect(),
        message: text(&body["error"]["message"]),
        ..ErrorBody::default()
    })
}
