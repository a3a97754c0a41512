//! An OpenID provider for local users, so that authentication runs the same code
//! here as in production: discovery, key set, ES256 tokens, and signing in by the authorization
//! code flow with PKCE.

mod codes;
mod issuer;
mod key;
mod loopback;
mod router;
mod sign_in;
#[cfg(test)]
mod tests;
mod token;

pub use issuer::OfferedUser;
pub(crate) use issuer::{AUDIENCE, Issuer};
pub(crate) use router::router;
