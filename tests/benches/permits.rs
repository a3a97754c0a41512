//! 64 callers at the permits route of a running stack, for several minutes,
//! across the edges of its windows: what they were granted, and whether every
//! answer was right.
//!
//! `cargo bench --profile dev --workspace --bench permits [-- SECONDS]` prints a
//! table; 180 seconds unless said otherwise.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that fails should say where"
)]
#![expect(clippy::print_stdout, reason = "its table")]

#[path = "../it/importer.rs"]
mod importer;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use local::{Options, Stack};
use serde_json::{Value, json};
use shared::Clock;

const CALLERS: usize = 64;
const LIMIT: usize = 60;
const BURST: usize = 20;
const WINDOW: Duration = Duration::from_secs(60);

#[derive(Default)]
struct ProbeResult {
    granted: Vec<Instant>,
    denied: u64,
    others: u64,
    /// Denials that were waited out, and how many of these then got a permit.
    waited: (u64, u64),
}

impl ProbeResult {
    fn count(&mut self, status: u16) {
        match status {
            200 => self.granted.push(Instant::now()),
            429 => self.denied += 1,
            _ => self.others += 1,
        }
    }
}

async fn import(stack: &Stack) {
    let importer = importer::importer(stack.environment(), &Clock::system());
    let mut lines =
        vec![json!({"type": "organization", "org_id": "acme", "name": "Acme", "owner_id": "olga"})];
    lines.extend(["busy", "alone"].map(|id| json!({
        "type": "integration", "org_id": "acme", "integration_id": id, "platform": "meta", "username": id,
        "account_id": "1", "created_by": "olga", "access_token": id, "is_active": true,
    })));
    let text = lines
        .iter()
        .map(Value::to_string)
        .collect::<Vec<_>>()
        .join("\n");
    assert!(
        importer
            .import(text.as_bytes(), |_| {})
            .await
            .unwrap()
            .is_clean()
    );
}

async fn call(client: &reqwest::Client, url: &str, token: &str) -> (u16, Value, u64) {
    let response = client.post(url).bearer_auth(token).send().await.unwrap();
    let status = response.status().as_u16();
    let header =
        |name: &str| -> Option<u64> { response.headers().get(name)?.to_str().ok()?.parse().ok() };
    if matches!(status, 200 | 429) {
        assert_eq!(header("x-ratelimit-limit"), Some(LIMIT as u64));
        assert!(header("x-ratelimit-remaining").is_some_and(|left| left < LIMIT as u64));
        assert!(header("x-ratelimit-reset").is_some());
    }
    let retry_after = header("retry-after").unwrap_or_default();
    let body: Value = response.json().await.unwrap();
    if status == 429 {
        let expected = json!({
            "error": "Rate limit exceeded",
            "message": "Too many requests to meta API. Please try again later.",
            "reason": "quota_used_up",
            "retry_after": retry_after, "reset_at": body["reset_at"], "limit": LIMIT,
        });
        assert_eq!(body, expected);
        assert!(retry_after >= 1);
    }
    (status, body, retry_after)
}

fn most_within(mut at: Vec<Instant>, length: Duration) -> usize {
    at.sort_unstable();
    let mut first = 0;
    (0..at.len())
        .map(|last| {
            while at[last] - at[first] >= length {
                first += 1;
            }
            last - first + 1
        })
        .max()
        .unwrap_or_default()
}

async fn run(seconds: u64) {
    let policies = json!({"meta": {"limit": LIMIT, "period": WINDOW.as_secs(), "burst": BURST}});
    let parameters = [("QuotaPolicies".to_owned(), policies.to_string())].into();
    let stack = Stack::start(Options {
        parameters,
        ..Options::default()
    })
    .await
    .unwrap();
    import(&stack).await;
    let gateway = stack.addresses().gateway.clone();
    let token = stack.issuer().token("olga").unwrap();
    let seen = Arc::new(Mutex::new(ProbeResult::default()));
    let began = Instant::now();
    let end = began + Duration::from_secs(seconds);
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let (seen, token) = (Arc::clone(&seen), token.clone());
        let url = format!("{gateway}/api/platforms/meta/acme/busy/permits");
        callers.spawn(async move {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            while Instant::now() < end {
                let (status, _, _) = call(&client, &url, &token).await;
                seen.lock().unwrap().count(status);
                // Half of them hammer, half come now and then.
                let pause = if caller % 2 == 0 { 20 } else { 700 };
                tokio::time::sleep(Duration::from_millis(pause)).await;
            }
        });
    }
    // One that has its key to itself, and waits as it is told.
    let (seen_alone, url) = (
        Arc::clone(&seen),
        format!("{gateway}/api/platforms/meta/acme/alone/permits"),
    );
    callers.spawn(async move {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        while Instant::now() < end {
            let (status, _, retry_after) = call(&client, &url, &token).await;
            if status == 429 {
                tokio::time::sleep(Duration::from_secs(retry_after)).await;
                let (status, ..) = call(&client, &url, &token).await;
                let mut seen = seen_alone.lock().unwrap();
                seen.waited.0 += 1;
                seen.waited.1 += u64::from(status == 200);
            }
        }
    });
    while let Some(done) = callers.join_next().await {
        done.unwrap();
    }
    let ProbeResult {
        granted,
        denied,
        others,
        waited,
    } = std::mem::take(&mut *seen.lock().unwrap());
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header([
        "callers",
        "seconds",
        "granted",
        "denied",
        "other answers",
        "most in any 60 s",
        "limit",
        "burst",
        "denials waited out",
        "then granted",
    ]);
    let total = granted.len();
    table.add_row([
        CALLERS.to_string(),
        began.elapsed().as_secs().to_string(),
        total.to_string(),
        denied.to_string(),
        others.to_string(),
        most_within(granted, WINDOW).to_string(),
        LIMIT.to_string(),
        BURST.to_string(),
        waited.0.to_string(),
        waited.1.to_string(),
    ]);
    println!("{table}");
    stack.stop().await;
}

fn main() {
    let seconds = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .next_back()
        .unwrap_or(180);
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(run(seconds));
}
