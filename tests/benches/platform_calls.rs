//! What applications pay: the time of an access token and of a proxied call, beside the same
//! call made directly, alternating; and the calls of AWS that each takes.
//!
//! `cargo bench --profile dev --workspace --bench platform_calls [-- CALLS]` prints two tables;
//! 500 calls of each kind unless said otherwise.

#![expect(
    clippy::unwrap_used,
    reason = "a benchmark that fails should say where"
)]
#![expect(clippy::print_stdout, reason = "its tables")]

#[path = "../it/importer.rs"]
mod importer;
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../it/relay.rs"]
mod relay;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use axum::body::Bytes;
use axum::http::request::Parts;
use comfy_table::Table;
use local::{Environment, Options, Stack};
use relay::relay_to;
use serde_json::{Value, json};
use shared::Clock;

const ROUTES: &str = "/api/platforms/meta/acme/page";
const CALLED: [&str; 2] = ["RateLimitAuthorizerFunction", "PlatformCallsFunction"];

/// How often each call of AWS was made.
type Calls = Arc<Mutex<BTreeMap<String, usize>>>;

async fn start(calls: Option<Calls>) -> Stack {
    let policies = json!({"meta": {"limit": 1_000_000, "period": 3_600, "burst": 1_000_000}});
    let options = Options {
        parameters: [("QuotaPolicies".to_owned(), policies.to_string())].into(),
        ..Options::default()
    };
    let stack = Stack::start_with(options, async |environment: &Environment, clock: &Clock| {
        let counted = match calls {
            Some(calls) => Some(counting(environment, calls).await),
            None => None,
        };
        let configuration = |function: &str| {
            let sdk = counted.clone().filter(|_| CALLED.contains(&function));
            let sdk = sdk.unwrap_or_else(|| environment.sdk_config_of(function));
            (sdk, environment.variables(function))
        };
        local::functions::handlers_of(configuration, clock)
    });
    let stack = stack.await.unwrap();
    let lines = [
        json!({"type": "organization", "org_id": "acme", "name": "Acme", "owner_id": "olga"}),
        json!({
            "type": "integration", "org_id": "acme", "integration_id": "page", "platform": "meta",
            "username": "page", "account_id": "1", "created_by": "olga", "access_token": "token",
            "is_active": true,
        }),
    ];
    let text = lines.map(|line| line.to_string()).join("\n");
    let importer = importer::importer(stack.environment(), &Clock::system());
    let summary = importer.import(text.as_bytes(), |_| {}).await.unwrap();
    assert!(summary.is_clean());
    stack
}

/// Returns the configuration of functions whose calls are counted on their way.
async fn counting(environment: &Environment, calls: Calls) -> SdkConfig {
    let variables = environment.variables(CALLED[1]);
    let of = |service: &str| {
        let name = format!("AWS_ENDPOINT_URL_{service}");
        variables.required(&name).unwrap().to_owned()
    };
    let (dynamodb, kms) = (of("DYNAMODB"), of("KMS"));
    let service = move |head: &Parts| match name(head).starts_with("DynamoDB") {
        true => dynamodb.clone(),
        false => kms.clone(),
    };
    let count = move |head: &Parts, _: &Bytes| {
        *calls.lock().unwrap().entry(name(head)).or_default() += 1;
    };
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(environment.sdk_config().credentials_provider().unwrap())
        .endpoint_url(relay_to(service, |_, body| Some(body), count).await)
        .build()
}

fn name(head: &Parts) -> String {
    let target = head.headers["x-amz-target"].to_str().unwrap();
    let (service, call) = target.split_once('.').unwrap();
    let service = if service.starts_with("DynamoDB") {
        "DynamoDB"
    } else {
        "KMS"
    };
    format!("{service}.{call}")
}

/// The kinds of call, each by a name.
struct Caller {
    http: reqwest::Client,
    gateway: String,
    platforms: String,
    bearer: String,
}

impl Caller {
    fn new(stack: &Stack) -> Self {
        let addresses = stack.addresses();
        Self {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            gateway: addresses.gateway.clone(),
            platforms: addresses.platforms.clone(),
            bearer: stack.issuer().token("olga").unwrap(),
        }
    }

    async fn time(&self, request: reqwest::RequestBuilder) -> Duration {
        let began = Instant::now();
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        let _: Value = response.json().await.unwrap();
        began.elapsed()
    }

    async fn direct(&self) -> Duration {
        let request = self.http.get(format!("{}/meta/me", self.platforms));
        self.time(request.bearer_auth("token")).await
    }

    async fn proxied(&self) -> Duration {
        let request = self.http.get(format!("{}{ROUTES}/proxy/me", self.gateway));
        self.time(request.bearer_auth(&self.bearer)).await
    }

    async fn token(&self) -> Duration {
        let url = format!("{}{ROUTES}/access-token", self.gateway);
        self.time(self.http.post(url).bearer_auth(&self.bearer))
            .await
    }
}

fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort_unstable();
    times[(times.len() - 1) * percent / 100].as_secs_f64() * 1_000.0
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header(header);
    table
}

async fn times(calls: usize) {
    let stack = start(None).await;
    // The platform's own limit is not what is measured.
    let platform = shared::Platform::Meta;
    let mut rules = stack.platforms().rules(platform);
    rules.calls_limit = None;
    stack.platforms().set_rules(platform, rules);
    let caller = Caller::new(&stack);
    let [mut direct, mut proxied, mut token] = [Vec::new(), Vec::new(), Vec::new()];
    for call in 0..calls + 20 {
        let (a, b, c) = (
            caller.direct().await,
            caller.proxied().await,
            caller.token().await,
        );
        // The first open connections and fetch keys.
        if call >= 20 {
            direct.push(a);
            proxied.push(b);
            token.push(c);
        }
    }
    let mut table = table(&["call", "p50, ms", "p99, ms", "p50 beyond a direct call, ms"]);
    let base = percentile(&mut direct, 50);
    for (name, mut times) in [
        ("to the platform directly", direct),
        ("through the proxy", proxied),
        ("for an access token", token),
    ] {
        let p50 = percentile(&mut times, 50);
        table.add_row([
            name.to_owned(),
            format!("{p50:.2}"),
            format!("{:.2}", percentile(&mut times, 99)),
            format!("{:.2}", p50 - base),
        ]);
    }
    println!("{table}\n");
    stack.stop().await;
}

async fn counts(number: usize) {
    let calls = Calls::default();
    let stack = start(Some(Arc::clone(&calls))).await;
    let caller = Caller::new(&stack);
    caller.proxied().await;
    caller.token().await;
    let mut table = table(&["call", "calls of AWS", "each"]);
    for kind in ["through the proxy", "for an access token"] {
        calls.lock().unwrap().clear();
        for _ in 0..number {
            match kind {
                "through the proxy" => caller.proxied().await,
                _ => caller.token().await,
            };
        }
        for (name, count) in calls.lock().unwrap().iter() {
            #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
            let each = *count as f64 / number as f64;
            table.add_row([kind.to_owned(), name.clone(), format!("{each:.2}")]);
        }
    }
    println!("{table}");
    stack.stop().await;
}

fn main() {
    let calls = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .next_back()
        .unwrap_or(500);
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async {
            times(calls).await;
            counts(100).await;
        });
}
