//! What others hand to us as a JSON object, read field by field: every fault is
//! named with the field, what is wrong with the value and what would do, and no
//! value is repeated, for it may be a token. An import's lines and the bodies of
//! requests are read here alike.

use std::fmt;

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use secrecy::SecretString;
use serde::de::{self, Deserialize, Deserializer, MapAccess};
use serde_json::{Map, Number, Value};

use crate::domain::id::InvalidId;
use crate::{Platform, domain::redact};

/// The longest name, in characters.
pub const MAX_NAME: usize = 512;
/// The longest token, in bytes. The longest seen in the field are under 4 kB.
pub const MAX_TOKEN: usize = 16 * 1024;
/// How many faults of one object are told.
const TOLD: usize = 5;

/// What is wrong with what was handed over: one fault after the other. Repeats
/// no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Faults(Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0[..self.0.len().min(TOLD)].join("; "))?;
        match self.0.len().saturating_sub(TOLD) {
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

/// The fields of a JSON object as they were given, and what was found wrong.
#[derive(Debug)]
pub struct Fields {
    given: Given,
    faults: Vec<String>,
}

/// In their order, also one that is there twice.
struct Given(Vec<(String, Value)>);

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Given({} fields)", self.0.len())
    }
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Given;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Given, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Given(fields))
            }
        }
        from.deserialize_map(Visitor)
    }
}

impl Fields {
    /// Reads a JSON object.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(json: &[u8]) -> Result<Self, Faults> {
        let given = serde_json::from_slice(json).map_err(|error| {
            // serde's message of a syntax error has no values, but that of another may.
            if error.is_syntax() || error.is_eof() {
                let text = error.to_string();
                let what = text.split(" at line ").next().unwrap_or_default();
                let place = match error.line() {
                    0 | 1 => format!("column {}", error.column()),
                    line => format!("line {line}, column {}", error.column()),
                };
                format!("not valid JSON: {what} ({place})")
            } else {
                "not a JSON object".to_owned()
            }
        })?;
        Ok(Self {
            given,
            faults: Vec::new(),
        })
    }

    /// Notes a fault.
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

    /// What was read, if nothing was wrong with anything.
    pub(crate) fn end<T>(self, read: Option<T>) -> Result<T, Faults> {
        match read {
            Some(read) if self.faults.is_empty() => Ok(read),
            _ => Err(Faults(self.faults)),
        }
    }

    /// The value of a field; one that is null counts as absent.
    pub(crate) fn value(&mut self, name: &str) -> Option<Value> {
        let index = self.given.0.iter().position(|(field, _)| field == name)?;
        Some(self.given.0.remove(index).1).filter(|value| !value.is_null())
    }

    /// The value of a field as `read` understands it, whose error is the rest
    /// of a sentence that begins with the field.
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

    /// An id. Databases export many as numbers.
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

    /// A name that people read.
    pub(crate) fn name(&mut self, name: &str) -> Option<String> {
        self.required(name, |value| match value {
            Value::String(text) => label(&text).map(Some),
            _ => Err("must be a text".to_owned()),
        })
    }

    /// The same, or a whole number: platforms' ids of accounts.
    pub(crate) fn name_or_number(&mut self, name: &str) -> Option<String> {
        self.required(name, |value| label(&text_or_number(value)?).map(Some))
    }

    /// A token that must be there.
    pub(crate) fn required_token(&mut self, name: &str) -> Option<SecretString> {
        self.required(name, |value| match token(value)? {
            None => Err("is empty; give the token".to_owned()),
            token => Ok(token),
        })
    }

    /// A token, where there is one.
    pub(crate) fn token(&mut self, name: &str) -> Option<SecretString> {
        self.optional(name, token)
    }

    /// A platform, by its name or an alias.
    pub(crate) fn platform(&mut self, name: &str) -> Option<Platform> {
        self.required(name, |value| {
            let platform = value.as_str().and_then(Platform::of_export);
            let known = || format!("must be one of {}", Platform::names());
            platform.map(Some).ok_or_else(known)
        })
    }

    /// An instant, to the second.
    pub(crate) fn instant(&mut self, name: &str) -> Option<DateTime<Utc>> {
        self.optional(name, instant)
    }

    /// Words: a list of texts, or one text that separates them by spaces or commas.
    pub(crate) fn words(&mut self, name: &str) -> Vec<String> {
        self.optional(name, |value| words(value).map(Some))
            .unwrap_or_default()
    }

    /// Yes or no; `None` if nothing, or nothing understandable, is said.
    pub(crate) fn truth(&mut self, name: &str) -> Option<bool> {
        self.optional(name, |value| truth(&value).map(Some))
    }

    /// An object, as it is. Control characters in it stay: it is its owner's
    /// own data, where a line break is legitimate; it is kept as JSON text, which
    /// escapes them, and no answer, message or log holds it.
    pub(crate) fn object(&mut self, name: &str) -> Option<Map<String, Value>> {
        self.optional(name, |value| match value {
            Value::Object(object) => Ok(Some(object)),
            _ => Err("must be a JSON object, or null".to_owned()),
        })
    }
}

fn text_or_number(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(number) if number.is_u64() => Ok(number.to_string()),
        _ => Err("must be a text".to_owned()),
    }
}

/// A text that is shown to people, in mails and on pages: one line of it.
fn label(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > MAX_NAME {
        return Err(format!("must be 1 to {MAX_NAME} characters"));
    }
    one_line(text).map(|()| text.to_owned())
}

fn one_line(text: &str) -> Result<(), String> {
    // The separators end a line wherever JavaScript reads them, and what turns the
    // direction of text makes a name look like another.
    let breaks = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}'..='\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    match text.chars().position(breaks) {
        None => Ok(()),
        Some(at) => {
            let code = text.chars().nth(at).map_or(0, u32::from);
            let at = at + 1;
            Err(format!(
                "holds the control character U+{code:04X} at place {at}; remove it"
            ))
        }
    }
}

/// A token without the white space around it, as it is read from platforms'
/// answers too; what is blank is none. Within it there is none: RFC 6749
/// (appendix A.12, A.17) allows visible ASCII and the space, and no platform of
/// ours uses the space.
fn token(value: Value) -> Result<Option<SecretString>, String> {
    let Value::String(text) = value else {
        return Err("must be a text".to_owned());
    };
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    // Of exports that write their null as a text.
    if ["null", "none", "nil", "undefined", "\\n"].contains(&text.to_lowercase().as_str()) {
        return Err("is a word for nothing; give the token, or null".to_owned());
    }
    if text.len() > MAX_TOKEN {
        return Err(format!("must be at most {MAX_TOKEN} bytes"));
    }
    if let Some(at) = text.chars().position(|c| !c.is_ascii_graphic()) {
        let what = match text.chars().nth(at) {
            Some(c) if c.is_whitespace() => "white space",
            Some(c) if c.is_control() => "a control character",
            _ => "a character that is not ASCII",
        };
        let at = at + 1;
        return Err(format!(
            "has {what} within it, at place {at}, which no token has; give it as the platform \
             gave it"
        ));
    }
    Ok(Some(SecretString::from(text)))
}

fn words(value: Value) -> Result<Vec<String>, String> {
    const EXPECTED: &str = "must be a list of texts, or a text separated by spaces or commas";
    let words: Vec<String> = match value {
        Value::String(text) => {
            let words = text.split(|c: char| c == ',' || c.is_whitespace());
            let words = words.filter(|word| !word.is_empty());
            words.map(str::to_owned).collect()
        }
        Value::Array(list) => {
            let words = list.into_iter().map(|word| match word {
                Value::String(word) => Ok(word.trim().to_owned()),
                _ => Err(EXPECTED.to_owned()),
            });
            words.collect::<Result<_, _>>()?
        }
        _ => return Err(EXPECTED.to_owned()),
    };
    for word in &words {
        one_line(word)?;
    }
    Ok(words.into_iter().filter(|word| !word.is_empty()).collect())
}

/// JSON's own, and what databases export: Postgres `t` and `f`, MySQL 1 and 0.
fn truth(value: &Value) -> Result<bool, String> {
    let word = match value {
        Value::Bool(truth) => return Ok(*truth),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.trim().to_ascii_lowercase(),
        _ => String::new(),
    };
    match word.as_str() {
        "true" | "t" | "1" => Ok(true),
        "false" | "f" | "0" => Ok(false),
        _ => Err("must be true or false (or t, f, 1, 0)".to_owned()),
    }
}

const DATE: &str = "must be a date with a time and a zone, such as 2026-11-30T09:00:00Z or \
                    2026-11-30 09:00:00+00, or epoch seconds";

fn instant(value: Value) -> Result<Option<DateTime<Utc>>, String> {
    let at = match value {
        Value::Number(number) => epoch(&number)?,
        Value::String(text) => {
            let text = text.trim();
            if text.is_empty() {
                return Ok(None);
            }
            match text.parse::<Number>() {
                Ok(number) => epoch(&number)?,
                Err(_) => written(text)?,
            }
        }
        _ => return Err(DATE.to_owned()),
    };
    // Date arithmetic far from these years means a wrong unit, and could overflow.
    if (946_684_800..4_102_444_800).contains(&at) {
        Ok(DateTime::from_timestamp(at, 0))
    } else {
        Err("must lie between the years 2000 and 2100; null where there is none".to_owned())
    }
}

/// Epoch seconds; a fraction of one is dropped.
fn epoch(number: &Number) -> Result<i64, String> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "what is out of range saturates, and is refused as out of range"
    )]
    let seconds = match number.as_i64() {
        Some(seconds) => seconds,
        None => number.as_f64().unwrap_or(f64::MAX) as i64,
    };
    // As seconds these lie beyond the year 5000.
    let unit = match seconds {
        100_000_000_000..100_000_000_000_000 => "milliseconds",
        100_000_000_000_000..100_000_000_000_000_000 => "microseconds",
        100_000_000_000_000_000.. => "nanoseconds",
        _ => return Ok(seconds),
    };
    Err(format!("looks like {unit}; give seconds"))
}

/// RFC 3339, and what is near it: a space for the `T`, as Postgres writes it, a
/// zone without minutes or colon, a time without seconds. ISO 8601 has them all.
fn written(text: &str) -> Result<i64, String> {
    let date = text.get(..10);
    let day = date.and_then(|date| NaiveDate::parse_from_str(date, "%Y-%m-%d").ok());
    let (Some(day), Some(rest)) = (day, text.get(10..)) else {
        return Err(DATE.to_owned());
    };
    if rest.is_empty() {
        return Err(
            "is a day without a time; give a time and a zone, such as 2026-11-30T09:00:00Z"
                .to_owned(),
        );
    }
    let rest = rest.strip_prefix(['T', 't', ' ']).ok_or(DATE)?;
    let end = rest.find(|c: char| !(c.is_ascii_digit() || ":.".contains(c)));
    let (time, zone) = rest.split_at(end.unwrap_or(rest.len()));
    let time = ["%H:%M:%S%.f", "%H:%M"]
        .iter()
        .find_map(|format| NaiveTime::parse_from_str(time, format).ok())
        .ok_or(DATE)?;
    let zone = zone.trim_start();
    if zone.is_empty() {
        return Err(
            "has no time zone; add one, such as Z for UTC, or +01:00 (2026-11-30T09:00:00Z)"
                .to_owned(),
        );
    }
    let zone = offset(zone).ok_or(DATE)?;
    let at = NaiveDateTime::new(day, time).and_local_timezone(zone);
    Ok(at.single().ok_or(DATE)?.timestamp())
}

/// `Z`, `UTC`, `GMT`, `+01`, `+0100` or `+01:00`.
fn offset(zone: &str) -> Option<FixedOffset> {
    if ["z", "utc", "gmt"].contains(&zone.to_ascii_lowercase().as_str()) {
        return FixedOffset::east_opt(0);
    }
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let (hours, minutes) = match digits.len() {
        2 => (digits, "00"),
        4 => digits.split_at_checked(2)?,
        5 => digits.split_once(':')?,
        _ => return None,
    };
    let number = |text: &str, below: i32| {
        let plain = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        let number = text.parse::<i32>().ok().filter(|number| *number < below);
        number.filter(|_| plain)
    };
    FixedOffset::east_opt(sign * (number(hours, 24)? * 3600 + number(minutes, 60)? * 60))
}
