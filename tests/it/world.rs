//! A whole stack of its own for each test: embedded DynamoDB, the real
//! handlers behind the real gateway, simulated platforms, and a clock that
//! stands still.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::sync::atomic::{AtomicU32, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use local::aws::guard::Calls;
use local::aws::lambda::Handler;
use local::{Environment, Options, Stack};
use serde_json::{Value, json};
use shared::IntegrationKey;
use shared::aws::tables::IntegrationsTable;
use shared::domain::integration::Integration;
use shared::domain::report::SweepReport;
use shared::registration::import::{Importer, Progress, Summary};
use shared::{Clock, IntegrationId, OrgId, Variables};

use crate::contract;

pub(crate) struct World {
    pub(crate) stack: Stack,
    pub(crate) clock: Clock,
    http: reqwest::Client,
    _record: Record,
}

/// An answer of the gateway.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        let (http, request) = request.build_split();
        let request = request.unwrap();
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let response = http.execute(request).await.unwrap();
        let answer = Self {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await.unwrap(),
        };
        contract::check(&method, &path, &answer);
        answer
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {}", self.text))
    }

    /// Fails unless this is problem details (RFC 9457) of this status.
    #[track_caller]
    pub(crate) fn assert_problem(&self, status: u16) {
        assert_eq!(self.status, status, "{}", self.text);
        let content_type = &self.headers["content-type"];
        assert_eq!(content_type, "application/problem+json", "{}", self.text);
        assert_eq!(self.json()["status"], status);
    }

    /// Fails unless the detail of these problem details contains `detail` besides.
    #[track_caller]
    pub(crate) fn assert_problem_says(&self, status: u16, detail: &str) {
        self.assert_problem(status);
        let problem = self.json();
        let stated = problem["detail"].as_str().unwrap();
        assert!(stated.contains(detail), "{detail}: {stated}");
    }
}

/// Returns an access key that no other stack has.
fn access_key() -> String {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let number = MADE.fetch_add(1, Ordering::Relaxed);
    format!("it{}x{number}", std::process::id())
}

/// The environment variable with the file to which tests write what functions call.
pub(crate) const CALLS: &str = "WARDEN_CALLS";

/// Writes down what a stack's functions called, when a test is over.
struct Record(Calls);

impl Drop for Record {
    fn drop(&mut self) {
        let variables = Variables::from_process();
        let Some(file) = variables.get(CALLS) else {
            return;
        };
        let calls = self.0.all().into_iter();
        let lines: String = calls.map(|call| format!("{}\n", json!(call))).collect();
        let file = OpenOptions::new().append(true).create(true).open(file);
        // One write: other tests append at the same time.
        file.unwrap().write_all(lines.as_bytes()).unwrap();
    }
}

/// Monday, 23 November 2026, 09:00 UTC.
pub(crate) fn start() -> DateTime<Utc> {
    DateTime::parse_from_rfc3339("2026-11-23T09:00:00Z")
        .unwrap()
        .to_utc()
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Options::default()).await
    }

    pub(crate) async fn with(options: Options) -> Self {
        Self::wired(options, local::functions::handlers).await
    }

    /// Creates a world with the functions that `wire` makes.
    pub(crate) async fn wired<W>(options: Options, wire: W) -> Self
    where
        W: AsyncFnOnce(&Environment, &Clock) -> anyhow::Result<BTreeMap<String, Handler>>,
    {
        let clock = Clock::frozen(start());
        let elsewhere = Variables::from_process();
        let elsewhere = elsewhere.get("DYNAMODB_ENDPOINT");
        let options = Options {
            clock: clock.clone(),
            guard: true,
            dynamodb: elsewhere.map(|url| url.parse().unwrap()),
            // A database of its own there too.
            access_key: elsewhere.map(|_| access_key()),
            ..options
        };
        let stack = Stack::start_with(options, wire).await.unwrap();
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self {
            _record: Record(stack.calls().clone()),
            stack,
            clock,
            http,
        }
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, time: TimeDelta) {
        self.clock.advance(time);
    }

    pub(crate) fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::new(&self.stack.environment().sdk_config())
    }

    pub(crate) fn variable(&self, function: &str, name: &str) -> String {
        self.stack
            .environment()
            .variables(function)
            .required(name)
            .unwrap()
            .to_owned()
    }

    pub(crate) fn integrations(&self) -> IntegrationsTable {
        IntegrationsTable::new(
            self.dynamodb(),
            self.variable("CheckTokensFunction", "INTEGRATIONS_TABLE"),
        )
    }

    pub(crate) fn importer(&self) -> Importer {
        crate::importer::importer(self.stack.environment(), &self.clock)
    }

    /// Imports text; returns the summary and the problems by line.
    pub(crate) async fn import_text(
        &self,
        text: impl AsRef<[u8]>,
    ) -> (Summary, Vec<(u64, String)>) {
        let mut problems = Vec::new();
        let summary = self
            .importer()
            .import(text.as_ref(), |progress| {
                if let Progress::Problem { at, reason, .. } = progress {
                    problems.push((at.line, reason.to_owned()));
                }
            })
            .await
            .unwrap();
        (summary, problems)
    }

    /// Imports records, all of which must be taken.
    pub(crate) async fn import(&self, records: &[Value]) {
        let lines: Vec<String> = records.iter().map(Value::to_string).collect();
        let (summary, problems) = self.import_text(lines.join("\n")).await;
        assert!(summary.is_clean(), "{summary:?} {problems:?}");
    }

    /// Invokes the sweep and waits until everybody has been told.
    pub(crate) async fn check(&self, request: Value) -> SweepReport {
        let answer = self
            .stack
            .invoke("CheckTokensFunction", request)
            .await
            .unwrap();
        self.stack.settled().await;
        serde_json::from_value(answer).unwrap()
    }

    pub(crate) async fn row(&self, org: &str, integration: &str) -> Integration {
        self.integrations()
            .get(&key(org, integration))
            .await
            .unwrap()
            .unwrap()
    }

    pub(crate) fn token(&self, user: &str) -> String {
        self.stack.issuer().token(user).unwrap()
    }

    /// Sends a request to the gateway with whatever stands in `authorization`.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        authorization: Option<&str>,
    ) -> Answer {
        let mut request = self.request(method, path);
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        Answer::of(request).await
    }

    /// Sends a request with a body to the gateway.
    pub(crate) async fn post_as(&self, user: &str, path: &str, body: &Value) -> Answer {
        let request = self.request_as(user, "POST", path).json(body);
        Answer::of(request).await
    }

    /// Begins a request to the gateway.
    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path}", self.stack.addresses().gateway);
        self.http.request(method.parse().unwrap(), url)
    }

    /// Begins a request to the gateway with a token of `user`.
    pub(crate) fn request_as(
        &self,
        user: &str,
        method: &str,
        path: &str,
    ) -> reqwest::RequestBuilder {
        self.request(method, path).bearer_auth(self.token(user))
    }

    pub(crate) async fn send_as(&self, user: &str, method: &str, path: &str) -> Answer {
        let authorization = format!("Bearer {}", self.token(user));
        self.send(method, path, Some(&authorization)).await
    }

    pub(crate) async fn get_as(&self, user: &str, path: &str) -> Answer {
        self.send_as(user, "GET", path).await
    }

    pub(crate) async fn expiring(&self, user: &str, org: &str, days: u32) -> Value {
        let path = format!("/api/dashboard/{org}/integrations/expiring-tokens?days={days}");
        let answer = self.get_as(user, &path).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        answer.json()
    }

    /// All of a person's notifications in one organisation, newest first.
    pub(crate) async fn notifications(&self, user: &str, org: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut next = String::new();
        loop {
            let path = format!("/api/dashboard/{org}/notifications?limit=100{next}");
            let answer = self.get_as(user, &path).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            let page = answer.json();
            all.extend(page["notifications"].as_array().unwrap().iter().cloned());
            match page["next"].as_str() {
                Some(cursor) => next = format!("&next={cursor}"),
                None => return all,
            }
        }
    }

    /// The kinds of a person's notifications in `acme`, newest first.
    pub(crate) async fn notification_kinds(&self, user: &str) -> Vec<String> {
        let all = self.notifications(user, "acme").await;
        all.iter()
            .map(|n| n["type"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Returns every item of one partition of a table.
    pub(crate) async fn partition(&self, table: &str, name: &str, value: &str) -> Vec<Value> {
        let mut pages = self
            .dynamodb()
            .query()
            .table_name(table)
            .key_condition_expression("#p = :p")
            .expression_attribute_names("#p", name)
            .expression_attribute_values(
                ":p",
                aws_sdk_dynamodb::types::AttributeValue::S(value.into()),
            )
            .into_paginator()
            .items()
            .send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            items.push(serde_dynamo::from_item(item.unwrap()).unwrap());
        }
        items
    }

    pub(crate) async fn audit(&self, stream: &str) -> Vec<Value> {
        self.partition(
            &self.variable("CheckTokensFunction", "AUDIT_TABLE"),
            "stream",
            stream,
        )
        .await
    }
}

pub(crate) fn key(org: &str, integration: &str) -> IntegrationKey {
    IntegrationKey {
        org_id: OrgId::new(org).unwrap(),
        integration_id: IntegrationId::new(integration).unwrap(),
    }
}

/// Organisation `acme` of olga, with ian who manages integrations and mia who uses them.
pub(crate) fn acme() -> Vec<Value> {
    vec![
        json!({"type": "organization", "org_id": "acme", "name": "Acme", "owner_id": "olga"}),
        json!({"type": "member", "org_id": "acme", "user_id": "ian", "permissions": ["manage_integrations"]}),
        json!({"type": "member", "org_id": "acme", "user_id": "mia", "permissions": ["read", "use_integrations"]}),
    ]
}

/// An integration of `acme`, made by carl, that ends `left` from the start.
pub(crate) fn integration(
    id: &str,
    platform: &str,
    left: Option<TimeDelta>,
    refresh: bool,
) -> Value {
    json!({
        "type": "integration", "org_id": "acme", "integration_id": id, "platform": platform,
        "username": format!("{id}.account"), "account_id": "1234567890", "created_by": "carl",
        "access_token": format!("at-{id}"),
        "refresh_token": refresh.then(|| format!("rt-{id}")),
        "token_expires_at": left.map(|left| start() + left), "is_active": true,
    })
}
