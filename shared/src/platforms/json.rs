//! How platforms write codes, texts, permissions and instants in JSON.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::domain::probe_result::Ends;

/// Returns a code as text, whether it came as a number or as a text.
pub(crate) fn code(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}

/// Returns the text of a field, or an empty one.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// Scopes are separated by space (X, Google, Snapchat), comma (TikTok), either
/// (LinkedIn), or come as a list (TikTok Business).
pub(crate) fn scopes(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => text
            .split([' ', ','])
            .filter(|scope| !scope.is_empty())
            .map(str::to_owned)
            .collect(),
        Value::Array(list) => list
            .iter()
            .filter_map(|scope| scope.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    }
}

/// Reads epoch seconds; 0, said outright, means never (Meta).
pub(crate) fn ends(value: &Value) -> Ends {
    match instant(value) {
        Some(end) => Ends::At(end),
        None if *value == 0 => Ends::Never,
        None => Ends::NotSaid,
    }
}

/// Reads epoch seconds above 0.
pub(crate) fn instant(value: &Value) -> Option<DateTime<Utc>> {
    let seconds = value.as_i64().filter(|seconds| *seconds > 0)?;
    DateTime::from_timestamp(seconds, 0)
}
