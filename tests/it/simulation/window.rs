//! What lies in the exposed window when nothing fails: nothing.

use chrono::TimeDelta;
use serde_json::json;
use shared::Platform;
use shared::domain::check_result::CheckResult;

use super::lab::Lab;
use super::plan::Plan;
use super::proxy::Logged;
use super::request::{RequestKind, Service, id_of};
use crate::world::{acme, integration, key, start};

const PLATFORMS: [Platform; 6] = [
    Platform::Twitter,
    Platform::Tiktok,
    Platform::TiktokBusiness,
    Platform::Snapchat,
    Platform::Linkedin,
    Platform::Google,
];

/// A lab with one integration of each platform, which the proxy knows.
async fn lab() -> Lab {
    let lab = Lab::new().await;
    lab.proxy.begin(Plan::default());
    lab.world.import(&acme()).await;
    for (n, platform) in PLATFORMS.into_iter().enumerate() {
        let line = integration(&id_of(n), platform.name(), Some(TimeDelta::hours(1)), true);
        lab.world.import(&[line]).await;
        lab.proxy.own(format!("rt-{}", id_of(n)), n);
    }
    lab
}

/// Returns what a process asked for, in order, between the platform's answer and the
/// store. Asserts that it had claimed, and had a key at hand, before the exchange.
fn window(log: &[Logged]) -> Vec<RequestKind> {
    let kind = |at: usize| log[at].request.kind;
    let exchange = (0..log.len()).position(|at| kind(at) == RequestKind::Exchange);
    let stored = (0..log.len()).position(|at| kind(at) == RequestKind::Store && log[at].done);
    let (exchange, stored) = (exchange.unwrap(), stored.unwrap());
    assert!(log[exchange].done && log[exchange].granted.is_some());
    let before = |of: RequestKind| (0..exchange).any(|at| kind(at) == of);
    assert!(
        before(RequestKind::DataKey) && before(RequestKind::Claim),
        "{log:?}"
    );
    (exchange + 1..stored).map(kind).collect()
}

/// Checks each integration alone, so that nobody else's requests are in the way.
#[tokio::test]
async fn between_an_answer_and_its_being_stored_nothing_else_is_asked() {
    let mut lab = lab().await;
    for (n, platform) in PLATFORMS.into_iter().enumerate() {
        lab.proxy.begin(Plan::default());
        lab.proxy.own(format!("rt-{}", id_of(n)), n);
        let (_, function) = lab.start(&[]);
        let checked = function
            .check(&key("acme", &id_of(n)), None, None)
            .await
            .unwrap();
        assert_eq!(checked.result, CheckResult::Renewed, "{platform}");
        assert_eq!(window(&lab.proxy.log()), [], "{platform}");
    }
}

/// The same holds within a sweep, one integration at a time. Only its reading ahead of
/// what is due goes on beside.
#[tokio::test]
async fn nor_within_a_sweep() {
    let mut lab = lab().await;
    let (_, function) = lab.start(&[("SWEEP_CONCURRENCY", "1")]);
    let request = check_tokens::Request::default();
    let report = function.sweep(request, None, |_| {}).await.unwrap();
    assert_eq!(report.auto_refreshed, PLATFORMS.len() as u64, "{report:?}");
    let mut log = lab.proxy.log();
    log.retain(|logged| logged.request.kind != RequestKind::Query);
    let exchanges = (0..log.len()).filter(|at| log[*at].request.kind == RequestKind::Exchange);
    for at in exchanges {
        let next = &log[at + 1].request;
        assert_eq!(
            (next.service, next.kind, next.integration),
            (
                Service::Dynamodb,
                RequestKind::Store,
                log[at].request.integration
            )
        );
    }
    assert_eq!(lab.world.now(), start());
    assert_eq!(json!(report.failures), json!([]));
}
