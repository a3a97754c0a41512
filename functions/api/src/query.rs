//! Query parameters, read strictly: what is misspelt is said, not ignored.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use shared::IntegrationId;
use url::form_urlencoded;

use crate::problem::Problem;

/// How much of a bad value is repeated to the client.
const SHOWN: usize = 40;

/// The parameters of one request.
#[derive(Debug)]
pub(crate) struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Reads a query string that may hold each of `known` once, and nothing else.
    pub(crate) fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if !known.contains(&name.as_ref()) {
                return Err(Problem::bad_request(format!(
                    "There is no query parameter {}; there are {}.",
                    shown(&name),
                    known.join(", ")
                )));
            }
            if parameters
                .insert(name.to_string(), value.into_owned())
                .is_some()
            {
                return Err(Problem::bad_request(format!(
                    "The query parameter {name} is given more than once."
                )));
            }
        }
        Ok(Self(parameters))
    }

    /// The value of `name` as `read` understands it; a value it does not
    /// understand is a problem that says what is `allowed`.
    pub(crate) fn get<T>(
        &self,
        name: &str,
        allowed: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        read(value).map(Some).ok_or_else(|| {
            Problem::bad_request(format!("{name} must be {allowed}, not {}.", shown(value)))
        })
    }
}

/// How many rows are asked for.
pub(crate) const LIMITS: &str = "a whole number from 1 to 100";

/// Reads a number of rows, as [`LIMITS`] says.
pub(crate) fn limit(value: &str) -> Option<usize> {
    let digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let limit = value.parse().ok().filter(|_| digits)?;
    (1..=100).contains(&limit).then_some(limit)
}

/// What to ask for as `next` to go on after this integration.
pub(crate) fn cursor(last: &IntegrationId) -> String {
    BASE64.encode(last.as_str())
}

/// The integration that a cursor is about.
pub(crate) fn position(cursor: &str) -> Option<IntegrationId> {
    let id = String::from_utf8(BASE64.decode(cursor).ok()?).ok()?;
    IntegrationId::new(id).ok()
}

/// A value as it is repeated to whoever sent it: quoted, without control
/// characters, and short.
pub(crate) fn shown(value: &str) -> String {
    let mut start: String = value.chars().take(SHOWN).collect();
    if start.len() < value.len() {
        start.push('…');
    }
    format!("{start:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(query: &str) -> String {
        let read = |parameters: Parameters| {
            parameters.get("limit", "a digit", |value| value.parse::<u8>().ok())
        };
        let problem = Parameters::parse(Some(query), &["limit", "next"]).and_then(read);
        format!("{:?}", problem.unwrap_err())
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (query, expected) in [
            (
                "limits=1",
                r#"no query parameter \"limits\"; there are limit, next."#,
            ),
            ("limit=1&limit=1", "limit is given more than once"),
            ("limit=x", r#"limit must be a digit, not \"x\"."#),
            ("limit=", r#"limit must be a digit, not \"\"."#),
            ("limit", r#"limit must be a digit, not \"\"."#),
        ] {
            // `Debug` escapes the quotes once more.
            let problem = problem(query);
            assert!(problem.contains(expected), "{query}: {problem}");
        }
    }

    #[test]
    fn a_long_value_is_shortened() {
        let problem = problem(&format!("limit={}", "ä".repeat(10_000)));
        assert!(problem.len() < 300, "{problem}");
        assert!(problem.contains('…'));
    }

    #[test]
    fn values_are_decoded_and_absent_ones_are_none() {
        let parameters = Parameters::parse(Some("next=a%2Bb+c"), &["limit", "next"]).unwrap();
        let text = |value: &str| Some(value.to_owned());
        assert_eq!(parameters.get("next", "", text).unwrap().unwrap(), "a+b c");
        assert_eq!(parameters.get("limit", "", text).unwrap(), None);
        assert!(Parameters::parse(None, &[]).is_ok());
    }
}
