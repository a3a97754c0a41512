//! What a sweep costs, by how much is due and by how much is stored that is not.
//!
//! `cargo bench --profile dev --workspace --bench sweep` prints a table; `--profile
//! dev` is left out for optimised figures, at the price of an optimised build.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that fails should say where"
)]
#![expect(clippy::print_stdout, reason = "its table")]

#[path = "../it/importer.rs"]
mod importer;

use std::time::Instant;

use check_tokens::{CheckTokens, Request};
use chrono::{DateTime, TimeDelta, Utc};
use local::{Options, Stack};
use serde_json::{Value, json};
use shared::Clock;

const DUE: usize = 1_000;

fn line(id: &str, platform: &str, end: DateTime<Utc>, refresh: bool) -> String {
    let line: Value = json!({
        "type": "integration", "org_id": "acme", "integration_id": id, "platform": platform,
        "username": id, "account_id": "1", "created_by": "carl", "access_token": format!("at-{id}"),
        "refresh_token": refresh.then(|| format!("rt-{id}")), "token_expires_at": end, "is_active": true,
    });
    line.to_string() + "\n"
}

async fn import(stack: &Stack, clock: &Clock, text: String) {
    let importer = importer::importer(stack.environment(), clock);
    let summary = importer.import(text.as_bytes(), |_| {}).await.unwrap();
    assert!(summary.is_clean(), "{summary:?}");
}

async fn measure(stored: usize) -> [String; 6] {
    let clock = Clock::system();
    let stack = Stack::start(Options {
        clock: clock.clone(),
        ..Options::default()
    })
    .await
    .unwrap();
    let now = clock.now();
    let mut text =
        json!({"type": "organization", "org_id": "acme", "name": "A", "owner_id": "olga"})
            .to_string()
            + "\n";
    for n in 0..stored {
        text += &line(
            &format!("idle-{n}"),
            "linkedin",
            now + TimeDelta::days(50),
            false,
        );
    }
    let began = Instant::now();
    import(&stack, &clock, text).await;
    let imported = began.elapsed();
    let due: String = (0..DUE)
        .map(|n| {
            line(
                &format!("due-{n}"),
                "google",
                now + TimeDelta::hours(1),
                true,
            )
        })
        .collect();
    import(&stack, &clock, due).await;
    let function = CheckTokens::from_environment(
        &stack.environment().sdk_config(),
        &stack.environment().variables("CheckTokensFunction"),
        clock.clone(),
    )
    .unwrap();
    let began = Instant::now();
    let report = function
        .sweep(Request::default(), None, |_| {})
        .await
        .unwrap();
    let sweep = began.elapsed();
    assert_eq!(
        (report.examined, report.auto_refreshed),
        (DUE as u64, DUE as u64),
        "{report:?}"
    );
    let began = Instant::now();
    let report = function
        .sweep(Request::default(), None, |_| {})
        .await
        .unwrap();
    let idle = began.elapsed();
    assert_eq!(report.examined, 0);
    stack.stop().await;
    [
        stored.to_string(),
        format!("{:.1} s", imported.as_secs_f64()),
        DUE.to_string(),
        format!("{:.2} s", sweep.as_secs_f64()),
        format!("{:.2} ms", sweep.as_secs_f64() * 1000.0 / DUE as f64),
        format!("{:.0} ms", idle.as_secs_f64() * 1000.0),
    ]
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header([
        "stored, not due",
        "import of these",
        "due",
        "sweep",
        "per integration",
        "sweep with nothing due",
    ]);
    for stored in [1_000, 100_000] {
        table.add_row(runtime.block_on(measure(stored)));
    }
    println!("{table}");
}
