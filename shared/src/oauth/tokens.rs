//! Tokens in the clear.

use secrecy::{ExposeSecret, SecretString};

use crate::domain::refresh::Lifetimes;

/// A credential in the clear, for as long as it is being refreshed.
#[derive(Debug)]
pub struct Tokens {
    pub access_token: SecretString,
    pub refresh_token: Option<SecretString>,
}

impl Tokens {
    /// Whether the refresh token differs from the one that was sent.
    #[must_use]
    pub fn rotate(&self, sent: &Self) -> bool {
        match (&self.refresh_token, &sent.refresh_token) {
            (Some(new), Some(old)) => new.expose_secret() != old.expose_secret(),
            (new, _) => new.is_some(),
        }
    }
}

/// What a person brought back from a consent page, for one exchange.
#[derive(Debug)]
pub struct ConsentCode {
    pub code: SecretString,
    /// What the code challenge was made from; unused where the platform demands none.
    pub verifier: SecretString,
    /// Where the person came back to.
    pub redirect_uri: String,
}

/// New tokens (RFC 6749, 5.1). Never blank.
#[derive(Debug)]
pub struct TokenResponse {
    /// Without a refresh token if the answer had none.
    pub tokens: Tokens,
    pub lifetimes: Lifetimes,
    /// Whether the answer says what the grant allows, be it nothing.
    pub names_scopes: bool,
}
