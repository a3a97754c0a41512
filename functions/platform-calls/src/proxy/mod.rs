//! The proxy: a call to a platform's API with the integration's access token put in.

mod conceal;
mod credentials;
mod headers;
mod target;

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use edge::problem::Problem;
use edge::query::quoted;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use secrecy::ExposeSecret;
use serde_json::json;

use shared::domain::call_reading::CallVerdict;
use shared::domain::quota::{Decision, Permit, QuotaKey};
use shared::oauth::CallAnswer;
use shared::platform_calls::{AccessToken, Learned, NoToken, Wanted};
use shared::runtime::metrics::Metric;
use shared::{Clock, Platform};
use url::Url;

use self::conceal::Opaque;
use crate::access_token::no_token;
use crate::app::App;
use crate::caller::Caller;
use crate::metered::{MeteredCall, QuotaHeaders};

/// Refreshing a token, and two calls, take no longer: the gateway waits 29 s.
const TIMEOUT: TimeDelta = TimeDelta::seconds(25);
/// How long having an integration checked may take, after the answer came.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);
/// What Lambda returns at most, in bytes, headers and JSON included
/// (docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html: "6 MB").
const MAX_LAMBDA_ANSWER: usize = 6_291_556;
/// Room for what surrounds headers and body in that JSON, and for the headers that we add.
const JSON_ROOM: usize = 4_096;

/// What the platform's answer means, by a name of [`CallVerdict`]. No other answer has it.
const VERDICT: HeaderName = HeaderName::from_static("warden-verdict");
/// Until when no permit is given, where the answer closes the quota.
const UNTIL: HeaderName = HeaderName::from_static("warden-until");

/// A call that is to be sent.
struct Call {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
}

/// Calls a platform
///
/// Takes a permit, puts the access token in, sends the request on, and passes the answer back. Query,
/// headers and body go to the platform as they are.
#[utoipa::path(
    method(get, head, post, put, patch, delete, options),
    path = "/api/platforms/{platform}/{orgId}/{integrationId}/proxy/{*path}",
    operation_id = "callPlatform",
    tag = "Calling platforms",
    security(("bearer" = ["use_integrations"])),
    responses(
        (status = "default", description = "The platform's answer, as it is.", content_type = "*/*", body = String,
         headers(("warden-verdict" = CallVerdict), ("warden-until" = String))),
        (status = 409, description = "A person must act, or the integration is of another platform."),
        (status = 502, description = "The platform gave no answer that can be passed on."),
        (status = 504, description = "The platform did not answer in time."),
    ),
)]
pub(crate) async fn forward(
    metered: MeteredCall,
    State(app): State<App>,
    request: Request,
) -> Result<Response, Problem> {
    let platform = metered.caller.platform;
    let answer = pass_on(metered.caller, &app, request).await;
    let is_error = |response: &Response| response.status().is_server_error();
    count_errors(&app, platform, answer.as_ref().is_ok_and(is_error));
    answer
}

/// Counts an answer that the gateway counts among our errors, and that is the platform's.
fn count_errors(app: &App, platform: Platform, is_platforms: bool) {
    let count = [("PlatformErrorsPassedOn", Metric::Count(is_platforms.into()))];
    let by = Some(("platform", platform.name()));
    app.metrics.write(app.calls.clock.precise(), by, &count);
}

async fn pass_on(caller: Caller, app: &App, request: Request) -> Result<Response, Problem> {
    let (head, body) = request.into_parts();
    // The gateway and Lambda have limits of their own, and no longer body arrives.
    let body = to_bytes(body, usize::MAX).await;
    let call = Call {
        url: target::url(&app.endpoints, &caller, &head)?,
        headers: headers::to_platform(&head.headers, caller.platform),
        method: head.method,
        body: body.map_err(Problem::internal)?,
    };
    credentials::check_body(&call.headers, &call.body)?;
    let answered = call_and_learn(app, &caller, &call).await?;
    let now = app.calls.clock.now();
    respond(answered, caller.platform, now)
}

/// Gives a problem of our own the member in which the platforms' client libraries look for an
/// error. Meta's take an answer without it for a success, whatever its status
/// (`facebook_business/api.py`, `FacebookResponse.is_success`).
pub(crate) async fn explain(mut response: Response) -> Response {
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        let error = json!({"message": problem.detail(), "type": "TokenWarden"});
        response
            .extensions_mut()
            .insert(problem.with("error", error));
    }
    response
}

fn no_token_in_time() -> Problem {
    Problem::unavailable("The access token could not be had in time; nothing was sent.")
}

fn too_late() -> Problem {
    let seconds = TIMEOUT.num_seconds();
    Problem::gateway_timeout(format!(
        "The platform did not answer within {seconds} seconds. It may have done what it was asked \
         for."
    ))
}

/// A platform's answer, and what came with it.
struct Answered {
    answer: CallAnswer,
    /// Why the answer cannot be passed on, if it cannot.
    unfit: Option<Unfit>,
    learned: Learned,
    /// The second permit, of a call that was sent twice.
    permit: Option<Permit>,
}

/// The end of the time for a call. What an answer teaches is not cut off by it.
struct Deadline<'a> {
    clock: &'a Clock,
    at: DateTime<Utc>,
}

impl<'a> Deadline<'a> {
    fn of(clock: &'a Clock) -> Self {
        Self {
            clock,
            at: clock.precise() + TIMEOUT,
        }
    }

    async fn within<F: Future>(&self, work: F) -> Option<F::Output> {
        let left = (self.at - self.clock.precise()).to_std();
        self.clock.within(left.unwrap_or_default(), work).await
    }
}

/// Calls, and once more with a new token if the platform refuses the token.
async fn call_and_learn(app: &App, caller: &Caller, call: &Call) -> Result<Answered, Problem> {
    let deadline = Deadline::of(&app.calls.clock);
    let token = deadline.within(token(app, caller, Wanted::default()));
    let token = token.await.ok_or_else(no_token_in_time)?;
    let token = token.map_err(|refused| no_token(caller, refused))?;
    let key = caller.quota_key();
    let answered = send_and_learn(app, &key, call, &token, &deadline).await?;
    if answered.learned.reading.verdict != CallVerdict::TokenRefused {
        return Ok(answered);
    }
    let renewed = deadline.within(renewed(app, caller, &key, &token)).await;
    match renewed.flatten() {
        Some((token, permit)) => {
            let answered = send_and_learn(app, &key, call, &token, &deadline).await?;
            Ok(Answered {
                permit: Some(permit),
                ..answered
            })
        }
        // The platform's own word is the best explanation that there is.
        None => Ok(answered),
    }
}

async fn token(app: &App, caller: &Caller, wanted: Wanted) -> Result<AccessToken, NoToken> {
    let tokens = &app.calls.tokens;
    tokens
        .find(&caller.integration, caller.platform, wanted)
        .await
}

/// Returns a new token in the place of a refused one, if there is one and a permit for another
/// call: each try is a call of its own.
async fn renewed(
    app: &App,
    caller: &Caller,
    key: &QuotaKey,
    refused: &AccessToken,
) -> Option<(AccessToken, Permit)> {
    let wanted = Wanted {
        rejected_generation: Some(refused.generation),
        ..Wanted::default()
    };
    let token = token(app, caller, wanted).await;
    let token = token.inspect_err(|error| {
        tracing::info!(%error, quota_key = %key, "a refused token could not be replaced");
    });
    let token = token
        .ok()
        .filter(|token| token.generation != refused.generation)?;
    match app.calls.limiter.take_permit(key).await {
        Ok(Decision::Admitted(permit)) => Some((token, permit)),
        Ok(Decision::Denied(_)) => None,
        Err(error) => {
            tracing::error!(%error, quota_key = %key, "no decision about a quota");
            None
        }
    }
}

async fn send_and_learn(
    app: &App,
    key: &QuotaKey,
    call: &Call,
    token: &AccessToken,
    deadline: &Deadline<'_>,
) -> Result<Answered, Problem> {
    let sent = deadline.within(send(app, call, token)).await;
    let sent = sent.unwrap_or_else(|| {
        count_errors(app, key.platform(), true);
        Err(too_late())
    });
    let (mut answer, mut unfit) = sent?;
    let feedback = &app.calls.feedback;
    let (learned, done) = feedback.learn(key, &answer).await;
    let verdict = learned.reading.verdict;
    // A refused token is refreshed at once instead.
    let checked = match verdict.asks_for_check() && verdict != CallVerdict::TokenRefused {
        true => {
            let check = feedback.have_checked(key, Some(token.generation));
            let begun = app.calls.clock.within(CHECK_TIMEOUT, check).await;
            begun.unwrap_or(Ok(()))
        }
        false => Ok(()),
    };
    // The call was made: its answer must not be lost for that.
    if let Err(error) = done.and(checked) {
        tracing::error!(%error, quota_key = %key, "an answer could not be acted on");
    }
    if unfit.is_none() {
        unfit = match conceal::conceal(&token.token, &mut answer) {
            Ok(()) => too_long(&answer),
            Err(opaque) => Some(Unfit::Opaque(opaque)),
        };
    }
    Ok(Answered {
        answer,
        unfit,
        learned,
        permit: None,
    })
}

/// Returns the answer, and why it cannot be passed on, if it cannot: its body is left out then.
async fn send(
    app: &App,
    call: &Call,
    token: &AccessToken,
) -> Result<(CallAnswer, Option<Unfit>), Problem> {
    let mut headers = call.headers.clone();
    let (name, value) = token.header();
    let value = HeaderValue::from_str(value.expose_secret());
    let mut value = value.map_err(|_| Problem::internal("the token is no header's value"))?;
    value.set_sensitive(true);
    headers.insert(
        HeaderName::from_bytes(name.as_bytes()).map_err(Problem::internal)?,
        value,
    );
    let request = app
        .http
        .request(call.method.clone(), call.url.clone())
        .headers(headers)
        .body(call.body.clone());
    let response = request.send().await.map_err(unreachable)?;
    read(response).await
}

fn unreachable(error: reqwest::Error) -> Problem {
    let detail = if error.is_connect() {
        "The platform could not be reached; nothing was sent."
    } else {
        "The platform did not answer properly. It may have done what it was asked for."
    };
    Problem::bad_gateway(detail, error.without_url())
}

async fn read(mut response: reqwest::Response) -> Result<(CallAnswer, Option<Unfit>), Problem> {
    let status = response.status();
    if !(200..600).contains(&status.as_u16()) {
        return Err(Problem::bad_gateway(
            format!(
                "The platform answered with status {}, which is no answer in HTTP.",
                status.as_u16()
            ),
            "a status that the gateway does not know",
        ));
    }
    let mut answer = CallAnswer {
        status: status.as_u16(),
        headers: response.headers().clone(),
        body: Vec::new(),
    };
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        answer.body.extend_from_slice(&chunk);
        if let Some(unfit) = too_long(&answer) {
            answer.body.clear();
            return Ok((answer, Some(unfit)));
        }
    }
    Ok((answer, None))
}

/// Why an answer that came cannot be passed on.
enum Unfit {
    /// Lambda returns no more bytes than these.
    TooLong(usize),
    Opaque(Opaque),
}

fn too_long(answer: &CallAnswer) -> Option<Unfit> {
    let headers = answer.headers.iter();
    let head: usize = headers
        .map(|(name, value)| name.as_str().len() + 2 * value.len() + 16)
        .sum();
    // The body is in base64 there.
    let room = MAX_LAMBDA_ANSWER.saturating_sub(JSON_ROOM + head) / 4 * 3;
    (answer.body.len() > room).then_some(Unfit::TooLong(room))
}

/// Says why an answer cannot be passed on, and what it means.
fn not_passed_on(unfit: &Unfit, answer: &CallAnswer, learned: &Learned) -> Problem {
    let what = match unfit {
        Unfit::TooLong(room) => {
            format!("is longer than the {room} bytes that can be passed on")
        }
        Unfit::Opaque(Opaque::Encoded(coding)) => {
            format!(
                "is in the encoding {}, which nobody asked for",
                quoted(coding)
            )
        }
        Unfit::Opaque(Opaque::Broken) => "is gzip that is cut off or spoilt".to_owned(),
        Unfit::Opaque(Opaque::TooLong) => "is too long when it is unpacked".to_owned(),
    };
    let verdict = learned.reading.verdict;
    let then = match verdict {
        CallVerdict::Accepted => {
            "The platform has done what it was asked for. Take an access token, and make the call \
             yourself, if you need its answer."
        }
        verdict => verdict.advice(),
    };
    let until = learned.closed_until.map(|until| until.to_rfc3339());
    Problem::bad_gateway(
        format!("The platform's answer {what}. {then}"),
        "an answer that cannot be passed on",
    )
    .with("status_of_platform", answer.status)
    .with("verdict", verdict.name())
    .with("until", until)
}

/// Returns the platform's answer, what it means, and what is left of the quota.
fn respond(
    answered: Answered,
    platform: Platform,
    now: DateTime<Utc>,
) -> Result<Response, Problem> {
    let Answered {
        answer,
        unfit,
        learned,
        permit,
    } = answered;
    if let Some(unfit) = unfit {
        return Err(not_passed_on(&unfit, &answer, &learned));
    }
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    *response.headers_mut() = headers::to_caller(&answer.headers);
    let headers = response.headers_mut();
    let verdict = learned.reading.verdict.name();
    headers.insert(VERDICT, HeaderValue::from_static(verdict));
    let until = learned.closed_until.map(|until| until.to_rfc3339());
    if let Some(until) = until.and_then(|until| HeaderValue::from_str(&until).ok()) {
        headers.insert(UNTIL, until);
    }
    if let Some(permit) = permit {
        let headers = QuotaHeaders::of(permit, platform, now);
        response.extensions_mut().insert(headers);
    }
    Ok(response)
}
