//! The OpenID provider that signs people and machines in.

mod issuer;

pub use issuer::{FetchError, InvalidIssuer, Issuer, Metadata};
