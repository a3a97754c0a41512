//! Quotas whose store is slow, throttles, fails, or answers or holds nonsense: never a
//! permit, never more than two tries.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use aws_sdk_dynamodb::types::AttributeValue;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, TimeDelta};
use serde_json::json;
use shared::Clock;
use shared::domain::quota::Decision;

use super::{
    PERMITS, items, key, limiter, number, permit, small, stack_with, statuses, table, world,
};
use crate::world::{World, integration, start};

async fn put(world: &World, item: HashMap<String, AttributeValue>) {
    let put = world.dynamodb().put_item().table_name(table(world));
    put.set_item(Some(item)).send().await.unwrap();
}

#[tokio::test]
async fn a_damaged_item_is_never_an_allowance() {
    let world = world(small()).await;
    let limiter = limiter(&world, &small());
    let text = || Some(AttributeValue::S("0".to_owned()));
    let whole = |n: i64| Some(AttributeValue::N(n.to_string()));
    let fraction = || Some(AttributeValue::N("1.5".to_owned()));
    let truth = || Some(AttributeValue::Bool(true));
    // Lagged copies begin with l, snapshots with p0 and b0.
    for (what, changes) in [
        ("n-gone", vec![("n", None)]),
        ("n-text", vec![("n", text())]),
        ("n-truth", vec![("n", truth())]),
        ("n-negative", vec![("n", whole(-3))]),
        ("n-turned-back", vec![("n", whole(0))]),
        ("n-turned-on", vec![("n", whole(1_000))]),
        ("n-fraction", vec![("n", fraction())]),
        ("lag-gone", vec![("lb", None)]),
        ("lags-gone", vec![("lb", None), ("lp", None)]),
        (
            "n-and-lags-gone",
            vec![("n", None), ("lb", None), ("lp", None)],
        ),
        ("lag-text", vec![("lb", text())]),
        ("lag-low", vec![("lb", whole(-100))]),
        ("lags-low", vec![("lb", whole(-9)), ("lp", whole(-9))]),
        ("lag-fraction", vec![("lb", fraction())]),
        ("snapshots-text", vec![("b0", text()), ("p0", text())]),
        ("snapshot-truth", vec![("b0", truth())]),
        ("snapshot-negative", vec![("b0", whole(-1))]),
        ("snapshots-high", vec![("b0", whole(70)), ("p0", whole(70))]),
        (
            "all-gone",
            vec![
                ("n", None),
                ("lb", None),
                ("lp", None),
                ("b0", None),
                ("p0", None),
            ],
        ),
    ] {
        world
            .import(&[integration(what, "meta", None, false)])
            .await;
        for _ in 0..3 {
            let decision = limiter.take_permit(&key(what)).await.unwrap();
            assert!(matches!(decision, Decision::Admitted(_)), "{what}");
        }
        let mut item = items(&world).await;
        item.retain(|item| item["quota_key"].as_s().unwrap().ends_with(what));
        let mut item = item.remove(0);
        for (start, value) in changes {
            let name = item
                .keys()
                .find(|name| name.starts_with(start))
                .unwrap()
                .clone();
            match value {
                Some(value) => item.insert(name, value),
                None => item.remove(&name),
            };
        }
        put(&world, item).await;
        let path = PERMITS.replace("/fb/", &format!("/{what}/"));
        let mut statuses = Vec::new();
        for _ in 0..3 {
            statuses.push(world.send_as("mia", "POST", &path).await.status);
        }
        // It becomes an exhausted one by itself.
        let refused = statuses[0] == 503 || statuses[0] == 429;
        assert!(
            refused && statuses[1..] == [429, 429],
            "{what}: {statuses:?}"
        );
    }
    // And frees up like any other.
    world.pass(TimeDelta::seconds(4_000));
    for row in items(&world).await {
        let what = row["quota_key"]
            .as_s()
            .unwrap()
            .rsplit('#')
            .next()
            .unwrap()
            .to_owned();
        let path = PERMITS.replace("/fb/", &format!("/{what}/"));
        let answer = world.send_as("mia", "POST", &path).await;
        assert_eq!(answer.status, 200, "{what}");
    }
}

/// How the store fails.
#[derive(Debug, Clone, Copy)]
enum Fault {
    Hangs,
    Throttles,
    Fails,
    Babbles,
}

const FAULTS: [Fault; 4] = [Fault::Hangs, Fault::Throttles, Fault::Fails, Fault::Babbles];

impl Fault {
    async fn answer(self, clock: &Clock) -> Response {
        let (status, body) = match self {
            Self::Hangs => {
                // As long as a try may take.
                clock.advance(TimeDelta::milliseconds(300));
                return std::future::pending().await;
            }
            Self::Throttles => (400, error("ProvisionedThroughputExceededException")),
            Self::Fails => (500, error("InternalServerError")),
            Self::Babbles => (200, "<html>".to_owned()),
        };
        let status = StatusCode::from_u16(status).unwrap();
        let head = [("content-type", "application/x-amz-json-1.0")];
        (status, head, body).into_response()
    }
}

fn error(code: &str) -> String {
    json!({"__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "no"})
        .to_string()
}

/// What stands between the authorizer and its DynamoDB.
#[derive(Default)]
struct Store {
    /// DynamoDB's URL, and the clock that advances while the store does not answer.
    behind: OnceLock<(String, Clock)>,
    fault: Mutex<Option<Fault>>,
    /// Updates that met a fault.
    failed: AtomicU32,
    /// How long an update without a fault takes.
    takes: Mutex<TimeDelta>,
}

impl Store {
    fn set(&self, fault: Option<Fault>) {
        *self.fault.lock().unwrap() = fault;
        self.failed.store(0, Ordering::SeqCst);
    }

    /// Passes a call on to DynamoDB, except updates while there is a fault.
    async fn call(&self, http: &reqwest::Client, headers: HeaderMap, body: Bytes) -> Response {
        let (upstream, clock) = self.behind.get().unwrap();
        let is_update = headers["x-amz-target"].as_bytes().ends_with(b".UpdateItem");
        let fault = *self.fault.lock().unwrap();
        if let Some(fault) = fault.filter(|_| is_update) {
            self.failed.fetch_add(1, Ordering::SeqCst);
            return fault.answer(clock).await;
        }
        let request = http.post(upstream).headers(headers).body(body);
        let answer = request.send().await.unwrap();
        if is_update {
            clock.advance(*self.takes.lock().unwrap());
        }
        let (status, head) = (answer.status(), answer.headers().clone());
        (status, head, answer.bytes().await.unwrap()).into_response()
    }
}

/// Starts a stack whose authorizer's store can be made to fail.
async fn faulty(more: &[(&str, String)]) -> (World, Arc<Store>) {
    let store = Arc::new(Store::default());
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let serving = Arc::clone(&store);
    let serve = move |headers: HeaderMap, body: Bytes| {
        let (store, http) = (Arc::clone(&serving), http.clone());
        async move { store.call(&http, headers, body).await }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = axum::Router::new().fallback(serve);
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let world = stack_with(more, Some(endpoint)).await;
    let dynamodb = world.stack.addresses().dynamodb.clone();
    let behind = (dynamodb, world.clock.clone());
    assert!(store.behind.set(behind).is_ok());
    (world, store)
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_503_and_no_allowance() {
    let (world, store) = faulty(&[]).await;
    assert_eq!(permit(&world).await.status, 200);
    for fault in FAULTS {
        store.set(Some(fault));
        let answer = permit(&world).await;
        answer.assert_problem(503);
        assert_eq!(answer.headers["retry-after"], "5", "{fault:?}");
        assert_eq!(store.failed.load(Ordering::SeqCst), 2, "{fault:?}");
        assert!(!answer.headers.contains_key("x-ratelimit-limit"));
        // Strangers are told so, not that something is broken.
        world
            .send_as("gus", "POST", PERMITS)
            .await
            .assert_problem(403);
        // Other routes need no quota.
        let other = world.get_as("mia", "/api/dashboard/acme/rate-limits").await;
        assert_eq!(other.status, 200, "{}", other.text);
    }
    let waited = world.clock.precise() - start();
    assert_eq!(waited, TimeDelta::milliseconds(600), "for what hung alone");
    store.set(None);
    assert_eq!(permit(&world).await.headers["x-ratelimit-remaining"], "198");
}

#[tokio::test]
async fn a_denial_tells_how_the_window_stood_that_refused() {
    let (world, store) = faulty(&[("QUOTA_POLICIES", small().to_string())]).await;
    assert_eq!(statuses(&world, 2).await, [200; 2]);
    let last = permit(&world).await.json();
    assert_eq!(last["burst"]["remaining"], 0);
    // Refused in the burst's last tenth of a second, and told when it is over.
    let free = last["burst"]["reset"].as_i64().unwrap();
    let free = DateTime::from_timestamp(free, 0).unwrap();
    world.clock.set(free - TimeDelta::milliseconds(100));
    *store.takes.lock().unwrap() = TimeDelta::milliseconds(200);
    let denied = permit(&world).await;
    assert!(world.clock.precise() > free);
    assert_eq!(denied.status, 429, "{}", denied.text);
    let numbers =
        ["limit", "remaining", "reset"].map(|name| number(&denied, &format!("x-ratelimit-{name}")));
    assert_eq!(numbers, [3, 0, free.timestamp()]);
    assert_eq!(denied.json()["limit"], 3);
    *store.takes.lock().unwrap() = TimeDelta::zero();
    assert_eq!(permit(&world).await.status, 200);
}

#[tokio::test]
async fn a_deployment_may_let_calls_pass_while_the_store_does_not_answer() {
    let allow = [
        ("QUOTA_ON_FAILURE", "allow".to_owned()),
        ("QUOTA_POLICIES", small().to_string()),
    ];
    let (world, store) = faulty(&allow).await;
    let expected = json!({
        "platform": "meta", "org_id": "acme", "integration_id": "fb",
        "use_by": "2026-11-23T09:00:30+00:00",
    });
    for fault in FAULTS {
        store.set(Some(fault));
        let answer = permit(&world).await;
        assert_eq!(answer.status, 200, "{fault:?}: {}", answer.text);
        assert_eq!(answer.json(), expected, "{fault:?}");
        assert!(!answer.headers.contains_key("x-ratelimit-limit"));
    }
    world
        .send_as("gus", "POST", PERMITS)
        .await
        .assert_problem(403);
    // What answers, but holds nonsense, is no store that does not answer.
    store.set(None);
    let key = (
        "quota_key".to_owned(),
        AttributeValue::S("meta#acme#fb".to_owned()),
    );
    let nonsense = ("n".to_owned(), AttributeValue::S("many".to_owned()));
    put(&world, HashMap::from([key, nonsense])).await;
    assert_eq!(statuses(&world, 2).await, [503, 429]);
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_at_all_is_503() {
    // A port on which nothing listens, for memberships too.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let world = stack_with(&[], Some(dead)).await;
    let answer = permit(&world).await;
    answer.assert_problem(503);
    assert_eq!(answer.headers["retry-after"], "5");
    assert!(items(&world).await.is_empty());
}
