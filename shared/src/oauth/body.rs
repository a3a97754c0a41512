//! Unpacks and reads the body of an answer, or describes a body that we cannot read.
//!
//! On a platform with single-use refresh tokens, an answer that is not read is a grant lost. So
//! we read every body that holds a whole value: packed unasked, behind a byte order mark, cut
//! off after its end, or form-encoded.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde_json::{Map, Value};

use crate::domain::error_code::BodyForm;

/// We read at most this many bytes of an answer; real ones are under 10 kB.
pub(super) const MAX_BODY: usize = 256 * 1024;
const GZIP: &[u8] = b"\x1f\x8b";
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

#[derive(Debug)]
pub(super) struct Body {
    /// The value that could be read; `Null` if none could.
    pub(super) json: Value,
    pub(super) form: BodyForm,
    /// Length in bytes, before unpacking.
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
            Some(json) => (json, BodyForm::Json),
            None => match form(headers, text).filter(|_| !cut_off) {
                Some(fields) => (fields, BodyForm::Form),
                None => (Value::Null, kind(headers, text, bytes)),
            },
        };
        Self {
            json,
            form,
            length: bytes.len(),
        }
    }

    /// Whether the body itself shows that nothing is missing. A form does not: the end of its
    /// last value cannot be seen.
    pub(super) fn is_whole(&self) -> bool {
        self.form == BodyForm::Json
    }
}

/// Returns as much as can be unpacked, at most [`MAX_BODY`] bytes, and whether something is
/// missing.
fn unpack(bytes: &[u8]) -> (Cow<'static, [u8]>, bool) {
    let mut unpacked = Vec::new();
    let limit = u64::try_from(MAX_BODY).unwrap_or(u64::MAX);
    let mut gzip = MultiGzDecoder::new(bytes).take(limit);
    let ended = gzip.read_to_end(&mut unpacked).is_ok();
    (Cow::Owned(unpacked), !ended || gzip.limit() == 0)
}

/// Returns the first value if it is an object or array, whatever follows it. A number alone
/// says nothing, and its end cannot be seen.
fn json(text: &[u8]) -> Option<Value> {
    // A letter in another encoding, in a field that nobody reads, is no reason to lose it.
    let text = String::from_utf8_lossy(text);
    let mut values = serde_json::Deserializer::from_str(&text).into_iter();
    let value: Value = values.next()?.ok()?;
    (value.is_object() || value.is_array()).then_some(value)
}

/// Parses a form, as servers older than RFC 6749 answer: `access_token=...&expires=5183944`.
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

fn kind(headers: &HeaderMap, text: &[u8], bytes: &[u8]) -> BodyForm {
    let html = |text: &[u8]| {
        let head = text[..text.len().min(64)].to_ascii_lowercase();
        head.starts_with(b"<!doctype") || head.starts_with(b"<html")
    };
    match text {
        [] if bytes.is_empty() => BodyForm::Empty,
        _ if html(text) => BodyForm::Html,
        [b'<', ..] => BodyForm::Xml,
        [b'{' | b'[', ..] => BodyForm::JsonCutOff,
        _ if bytes.starts_with(GZIP) => BodyForm::Gzip,
        _ if content_type(headers).is_some_and(|is| is == "text/html") => BodyForm::Html,
        _ if headers.contains_key("content-encoding") => BodyForm::Compressed,
        _ if std::str::from_utf8(text).is_ok() => BodyForm::Text,
        _ => BodyForm::Binary,
    }
}

/// Returns the type without its parameters, if it is of a form that cannot hold a token.
pub(super) fn content_type(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    let essence = text.split(';').next()?.trim().to_ascii_lowercase();
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"/+-.".contains(&b);
    (essence.len() <= 48 && essence.contains('/') && essence.bytes().all(plain)).then_some(essence)
}
