//! The Graph API as Meta, Instagram and Threads serve it to callers with a token.

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::api::{Api, Call, CallRequest, Fault, List, bearer_api};
use super::graph;
use super::paging::{Cursor, Page, opaque};
use super::probe::TokenPlace;
use super::response::{PlatformResponse, trace_id};
use super::usage::Usage;

/// What differs between the platforms that serve it.
pub(super) struct Dialect {
    /// The HTTP status of an error about a thing or a parameter.
    pub(super) status: u16,
    /// The type of such an error.
    pub(super) exception: &'static str,
    /// Whom its limits are about, in `X-Business-Use-Case-Usage`.
    pub(super) use_case: &'static str,
    /// The code and text of the answer to too many calls.
    pub(super) limit: (u32, &'static str),
}

/// Returns an API that takes the token in a header, a query or a form
/// (laravel/socialite FacebookProvider).
pub(super) const fn api(
    refuse: fn(&CallRequest, Fault<'_>) -> PlatformResponse,
    tell: fn(PlatformResponse, &Call<'_>, &Usage) -> PlatformResponse,
) -> Api {
    Api {
        token: TokenPlace::ParameterOrBearer("access_token"),
        forms: true,
        tell,
        ..bearer_api(refuse)
    }
}

/// Returns a list paged by cursors.
pub(super) const fn list(answer: fn(&Call<'_>, &Page) -> PlatformResponse) -> List {
    List {
        cursor: Cursor::Opaque("after"),
        size: Some("limit"),
        usual_size: 25,
        answer,
    }
}

/// Answers with a page of things. The cursors are always there, `next` only before the
/// end (developers.facebook.com/docs/graph-api/results). `next` contains the access token, as
/// in the answers that callers published.
pub(super) fn page(
    call: &Call<'_>,
    page: &Page,
    thing: impl Fn(String) -> Value,
) -> PlatformResponse {
    let things = page.things.clone();
    let data: Vec<_> = things.map(|number| thing(call.thing(number))).collect();
    let cursors = json!({"before": opaque(page.things.start), "after": opaque(page.things.end)});
    let mut paging = json!({ "cursors": cursors });
    if let Some(next) = &page.next {
        let token = call.request.token.as_deref().unwrap_or_default();
        let limit = page.size.to_string();
        let changed = [("access_token", token), ("limit", &limit), ("after", next)];
        let next = call.request.again_with(&changed);
        paging["next"] = json!(format!("{}{next}", call.request.base));
    }
    PlatformResponse::ok(&json!({"data": data, "paging": paging}))
}

/// Answers with the id of what was made.
pub(super) fn made(call: &Call<'_>) -> PlatformResponse {
    PlatformResponse::ok(&json!({"id": call.made()}))
}

pub(super) fn refuse(
    dialect: &Dialect,
    request: &CallRequest,
    fault: Fault<'_>,
) -> PlatformResponse {
    match fault {
        // arsduo/koala#611 and many others.
        Fault::Path if request.method == Method::GET => {
            let text = format!("Unknown path components: {}", request.path);
            graph::error(400, 2500, 0, &text)
        }
        Fault::Path => no_thing(dialect, request),
        Fault::Token(None) => match request.path.starts_with("/me") {
            true => graph::error(400, 2500, 0, NOBODY),
            false => graph::error(400, 104, 0, NO_TOKEN),
        },
        Fault::Token(denied) => graph::refuse_probe(denied),
        Fault::Parameter(name) => {
            let text = format!("(#100) The parameter {name} is required");
            error(dialect, 0, &text)
        }
        Fault::Limit(_) => {
            let (code, text) = match ad_account(request) {
                Some(_) => AD_ACCOUNT_LIMIT,
                None => dialect.limit,
            };
            let subcode = if code > 80_000 { 2_446_079 } else { 0 };
            graph::error(400, code, subcode, text)
        }
    }
}

/// Answers that nothing can be done to what the path names. Published by many callers.
fn no_thing(dialect: &Dialect, request: &CallRequest) -> PlatformResponse {
    let method = request.method.as_str().to_lowercase();
    let thing = request.path.split('/').nth(1).unwrap_or_default();
    let text = format!(
        "Unsupported {method} request. Object with ID '{thing}' does not exist, cannot be \
         loaded due to missing permissions, or does not support this operation"
    );
    error(dialect, 33, &text)
}

/// Builds an error about a thing or a parameter. Subcode 0 means none.
fn error(dialect: &Dialect, subcode: u32, message: &str) -> PlatformResponse {
    let mut error = json!({
        "message": message,
        "type": dialect.exception,
        "code": 100,
        "fbtrace_id": trace_id(),
    });
    if subcode != 0 {
        error["error_subcode"] = json!(subcode);
    }
    PlatformResponse::json(dialect.status, &json!({ "error": error }))
}

/// Tells the usage in percent, and at 100 the minutes until calls work again
/// (developers.facebook.com/docs/graph-api/overview/rate-limiting). The ids are bare, also
/// those of ad accounts.
pub(super) fn tell(
    dialect: &Dialect,
    answer: PlatformResponse,
    call: &Call<'_>,
    usage: &Usage,
) -> PlatformResponse {
    let ad_account = ad_account(call.request);
    let percent = usage.percent();
    let app = json!({"call_count": percent, "total_time": percent, "total_cputime": percent});
    let mut business = app.clone();
    business["type"] = json!(ad_account.map_or(dialect.use_case, |_| "ads_management"));
    business["estimated_time_to_regain_access"] = json!(usage.minutes());
    business["ads_api_access_tier"] = json!(TIER);
    let subject = ad_account.map_or_else(|| call.subject(), str::to_owned);
    let by_id = Map::from_iter([(subject, json!([business]))]);
    let answer = answer.with("x-app-usage", app.to_string()).with(
        "x-business-use-case-usage",
        Value::Object(by_id).to_string(),
    );
    if ad_account.is_none() {
        return answer;
    }
    let account = json!({
        "acc_id_util_pct": percent,
        "reset_time_duration": usage.wait,
        "ads_api_access_tier": TIER,
    });
    answer.with("x-ad-account-usage", account.to_string())
}

/// Returns the bare id of the ad account that the path is about.
fn ad_account(request: &CallRequest) -> Option<&str> {
    request.id.as_deref()?.strip_prefix("act_")
}

const TIER: &str = "standard_access";
/// Where the path is about the token's owner; elsewhere, the next (both in spring-social's
/// handling of errors, and in many callers' tests).
const NOBODY: &str =
    "An active access token must be used to query information about the current user.";
const NO_TOKEN: &str = "An access token is required to request this resource.";
/// graph-api/overview/rate-limiting, and the errors of most pages of the Marketing API.
const AD_ACCOUNT_LIMIT: (u32, &str) = (
    80004,
    "There have been too many calls to this ad-account. Wait a bit and try again.",
);
