//! Values of the template: their shapes, their places, and their texts.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::TemplateError;

pub(super) fn inside(place: &str, key: &str) -> String {
    if place.is_empty() {
        key.to_owned()
    } else {
        format!("{place}.{key}")
    }
}

pub(super) fn object<'a>(
    value: &'a Value,
    place: &str,
) -> Result<&'a Map<String, Value>, TemplateError> {
    value
        .as_object()
        .ok_or_else(|| TemplateError::at(place, "a map is expected here"))
}

pub(super) fn optional_object<'a>(
    document: &'a Value,
    section: &str,
) -> Result<Vec<(&'a String, &'a Value)>, TemplateError> {
    document.get(section).map_or(Ok(Vec::new()), |value| {
        Ok(object(value, section)?.iter().collect())
    })
}

/// Returns a scalar as CloudFormation passes it on: as text.
pub(crate) fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

pub(super) fn typed<T: DeserializeOwned>(value: Value, place: &str) -> Result<T, TemplateError> {
    serde_json::from_value(value).map_err(|e| TemplateError::at(place, e.to_string()))
}

/// Returns the text of a header's `'literal'` source.
pub(crate) fn literal(source: &str) -> Option<&str> {
    source.strip_prefix('\'')?.strip_suffix('\'')
}
