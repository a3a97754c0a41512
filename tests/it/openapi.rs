//! The document of the HTTP API: it is what the code says, it lists the template's routes, and
//! what it says of callers holds.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::TimeDelta;
use local::template::{EMBEDDED, Inputs, Template};
use serde_json::{Value, json};
use shared::{OrgId, Variables};

use crate::contract::{DOCUMENT, resolve, validator};
use crate::world::{Answer, World, acme, integration};

/// The methods that the proxy takes: those of API Gateway's `ANY`.
const ANY: [&str; 7] = ["delete", "get", "head", "options", "patch", "post", "put"];

const EXAMPLES: &str = include_str!("../../functions/api/examples.json");

pub(crate) fn document() -> Value {
    let examples = serde_json::from_str(EXAMPLES).unwrap();
    edge::openapi::document([api::openapi(), platform_calls::openapi()], &examples)
}

/// One operation of the document.
struct Operation<'a> {
    method: &'a str,
    path: &'a str,
    described: &'a Value,
}

impl Operation<'_> {
    /// Returns the permissions that a caller needs; `None` if it is for anybody.
    fn permissions(&self) -> Option<Vec<&str>> {
        let names = self.described["security"][0]["bearer"].as_array()?;
        Some(names.iter().filter_map(Value::as_str).collect())
    }
}

fn operations(document: &Value) -> impl Iterator<Item = Operation<'_>> {
    let paths = document["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, item)| {
        let operations = item.as_object().unwrap().iter();
        let operations = operations.filter(|(name, _)| ANY.contains(&name.as_str()));
        operations.map(move |(method, described)| Operation {
            method,
            path,
            described,
        })
    })
}

#[test]
fn the_document_is_what_the_code_says() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../functions/api/openapi.json");
    let generated = format!("{:#}\n", document());
    if Variables::from_process().get("WRITE").is_some() {
        std::fs::write(&file, &generated).unwrap();
    }
    let stored = std::fs::read_to_string(&file).unwrap();
    let advice = "functions/api/openapi.json is old: WRITE=1 cargo test -p tests --test it openapi";
    assert!(stored == generated, "{advice}");
}

#[test]
fn every_body_has_an_example_that_is_as_its_schema_says() {
    let mut used = BTreeSet::new();
    for operation in operations(&DOCUMENT) {
        let id = operation.described["operationId"].as_str();
        let tag = &operation.described["tags"][0];
        let tags = DOCUMENT["tags"].as_array().unwrap();
        assert!(
            tags.iter().any(|of| of["name"] == *tag),
            "{tag} is in no list"
        );
        let answers = operation.described["responses"].as_object().unwrap();
        let answers = answers
            .iter()
            .map(|(status, answer)| (status, resolve(answer)));
        let request = &operation.described["requestBody"];
        for (status, body) in answers.chain([(&"request".to_owned(), request)]) {
            for (kind, content) in body["content"].as_object().into_iter().flatten() {
                // The document itself is none that can be shown in it.
                if !kind.ends_with("json") || id == Some("getOpenApi") {
                    continue;
                }
                let what = format!("{id:?} {status}");
                let example = &content["example"];
                assert!(!example.is_null(), "{what} has no example");
                let validator = validator(&content["schema"]);
                let faults = validator.iter_errors(example).map(|e| e.to_string());
                let faults: Vec<_> = faults.collect();
                assert!(faults.is_empty(), "{what}: {faults:#?}");
                used.insert((id.unwrap_or_default().to_owned(), status.clone()));
            }
        }
    }
    let examples: Value = serde_json::from_str(EXAMPLES).unwrap();
    for (id, of) in examples.as_object().unwrap() {
        for status in of.as_object().unwrap().keys() {
            let is_used = used.contains(&(id.clone(), status.clone()));
            assert!(is_used, "{id} {status} is in no answer of the document");
        }
    }
}

#[test]
fn an_id_is_what_its_schema_says() {
    let schema = json!({"$ref": "#/components/schemas/OrgId"});
    let long = "x".repeat(128);
    for id in ["a", "auth0|7", "a.b_c:d@e-f", "..a", &long] {
        assert!(
            OrgId::new(id).is_ok() && validator(&schema).is_valid(&json!(id)),
            "{id}"
        );
    }
    for other in [
        "",
        ".",
        "..",
        "a b",
        "a#b",
        "a/b",
        "ä",
        "a\n",
        &format!("{long}x"),
    ] {
        assert!(
            OrgId::new(other).is_err() && !validator(&schema).is_valid(&json!(other)),
            "{other}"
        );
    }
}

#[test]
fn document_and_template_have_the_same_routes_for_the_same_callers() {
    let inputs = Inputs {
        parameters: [
            ("AuthIssuer", "http://127.0.0.1:1"),
            ("AuthAudience", "warden"),
            ("PlatformEndpoints", "{}"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        sqs: "http://127.0.0.1:2".to_owned(),
    };
    let model = Template::parse(EMBEDDED).unwrap().resolve(&inputs).unwrap();
    let mut template: BTreeMap<String, BTreeSet<(String, bool)>> = BTreeMap::new();
    for route in &model.api.routes {
        let path = route.path.replace("+}", "}");
        let method = (route.method.to_lowercase(), route.authorizer.is_some());
        template.entry(path).or_default().insert(method);
    }
    // The rest of a path answers 405, and `GET` has its `HEAD`.
    for methods in template.values_mut() {
        match methods.len() {
            1 => *methods = ANY.map(|method| (method.to_owned(), true)).into(),
            _ => methods.retain(|(method, _)| method != "any" && method != "head"),
        }
    }
    let document = document();
    let mut described: BTreeMap<String, BTreeSet<(String, bool)>> = BTreeMap::new();
    for operation in operations(&document) {
        let is_judged = operation.permissions().is_some();
        let method = (operation.method.to_owned(), is_judged);
        let methods = described.entry(operation.path.to_owned()).or_default();
        methods.insert(method);
    }
    assert_eq!(described, template);
}

/// Returns values at the limits of a schema, with whether it allows them.
fn around_limits(schema: &Value) -> Vec<(Value, bool)> {
    let schema = resolve_in(schema);
    let text = |length: i64| json!("1".repeat(usize::try_from(length).unwrap()));
    let of = |name: &str, beyond: i64, value: &dyn Fn(i64) -> Value| {
        let limit = schema[name].as_i64();
        limit.map(|limit| [(value(limit), true), (value(limit + beyond), false)])
    };
    let number = |number: i64| json!(number);
    [
        of("minimum", -1, &number),
        of("maximum", 1, &number),
        of("minLength", -1, &text),
        of("maxLength", 1, &text),
    ]
    .into_iter()
    .flatten()
    .flatten()
    .collect()
}

fn resolve_in(schema: &Value) -> Value {
    match schema["$ref"].as_str() {
        Some(place) => DOCUMENT.pointer(&place[1..]).unwrap().clone(),
        None => schema.clone(),
    }
}

#[tokio::test]
async fn the_limits_of_parameters_and_bodies_are_the_codes() {
    let world = two_organizations().await;
    let mut requests = Vec::new();
    for operation in operations(&DOCUMENT) {
        let (method, path) = (operation.method.to_uppercase(), path_of(&operation));
        let parameters = operation.described["parameters"].as_array();
        for parameter in parameters.into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap();
            for (value, is_allowed) in around_limits(&parameter["schema"]) {
                let value = value.as_str().map_or(value.to_string(), str::to_owned);
                let request = world.request_as("olga", &method, &format!("{path}?{name}={value}"));
                requests.push((
                    format!("{method} {path}?{name}={value}"),
                    request,
                    is_allowed,
                ));
            }
        }
        let content = &operation.described["requestBody"]["content"]["application/json"];
        let schema = content["schema"]
            .as_object()
            .map(|_| resolve_in(&content["schema"]));
        let properties = schema.as_ref().and_then(|of| of["properties"].as_object());
        for (name, property) in properties.into_iter().flatten() {
            for (value, is_allowed) in around_limits(property) {
                let mut body = content["example"].clone();
                let what = format!("{method} {path} {name}: {value}");
                body[name] = value;
                let request = world.request_as("olga", &method, &path).json(&body);
                requests.push((what, request, is_allowed));
            }
        }
    }
    assert!(requests.len() > 30, "{}", requests.len());
    for (what, request, is_allowed) in requests {
        let answer = Answer::of(request).await;
        assert_eq!(answer.status != 400, is_allowed, "{what}: {}", answer.text);
    }
}

/// Two organisations: `acme`, and `other` with its owner.
async fn two_organizations() -> World {
    let world = World::new().await;
    world.import(&acme()).await;
    let mut records = vec![
        json!({"type": "organization", "org_id": "other", "name": "Other", "owner_id": "otto"}),
        integration("i", "meta", Some(TimeDelta::days(30)), false),
    ];
    for permission in ["manage_integrations", "use_integrations", "manage_members"] {
        // `ian` and `mia` have some already, and these have one each, and all but one each.
        let others: Vec<_> = ["manage_integrations", "use_integrations", "manage_members"]
            .into_iter()
            .filter(|other| *other != permission)
            .collect();
        for (user, permissions) in [
            (format!("only.{permission}"), vec![permission]),
            (format!("without.{permission}"), others),
        ] {
            records.push(json!({"type": "member", "org_id": "acme", "user_id": user,
                "permissions": permissions}));
        }
    }
    world.import(&records).await;
    world
}

/// Returns every item of every table.
async fn everything(world: &World) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for name in [
        "INTEGRATIONS_TABLE",
        "ORGANIZATIONS_TABLE",
        "NOTIFICATIONS_TABLE",
        "AUDIT_TABLE",
        "QUOTAS_TABLE",
    ] {
        let table = world.variable("ApiFunction", name);
        let mut pages = world
            .dynamodb()
            .scan()
            .table_name(table)
            .into_paginator()
            .items()
            .send();
        while let Some(item) = pages.next().await {
            let item: BTreeMap<String, AttributeValue> = item.unwrap().into_iter().collect();
            all.insert(format!("{name}: {item:?}"));
        }
    }
    all
}

/// Returns the path with `acme`'s values.
fn path_of(operation: &Operation<'_>) -> String {
    operation
        .path
        .replace("{orgId}", "acme")
        .replace("{integrationId}", "i")
        .replace("{platform}", "meta")
        .replace("{userId}", "mia")
        .replace("{notificationId}", "0-0")
        .replace("{path}", "v1/me")
}

/// Sends what the document has as an example.
async fn call(world: &World, operation: &Operation<'_>, user: Option<&str>) -> Answer {
    let path = path_of(operation);
    let method = operation.method.to_uppercase();
    let request = match user {
        Some(user) => world.request_as(user, &method, &path),
        None => world.request(&method, &path),
    };
    let body = &operation.described["requestBody"]["content"]["application/json"]["example"];
    Answer::of(match body {
        Value::Null => request,
        body => request.json(body),
    })
    .await
}

#[tokio::test]
async fn nobody_reaches_what_is_another_organizations() {
    let world = two_organizations().await;
    let document = document();
    let before = everything(&world).await;
    assert!(before.len() > 10);
    let mut count = 0;
    for operation in operations(&document) {
        let Some(permissions) = operation.permissions() else {
            continue;
        };
        let what = format!("{} {}", operation.method, operation.path);
        let anonymous = call(&world, &operation, None).await;
        assert_eq!(anonymous.status, 401, "{what}");
        if !operation.path.contains("{orgId}") {
            assert!(permissions.is_empty(), "{what}");
            continue;
        }
        count += 1;
        for user in ["stranger", "otto"] {
            let answer = call(&world, &operation, Some(user)).await;
            assert_eq!(answer.status, 403, "{what} {user}: {}", answer.text);
            assert!(
                !answer.text.contains("acme"),
                "{what} {user}: {}",
                answer.text
            );
        }
        for permission in permissions {
            let user = format!("without.{permission}");
            let answer = call(&world, &operation, Some(&user)).await;
            assert_eq!(answer.status, 403, "{what} {user}: {}", answer.text);
        }
        let after = everything(&world).await;
        let changed: Vec<_> = before.symmetric_difference(&after).collect();
        assert!(
            changed.is_empty(),
            "{what} left something behind: {changed:#?}"
        );
    }
    assert!(count > 20, "{count}");
}

#[tokio::test]
async fn the_named_permission_is_enough() {
    let document = document();
    let world = two_organizations().await;
    for operation in operations(&document) {
        for permission in operation.permissions().unwrap_or_default() {
            let user = format!("only.{permission}");
            let answer = call(&world, &operation, Some(&user)).await;
            let what = format!("{} {} {user}", operation.method, operation.path);
            assert_ne!(answer.status, 403, "{what}: {}", answer.text);
            assert_ne!(answer.status, 401, "{what}: {}", answer.text);
        }
    }
}
