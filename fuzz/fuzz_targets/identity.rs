//! Any bytes as a key set, as a header that bears a token, and as its claims.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::Variables;

fuzz_target!(|bytes: &[u8]| {
    let variables: Variables = [("AUTH_ISSUER", "https://issuer.test")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into_iter()
        .collect();
    let now = chrono::DateTime::from_timestamp(1_795_424_400, 0).unwrap();
    let keys = include_bytes!("../corpus/identity/keys");
    rate_limit_authorizer::fuzz_identity(&variables, keys, bytes, now);
});
