//! An OpenID issuer for local users, so that authentication runs the same code
//! here as in production: discovery, key set, ES256 tokens.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::runtime::random_id;
use shared::{Clock, UserId};

/// The audience of every token that [`Issuer::token`] makes.
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
            Some(directory) => stored_key(directory)?,
            None => new_key()?,
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
        })))
    }

    /// Serves discovery, the key set, and `POST /token`.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/jwks.json", get(key_set))
            .route("/token", post(issue))
            .with_state(self.clone())
    }

    /// Returns a token for `user`, valid from now for twelve hours.
    ///
    /// # Errors
    /// If `user` is no [`UserId`], or signing failed.
    pub fn token(&self, user: &str) -> anyhow::Result<String> {
        let user = UserId::new(user)?;
        let now = self.0.clock.now().timestamp();
        self.sign(json!({
            "iss": self.0.url,
            "sub": user.as_str(),
            "aud": AUDIENCE,
            "iat": now,
            "nbf": now,
            "exp": now + TOKEN_LIFETIME_SECONDS,
        }))
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
        "token_endpoint": format!("{url}/token"),
        "response_types_supported": ["token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "claims_supported": ["iss", "sub", "aud", "iat", "nbf", "exp"],
    }))
}

async fn key_set(State(issuer): State<Issuer>) -> Json<JwkSet> {
    Json(JwkSet {
        keys: vec![issuer.0.jwk.clone()],
    })
}

#[derive(Deserialize)]
struct TokenRequest {
    user: String,
}

async fn issue(
    State(issuer): State<Issuer>,
    request: Result<Form<TokenRequest>, FormRejection>,
) -> Response {
    let user = match request {
        Ok(Form(TokenRequest { user })) => user,
        Err(rejection) => return bad_request(&rejection.body_text()),
    };
    if let Err(invalid) = UserId::new(user.as_str()) {
        return bad_request(&invalid.to_string());
    }
    match issuer.token(&user) {
        Ok(token) => Json(json!({
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": TOKEN_LIFETIME_SECONDS,
        }))
        .into_response(),
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "a local token was not issued");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn bad_request(description: &str) -> Response {
    let body = json!({"error": "invalid_request", "error_description": description});
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

fn new_key() -> anyhow::Result<Vec<u8>> {
    EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
        .map(|document| document.as_ref().to_vec())
        .map_err(|_| anyhow!("no key pair could be made for the issuer"))
}

/// Reads the key, making it first if there is none. The new key is written
/// aside and linked into place, so that neither a crash nor another process
/// starting at the same moment leaves half a key or two of them.
fn stored_key(directory: &Path) -> anyhow::Result<Vec<u8>> {
    let path = directory.join("issuer.key");
    if !path.exists() {
        fs::create_dir_all(directory)
            .with_context(|| format!("{} cannot be made", directory.display()))?;
        let aside = directory.join(format!("issuer.key.{}", random_id()));
        let written =
            write_private(&aside, &new_key()?).and_then(|()| match fs::hard_link(&aside, &path) {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
                _ => Ok(()),
            });
        let removed = fs::remove_file(&aside);
        written
            .and(removed)
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    let key = fs::read(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key).map_err(|rejected| {
        anyhow!(
            "{} is not a P-256 key ({rejected}); delete it to have a new one made",
            path.display()
        )
    })?;
    Ok(key)
}

fn write_private(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use jsonwebtoken::{DecodingKey, Validation};
    use tower::ServiceExt;

    use super::*;

    const URL: &str = "http://127.0.0.1:9/issuer";

    struct Scratch(PathBuf);

    impl Scratch {
        fn new() -> Self {
            let name = format!("warden-issuer-{}", random_id());
            Self(std::env::temp_dir().join(name))
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn in_memory() -> Issuer {
        Issuer::open(None, format!("{URL}/"), Clock::system()).unwrap()
    }

    async fn call(issuer: &Issuer, request: Request<Body>) -> (StatusCode, Value) {
        let response = issuer.router().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 65_536).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    async fn get(issuer: &Issuer, path: &str) -> Value {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let (status, body) = call(issuer, request).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        body
    }

    async fn ask_token(issuer: &Issuer, form: &'static str) -> (StatusCode, Value) {
        let request = Request::post("/token")
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(form))
            .unwrap();
        call(issuer, request).await
    }

    fn verify(token: &str, keys: &JwkSet) -> Value {
        let key_id = jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
        let key = DecodingKey::from_jwk(keys.find(&key_id).unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::ES256);
        validation.set_issuer(&[URL]);
        validation.set_audience(&[AUDIENCE]);
        validation.validate_nbf = true;
        jsonwebtoken::decode(token, &key, &validation)
            .unwrap()
            .claims
    }

    #[tokio::test]
    async fn a_token_verifies_against_the_key_set_found_by_discovery() {
        let issuer = in_memory();
        let discovery = get(&issuer, "/.well-known/openid-configuration").await;
        assert_eq!(discovery["issuer"], URL);
        let path = discovery["jwks_uri"].as_str().unwrap();
        let keys = get(&issuer, path.strip_prefix(URL).unwrap()).await;
        assert_eq!(keys["keys"][0]["alg"], "ES256");
        assert!(keys["keys"][0].get("d").is_none());

        let (status, answer) = ask_token(&issuer, "user=auth0%7Cian").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(answer["expires_in"], 43_200);
        assert_eq!(answer["token_type"], "Bearer");
        let keys = serde_json::from_value(keys).unwrap();
        let claims = verify(answer["access_token"].as_str().unwrap(), &keys);
        assert_eq!(claims["sub"], "auth0|ian");
        let life = claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap();
        assert_eq!(life, TOKEN_LIFETIME_SECONDS);
    }

    #[tokio::test]
    async fn a_user_outside_the_alphabet_gets_no_token() {
        let issuer = in_memory();
        for form in ["user=a%23b", "user=", "name=ian", ""] {
            let (status, body) = ask_token(&issuer, form).await;
            assert_eq!(status, StatusCode::BAD_REQUEST, "{form}");
            assert_eq!(body["error"], "invalid_request");
        }
        assert!(issuer.token("a b").is_err());
    }

    #[test]
    fn the_key_survives_a_restart_and_is_private() {
        let scratch = Scratch::new();
        let open = || Issuer::open(Some(&scratch.0), URL.to_owned(), Clock::system()).unwrap();
        let first = open();
        let second = open();
        assert_eq!(first.0.key_id, second.0.key_id);
        let keys = JwkSet {
            keys: vec![second.0.jwk.clone()],
        };
        assert_eq!(verify(&first.token("ian").unwrap(), &keys)["sub"], "ian");

        let files: Vec<_> = fs::read_dir(&scratch.0).unwrap().collect();
        assert_eq!(files.len(), 1, "nothing but the key is left behind");
        let mode = fs::metadata(scratch.0.join("issuer.key"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_spoilt_key_file_is_named() {
        let scratch = Scratch::new();
        fs::create_dir_all(&scratch.0).unwrap();
        fs::write(scratch.0.join("issuer.key"), b"junk").unwrap();
        let opened = Issuer::open(Some(&scratch.0), URL.to_owned(), Clock::system());
        let error = opened.err().unwrap().to_string();
        assert!(error.contains("issuer.key is not a P-256 key"), "{error}");
    }
}
