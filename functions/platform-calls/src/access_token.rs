//! Living access tokens, for applications that call a platform themselves.

use axum::Json;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use chrono::TimeDelta;
use edge::json::parse_object;
use edge::problem::Problem;
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::platform_calls::{AccessToken, NeedsPerson, NoToken, Wanted};
use utoipa::ToSchema;

use crate::app::App;
use crate::caller::{Caller, other_platform};

/// The longest body, in bytes.
const MAX_BODY: usize = 4_096;
/// The range of `min_validity_seconds`.
const MIN_VALIDITY: std::ops::RangeInclusive<i64> = 1..=3_600;

/// A token and how to send it. Nothing here is ever a refresh token.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccessTokenView {
    access_token: String,
    token_type: &'static str,
    expires_at: Option<String>,
    scopes: Vec<String>,
    generation: u64,
    header: HeaderView,
}

/// The header of a call that this platform wants.
#[derive(Serialize, ToSchema)]
struct HeaderView {
    name: &'static str,
    value: String,
}

impl From<AccessToken> for AccessTokenView {
    fn from(token: AccessToken) -> Self {
        let (name, value) = token.header();
        Self {
            access_token: token.token.expose_secret().to_owned(),
            token_type: "Bearer",
            expires_at: token.expires_at.map(|at| at.to_rfc3339()),
            scopes: token.scopes,
            generation: token.generation,
            header: HeaderView {
                name,
                value: value.expose_secret().to_owned(),
            },
        }
    }
}

/// Takes a living access token
///
/// Refreshes it first where it has not the life that is asked for, or was refused by the platform.
#[utoipa::path(
    post,
    path = "/api/platforms/{platform}/{orgId}/{integrationId}/access-token",
    operation_id = "takeAccessToken",
    tag = "Calling platforms",
    security(("bearer" = ["use_integrations"])),
    request_body(content = Option<Body>, example = json!({"min_validity_seconds": 60})),
    responses(
        (status = 200, description = "The token, and how this platform wants it.", body = AccessTokenView),
        (status = 409, description = "A person must act: `state`, `reason`, `reconnect_url`. Or the integration is of another platform."),
        (status = 413, description = "The body is longer than 4 KiB."),
        (status = 503, description = "The platform holds us back, and nothing living is left; or the caller could not be checked."),
    ),
)]
pub(crate) async fn take(
    caller: Caller,
    State(app): State<App>,
    request: Request,
) -> Result<Json<AccessTokenView>, Problem> {
    let body = to_bytes(request.into_body(), MAX_BODY).await;
    let body =
        body.map_err(|_| Problem::too_large(format!("The body may have {MAX_BODY} bytes.")))?;
    let wanted = parse(&body)?;
    let Caller {
        user,
        platform,
        integration,
        ..
    } = &caller;
    let token = app
        .calls
        .tokens
        .hand_out(user, integration, *platform, wanted)
        .await
        .map_err(|refused| no_token(&caller, refused))?;
    Ok(Json(token.into()))
}

#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = AccessTokenRequest)]
struct Body {
    /// The least life that the token must have.
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 3600)]
    min_validity_seconds: Option<Value>,
    /// The generation of a token that the platform has just refused.
    #[schema(value_type = Option<u64>, format = "uint64")]
    rejected_generation: Option<Value>,
}

fn parse(body: &[u8]) -> Result<Wanted, Problem> {
    let mut wanted = Wanted::default();
    if body.trim_ascii().is_empty() {
        return Ok(wanted);
    }
    let Body {
        min_validity_seconds,
        rejected_generation,
    } = parse_object(body)?;
    if let Some(given) = min_validity_seconds {
        let seconds = given
            .as_i64()
            .filter(|seconds| MIN_VALIDITY.contains(seconds));
        let problem = "min_validity_seconds must be a whole number from 1 to 3600";
        let seconds = seconds.ok_or_else(|| must_be(problem, &given))?;
        wanted.min_validity = TimeDelta::seconds(seconds);
    }
    if let Some(given) = rejected_generation {
        let problem = "rejected_generation must be the generation of a token that was handed out";
        let generation = given.as_u64().ok_or_else(|| must_be(problem, &given))?;
        wanted.rejected_generation = Some(generation);
    }
    Ok(wanted)
}

fn must_be(what: &str, given: &Value) -> Problem {
    // A text might be a token in the wrong field.
    match given {
        Value::Number(number) => Problem::bad_request(format!("{what}, not {number}.")),
        _ => Problem::bad_request(format!("{what}.")),
    }
}

/// Says why there is no token.
pub(crate) fn no_token(caller: &Caller, refused: NoToken) -> Problem {
    match refused {
        NoToken::UnknownIntegration => Problem::unknown_integration(),
        NoToken::OtherPlatform(platform) => other_platform(platform, caller.platform),
        NoToken::NeedsPerson(NeedsPerson {
            state,
            reason,
            message,
            reconnect_url,
        }) => Problem::conflict(message)
            .with("state", state)
            .with("reason", reason)
            .with("reconnect_url", reconnect_url),
        NoToken::NotNow {
            message,
            retry_after,
        } => Problem::unavailable(message).retry_after(retry_after),
        NoToken::Table(error) => error.into(),
        NoToken::Cipher(error) => {
            Problem::unavailable("The token could not be opened just now. Please try again.")
                .because(error)
        }
        NoToken::Http(error) => Problem::internal(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wanted_is_read_strictly() {
        assert_eq!(parse(b"").unwrap(), Wanted::default());
        assert_eq!(parse(b" {} ").unwrap(), Wanted::default());
        let wanted = parse(br#"{"min_validity_seconds":3600,"rejected_generation":7}"#).unwrap();
        assert_eq!(wanted.min_validity, TimeDelta::hours(1));
        assert_eq!(wanted.rejected_generation, Some(7));
        for (bad, says) in [
            (r#"{"min_validity_seconds":0}"#, "from 1 to 3600, not 0"),
            (r#"{"min_validity_seconds":3601}"#, "not 3601"),
            (r#"{"min_validity_seconds":1.5}"#, "not 1.5"),
            (r#"{"min_validity_seconds":"60"}"#, "from 1 to 3600."),
            (r#"{"rejected_generation":-1}"#, "not -1"),
            (r#"{"rejected_generation":"EAAsecret"}"#, "handed out."),
            (r#"{"min_validity":60}"#, "unknown field `min_validity`"),
            ("[]", "The body is not as it should be"),
            ("{", "The body is not as it should be"),
        ] {
            let problem = format!("{:?}", parse(bad.as_bytes()).unwrap_err());
            assert!(problem.contains(says), "{bad}: {problem}");
            assert!(!problem.contains("EAAsecret"), "{problem}");
        }
    }
}
