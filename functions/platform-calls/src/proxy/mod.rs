//! The proxy: a call to a platform's API with the integration's access token put in.

mod conceal;
mod headers;
mod target;

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use edge::problem::Problem;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use secrecy::ExposeSecret;
use shared::domain::call_reading::{CallReading, CallVerdict};
use shared::domain::quota::{Decision, QuotaKey};
use shared::oauth::CallAnswer;
use shared::platform_calls::{AccessToken, NoToken, Wanted};
use url::Url;

use crate::access_token::no_token;
use crate::app::App;
use crate::caller::Caller;
use crate::metered::MeteredCall;

/// Refreshing a token, and two calls, take no longer: the gateway waits 29 s.
const TIMEOUT: Duration = Duration::from_secs(25);
/// A refused token that is no older is not replaced.
const NEW: TimeDelta = TimeDelta::minutes(1);
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

/// `ANY .../proxy/{path+}`.
pub(crate) async fn forward(
    metered: MeteredCall,
    State(app): State<App>,
    request: Request,
) -> Result<Response, Problem> {
    let caller = metered.caller;
    let (head, body) = request.into_parts();
    let call = Call {
        url: target::url(&app.endpoints, &caller, &head)?,
        headers: headers::to_platform(&head.headers, caller.platform),
        method: head.method,
        // The gateway and Lambda have limits of their own, and no longer body arrives.
        body: to_bytes(body, usize::MAX)
            .await
            .map_err(Problem::internal)?,
    };
    let clock = app.calls.clock.clone();
    let answered = clock.within(TIMEOUT, call_and_learn(&app, &caller, &call));
    let (answer, reading) = answered.await.ok_or_else(too_late)??;
    Ok(respond(answer, &reading))
}

fn too_late() -> Problem {
    let seconds = TIMEOUT.as_secs();
    Problem::gateway_timeout(format!(
        "The platform did not answer within {seconds} seconds. It may have done what it was asked \
         for."
    ))
}

/// Calls, and once more with a new token if the platform refuses the token.
async fn call_and_learn(
    app: &App,
    caller: &Caller,
    call: &Call,
) -> Result<(CallAnswer, CallReading), Problem> {
    let token = token(app, caller, Wanted::default())
        .await
        .map_err(|refused| no_token(caller, refused))?;
    let key = caller.quota_key();
    let (answer, reading) = send_and_learn(app, &key, call, &token).await?;
    if reading.verdict != CallVerdict::TokenRefused {
        return Ok((answer, reading));
    }
    match renewed(app, caller, &key, &token).await {
        Some(token) => send_and_learn(app, &key, call, &token).await,
        // The platform's own word is the best explanation that there is.
        None => Ok((answer, reading)),
    }
}

async fn token(app: &App, caller: &Caller, wanted: Wanted) -> Result<AccessToken, NoToken> {
    let tokens = &app.calls.tokens;
    tokens
        .find(&caller.integration, caller.platform, wanted)
        .await
}

/// Returns a new token in the place of a refused one, if there is one and a permit for another
/// call: each try is a call of its own. A token that is new itself is not replaced: whatever is
/// wrong, another exchange for each call does not mend it.
async fn renewed(
    app: &App,
    caller: &Caller,
    key: &QuotaKey,
    refused: &AccessToken,
) -> Option<AccessToken> {
    let now = app.calls.clock.now();
    if refused.issued_at.is_some_and(|at| now - at < NEW) {
        return None;
    }
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
        Ok(Decision::Admitted(_)) => Some(token),
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
) -> Result<(CallAnswer, CallReading), Problem> {
    let answer = send(app, call, token).await?;
    let feedback = &app.calls.feedback;
    let (reading, learned) = feedback.learn(key, &answer).await;
    let asks = matches!(
        reading.verdict,
        CallVerdict::PermissionLost | CallVerdict::PlatformActionNeeded
    );
    // A refused token is refreshed at once instead.
    let checked = match asks {
        true => feedback.have_checked(key, Some(token.generation)).await,
        false => Ok(()),
    };
    // The call was made: its answer must not be lost for that.
    if let Err(error) = learned.and(checked) {
        tracing::error!(%error, quota_key = %key, "an answer could not be acted on");
    }
    Ok((answer, reading))
}

async fn send(app: &App, call: &Call, token: &AccessToken) -> Result<CallAnswer, Problem> {
    let mut headers = call.headers.clone();
    let (name, value) = token.header();
    let value = HeaderValue::from_str(value.expose_secret());
    let mut value = value.map_err(|_| Problem::internal("the token is no header's value"))?;
    value.set_sensitive(true);
    headers.insert(
        HeaderName::from_bytes(name.as_bytes()).map_err(Problem::internal)?,
        value,
    );
    let mut request = app
        .http
        .request(call.method.clone(), call.url.clone())
        .headers(headers);
    if !call.body.is_empty() {
        request = request.body(call.body.clone());
    }
    let response = request.send().await.map_err(unreachable)?;
    let mut answer = read(response).await?;
    conceal::conceal(&token.token, &mut answer);
    Ok(answer)
}

fn unreachable(error: reqwest::Error) -> Problem {
    let detail = if error.is_connect() {
        "The platform could not be reached; nothing was sent."
    } else {
        "The platform did not answer properly. It may have done what it was asked for."
    };
    Problem::bad_gateway(detail, error.without_url())
}

/// Reads an answer that Lambda can return.
async fn read(mut response: reqwest::Response) -> Result<CallAnswer, Problem> {
    let head: usize = response
        .headers()
        .iter()
        .map(|(name, value)| name.as_str().len() + 2 * value.len() + 16)
        .sum();
    // The body is in base64 there.
    let room = MAX_LAMBDA_ANSWER.saturating_sub(JSON_ROOM + head) / 4 * 3;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > room {
            return Err(Problem::bad_gateway(
                format!(
                    "The platform's answer is longer than the {room} bytes that can be passed on. \
                     Take an access token, and make this call yourself. The platform has done what \
                     it was asked for."
                ),
                "a long answer",
            ));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(CallAnswer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body,
    })
}

/// Returns the platform's answer, and what it means.
fn respond(answer: CallAnswer, reading: &CallReading) -> Response {
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    *response.headers_mut() = headers::to_caller(&answer.headers);
    let headers = response.headers_mut();
    headers.insert(VERDICT, HeaderValue::from_static(reading.verdict.name()));
    let until = reading
        .closed_until()
        .as_ref()
        .map(DateTime::<Utc>::to_rfc3339);
    if let Some(until) = until.and_then(|until| HeaderValue::from_str(&until).ok()) {
        headers.insert(UNTIL, until);
    }
    response
}
