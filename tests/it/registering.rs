//! A person's acts on an integration through the gateway: seeing, registering,
//! replacing, disconnecting and checking it. No answer here holds a token.

use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::TimeDelta;
use local::Options;
use local::aws::lambda::{FunctionError, handler};
use local::platforms::Script;
use serde_json::{Value, json};
use shared::Platform;
use shared::domain::integration::State;

use crate::world::{Answer, World, acme, integration, key, start};

const ALL: &str = "/api/dashboard/acme/integrations";

/// Every token of these tests begins with this; the platforms' own begin with `sim.`.
const PLANTED: &str = "planted";

fn one(id: &str) -> String {
    format!("{ALL}/{id}")
}

async fn world() -> World {
    let world = World::new().await;
    world.import(&acme()).await;
    world
}

fn google(left: TimeDelta) -> Value {
    json!({
        "platform": "google", "username": "ads.acme", "account_id": "77",
        "access_token": "planted-access", "refresh_token": "planted-refresh",
        "token_expires_at": start() + left,
    })
}

async fn send(world: &World, user: &str, method: &str, path: &str, body: &str) -> Answer {
    let url = format!("{}{path}", world.stack.addresses().gateway);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = client.request(method.parse().unwrap(), url);
    let request = request.bearer_auth(world.token(user)).body(body.to_owned());
    let response = request.send().await.unwrap();
    let answer = Answer {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        text: response.text().await.unwrap(),
    };
    for token in [PLANTED, "sim."] {
        assert!(!answer.text.contains(token), "{}", answer.text);
    }
    answer
}

async fn put(world: &World, user: &str, id: &str, body: &Value) -> Answer {
    send(world, user, "PUT", &one(id), &body.to_string()).await
}

async fn get(world: &World, path: &str) -> Value {
    let answer = send(world, "mia", "GET", path, "").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

#[tokio::test]
async fn what_is_registered_is_refreshed_by_the_next_sweep() {
    let world = world().await;
    let answer = put(&world, "ian", "g", &google(TimeDelta::hours(1))).await;
    assert_eq!(answer.status, 201, "{}", answer.text);
    let registered = answer.json();
    for (field, expected) in [
        ("integration_id", json!("g")),
        ("platform", json!("google")),
        ("platform_name", json!("Google Ads")),
        ("username", json!("ads.acme")),
        ("account_id", json!("77")),
        ("created_by", json!("ian")),
        ("refresh_model", json!("static")),
        ("state", json!("active")),
        ("status", json!("renewing")),
        ("access_expires_at", json!("2026-11-23T10:00:00Z")),
        ("reconnect_by", json!("2026-11-23T10:00:00Z")),
        ("granted_at", json!("2026-11-23T09:00:00Z")),
        ("next_attempt_at", json!("2026-11-23T09:00:00Z")),
        ("renewed_at", Value::Null),
    ] {
        assert_eq!(registered[field], expected, "{field}: {registered}");
    }
    world.pass(TimeDelta::minutes(5));
    assert_eq!(world.check(json!({})).await.auto_refreshed, 1);
    let shown = get(&world, &one("g")).await;
    let fields = ["status", "message", "reconnect_by"].map(|field| shown[field].clone());
    let expected = [json!("healthy"), json!("It renews itself."), Value::Null];
    assert_eq!(fields, expected, "{shown}");
    assert_eq!(shown["renewed_at"], "2026-11-23T09:05:00Z");
    let history = shown["history"].as_array().unwrap();
    assert_eq!(history.len(), 2, "{history:?}");
    assert_eq!(
        (&history[0]["kind"], &history[0]["result"]),
        (&json!("attempt"), &json!("renewed"))
    );
    let act = json!({"at": "2026-11-23T09:00:00Z", "kind": "action", "action": "registered", "by": "ian"});
    assert_eq!(history[1], act);
}

#[tokio::test]
async fn a_replaced_credential_is_a_new_grant_of_the_same_integration() {
    let world = world().await;
    let mut line = integration("g", "google", Some(TimeDelta::days(9)), true);
    line["metadata"] = json!({"page": "planted-metadata"});
    world.import(std::slice::from_ref(&line)).await;
    let mut body = google(TimeDelta::hours(1));
    body["scopes"] = json!(["ads"]);
    let answer = put(&world, "olga", "g", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json()["created_by"], "carl", "its maker stays");
    let row = world.row("acme", "g").await;
    assert_eq!((row.credential.generation, row.credential.grant), (2, 2));
    assert_eq!(
        (row.account.username.as_str(), row.permissions.granted.len()),
        ("ads.acme", 1)
    );
    assert_eq!(
        row.metadata["page"], "planted-metadata",
        "nothing was said of it"
    );
    let shown = get(&world, &one("g")).await;
    assert_eq!(shown["history"][0]["action"], "replaced");
    assert_eq!(shown["history"][0]["by"], "olga");

    // The file from before the reconnect would last longer, and is no news.
    let (summary, problems) = world.import_text(line.to_string()).await;
    assert_eq!(summary.unchanged, 1, "{problems:?}");
    assert_eq!(world.row("acme", "g").await, row);
    // Nor is that it ended what the reconnect has replaced.
    line["is_active"] = json!(false);
    let (summary, _) = world.import_text(line.to_string()).await;
    assert_eq!(summary.older, 1, "{summary:?}");
    assert_eq!(world.row("acme", "g").await, row);

    // Another platform is another account under the same id, as in an import.
    let mut body = google(TimeDelta::hours(1));
    body["platform"] = json!("x");
    body["metadata"] = json!({});
    assert_eq!(put(&world, "ian", "g", &body).await.status, 200);
    let row = world.row("acme", "g").await;
    assert_eq!((row.platform, row.credential.grant), (Platform::Twitter, 3));
    assert!(row.metadata.is_empty());
    line["is_active"] = json!(true);
    world.import_text(line.to_string()).await;
    assert_eq!(world.row("acme", "g").await, row);
    world.pass(TimeDelta::minutes(5));
    assert_eq!(world.check(json!({})).await.auto_refreshed, 1);
}

#[tokio::test]
async fn the_same_credential_again_replaces_nothing() {
    let world = world().await;
    let mut body = google(TimeDelta::hours(2));
    body["platform"] = json!("twitter");
    assert_eq!(put(&world, "ian", "x", &body).await.status, 201);
    let registered = world.row("acme", "x").await;
    // Before anything came of it: nothing at all happens.
    assert_eq!(put(&world, "ian", "x", &body).await.status, 200);
    assert_eq!(world.row("acme", "x").await, registered);
    // A date put right is taken.
    body["token_expires_at"] = json!(start() + TimeDelta::hours(1));
    assert_eq!(put(&world, "ian", "x", &body).await.status, 200);
    let row = world.row("acme", "x").await;
    assert_eq!(row.expiry.access_token, Some(start() + TimeDelta::hours(1)));
    assert_eq!((row.credential.generation, row.credential.grant), (1, 1));

    // The single-use token is exchanged, and handed over once more.
    world.pass(TimeDelta::minutes(5));
    assert_eq!(world.check(json!({})).await.auto_refreshed, 1);
    let rotated = world.row("acme", "x").await;
    body["token_expires_at"] = json!(start() + TimeDelta::hours(9));
    body["username"] = json!("renamed");
    let answer = put(&world, "ian", "x", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let row = world.row("acme", "x").await;
    assert_eq!(row.account.username, "renamed");
    assert_eq!(row.credential.access_token, rotated.credential.access_token);
    assert_eq!(
        row.credential.refresh_token,
        rotated.credential.refresh_token
    );
    assert_eq!(row.expiry.access_token, rotated.expiry.access_token);
    assert_eq!((row.credential.generation, row.credential.grant), (2, 1));
    let acts = get(&world, &one("x")).await["history"].clone();
    let acts: Vec<_> = acts
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|entry| entry["action"].as_str())
        .collect();
    assert_eq!(acts, ["registered"]);
    world.pass(TimeDelta::hours(2));
    assert_eq!(world.check(json!({})).await.auto_refreshed, 1, "it lives");

    // Once it was switched off it is as good as any other.
    send(&world, "ian", "DELETE", &one("x"), "").await;
    assert_eq!(put(&world, "ian", "x", &body).await.status, 200);
    let row = world.row("acme", "x").await;
    assert_eq!(
        (row.state.clone(), row.credential.grant),
        (State::Active, 3)
    );
    // So it is where what is stored of it cannot be opened any more.
    let mut damaged = row;
    damaged.mark_credential_damaged(world.now());
    world
        .integrations()
        .replace(damaged, world.now())
        .await
        .unwrap();
    assert_eq!(put(&world, "ian", "x", &body).await.status, 200);
    let row = world.row("acme", "x").await;
    assert_eq!((row.state, row.credential.grant), (State::Active, 4));
}

#[tokio::test]
async fn an_imported_credential_that_is_registered_again_replaces_nothing() {
    let world = world().await;
    let line = integration("x", "twitter", Some(TimeDelta::hours(1)), true);
    world.import(&[line]).await;
    assert_eq!(world.check(json!({})).await.auto_refreshed, 1);
    let before = world.row("acme", "x").await;
    let body = json!({
        "platform": "twitter", "username": "x.account", "account_id": "1234567890",
        "access_token": "at-x", "refresh_token": "rt-x",
        "token_expires_at": start() + TimeDelta::hours(1),
    });
    assert_eq!(put(&world, "ian", "x", &body).await.status, 200);
    assert_eq!(world.row("acme", "x").await, before);
}

#[tokio::test]
async fn a_bad_body_is_explained_and_changes_nothing() {
    let world = world().await;
    let with = |field: &str, value: Value| {
        let mut body = google(TimeDelta::hours(1));
        body[field] = value;
        body.to_string()
    };
    for (body, status, detail) in [
        (String::new(), 400, "not valid JSON"),
        ("{".to_owned(), 400, "not valid JSON"),
        ("[]".to_owned(), 400, "not a JSON object."),
        (
            with("platform", json!("planted")),
            400,
            "platform must be one of meta (or facebook), instagram, ",
        ),
        (
            with("username", json!("")),
            400,
            "username must be 1 to 512 characters.",
        ),
        (
            with("username", json!("planted\u{1b}[2J")),
            400,
            "username holds the control character U+001B at place 8; remove it.",
        ),
        (
            with("account_id", json!("7\u{0}")),
            400,
            "account_id holds the control character U+0000 at place 2; remove it.",
        ),
        (
            with("account_id", json!(["planted"])),
            400,
            "account_id must be a text.",
        ),
        (
            with("access_token", Value::Null),
            400,
            "access_token is missing.",
        ),
        (
            with("access_token", json!("planted token")),
            400,
            "access_token has white space within it, at place 8, which no token has",
        ),
        (
            with("refresh_token", json!([PLANTED])),
            400,
            "refresh_token must be a text.",
        ),
        (
            with("token_expires_at", json!("planted")),
            400,
            "token_expires_at must be a date with a time and a zone, such as",
        ),
        (
            with("token_expires_at", json!("2026-11-30 09:00:00")),
            400,
            "token_expires_at has no time zone; add one",
        ),
        (
            with("token_issued_at", json!("2030-01-01T00:00:00Z")),
            400,
            "token_issued_at must be before token_expires_at.",
        ),
        (
            with("scopes", json!({"planted": 1})),
            400,
            "scopes must be a list of texts, or a text separated by spaces or commas.",
        ),
        (
            with("metadata", json!(PLANTED)),
            400,
            "metadata must be a JSON object, or null.",
        ),
        (
            with("created_by", json!("eve")),
            400,
            "no field \"created_by\"; there are platform",
        ),
        (with("org_id", json!("other")), 400, "no field \"org_id\""),
        (
            with("metadata", json!({"x": "x".repeat(140_000)})),
            413,
            "at most 131072 bytes",
        ),
    ] {
        let answer = send(&world, "ian", "PUT", &one("g"), &body).await;
        answer.assert_problem_says(status, detail);
    }
    assert_eq!(get(&world, ALL).await["integrations"], json!([]));
    assert!(world.audit("integration#acme#g").await.is_empty());
}

#[tokio::test]
async fn a_body_is_read_as_a_line_of_an_import_is() {
    let world = world().await;
    let line = integration("g", "google", Some(TimeDelta::days(1)), true);
    world.import(std::slice::from_ref(&line)).await;
    let before = world.row("acme", "g").await;
    let body = json!({
        "platform": "Google Ads", "username": "g.account", "account_id": 1_234_567_890,
        "access_token": " at-g\n", "refresh_token": "rt-g\r\n", "scopes": null, "metadata": null,
        "token_expires_at": "2026-11-24 10:00:00.25+01",
    });
    // The same credential to the letter, for all its other spelling.
    assert_eq!(put(&world, "ian", "g", &body).await.status, 200);
    assert_eq!(world.row("acme", "g").await, before);
}

#[tokio::test]
async fn a_disconnected_integration_has_no_tokens() {
    let world = world().await;
    put(&world, "ian", "g", &google(TimeDelta::hours(1))).await;
    for _ in 0..2 {
        world.pass(TimeDelta::minutes(1));
        let answer = send(&world, "olga", "DELETE", &one("g"), "").await;
        assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    }
    let row = world.row("acme", "g").await;
    assert_eq!(
        (&row.credential.access_token, &row.credential.refresh_token),
        (&None, &None)
    );
    assert_eq!(row.next_action_at, None);
    let shown = get(&world, &one("g")).await;
    assert_eq!(
        (&shown["status"], &shown["state"]),
        (&json!("disconnected"), &json!("disconnected"))
    );
    assert_eq!(shown["since"], "2026-11-23T09:01:00Z");
    let acts: Vec<_> = shown["history"]
        .as_array()
        .unwrap()
        .iter()
        .map(|act| act["action"].clone())
        .collect();
    assert_eq!(acts, ["disconnected", "registered"], "once");
    assert_eq!(world.check(json!({})).await.examined, 0);

    let unknown = send(&world, "olga", "DELETE", &one("nobody"), "").await;
    unknown.assert_problem_says(404, "no such integration");
    send(&world, "mia", "GET", &one("nobody"), "")
        .await
        .assert_problem_says(404, "no such");

    // Reconnected, it lives again.
    assert_eq!(
        put(&world, "ian", "g", &google(TimeDelta::hours(1)))
            .await
            .status,
        200
    );
    assert_eq!(world.check(json!({})).await.auto_refreshed, 1);
}

/// Changes the stored row of an integration of `acme`, past the product.
async fn tamper(world: &World, id: &str, update: &str, value: Option<AttributeValue>) {
    let table = world.variable("CheckTokensFunction", "INTEGRATIONS_TABLE");
    let update = world
        .dynamodb()
        .update_item()
        .table_name(table)
        .key("org_id", AttributeValue::S("acme".into()))
        .key("integration_id", AttributeValue::S(id.into()))
        .update_expression(update);
    let update = match value {
        Some(value) => update.expression_attribute_values(":value", value),
        None => update,
    };
    update.send().await.unwrap();
}

async fn has(world: &World, id: &str, attribute: &str) -> bool {
    let item = world
        .dynamodb()
        .get_item()
        .table_name(world.variable("CheckTokensFunction", "INTEGRATIONS_TABLE"))
        .key("org_id", AttributeValue::S("acme".into()))
        .key("integration_id", AttributeValue::S(id.into()))
        .send()
        .await
        .unwrap();
    item.item.unwrap().contains_key(attribute)
}

#[tokio::test]
async fn a_damaged_integration_can_be_disconnected_and_connected_anew() {
    let world = world().await;
    let value = |text: &str| Some(AttributeValue::S(text.to_owned()));
    for (healthy, (id, update, value, mended)) in [
        ("lacks", "REMOVE platform", None, false),
        ("token", "SET access_token = :value", value("x"), true),
        ("version", "SET version = :value", value("x"), true),
        ("no-version", "REMOVE version", None, true),
    ]
    .into_iter()
    .enumerate()
    {
        put(&world, "ian", id, &google(TimeDelta::hours(1))).await;
        tamper(&world, id, update, value).await;
        assert!(world.integrations().get(&key("acme", id)).await.is_err());
        // Everybody sees that it is there, and what to do.
        let query = format!("{ALL}?state=damaged&status=broken");
        let listed = get(&world, &query).await["integrations"].clone();
        assert_eq!(listed.as_array().map(Vec::len), Some(1), "{listed}");
        let shown = get(&world, &one(id)).await;
        for shown in [&listed[0], &shown] {
            assert_eq!(shown["integration_id"], id);
            assert_eq!(shown["state"], "damaged");
            let said = shown["message"].as_str().unwrap();
            assert!(said.contains("reconnect the account"), "{said}");
        }
        assert_eq!(
            get(&world, &format!("{ALL}?platform=google")).await["integrations"]
                .as_array()
                .unwrap()
                .len(),
            healthy
        );
        for _ in 0..2 {
            world.pass(TimeDelta::seconds(1));
            let answer = send(&world, "olga", "DELETE", &one(id), "").await;
            assert_eq!((answer.status, answer.text.as_str()), (204, ""), "{id}");
        }
        for gone in [
            "access_token",
            "refresh_token",
            "registered",
            "next_action_at",
        ] {
            assert!(!has(&world, id, gone).await, "{id} {gone}");
        }
        let read = world.integrations().get(&key("acme", id)).await;
        assert_eq!(read.is_ok(), mended, "{id}");
        if let Ok(Some(row)) = read {
            assert!(matches!(row.state, State::Disconnected { .. }), "{row:?}");
        }
        let acts = world.audit(&format!("integration#acme#{id}")).await;
        let acts: Vec<_> = acts.iter().map(|row| row["action"].clone()).collect();
        assert_eq!(acts, ["registered", "disconnected"], "{id}: once");
        assert_eq!(
            put(&world, "ian", id, &google(TimeDelta::hours(1)))
                .await
                .status,
            200
        );
        assert_eq!(world.check(json!({})).await.auto_refreshed, 1, "{id}");
    }
}

#[tokio::test]
async fn connecting_anew_mends_a_damaged_integration() {
    let world = world().await;
    let value = |text: &str| Some(AttributeValue::S(text.to_owned()));
    for (id, update, value) in [
        ("lacks", "REMOVE platform", None),
        ("token", "SET access_token = :value", value("x")),
        ("version", "SET version = :value", value("x")),
        ("no-version", "REMOVE version", None),
    ] {
        put(&world, "ian", id, &google(TimeDelta::hours(1))).await;
        tamper(&world, id, update, value).await;
        assert!(world.integrations().get(&key("acme", id)).await.is_err());
        let answer = put(&world, "ian", id, &google(TimeDelta::hours(1))).await;
        assert_eq!(answer.status, 200, "{id}: {}", answer.text);
        assert_eq!(world.check(json!({})).await.auto_refreshed, 1, "{id}");
        assert_eq!(world.row("acme", id).await.state, State::Active);
    }
}

#[tokio::test]
async fn an_integration_whose_token_cannot_be_opened_can_be_disconnected() {
    let world = world().await;
    put(&world, "ian", "g", &google(TimeDelta::hours(1))).await;
    let nonsense = AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new(b"x"));
    tamper(&world, "g", "SET access_token = :value", Some(nonsense)).await;
    assert_eq!(
        send(&world, "olga", "DELETE", &one("g"), "").await.status,
        204
    );
    let row = world.row("acme", "g").await;
    assert_eq!(
        (row.credential.access_token, row.credential.refresh_token),
        (None, None)
    );
}

#[tokio::test]
async fn who_may_see_and_who_may_act() {
    let world = world().await;
    world
        .import(&[json!({"type": "organization", "org_id": "globex", "name": "Globex", "owner_id": "gus"})])
        .await;
    put(&world, "ian", "g", &google(TimeDelta::hours(1))).await;
    let before = world.row("acme", "g").await;
    let body = google(TimeDelta::hours(2)).to_string();
    let check = format!("{}/check", one("g"));
    for (method, path) in [("PUT", one("g")), ("DELETE", one("g")), ("POST", check)] {
        for (user, detail) in [
            ("mia", "You may not manage"),
            ("gus", "You are not a member"),
        ] {
            send(&world, user, method, &path, &body)
                .await
                .assert_problem_says(403, detail);
        }
        let answer = world.send(method, &path, None).await;
        assert_eq!(answer.status, 401);
    }
    for path in [ALL.to_owned(), one("g")] {
        send(&world, "gus", "GET", &path, "")
            .await
            .assert_problem_says(403, "not a member");
        get(&world, &path).await;
    }
    // Another organisation's integration of the same id is another one.
    let elsewhere = "/api/dashboard/globex/integrations/g";
    assert_eq!(
        send(&world, "gus", "DELETE", elsewhere, "").await.status,
        404
    );
    assert_eq!(world.row("acme", "g").await, before);
}

/// Sends a person's request during a refresh, and returns its answer.
async fn during_a_refresh(method: &str, body: &str) -> (World, Answer) {
    let world = world().await;
    let line = integration("x", "twitter", Some(TimeDelta::hours(1)), true);
    world.import(&[line]).await;
    let script = json!({"platform": "twitter", "do": {"delay_ms": 300}});
    let script: Script = serde_json::from_value(script).unwrap();
    world.stack.platforms().script(script).unwrap();
    let act = async {
        while world.stack.platforms().refreshes(Platform::Twitter) == 0 {
            tokio::task::yield_now().await;
        }
        send(&world, "ian", method, &one("x"), body).await
    };
    let (report, answer) = tokio::join!(world.check(json!({})), act);
    assert_eq!(report.auto_refreshed, 0, "{report:?}");
    (world, answer)
}

#[tokio::test]
async fn a_registration_during_a_refresh_wins() {
    let mut body = google(TimeDelta::hours(5));
    body["platform"] = json!("twitter");
    let (world, answer) = during_a_refresh("PUT", &body.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let row = world.row("acme", "x").await;
    assert_eq!(row.credential.grant, 2);
    assert_eq!(row.expiry.access_token, Some(start() + TimeDelta::hours(5)));
    world.stack.platforms().clear_scripts();
    world.pass(TimeDelta::minutes(5));
    assert_eq!(world.check(json!({})).await.auto_refreshed, 1);
}

#[tokio::test]
async fn a_disconnect_during_a_refresh_wins() {
    let (world, answer) = during_a_refresh("DELETE", "").await;
    assert_eq!(answer.status, 204, "{}", answer.text);
    let row = world.row("acme", "x").await;
    assert!(matches!(row.state, State::Disconnected { .. }), "{row:?}");
    assert_eq!(
        (row.credential.access_token, row.credential.refresh_token),
        (None, None)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_registrations_at_once_each_is_a_grant_of_its_own() {
    let world = world().await;
    let bodies: Vec<_> = (1..=8)
        .map(|hours| {
            let mut body = google(TimeDelta::hours(hours));
            body["access_token"] = json!(format!("planted-access-{hours}"));
            body
        })
        .collect();
    let all = bodies.iter().map(|body| put(&world, "ian", "g", body));
    let answers = futures::future::join_all(all).await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    let replaced = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!((created, replaced), (1, 7));
    let row = world.row("acme", "g").await;
    assert_eq!((row.credential.generation, row.credential.grant), (8, 8));
}

/// Returns the integrations' ids on all pages of the answer to `query`.
async fn pages(world: &World, query: &str) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut next = String::new();
    loop {
        let page = get(world, &format!("{ALL}?{query}{next}")).await;
        let rows = page["integrations"].as_array().unwrap();
        let id = |row: &Value| row["integration_id"].as_str().unwrap().to_owned();
        pages.push(rows.iter().map(id).collect());
        assert!(pages.len() < 100, "it leads nowhere");
        match page["next"].as_str() {
            Some(cursor) => next = format!("&next={cursor}"),
            None => return pages,
        }
    }
}

/// Creates more integrations than one answer looks at.
async fn crowd() -> World {
    let world = world().await;
    let quiet = |n: u32| {
        let left = Some(TimeDelta::days(90));
        integration(&format!("l{n:04}"), "linkedin", left, false)
    };
    let mut records: Vec<_> = (0..1_100).map(quiet).collect();
    records.push(integration("m", "meta", Some(TimeDelta::days(2)), false));
    records.push(integration("x", "twitter", Some(TimeDelta::hours(1)), true));
    world.import(&records).await;
    send(&world, "ian", "DELETE", &one("l0500"), "").await;
    world
}

#[tokio::test]
async fn a_list_is_paged_to_its_end() {
    let world = crowd().await;
    let all = pages(&world, "limit=100").await;
    let sizes: Vec<_> = all.iter().map(Vec::len).collect();
    assert_eq!(sizes, [vec![100; 11], vec![2]].concat());
    let mut ids = all.concat();
    assert!(ids.is_sorted());
    ids.dedup();
    assert_eq!(ids.len(), 1_102);
}

#[tokio::test]
async fn what_is_sought_is_found_however_far_it_lies() {
    let world = crowd().await;
    let none: Vec<String> = Vec::new();
    for (query, expected) in [
        ("platform=x", vec![none.clone(), vec!["x".to_owned()]]),
        ("platform=google", vec![none.clone(), none.clone()]),
        (
            "state=disconnected",
            vec![vec!["l0500".to_owned()], none.clone()],
        ),
        (
            "status=disconnected&platform=linkedin",
            vec![vec!["l0500".to_owned()], none.clone()],
        ),
        (
            "status=renewing&limit=1",
            vec![none.clone(), vec!["m".to_owned()], vec!["x".to_owned()]],
        ),
        ("status=broken", vec![none.clone(), none.clone()]),
    ] {
        assert_eq!(pages(&world, query).await, expected, "{query}");
    }
    let healthy = pages(&world, "status=healthy&limit=100").await.concat();
    assert_eq!(healthy.len(), 1_099);
    for (bad, detail) in [
        ("limit=1001", "limit must be a whole number from 1 to 1000"),
        ("state=dead", "state must be one of active, retrying"),
        (
            "status=fine",
            "status must be one of healthy, not_monitored, renewing",
        ),
        ("platform=myspace", "platform must be one of meta"),
        ("next=%00", "next must be what the page before said"),
        ("sort=name", "no query parameter"),
    ] {
        let answer = send(&world, "mia", "GET", &format!("{ALL}?{bad}"), "").await;
        answer.assert_problem_says(400, detail);
    }
}

#[tokio::test]
async fn a_history_shows_attempts_and_acts_newest_first() {
    let world = world().await;
    put(&world, "ian", "g", &google(TimeDelta::hours(1))).await;
    let refuse = Script::refuse(Platform::Google, "server_error").token("planted-refresh");
    world.stack.platforms().script(refuse).unwrap();
    world.pass(TimeDelta::minutes(1));
    world.check(json!({})).await;
    let failing = get(&world, &one("g")).await;
    let fields = ["status", "state", "reason", "failures"].map(|field| failing[field].clone());
    assert_eq!(
        fields,
        [
            json!("failing"),
            json!("retrying"),
            json!("transient"),
            json!(1)
        ]
    );
    world.pass(TimeDelta::minutes(1));
    let path = format!("{}/rate-limit", one("g"));
    assert_eq!(send(&world, "olga", "DELETE", &path, "").await.status, 204);
    let shown = get(&world, &one("g")).await;
    let history = shown["history"].as_array().unwrap();
    let told: Vec<_> = history
        .iter()
        .map(|entry| {
            entry["result"]
                .as_str()
                .or(entry["action"].as_str())
                .unwrap()
        })
        .collect();
    assert_eq!(told, ["quota_reset", "transient", "registered"]);
    assert_eq!(history[0]["by"], "olga");
    assert!(history[1]["duration_ms"].is_i64());
    // At most the last fifty.
    for _ in 0..50 {
        world.pass(TimeDelta::seconds(1));
        send(&world, "ian", "DELETE", &path, "").await;
    }
    let shown = get(&world, &one("g")).await;
    let history = shown["history"].as_array().unwrap();
    assert_eq!(history.len(), 50);
    assert!(history.iter().all(|entry| entry["by"] == "ian"));
}

/// Starts a stack whose check-tokens gives this answer, and records what it is asked.
async fn with_answer(answer: Result<Value, FunctionError>) -> (World, Arc<Mutex<Vec<Value>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    let world = World::wired(Options::default(), async |environment, clock| {
        let mut handlers = local::functions::handlers(environment, clock).await?;
        let check_tokens = handler(move |event, _| {
            heard.lock().unwrap().push(event);
            let answer = answer.clone();
            async move { answer }
        });
        handlers.insert("CheckTokensFunction".to_owned(), check_tokens);
        Ok(handlers)
    })
    .await;
    world.import(&acme()).await;
    (world, asked)
}

fn checked(result: &str) -> Value {
    json!({
        "org_id": "acme", "integration_id": "g", "result": result, "message": "Done.",
        "access_expires_at": "2026-11-23T10:00:00Z", "next_attempt_at": null, "attempt_id": "a1",
    })
}

#[tokio::test]
async fn a_check_asks_the_function_for_this_one_and_hands_its_answer_on() {
    let (world, asked) = with_answer(Ok(checked("renewed"))).await;
    let path = format!("{}/check", one("auth0%7Cg"));
    let answer = send(&world, "ian", "POST", &path, "").await;
    assert_eq!((answer.status, answer.json()), (200, checked("renewed")));
    let expected = json!({"integration": {"org_id": "acme", "integration_id": "auth0|g"}});
    assert_eq!(*asked.lock().unwrap(), [expected]);

    let (world, _) = with_answer(Ok(checked("not_found"))).await;
    let path = format!("{}/check", one("g"));
    send(&world, "ian", "POST", &path, "")
        .await
        .assert_problem_says(404, "no such integration");
}

#[tokio::test]
async fn a_check_that_fails_says_so_without_internals() {
    let error = FunctionError::new("SweepError", "internals");
    let (world, asked) = with_answer(Err(error)).await;
    let path = format!("{}/check", one("g"));
    let answer = send(&world, "ian", "POST", &path, "").await;
    answer.assert_problem_says(502, "The check failed.");
    assert!(!answer.text.contains("internals"), "{}", answer.text);
    assert_eq!(asked.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_check_refreshes_what_is_registered() {
    let world = world().await;
    put(&world, "ian", "g", &google(TimeDelta::hours(1))).await;
    let path = format!("{}/check", one("g"));
    let answer = send(&world, "ian", "POST", &path, "").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.json()["result"], "renewed", "{}", answer.text);
    assert_eq!(world.row("acme", "g").await.credential.generation, 2);
    let unknown = format!("{}/check", one("nobody"));
    send(&world, "ian", "POST", &unknown, "")
        .await
        .assert_problem_says(404, "no such");
}
