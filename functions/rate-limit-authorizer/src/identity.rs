//! Identifies callers by their bearer tokens.

use http::{HeaderMap, header};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Header, Validation};
use shared::openid::Issuer;
use shared::runtime::variables::InvalidVariable;
use shared::{Clock, UserId, Variables};

use crate::claims::{Audiences, Claims, Expected};
use crate::error::{Error, Refusal};
use crate::issuer_keys::IssuerKeys;
use crate::keys::{KeySet, SigningKey};

#[derive(Debug)]
pub(crate) struct Identity {
    expected: Expected,
    keys: Keys,
    clock: Clock,
}

#[derive(Debug)]
enum Keys {
    Pinned(KeySet),
    Served(Box<IssuerKeys>),
}

impl Identity {
    pub(crate) fn from_variables(
        variables: &Variables,
        clock: Clock,
    ) -> Result<Self, InvalidVariable> {
        let expected = Expected::from_variables(variables)?;
        let keys = match variables.get("AUTH_JWKS") {
            Some(json) => Keys::Pinned(
                KeySet::parse(json.as_bytes()).map_err(|e| variables.invalid("AUTH_JWKS", e))?,
            ),
            None => {
                let issuer = Issuer::new(variables.required("AUTH_ISSUER")?)
                    .map_err(|e| variables.invalid("AUTH_ISSUER", e))?;
                Keys::Served(Box::new(IssuerKeys::new(issuer, clock.clone())))
            }
        };
        Ok(Self {
            expected,
            keys,
            clock,
        })
    }

    /// Returns the user whose valid token for one of `audiences` is in the headers. API Gateway
    /// sends each header with a single value and again with all its values.
    pub(crate) async fn user(
        &self,
        single: &HeaderMap,
        multiple: &HeaderMap,
        audiences: Audiences<'_>,
    ) -> Result<UserId, Error> {
        let token = bearer(single, multiple)?;
        let head = jsonwebtoken::decode_header(token).map_err(|_| Refusal::Malformed)?;
        let key = self.key(&head).await?;
        let claims = signed_claims(token, &key)?;
        Ok(self.expected.user(&claims, audiences, self.clock.now())?)
    }

    /// Returns the key that the token names, and with which it must be signed.
    async fn key(&self, head: &Header) -> Result<SigningKey, Error> {
        // Before any key is looked for: a made-up token costs us nothing.
        if !matches!(head.alg, Algorithm::RS256 | Algorithm::ES256) {
            return Err(Refusal::Algorithm.into());
        }
        // We understand no extension, and critical ones must be (RFC 7515, 4.1.11).
        if head.crit.is_some() {
            return Err(Refusal::Malformed.into());
        }
        let id = head.kid.as_deref().ok_or(Refusal::NoKeyId)?;
        let key = match &self.keys {
            Keys::Pinned(keys) => keys.find(id).cloned(),
            Keys::Served(issuer) => issuer.key(id).await?,
        };
        let key = key.ok_or(Refusal::UnknownKey)?;
        if key.algorithm != head.alg {
            return Err(Refusal::Algorithm.into());
        }
        Ok(key)
    }
}

/// Returns the token of the one `Authorization: Bearer` header.
fn bearer<'a>(single: &'a HeaderMap, multiple: &'a HeaderMap) -> Result<&'a str, Refusal> {
    let name = header::AUTHORIZATION;
    let mut values = multiple.get_all(&name).iter();
    let value = values.next().or_else(|| single.get(&name));
    if values.next().is_some() {
        return Err(Refusal::NoToken);
    }
    let value = value.and_then(|value| value.to_str().ok());
    let (scheme, token) = value
        .and_then(|value| value.split_once(' '))
        .ok_or(Refusal::NoToken)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::NoToken);
    }
    Ok(token.trim())
}

/// Returns the claims of a token that `key` has signed.
fn signed_claims(token: &str, key: &SigningKey) -> Result<Claims, Refusal> {
    let mut validation = Validation::new(key.algorithm);
    // The library reads the system's clock and accepts more than we do: it
    // checks the signature, and `Expected` everything else.
    validation.required_spec_claims.clear();
    validation.validate_exp = false;
    validation.validate_nbf = false;
    validation.validate_aud = false;
    jsonwebtoken::decode::<Claims>(token, &key.material, &validation)
        .map(|token| token.claims)
        .map_err(|error| match error.kind() {
            ErrorKind::InvalidSignature => Refusal::Signature,
            _ => Refusal::Malformed,
        })
}

/// Whether `header` holds a token that one of `keys` has signed.
#[cfg(fuzzing)]
pub(crate) fn is_signed(header: &[u8], keys: &[u8]) -> bool {
    let keys = KeySet::parse(keys).unwrap();
    let (mut headers, none) = (HeaderMap::new(), HeaderMap::new());
    if let Ok(value) = header::HeaderValue::from_bytes(header) {
        headers.insert(header::AUTHORIZATION, value);
    }
    let Ok(token) = bearer(&headers, &none) else {
        return false;
    };
    let Ok(head) = jsonwebtoken::decode_header(token) else {
        return false;
    };
    let key = head.kid.as_deref().and_then(|id| keys.find(id));
    key.is_some_and(|key| key.algorithm == head.alg && signed_claims(token, key).is_ok())
}
