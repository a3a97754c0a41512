//! A person's way to a platform's consent page and back. What is secret of it is done by
//! `check-tokens`; this only sends people there and says what came of it.

use axum::Json;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Redirect, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use edge::json::parse_object;
use edge::member::Member;
use edge::problem::{Problem, ProblemDetails};
use http::request::Parts;
use http::{HeaderMap, Method, header};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::domain::consent::{Begin, Confirm, ConsentOutcome, ConsentRequest, Finish, Question};
use shared::domain::consent_refusal::ConsentRefusal;
use shared::domain::digest;
use shared::platforms::catalog::UnknownPlatform;
use shared::runtime::random_id;
use shared::{IntegrationKey, Platform};
use url::form_urlencoded;
use utoipa::ToSchema;

use crate::address::{base, origin};
use crate::app::App;

/// Why nothing was changed, beside what every problem says.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it is described here, and written as a problem")]
struct RefusedConsent {
    #[serde(flatten)]
    problem: ProblemDetails,
    reason: ConsentRefusal,
}

/// Names the browser that began a consent, so that nobody can have another's browser finish it
/// (RFC 9700, 4.7).
const COOKIE: &str = "warden_browser";
/// Seconds: longer than any consent.
const COOKIE_LIFETIME: u32 = 3_600;

#[derive(Serialize, ToSchema)]
pub(crate) struct Begun {
    url: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ConsentRequest)]
struct Wanted {
    /// Needed where the integration does not exist yet.
    #[serde(default)]
    #[schema(value_type = Option<Platform>)]
    platform: Option<String>,
}

/// Begins a consent
///
/// Answers the address of the platform's own page, to which a browser is sent, and sets the cookie by
/// which the browser is known again. The consent lasts ten minutes, and works once.
#[utoipa::path(
    post,
    path = "/api/dashboard/{orgId}/integrations/{integrationId}/consent",
    operation_id = "beginConsent",
    tag = "Consent",
    security(("bearer" = ["manage_integrations"])),
    request_body(content = Option<Wanted>, example = json!({"platform": "meta"})),
    responses(
        (status = 200, description = "Where to send the browser.", body = Begun,
         headers(("set-cookie" = String, description = "`warden_browser`"))),
        (status = 409, description = "Refused; `reason` says why.", body = RefusedConsent, content_type = "application/problem+json"),
        (status = 503, description = "The function that does it, or the authorizer, is busy."),
    ),
)]
pub(crate) async fn begin(
    member: Member,
    State(app): State<App>,
    parts: Parts,
    body: Bytes,
) -> Result<Response, Problem> {
    member.must_manage()?;
    let Wanted { platform } = match body.trim_ascii() {
        [] => Wanted { platform: None },
        body => parse_object(body)?,
    };
    let platform: Option<Platform> = platform
        .map(|name| name.parse())
        .transpose()
        .map_err(|error: UnknownPlatform| Problem::bad_request(format!("platform: {error}.")))?;
    let known = browser(&parts.headers);
    let browser = known.unwrap_or_else(|| (0..4).map(|_| random_id()).collect());
    let base = base(&parts);
    let origin = origin(&parts).ok_or_else(|| Problem::internal("no domainName"))?;
    let begin = Begin {
        integration: member.integration()?,
        platform,
        user: member.user().clone(),
        browser: fingerprint(&browser),
        redirect_uri: format!("{origin}{base}oauth/callback"),
    };
    match take(&app, ConsentRequest::Begin(begin)).await? {
        ConsentOutcome::Begun { url } => {
            let secure = if origin.starts_with("https") {
                "; Secure"
            } else {
                ""
            };
            // Lax, because the platform's page leads back by a link from another site.
            let cookie = format!(
                "{COOKIE}={browser}; Path={base}; Max-Age={COOKIE_LIFETIME}; HttpOnly; \
                 SameSite=Lax{secure}"
            );
            Ok(([(header::SET_COOKIE, cookie)], Json(Begun { url })).into_response())
        }
        other => Err(problem(other)),
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Confirmation {
    consent: String,
    account_id: String,
}

/// Confirms a consent
///
/// Stores a grant that needs a person's yes: it is for another account, or allows less. Only whoever
/// began it can.
#[utoipa::path(
    post,
    path = "/api/dashboard/{orgId}/integrations/{integrationId}/consent/confirm",
    operation_id = "confirmConsent",
    tag = "Consent",
    security(("bearer" = ["manage_integrations"])),
    request_body(content = Confirmation, example = json!({
        "consent": "d5a002083b7922ac19e64326a0b4a0a6", "account_id": "1234567890",
    })),
    responses(
        (status = 200, description = "The grant is stored.", body = ConsentOutcome),
        (status = 409, description = "Refused; `reason` says why.", body = RefusedConsent, content_type = "application/problem+json"),
        (status = 503, description = "The function that does it, or the authorizer, is busy."),
    ),
)]
pub(crate) async fn confirm(
    member: Member,
    State(app): State<App>,
    body: Bytes,
) -> Result<Json<ConsentOutcome>, Problem> {
    member.must_manage()?;
    let Confirmation {
        consent,
        account_id,
    } = parse_object(&body)?;
    let confirm = Confirm {
        integration: member.integration()?,
        consent,
        user: member.user().clone(),
        account_id,
    };
    match take(&app, ConsentRequest::Confirm(confirm)).await? {
        connected @ ConsentOutcome::Connected { .. } => Ok(Json(connected)),
        other => Err(problem(other)),
    }
}

/// Finishes a consent
///
/// Where platforms send people back to. Exchanges the code at once, and leads on to the page.
#[utoipa::path(
    get,
    path = "/oauth/callback",
    operation_id = "finishConsent",
    tag = "Consent",
    security(()),
    params(
        ("state" = Option<String>, Query, description = "What the consent page was given."),
        ("code" = Option<String>, Query, description = "The authorization code."),
        ("auth_code" = Option<String>, Query, description = "TikTok Business's name for it."),
        ("error" = Option<String>, Query, description = "Why the platform gives no code."),
        ("error_code" = Option<String>, Query, description = "The same as Meta's number, where it has no word."),
    ),
    responses(
        (status = 303, description = "The page that says what came of it.", headers(("location" = String))),
        (status = 503, description = "The function that exchanges the code is busy."),
    ),
)]
pub(crate) async fn callback(
    State(app): State<App>,
    method: Method,
    parts: Parts,
    RawQuery(query): RawQuery,
) -> axum::response::Result<Redirect> {
    // It takes a step: nobody may take it by looking.
    if method == Method::HEAD {
        return Err(([(header::ALLOW, "GET")], Problem::method_not_allowed()).into());
    }
    let query = query.unwrap_or_default();
    let parameter = |names: &[&str]| {
        let mut pairs = form_urlencoded::parse(query.as_bytes());
        let found = pairs.find(|(name, value)| names.contains(&&**name) && !value.is_empty());
        found.map(|(_, value)| value.into_owned())
    };
    let browser = browser(&parts.headers);
    let finish = match (parameter(&["state"]), browser) {
        (Some(state), Some(browser)) => Finish {
            state,
            browser: fingerprint(&browser),
            // TikTok's name for it, too.
            code: parameter(&["code", "auth_code"]),
            // Meta has a number where it has no word.
            error: parameter(&["error"]).or_else(|| parameter(&["error_code"])),
        },
        (state, _) => {
            let reason = match state {
                Some(_) => ConsentRefusal::Foreign,
                None => ConsentRefusal::Unknown,
            };
            return Ok(Redirect::to(&refused(&base(&parts), reason, None)));
        }
    };
    let outcome = take(&app, ConsentRequest::Finish(finish)).await?;
    let base = base(&parts);
    Ok(Redirect::to(&match &outcome {
        ConsentOutcome::Connected { integration } => {
            format!("{base}{}?connected=1", page(integration))
        }
        ConsentOutcome::Asks {
            integration,
            question,
        } => asking(&base, integration, question)?,
        ConsentOutcome::Refused {
            reason,
            integration,
        } => refused(&base, *reason, integration.as_ref()),
        ConsentOutcome::Begun { .. } => return Err(problem(outcome).into()),
    }))
}

fn page(integration: &IntegrationKey) -> String {
    let IntegrationKey {
        org_id,
        integration_id,
    } = integration;
    format!(
        "dashboard/{}/integrations/{}",
        org_id.path_segment(),
        integration_id.path_segment()
    )
}

/// The page that asks. The question stands behind the `#`, which no server sees.
fn asking(
    base: &str,
    integration: &IntegrationKey,
    question: &Question,
) -> Result<String, Problem> {
    let question = serde_json::to_vec(question).map_err(Problem::internal)?;
    let question = URL_SAFE_NO_PAD.encode(question);
    Ok(format!("{base}{}/reconnect#{question}", page(integration)))
}

fn refused(base: &str, reason: ConsentRefusal, integration: Option<&IntegrationKey>) -> String {
    let reason = json!(reason);
    let reason = reason.as_str().unwrap_or_default();
    match integration {
        Some(integration) => format!("{base}{}/reconnect?refused={reason}", page(integration)),
        None => format!("{base}connect?refused={reason}"),
    }
}

async fn take(app: &App, request: ConsentRequest) -> Result<ConsentOutcome, Problem> {
    app.check_tokens.consent(&request).await.map_err(|error| {
        Problem::unavailable("The connection could not be made just now. Please try again.")
            .because(error)
    })
}

/// Says why a step was refused.
fn problem(outcome: ConsentOutcome) -> Problem {
    let ConsentOutcome::Refused { reason, .. } = outcome else {
        return Problem::internal("a step of a consent ended as another does");
    };
    Problem::conflict(reason.words()).with("reason", json!(reason))
}

/// Returns the value of our cookie, if it is one that we gave.
fn browser(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(header::COOKIE).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    let mut pairs = values.flat_map(|value| value.split(';'));
    let value = pairs.find_map(|pair| pair.trim().strip_prefix(COOKIE)?.strip_prefix('='))?;
    let is_ours = value.len() == 64 && value.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_ours.then(|| value.to_owned())
}

/// Returns what is stored of the cookie.
fn fingerprint(browser: &str) -> String {
    digest::hex(&digest::sha256_of(browser.as_bytes()))
}
