//! Reads the values of fields. Each error is the rest of a sentence that begins with the field,
//! and repeats no value, for it may be a token.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use secrecy::SecretString;
use serde_json::{Number, Value};

/// The longest name, in characters.
const MAX_NAME_CHARS: usize = 512;
/// The longest token, in bytes. The longest seen in the field are under 4 kB.
const MAX_TOKEN_BYTES: usize = 16 * 1024;
pub(super) fn text_or_number(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(number) if number.is_u64() => Ok(number.to_string()),
        _ => Err("must be a text".to_owned()),
    }
}

/// Reads a text that is shown to people, in mails and on pages: one line of it.
pub(super) fn label(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > MAX_NAME_CHARS {
        return Err(format!("must be 1 to {MAX_NAME_CHARS} characters"));
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

/// Reads a token without the white space around it, as platforms' answers are read too; a blank
/// one is none. A token holds only visible ASCII: RFC 6749 (appendix A.12, A.17) allows the
/// space as well, and no platform of ours uses the space.
pub(super) fn token(value: Value) -> Result<Option<SecretString>, String> {
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
    if text.len() > MAX_TOKEN_BYTES {
        return Err(format!("must be at most {MAX_TOKEN_BYTES} bytes"));
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

pub(super) fn words(value: Value) -> Result<Vec<String>, String> {
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

/// Reads JSON's own, and what databases export: Postgres `t` and `f`, MySQL 1 and 0.
pub(super) fn truth(value: &Value) -> Result<bool, String> {
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

pub(super) fn instant(value: Value) -> Result<Option<DateTime<Utc>>, String> {
    let at = match value {
        Value::Number(number) => epoch(&number)?,
        Value::String(text) => {
            let text = text.trim();
            if text.is_empty() {
                return Ok(None);
            }
            match text.parse::<Number>() {
                Ok(number) => epoch(&number)?,
                Err(_) => parse_date(text)?,
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

/// Reads epoch seconds; a fraction of one is dropped.
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

/// Parses RFC 3339, and what is near it: a space for the `T`, as Postgres writes it, a zone
/// without minutes or colon, a time without seconds. ISO 8601 has them all.
fn parse_date(text: &str) -> Result<i64, String> {
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

/// Parses `Z`, `UTC`, `GMT`, `+01`, `+0100` or `+01:00`.
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
