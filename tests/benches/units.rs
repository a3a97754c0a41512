//! What DynamoDB charges for the product's ordinary work: the read and write
//! units that it says it consumed, by what was done and in which table.
//!
//! `cargo bench --profile dev --workspace --bench units -- [DynamoDB's URL]`
//! prints a table; without a URL it is the embedded engine.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that fails should say where"
)]
#![expect(clippy::print_stdout, reason = "its table")]

#[path = "../it/importer.rs"]
mod importer;
#[path = "../it/relay.rs"]
mod relay;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::request::Parts;
use check_tokens::{CheckTokens, Request};
use chrono::{DateTime, TimeDelta, Utc};
use local::{Addresses, Environment, Options, Stack};
use serde_json::{Value, json};
use shared::aws::quota::Limiter;
use shared::domain::quota::{Policies, QuotaKey};
use shared::{Clock, IntegrationId, OrgId, Platform};

/// Units by table: of the table itself, and of its indexes.
type Units = Arc<Mutex<BTreeMap<String, [f64; 4]>>>;

/// How many integrations of a platform one sweep refreshes: what the sweep reads for all
/// of them counts for each in part.
const INTEGRATIONS: u32 = 100;

#[tokio::main]
async fn main() {
    let url = std::env::args().skip(1).find(|text| text.contains("://"));
    let clock = Clock::frozen(start());
    let stack = Stack::start(Options {
        clock: clock.clone(),
        dynamodb: url.as_ref().map(|url| url.parse().unwrap()),
        access_key: url.is_some().then(|| format!("u{}", std::process::id())),
        ..Options::default()
    })
    .await
    .unwrap();
    let units = Units::default();
    let of = stack.addresses().clone();
    let heard = Arc::clone(&units);
    let dynamodb = relay::relay(of.dynamodb.clone(), ask_for_units, move |head, body| {
        hear(&heard, head, body);
    });
    let environment = Environment::new(&Addresses {
        dynamodb: dynamodb.await,
        ..of
    })
    .unwrap();
    let function = CheckTokens::from_environment(
        &environment.sdk_config(),
        &environment.variables("CheckTokensFunction"),
        clock.clone(),
    )
    .unwrap();

    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header([
        "what",
        "table",
        "writes",
        "of indexes",
        "reads",
        "of indexes",
    ]);
    for (platform, life) in [
        (Platform::Google, TimeDelta::hours(1)),
        (Platform::Twitter, TimeDelta::hours(2)),
        (Platform::Meta, TimeDelta::days(60)),
    ] {
        import(&environment, &clock, platform).await;
        function
            .sweep(Request::default(), None, |_| {})
            .await
            .unwrap();
        clock.advance(life - life / 10);
        units.lock().unwrap().clear();
        let report = function
            .sweep(Request::default(), None, |_| {})
            .await
            .unwrap();
        assert_eq!(report.auto_refreshed, u64::from(INTEGRATIONS), "{report:?}");
        let what = format!("a refresh, {platform}");
        print(&mut table, &what, &units, INTEGRATIONS);
        // The next platform's sweeps are its own.
        erase(&environment, &clock, platform).await;
    }
    units.lock().unwrap().clear();
    function
        .sweep(Request::default(), None, |_| {})
        .await
        .unwrap();
    print(&mut table, "a sweep that finds nothing due", &units, 1);

    units.lock().unwrap().clear();
    let limiter = Limiter::new(
        aws_sdk_dynamodb::Client::new(&environment.sdk_config()),
        environment
            .variables("CheckTokensFunction")
            .required("QUOTAS_TABLE")
            .unwrap(),
        Policies::default(),
        clock.clone(),
    );
    for n in 0..INTEGRATIONS {
        let id = IntegrationId::new(format!("permit-{n}")).unwrap();
        let key = QuotaKey::new(Platform::Twitter, OrgId::new("acme").unwrap(), id);
        limiter.take_permit(&key).await.unwrap();
    }
    print(&mut table, "a permit", &units, INTEGRATIONS);
    println!("{table}");
    stack.stop().await;
}

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000, 0).unwrap()
}

fn ask_for_units(head: &Parts, body: Bytes) -> Option<Bytes> {
    let writes_or_reads = ["PutItem", "UpdateItem", "DeleteItem", "GetItem", "Query"];
    if !writes_or_reads
        .iter()
        .any(|call| relay::is_call(head, call))
    {
        return Some(body);
    }
    let mut call: Value = serde_json::from_slice(&body).unwrap();
    call["ReturnConsumedCapacity"] = json!("INDEXES");
    Some(call.to_string().into())
}

fn hear(units: &Units, head: &Parts, body: &Bytes) {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let consumed = &answer["ConsumedCapacity"];
    let Some(name) = consumed["TableName"].as_str() else {
        return;
    };
    let is_read = relay::is_call(head, "GetItem") || relay::is_call(head, "Query");
    let own = consumed["Table"]["CapacityUnits"].as_f64().unwrap();
    let indexes = consumed["GlobalSecondaryIndexes"].as_object();
    let indexes: f64 = indexes
        .into_iter()
        .flatten()
        .map(|(_, of)| of["CapacityUnits"].as_f64().unwrap())
        .sum();
    let mut units = units.lock().unwrap();
    let of = units.entry(name.to_owned()).or_default();
    let first = if is_read { 2 } else { 0 };
    of[first] += own;
    of[first + 1] += indexes;
}

fn print(table: &mut comfy_table::Table, what: &str, units: &Units, times: u32) {
    let mut all = [0.0; 4];
    for (name, of) in units.lock().unwrap().iter() {
        add_row(table, what, name, of.map(|units| units / f64::from(times)));
        for (sum, units) in all.iter_mut().zip(of) {
            *sum += units / f64::from(times);
        }
    }
    add_row(table, what, "all", all);
}

fn add_row(table: &mut comfy_table::Table, what: &str, name: &str, units: [f64; 4]) {
    let mut row = vec![what.to_owned(), name.to_owned()];
    row.extend(units.map(|units| format!("{units:.2}")));
    table.add_row(row);
}

/// Returns a token as long as those of the platforms.
fn token(what: &str, n: u32) -> String {
    format!("{what}-{n}-{}", "x".repeat(200))
}

async fn import(environment: &Environment, clock: &Clock, platform: Platform) {
    let mut text =
        json!({"type": "organization", "org_id": "acme", "name": "A", "owner_id": "olga"})
            .to_string();
    for n in 0..INTEGRATIONS {
        let refresh = (platform != Platform::Meta).then(|| token("rt", n));
        text.push('\n');
        text += &json!({
            "type": "integration", "org_id": "acme",
            "integration_id": format!("{platform}-{n:036}"),
            "platform": platform, "username": "acme.page.of.some.length",
            "account_id": "17841400000000000", "created_by": "auth0|5f7c8ec7c33c6c004bbafe82",
            "access_token": token("at", n), "refresh_token": refresh,
            "token_issued_at": clock.now() - TimeDelta::days(2),
            "token_expires_at": clock.now() + TimeDelta::days(1), "is_active": true,
            "scopes": ["read", "write", "offline.access"],
        })
        .to_string();
    }
    let importer = importer::importer(environment, clock);
    let summary = importer.import(text.as_bytes(), |_| {}).await.unwrap();
    assert!(summary.is_clean(), "{summary:?}");
}

async fn erase(environment: &Environment, clock: &Clock, platform: Platform) {
    let integrations = importer::importer(environment, clock).integrations;
    for n in 0..INTEGRATIONS {
        let key = shared::IntegrationKey {
            org_id: OrgId::new("acme").unwrap(),
            integration_id: IntegrationId::new(format!("{platform}-{n:036}")).unwrap(),
        };
        let mut row = integrations.get(&key).await.unwrap().unwrap();
        row.disconnect(clock.now());
        integrations.replace(row, clock.now()).await.unwrap();
    }
}
