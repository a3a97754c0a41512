//! What an import costs: time and calls, of new rows and of rows that are there
//! already, and what a row weighs.
//!
//! `cargo bench --profile dev --workspace --bench import -- [lines]` prints two
//! tables, with the embedded engine in a file, as `warden local` has it.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that fails should say where"
)]
#![expect(clippy::print_stdout, reason = "its tables")]

#[path = "../it/importer.rs"]
mod importer;
#[path = "../it/relay.rs"]
mod relay;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::TimeDelta;
use local::{Addresses, Environment, Options, Stack};
use serde_json::json;
use shared::Clock;

/// Counts the calls to DynamoDB and KMS by name.
type Calls = Arc<Mutex<BTreeMap<&'static str, u64>>>;

/// What an import calls.
const CALLS: [&str; 6] = [
    "BatchGetItem",
    "GetItem",
    "TransactWriteItems",
    "PutItem",
    "GenerateDataKey",
    "Decrypt",
];

const LINES: usize = 30_000;

#[tokio::main]
async fn main() {
    let lines = std::env::args().skip(1).find_map(|text| text.parse().ok());
    let lines: usize = lines.unwrap_or(LINES);
    let clock = Clock::system();
    let text = export(lines, &clock);
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header(["lines", "rows are", "took", "lines/s", "calls", "database"]);

    for (is_counted, whose) in [(false, ""), (true, " (counted, through a relay)")] {
        let directory = tempfile::tempdir().unwrap();
        let stack = Stack::start(Options {
            clock: clock.clone(),
            data_dir: Some(directory.path().to_owned()),
            ..Options::default()
        })
        .await
        .unwrap();
        let calls = Calls::default();
        let environment = if is_counted {
            counted(&stack, &calls).await
        } else {
            stack.environment().clone()
        };
        let importer = importer::importer(&environment, &clock);
        for rows in ["new", "there"] {
            calls.lock().unwrap().clear();
            let began = Instant::now();
            let summary = importer.import(text.as_bytes(), |_| {}).await.unwrap();
            let took = began.elapsed().as_secs_f64();
            assert!(summary.is_clean(), "{summary:?}");
            let calls: Vec<_> = calls
                .lock()
                .unwrap()
                .iter()
                .map(|(name, count)| format!("{count} {name}"))
                .collect();
            let file = directory.path().join("dynamodb.sqlite");
            let size = std::fs::metadata(file).unwrap().len();
            table.add_row([
                lines.to_string(),
                format!("{rows}{whose}"),
                format!("{took:.1} s"),
                format!("{:.0}", lines as f64 / took),
                calls.join(", "),
                format!("{:.0} MB", size as f64 / 1e6),
            ]);
        }
        if is_counted {
            println!("{}\n", weigh(&environment).await);
        }
        stack.stop().await;
    }
    println!("{table}");
}

/// Generates tokens as long as the platforms', most of them with a refresh token.
fn export(lines: usize, clock: &Clock) -> String {
    let end = clock.now() + TimeDelta::days(50);
    let token = |of: &str, n: usize| format!("{of}{n:0>9}").repeat(18);
    let mut text =
        json!({"type": "organization", "org_id": "acme", "name": "A", "owner_id": "olga"})
            .to_string();
    for n in 0..lines {
        let platform = ["meta", "google", "linkedin"][n % 3];
        let line = json!({
            "type": "integration", "org_id": "acme", "integration_id": format!("{n:0>32}"),
            "platform": platform, "username": format!("account.{n}"),
            "account_id": format!("{n:0>12}"), "created_by": "carl",
            "access_token": token("a", n),
            "refresh_token": (platform != "meta").then(|| token("r", n)),
            "token_expires_at": end, "scopes": "ads_read ads_management",
            "metadata": {"page": n},
        });
        text += &format!("\n{line}");
    }
    text
}

async fn counted(stack: &Stack, calls: &Calls) -> Environment {
    let count = |service: String| {
        let calls = Arc::clone(calls);
        relay::relay(
            service,
            |_, body| Some(body),
            move |head, _| {
                let name = CALLS.into_iter().find(|name| relay::is_call(head, name));
                *calls.lock().unwrap().entry(name.unwrap()).or_default() += 1;
            },
        )
    };
    let of = stack.addresses().clone();
    Environment::new(&Addresses {
        dynamodb: count(of.dynamodb.clone()).await,
        kms: count(of.kms.clone()).await,
        ..of
    })
    .unwrap()
}

/// Tabulates what a row's attributes weigh, as DynamoDB counts: name and value.
async fn weigh(environment: &Environment) -> comfy_table::Table {
    let variables = environment.variables("CheckTokensFunction");
    let row = aws_sdk_dynamodb::Client::new(&environment.sdk_config())
        .get_item()
        .table_name(variables.required("INTEGRATIONS_TABLE").unwrap())
        .key("org_id", AttributeValue::S("acme".to_owned()))
        .key("integration_id", AttributeValue::S(format!("{:0>32}", 1)))
        .send()
        .await
        .unwrap();
    let row = row.item.unwrap();
    let mut weights: Vec<_> = row
        .iter()
        .map(|(name, value)| (name.len() + weight(value), name.as_str()))
        .collect();
    weights.sort_unstable_by(|a, b| b.cmp(a));
    let total: usize = weights.iter().map(|(weight, _)| weight).sum();
    weights.insert(0, (total, "the row"));
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header(["attribute", "bytes"]);
    for (weight, name) in weights {
        table.add_row([name.to_owned(), weight.to_string()]);
    }
    table
}

/// docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html
fn weight(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(number) => number.len().div_ceil(2) + 1,
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::L(list) => 3 + list.iter().map(|value| 1 + weight(value)).sum::<usize>(),
        AttributeValue::M(map) => {
            let fields = map
                .iter()
                .map(|(name, value)| 1 + name.len() + weight(value));
            3 + fields.sum::<usize>()
        }
        _ => 1,
    }
}
