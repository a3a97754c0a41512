//! Parameters with a credential: those of the caller are no use beside ours.

use std::collections::HashMap;

use edge::problem::Problem;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::de::IgnoredAny;
use url::form_urlencoded;

/// An access token (RFC 6750, 2.2 and 2.3), and Meta's proof of one.
const NAMES: [&str; 2] = ["access_token", "appsecret_proof"];

/// Returns a query without credentials; every other byte of it as it was.
pub(super) fn without(query: &str) -> Option<String> {
    let pieces: Vec<_> = query.split('&').collect();
    let kept: Vec<_> = pieces
        .iter()
        .copied()
        .filter(|piece| !form_has_any(piece.as_bytes()))
        .collect();
    (kept.len() == pieces.len() || !kept.is_empty()).then(|| kept.join("&"))
}

/// Refuses a body with a credential. It passes as it is or not at all: what is signed or counted
/// by somebody must not change on its way.
pub(super) fn check_body(headers: &HeaderMap, body: &[u8]) -> Result<(), Problem> {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default();
    let has_any = match essence.trim().to_ascii_lowercase().as_str() {
        "application/x-www-form-urlencoded" => form_has_any(body),
        "multipart/form-data" => parts_have_any(content_type, body),
        kind if kind.ends_with("/json") || kind.ends_with("+json") => object_has_any(body),
        // A platform may guess.
        "" => form_has_any(body) || object_has_any(body),
        _ => false,
    };
    if has_any {
        let names = NAMES.join(" or ");
        return Err(Problem::bad_request(format!(
            "The body has {names}: leave it out. The integration's access token is put in."
        )));
    }
    Ok(())
}

fn form_has_any(form: &[u8]) -> bool {
    form_urlencoded::parse(form).any(|(name, _)| NAMES.contains(&&*name))
}

/// Whether a JSON object has any as a member of its own.
fn object_has_any(json: &[u8]) -> bool {
    let json = json.strip_prefix(b"\xef\xbb\xbf").unwrap_or(json);
    serde_json::from_slice::<HashMap<String, IgnoredAny>>(json)
        .is_ok_and(|members| NAMES.iter().any(|name| members.contains_key(*name)))
}

/// Whether a part of a form has such a name (RFC 7578, 4.2).
fn parts_have_any(content_type: &str, body: &[u8]) -> bool {
    let Some(boundary) = parameter(content_type, "boundary") else {
        return false;
    };
    let delimiter = format!("--{boundary}");
    let mut is_head = false;
    body.split(|byte| *byte == b'\n').any(|line| {
        let line = line.trim_ascii_end();
        if line.starts_with(delimiter.as_bytes()) {
            is_head = true;
        } else if line.is_empty() {
            is_head = false;
        }
        is_head
            && parameter(&String::from_utf8_lossy(line), "name")
                .is_some_and(|name| NAMES.contains(&name.as_str()))
    })
}

/// Returns a parameter of a header, without its quotes.
fn parameter(header: &str, wanted: &str) -> Option<String> {
    header.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let is_it = name.trim().eq_ignore_ascii_case(wanted);
        is_it.then(|| value.trim().trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callers_credentials_are_dropped_and_nothing_else() {
        for (given, passed) in [
            ("fields=id,name&limit=2", Some("fields=id,name&limit=2")),
            ("a=%20+b&a=2", Some("a=%20+b&a=2")),
            ("access_token=x", None),
            (
                "a=1&access_token=x&appsecret_proof=y&b=%26",
                Some("a=1&b=%26"),
            ),
            ("access%5Ftoken=x&a=1", Some("a=1")),
            ("a=%20b&&c=%7E~&access_token=x&d", Some("a=%20b&&c=%7E~&d")),
            ("", Some("")),
        ] {
            assert_eq!(without(given).as_deref(), passed, "{given}");
        }
    }

    #[test]
    fn a_body_with_a_credential_is_refused() {
        let form = "application/x-www-form-urlencoded";
        let parts = "multipart/form-data; boundary=\"b1\"";
        let part = |head: &str, value: &str| {
            format!("--b1\r\nContent-Disposition: form-data; {head}\r\n\r\n{value}\r\n--b1--\r\n")
        };
        for (kind, body, passes) in [
            (form, "message=hi", true),
            (form, "message=access_token%3Dx", true),
            (form, "message=hi&access_token=x", false),
            (form, "appsecret%5Fproof=x", false),
            (
                "Application/X-WWW-Form-Urlencoded; charset=utf-8",
                "access_token=x",
                false,
            ),
            ("text/plain", "access_token=x", true),
            ("", "access_token=x", false),
            ("", r#"{"access_token":"x"}"#, false),
            ("application/json", r#"{"access_token":"x"}"#, false),
            ("application/json", r#"{"a":{"access_token":"x"}}"#, true),
            ("application/json", r#"["access_token","a"]"#, true),
            (
                "application/vnd.a+json; v=1",
                r#"{"a":1,"appsecret_proof":2}"#,
                false,
            ),
            (parts, &part("name=\"access_token\"", "x"), false),
            (
                parts,
                &part("filename=\"a\"; name=access_token", "x"),
                false,
            ),
            (parts, &part("name=\"a\"", "; name=\"access_token\""), true),
            (
                parts,
                &part("name=\"source\"; filename=\"access_token\"", "x"),
                true,
            ),
            (
                "multipart/form-data",
                &part("name=\"access_token\"", "x"),
                true,
            ),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, kind.parse().unwrap());
            let checked = check_body(&headers, body.as_bytes());
            assert_eq!(checked.is_ok(), passes, "{kind} {body}");
        }
    }
}
