//! No access or refresh token, or part of one, appears anywhere in the clear:
//! log lines, answers, audit rows, notifications, dead letters, database files.

use std::io::Write;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::TimeDelta;
use local::Options;
use local::platforms::Script;
use serde_json::{Value, json};
use shared::Platform;

use crate::world::{World, acme, integration, start};

/// Tokens contain these texts; any eight characters of one are a part of a token.
const ACCESS: &str = "EAAGm0PX4ZCpsBAKz9qJt7";
const REFRESH: &str = "1//0gWq8LrYcVxNvCgYIAR";

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Panics if `text` holds eight characters of a planted token, or a token that
/// a simulated platform issued.
fn assert_clean(what: &str, bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for token in [ACCESS, REFRESH] {
        for at in 0..=token.len() - 8 {
            let part = &token[at..at + 8];
            assert!(!text.contains(part), "{what} holds {part}");
        }
    }
    for platform in Platform::ALL {
        let issued = format!("sim.{platform}.");
        assert!(
            !text.contains(&issued),
            "{what} holds a token issued by {platform}"
        );
    }
}

fn planted(id: &str, platform: &str, left: TimeDelta, refresh: bool) -> Value {
    let mut line = integration(id, platform, Some(left), refresh);
    line["access_token"] = json!(format!("{ACCESS}{id}"));
    line["refresh_token"] = json!(refresh.then(|| format!("{REFRESH}{id}")));
    line
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_token_appears_anywhere_in_the_clear() {
    let log = Captured::default();
    let writer = log.clone();
    let filter = "debug,shared=trace,check_tokens=trace,notify=trace,api=trace,platform_calls=trace,edge=trace,rate_limit_authorizer=trace,local=trace,lambda_http=trace,lambda_runtime=trace";
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(move || writer.clone())
        .try_init()
        .unwrap();
    let directory = tempfile::tempdir().unwrap();
    let data_dir = Some(directory.path().to_owned());
    let world = World::with(Options {
        data_dir,
        ..Options::default()
    })
    .await;
    world.import(&acme()).await;

    // Every platform, refreshed; and every way for it to fail.
    let mut records = Vec::new();
    for platform in Platform::ALL {
        let refresh = !matches!(
            platform,
            Platform::Meta | Platform::Instagram | Platform::Threads
        );
        records.push(planted(
            &format!("ok-{platform}"),
            platform.name(),
            TimeDelta::days(2),
            refresh,
        ));
        records.push(planted(
            &format!("no-{platform}"),
            platform.name(),
            TimeDelta::days(2),
            refresh,
        ));
        records.push(planted(
            &format!("html-{platform}"),
            platform.name(),
            TimeDelta::days(2),
            refresh,
        ));
    }
    records.push(planted("gone", "linkedin", TimeDelta::days(2), false));
    world.import(&records).await;
    for platform in Platform::ALL {
        let script = |id: &str, action: Value| -> Script {
            let token = format!("{id}-{platform}");
            serde_json::from_value(json!({"platform": platform, "token": token, "do": action}))
                .unwrap()
        };
        let platforms = world.stack.platforms();
        platforms.script(script("no", json!("revoke"))).unwrap();
        // A platform that echoes what it was sent.
        let echo = format!(
            "{{\"error\":\"{ACCESS}\",\"error_description\":\"{REFRESH}\",\"log_id\":\"{ACCESS}\"}}"
        );
        platforms
            .script(script(
                "html",
                json!({"respond": {"status": 400, "body": echo}}),
            ))
            .unwrap();
    }
    // Bad lines that hold tokens.
    let bad = [
        format!(
            r#"{{"type":"integration","access_token":"{ACCESS}","refresh_token":["{REFRESH}"]}}"#
        ),
        format!(r#"{{"type":"integration","{ACCESS}":1}}"#),
        format!(r#"{{"type":"{REFRESH}"}}"#),
        format!(r#"{{"access_token":"{ACCESS}" "x"}}"#),
        with_field("token_expires_at", json!(ACCESS)),
        with_field("platform", json!(ACCESS)),
        with_field("is_active", json!(ACCESS)),
        with_field("metadata", json!(ACCESS)),
        with_field("org_id", json!(format!("#{ACCESS}"))),
        with_field("refresh_token", json!({"nested": REFRESH})),
    ];
    let (summary, problems) = world.import_text(bad.join("\n")).await;
    assert_eq!(summary.refused, bad.len() as u64, "{problems:?}");
    assert_clean("an import problem", format!("{problems:?}").as_bytes());

    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(serde_json::to_string(&world.check(json!({})).await).unwrap());
        world.pass(TimeDelta::minutes(70));
    }
    let refreshed = format!("\"auto_refreshed\":{},", Platform::ALL.len());
    assert!(seen[0].contains(&refreshed), "{}", seen[0]);
    for platform in Platform::ALL {
        seen.extend(called(&world, platform).await);
    }
    // Every way to fail was taken, and told.
    let no: Vec<_> = world.audit("integration#acme#no-google").await;
    assert_eq!(no[0]["result"], "reconnect_needed");
    assert!(world.notifications("olga", "acme").await.len() > 8);
    for user in ["olga", "ian", "carl"] {
        let path = "/api/dashboard/acme/notifications?limit=100";
        seen.push(world.get_as(user, path).await.text);
    }
    seen.push(world.expiring("olga", "acme", 365).await.to_string());
    seen.push(
        world
            .get_as(
                "olga",
                "/api/dashboard/acme/integrations/expiring-tokens?days=x",
            )
            .await
            .text,
    );
    seen.push(serde_json::to_string(&world.audit("sweep").await).unwrap());
    for record in &records {
        let id = record["integration_id"].as_str().unwrap();
        seen.push(
            serde_json::to_string(&world.audit(&format!("integration#acme#{id}")).await).unwrap(),
        );
    }
    let notifications = world.variable("NotifyFunction", "NOTIFICATIONS_TABLE");
    seen.push(
        serde_json::to_string(&world.partition(&notifications, "user_id", "olga").await).unwrap(),
    );
    for queue in [
        "FailedAlertsQueue",
        "FailedSweepsQueue",
        "UndeliveredAlertsQueue",
    ] {
        seen.push(format!("{:?}", world.stack.queue(queue)));
    }
    for text in &seen {
        assert_clean("an answer, row or notification", text.as_bytes());
    }
    assert!(start() < world.now());

    // All that any table holds, wherever that is.
    let mut bytes = 0;
    for table in &world.stack.environment().model().tables {
        let content = content_of(&world, &table.name).await;
        bytes += content.len();
        assert_clean(&table.name, &content);
    }
    assert!(bytes > 50_000, "the tables were looked at: {bytes}");

    world.stack.stop().await;
    let mut directories = vec![directory.path().to_owned()];
    let mut files = Vec::new();
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else {
                files.push(path);
            }
        }
    }
    for path in files {
        let content = match std::fs::read(&path) {
            Ok(content) => content,
            // SQLite removes its write-ahead log once its last connection is closed.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => panic!("{}: {error}", path.display()),
        };
        assert_clean(&path.file_name().unwrap().to_string_lossy(), &content);
    }
    let log = log.0.lock().unwrap();
    assert!(log.len() > 10_000, "the log was captured: {}", log.len());
    assert_clean("the log", &log);
}

/// Takes an access token as an application does, calls with it and reports; returns what is seen
/// besides the one answer that asked for the token.
async fn called(world: &World, platform: Platform) -> Vec<String> {
    let of = |route: &str| format!("/api/platforms/{platform}/acme/ok-{platform}/{route}");
    let taken = world.post_as("olga", &of("access-token"), &json!({})).await;
    assert_eq!(taken.status, 200, "{platform}: {}", taken.text);
    let token = taken.json()["access_token"].as_str().unwrap().to_owned();
    assert!(token.starts_with(&format!("sim.{platform}.")), "{platform}");
    assert!(!taken.text.contains(REFRESH), "{platform}");
    let list = match platform {
        Platform::Meta => "me/adaccounts?limit=2",
        Platform::Instagram => "me/media?limit=2",
        Platform::Threads => "me/threads?limit=2",
        Platform::Tiktok => "v2/user/info/",
        Platform::TiktokBusiness => "open_api/v1.3/campaign/get/?advertiser_id=1",
        Platform::Linkedin => "v2/userinfo",
        Platform::Twitter => "2/users/1/tweets",
        Platform::Google => "v26/customers:listAccessibleCustomers",
        Platform::Snapchat => "v1/me/organizations",
    };
    let mut seen = Vec::new();
    let list = world.get_as("olga", &of(&format!("proxy/{list}"))).await;
    assert_eq!(list.status, 200, "{platform}: {}", list.text);
    seen.push(format!("{:?} {}", list.headers, list.text));
    // Who puts a token where none belongs.
    let misplaced = of(&format!("proxy/none?access_token={token}"));
    seen.push(world.get_as("olga", &misplaced).await.text);
    let report = json!({"status": 400, "body": {"error": token}, "headers": {"link": token}});
    seen.push(world.post_as("olga", &of("feedback"), &report).await.text);
    let misplaced = json!({"rejected_generation": token});
    let refused = world.post_as("olga", &of("access-token"), &misplaced).await;
    refused.assert_problem(400);
    seen.push(refused.text);
    seen
}

/// Returns the texts and bytes of all items of a table.
async fn content_of(world: &World, table: &str) -> Vec<u8> {
    let dynamodb = world.dynamodb();
    let items = dynamodb.scan().table_name(table).into_paginator();
    let mut items = items.items().send();
    let mut content = Vec::new();
    while let Some(item) = items.next().await {
        for value in item.unwrap().values() {
            collect(value, &mut content);
        }
    }
    content
}

fn collect(value: &AttributeValue, into: &mut Vec<u8>) {
    match value {
        AttributeValue::S(text) => into.extend(text.bytes()),
        AttributeValue::B(bytes) => into.extend(bytes.as_ref()),
        AttributeValue::L(values) => values.iter().for_each(|value| collect(value, into)),
        AttributeValue::M(values) => values.values().for_each(|value| collect(value, into)),
        AttributeValue::Ss(texts) => texts.iter().for_each(|text| into.extend(text.bytes())),
        AttributeValue::N(_) | AttributeValue::Bool(_) | AttributeValue::Null(_) => {}
        other => panic!("{other:?} is not looked at"),
    }
    into.push(b'\n');
}

fn with_field(field: &str, value: Value) -> String {
    let mut line = integration("bad", "google", Some(TimeDelta::days(1)), true);
    line[field] = value;
    line.to_string()
}
