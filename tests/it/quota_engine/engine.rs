//! The engine, with a quotas table of its own in it and a counter in front.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{AsyncSleep, Builder, SharedAsyncSleep, Sleep};
use local::{Addresses, Environment, Options, Stack};
use serde_json::Value;
use shared::{Clock, Variables};

use super::counter::Counter;

pub(crate) struct Engine {
    pub(crate) counter: Counter,
    table: String,
    /// Keeps an embedded engine alive.
    _stack: Option<Stack>,
}

impl Engine {
    /// Starts on the engine that `DYNAMODB_ENDPOINT` names, else on an embedded one.
    pub(crate) async fn start() -> Self {
        let variables = Variables::from_process();
        let (stack, endpoint) = match variables.get("DYNAMODB_ENDPOINT") {
            Some(endpoint) => (None, endpoint.to_owned()),
            None => {
                let stack = Stack::start(Options::default()).await.unwrap();
                let endpoint = stack.addresses().dynamodb.clone();
                (Some(stack), endpoint)
            }
        };
        let counter = Counter::start(&endpoint).await;
        let table = create_quotas_table(&counter.url).await;
        Self {
            counter,
            table,
            _stack: stack,
        }
    }

    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    /// Returns the configuration of its clients, with time-outs as in production.
    pub(crate) fn config(&self) -> Builder {
        config(&self.counter.url)
    }

    /// Returns a client with very long time-outs: clocks in these tests stand still, and a
    /// machine under load takes time that must not count.
    #[allow(dead_code, reason = "the benchmark measures real time")]
    pub(crate) fn patient(&self) -> Client {
        let config = self
            .config()
            .sleep_impl(SharedAsyncSleep::new(UnhurriedSleep))
            .build();
        Client::from_conf(config)
    }
}

pub(crate) fn config(endpoint: &str) -> Builder {
    Builder::from(&environment(endpoint).sdk_config())
}

fn environment(dynamodb: &str) -> Environment {
    Environment::new(&addresses(dynamodb)).unwrap()
}

/// Makes time-outs a hundred times as long.
#[derive(Debug)]
struct UnhurriedSleep;

impl AsyncSleep for UnhurriedSleep {
    fn sleep(&self, duration: Duration) -> Sleep {
        Sleep::new(tokio::time::sleep(duration * 100))
    }
}

fn addresses(dynamodb: &str) -> Addresses {
    let nowhere = || "http://127.0.0.1:9".to_owned();
    Addresses {
        parameters: std::collections::BTreeMap::new(),
        dynamodb: dynamodb.to_owned(),
        gateway: nowhere(),
        sns: nowhere(),
        sqs: nowhere(),
        kms: nowhere(),
        s3: nowhere(),
        lambda: nowhere(),
        secretsmanager: nowhere(),
        issuer: nowhere(),
        platforms: nowhere(),
        access_key: "local".to_owned(),
    }
}

/// Creates the template's table under a name that nobody else uses.
async fn create_quotas_table(endpoint: &str) -> String {
    static CREATED: AtomicU32 = AtomicU32::new(0);
    let environment = environment(endpoint);
    let quotas = environment
        .model()
        .tables
        .iter()
        .find(|table| table.name.ends_with("-quotas"))
        .expect("the template's QuotasTable");
    let name = format!(
        "quotas-{}-{}-{}",
        Clock::system().precise().timestamp_millis(),
        std::process::id(),
        CREATED.fetch_add(1, Ordering::SeqCst)
    );
    let mut create = quotas.create.clone();
    create["TableName"] = name.clone().into();
    call_engine(endpoint, "CreateTable", &create).await;
    name
}

/// Sends an operation with its JSON as it stands. Local engines want a signature, and do
/// not check it.
async fn call_engine(endpoint: &str, operation: &str, body: &Value) {
    let http = reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap();
    let answer = http
        .post(endpoint)
        .header("content-type", "application/x-amz-json-1.0")
        .header("x-amz-target", format!("DynamoDB_20120810.{operation}"))
        .header("x-amz-date", "20261123T090000Z")
        .header(
            "authorization",
            "AWS4-HMAC-SHA256 Credential=local/20261123/us-east-1/dynamodb/aws4_request, \
             SignedHeaders=host;x-amz-date;x-amz-target, Signature=0",
        )
        .body(body.to_string())
        .send()
        .await
        .unwrap();
    let status = answer.status();
    let text = answer.text().await.unwrap();
    assert!(status.is_success(), "{operation}: {status} {text}");
}
