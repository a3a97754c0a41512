//! Takes out of a template what has no meaning on one machine, and refuses what is not
//! supported.

use serde_json::{Map, Value};

use super::error::TemplateError;
use super::resource::Resource;
use super::supported::Meaning::{self, Runs, Without};
use super::supported::{EVERY_RESOURCE, PARAMETER, Properties, TYPES, TYPES_WITHOUT};
use super::value::{inside, object, text};

/// Returns the resource without what has no meaning here; `None` if that is all of it.
pub(super) fn prune(resource: &Value, place: &str) -> Result<Option<Resource>, TemplateError> {
    let kind = object(resource, place)?
        .get("Type")
        .map(text)
        .unwrap_or_default();
    if TYPES_WITHOUT.iter().any(|(without, _)| *without == kind) {
        return Ok(None);
    }
    let Some((_, properties)) = TYPES.iter().find(|(known, _)| *known == kind) else {
        let problem = format!("{kind} is not supported");
        return Err(TemplateError::at(inside(place, "Type"), problem));
    };
    let mut pruned = walk(resource, &[EVERY_RESOURCE, properties], "", place)?;
    Ok(Some(Resource {
        kind,
        condition: pruned.get("Condition").map(text),
        properties: pruned["Properties"].take(),
        metadata: pruned["Metadata"].take(),
    }))
}

/// Prunes the globals, which stand in for properties of every function.
pub(super) fn prune_globals(globals: &Value, place: &str) -> Result<Value, TemplateError> {
    let function = TYPES
        .iter()
        .find(|(kind, _)| *kind == "AWS::Serverless::Function");
    let properties: Vec<_> = function.iter().map(|(_, properties)| *properties).collect();
    walk(globals, &properties, "Properties", place)
}

pub(super) fn check_parameter(parameter: &Value, place: &str) -> Result<(), TemplateError> {
    walk(parameter, &[PARAMETER], "", place).map(|_| ())
}

/// Copies `value`, found at `path`, without the properties that have no meaning here.
fn walk(
    value: &Value,
    known: &[Properties],
    path: &str,
    place: &str,
) -> Result<Value, TemplateError> {
    match value {
        Value::Array(items) => items
            .iter()
            .enumerate()
            .map(|(index, item)| walk(item, known, path, &format!("{place}[{index}]")))
            .collect(),
        Value::Object(entries) => {
            let mut kept = Map::new();
            for (key, value) in entries {
                // A dot within a key separates nothing.
                let path = inside(path, &key.replace('.', "_"));
                let place = inside(place, key);
                match find(known, &path) {
                    Found::Here(Runs) => drop(kept.insert(key.clone(), value.clone())),
                    Found::Here(Without(reason)) => {
                        tracing::trace!(place, reason, "has no meaning on this machine");
                    }
                    Found::Below => {
                        drop(kept.insert(key.clone(), walk(value, known, &path, &place)?))
                    }
                    Found::Nowhere => {
                        return Err(TemplateError::at(place, "this property is not supported"));
                    }
                }
            }
            Ok(Value::Object(kept))
        }
        _ => Err(TemplateError::at(place, "a map or a list is expected here")),
    }
}

enum Found {
    Here(&'static Meaning),
    Below,
    Nowhere,
}

fn find(known: &[Properties], path: &str) -> Found {
    let mut found = Found::Nowhere;
    for (pattern, meaning) in known.iter().copied().flatten() {
        match relation(pattern, path) {
            Some(true) => return Found::Here(meaning),
            Some(false) => found = Found::Below,
            None => {}
        }
    }
    found
}

/// Returns `Some(true)` if `pattern` names `path`, `Some(false)` if something below it.
fn relation(pattern: &str, path: &str) -> Option<bool> {
    let mut pattern = pattern.split('.');
    for segment in path.split('.') {
        let expected = pattern.next()?;
        if expected != "*" && expected != segment {
            return None;
        }
    }
    Some(pattern.next().is_none())
}
