//! The body of an answer: unpacked, read as far as it is whole, and described
//! where it is nothing that we can read.
//!
//! On a platform with single-use refresh tokens an answer that is not read is a
//! grant lost, so everything is read that holds a whole value: packed unasked,
//! behind a byte order mark, cut off behind its end, or form-encoded.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Map, Value};

/// The most that is read of an answer: real ones are under 10 kB.
pub(super) const MAX_BODY: usize = 256 * 1024;
const GZIP: &[u8] = b"\x1f\x8b";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// What the body of an answer holds.
#[derive(Debug)]
pub(super) struct Body {
    /// What can be read of it; `Null` if nothing can.
    pub(super) json: Value,
    /// What it is: `json`, `form`, `html`, `empty`, `gzip`, `text`, `binary`.
    pub(super) form: &'static str,
    /// Its length as it came, in bytes.
    pub(super) length: usize,
}

impl Body {
    pub(super) fn parse(headers: &HeaderMap, bytes: &[u8]) -> Self {
        let (unpacked, cut_off) = match bytes.starts_with(GZIP) {
            true => unpack(bytes),
            false => (Cow::Borrowed(bytes), false),
        };
        let text = unpacked
            .strip_prefix(BYTE_ORDER_MARK)
            .unwrap_or(&unpacked)
            .trim_ascii();
        let (json, form) = match json(text) {
            Some(json) => (json, "json"),
            None => match form(headers, text).filter(|_| !cut_off) {
                Some(fields) => (fields, "form"),
                None => (Value::Null, kind(headers, text, bytes)),
            },
        };
        Self {
            json,
            form,
            length: bytes.len(),
        }
    }

    /// Whether it shows by itself that nothing is missing: the end of a form's last
    /// value cannot be seen.
    pub(super) fn is_whole(&self) -> bool {
        self.form == "json"
    }
}

/// As much as is there, and no more than of any other answer; whether something
/// is missing.
fn unpack(bytes: &[u8]) -> (Cow<'static, [u8]>, bool) {
    let mut unpacked = Vec::new();
    let limit = u64::try_from(MAX_BODY).unwrap_or(u64::MAX);
    let mut gzip = MultiGzDecoder::new(bytes).take(limit);
    let ended = gzip.read_to_end(&mut unpacked).is_ok();
    (Cow::Owned(unpacked), !ended || gzip.limit() == 0)
}

/// The first value, whatever stands behind it; a number alone says nothing, and
/// its end cannot be seen.
fn json(text: &[u8]) -> Option<Value> {
    // A letter in another encoding, in a field that nobody reads, is no reason to lose it.
    let text = String::from_utf8_lossy(text);
    let mut values = serde_json::Deserializer::from_str(&text).into_iter();
    let value: Value = values.next()?.ok()?;
    (value.is_object() || value.is_array()).then_some(value)
}

/// As servers older than RFC 6749 answer: `access_token=...&expires=5183944`.
fn form(headers: &HeaderMap, text: &[u8]) -> Option<Value> {
    let is_form = content_type(headers).is_some_and(|is| is == "application/x-www-form-urlencoded");
    let begins = |name: &str| text.starts_with(name.as_bytes());
    if !(is_form || begins("access_token=") || begins("error=")) || !text.contains(&b'=') {
        return None;
    }
    let fields = url::form_urlencoded::parse(text);
    let fields: Map<_, _> = fields
        .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
        .collect();
    Some(Value::Object(fields))
}

fn kind(headers: &HeaderMap, text: &[u8], bytes: &[u8]) -> &'static str {
    let html = |text: &[u8]| {
        let head = text[..text.len().min(64)].to_ascii_lowercase();
        head.starts_with(b"<!doctype") || head.starts_with(b"<html")
    };
    match text {
        [] if bytes.is_empty() => "empty",
        _ if html(text) => "html",
        [b'<', ..] => "xml",
        [b'{' | b'[', ..] => "json_cut_off",
        _ if bytes.starts_with(GZIP) => "gzip",
        _ if content_type(headers).is_some_and(|is| is == "text/html") => "html",
        _ if headers.contains_key("content-encoding") => "compressed",
        _ if std::str::from_utf8(text).is_ok() => "text",
        _ => "binary",
    }
}

/// The type without its parameters, if it is of a form that cannot hold a token.
pub(super) fn content_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = text.split(';').next()?.trim().to_ascii_lowercase();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"/+-.".contains(&b);
    (essence.len() <= 48 && essence.contains('/') && essence.bytes().all(plain)).then_some(essence)
}
