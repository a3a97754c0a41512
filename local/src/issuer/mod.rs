//! An OpenID provider for local users, so that authentication runs the same code
//! here as in production: discovery, key set, ES256 tokens, and signing in by the authorization
//! code flow with PKCE.

mod key;
mod sign_in;
mod token;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use axum::routing::get;
use axum::{Json, Router};
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use shared::{Clock, UserId};
use url::Url;

use self::sign_in::Codes;

/// The client id of whoever signs people in here, and the audience of their tokens.
pub(crate) const AUDIENCE: &str = "warden-local";

/// How long a local token lives, in seconds: a working day.
const TOKEN_LIFETIME_SECONDS: i64 = 12 * 60 * 60;

/// The issuer: a key pair, and the URL under which it is found. Cheap to clone.
#[derive(Clone)]
pub struct Issuer(Arc<IssuerState>);

struct IssuerState {
    url: String,
    clock: Clock,
    key: EncodingKey,
    jwk: Jwk,
    key_id: String,
    codes: Mutex<Codes>,
    offered: Mutex<Vec<OfferedUser>>,
}

/// A user whom the sign-in page offers; anybody else can be typed in.
#[derive(Debug, Clone)]
pub struct OfferedUser {
    pub id: UserId,
    /// Who that is, for people.
    pub description: &'static str,
}

impl Issuer {
    /// Opens the issuer served at `url`. Its key pair is kept in
    /// `data_dir/issuer.key` (mode 0600) and made there on the first start;
    /// without a data directory it lives as long as the process.
    ///
    /// # Errors
    /// If the key file cannot be made or read, or holds no P-256 key.
    pub fn open(data_dir: Option<&Path>, url: String, clock: Clock) -> anyhow::Result<Self> {
        let pkcs8 = match data_dir {
            Some(directory) => key::stored(directory)?,
            None => key::new()?,
        };
        let key = EncodingKey::from_ec_der(&pkcs8);
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256)
            .context("the issuer's public key cannot be derived")?;
        let key_id = jwk
            .thumbprint(ThumbprintHash::SHA256)
            .context("the issuer's key has no thumbprint")?;
        jwk.common.key_id = Some(key_id.clone());
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let url = url.trim_end_matches('/').to_owned();
        Ok(Self(Arc::new(IssuerState {
            url,
            clock,
            key,
            jwk,
            key_id,
            codes: Mutex::default(),
            offered: Mutex::default(),
        })))
    }

    /// Offers these users on the sign-in page.
    pub fn offer(&self, users: Vec<OfferedUser>) {
        *self.offered() = users;
    }

    fn codes(&self) -> std::sync::MutexGuard<'_, Codes> {
        self.0.codes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn offered(&self) -> std::sync::MutexGuard<'_, Vec<OfferedUser>> {
        self.0
            .offered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Serves discovery, the key set, the token endpoint, and the pages of signing in and out.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks.json", get(key_set))
            .route("/token", token::route())
            .layer(from_fn(for_pages_of_this_machine))
            .route("/authorize", sign_in::authorize_route())
            .route("/logout", get(sign_in::sign_out))
            .with_state(self.clone())
    }

    /// Returns a token for `user`, valid from now for twelve hours.
    ///
    /// # Errors
    /// If `user` is no [`UserId`], or signing failed.
    pub fn token(&self, user: &str) -> anyhow::Result<String> {
        let user = UserId::new(user)?;
        self.sign(self.claims(&user, AUDIENCE, TOKEN_LIFETIME_SECONDS))
    }

    /// Returns the claims of a token that is for `audience` and lives so many seconds from now.
    fn claims(&self, user: &UserId, audience: &str, seconds: i64) -> Value {
        let now = self.0.clock.now().timestamp();
        json!({
            "iss": self.0.url,
            "sub": user.as_str(),
            "aud": audience,
            "iat": now,
            "nbf": now,
            "exp": now + seconds,
        })
    }

    /// Signs any claims: for tests of what must be refused.
    ///
    /// # Errors
    /// If signing failed.
    pub fn sign(&self, claims: Value) -> anyhow::Result<String> {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.0.key_id.clone());
        jsonwebtoken::encode(&header, &claims, &self.0.key).context("a token could not be signed")
    }
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
    if let Some(origin) =
        origin.filter(|_| url.is_some_and(|url| sign_in::is_of_this_machine(&url)))
    {
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

#[cfg(test)]
mod tests;
