//! An issuer in this process, with a clock of its own and countable fetches.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use axum::extract::State;
use axum::response::Redirect;
use axum::routing::get;
use axum::{Json, Router};
use chrono::DateTime;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use shared::Clock;

pub(super) struct Keypair {
    pub(super) id: String,
    pub(super) private: EncodingKey,
    algorithm: Algorithm,
}

impl Keypair {
    pub(super) fn ec(id: &str) -> Self {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
        Self {
            id: id.to_owned(),
            private: EncodingKey::from_ec_der(pkcs8.unwrap().as_ref()),
            algorithm: Algorithm::ES256,
        }
    }

    fn rsa(id: &str) -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        let pkcs8: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        Self {
            id: id.to_owned(),
            // Past the PKCS#8 envelope, of one length for this size of key, is
            // the bare PKCS#1 key that the library wants.
            private: EncodingKey::from_rsa_der(&pkcs8.as_ref()[26..]),
            algorithm: Algorithm::RS256,
        }
    }

    fn public(&self) -> Value {
        let mut key = Jwk::from_encoding_key(&self.private, self.algorithm).unwrap();
        key.common.key_id = Some(self.id.clone());
        serde_json::to_value(key).unwrap()
    }

    /// The public key as an attacker would take it for a secret.
    pub(super) fn public_bytes(&self) -> Vec<u8> {
        self.public().to_string().into_bytes()
    }
}

pub(super) struct Issuer {
    pub(super) url: String,
    pub(super) clock: Clock,
    pub(super) ec: Keypair,
    pub(super) rsa: Keypair,
    served: Arc<Served>,
}

struct Served {
    document: Mutex<Value>,
    keys: Mutex<Value>,
    fetches: AtomicUsize,
}

impl Issuer {
    pub(super) async fn serve() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let served = Arc::new(Served {
            document: Mutex::default(),
            keys: Mutex::default(),
            fetches: AtomicUsize::default(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(document))
            .route("/jwks", get(keys))
            .route("/moved", get(async || Redirect::temporary("/jwks")))
            .route("/endless", get(async || " ".repeat(10_000_000)))
            .route("/none", get(async || Json(json!({"keys": []}))))
            .with_state(served.clone());
        tokio::spawn(async { axum::serve(listener, router).await });
        let issuer = Self {
            url,
            clock: Clock::frozen(DateTime::from_timestamp(1_800_000_000, 0).unwrap()),
            ec: Keypair::ec("ec"),
            rsa: Keypair::rsa("rsa"),
            served,
        };
        issuer.recover();
        issuer.publish(&[&issuer.ec, &issuer.rsa]);
        issuer
    }

    /// How often the key set has been fetched.
    pub(super) fn fetches(&self) -> usize {
        self.served.fetches.load(Ordering::SeqCst)
    }

    pub(super) fn discover(&self, document: Value) {
        *self.served.document.lock().unwrap() = document;
    }

    pub(super) fn recover(&self) {
        self.discover(json!({"issuer": self.url, "jwks_uri": format!("{}/jwks", self.url)}));
    }

    pub(super) fn publish(&self, keys: &[&Keypair]) {
        *self.served.keys.lock().unwrap() = self.key_set(keys);
    }

    /// A key set as real issuers serve it, with keys for other purposes too.
    pub(super) fn key_set(&self, keys: &[&Keypair]) -> Value {
        let mut all: Vec<Value> = keys.iter().map(|key| key.public()).collect();
        let mut encryption = self.ec.public();
        encryption["use"] = json!("enc");
        encryption["kid"] = json!("encryption");
        all.push(encryption);
        all.push(json!({"kty": "oct", "kid": "secret", "k": "c2VjcmV0"}));
        all.push(json!({"kty": "EC", "crv": "secp256k1", "kid": "odd", "x": "AA", "y": "AA"}));
        all.push(json!({"kty": 7}));
        json!({"keys": all})
    }

    /// A token of Ian's that lives for an hour, with changes; null removes a claim.
    pub(super) fn token(&self, keypair: &Keypair, changes: Value) -> String {
        self.sign(
            keypair.algorithm,
            Some(&keypair.id),
            &keypair.private,
            changes,
        )
    }

    pub(super) fn sign(
        &self,
        algorithm: Algorithm,
        key_id: Option<&str>,
        key: &EncodingKey,
        changes: Value,
    ) -> String {
        let now = self.clock.now().timestamp();
        let mut claims = json!({
            "iss": self.url, "aud": "warden", "sub": "ian", "iat": now, "nbf": now, "exp": now + 3600,
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let claims = claims.as_object().unwrap().clone();
        let claims: serde_json::Map<_, _> = claims
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .collect();
        let mut header = Header::new(algorithm);
        header.kid = key_id.map(str::to_owned);
        jsonwebtoken::encode(&header, &claims, key).unwrap()
    }
}

async fn document(State(served): State<Arc<Served>>) -> Json<Value> {
    Json(served.document.lock().unwrap().clone())
}

async fn keys(State(served): State<Arc<Served>>) -> Json<Value> {
    served.fetches.fetch_add(1, Ordering::SeqCst);
    Json(served.keys.lock().unwrap().clone())
}
