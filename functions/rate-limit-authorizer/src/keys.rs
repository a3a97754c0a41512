//! A JSON Web Key Set, reduced to the keys that may sign our tokens.

use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde::Deserialize;
use serde_json::Value;

/// The keys of an issuer; at least one.
#[derive(Debug)]
pub(crate) struct KeySet(Vec<SigningKey>);

/// A key, and the one algorithm that it is for: the token does not choose.
#[derive(Debug, Clone)]
pub(crate) struct SigningKey {
    id: String,
    pub(crate) algorithm: Algorithm,
    pub(crate) material: DecodingKey,
}

#[derive(Debug, thiserror::Error)]
pub enum InvalidKeySet {
    #[error("it is no JSON Web Key Set: {0}")]
    Json(#[from] serde_json::Error),
    #[error("it holds no key with an id for RS256 or ES256 signatures")]
    NoKey,
}

impl KeySet {
    /// Parses a key set, passing over keys for other purposes (RFC 7517, 5).
    pub(crate) fn parse(json: &[u8]) -> Result<Self, InvalidKeySet> {
        #[derive(Deserialize)]
        struct RawKeySet {
            keys: Vec<Value>,
        }
        let set: RawKeySet = serde_json::from_slice(json)?;
        let keys: Vec<SigningKey> = set
            .keys
            .into_iter()
            .filter_map(SigningKey::from_jwk)
            .collect();
        if keys.is_empty() {
            return Err(InvalidKeySet::NoKey);
        }
        Ok(Self(keys))
    }

    pub(crate) fn find(&self, id: &str) -> Option<&SigningKey> {
        self.0.iter().find(|key| key.id == id)
    }
}

impl SigningKey {
    fn from_jwk(key: Value) -> Option<Self> {
        let key: Jwk = serde_json::from_value(key).ok()?;
        let algorithm = match &key.algorithm {
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => {
                Algorithm::ES256
            }
            _ => return None,
        };
        let declared = key.common.key_algorithm;
        let operations = key.common.key_operations.as_ref();
        let usable = declared.is_none_or(|declared| declared == KeyAlgorithm::from(algorithm))
            && operations.is_none_or(|allowed| allowed.contains(&KeyOperations::Verify))
            && matches!(
                key.common.public_key_use,
                None | Some(PublicKeyUse::Signature)
            );
        if !usable {
            return None;
        }
        Some(Self {
            material: DecodingKey::from_jwk(&key).ok()?,
            id: key.common.key_id?,
            algorithm,
        })
    }
}
