//! Keeps an access token out of what the caller sees. Meta repeats it in the addresses of further
//! pages (`paging.next`).

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use http::header::{CONTENT_ENCODING, HeaderMap};
use http::{HeaderValue, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use shared::oauth::CallAnswer;
use url::form_urlencoded;

/// What stands in the token's place.
const WITHHELD: &[u8] = b"TOKEN_WITHHELD";
/// A packed body is looked into as far as this, in bytes.
const MAX_UNPACKED: u64 = 32 * 1024 * 1024;

/// Replaces the token in headers and body; leaves every other byte as it is.
pub(super) fn conceal(token: &SecretString, answer: &mut CallAnswer) {
    let spellings = spellings(token.expose_secret());
    conceal_headers(&spellings, &mut answer.headers);
    if let Some(body) = replaced(&spellings, &answer.body) {
        answer.body = body;
    }
    let is_packed = answer
        .headers
        .get(CONTENT_ENCODING)
        .is_some_and(|value| value == "gzip");
    if is_packed && answer.status != StatusCode::NO_CONTENT.as_u16() {
        let mut unpacked = Vec::new();
        let mut gzip = MultiGzDecoder::new(&answer.body[..]).take(MAX_UNPACKED);
        if gzip.read_to_end(&mut unpacked).is_ok()
            && let Some(body) = replaced(&spellings, &unpacked)
        {
            answer.body = body;
            answer.headers.remove(CONTENT_ENCODING);
        }
    }
}

/// Returns the token as it is, as a URL has it, and as PHP writes it into JSON.
fn spellings(token: &str) -> Vec<String> {
    let encoded: String = form_urlencoded::byte_serialize(token.as_bytes()).collect();
    let mut all = vec![token.to_owned(), encoded, token.replace('/', "\\/")];
    all.retain(|spelling| !spelling.is_empty());
    all.dedup();
    all
}

fn conceal_headers(spellings: &[String], headers: &mut HeaderMap) {
    for value in headers.values_mut() {
        if let Some(clean) = replaced(spellings, value.as_bytes()) {
            let clean = HeaderValue::from_bytes(&clean);
            *value = clean.unwrap_or(HeaderValue::from_static(""));
        }
    }
}

/// Returns the text with every spelling replaced; `None` if it has none.
fn replaced(spellings: &[String], text: &[u8]) -> Option<Vec<u8>> {
    let mut current = Cow::Borrowed(text);
    for spelling in spellings {
        let needle = spelling.as_bytes();
        let mut clean = Vec::new();
        let mut rest = &current[..];
        while let Some(at) = find(rest, needle) {
            clean.extend_from_slice(&rest[..at]);
            clean.extend_from_slice(WITHHELD);
            rest = &rest[at + needle.len()..];
        }
        if !clean.is_empty() {
            clean.extend_from_slice(rest);
            current = Cow::Owned(clean);
        }
    }
    match current {
        Cow::Borrowed(_) => None,
        Cow::Owned(clean) => Some(clean),
    }
}

/// Finds a text by its first byte, which most of a body does not have.
fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    loop {
        let at = from + text[from..].iter().position(|byte| *byte == first)?;
        if text[at..].starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn concealed(body: &[u8], headers: &[(&str, &str)]) -> CallAnswer {
        let mut answer = CallAnswer {
            status: 200,
            headers: HeaderMap::new(),
            body: body.to_vec(),
        };
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().unwrap();
            answer.headers.insert(name, value.parse().unwrap());
        }
        conceal(&SecretString::from("EAA|b/c"), &mut answer);
        answer
    }

    #[test]
    fn a_token_is_found_however_it_is_spelled() {
        for (body, clean) in [
            ("x", "x"),
            ("", ""),
            ("EAA|b/c", "TOKEN_WITHHELD"),
            (
                "EEAA|b/cEAA|b/c EAA|b",
                "ETOKEN_WITHHELDTOKEN_WITHHELD EAA|b",
            ),
            (
                "?access_token=EAA%7Cb%2Fc&a",
                "?access_token=TOKEN_WITHHELD&a",
            ),
            (r#""EAA|b\/c""#, r#""TOKEN_WITHHELD""#),
        ] {
            assert_eq!(concealed(body.as_bytes(), &[]).body, clean.as_bytes());
        }
        let answer = concealed(b"", &[("location", "https://a/?access_token=EAA%7Cb%2Fc")]);
        let clean = "https://a/?access_token=TOKEN_WITHHELD";
        assert_eq!(answer.headers["location"], clean);
    }

    #[test]
    fn a_packed_body_is_unpacked_only_to_take_a_token_out() {
        let pack = |text: &[u8]| {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
            gzip.write_all(text).unwrap();
            gzip.finish().unwrap()
        };
        let packed = pack(b"nothing");
        let answer = concealed(&packed, &[("content-encoding", "gzip")]);
        assert_eq!(answer.body, packed);
        assert_eq!(answer.headers["content-encoding"], "gzip");
        let answer = concealed(&pack(b"a EAA|b/c"), &[("content-encoding", "gzip")]);
        assert_eq!(answer.body, b"a TOKEN_WITHHELD");
        assert!(answer.headers.is_empty());
    }
}
