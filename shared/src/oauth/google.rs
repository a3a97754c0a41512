//! Google: its OAuth server, and Google Ads.

use chrono::{DateTime, Utc};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::answer;
use super::dialect::{Ask, Dialect, Sight};
use super::rfc6749;
use super::rule::{
    self, ANYWHERE, EXPIRED, FAILED, Fault, HOLDS_IT_BACK, HOLDS_US_BACK, OUR_FAULT, PERMISSION,
    REFUSED, REVOKED, Rule, UNANSWERED, on, text,
};
use super::wait;
use crate::domain::refresh::ProbeResult;
use crate::domain::verdict::{PlatformAction, Verdict};

pub(super) static DIALECT: Dialect = Dialect {
    refresh: rfc6749::refresh, // developers.google.com/identity/protocols/oauth2
    granted: rfc6749::granted,
    probe,
    seen,
    fault,
    rules: &[RULES, rfc6749::RULES, ANYWHERE],
};

/// What a grant must allow to be asked about at Google Ads
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
    on(&["invalid_grant"]).sub("invalid_rapt").means(SIGN_IN_AGAIN),
    on(&["invalid_grant"]).sub("rapt_required").means(SIGN_IN_AGAIN),
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
    on(&["deleted_client", "disabled_client"]).means(OUR_FAULT),
    on(&["internal_failure"]).means(FAILED),
    // `tokeninfo`: expired, revoked, or never theirs; it does not say.
    on(&["invalid_token"]).in_probe().means(REFUSED),
    // developers.google.com/google-ads/api/docs/get-started/common-errors, by the
    // names of `AuthenticationError` and `AuthorizationError`. That the access
    // token is over or unknown says nothing of the grant.
    on(&["OAUTH_TOKEN_EXPIRED"]).in_probe().means(EXPIRED),
    on(&["OAUTH_TOKEN_INVALID"]).in_probe().means(REFUSED),
    on(&["OAUTH_TOKEN_REVOKED", "GOOGLE_ACCOUNT_DELETED"]).means(REVOKED),
    on(&["TWO_STEP_VERIFICATION_NOT_ENROLLED", "ADVANCED_PROTECTION_NOT_ENROLLED"]).means(SIGN_IN_STRONGER),
    // About what was asked: the account has no Google Ads, the project has not
    // switched that API on, or the grant is not for it. What a grant allows is said
    // by every refresh.
    on(&["NOT_ADS_USER", "SERVICE_DISABLED", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"]).in_probe().means(UNANSWERED),
    on(&["CUSTOMER_NOT_FOUND", "USER_PERMISSION_DENIED", "CUSTOMER_NOT_ENABLED"]).means(PERMISSION),
    on(&["PROJECT_DISABLED", "CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION"]).means(OUR_FAULT),
    // `QuotaError`; the scope of the rate tells whom it holds back.
    on(&["RESOURCE_EXHAUSTED", "RESOURCE_TEMPORARILY_EXHAUSTED"]).sub("ACCOUNT").means(HOLDS_IT_BACK),
    on(&["RESOURCE_EXHAUSTED", "RESOURCE_TEMPORARILY_EXHAUSTED"]).means(HOLDS_US_BACK),
];

/// A grant for Google Ads is asked about there, which also tells what keeps the
/// account from using it: a cheap call, named in the documentation, that needs no
/// customer id. Any other (YouTube, Analytics), or one of which nobody knows what it
/// is for, at `tokeninfo`, which needs no scope and no API of ours
/// (developers.google.com/identity/sign-in/android/backend-auth).
fn probe(ask: &Ask<'_>) -> Option<RequestBuilder> {
    if ask.scopes.iter().any(|scope| scope == ADS) {
        let url = ask.api("customers:listAccessibleCustomers");
        return Some(ask.http.get(url).bearer_auth(ask.access_token()));
    }
    let request = ask.http.get(ask.beside_token("tokeninfo")?);
    Some(request.query(&[("access_token", ask.access_token())]))
}

/// Of Google Ads a list of customers, left out where there are none; of
/// `tokeninfo` whom the token was issued to, with its numbers as text.
fn seen(json: &Value, _: DateTime<Utc>) -> Option<Sight> {
    if json["resourceNames"].is_array() || *json == json!({}) {
        return Some(Ok(ProbeResult::default()));
    }
    json["aud"].as_str()?;
    let end = text(&json["exp"])
        .parse()
        .map_or(Value::Null, |seconds: i64| seconds.into());
    Some(Ok(ProbeResult {
        access: answer::ends(&end),
        scopes: answer::scopes(&json["scope"]),
        ..ProbeResult::default()
    }))
}

/// The errors in `details` say more than the status beside them.
fn fault(json: &Value) -> Fault<'_> {
    if let Some(fault) = rfc6749::fault(json) {
        return fault;
    }
    let error = &json["error"];
    let details = list(&error["details"]);
    let failures = || details.iter().flat_map(|detail| list(&detail["errors"]));
    let names = failures()
        .filter_map(|failure| failure["errorCode"].as_object())
        .flat_map(serde_json::Map::values);
    // google.rpc.ErrorInfo
    let reasons = details.iter().map(|detail| &detail["reason"]);
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
    Fault {
        codes: names
            .chain(reasons)
            .chain([&error["status"]])
            .filter_map(rule::code)
            .collect(),
        subcode: rule::code(either(quota, "rateScope", "rate_scope")),
        message: text(&error["message"]),
        passing: false,
        wait: delays
            .filter_map(|delay| wait::duration(delay.as_str()?))
            .max(),
    }
}

/// A field by the name that JSON gives it, or by that of the protocol buffer.
fn either<'a>(value: &'a Value, camel: &str, snake: &str) -> &'a Value {
    match &value[camel] {
        Value::Null => &value[snake],
        found => found,
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
