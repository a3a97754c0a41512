//! How the page signs people in: what it must know of the issuer, and the way to the issuer's
//! token endpoint. The page asks no other origin, so what it sends there goes through here.

mod provider;
mod sign_out;

use axum::Json;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use edge::problem::Problem;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use shared::openid::FetchError;

use crate::app::App;
use provider::ClientId;
pub(crate) use provider::Provider;
use sign_out::SignOut;

/// With it, a new access token takes no way through the browser. Not every issuer knows it.
const OFFLINE: &str = "offline_access";
/// What the page needs of a token endpoint's answer (OpenID Connect Core 1.0, 3.1.3.3).
const TOKENS: [&str; 4] = ["access_token", "refresh_token", "id_token", "expires_in"];

/// What the page needs to send people to the issuer.
#[derive(Debug, Serialize)]
pub(crate) struct Settings {
    authorization_endpoint: String,
    /// Null if the issuer ends no sessions.
    sign_out: Option<SignOut>,
    client_id: String,
    scope: String,
    /// Further parameters of the authorization request.
    parameters: Vec<(String, String)>,
}

fn unreachable(error: FetchError) -> Problem {
    Problem::unavailable("The identity provider does not answer. Please try again.").because(error)
}

/// `GET /sign-in`.
pub(crate) async fn show(
    State(app): State<App>,
    ClientId(client_id): ClientId,
) -> Result<Json<Settings>, Problem> {
    let provider = &app.sign_in;
    let metadata = provider.metadata().await.map_err(unreachable)?;
    let authorization_endpoint = provider
        .issuer
        .address("authorization_endpoint", &metadata.authorization_endpoint)
        .map_err(unreachable)?;
    let has_offline = metadata.scopes_supported.iter().any(|of| of == OFFLINE);
    Ok(Json(Settings {
        authorization_endpoint: authorization_endpoint.into(),
        sign_out: SignOut::at(&provider.issuer, &metadata).map_err(unreachable)?,
        client_id,
        scope: if has_offline {
            format!("openid {OFFLINE}")
        } else {
            "openid".to_owned()
        },
        parameters: provider.parameters.clone(),
    }))
}

/// The grants that a page may use: it has no secret.
#[derive(Deserialize)]
#[serde(tag = "grant_type", rename_all = "snake_case")]
pub(crate) enum Grant {
    AuthorizationCode {
        code: String,
        code_verifier: String,
        redirect_uri: String,
    },
    RefreshToken {
        refresh_token: String,
    },
}

/// `POST /sign-in/token`: the issuer's token endpoint, for our own client.
pub(crate) async fn token(
    State(app): State<App>,
    ClientId(client_id): ClientId,
    form: Result<Form<Grant>, FormRejection>,
) -> Result<Json<Map<String, Value>>, Problem> {
    let Form(grant) = form.map_err(|_| {
        Problem::bad_request(
            "The form must be a grant of a page: grant_type=authorization_code with code, \
             code_verifier and redirect_uri, or grant_type=refresh_token with refresh_token.",
        )
    })?;
    let provider = &app.sign_in;
    let metadata = provider.metadata().await.map_err(unreachable)?;
    let url = provider
        .issuer
        .address("token_endpoint", &metadata.token_endpoint)
        .map_err(unreachable)?;
    let mut form = vec![("client_id", client_id.as_str())];
    match &grant {
        Grant::AuthorizationCode {
            code,
            code_verifier,
            redirect_uri,
        } => form.extend([
            ("grant_type", "authorization_code"),
            ("code", code),
            ("code_verifier", code_verifier),
            ("redirect_uri", redirect_uri),
        ]),
        Grant::RefreshToken { refresh_token } => form.extend([
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token),
        ]),
    }
    let (status, body) = provider
        .issuer
        .post(&url, &form)
        .await
        .map_err(unreachable)?;
    let answer: Map<String, Value> = serde_json::from_slice(&body).unwrap_or_default();
    match status {
        200 if answer.get("access_token").is_some_and(Value::is_string) => Ok(Json(
            answer
                .into_iter()
                .filter(|(name, _)| TOKENS.contains(&name.as_str()))
                .collect(),
        )),
        400..500 => {
            let problem = Problem::bad_request("The identity provider refuses it: sign in again.");
            Err(problem.with("error", answer.get("error").cloned().unwrap_or_default()))
        }
        _ => Err(unreachable(FetchError::Status { url, status })),
    }
}
