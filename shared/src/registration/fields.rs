//! Reads a JSON object that others hand to us, field by field. Each fault names the field, what
//! is wrong with its value and what would do. No fault repeats a value, for it may be a token.
//! An import's lines and the bodies of requests are read here alike.

use std::fmt;

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde::de::{self, Deserialize, Deserializer, MapAccess};
use serde_json::{Map, Value};

use super::values::{instant, label, text_or_number, token, truth, words};
use crate::domain::id::InvalidId;
use crate::{Platform, domain::redact};

/// How many faults of one object are shown.
const MAX_SHOWN_FAULTS: usize = 5;

/// The faults of what was handed over, one after the other. Repeats no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0[..self.0.len().min(MAX_SHOWN_FAULTS)].join("; "))?;
        match self.0.len().saturating_sub(MAX_SHOWN_FAULTS) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

impl std::error::Error for Faults {}

impl From<String> for Faults {
    fn from(fault: String) -> Self {
        Self(vec![fault])
    }
}

/// The fields of a JSON object as they were given, and the faults found in them.
#[derive(Debug)]
pub struct Fields {
    given: GivenFields,
    faults: Vec<String>,
}

/// The fields in their order; a repeated one is there twice.
struct GivenFields(Vec<(String, Value)>);

impl fmt::Debug for GivenFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GivenFields({} fields)", self.0.len())
    }
}

impl<'de> Deserialize<'de> for GivenFields {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = GivenFields;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<GivenFields, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(GivenFields(fields))
            }
        }
        from.deserialize_map(Visitor)
    }
}

impl Fields {
    /// Parses a JSON object.
    ///
    /// # Errors
    /// If `json` is no JSON object.
    pub fn parse(json: &[u8]) -> Result<Self, Faults> {
        let given = serde_json::from_slice(json).map_err(|error| {
            // serde's message of a syntax error has no values, but that of another may.
            if error.is_syntax() || error.is_eof() {
                let text = error.to_string();
                let what = text.split(" at line ").next().unwrap_or_default();
                let position = match error.line() {
                    0 | 1 => format!("column {}", error.column()),
                    line => format!("line {line}, column {}", error.column()),
                };
                format!("not valid JSON: {what} ({position})")
            } else {
                "not a JSON object".to_owned()
            }
        })?;
        Ok(Self {
            given,
            faults: Vec::new(),
        })
    }

    pub(crate) fn fault(&mut self, fault: impl Into<String>) {
        self.faults.push(fault.into());
    }

    /// Notes every field that is not `known`, or is there twice.
    pub(crate) fn only(&mut self, known: &[&str]) {
        let mut faults = Vec::new();
        for (index, (name, _)) in self.given.0.iter().enumerate() {
            if !known.contains(&name.as_str()) {
                let known = known.join(", ");
                let name = redact::word(name);
                faults.push(format!("there is no field {name:?}; there are {known}"));
            } else if self.given.0[..index].iter().any(|(other, _)| other == name) {
                faults.push(format!("{name} is given more than once"));
            }
        }
        self.faults.append(&mut faults);
    }

    /// Returns what was parsed, if no fault was noted.
    pub(crate) fn finish<T>(self, parsed: Option<T>) -> Result<T, Faults> {
        match parsed {
            Some(parsed) if self.faults.is_empty() => Ok(parsed),
            _ => Err(Faults(self.faults)),
        }
    }

    /// Takes out the value of a field; null counts as absent.
    pub(crate) fn value(&mut self, name: &str) -> Option<Value> {
        let index = self.given.0.iter().position(|(field, _)| field == name)?;
        Some(self.given.0.remove(index).1).filter(|value| !value.is_null())
    }

    /// Reads a field by `read`, whose error is the rest of a sentence that begins with the
    /// field.
    fn optional<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Value) -> Result<Option<T>, String>,
    ) -> Option<T> {
        let value = self.value(name)?;
        match read(value) {
            Ok(read) => read,
            Err(fault) => {
                self.fault(format!("{name} {fault}"));
                None
            }
        }
    }

    fn required<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Value) -> Result<Option<T>, String>,
    ) -> Option<T> {
        let Some(value) = self.value(name) else {
            self.fault(format!("{name} is missing"));
            return None;
        };
        self.given.0.push((name.to_owned(), value));
        self.optional(name, read)
    }

    /// Reads an id. Databases export many as numbers.
    pub(crate) fn id<T>(
        &mut self,
        name: &'static str,
        new: impl FnOnce(String) -> Result<T, InvalidId>,
    ) -> Option<T> {
        self.required(name, |value| {
            let text = text_or_number(value)?;
            let id = new(text).map_err(|invalid| invalid.rule().to_owned());
            id.map(Some)
        })
    }

    /// Reads a name that is shown to people.
    pub(crate) fn name(&mut self, name: &str) -> Option<String> {
        self.required(name, |value| match value {
            Value::String(text) => label(&text).map(Some),
            _ => Err("must be a text".to_owned()),
        })
    }

    /// Reads a name or a whole number: platforms' ids of accounts.
    pub(crate) fn name_or_number(&mut self, name: &str) -> Option<String> {
        self.required(name, |value| label(&text_or_number(value)?).map(Some))
    }

    pub(crate) fn required_token(&mut self, name: &str) -> Option<SecretString> {
        self.required(name, |value| match token(value)? {
            None => Err("is empty; give the token".to_owned()),
            token => Ok(token),
        })
    }

    pub(crate) fn token(&mut self, name: &str) -> Option<SecretString> {
        self.optional(name, token)
    }

    /// Reads a platform by its name or an alias.
    pub(crate) fn platform(&mut self, name: &str) -> Option<Platform> {
        self.required(name, |value| {
            let platform = value.as_str().and_then(Platform::from_export);
            let known = || format!("must be one of {}", Platform::names());
            platform.map(Some).ok_or_else(known)
        })
    }

    /// Reads an instant, to the second.
    pub(crate) fn instant(&mut self, name: &str) -> Option<DateTime<Utc>> {
        self.optional(name, instant)
    }

    /// Reads a list of texts, or one text that separates words by spaces or commas.
    pub(crate) fn words(&mut self, name: &str) -> Vec<String> {
        self.optional(name, |value| words(value).map(Some))
            .unwrap_or_default()
    }

    /// Reads yes or no; returns `None` if there is none, or none that can be understood.
    pub(crate) fn truth(&mut self, name: &str) -> Option<bool> {
        self.optional(name, |value| truth(&value).map(Some))
    }

    /// Reads an object as it is. Control characters in it stay, since a line break is
    /// legitimate in its owner's own data. It is kept as JSON text, which escapes them, and no
    /// answer, message or log holds it.
    pub(crate) fn object(&mut self, name: &str) -> Option<Map<String, Value>> {
        self.optional(name, |value| match value {
            Value::Object(object) => Ok(Some(object)),
            _ => Err("must be a JSON object, or null".to_owned()),
        })
    }
}
