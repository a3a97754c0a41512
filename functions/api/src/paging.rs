//! Pages of rows: how many rows an answer has, and where the next page begins.

use std::fmt::Display;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;

/// The most bytes of rows in one answer, counted inside the JSON string that the function returns:
/// Lambda allows 6 MB there.
pub(crate) const MAX_PAGE_BYTES: usize = 5_500_000;

/// What [`parse_limit`] takes, in words.
pub(crate) const LIMIT_RANGE: &str = "a whole number from 1 to 1000";

/// What a `next` parameter takes, in words.
pub(crate) const CURSOR_SOURCE: &str = "what the page before said";

/// Parses a number of rows, within [`LIMIT_RANGE`].
pub(crate) fn parse_limit(value: &str) -> Option<usize> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let limit = value.parse().ok().filter(|_| digits)?;
    (1..=1_000).contains(&limit).then_some(limit)
}

/// Returns the value of `next` for the page after the one that ends with `last`.
pub(crate) fn encode_cursor(last: &impl Display) -> String {
    BASE64.encode(last.to_string())
}

/// Returns the id after which a page begins, from the value of `next`.
pub(crate) fn decode_cursor<Id: TryFrom<String>>(cursor: &str) -> Option<Id> {
    let id = String::from_utf8(BASE64.decode(cursor).ok()?).ok()?;
    Id::try_from(id).ok()
}

/// Returns the length of JSON inside a JSON string, with a comma after it.
pub(crate) fn escaped_length(json: &str) -> usize {
    let escapes = json.bytes().filter(|byte| matches!(byte, b'"' | b'\\'));
    json.len() + escapes.count() + ",".len()
}
