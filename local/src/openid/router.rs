//! What the provider serves: discovery, the key set, the token endpoint, and the pages of signing
//! in and out.

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use jsonwebtoken::jwk::JwkSet;
use serde_json::{Value, json};
use url::Url;

use super::issuer::Issuer;
use super::loopback::is_of_this_machine;
use super::{sign_in, token};

pub(crate) fn router(issuer: &Issuer) -> Router {
    Router::new()
        .route("/.well-known/openid-configuration", get(discovery))
        .route("/jwks.json", get(key_set))
        .route("/token", token::route())
        .layer(from_fn(for_pages_of_this_machine))
        .route("/authorize", sign_in::authorize_route())
        .route("/logout", get(sign_in::sign_out))
        .with_state(issuer.clone())
}

async fn discovery(State(issuer): State<Issuer>) -> Json<Value> {
    let url = &issuer.0.url;
    Json(json!({
        "issuer": url,
        "jwks_uri": format!("{url}/jwks.json"),
        "authorization_endpoint": format!("{url}/authorize"),
        "token_endpoint": format!("{url}/token"),
        "end_session_endpoint": format!("{url}/logout"),
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
        "code_challenge_methods_supported": ["S256"],
        "token_endpoint_auth_methods_supported": ["none"],
        "prompt_values_supported": ["none", "login"],
        "scopes_supported": ["openid", "offline_access"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "claims_supported": ["iss", "sub", "aud", "iat", "nbf", "exp", "nonce"],
    }))
}

/// Lets pages of this machine, and no others, read what is not for a person's eyes. A form is
/// sent, and an answer fetched, without a preflight.
async fn for_pages_of_this_machine(request: Request, next: Next) -> Response {
    let origin = request.headers().get(header::ORIGIN).cloned();
    let mut response = next.run(request).await;
    let url = origin.as_ref().and_then(|origin| origin.to_str().ok());
    let url = url.and_then(|origin| Url::parse(origin).ok());
    if let Some(origin) = origin.filter(|_| url.is_some_and(|url| is_of_this_machine(&url))) {
        response
            .headers_mut()
            .insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    response
}

async fn key_set(State(issuer): State<Issuer>) -> Json<JwkSet> {
    Json(JwkSet {
        keys: vec![issuer.0.jwk.clone()],
    })
}
