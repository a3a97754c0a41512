//! The issuer: its key, its tokens, and what it remembers of people who are signing in.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context;
use jsonwebtoken::jwk::{Jwk, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use shared::{Clock, UserId};

use super::codes::Codes;
use super::key;

/// The client id of whoever signs people in here, and the audience of their tokens.
pub(crate) const AUDIENCE: &str = "warden-local";

/// How long a local token lives, in seconds: a working day.
pub(super) const TOKEN_LIFETIME_SECONDS: i64 = 12 * 60 * 60;

/// The issuer: a key pair, and the URL under which it is found. Cheap to clone.
#[derive(Clone)]
pub struct Issuer(pub(super) Arc<IssuerState>);

pub(super) struct IssuerState {
    pub(super) url: String,
    pub(super) clock: Clock,
    key: EncodingKey,
    pub(super) jwk: Jwk,
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

    pub(super) fn codes(&self) -> std::sync::MutexGuard<'_, Codes> {
        self.0.codes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn offered(&self) -> std::sync::MutexGuard<'_, Vec<OfferedUser>> {
        self.0
            .offered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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
    pub(super) fn claims(&self, user: &UserId, audience: &str, seconds: i64) -> Value {
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
