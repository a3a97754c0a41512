//! The document of the HTTP API (OpenAPI 3.1). Each route says at its handler what is particular
//! to it; what holds for every route alike is added here.

use serde_json::{Map, Value, json};
use shared::domain::quota::HEADERS;
use shared::domain::route::is_metered;
use shared::{IntegrationId, OrgId, Platform, UserId};
use utoipa::openapi::OpenApi;
use utoipa::{PartialSchema, ToSchema};

use crate::problem::ProblemDetails;

/// The scheme of bearer tokens, as the routes name it.
const BEARER: &str = "bearer";

const ABOUT: &str = "Connections to platforms: why one is broken, until when one works, living \
    access tokens, exact quotas. Every `GET` also answers `HEAD`, as `GET` without the body. A \
    method that a route lacks gets 405 with `Allow`. docs/http-api.md explains it all.";

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
        "description": "A token of the deployment's OpenID provider. Names beside it are the \
            permissions that the caller must have in the organisation.",
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
    let used = shared_answers().filter(|(name, _)| paths.contains(&format!("/{name}\"")));
    document["components"]["responses"] = used.collect();
    document
}

/// The body of the 429 of a quota, from the gateway.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "it is described here, and written by the template"
)]
struct Denial {
    /// `Rate limit exceeded`; through the proxy, an object.
    error: Value,
    message: String,
    /// `quota_used_up` or `platform_asks_to_wait`.
    reason: String,
    /// In seconds.
    retry_after: u32,
    /// In UTC, such as `2025-11-18 10:00:00`.
    reset_at: String,
    limit: u32,
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

fn reference<T: ToSchema>() -> String {
    format!("#/components/schemas/{}", T::name())
}

/// What several routes answer alike: a name, the status, and when.
const SHARED: [(&str, u16, &str); 13] = [
    ("NotModified", 304, "Nothing has changed."),
    (
        "BadRequest",
        400,
        "A parameter or the body is wrong; `detail` says what is accepted.",
    ),
    ("Unauthorized", 401, "There is no valid bearer token."),
    (
        "NoMember",
        403,
        "The caller is not a member of the organisation.",
    ),
    (
        "NoPermission",
        403,
        "The caller is not a member, or lacks the permission.",
    ),
    (
        "NotFound",
        404,
        "There is no such thing, or the path is not spelled canonically.",
    ),
    (
        "TooLarge",
        413,
        "The request is larger than the gateway takes.",
    ),
    ("Throttled", 429, "The API is throttled."),
    (
        "Denied",
        429,
        "The quota is used up, the platform asks to wait, or the API is throttled.",
    ),
    ("Failed", 500, "Something failed on our side."),
    ("GatewayFailed", 502, "The function could not be reached."),
    ("Unavailable", 503, "The caller could not be checked."),
    (
        "TooLate",
        504,
        "The answer took longer than the 29 seconds that the gateway waits.",
    ),
];

/// Before the name of an answer that may be ours, or a platform's with the same status.
const PROXIED: &str = "Proxied";

fn shared_answers() -> impl Iterator<Item = (String, Value)> {
    SHARED.into_iter().flat_map(|(name, status, description)| {
        let mut answer = json!({"description": description});
        complete_answer(&status.to_string(), &mut answer);
        if name == "Denied" {
            answer["content"]["application/json"] = json!({
                "schema": {"$ref": reference::<Denial>()},
                "example": {
                    "error": "Rate limit exceeded",
                    "message": "Too many requests to meta API. Please try again later.",
                    "reason": "quota_used_up", "retry_after": 3_600,
                    "reset_at": "2025-11-18 10:00:00", "limit": 200,
                },
            });
            add_quota_headers(&mut answer);
        }
        let mut proxied = answer.clone();
        allow_any_body(&mut proxied);
        [
            (name.to_owned(), answer),
            (format!("{PROXIED}{name}"), proxied),
        ]
    })
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
    let security = &operation["security"][0][BEARER];
    let is_open = !security.is_array();
    let takes_permission = security.as_array().is_some_and(|names| !names.is_empty());
    let takes_query = operation["parameters"].is_array();
    let takes_body = operation["requestBody"].is_object();
    let is_of_org = path.contains("{orgId}") && !is_open;
    let is_metered = is_metered(&path.replace("{path}", "{path+}"));
    let names = SHARED.into_iter().filter(|(name, ..)| match *name {
        "NotModified" => method == "get" && !is_open && !is_metered,
        "BadRequest" => !is_open && (takes_query || takes_body) || is_metered,
        "Unauthorized" | "Unavailable" => !is_open,
        "NoMember" => is_of_org && !takes_permission,
        "NoPermission" => takes_permission,
        "NotFound" => path.contains('{'),
        "TooLarge" => takes_body || is_metered,
        "Throttled" => !is_metered,
        "Denied" => is_metered,
        _ => true,
    });
    let Value::Object(own) = operation["responses"].take() else {
        return;
    };
    let passes_on = own.contains_key("default");
    let prefix = if passes_on { PROXIED } else { "" };
    let mut answers: Map<_, _> = names
        .map(|(name, status, _)| {
            let answer = json!({"$ref": format!("#/components/responses/{prefix}{name}")});
            (status.to_string(), answer)
        })
        .collect();
    let examples = &examples[operation["operationId"].as_str().unwrap_or_default()];
    for (status, mut answer) in own {
        let contents = answer.get_mut("content").and_then(Value::as_object_mut);
        for content in contents.into_iter().flat_map(Map::values_mut) {
            if let Some(example) = examples.get(&status) {
                content["example"] = example.clone();
            }
        }
        complete_answer(&status, &mut answer);
        if is_metered && ["200", "default"].contains(&status.as_str()) {
            add_quota_headers(&mut answer);
        }
        if passes_on {
            allow_any_body(&mut answer);
        }
        answers.insert(status, answer);
    }
    operation["responses"] = Value::Object(answers);
}

fn allow_any_body(answer: &mut Value) {
    answer["content"]["*/*"] = json!({});
}

fn add_quota_headers(answer: &mut Value) {
    for (name, _) in HEADERS {
        answer["headers"][name] = header("What is left of the quota (docs/quotas.md).");
    }
}

fn header(description: &str) -> Value {
    json!({"description": description, "schema": {"type": "string"}})
}

/// Adds the body and the headers that every answer of this status has.
fn complete_answer(status: &str, answer: &mut Value) {
    let code: u16 = status.parse().unwrap_or_default();
    if code >= 400 && answer.get("content").is_none() {
        let title = http::StatusCode::from_u16(code).ok();
        let title = title.and_then(|status| status.canonical_reason());
        answer["content"] = json!({"application/problem+json": {
            "schema": {"$ref": reference::<ProblemDetails>()},
            "example": {
                "type": "about:blank", "title": title, "status": code,
                "detail": answer["description"],
                "instance": "f060576e-0fb8-e707-66c3-6c1b6ba66af9",
            },
        }});
    }
    match code {
        401 => answer["headers"]["WWW-Authenticate"] = header("`Bearer`"),
        429 | 503 => answer["headers"]["Retry-After"] = header("In seconds."),
        304 => answer["headers"]["ETag"] = header("As of the answer that is still true."),
        _ => {}
    }
}
