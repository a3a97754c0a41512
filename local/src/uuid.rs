//! Ids in UUID's form.

use rand::RngExt;
use shared::domain::digest::hex;

/// Returns a fresh id, as AWS names requests and messages.
pub(crate) fn random_uuid() -> String {
    format_uuid(rand::rng().random())
}

pub(crate) fn format_uuid(bytes: [u8; 16]) -> String {
    let hex = hex(&bytes);
    let (a, b, c, d, e) = (
        &hex[..8],
        &hex[8..12],
        &hex[12..16],
        &hex[16..20],
        &hex[20..],
    );
    format!("{a}-{b}-{c}-{d}-{e}")
}
