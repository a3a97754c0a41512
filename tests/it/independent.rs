//! Against an authorization server that nobody here wrote: npm's oidc-provider,
//! which rotates refresh tokens and revokes the whole grant when one is used
//! twice. `tests/oidc-provider.sh` starts it and runs these.
//!
//! Every request for new tokens passes through us, and so does every DynamoDB write of
//! the sweeps that die, so that a test can kill a sweep at a chosen place.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use check_tokens::CheckTokens;
use chrono::TimeDelta;
use futures::stream;
use local::{Addresses, Environment, Options};
use serde::Deserialize;
use serde_json::{Value, json};
use shared::Variables;
use shared::domain::check_result::CheckResult;
use shared::domain::integration::{Integration, RetryReason, State};
use shared::domain::refresh::attempt::LEASE_DURATION;
use shared::domain::report::SweepReport;
use shared::domain::verdict::ReconnectReason;
use tempfile::TempDir;
use tokio::sync::Semaphore;

use crate::world::{World, acme, integration};

/// A token that lives two hours is due before this, and ends after it.
const ROUND: TimeDelta = TimeDelta::minutes(105);
/// The longest of these sweeps gets to where it is killed within this time.
const PATIENCE: Duration = Duration::from_secs(60);

/// The server, and our credentials for it.
#[derive(Clone, Deserialize)]
struct Peer {
    token_endpoint: String,
    control: String,
    client_id: String,
    client_secret: String,
}

/// A grant as a person's consent makes it.
#[derive(Deserialize)]
struct Minted {
    grant: String,
    access_token: String,
    refresh_token: String,
}

/// The state of a grant, as the server reports it.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct GrantStatus {
    alive: bool,
    access_tokens: usize,
    /// Refresh tokens that nobody used.
    refresh_tokens: usize,
    refreshed: u64,
    refused: u64,
}

impl Peer {
    fn running() -> Self {
        let variables = Variables::from_process();
        serde_json::from_str(variables.required("OIDC_PROVIDER").unwrap()).unwrap()
    }

    async fn mint(&self, account: &str) -> Minted {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = http.post(format!("{}/grants", self.control));
        let answer = request.json(&json!({"account": account})).send().await;
        answer.unwrap().json().await.unwrap()
    }

    async fn grant_status(&self, grant: &str) -> GrantStatus {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = http.get(format!("{}/grants/{grant}", self.control));
        request.send().await.unwrap().json().await.unwrap()
    }
}

/// What happens to the requests and answers that the relay passes on.
#[derive(Clone, Copy)]
enum RelayFault {
    None,
    /// No request for new tokens arrives.
    HoldRequests,
    /// The server's answers break off.
    CutAnswers,
    /// After so many new credentials, no other one reaches the table.
    HoldStores(usize),
    /// The table takes no new credential, and says so.
    RefuseStores,
}

/// Passes requests on to the server and to the table.
struct FaultyRelay {
    http: reqwest::Client,
    fault: Mutex<RelayFault>,
    /// New credentials on their way to the table.
    stores: AtomicUsize,
    /// One permit for each request or call that the relay holds.
    held: Semaphore,
}

impl FaultyRelay {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
            fault: Mutex::new(RelayFault::None),
            stores: AtomicUsize::new(0),
            held: Semaphore::new(0),
        })
    }

    fn fault(&self) -> RelayFault {
        *self.fault.lock().unwrap()
    }

    fn set(&self, fault: RelayFault) {
        *self.fault.lock().unwrap() = fault;
        self.stores.store(0, Ordering::SeqCst);
    }

    /// Serves the way to the server's token endpoint, and returns its URL.
    async fn to_server(self: &Arc<Self>, token_endpoint: String) -> String {
        let way = Arc::clone(self);
        serve(Router::new().fallback(move |request: Request| {
            let (way, to) = (Arc::clone(&way), token_endpoint.clone());
            async move { way.exchange(&to, request).await }
        }))
        .await
    }

    async fn exchange(&self, to: &str, request: Request) -> Response {
        if matches!(self.fault(), RelayFault::HoldRequests) {
            return self.hold().await;
        }
        let (head, body) = whole(request).await;
        let answer = self.relay(to, head, body).await;
        if matches!(self.fault(), RelayFault::CutAnswers) {
            let cut = stream::iter([Err::<Bytes, _>(std::io::Error::other("cut"))]);
            return Body::from_stream(cut).into_response();
        }
        answer
    }

    /// Serves the way to DynamoDB, and returns its URL.
    async fn to_table(self: &Arc<Self>, dynamodb: String) -> String {
        let way = Arc::clone(self);
        serve(Router::new().fallback(move |request: Request| {
            let (way, to) = (Arc::clone(&way), dynamodb.clone());
            async move { way.call(&to, request).await }
        }))
        .await
    }

    async fn call(&self, to: &str, request: Request) -> Response {
        let (head, body) = whole(request).await;
        if is_store(&head, &body) {
            let earlier = self.stores.fetch_add(1, Ordering::SeqCst);
            match self.fault() {
                RelayFault::HoldStores(after) if earlier >= after => return self.hold().await,
                RelayFault::RefuseStores => {
                    let error = r#"{"__type":"com.amazonaws.dynamodb.v20120810#InternalServerError","message":"no"}"#;
                    return (StatusCode::INTERNAL_SERVER_ERROR, error).into_response();
                }
                _ => {}
            }
        }
        self.relay(to, head, body).await
    }

    /// Holds a request for ever.
    async fn hold(&self) -> Response {
        self.held.add_permits(1);
        std::future::pending().await
    }

    /// Passes a request on. It arrives even if its sender is dead by then.
    async fn relay(&self, to: &str, mut head: Parts, body: Bytes) -> Response {
        for name in [header::HOST, header::CONTENT_LENGTH] {
            head.headers.remove(name);
        }
        let request = self.http.request(head.method, to).headers(head.headers);
        let sent = tokio::spawn(request.body(body).send());
        let answer = sent.await.unwrap().unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut response = answer.bytes().await.unwrap().into_response();
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

async fn serve(router: Router) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    url
}

async fn whole(request: Request) -> (Parts, Bytes) {
    let (head, body) = request.into_parts();
    (head, to_bytes(body, usize::MAX).await.unwrap())
}

/// Whether a call writes an integration that nobody holds a lease on. In a sweep that
/// alerts nobody, only the write of a new credential does so.
fn is_store(head: &Parts, body: &[u8]) -> bool {
    let call = head.headers.get("x-amz-target");
    let is_write = call.is_some_and(|call| call.as_bytes().ends_with(b".PutItem"));
    if !is_write {
        return false;
    }
    let call: Value = serde_json::from_slice(body).unwrap();
    let item = &call["Item"];
    !item["integration_id"].is_null() && item["lease"].is_null()
}

/// A stack whose integrations are all of X, and all use the foreign server.
struct Scene {
    world: World,
    peer: Peer,
    way: Arc<FaultyRelay>,
    /// The sweep that can be killed.
    function: CheckTokens,
    /// The server's grants, by integration.
    grants: BTreeMap<String, String>,
    _home: TempDir,
}

impl Scene {
    async fn new(integrations: usize) -> Self {
        let (peer, way) = (Peer::running(), FaultyRelay::new());
        let home = tempfile::tempdir().unwrap();
        let credentials = json!({"twitter": {
            "client_id": peer.client_id, "client_secret": peer.client_secret,
        }});
        std::fs::write(home.path().join("platforms.json"), credentials.to_string()).unwrap();
        let token = way.to_server(peer.token_endpoint.clone()).await;
        let endpoints = json!({"twitter": {"token": token}}).to_string();
        let world = World::with(Options {
            data_dir: Some(home.path().to_owned()),
            parameters: BTreeMap::from([("PlatformEndpoints".to_owned(), endpoints)]),
            ..Options::default()
        })
        .await;
        let addresses = world.stack.addresses().clone();
        let dynamodb = way.to_table(addresses.dynamodb.clone()).await;
        let environment = Environment::new(&Addresses {
            dynamodb,
            ..addresses
        })
        .unwrap();
        let function = CheckTokens::from_environment(
            &environment.sdk_config(),
            &environment.variables("CheckTokensFunction"),
            world.clock.clone(),
        )
        .unwrap();
        let mut scene = Self {
            world,
            peer,
            way,
            function,
            grants: BTreeMap::new(),
            _home: home,
        };
        scene.connect(integrations).await;
        scene
    }

    async fn connect(&mut self, integrations: usize) {
        let mut records = acme();
        for n in 0..integrations {
            let id = format!("x{n}");
            let minted = self.peer.mint(&id).await;
            let mut line = integration(&id, "twitter", Some(TimeDelta::hours(2)), true);
            line["access_token"] = json!(minted.access_token);
            line["refresh_token"] = json!(minted.refresh_token);
            records.push(line);
            self.grants.insert(id, minted.grant);
        }
        self.world.import(&records).await;
    }

    async fn check(&self) -> SweepReport {
        self.world.check(json!({})).await
    }

    async fn row(&self, id: &str) -> Integration {
        self.world.row("acme", id).await
    }

    async fn grant_status(&self, id: &str) -> GrantStatus {
        self.peer.grant_status(&self.grants[id]).await
    }

    /// Sweeps through the relay.
    async fn sweep(&self) -> SweepReport {
        let request = check_tokens::Request::default();
        let report = self.function.sweep(request, None, |_| {}).await.unwrap();
        self.world.stack.settled().await;
        report
    }

    /// Kills a sweep when the relay holds `held` of its requests.
    async fn kill_sweep(&self, fault: RelayFault, held: u32) {
        self.way.set(fault);
        let function = self.function.clone();
        let sweep = tokio::spawn(async move {
            let request = check_tokens::Request::default();
            function.sweep(request, None, |_| {}).await.unwrap()
        });
        let reached = tokio::time::timeout(PATIENCE, self.way.held.acquire_many(held)).await;
        reached.expect("the sweep gets so far").unwrap().forget();
        sweep.abort();
        assert!(sweep.await.unwrap_err().is_cancelled());
        self.way.set(RelayFault::None);
    }

    /// Asserts that an integration was refreshed so often, and that nothing else happened.
    async fn assert_unharmed(&self, id: &str, refreshed: u64) {
        let row = self.row(id).await;
        assert_eq!(row.state, State::Active, "{id}");
        assert_eq!(row.credential.generation, 1 + refreshed, "{id}");
        let grant_status = self.grant_status(id).await;
        assert!(grant_status.alive, "{id}: {grant_status:?}");
        assert_eq!(
            (
                grant_status.refreshed,
                grant_status.refused,
                grant_status.refresh_tokens
            ),
            (refreshed, 0, 1),
            "{id}"
        );
    }

    /// Asserts that the server revoked the grant, and that the integration says why.
    async fn assert_labelled(&self, id: &str) {
        let state = self.row(id).await.state;
        assert!(lost(&state), "{id}: {state:?}");
        let grant_status = self.grant_status(id).await;
        assert!(!grant_status.alive, "{id}: {grant_status:?}");
        assert_eq!(
            (
                grant_status.refused,
                grant_status.refresh_tokens,
                grant_status.access_tokens
            ),
            (1, 0, 0),
            "{id}: the token that was used twice took everything with it"
        );
    }

    /// Moves the clock to an integration's second refusal. The first has notified nobody,
    /// because a fault of the server may explain it.
    async fn await_confirmation(&self, id: &str) {
        let State::Retrying {
            reason: RetryReason::Refused,
            next_attempt_at,
            ..
        } = self.row(id).await.state
        else {
            panic!("{:?}", self.row(id).await.state)
        };
        let row = self.row(id).await;
        assert!(row.expiry.access_token > Some(next_attempt_at), "in time");
        assert_eq!(self.world.notification_kinds("olga").await, [""; 0]);
        self.world.clock.set(next_attempt_at);
    }

    async fn results(&self, id: &str) -> Vec<String> {
        let attempts = self.world.audit(&format!("integration#acme#{id}")).await;
        attempts
            .iter()
            .map(|attempt| attempt["result"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn lost(state: &State) -> bool {
    let rotation_lost = ReconnectReason::RotationLost;
    matches!(state, State::ReconnectRequired { reason, .. } if *reason == rotation_lost)
}

#[tokio::test]
#[ignore = "needs tests/oidc-provider.sh"]
async fn a_grant_outlives_two_hundred_refreshes() {
    let scene = Scene::new(1).await;
    for n in 1..=200 {
        let report = scene.check().await;
        assert_eq!(
            (report.auto_refreshed, report.refresh_failed),
            (1, 0),
            "{n}: {report:?}"
        );
        scene.world.pass(ROUND);
    }
    scene.assert_unharmed("x0", 200).await;
    assert_eq!(scene.world.notification_kinds("olga").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/oidc-provider.sh"]
async fn concurrent_sweeps_use_no_token_twice() {
    let scene = Scene::new(20).await;
    for round in 1..=10 {
        let sweeps = futures::future::join_all((0..4).map(|_| scene.check())).await;
        let refreshed: u64 = sweeps.iter().map(|report| report.auto_refreshed).sum();
        let failed: u64 = sweeps.iter().map(|report| report.refresh_failed).sum();
        assert_eq!((refreshed, failed), (20, 0), "{round}: {sweeps:?}");
        for id in scene.grants.keys() {
            scene.assert_unharmed(id, round).await;
        }
        scene.world.pass(ROUND);
    }
    assert_eq!(scene.world.notification_kinds("olga").await, [""; 0]);
}

#[tokio::test]
#[ignore = "needs tests/oidc-provider.sh"]
async fn a_crash_between_answer_and_write_is_labelled() {
    let scene = Scene::new(1).await;
    scene.check().await;
    scene.world.pass(ROUND);
    scene.kill_sweep(RelayFault::HoldStores(0), 1).await;

    // The server has moved on and we have not; nobody can see that yet.
    let grant_status = scene.grant_status("x0").await;
    assert_eq!(
        (
            grant_status.alive,
            grant_status.refreshed,
            grant_status.refused
        ),
        (true, 2, 0)
    );
    let row = scene.row("x0").await;
    assert_eq!((row.credential.generation, &row.state), (2, &State::Active));
    assert_eq!(scene.check().await.examined, 0, "still leased");

    assert!(scene.row("x0").await.refresh.intent.is_some());
    scene.world.pass(LEASE_DURATION);
    let report = scene.check().await;
    assert_eq!(
        report.refresh_failures[&CheckResult::InDoubt],
        1,
        "{report:?}"
    );
    scene.await_confirmation("x0").await;
    let report = scene.check().await;
    assert_eq!(
        report.refresh_failures[&CheckResult::RotationLost],
        1,
        "{report:?}"
    );
    scene.assert_labelled("x0").await;
    assert_eq!(
        scene.results("x0").await,
        ["renewed", "in_doubt", "rotation_lost"]
    );
    assert_eq!(
        scene.world.notification_kinds("olga").await,
        ["integration_reconnect_required"]
    );
    let operations = scene.world.audit("operator_events").await;
    assert!(
        operations.iter().any(|row| row["kind"] == "rotation_lost"),
        "{operations:?}"
    );
    // And never again.
    scene.world.pass(TimeDelta::days(1));
    assert_eq!(scene.check().await.examined, 0);
    assert_eq!(scene.grant_status("x0").await.refused, 1);
}

#[tokio::test]
#[ignore = "needs tests/oidc-provider.sh"]
async fn an_answer_that_breaks_off_is_labelled() {
    let scene = Scene::new(1).await;
    scene.check().await;
    scene.world.pass(ROUND);
    scene.way.set(RelayFault::CutAnswers);
    let report = scene.sweep().await;
    assert_eq!(
        report.refresh_failures[&CheckResult::InDoubt],
        1,
        "{report:?}"
    );
    let State::Retrying {
        reason: RetryReason::InDoubt,
        next_attempt_at,
        ..
    } = scene.row("x0").await.state
    else {
        panic!("{:?}", scene.row("x0").await.state)
    };
    assert_eq!(
        scene.world.notification_kinds("olga").await,
        [""; 0],
        "nothing is known yet"
    );

    scene.way.set(RelayFault::None);
    scene.world.clock.set(next_attempt_at);
    scene.check().await;
    scene.await_confirmation("x0").await;
    scene.check().await;
    scene.assert_labelled("x0").await;
    assert_eq!(
        scene.world.notification_kinds("olga").await,
        ["integration_reconnect_required"]
    );
}

#[tokio::test]
#[ignore = "needs tests/oidc-provider.sh"]
async fn a_crash_before_anything_is_sent_costs_nothing() {
    let scene = Scene::new(1).await;
    scene.check().await;
    scene.world.pass(ROUND);
    scene.kill_sweep(RelayFault::HoldRequests, 1).await;
    assert_eq!(scene.grant_status("x0").await.refreshed, 1);
    assert_eq!(scene.check().await.examined, 0, "still leased");

    assert!(scene.row("x0").await.refresh.intent.is_some());
    scene.world.pass(LEASE_DURATION);
    assert_eq!(scene.check().await.auto_refreshed, 1);
    scene.assert_unharmed("x0", 2).await;
    // It is one that can be used.
    scene.world.pass(ROUND);
    assert_eq!(scene.check().await.auto_refreshed, 1);
    scene.assert_unharmed("x0", 3).await;
    assert_eq!(scene.world.notification_kinds("olga").await, [""; 0]);
}

#[tokio::test]
#[ignore = "needs tests/oidc-provider.sh"]
async fn a_table_that_takes_nothing_costs_nothing() {
    let scene = Scene::new(1).await;
    scene.check().await;
    scene.world.pass(ROUND);
    scene.way.set(RelayFault::RefuseStores);
    let report = scene.sweep().await;
    assert_eq!(
        report.refresh_failures[&CheckResult::InFallback],
        1,
        "{report:?}"
    );
    let row = scene.row("x0").await;
    assert_eq!((row.credential.generation, &row.state), (2, &State::Active));

    scene.way.set(RelayFault::None);
    scene.world.pass(LEASE_DURATION);
    assert_eq!(scene.check().await.auto_refreshed, 1);
    assert_eq!(scene.results("x0").await[2], "stored_from_fallback");
    // Found, not asked for a second time.
    scene.assert_unharmed("x0", 2).await;
    scene.world.pass(ROUND);
    assert_eq!(scene.check().await.auto_refreshed, 1);
    scene.assert_unharmed("x0", 3).await;
    assert_eq!(scene.world.notification_kinds("olga").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs tests/oidc-provider.sh"]
async fn a_sweep_that_dies_amid_many_loses_what_was_exposed_and_no_more() {
    let scene = Scene::new(20).await;
    assert_eq!(scene.check().await.auto_refreshed, 20);
    scene.world.pass(ROUND);
    // Eight are stored; two are not; wherever the others may be.
    scene.kill_sweep(RelayFault::HoldStores(8), 2).await;
    // Until what is on its way has arrived.
    tokio::time::sleep(Duration::from_millis(500)).await;

    let mut exposed = Vec::new();
    for id in scene.grants.keys() {
        let (grant_status, row) = (scene.grant_status(id).await, scene.row(id).await);
        assert!(grant_status.alive, "{id}: {grant_status:?}");
        match grant_status.refreshed + 1 - row.credential.generation {
            0 => {}
            1 => exposed.push(id.as_str()),
            _ => panic!("{id}: {grant_status:?} {row:?}"),
        }
    }
    assert!((2..=12).contains(&exposed.len()), "{exposed:?}");

    // Our own crash explains the refusals, and others work: nobody suspects the
    // application.
    scene.world.pass(LEASE_DURATION);
    let began = scene.world.now();
    let settled = |row: &Integration| match row.state {
        State::Active => row.credential.generation > 2 && row.refresh.intent.is_none(),
        ref state => lost(state),
    };
    let mut waiting = scene.grants.len();
    while waiting > 0 && scene.world.now() - began < TimeDelta::hours(1) {
        scene.check().await;
        waiting = 0;
        for id in scene.grants.keys() {
            waiting += usize::from(!settled(&scene.row(id).await));
        }
        scene.world.pass(TimeDelta::minutes(5));
    }
    assert_eq!(waiting, 0);
    for id in scene.grants.keys() {
        if exposed.contains(&id.as_str()) {
            scene.assert_labelled(id).await;
        } else {
            let grant_status = scene.grant_status(id).await;
            assert!(grant_status.alive, "{id}: {grant_status:?}");
            assert_eq!(scene.row(id).await.state, State::Active, "{id}");
        }
    }
    let operations = scene.world.audit("operator_events").await;
    assert!(operations.iter().all(|one| one["kind"] != "breaker_opened"));
    let kinds = scene.world.notification_kinds("olga").await;
    let reconnect = |kind: &&String| *kind == "integration_reconnect_required";
    assert_eq!(kinds.iter().filter(reconnect).count(), exposed.len());
    eprintln!(
        "{} of 20 were exposed; all were labelled within {} minutes",
        exposed.len(),
        (scene.world.now() - began).num_minutes()
    );
}
