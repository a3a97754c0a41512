//! What Meta, Instagram and Threads share: the Graph API's errors and extensions.

use serde_json::{Value, json};

use super::grant::{Denied, EpochSeconds, Issued, TokenStatus};
use super::probe::{ProbeContext, ProbeEndpoint, TokenPlace, bearer_probe};
use super::refusal::Refusal;
use super::response::{PlatformResponse, trace_id};
use super::rules::Rules;
use super::simulated::NamedError;

/// Builds the body of an answer with an extended token.
pub(super) fn extended(rules: &Rules, issued: &Issued) -> Value {
    let mut body = json!({"access_token": issued.access_token, "token_type": "bearer"});
    if rules.says_expires_in {
        body["expires_in"] = json!(issued.expires_in);
    }
    body
}

/// Returns the probe `GET /me`, for a token that is extended without a refresh token.
pub(super) const fn me(path: &'static str) -> ProbeEndpoint {
    ProbeEndpoint {
        token: TokenPlace::ParameterOrBearer("access_token"),
        ..bearer_probe(path, account, refuse_probe)
    }
}

fn account(_: &ProbeContext<'_>, status: &TokenStatus) -> PlatformResponse {
    let id = status.account();
    PlatformResponse::ok(&json!({"id": id, "user_id": id, "username": status.username()}))
}

pub(super) fn refuse_probe(denied: Option<Denied>) -> PlatformResponse {
    refuse(denied.map_or(Refusal::Missing("access_token"), Refusal::Token))
}

pub(super) fn refuse(refusal: Refusal<'_>) -> PlatformResponse {
    let (code, subcode, message) = match refusal {
        Refusal::Encoding => (100, 0, "Unsupported request encoding".to_owned()),
        Refusal::Missing("client_id") => (101, 0, "Missing client_id parameter.".to_owned()),
        Refusal::Missing(name) => (100, 0, format!("The parameter {name} is required.")),
        Refusal::GrantType(_) => (100, 0, "Unsupported grant_type".to_owned()),
        Refusal::Client => (
            101,
            0,
            "Error validating application. Invalid application ID.".to_owned(),
        ),
        // The same code as an unknown error; only the message tells.
        Refusal::Secret => (1, 0, "Error validating client secret.".to_owned()),
        Refusal::Proof("Invalid") => (
            100,
            0,
            "Invalid appsecret_proof provided in the API argument".to_owned(),
        ),
        Refusal::Proof(wrong) => (100, 0, format!("{wrong} appsecret_proof argument")),
        Refusal::Token(Denied::Revoked) => (
            190,
            458,
            "Error validating access token: The user has not authorized application 1.".to_owned(),
        ),
        Refusal::Token(Denied::Expired) => (
            190,
            463,
            "Error validating access token: Session has expired.".to_owned(),
        ),
        // Not documented; callers are to keep the age themselves.
        Refusal::Token(Denied::TooYoung) => (
            100,
            0,
            "The access token must be at least 24 hours old to be refreshed.".to_owned(),
        ),
        Refusal::Token(Denied::Unknown | Denied::Used | Denied::Replaced) => (
            190,
            0,
            "Invalid OAuth access token - Cannot parse access token".to_owned(),
        ),
    };
    error(400, code, subcode, &message)
}

/// Answers a code as facebook-login documents it.
pub(super) fn refuse_code(denied: Denied) -> PlatformResponse {
    match denied {
        Denied::Expired => error(400, 100, 36_007, "This authorization code has expired."),
        _ => error(400, 100, 36_009, "This authorization code has been used."),
    }
}

/// Answers HTTP 400, not 429; the wait stands in minutes under a business id.
pub(super) fn throttle(retry_after: Option<u64>, _: EpochSeconds) -> PlatformResponse {
    let usage = json!({"call_count": 100, "total_time": 100, "total_cputime": 100});
    let response = error(400, 4, 0, "(#4) Application request limit reached")
        .with("x-app-usage", usage.to_string());
    let Some(seconds) = retry_after else {
        return response;
    };
    let usage = json!({"1000000000000001": [{
        "type": "ads_management",
        "call_count": 100,
        "total_cputime": 100,
        "total_time": 100,
        "estimated_time_to_regain_access": seconds.div_ceil(60),
        "ads_api_access_tier": "standard_access",
    }]});
    response.with("x-business-use-case-usage", usage.to_string())
}

/// Builds the Graph API's error. Subcode 0 means none.
pub(super) fn error(status: u16, code: u32, subcode: u32, message: &str) -> PlatformResponse {
    let mut error = json!({
        "message": message,
        "type": "OAuthException",
        "code": code,
        "fbtrace_id": trace_id(),
    });
    if subcode != 0 {
        error["error_subcode"] = json!(subcode);
    }
    if matches!(code, 2 | 4 | 17 | 32) {
        error["is_transient"] = json!(true);
    }
    PlatformResponse::json(status, &json!({ "error": error }))
}

/// Meta uses 5xx for its own failures only, and 400 even for throttling.
fn named(code: u32, subcode: u32, message: &str) -> PlatformResponse {
    let failed = matches!(code, 2 | 960 | 104);
    error(if failed { 500 } else { 400 }, code, subcode, message)
}

#[rustfmt::skip] // an error a line
pub(super) static ERRORS: &[NamedError] = &[
    ("190", || named(190, 0, "Invalid OAuth 2.0 Access Token")),
    ("190/458", || named(190, 458, "Error validating access token: The user has not authorized application 1.")),
    ("190/459", || named(190, 459, "Error validating access token: You cannot access the app till you log in to www.facebook.com and follow the instructions given.")),
    ("190/452", || named(190, 452, "Error validating access token: Session does not match current stored session.")),
    ("190/460", || named(190, 460, "Error validating access token: The session has been invalidated because the user changed their password or Facebook has changed the session for security reasons.")),
    ("190/463", || named(190, 463, "Error validating access token: Session has expired.")),
    ("190/464", || named(190, 464, "Error validating access token: Sessions for the user are not allowed because the user is not a confirmed user.")),
    ("190/467", || named(190, 467, "Error validating access token: The session is invalid because the user logged out.")),
    ("190/468", || named(190, 468, "Error validating access token: The session is invalid because the app was unused for too long.")),
    ("190/490", || named(190, 490, "Error validating access token: The user is enrolled in a blocking, logged-in checkpoint")),
    ("190/492", || named(190, 492, "Error validating access token: Session is invalid.")),
    ("190/493", || named(190, 493, "Error validating access token: The user hasn't engaged the app in longer than 90 days.")),
    ("log_in_first", || named(190, 0, "You cannot access the app till you log in to www.instagram.com and follow the instructions given.")),
    ("invalid_grant", || named(190, 0, "Invalid OAuth 2.0 Access Token")),
    ("102", || named(102, 0, "Session key invalid or no longer valid")),
    ("102/459", || named(102, 459, "Error validating access token: You cannot access the app till you log in to www.facebook.com and follow the instructions given.")),
    ("102/460", || named(102, 460, "Error validating access token: The session has been invalidated because the user changed the password.")),
    ("100", || named(100, 0, "Invalid parameter")),
    ("proof_required", || named(100, 0, "API calls from the server require an appsecret_proof argument")),
    ("another_app", || named(100, 0, "(#100) The App_id in the input_token did not match the Viewing App")),
    ("3", || named(3, 0, "(#3) Application does not have the capability to make this API call.")),
    ("10", || named(10, 0, "(#10) Application does not have permission for this action")),
    ("200", || named(200, 0, "(#200) Permissions error")),
    ("299", || named(299, 0, "(#299) Permissions error")),
    ("101", || named(101, 0, "Error validating application. Invalid application ID.")),
    ("invalid_client", || named(101, 0, "Error validating application. Invalid application ID.")),
    ("invalid_secret", || named(1, 0, "Error validating client secret.")),
    ("1", || named(1, 0, "An unknown error occurred")),
    ("1/99", || named(1, 99, "An unknown error occurred")),
    ("2", || named(2, 0, "An unexpected error has occurred. Please retry your request later.")),
    ("server_error", || named(2, 0, "An unexpected error has occurred. Please retry your request later.")),
    ("104", || named(104, 0, "Connection reset by peer")),
    ("960", || named(960, 0, "Request aborted. This could happen if a dependent request failed or the entire request timed out.")),
    ("4", || named(4, 0, "(#4) Application request limit reached")),
    ("17", || named(17, 0, "(#17) User request limit reached")),
    ("32", || named(32, 0, "(#32) Page request limit reached")),
    ("613", || named(613, 0, "(#613) Calls to this api have exceeded the rate limit.")),
    ("341", || named(341, 0, "(#341) Feed action request limit reached")),
    ("368", || named(368, 0, "The action attempted has been deemed abusive or is otherwise disallowed")),
    ("80000", || named(80000, 0, TOO_MANY)),
    ("80001", || named(80001, 0, TOO_MANY)),
    ("80002", || named(80002, 0, TOO_MANY)),
    ("80003", || named(80003, 0, TOO_MANY)),
    ("80004", || named(80004, 0, TOO_MANY)),
    ("80005", || named(80005, 0, TOO_MANY)),
    ("80006", || named(80006, 0, TOO_MANY)),
    ("80008", || named(80008, 0, TOO_MANY)),
    ("80009", || named(80009, 0, TOO_MANY)),
    ("80014", || named(80014, 0, TOO_MANY)),
];

const TOO_MANY: &str = "There have been too many calls to this account. Wait a bit and try again.";
