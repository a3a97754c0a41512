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
use utoipa::ToSchema;

use crate::app::App;
use provider::ClientId;
pub(crate) use provider::Provider;
use sign_out::SignOut;

/// With it, a new access token takes no way through the browser. Not every issuer knows it.
const OFFLINE: &str = "offline_access";
/// What the page needs of a token endpoint's answer (OpenID Connect Core 1.0, 3.1.3.3).
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Tokens {
    access_token: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
}

/// What the page needs to send people to the issuer.
#[derive(Debug, Serialize, ToSchema)]
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

/// Says how people sign in
///
/// What the page must know to send people to the OpenID provider.
#[utoipa::path(
    get,
    path = "/sign-in",
    operation_id = "getSignIn",
    tag = "The page",
    security(()),
    responses(
        (status = 200, description = "The provider, and our client there.", body = Settings),
        (status = 404, description = "The deployment names no client."),
        (status = 503, description = "The provider does not answer."),
    ),
)]
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
#[derive(Deserialize, ToSchema)]
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

/// Asks the provider for tokens
///
/// The provider's token endpoint, for our own client: the page asks no other origin.
#[utoipa::path(
    post,
    path = "/sign-in/token",
    operation_id = "signIn",
    tag = "The page",
    security(()),
    request_body(content = Grant, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The provider's tokens (OpenID Connect Core 1.0, 3.1.3.3).", body = Tokens),
        (status = 400, description = "The provider refuses it; `error` says why."),
        (status = 404, description = "The deployment names no client."),
        (status = 503, description = "The provider does not answer."),
    ),
)]
pub(crate) async fn token(
    State(app): State<App>,
    ClientId(client_id): ClientId,
    form: Result<Form<Grant>, FormRejection>,
) -> Result<Json<Tokens>, Problem> {
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
    if status == 200
        && let Ok(tokens) = serde_json::from_slice(&body)
    {
        return Ok(Json(tokens));
    }
    if !(400..500).contains(&status) {
        return Err(unreachable(FetchError::Status { url, status }));
    }
    let refusal: Map<String, Value> = serde_json::from_slice(&body).unwrap_or_default();
    let problem = Problem::bad_request("The identity provider refuses it: sign in again.");
    Err(problem.with("error", refusal.get("error").cloned().unwrap_or_default()))
}
