//! Holds every answer of the gateway to the document of the HTTP API.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};

use jsonschema::Validator;
use reqwest::Method;
use serde_json::Value;

use crate::openapi::document;
use crate::world::Answer;

pub(crate) static DOCUMENT: LazyLock<Value> = LazyLock::new(document);
/// Validators by the schema's place, each made once.
static VALIDATORS: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);

/// Returns the description of the path that this one spells; words go before parameters.
fn find(path: &str) -> Option<(&'static str, &'static Value)> {
    let given: Vec<_> = path.split('/').collect();
    let paths = DOCUMENT["paths"].as_object().unwrap().iter();
    let matching = paths.filter(|(template, _)| {
        let expected: Vec<_> = template.split('/').collect();
        let is_open = template.ends_with("{path}");
        let fits =
            |(expected, given): (&&str, &&str)| expected.starts_with('{') || expected == given;
        (expected.len() == given.len() || is_open && expected.len() <= given.len())
            && expected.iter().zip(&given).all(fits)
    });
    let found = matching.min_by_key(|(template, _)| template.matches('{').count());
    found.map(|(template, item)| (template.as_str(), item))
}

/// Returns the schema with the components that it refers to.
fn whole(schema: &Value) -> Value {
    let mut whole = schema.clone();
    whole["components"] = DOCUMENT["components"].clone();
    whole
}

pub(crate) fn validator(schema: &Value) -> Arc<Validator> {
    let mut made = VALIDATORS.lock().unwrap();
    let made = made.entry(schema.to_string());
    let made = made.or_insert_with(|| {
        let options = jsonschema::options().should_validate_formats(true);
        Arc::new(options.build(&whole(schema)).unwrap())
    });
    Arc::clone(made)
}

pub(crate) fn resolve(value: &'static Value) -> &'static Value {
    match value["$ref"].as_str() {
        Some(place) => DOCUMENT.pointer(place.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

/// Fails if an answer is not in the document.
#[track_caller]
pub(crate) fn check(method: &Method, path: &str, answer: &Answer) {
    let what = format!("{method} {path}: {} {}", answer.status, answer.text);
    let Some((_, item)) = find(path) else {
        assert_eq!(answer.status, 404, "no such path in the document: {what}");
        return;
    };
    let name = method.as_str().to_lowercase();
    let is_head = *method == Method::HEAD && item.get("head").is_none();
    let operation = &item[if is_head { "get" } else { &name }];
    if operation.is_null() {
        let known: &[u16] = match *method {
            Method::OPTIONS => &[200, 204, 404, 405],
            _ => &[404, 405],
        };
        assert!(
            known.contains(&answer.status),
            "no such method in the document: {what}"
        );
        return;
    }
    let answers = &operation["responses"];
    let described = answers
        .get(answer.status.to_string())
        .or(answers.get("default"));
    let described = described.unwrap_or_else(|| panic!("no such status in the document: {what}"));
    let described = resolve(described);
    let Some(content) = described["content"].as_object() else {
        assert_eq!(answer.text, "", "no body in the document: {what}");
        return;
    };
    if *method == Method::HEAD {
        return;
    }
    let kind = answer.headers.get("content-type");
    let kind = kind.map_or("", |kind| kind.to_str().unwrap());
    let kind = kind.split(';').next().unwrap();
    // What a platform answers may be anything; a problem is ours.
    if content.contains_key("*/*") && kind != "application/problem+json" {
        return;
    }
    let content = content.get(kind);
    let content = content.unwrap_or_else(|| panic!("{kind} is not in the document: {what}"));
    if kind.ends_with("json") {
        let validator = validator(&content["schema"]);
        let faults: Vec<_> = validator
            .iter_errors(&answer.json())
            .map(|e| format!("{}: {e}", e.instance_path()))
            .collect();
        assert!(
            faults.is_empty(),
            "not as in the document: {faults:#?}: {what}"
        );
    }
}
