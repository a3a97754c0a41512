//! A sweep over very many due integrations, against a platform that takes its
//! time and fails now and then: how long, and in how much memory.
//!
//! `cargo bench --profile dev --workspace --bench refresh -- [integrations] [concurrency] [platform]`
//! prints a table; `twitter` has single-use tokens, `google` has none. The function runs
//! in a process of its own, wired from its environment as in AWS, so that its memory is
//! its own; the tables, the keys and the platform are in this one.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that fails should say where"
)]
#![expect(clippy::print_stdout, reason = "its table")]

#[path = "../it/importer.rs"]
mod importer;

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use check_tokens::{CheckTokens, Request};
use chrono::TimeDelta;
use local::{Options, Stack};
use serde_json::{Value, json};
use shared::domain::report::SweepReport;
use shared::{Clock, Platform, Variables};

/// How long the platform takes for an answer.
const ANSWER: Duration = Duration::from_millis(300);
/// One request in so many fails.
const FAULTS: u64 = 100;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "sweep") {
        return runtime.block_on(sweep());
    }
    let mut numbers = arguments.iter().filter_map(|text| text.parse().ok());
    let integrations = numbers.next().unwrap_or(10_000);
    let concurrency = numbers.next().unwrap_or(32);
    let platform = arguments.iter().find_map(|text| text.parse().ok());
    let platform = platform.unwrap_or(Platform::Google);
    runtime.block_on(measure(platform, integrations, concurrency));
}

/// The function's process: sweeps once, and prints its report and its peak of memory.
async fn sweep() {
    let sdk = shared::aws::config::from_environment().await;
    let variables = Variables::from_process();
    let function = CheckTokens::from_environment(&sdk, &variables, Clock::system()).unwrap();
    let began = Instant::now();
    let report = function
        .sweep(Request::default(), None, |_| {})
        .await
        .unwrap();
    let took = began.elapsed().as_secs_f64();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak: Option<u64> = peak.and_then(|line| line.split_whitespace().next()?.parse().ok());
    println!(
        "{}",
        json!({"report": report, "seconds": took, "peak_kb": peak})
    );
}

async fn measure(platform: Platform, integrations: u64, concurrency: u64) {
    let asked = Arc::new(AtomicU64::new(0));
    let endpoint = serve(platform, Arc::clone(&asked)).await;
    let endpoints = json!({platform.name(): {"token": endpoint}});
    let stack = Stack::start(Options {
        parameters: [("PlatformEndpoints".to_owned(), endpoints.to_string())].into(),
        ..Options::default()
    })
    .await
    .unwrap();
    import(&stack, platform, integrations).await;
    let own = stack.environment().variables("CheckTokensFunction");
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child
        .arg("sweep")
        .env_clear()
        .envs(own.iter())
        .env("AWS_ACCESS_KEY_ID", "local")
        .env("AWS_SECRET_ACCESS_KEY", "local")
        .env("PLATFORM_CONCURRENCY", concurrency.to_string())
        .stderr(Stdio::inherit());
    let output = tokio::task::spawn_blocking(move || child.output());
    let output = output.await.unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let answer: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let report: SweepReport = serde_json::from_value(answer["report"].clone()).unwrap();
    #[expect(clippy::cast_precision_loss, reason = "a benchmark's counts")]
    let ideal = integrations as f64 * ANSWER.as_secs_f64() / concurrency as f64;
    let took = answer["seconds"].as_f64().unwrap();
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header([
        "platform",
        "due",
        "at once",
        "refreshed",
        "failed",
        "asked",
        "count x 300 ms / at once",
        "took",
        "more by",
        "peak memory",
    ]);
    table.add_row([
        platform.name().to_owned(),
        report.examined.to_string(),
        concurrency.to_string(),
        report.auto_refreshed.to_string(),
        report.refresh_failed.to_string(),
        asked.load(Ordering::Relaxed).to_string(),
        format!("{ideal:.1} s"),
        format!("{took:.1} s"),
        format!("{:.1} %", (took / ideal - 1.0) * 100.0),
        answer["peak_kb"]
            .as_u64()
            .map_or("?".to_owned(), |kb| format!("{} MB", kb / 1_024)),
    ]);
    println!("{table}");
    stack.stop().await;
}

/// A token endpoint that takes its time, and fails once in a while.
async fn serve(platform: Platform, asked: Arc<AtomicU64>) -> String {
    let answer = move || {
        let number = asked.fetch_add(1, Ordering::Relaxed);
        async move {
            tokio::time::sleep(ANSWER).await;
            if number % FAULTS == FAULTS - 1 {
                return (StatusCode::INTERNAL_SERVER_ERROR, String::new());
            }
            let mut body = json!({"access_token": format!("at-{number}"), "expires_in": 3_599, "token_type": "Bearer"});
            if platform == Platform::Twitter {
                body["refresh_token"] = json!(format!("rt-of-{number}"));
            }
            (StatusCode::OK, body.to_string())
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/token", post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/token")
}

async fn import(stack: &Stack, platform: Platform, integrations: u64) {
    let clock = Clock::system();
    let importer = importer::importer(stack.environment(), &clock);
    let end = clock.now() + TimeDelta::hours(1);
    let mut text =
        json!({"type": "organization", "org_id": "acme", "name": "A", "owner_id": "olga"})
            .to_string();
    for n in 0..integrations {
        text.push('\n');
        text += &json!({
            "type": "integration", "org_id": "acme", "integration_id": format!("due-{n}"),
            "platform": platform, "username": "x", "account_id": "1", "created_by": "carl",
            "access_token": format!("at-{n}"), "refresh_token": format!("rt-{n}"),
            "token_expires_at": end, "is_active": true,
        })
        .to_string();
    }
    let summary = importer.import(text.as_bytes(), |_| {}).await.unwrap();
    assert!(summary.is_clean(), "{summary:?}");
}
