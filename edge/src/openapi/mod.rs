//! The document of the HTTP API (OpenAPI 3.1). Each route says at its handler what is particular
//! to it; what holds for every route alike is added here.

mod answers;

use answers::{
    BEARER, Denial, Route, add_quota_headers, allow_any_body, complete_answer, reference,
};
use serde_json::{Map, Value, json};
use shared::{IntegrationId, OrgId, Platform, UserId};
use utoipa::openapi::OpenApi;
use utoipa::{PartialSchema, ToSchema};

use crate::problem::ProblemDetails;

const ABOUT: &str = "Connections to platforms: why one is broken, until when one works, living \
    access tokens, exact quotas. Every `GET` also answers `HEAD`, as `GET` without the body, but \
    `/oauth/callback`. A method that a route lacks gets 405 with `Allow`.";

/// What operations are about, in the order in which people read of them.
const TAGS: [&str; 7] = [
    "Calling platforms",
    "Integrations",
    "Quotas",
    "Notifications",
    "Organisations",
    "Consent",
    "The page",
];

/// Returns the document of these functions' routes, with examples of answers by the operation's id
/// and the status.
pub fn document(functions: impl IntoIterator<Item = OpenApi>, examples: &Value) -> Value {
    let mut all = OpenApi::default();
    for function in functions {
        all.merge(function);
    }
    let mut document = json!(all);
    let mut schemas = Vec::new();
    add::<ProblemDetails>(&mut schemas);
    add::<Denial>(&mut schemas);
    for (name, schema) in schemas {
        document["components"]["schemas"][name] = schema;
    }
    if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
        schemas.values_mut().for_each(complete_schema);
    }
    document["info"] = json!({
        "title": "Token Warden",
        "version": env!("CARGO_PKG_VERSION"),
        "description": ABOUT,
        "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
    });
    document["tags"] = TAGS.map(|name| json!({"name": name})).into();
    // Also under the stage of a gateway.
    document["servers"] = json!([{"url": "./"}]);
    document["components"]["securitySchemes"] = json!({BEARER: {
        "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
        "description": "A token of the deployment's OpenID provider. What stands beside `bearer` \
            is a permission that the caller must have in the organisation.",
    }});
    let Value::Object(paths) = document["paths"].take() else {
        return document;
    };
    document["paths"] = paths
        .into_iter()
        .map(|(path, item)| (path.replace("{*", "{"), item))
        .map(|(path, item)| (path.clone(), complete_path(&path, item, examples)))
        .collect();
    let paths = document["paths"].to_string();
    let used = answers::shared().filter(|(name, _)| paths.contains(&format!("/{name}\"")));
    document["components"]["responses"] = used.collect();
    document
}

fn add<T: ToSchema>(schemas: &mut Vec<(String, Value)>) {
    schemas.push((T::name().into_owned(), json!(T::schema())));
}

/// Completes what is flattened into an object: its members are there or not.
fn complete_schema(schema: &mut Value) {
    let parts = schema.get_mut("allOf").and_then(Value::as_array_mut);
    for part in parts.into_iter().flatten() {
        if let Some(present) = present(part) {
            *part = json!({"anyOf": [present, {"type": "object"}]});
        }
    }
}

/// Returns the schema of what is there, if this is utoipa's schema of an `Option`: that, or null.
fn present(schema: &Value) -> Option<Value> {
    let choices = schema["oneOf"].as_array()?;
    let mut present = choices.iter().filter(|of| of["type"] != "null");
    present.next().filter(|_| present.next().is_none()).cloned()
}

fn complete_path(path: &str, item: Value, examples: &Value) -> Value {
    let Value::Object(mut item) = item else {
        return item;
    };
    let names = path.split('/').filter_map(|segment| {
        let name = segment.strip_prefix('{')?;
        name.strip_suffix('}')
    });
    let parameters: Vec<_> = names.map(parameter).collect();
    let several = item.len() > 1;
    for (method, operation) in &mut item {
        complete_operation(path, method, operation, examples);
        // One handler may serve several methods.
        if several && path.contains("/proxy/") {
            let name = operation["operationId"].as_str().unwrap_or_default();
            operation["operationId"] = json!(format!("{name}_{method}"));
        }
    }
    if !parameters.is_empty() {
        item.insert("parameters".to_owned(), json!(parameters));
    }
    Value::Object(item)
}

/// Describes a parameter of a path.
fn parameter(name: &str) -> Value {
    let schema = match name {
        "orgId" => json!(OrgId::schema()),
        "integrationId" => json!(IntegrationId::schema()),
        "userId" => json!(UserId::schema()),
        "platform" => json!({"$ref": reference::<Platform>()}),
        _ => json!({"type": "string", "minLength": 1}),
    };
    json!({"name": name, "in": "path", "required": true, "schema": schema})
}

/// Adds what any route like this one may answer.
fn complete_operation(path: &str, method: &str, operation: &mut Value, examples: &Value) {
    let body = operation.get_mut("requestBody");
    let contents = body.and_then(|body| body["content"].as_object_mut());
    for content in contents.into_iter().flat_map(Map::values_mut) {
        if let Some(present) = present(&content["schema"]) {
            content["schema"] = present;
        }
    }
    let route = Route::of(path, method, operation);
    let Value::Object(own) = operation["responses"].take() else {
        return;
    };
    let passes_on = own.contains_key("default");
    let mut answers = route.shared_answers(passes_on);
    let examples = &examples[operation["operationId"].as_str().unwrap_or_default()];
    for (status, mut answer) in own {
        let contents = answer.get_mut("content").and_then(Value::as_object_mut);
        for content in contents.into_iter().flat_map(Map::values_mut) {
            if let Some(example) = examples.get(&status) {
                content["example"] = example.clone();
            }
        }
        complete_answer(&status, &mut answer);
        if route.is_metered && ["200", "default"].contains(&status.as_str()) {
            add_quota_headers(&mut answer);
        }
        if passes_on {
            allow_any_body(&mut answer);
        }
        answers.insert(status, answer);
    }
    operation["responses"] = Value::Object(answers);
}
