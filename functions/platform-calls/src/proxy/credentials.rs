//! Parameters with a credential: those of the caller are no use beside ours.

use edge::problem::Problem;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use url::form_urlencoded;

/// An access token (RFC 6750, 2.2 and 2.3), and Meta's proof of one.
const NAMES: [&str; 2] = ["access_token", "appsecret_proof"];

/// Returns a query without credentials; as it was if it has none.
pub(super) fn without(query: &str) -> Option<String> {
    if !has_any(query.as_bytes()) {
        return Some(query.to_owned());
    }
    let pairs = form_urlencoded::parse(query.as_bytes());
    let kept: Vec<_> = pairs
        .filter(|(name, _)| !NAMES.contains(&&**name))
        .collect();
    let mut query = form_urlencoded::Serializer::new(String::new());
    (!kept.is_empty()).then(|| query.extend_pairs(kept).finish())
}

/// Refuses a form with a credential. A body passes as it is or not at all: what is signed or
/// counted by somebody must not change on its way.
pub(super) fn check_form(headers: &HeaderMap, body: &[u8]) -> Result<(), Problem> {
    let kind = headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .and_then(|kind| kind.split(';').next())
        .unwrap_or_default();
    let is_form = kind
        .trim()
        .eq_ignore_ascii_case("application/x-www-form-urlencoded");
    if is_form && has_any(body) {
        let names = NAMES.join(" or ");
        return Err(Problem::bad_request(format!(
            "The form has {names}: leave it out. The integration's access token is put in."
        )));
    }
    Ok(())
}

fn has_any(form: &[u8]) -> bool {
    form_urlencoded::parse(form).any(|(name, _)| NAMES.contains(&&*name))
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
            ("", Some("")),
        ] {
            assert_eq!(without(given).as_deref(), passed, "{given}");
        }
    }

    #[test]
    fn a_form_with_a_credential_is_refused() {
        let form = "application/x-www-form-urlencoded";
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
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, kind.parse().unwrap());
            let checked = check_form(&headers, body.as_bytes());
            assert_eq!(checked.is_ok(), passes, "{kind} {body}");
        }
        assert!(check_form(&HeaderMap::new(), b"access_token=x").is_ok());
    }
}
