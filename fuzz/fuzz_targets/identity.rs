//! Any bytes as a key set, and as the claims of a token.

#![no_main]

use libfuzzer_sys::fuzz_target;
use shared::Variables;

fuzz_target!(|bytes: &[u8]| {
    let variables: Variables = [("AUTH_ISSUER", "https://issuer.test"), ("AUTH_AUDIENCE", "warden")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into_iter()
        .collect();
    let now = chrono::DateTime::from_timestamp(1_795_424_400, 0).unwrap();
    rate_limit_authorizer::fuzz_identity(&variables, bytes, now);
});
