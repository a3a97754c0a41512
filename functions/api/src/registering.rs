//! A credential as a person hands it over: read field by field, so that what is
//! wrong can be named without repeating any of it.

use std::fmt;

use axum::body::to_bytes;
use axum::extract::Request;
use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::de::{self, DeserializeOwned, Deserializer, MapAccess};
use serde_json::Value;
use shared::Platform;
use shared::import::MAX_LINE;
use shared::redact;
use shared::registration::{InvalidRegistration, Registration};

use crate::problem::Problem;

const FIELDS: [&str; 11] = [
    "platform",
    "username",
    "account_id",
    "access_token",
    "refresh_token",
    "token_expires_at",
    "token_issued_at",
    "refresh_token_expires_at",
    "data_access_expires_at",
    "scopes",
    "metadata",
];
const DATE: &str = "an RFC 3339 date such as 2026-11-30T09:00:00Z";

/// Reads the body of a request to register a connection.
pub(crate) async fn read(request: Request) -> Result<Registration, Problem> {
    let body = to_bytes(request.into_body(), MAX_LINE).await;
    let body = body.map_err(|_| {
        Problem::too_large(format!(
            "The body must be at most {MAX_LINE} bytes of JSON."
        ))
    })?;
    parse(&body)
}

fn parse(body: &[u8]) -> Result<Registration, Problem> {
    let fields: Fields = serde_json::from_slice(body).map_err(|error| {
        // serde's message of a syntax error has no values, but that of another may.
        Problem::bad_request(if error.is_syntax() || error.is_eof() {
            let (line, column) = (error.line(), error.column());
            format!("The body is not valid JSON (line {line}, column {column}).")
        } else {
            "The body must be a JSON object.".to_owned()
        })
    })?;
    let registration = fields.into_registration()?;
    registration.validate()?;
    Ok(registration)
}

impl From<InvalidRegistration> for Problem {
    fn from(invalid: InvalidRegistration) -> Self {
        Self::bad_request(format!("{invalid}."))
    }
}

/// The fields of a JSON object as they were given.
struct Fields(Vec<(String, Value)>);

impl<'de> de::Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Fields;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        from.deserialize_map(Visitor)
    }
}

impl Fields {
    fn into_registration(mut self) -> Result<Registration, Problem> {
        for (index, (name, _)) in self.0.iter().enumerate() {
            if !FIELDS.contains(&name.as_str()) {
                return Err(Problem::bad_request(format!(
                    "There is no field {:?}; there are {}.",
                    redact::word(name),
                    FIELDS.join(", ")
                )));
            }
            if self.0[..index].iter().any(|(earlier, _)| earlier == name) {
                return Err(Problem::bad_request(format!(
                    "{name} is given more than once."
                )));
            }
        }
        let platforms = format!("one of {}", Platform::ALL.map(Platform::name).join(", "));
        let platform: String = self.required("platform", &platforms)?;
        let date = |fields: &mut Self, name| fields.take::<DateTime<Utc>>(name, DATE);
        Ok(Registration {
            platform: platform
                .parse()
                .map_err(|_| must_be("platform", &platforms))?,
            username: self.required("username", "a text")?,
            account_id: self.required("account_id", "a text")?,
            access_token: Some(self.required::<SecretString>("access_token", "a text")?),
            refresh_token: self.take("refresh_token", "a text, or null")?,
            token_issued_at: date(&mut self, "token_issued_at")?,
            token_expires_at: date(&mut self, "token_expires_at")?,
            refresh_token_expires_at: date(&mut self, "refresh_token_expires_at")?,
            data_access_expires_at: date(&mut self, "data_access_expires_at")?,
            scopes: self.take("scopes", "a list of texts")?.unwrap_or_default(),
            metadata: self.take("metadata", "an object")?,
        })
    }

    /// The value of a field, if it is given and not null.
    fn take<T: DeserializeOwned>(
        &mut self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, Problem> {
        let index = self.0.iter().position(|(field, _)| field == name);
        match index.map(|index| self.0.swap_remove(index).1) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => serde_json::from_value(value)
                .map(Some)
                .map_err(|_| must_be(name, expected)),
        }
    }

    fn required<T: DeserializeOwned>(&mut self, name: &str, expected: &str) -> Result<T, Problem> {
        let value = self.take(name, expected)?;
        value.ok_or_else(|| Problem::bad_request(format!("{name} is missing.")))
    }
}

fn must_be(name: &str, expected: &str) -> Problem {
    Problem::bad_request(format!("{name} must be {expected}."))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;
    use serde_json::json;

    use super::*;

    fn good() -> Value {
        json!({
            "platform": "facebook", "username": "acme.page", "account_id": "123",
            "access_token": "planted-access", "refresh_token": null,
            "token_expires_at": "2026-11-30T09:00:00+01:00", "scopes": ["ads"],
            "metadata": {"page": 100.0},
        })
    }

    #[test]
    fn a_good_body_is_taken_as_it_is() {
        let registration = parse(good().to_string().as_bytes()).unwrap();
        assert_eq!(registration.platform, Platform::Meta);
        let token = registration.access_token.as_ref().unwrap();
        assert_eq!(token.expose_secret(), "planted-access");
        assert!(registration.refresh_token.is_none());
        let ends = registration.token_expires_at.unwrap();
        assert_eq!(ends.to_rfc3339(), "2026-11-30T08:00:00+00:00");
        let metadata = serde_json::to_string(&registration.metadata).unwrap();
        assert_eq!(metadata, r#"{"page":100.0}"#);
        assert!(!format!("{registration:?}").contains("planted"));
    }

    #[test]
    fn what_is_wrong_is_named_and_nothing_repeated() {
        let with = |field: &str, value: Value| {
            let mut body = good();
            body[field] = value;
            body.to_string()
        };
        let without = |field: &str| {
            let mut body = good();
            body.as_object_mut().unwrap().remove(field);
            body.to_string()
        };
        let planted = || json!("planted-secret");
        for (body, said) in [
            (String::new(), "not valid JSON"),
            ("{".to_owned(), "not valid JSON (line 1, column 1)"),
            (
                r#"{"access_token":"planted" x"#.to_owned(),
                "not valid JSON",
            ),
            (
                r#"{"platform":"meta"} planted"#.to_owned(),
                "not valid JSON",
            ),
            ("[]".to_owned(), "must be a JSON object"),
            (r#""planted""#.to_owned(), "must be a JSON object"),
            (
                with("org_id", json!("acme")),
                r#"no field "org_id"; there are platform"#.replace('"', "\\\"").as_str(),
            ),
            (
                with("planted-1234", json!(1)),
                "no field \\\"(withheld)\\\"",
            ),
            (
                r#"{"platform":"meta","platform":"planted"}"#.to_owned(),
                "platform is given more than once",
            ),
            (without("platform"), "platform is missing"),
            (without("username"), "username is missing"),
            (with("account_id", Value::Null), "account_id is missing"),
            (without("access_token"), "access_token is missing"),
            (with("access_token", Value::Null), "access_token is missing"),
            (
                with("platform", planted()),
                "platform must be one of meta, ",
            ),
            (with("platform", json!(7)), "platform must be one of"),
            (with("username", json!(" ")), "username must be 1 to 512"),
            (
                with("username", json!(["planted"])),
                "username must be a text",
            ),
            (
                with("account_id", json!("a".repeat(513))),
                "account_id must be",
            ),
            (
                with("access_token", json!({"planted": 1})),
                "access_token must be a text",
            ),
            (
                with("access_token", json!("")),
                "access_token must be 1 to 16384 bytes",
            ),
            (
                with("refresh_token", json!("p".repeat(16_385))),
                "refresh_token must be 1 to",
            ),
            (
                with("token_expires_at", planted()),
                "token_expires_at must be an RFC 3339",
            ),
            (
                with("token_expires_at", json!(1_795_424_400)),
                "token_expires_at must be",
            ),
            (
                with("token_expires_at", json!("9999-01-01T00:00:00Z")),
                "token_expires_at must lie between",
            ),
            (
                with("token_issued_at", json!("2027-01-01T00:00:00Z")),
                "token_issued_at must be before token_expires_at",
            ),
            (
                with("refresh_token_expires_at", planted()),
                "refresh_token_expires_at must",
            ),
            (
                with("data_access_expires_at", planted()),
                "data_access_expires_at must",
            ),
            (with("scopes", planted()), "scopes must be a list of texts"),
            (with("metadata", planted()), "metadata must be an object"),
        ] {
            let problem = format!("{:?}", parse(body.as_bytes()).unwrap_err());
            assert!(problem.contains(said), "{body}: {problem}");
            assert!(!problem.contains("planted"), "{problem}");
        }
    }
}
