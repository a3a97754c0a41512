//! The token endpoint: exchanges codes and refresh tokens, and gives scripts a token for any user.

use aws_lc_rs::digest::{SHA256, digest};
use axum::Json;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, post};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::UserId;
use url::Url;

use super::issuer::{AUDIENCE, Issuer, TOKEN_LIFETIME_SECONDS};

/// How long a refresh token lives, in seconds.
const REFRESH_LIFETIME_SECONDS: i64 = 30 * 24 * 60 * 60;

pub(super) fn route() -> MethodRouter<Issuer> {
    post(issue)
}

/// A form of one of three kinds, by its `grant_type`.
#[derive(Deserialize)]
struct TokenRequest {
    grant_type: Option<String>,
    /// Without a `grant_type`: for whom.
    user: Option<String>,
    code: Option<String>,
    redirect_uri: Option<String>,
    client_id: Option<String>,
    code_verifier: Option<String>,
    refresh_token: Option<String>,
}

/// Why there is no token (RFC 6749, 5.2).
struct Refusal(&'static str, String);

async fn issue(
    State(issuer): State<Issuer>,
    request: Result<Form<TokenRequest>, FormRejection>,
) -> Response {
    let request = match request {
        Ok(Form(request)) => request,
        Err(rejection) => return refuse(Refusal("invalid_request", rejection.body_text())),
    };
    let answer = match request.grant_type.as_deref() {
        None => for_user(&issuer, request.user.as_deref().unwrap_or_default()),
        Some("authorization_code") => for_code(&issuer, &request),
        Some("refresh_token") => for_refresh_token(&issuer, &request),
        Some(_) => {
            let known = "grant_type must be authorization_code or refresh_token";
            Err(Refusal("unsupported_grant_type", known.to_owned()))
        }
    };
    let no_store = [(header::CACHE_CONTROL, "no-store")];
    answer.map_or_else(refuse, |answer| (no_store, Json(answer)).into_response())
}

fn refuse(Refusal(error, description): Refusal) -> Response {
    let status = match error {
        "server_error" => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    };
    let body = json!({"error": error, "error_description": description});
    (status, Json(body)).into_response()
}

fn for_user(issuer: &Issuer, user: &str) -> Result<Value, Refusal> {
    let user = UserId::new(user);
    let user = user.map_err(|invalid| Refusal("invalid_request", invalid.to_string()))?;
    tokens(issuer, &user)
}

fn tokens(issuer: &Issuer, user: &UserId) -> Result<Value, Refusal> {
    let token = sign(
        issuer,
        issuer.claims(user, AUDIENCE, TOKEN_LIFETIME_SECONDS),
    )?;
    Ok(json!({
        "access_token": token,
        "token_type": "Bearer",
        "expires_in": TOKEN_LIFETIME_SECONDS,
    }))
}

fn sign(issuer: &Issuer, claims: Value) -> Result<String, Refusal> {
    issuer.sign(claims).map_err(|error| {
        tracing::error!(error = format!("{error:#}"), "a local token was not issued");
        Refusal("server_error", "the token could not be signed".to_owned())
    })
}

fn for_code(issuer: &Issuer, request: &TokenRequest) -> Result<Value, Refusal> {
    let invalid = |what: &str| Refusal("invalid_grant", format!("{what} is not the code's"));
    let code = request.code.as_deref().unwrap_or_default();
    let authorization = issuer.codes().take(code, issuer.0.clock.now());
    let authorization = authorization.ok_or_else(|| {
        let what = "the code is unknown, has been exchanged, or has ended";
        Refusal("invalid_grant", what.to_owned())
    })?;
    if request.client_id.as_deref() != Some(AUDIENCE) {
        return Err(invalid("client_id"));
    }
    let redirect_uri = request.redirect_uri.as_deref().map(Url::parse);
    if redirect_uri != Some(Ok(authorization.redirect_uri)) {
        return Err(invalid("redirect_uri"));
    }
    let verifier = request.code_verifier.as_deref().unwrap_or_default();
    if BASE64.encode(digest(&SHA256, verifier.as_bytes())) != authorization.code_challenge {
        return Err(invalid("code_verifier"));
    }
    let mut answer = tokens(issuer, &authorization.user)?;
    let asked = |scope: &str| authorization.scope.split(' ').any(|of| of == scope);
    if asked("openid") {
        let mut claims = issuer.claims(&authorization.user, AUDIENCE, TOKEN_LIFETIME_SECONDS);
        if let Some(nonce) = authorization.nonce {
            claims["nonce"] = nonce.into();
        }
        answer["id_token"] = sign(issuer, claims)?.into();
    }
    if asked("offline_access") {
        answer["refresh_token"] = refresh_token(issuer, &authorization.user)?.into();
    }
    Ok(answer)
}

/// Returns a token that only this endpoint takes.
fn refresh_token(issuer: &Issuer, user: &UserId) -> Result<String, Refusal> {
    let claims = issuer.claims(user, &issuer.0.url, REFRESH_LIFETIME_SECONDS);
    sign(issuer, claims)
}

fn for_refresh_token(issuer: &Issuer, request: &TokenRequest) -> Result<Value, Refusal> {
    #[derive(Deserialize)]
    struct Claims {
        sub: UserId,
        exp: i64,
    }
    let invalid = || Refusal("invalid_grant", "the refresh token is not valid".to_owned());
    let token = request.refresh_token.as_deref().unwrap_or_default();
    let key = DecodingKey::from_jwk(&issuer.0.jwk).map_err(|_| invalid())?;
    let mut validation = Validation::new(Algorithm::ES256);
    validation.set_audience(&[&issuer.0.url]);
    validation.validate_exp = false; // by our clock, below
    let claims = jsonwebtoken::decode::<Claims>(token, &key, &validation);
    let Claims { sub, exp } = claims.map_err(|_| invalid())?.claims;
    if exp <= issuer.0.clock.now().timestamp() {
        return Err(invalid());
    }
    let mut answer = tokens(issuer, &sub)?;
    answer["refresh_token"] = refresh_token(issuer, &sub)?.into();
    Ok(answer)
}
