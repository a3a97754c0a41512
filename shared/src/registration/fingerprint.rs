//! Recognises a credential that was handed over before, without opening what is stored of it:
//! whoever registers can seal, and not open.

use aws_lc_rs::{hmac, rand};
use secrecy::{ExposeSecret, SecretString};

use super::Registration;
use crate::aws::token_cipher::CipherError;
pub use crate::domain::integration::Fingerprint;

const SALT: usize = 16;
const MAC: usize = 32;

/// How far a credential is the one that was handed over before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likeness {
    /// Its tokens are not the same.
    Other,
    /// Its tokens are the same; its dates or scopes are not.
    SameTokens,
    /// Its tokens, dates and scopes are the same.
    Same,
}

impl Fingerprint {
    /// Returns the fingerprint of a credential; `None` for one without an access token.
    ///
    /// # Errors
    /// If there is no randomness.
    pub fn new(registration: &Registration) -> Result<Option<Self>, CipherError> {
        let Some(access) = &registration.access_token else {
            return Ok(None);
        };
        let mut salt = [0; SALT];
        rand::fill(&mut salt).map_err(|_| CipherError::Cipher)?;
        let key = hmac::Key::new(hmac::HMAC_SHA256, &salt);
        let mut bytes = salt.to_vec();
        bytes.extend(hmac::sign(&key, &tokens(registration, access)).as_ref());
        bytes.extend(hmac::sign(&key, &rest(registration)).as_ref());
        Ok(Some(Self(bytes)))
    }

    #[must_use]
    pub fn likeness(&self, registration: &Registration) -> Likeness {
        let parts = self.0.split_at_checked(SALT);
        let parts = parts.and_then(|(salt, macs)| Some((salt, macs.split_at_checked(MAC)?)));
        let (Some((salt, (first, second))), Some(access)) = (parts, &registration.access_token)
        else {
            return Likeness::Other;
        };
        let key = hmac::Key::new(hmac::HMAC_SHA256, salt);
        let is = |bytes: &[u8], mac| hmac::verify(&key, bytes, mac).is_ok();
        if !is(&tokens(registration, access), first) {
            Likeness::Other
        } else if is(&rest(registration), second) {
            Likeness::Same
        } else {
            Likeness::SameTokens
        }
    }
}

/// Joins the parts unambiguously: each with its length before it.
fn tokens(of: &Registration, access: &SecretString) -> Vec<u8> {
    let refresh = of.refresh_token.as_ref().map(ExposeSecret::expose_secret);
    let parts = [
        of.platform.name(),
        access.expose_secret(),
        refresh.unwrap_or_default(),
    ];
    let part = |part: &str| [&part.len().to_be_bytes(), part.as_bytes()].concat();
    parts.into_iter().flat_map(part).collect()
}

fn rest(of: &Registration) -> Vec<u8> {
    let fields = (
        of.token_issued_at,
        of.token_expires_at,
        of.refresh_token_expires_at,
        of.data_access_expires_at,
        &of.scopes,
    );
    format!("{fields:?}").into_bytes()
}
