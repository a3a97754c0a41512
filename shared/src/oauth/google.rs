//! Google: its OAuth server, and Google Ads.

use chrono::{DateTime, Utc};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::dialect::{Ask, Dialect, Sight};
use super::rfc6749;
use super::rule::{
    self, ANYWHERE, EXPIRED, FAILED, Fault, HOLDS_IT_BACK, HOLDS_US_BACK, OUR_FAULT, PERMISSION,
    REFUSED, REVOKED, Rule, on, text,
};
use super::wait;
use crate::refresh::Seen;
use crate::verdict::{PlatformAction, Verdict};

pub(super) static DIALECT: Dialect = Dialect {
    refresh: rfc6749::refresh, // developers.google.com/identity/protocols/oauth2
    granted: rfc6749::granted,
    probe,
    seen,
    fault,
    rules: &[RULES, rfc6749::RULES, ANYWHERE],
};

const ADMINISTRATOR: Verdict = Verdict::PlatformActionNeeded(PlatformAction::AdministratorPolicy);
const LOG_IN: Verdict = Verdict::PlatformActionNeeded(PlatformAction::LogIn);

#[rustfmt::skip] // a rule a line
static RULES: &[Rule] = &[
    // An administrator's session control
    // (workos.com/blog/invalid-grant-oauth-errors-by-provider).
    on(&["invalid_grant"]).sub("invalid_rapt").means(ADMINISTRATOR),
    on(&["deleted_client", "org_internal"]).means(OUR_FAULT),
    on(&["internal_failure"]).means(FAILED),
    // developers.google.com/google-ads/api/docs/get-started/common-errors, by the
    // names of `AuthenticationError` and `AuthorizationError`. That the access
    // token is over or unknown says nothing of the grant.
    on(&["OAUTH_TOKEN_EXPIRED"]).in_probe().means(EXPIRED),
    on(&["OAUTH_TOKEN_INVALID"]).in_probe().means(REFUSED),
    on(&["OAUTH_TOKEN_REVOKED", "GOOGLE_ACCOUNT_DELETED"]).means(REVOKED),
    on(&["TWO_STEP_VERIFICATION_NOT_ENROLLED", "ADVANCED_PROTECTION_NOT_ENROLLED"]).means(LOG_IN),
    on(&["CUSTOMER_NOT_FOUND", "USER_PERMISSION_DENIED", "CUSTOMER_NOT_ENABLED"]).means(PERMISSION),
    on(&["ACCESS_TOKEN_SCOPE_INSUFFICIENT"]).means(PERMISSION),
    on(&["PROJECT_DISABLED", "CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION"]).means(OUR_FAULT),
    // `QuotaError`; the scope of the rate tells whom it holds back.
    on(&["RESOURCE_EXHAUSTED", "RESOURCE_TEMPORARILY_EXHAUSTED"]).sub("ACCOUNT").means(HOLDS_IT_BACK),
    on(&["RESOURCE_EXHAUSTED", "RESOURCE_TEMPORARILY_EXHAUSTED"]).means(HOLDS_US_BACK),
];

/// Named there as a cheap call; needs no customer id.
#[expect(clippy::unnecessary_wraps, reason = "others may lack something")]
fn probe(ask: &Ask<'_>) -> Option<RequestBuilder> {
    let url = ask.api("customers:listAccessibleCustomers");
    Some(ask.http.get(url).bearer_auth(ask.access_token()))
}

/// Without customers the list is left out.
fn seen(json: &Value, _: DateTime<Utc>) -> Option<Sight> {
    (json["resourceNames"].is_array() || *json == json!({})).then(|| Ok(Seen::default()))
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
