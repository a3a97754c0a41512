//! What can be wrong with a request for new tokens.

use super::grant::Denied;

#[derive(Debug, Clone, Copy)]
pub(super) enum Refusal<'a> {
    /// The body is not in the platform's encoding.
    Encoding,
    /// A parameter is missing or empty.
    Missing(&'a str),
    /// The grant type is not that of a refresh.
    GrantType(&'a str),
    /// The wrong client, or its credentials in the wrong place.
    Client,
    /// The right client with the wrong secret.
    Secret,
    /// What is wrong with the proof that the caller has the secret (Meta).
    Proof(&'static str),
    Token(Denied),
}
