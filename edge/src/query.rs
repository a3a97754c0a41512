//! Query parameters, parsed strictly: a misspelt one is a problem, not ignored.

use std::collections::BTreeMap;

use url::form_urlencoded;

use crate::problem::Problem;

/// The most characters of a bad value that are repeated to the client.
const MAX_QUOTED: usize = 40;

#[derive(Debug)]
pub struct QueryParameters(BTreeMap<String, String>);

impl QueryParameters {
    /// Parses a query string that may hold each of `known` once, and nothing else.
    pub fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let mut parameters = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if !known.contains(&name.as_ref()) {
                return Err(Problem::bad_request(format!(
                    "There is no query parameter {}; there are {}.",
                    quoted(&name),
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

    /// Returns the value of `name` as `parse` returns it. If `parse` refuses the value, the problem
    /// says what is `allowed`.
    pub fn get<T>(
        &self,
        name: &str,
        allowed: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        parse(value).map(Some).ok_or_else(|| {
            Problem::bad_request(format!("{name} must be {allowed}, not {}.", quoted(value)))
        })
    }
}

/// Quotes a value for the client: without control characters, and short.
pub fn quoted(value: &str) -> String {
    let mut start: String = value.chars().take(MAX_QUOTED).collect();
    if start.len() < value.len() {
        start.push('…');
    }
    format!("{start:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(query: &str) -> String {
        let read = |parameters: QueryParameters| {
            parameters.get("limit", "a digit", |value| value.parse::<u8>().ok())
        };
        let problem = QueryParameters::parse(Some(query), &["limit", "next"]).and_then(read);
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
        let parameters = QueryParameters::parse(Some("next=a%2Bb+c"), &["limit", "next"]).unwrap();
        let text = |value: &str| Some(value.to_owned());
        assert_eq!(parameters.get("next", "", text).unwrap().unwrap(), "a+b c");
        assert_eq!(parameters.get("limit", "", text).unwrap(), None);
        assert!(QueryParameters::parse(None, &[]).is_ok());
    }
}
