//! Digests that name things: stable across releases and machines.

use aws_lc_rs::digest::{Context, SHA256};

/// Returns the first 128 bits of the SHA-256 of `parts`, in hexadecimal. A `#`, which no id
/// contains, follows each part.
#[must_use]
pub fn hex128(parts: &[&str]) -> String {
    hex(&sha256(parts)[..16])
}

#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let text = String::with_capacity(bytes.len() * 2);
    bytes.iter().fold(text, |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}"); // writing to a String cannot fail
        hex
    })
}

/// Returns the SHA-256 of `parts`, with a `#` after each.
#[must_use]
pub fn sha256(parts: &[&str]) -> Vec<u8> {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part.as_bytes());
        context.update(b"#");
    }
    context.finish().as_ref().to_vec()
}

/// Returns the SHA-256 of these bytes and no others.
#[must_use]
pub fn sha256_of(bytes: &[u8]) -> Vec<u8> {
    aws_lc_rs::digest::digest(&SHA256, bytes).as_ref().to_vec()
}

/// Returns the first 64 bits of the SHA-256 of `parts`.
#[must_use]
pub fn short(parts: &[&str]) -> u64 {
    sha256(parts)
        .iter()
        .take(8)
        .fold(0, |bits, byte| bits << 8 | u64::from(*byte))
}
