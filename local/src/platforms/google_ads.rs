//! Google: its OAuth server, and Google Ads.

use serde_json::{Value, json};

use super::api::{Api, Call, CallRequest, Fault, Host, List, bearer_api, probe, query, write};
use super::grant::{Denied, Issued};
use super::paging::Cursor;
use super::probe::{ProbeEndpoint, TokenPlace, bearer_probe};
use super::response::PlatformResponse;
use super::rfc6749;
use super::rfc6749::code_endpoint;
use super::rules::{DAY, Rules};
use super::simulated::{NamedError, Simulated, raw};

pub(super) static SIMULATED: Simulated = Simulated {
    token: "/google/token",
    authorize: "/google/o/oauth2/v2/auth",
    api: "/google/v26",
    refresh: rfc6749::endpoint(body),
    denial: "access_denied",
    code: code_endpoint(granted),
    portal: None,
    probes: &[CUSTOMERS, TOKENINFO],
    calls: Api {
        hosts: &[Host {
            name: "google-ads",
            prefix: "/google",
            any_version: false,
            endpoints: &[
                probe("/v26/customers:listAccessibleCustomers", &CUSTOMERS),
                query("/v26/customers/{id}/googleAds:search", CAMPAIGNS).needs(&["query"]),
                write("/v26/customers/{id}/campaigns:mutate", mutate).needs(&["operations"]),
            ],
        }],
        check: check_call,
        ..bearer_api(refuse_call)
    },
    rules: |plain| Rules {
        access_lifetime: 3_599,
        // Basic access (google-ads/api/docs/best-practices/quotas).
        calls_limit: Some(15_000),
        calls_window: DAY,
        ..plain
    },
    scope: "https://www.googleapis.com/auth/adwords",
    refuse: |refusal| rfc6749::refuse(ERRORS, refusal),
    throttle: |retry_after, _| exhausted(retry_after),
    errors: ERRORS,
};

/// Probes Google Ads.
const CUSTOMERS: ProbeEndpoint = bearer_probe(
    "/google/v26/customers:listAccessibleCustomers",
    |_, status| {
        let customer = format!("customers/{}", status.account());
        PlatformResponse::ok(&json!({ "resourceNames": [customer] }))
    },
    refuse_token,
);

/// Lets only a grant for Google Ads pass, and no page size: pages have 10,000 rows
/// (`PAGE_SIZE_NOT_SUPPORTED`, google-ads/api/docs/common-errors).
fn check_call(call: &Call<'_>) -> Result<(), PlatformResponse> {
    if !call.rules.scope.contains("/auth/adwords") {
        let code = "ACCESS_TOKEN_SCOPE_INSUFFICIENT";
        return Err(refused(403, AUTHORIZATION, code));
    }
    match call.text("pageSize") {
        Some(_) => Err(ads(
            400,
            "requestError",
            "PAGE_SIZE_NOT_SUPPORTED",
            FIXED_PAGES,
        )),
        None => Ok(()),
    }
}

/// Answers every query with campaigns, and fewer than 10,000 a page
/// (google-ads/api/rest/common/search).
const CAMPAIGNS: List = List {
    cursor: Cursor::Opaque("pageToken"),
    size: None,
    usual_size: 50,
    answer: |call, page| {
        let customer = call.subject();
        let row = |number| {
            let id = call.thing(number);
            let name = format!("customers/{customer}/campaigns/{id}");
            json!({"campaign": {"resourceName": name, "id": id, "name": "A campaign"}})
        };
        let results: Vec<_> = page.things.clone().map(row).collect();
        let mut body = json!({"results": results, "fieldMask": "campaign.id,campaign.name"});
        if let Some(next) = &page.next {
            body["nextPageToken"] = json!(next);
        }
        PlatformResponse::ok(&body)
    },
};

fn mutate(call: &Call<'_>) -> PlatformResponse {
    let name = format!("customers/{}/campaigns/{}", call.subject(), call.made());
    PlatformResponse::ok(&json!({"results": [{"resourceName": name}]}))
}

fn refuse_token(denied: Option<Denied>) -> PlatformResponse {
    let code = match denied {
        Some(Denied::Expired) => "OAUTH_TOKEN_EXPIRED",
        Some(Denied::Revoked) => "OAUTH_TOKEN_REVOKED",
        _ => "OAUTH_TOKEN_INVALID",
    };
    let text = "Request had invalid authentication credentials.";
    ads(401, AUTHENTICATION, code, text)
}

fn refuse_call(request: &CallRequest, fault: Fault<'_>) -> PlatformResponse {
    match fault {
        // "the standard Google 404 HTML body" (cohnen/mcp-google-ads#24), shortened.
        Fault::Path => {
            let page = format!(
                "<!DOCTYPE html>\n<html lang=en>\n<title>Error 404 (Not Found)!!1</title>\n\
                 <p><b>404.</b> <ins>That's an error.</ins>\n\
                 <p>The requested URL <code>{}</code> was not found on this server.",
                request.path.replace('<', "&lt;")
            );
            raw(404, "text/html; charset=UTF-8", &page)
        }
        Fault::Token(denied) => refuse_token(denied),
        Fault::Parameter(name) => {
            let text = format!("The required field was not present: {name}");
            ads(400, "fieldError", "REQUIRED", &text)
        }
        Fault::Limit(usage) => exhausted(Some(usage.wait)),
    }
}

/// Says when to come again, if that is known (googleads errors.proto, QuotaErrorDetails).
fn exhausted(retry_after: Option<u64>) -> PlatformResponse {
    let message = "Too many requests. Retry later.";
    let mut body = ads_body(429, "quotaError", "RESOURCE_EXHAUSTED", message);
    if let Some(seconds) = retry_after {
        body["error"]["details"][0]["errors"][0]["details"] = json!({
            "quotaErrorDetails": {
                "rateScope": "DEVELOPER",
                "rateName": "Number of operations",
                "retryDelay": format!("{seconds}s"),
            }
        });
    }
    PlatformResponse::json(429, &body)
}

/// Probes any token, whatever it is for. The answer's numbers are texts.
const TOKENINFO: ProbeEndpoint = ProbeEndpoint {
    token: TokenPlace::Parameter("access_token"),
    ..bearer_probe(
        "/google/tokeninfo",
        |context, status| {
            let life = context.rules.access_lifetime;
            let end = status.expires_at.unwrap_or(context.now + life);
            PlatformResponse::ok(&json!({
                "azp": "1.apps.googleusercontent.com",
                "aud": "1.apps.googleusercontent.com",
                "sub": status.account(),
                "scope": context.rules.scope,
                "exp": end.to_string(),
                "expires_in": (end - context.now).to_string(),
                "access_type": "offline",
            }))
        },
        |_| error(400, "invalid_token", "Invalid Value"),
    )
};

/// Omits the refresh token: the old one stays. States its life only where it has an end,
/// as for a consent screen in "Testing".
fn body(rules: &Rules, issued: &Issued) -> Value {
    let mut body = rfc6749::tokens(rules, issued);
    body["token_type"] = json!("Bearer");
    if let Some(seconds) = issued.refresh_expires_in {
        body["refresh_token_expires_in"] = json!(seconds);
    }
    body
}

/// Builds the answer to a code, which alone has a refresh token.
fn granted(rules: &Rules, issued: &Issued) -> Value {
    let mut body = body(rules, issued);
    body["refresh_token"] = json!(issued.refresh_token);
    body
}

/// Builds an error of the OAuth server.
fn error(status: u16, error: &str, description: &str) -> PlatformResponse {
    let mut body = rfc6749::body(error, description);
    for subtype in ["invalid_rapt", "rapt_required"] {
        if description.contains(subtype) {
            body["error_subtype"] = json!(subtype);
        }
    }
    PlatformResponse::json(status, &body)
}

fn refused(status: u16, family: &str, code: &str) -> PlatformResponse {
    ads(status, family, code, "The request was refused.")
}

/// Builds an error of Google Ads, with `family` and `code` as in `authenticationError` and
/// `OAUTH_TOKEN_EXPIRED`.
fn ads(status: u16, family: &str, code: &str, message: &str) -> PlatformResponse {
    PlatformResponse::json(status, &ads_body(status, family, code, message))
}

fn ads_body(status: u16, family: &str, code: &str, message: &str) -> Value {
    let canonical = match status {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        429 => "RESOURCE_EXHAUSTED",
        400 => "INVALID_ARGUMENT",
        _ => "INTERNAL",
    };
    json!({"error": {
        "code": status,
        "message": message,
        "status": canonical,
        "details": [{
            "@type": "type.googleapis.com/google.ads.googleads.v26.errors.GoogleAdsFailure",
            "errors": [{"errorCode": {family: code}, "message": message}],
        }],
    }})
}

const FIXED_PAGES: &str = "Setting the page size is not supported. Search Responses will have \
     fixed page size of '10000' rows.";
const AUTHENTICATION: &str = "authenticationError";
const AUTHORIZATION: &str = "authorizationError";

#[rustfmt::skip] // an error a line
static ERRORS: &[NamedError] = &[
    ("invalid_grant", || error(400, "invalid_grant", "Token has been expired or revoked.")),
    ("invalid_rapt", || error(400, "invalid_grant", "reauth related error (invalid_rapt)")),
    ("invalid_client", || error(401, "invalid_client", "The OAuth client was not found.")),
    ("unauthorized_client", || error(401, "unauthorized_client", "Unauthorized")),
    ("deleted_client", || error(401, "deleted_client", "The OAuth client was deleted.")),
    ("rapt_required", || error(400, "invalid_grant", "reauth related error (rapt_required)")),
    ("disabled_client", || error(401, "disabled_client", "The OAuth client was disabled.")),
    ("admin_policy_enforced", || error(400, "admin_policy_enforced", "Access to your account data is restricted by policies within your organization.")),
    ("access_denied", || error(400, "access_denied", "Account restricted")),
    ("policy_enforced", || error(400, "policy_enforced", "Access blocked by the Advanced Protection Program.")),
    ("org_internal", || error(403, "org_internal", "This client is restricted to users within its organization.")),
    ("server_error", || error(500, "internal_failure", "Internal error")),
    ("OAUTH_TOKEN_EXPIRED", || refused(401, AUTHENTICATION, "OAUTH_TOKEN_EXPIRED")),
    ("OAUTH_TOKEN_INVALID", || refused(401, AUTHENTICATION, "OAUTH_TOKEN_INVALID")),
    ("OAUTH_TOKEN_REVOKED", || refused(401, AUTHENTICATION, "OAUTH_TOKEN_REVOKED")),
    ("GOOGLE_ACCOUNT_DELETED", || refused(401, AUTHENTICATION, "GOOGLE_ACCOUNT_DELETED")),
    ("CUSTOMER_NOT_FOUND", || refused(401, AUTHENTICATION, "CUSTOMER_NOT_FOUND")),
    ("TWO_STEP_VERIFICATION_NOT_ENROLLED", || refused(401, AUTHENTICATION, "TWO_STEP_VERIFICATION_NOT_ENROLLED")),
    ("ADVANCED_PROTECTION_NOT_ENROLLED", || refused(401, AUTHENTICATION, "ADVANCED_PROTECTION_NOT_ENROLLED")),
    ("USER_PERMISSION_DENIED", || refused(403, AUTHORIZATION, "USER_PERMISSION_DENIED")),
    ("CUSTOMER_NOT_ENABLED", || refused(403, AUTHORIZATION, "CUSTOMER_NOT_ENABLED")),
    ("PROJECT_DISABLED", || refused(403, AUTHORIZATION, "PROJECT_DISABLED")),
    ("CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION", || refused(403, AUTHORIZATION, "CLOUD_PROJECT_NOT_APPROVED_FOR_PRODUCTION")),
    ("NOT_ADS_USER", || refused(401, AUTHENTICATION, "NOT_ADS_USER")),
    ("SERVICE_DISABLED", || refused(403, AUTHORIZATION, "SERVICE_DISABLED")),
    ("ACCESS_TOKEN_SCOPE_INSUFFICIENT", || refused(403, AUTHORIZATION, "ACCESS_TOKEN_SCOPE_INSUFFICIENT")),
    ("RESOURCE_EXHAUSTED", || refused(429, "quotaError", "RESOURCE_EXHAUSTED")),
    ("RESOURCE_TEMPORARILY_EXHAUSTED", || refused(429, "quotaError", "RESOURCE_TEMPORARILY_EXHAUSTED")),
];
