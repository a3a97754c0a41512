//! Keeps an access token out of what the caller sees. Meta repeats it in the addresses of further
//! pages (`paging.next`).

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, HeaderMap};
use http::{HeaderValue, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use shared::oauth::CallAnswer;

/// What stands in the token's place.
const WITHHELD: &[u8] = b"TOKEN_WITHHELD";
/// A packed body is looked into as far as this, in bytes.
const MAX_UNPACKED: usize = 32 * 1024 * 1024;
const GZIP: &[u8] = b"\x1f\x8b";

/// The body cannot be looked into, so nobody knows whether the token is in it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opaque {
    /// It is in an encoding that nobody asked for.
    Encoded(String),
    /// It is gzip that is cut off or spoilt, with the token in it.
    Broken,
    TooLong,
}

/// Replaces the token in headers and body; leaves every other byte as it is. A body that was
/// packed still is.
pub(super) fn conceal(token: &SecretString, answer: &mut CallAnswer) -> Result<(), Opaque> {
    let token = token.expose_secret().as_bytes();
    conceal_headers(token, &mut answer.headers);
    if let Some(body) = replaced(token, &answer.body) {
        answer.body = body;
    }
    let bodiless = [StatusCode::NO_CONTENT, StatusCode::NOT_MODIFIED];
    if answer.body.is_empty() || bodiless.iter().any(|status| *status == answer.status) {
        return Ok(());
    }
    check_encoding(&answer.headers)?;
    // Some servers pack unasked, and do not say so.
    if !answer.body.starts_with(GZIP) {
        return Ok(());
    }
    let (unpacked, is_whole) = unpack(&answer.body)?;
    match replaced(token, &unpacked) {
        Some(clean) if is_whole => answer.body = pack(&clean),
        // Whoever unpacks what is there would find it.
        Some(_) => return Err(Opaque::Broken),
        None => {}
    }
    Ok(())
}

/// Fails for an encoding that cannot be looked into.
fn check_encoding(headers: &HeaderMap) -> Result<(), Opaque> {
    // The last two are of servers that mistake the header for another.
    const PLAIN: [&str; 4] = ["", "identity", "none", "utf-8"];
    let values = headers.get_all(CONTENT_ENCODING).into_iter();
    let codings: Vec<String> = values
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|coding| String::from_utf8_lossy(coding.trim_ascii()).to_ascii_lowercase())
        .filter(|coding| !PLAIN.contains(&&**coding))
        .collect();
    match &codings[..] {
        [] => Ok(()),
        // Both names are one coding (RFC 9110, 8.4.1.3).
        [one] if one == "gzip" || one == "x-gzip" => Ok(()),
        others => Err(Opaque::Encoded(others.join(", "))),
    }
}

/// Returns as much as can be unpacked, and whether that is all.
fn unpack(body: &[u8]) -> Result<(Vec<u8>, bool), Opaque> {
    let mut unpacked = Vec::new();
    let limit = u64::try_from(MAX_UNPACKED).unwrap_or(u64::MAX);
    let mut gzip = MultiGzDecoder::new(body).take(limit);
    let is_whole = gzip.read_to_end(&mut unpacked).is_ok();
    match unpacked.len() < MAX_UNPACKED {
        true => Ok((unpacked, is_whole)),
        false => Err(Opaque::TooLong),
    }
}

fn pack(body: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    let packed = gzip.write_all(body).and_then(|()| gzip.finish());
    packed.expect("a Vec takes every byte")
}

fn conceal_headers(token: &[u8], headers: &mut HeaderMap) {
    for value in headers.values_mut() {
        if let Some(clean) = replaced(token, value.as_bytes()) {
            let clean = HeaderValue::from_bytes(&clean);
            *value = clean.unwrap_or(HeaderValue::from_static(""));
        }
    }
}

/// Returns the text with every spelling of the token replaced; `None` if it has none.
fn replaced(token: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    let mut clean = Vec::new();
    let mut copied = 0;
    let mut at = 0;
    while at < text.len() {
        match spelled_at(&text[at..], token) {
            Some(length) if length > 0 => {
                clean.extend_from_slice(&text[copied..at]);
                clean.extend_from_slice(WITHHELD);
                at += length;
                copied = at;
            }
            _ => at += 1,
        }
    }
    (copied > 0).then(|| {
        clean.extend_from_slice(&text[copied..]);
        clean
    })
}

/// Returns the length of the token at the beginning of a text, if it is there. Each of its bytes
/// may stand as it is, percent-encoded, or escaped as JSON allows: encoders differ in what they
/// leave as it is.
fn spelled_at(text: &[u8], token: &[u8]) -> Option<usize> {
    let mut at = 0;
    for (number, byte) in token.iter().enumerate() {
        let rest = &text[at..];
        let escaped = match rest {
            [b'%', digits @ ..] if hex(digits, 2) == Some(u32::from(*byte)) => Some(3),
            [b'\\', b'u', digits @ ..] if hex(digits, 4) == Some(u32::from(*byte)) => Some(6),
            [b'\\', same, ..] if same == byte => Some(2),
            _ => None,
        };
        let is_plain = rest.first() == Some(byte);
        at += match escaped {
            // A token with a percent sign or a backslash may be either.
            Some(length) if is_plain => {
                let after = spelled_at(&rest[length..], &token[number + 1..]);
                if let Some(after) = after {
                    return Some(at + length + after);
                }
                1
            }
            Some(length) => length,
            None if is_plain => 1,
            None => return None,
        };
    }
    Some(at)
}

/// Reads so many hexadecimal digits.
fn hex(text: &[u8], digits: usize) -> Option<u32> {
    text.get(..digits)?.iter().try_fold(0, |number, digit| {
        Some(number * 16 + char::from(*digit).to_digit(16)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &[u8], headers: &[(&str, &str)]) -> CallAnswer {
        let mut answer = CallAnswer {
            status: 200,
            headers: HeaderMap::new(),
            body: body.to_vec(),
        };
        for (name, value) in headers {
            let name: http::HeaderName = name.parse().unwrap();
            answer.headers.append(name, value.parse().unwrap());
        }
        answer
    }

    fn concealed(body: &[u8], headers: &[(&str, &str)]) -> Result<CallAnswer, Opaque> {
        let mut answer = answer(body, headers);
        conceal(&SecretString::from("EAA|b/c"), &mut answer).map(|()| answer)
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
            ("EAA%7cb/c", "TOKEN_WITHHELD"),
            ("%45AA|b%2fc", "TOKEN_WITHHELD"),
            (r#""EAA|b\/c""#, r#""TOKEN_WITHHELD""#),
            (r#""EAA\u007cb\u002Fc""#, r#""TOKEN_WITHHELD""#),
            ("EAA%7", "EAA%7"),
            (r"EAA\u00", r"EAA\u00"),
        ] {
            let answer = concealed(body.as_bytes(), &[]).unwrap();
            assert_eq!(answer.body, clean.as_bytes());
        }
        let location = ("location", "https://a/?access_token=EAA%7Cb/c");
        let answer = concealed(b"", &[location]).unwrap();
        let clean = "https://a/?access_token=TOKEN_WITHHELD";
        assert_eq!(answer.headers["location"], clean);
    }

    #[test]
    fn a_token_that_looks_encoded_is_found_as_well() {
        for text in ["a%3Db\\c", "a%253Db\\c", "a%3Db\\\\c", "a%253Db%5Cc"] {
            let mut answer = answer(text.as_bytes(), &[]);
            conceal(&SecretString::from("a%3Db\\c"), &mut answer).unwrap();
            assert_eq!(answer.body, WITHHELD, "{text}");
        }
    }

    #[test]
    fn a_packed_body_is_packed_anew_only_to_take_a_token_out() {
        let packed = pack(b"nothing");
        let clean = |body: &[u8]| unpack(body).unwrap().0;
        for headers in [
            &[("content-encoding", "gzip")][..],
            &[("content-encoding", "X-GZip")],
            &[("content-encoding", "identity, gzip")],
            &[],
        ] {
            let answer = concealed(&packed, headers).unwrap();
            assert_eq!(answer.body, packed);
            let answer = concealed(&pack(b"a EAA|b/c"), headers).unwrap();
            assert_eq!(clean(&answer.body), b"a TOKEN_WITHHELD");
            assert_eq!(answer.headers.len(), headers.len());
        }
    }

    #[test]
    fn what_cannot_be_looked_into_does_not_pass() {
        let br = [("content-encoding", "br")];
        let encoded = Opaque::Encoded("br".to_owned());
        assert_eq!(concealed(b"x", &br).unwrap_err(), encoded);
        let twice = [("content-encoding", "gzip"), ("content-encoding", "zstd")];
        let encoded = Opaque::Encoded("gzip, zstd".to_owned());
        assert_eq!(concealed(b"x", &twice).unwrap_err(), encoded);
        let gzip = [("content-encoding", "gzip")];
        let bomb = pack(&vec![b'x'; MAX_UNPACKED]);
        assert_eq!(concealed(&bomb, &gzip).unwrap_err(), Opaque::TooLong);
        // What cannot be unpacked to its end passes, unless the token is in what can.
        let with = |text: &[u8]| [pack(text), b"\n".to_vec()].concat();
        for headers in [&gzip[..], &[]] {
            assert_eq!(concealed(&with(b"a"), headers).unwrap().body, with(b"a"));
            let spoilt = concealed(&with(b"EAA|b/c"), headers);
            assert_eq!(spoilt.unwrap_err(), Opaque::Broken);
            assert_eq!(concealed(b"plain", headers).unwrap().body, b"plain");
        }
        // Without a body, an encoding is that of another answer (HEAD, 204, 304).
        for (status, headers) in [(200, &br), (304, &gzip)] {
            let mut answer = answer(b"", headers);
            answer.status = status;
            assert_eq!(conceal(&SecretString::from("t"), &mut answer), Ok(()));
        }
    }
}
