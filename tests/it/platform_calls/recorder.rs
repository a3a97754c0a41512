//! Who records what is asked of them: a platform that answers as it is told, and the AWS
//! services behind the function.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::response::Response;
use local::{Environment, Options};
use serde_json::{Value, json};
use shared::{Platform, Variables};

use super::FUNCTION;
use crate::relay::relay_to;
use crate::world::World;

/// A request as the platform received it.
pub(super) struct Received {
    pub(super) head: Parts,
    pub(super) body: Bytes,
}

/// A platform's API that records requests, and gives each the next answer, or an empty one.
#[derive(Clone, Default)]
pub(super) struct Recorder {
    received: Arc<Mutex<Vec<Received>>>,
    answers: Arc<Mutex<VecDeque<Response>>>,
}

impl Recorder {
    /// Serves on loopback; returns the address of the host.
    pub(super) async fn serve(&self) -> String {
        let this = self.clone();
        let answer = move |request: Request| {
            let this = this.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = to_bytes(body, usize::MAX).await.unwrap();
                this.received.lock().unwrap().push(Received { head, body });
                let answer = this.answers.lock().unwrap().pop_front();
                answer.unwrap_or_else(|| Response::new(Body::empty()))
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
        url
    }

    pub(super) fn answer(&self, response: Response) {
        self.answers.lock().unwrap().push_back(response);
    }

    /// Takes what was received so far.
    pub(super) fn take(&self) -> Vec<Received> {
        std::mem::take(&mut *self.received.lock().unwrap())
    }
}

pub(super) fn variables(
    environment: &Environment,
    function: &str,
    more: Option<(&str, Value)>,
) -> Variables {
    let own = environment.variables(function);
    let own = own
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let more = more.map(|(name, value)| (name.to_owned(), value.to_string()));
    own.chain(more).collect::<Vec<_>>().into_iter().collect()
}

/// A stack whose proxy calls this platform's host at `host`, and everything else as usual.
pub(super) async fn world_with_host(platform: Platform, host: &str) -> World {
    let name = platform.hosts().next().unwrap();
    let endpoints = json!({ platform.name(): { "hosts": { name: host } } });
    World::wired(Options::default(), async |environment, clock| {
        let configuration = |function: &str| {
            let own = (function == FUNCTION).then(|| ("PLATFORM_ENDPOINTS", endpoints.clone()));
            (
                environment.sdk_config_of(function),
                variables(environment, function, own),
            )
        };
        local::functions::handlers_of(configuration, clock)
    })
    .await
}

/// The calls to AWS of one function, such as `DynamoDB.GetItem`, in their order.
pub(super) type AwsCalls = Arc<Mutex<Vec<String>>>;

/// A stack that records what the function calls.
pub(super) async fn counted_world() -> (World, AwsCalls) {
    let calls = AwsCalls::default();
    let counted = calls.clone();
    let count = move |call: &str| {
        counted.lock().unwrap().push(call.to_owned());
        true
    };
    (watched_world(count).await, calls)
}

/// A stack that asks before each call of the function to AWS whether it may succeed.
pub(super) async fn watched_world(
    may: impl Fn(&str) -> bool + Clone + Send + Sync + 'static,
) -> World {
    World::wired(Options::default(), async |environment, clock| {
        let watched = watched(environment, may).await;
        let configuration = |function: &str| {
            let sdk = match function == FUNCTION {
                true => watched.clone(),
                false => environment.sdk_config_of(function),
            };
            (sdk, variables(environment, function, None))
        };
        local::functions::handlers_of(configuration, clock)
    })
    .await
}

/// Returns the configuration of the function, whose calls are watched on their way.
async fn watched(
    environment: &Environment,
    may: impl Fn(&str) -> bool + Clone + Send + Sync + 'static,
) -> SdkConfig {
    let variables = environment.variables(FUNCTION);
    let of = |service: &str| {
        let name = format!("AWS_ENDPOINT_URL_{service}");
        variables.required(&name).unwrap().to_owned()
    };
    let [dynamodb, kms, lambda] = [of("DYNAMODB"), of("KMS"), of("LAMBDA")];
    let service = move |head: &Parts| match name(head).split('.').next() {
        Some("DynamoDB") => dynamodb.clone(),
        Some("KMS") => kms.clone(),
        _ => lambda.clone(),
    };
    let forward = move |head: &Parts, body| may(&name(head)).then_some(body);
    let endpoint = relay_to(service, forward, |_, _| {}).await;
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(environment.sdk_config().credentials_provider().unwrap())
        .endpoint_url(endpoint)
        .build()
}

fn name(head: &Parts) -> String {
    let target = head.headers.get("x-amz-target");
    let target = target.and_then(|target| target.to_str().ok());
    match target.and_then(|target| target.split_once('.')) {
        Some((service, call)) if service.starts_with("DynamoDB") => format!("DynamoDB.{call}"),
        Some((_, call)) => format!("KMS.{call}"),
        None => "Lambda.Invoke".to_owned(),
    }
}
