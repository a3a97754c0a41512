//! Google: its OAuth server, and Google Ads.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};

use super::code_exchange::{CodeExchange, nobody};
use super::consent::{Consent, ConsentFlow, ConsentPage};
use super::definition::{
    Addresses, ApiCalls, DefaultQuota, Definition, DocumentedLifetimes, HOUR, Probe, ProbeOutcome,
    RefreshModel, TokenHeader,
};
use super::json::{code, ends, scopes, text};
use super::request::Parameter::{AccessToken, DeveloperToken};
use super::request::{Authentication, Endpoint, Parameters, RequestShape};
use super::rule::{
    ANYWHERE, APP_MISCONFIGURED, APPLICATION_THROTTLED, EXPIRED, ErrorBody, GRANT_REFUSED,
    INTEGRATION_THROTTLED, PERMISSION_LOST, PROBE_NOT_APPLICABLE, REVOKED, Rule, SERVER_ERROR, on,
};
use super::wait::parse_duration;
use super::{code_exchange, rfc6749, usage};
use crate::domain::account::Account;
use crate::domain::probe_result::ProbeResult;
use crate::domain::verdict::{PlatformAction, Verdict};

pub(super) static DEFINITION: Definition = Definition {
    name: "google",
    aliases: &["google_ads"],
    display_name: "Google Ads",
    addresses: Addresses {
        // Each works for about a year. OAuth's addresses have versions of their own.
        version: "v26",
        token: "https://oauth2.googleapis.com/token",
        code: None,
        authorize: "https://accounts.google.com/o/oauth2/v2/auth",
        api: "https://googleads.googleapis.com/{version}",
    },
    consent: |_| &CONSENT,
    refresh_model: RefreshModel::Static,
    refresh: rfc6749::REFRESH, // developers.google.com/identity/protocols/oauth2
    tokens: rfc6749::tokens,
    // The same page: a grant ends after six months unused.
    lifetimes: DocumentedLifetimes {
        access: TimeDelta::hours(1),
        longest_access: TimeDelta::hours(1),
        access_may_never_end: false,
        access_is_always_named: true,
        refresh: None,
        idle: Some(TimeDelta::days(180)),
        data_access: None,
        minimum_age: TimeDelta::zero(),
    },
    probe: Some(Probe {
        request: probe,
        outcome,
    }),
    // Since 9 September 2026 it is optional, and ignored: the project of our client id has the
    // access (developers.google.com/google-ads/api/docs/api-policy/developer-token).
    api_headers: &[("developer-token", DeveloperToken)],
    error_body,
    rules: &[RULES, rfc6749::RULES, ANYWHERE],
    calls: ApiCalls {
        hosts: &[
            ("google-ads", "https://googleads.googleapis.com"),
            ("youtube", "https://youtube.googleapis.com"),
            ("analytics", "https://analyticsdata.googleapis.com"),
        ],
        token_header: TokenHeader::Bearer,
        usage: usage::none,
    },
    // developers.google.com/identity/protocols/oauth2/scopes
    scope_spellings: &[
        ("email", "https://www.googleapis.com/auth/userinfo.email"),
        (
            "profile",
            "https://www.googleapis.com/auth/userinfo.profile",
        ),
    ],
    quota: DefaultQuota {
        limit: 15_000,
        period: 24 * HOUR,
        burst: 500,
    },
};

static CONSENT: ConsentFlow = ConsentFlow {
    page: ConsentPage::Authorize,
    // developers.google.com/identity/protocols/oauth2/web-server: a refresh token comes
    // with `offline` alone, and again only with `consent`. With `select_account` a person with
    // several accounts sees which one they use. `login_hint` takes an email address.
    consent: Consent {
        client_id: "client_id",
        scopes: &[ADS],
        scope_separator: " ",
        parameters: &[
            ("access_type", "offline"),
            ("prompt", "select_account consent"),
        ],
        login_hint: Some("login_hint"),
        pkce: false,
        refusals: &[],
    },
    exchange: CodeExchange {
        request: &code_exchange::REQUEST,
        tokens: rfc6749::tokens,
        lengthening: None,
        identity: &[(&CUSTOMERS, customers)],
        beside_tokens: nobody,
    },
};

/// A grant must allow this to be probed at Google Ads
/// (developers.google.com/google-ads/api/docs/oauth/overview).
const ADS: &str = "https://www.googleapis.com/auth/adwords";

const SIGN_IN_AGAIN: Verdict = Verdict::PlatformActionNeeded(PlatformAction::AdministratorPolicy);
const APPROVE: Verdict = Verdict::PlatformActionNeeded(PlatformAction::AdministratorApproval);
const PROTECTED: Verdict = Verdict::PlatformActionNeeded(PlatformAction::AccountProtection);
const SIGN_IN_STRONGER: Verdict = Verdict::PlatformActionNeeded(PlatformAction::StrongerSignIn);

#[rustfmt::skip] // a rule a line
static RULES: &[Rule] = &[
    // An administrator's session control (support.google.com/a/answer/9368756): what
    // narrows it down stands beside `invalid_grant`, in its sentence, or in its place
    // (minodisk/bigquery-runner#47, googleapis/google-auth-library-nodejs#1961).
    on(&["invalid_grant"]).subcode("invalid_rapt").means(SIGN_IN_AGAIN),
    on(&["invalid_grant"]).subcode("rapt_required").means(SIGN_IN_AGAIN),
    on(&["invalid_grant"]).saying("(invalid_rapt)").means(SIGN_IN_AGAIN),
    on(&["invalid_grant"]).saying("(rapt_required)").means(SIGN_IN_AGAIN),
    on(&["invalid_rapt", "rapt_required"]).means(SIGN_IN_AGAIN),
    // An administrator keeps the application out, or has restricted the account
    // (.../identity/protocols/oauth2/web-server, authorization errors;
    // dust-tt/dust#31975, GAM-team/GAM#1766).
    on(&["admin_policy_enforced", "org_internal", "access_denied"]).means(APPROVE),
    // Advanced Protection keeps other applications than Google's out
    // (twentyhq/twenty#25148).
    on(&["policy_enforced"]).means(PROTECTED),
    // openpubkey/opkssh#617: switched off by Google.
    on(&["deleted_client", "disabled_client"]).means(APP_MISCONFIGURED),
    // .../identity/protocols/oauth2/web-server, authorization errors: not registered there.
    on(&["redirect_uri_mismatch"]).of_code().means(APP_MISCONFIGURED),
    on(&["internal_failure"]).means(SERVER_ERROR),
    // `tokeninfo`: expired, revoked, or never theirs; it does not say.
    on(&["invalid_token"]).of_access_token().means(GRANT_REFUSED),
    // developers.google.com/google-ads/api/docs/get-started/common-errors, by the
    // names of `AuthenticationError` and `AuthorizationError`. That the access
    // token is over or unknown says nothing of the grant.
    on(&["OAUTH_TOKEN_EXPIRED"]).of_access_token().means(EXPIRED),
    on(&["OAUTH_TOKEN_INVALID"]).of_access_token().means(GRANT_REFUSED),
    on(&["OAUTH_TOKEN_REVOKED", "GOOGLE_ACCOUNT_DELETED"]).means(REVOKED),
    on(&["TWO_STEP_VERIFICATION_NOT_ENROLLED", "ADVANCED_PROTECTION_NOT_ENROLLED"]).means(SIGN_IN_STRONGER),
    // About what was asked: the account has no Google Ads, the project has not
    // switched that API on, or the grant is not for it. What a grant allows is said
    // by every refresh.
    on(&["NOT_ADS_USER", "SERVICE_DISABLED", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"]).in_probe().means(PROBE_NOT_APPLICABLE),
    // The same of calls, where it is a permission that the grant lacks, or an API that the
    // project has not switched on.
    on(&["ACCESS_TOKEN_SCOPE_INSUFFICIENT", "insufficientPermissions"]).in_call().means(PERMISSION_LOST),
    on(&["SERVICE_DISABLED"]).in_call().means(APP_MISCONFIGURED),
    // Google's other APIs (googleapis/google-api-php-client#1391: without details).
    on(&["UNAUTHENTICATED", "authError"]).in_call().means(GRANT_REFUSED),
    // YouTube's quota is the project's (googleapis/google-api-nodejs-client#2263).
    on(&["quotaExceeded", "dailyLimitExceeded"]).in_call().means(APPLICATION_THROTTLED),
    on(&["rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"]).in_call().means(INTEGRATION_THROTTLED),
    on(&["CUSTOMER_NOT_FOUND", "USER_PERMISSION_DENIED", "CUSTOMER_NOT_ENABLED"]).means(PERMISSION_LOST),
    on(&["PROJECT_DISABLED", "CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION"]).means(APP_MISCONFIGURED),
    // `QuotaError`; the scope of the rate tells whom it holds back.
    on(&["RESOURCE_EXHAUSTED", "RESOURCE_TEMPORARILY_EXHAUSTED"]).subcode("ACCOUNT").means(INTEGRATION_THROTTLED),
    on(&["RESOURCE_EXHAUSTED", "RESOURCE_TEMPORARILY_EXHAUSTED"]).means(APPLICATION_THROTTLED),
];

/// A cheap call, named in the documentation, that needs no customer id. It also shows
/// what keeps the account from using Google Ads.
static CUSTOMERS: RequestShape = RequestShape {
    endpoint: Endpoint::Api("customers:listAccessibleCustomers"),
    authentication: Authentication::Bearer,
    parameters: Parameters::Query(&[]),
};

/// Needs no scope and no API of ours
/// (developers.google.com/identity/sign-in/android/backend-auth).
static TOKENINFO: RequestShape = RequestShape {
    endpoint: Endpoint::BesideToken("tokeninfo"),
    authentication: Authentication::None,
    parameters: Parameters::Query(&[("access_token", AccessToken)]),
};

/// A grant for Google Ads is probed there. Any other (YouTube, Analytics), or one of unknown
/// scopes, is probed at `tokeninfo`.
fn probe(_: bool, scopes: &[String]) -> &'static RequestShape {
    match scopes.iter().any(|scope| scope == ADS) {
        true => &CUSTOMERS,
        false => &TOKENINFO,
    }
}

/// Reads `customers/1234567890`, of each customer that the person may use.
fn customers(body: &Value) -> Vec<Account> {
    let names = body["resourceNames"].as_array().into_iter().flatten();
    names
        .filter_map(|name| text(name).strip_prefix("customers/"))
        .map(|id| Account {
            id: id.to_owned(),
            username: String::new(),
        })
        .collect()
}

/// Reads the answer to a probe. Google Ads lists customers, and leaves the list out where there
/// are none. `tokeninfo` says whom the token was issued to, with its numbers as text.
fn outcome(body: &Value, _: DateTime<Utc>) -> Option<ProbeOutcome> {
    let is_empty = body.as_object().is_some_and(Map::is_empty);
    if body["resourceNames"].is_array() || is_empty {
        return Some(Ok(ProbeResult::default()));
    }
    body["aud"].as_str()?;
    let end = text(&body["exp"])
        .parse()
        .map_or(Value::Null, |seconds: i64| seconds.into());
    Some(Ok(ProbeResult {
        access: ends(&end),
        scopes: scopes(&body["scope"]),
        ..ProbeResult::default()
    }))
}

/// The errors in `details` say more than the status beside them.
fn error_body(body: &Value) -> ErrorBody<'_> {
    if let Some(error) = rfc6749::error_body(body) {
        return error;
    }
    // `searchStream` answers with a list.
    let body = body.get(0).unwrap_or(body);
    let error = &body["error"];
    let details = list(&error["details"]);
    let failures = || details.iter().flat_map(|detail| list(&detail["errors"]));
    let names = failures()
        .filter_map(|failure| failure["errorCode"].as_object())
        .flat_map(serde_json::Map::values);
    // google.rpc.ErrorInfo
    let reasons = details.iter().map(|detail| &detail["reason"]);
    // Of APIs older than that.
    let older = list(&error["errors"]).iter().map(|error| &error["reason"]);
    let quota = failures()
        .map(|failure| {
            let details = &failure["details"];
            either(details, "quotaErrorDetails", "quota_error_details")
        })
        .find(|quota| quota.is_object())
        .unwrap_or(&Value::Null);
    let delays = [either(quota, "retryDelay", "retry_delay")]
        .into_iter()
        .chain(details.iter().map(|detail| &detail["retryDelay"])); // google.rpc.RetryInfo
    ErrorBody {
        codes: names
            .chain(reasons)
            .chain(older)
            .chain([&error["status"]])
            .filter_map(code)
            .collect(),
        subcode: code(either(quota, "rateScope", "rate_scope")),
        message: text(&error["message"]),
        is_transient: false,
        wait: delays
            .filter_map(|delay| parse_duration(delay.as_str()?))
            .max(),
    }
}

/// Returns a field by the name that JSON gives it, or by that of the protocol buffer.
fn either<'a>(value: &'a Value, camel: &str, snake: &str) -> &'a Value {
    match &value[camel] {
        Value::Null => &value[snake],
        found => found,
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
