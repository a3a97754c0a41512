//! The client for Rust, on the tables and over HTTP: the same calls, the same answers.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use shared::domain::quota::{DenialReason, QuotaKey};
use shared::oauth::CallAnswer;
use shared::platform_calls::{CallError, Client, NoToken, PlatformCalls, Wanted};
use shared::{IntegrationId, OrgId, Platform, UserId};

use super::recorder::variables;
use super::{APP, FUNCTION, import};
use crate::world::World;

fn key(platform: Platform, id: &str) -> QuotaKey {
    QuotaKey::new(
        platform,
        OrgId::new("acme").unwrap(),
        IntegrationId::new(id).unwrap(),
    )
}

/// A client of each kind, each with a stack of its own.
async fn clients(integrations: &[(&str, &str, Option<TimeDelta>, bool)]) -> Vec<(World, Client)> {
    let mut clients = Vec::new();
    for over_http in [false, true] {
        let policies = json!({"twitter": {"limit": 3, "period": 3_600, "burst": 3}});
        let world = small_world(&policies).await;
        import(&world, integrations).await;
        let client = if over_http {
            let token = world.token(APP);
            let bearer = move || token.clone().into();
            let gateway = &world.stack.addresses().gateway;
            Client::over_http(gateway, bearer, world.clock.clone()).unwrap()
        } else {
            let environment = world.stack.environment();
            let calls = PlatformCalls::from_environment(
                &environment.sdk_config_of(FUNCTION),
                &variables(environment, FUNCTION, Some(("QUOTA_POLICIES", policies))),
                world.clock.clone(),
            );
            Client::on_tables(calls.unwrap(), UserId::new(APP).unwrap())
        };
        clients.push((world, client));
    }
    clients
}

async fn small_world(policies: &Value) -> World {
    World::wired(local::Options::default(), async |environment, clock| {
        let configuration = |function: &str| {
            let own = Some(("QUOTA_POLICIES", policies.clone()));
            (
                environment.sdk_config_of(function),
                variables(environment, function, own),
            )
        };
        local::functions::handlers_of(configuration, clock)
    })
    .await
}

fn answer(status: u16, body: &str) -> CallAnswer {
    CallAnswer {
        status,
        headers: HeaderMap::new(),
        body: body.as_bytes().to_vec(),
    }
}

#[tokio::test]
async fn execute_works_from_a_service() {
    for (world, client) in clients(&[("x", "twitter", Some(TimeDelta::hours(2)), true)]).await {
        let key = key(Platform::Twitter, "x");
        let done = client.execute(&key, Duration::ZERO, async |token| {
            assert_eq!(token.header(), ("Authorization", "Bearer at-x".to_owned()));
            assert_eq!(token.use_by, world.now() + TimeDelta::seconds(30));
            assert_eq!(token.time_left(), Duration::from_secs(30));
            Ok::<_, ()>(answer(201, "{}"))
        });
        assert_eq!(done.await.unwrap().status, 201);
        assert_eq!(client.remaining(&key).await.unwrap().period.remaining, 2);
        assert!(client.check(&key).await.unwrap().is_ok());
        // The last permit; then a call that the quota refuses is not made.
        let waited = client.wait_until_ready(&key, Duration::ZERO).await.unwrap();
        assert_eq!(waited.unwrap().use_by, world.now() + TimeDelta::seconds(30));
        let refused = client
            .execute(&key, Duration::ZERO, async |_| -> Result<_, ()> {
                panic!("no permit")
            })
            .await;
        let Err(CallError::Wait(wait)) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(wait.reason, DenialReason::UsedUp);
        assert!(wait.until > world.now());
        // On this clock, waiting lets time pass.
        let waited = client
            .wait_until_ready(&key, Duration::from_secs(7_200))
            .await;
        assert!(waited.unwrap().is_ok());
        assert!(world.now() >= wait.until);
    }
}

#[tokio::test]
async fn a_refused_token_is_replaced_and_the_call_repeated_once() {
    for (world, client) in clients(&[("x", "twitter", Some(TimeDelta::hours(2)), true)]).await {
        let key = key(Platform::Twitter, "x");
        let calls = AtomicUsize::new(0);
        let done = client.execute(&key, Duration::ZERO, async |token| {
            let call = calls.fetch_add(1, Ordering::SeqCst);
            assert_eq!(token.token.generation, call as u64 + 1);
            Ok::<_, ()>(answer(if call == 0 { 401 } else { 200 }, "{}"))
        });
        assert_eq!(done.await.unwrap().status, 200);
        assert_eq!(calls.load(Ordering::SeqCst), 2);
        assert_eq!(client.remaining(&key).await.unwrap().period.remaining, 1);
        world.stack.settled().await;
        assert_eq!(world.stack.platforms().refreshes(Platform::Twitter), 1);
    }
}

#[tokio::test]
async fn the_platforms_answer_is_kept_where_it_cannot_be_asked_again() {
    for (world, client) in clients(&[("x", "twitter", Some(TimeDelta::hours(2)), true)]).await {
        let key = key(Platform::Twitter, "x");
        for _ in 0..2 {
            client.check(&key).await.unwrap().unwrap();
        }
        // The third and last permit.
        let done = client.execute(&key, Duration::ZERO, async |_| {
            Ok::<_, ()>(answer(401, "of the platform"))
        });
        let done = done.await.unwrap();
        assert_eq!(
            (done.status, &done.body[..]),
            (401, &b"of the platform"[..])
        );
        world.stack.settled().await;
    }
}

#[tokio::test]
async fn a_token_that_ends_while_a_permit_is_waited_for_is_not_used() {
    for (world, client) in clients(&[("x", "twitter", Some(TimeDelta::minutes(30)), true)]).await {
        let key = key(Platform::Twitter, "x");
        for _ in 0..3 {
            client.check(&key).await.unwrap().unwrap();
        }
        let begun = world.now();
        let done = client.execute(&key, Duration::from_secs(7_200), async |token| {
            assert!(world.now() > begun + TimeDelta::minutes(30));
            assert_eq!(token.token.generation, 2);
            Ok::<_, ()>(answer(200, "{}"))
        });
        assert_eq!(done.await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_throttle_holds_back_the_next_call() {
    for (world, client) in clients(&[("x", "twitter", Some(TimeDelta::hours(2)), true)]).await {
        let key = key(Platform::Twitter, "x");
        let throttled =
            client.execute(&key, Duration::ZERO, async |_| Ok::<_, ()>(answer(429, "")));
        assert_eq!(throttled.await.unwrap().status, 429);
        let Err(wait) = client.check(&key).await.unwrap() else {
            panic!("a permit in spite of the throttle");
        };
        assert_eq!(wait.reason, DenialReason::Blocked);
        assert_eq!(wait.until, world.now() + TimeDelta::seconds(61));
        let blocked = client.remaining(&key).await.unwrap().blocked_until;
        assert_eq!(blocked, Some(wait.until.timestamp() as u64));
    }
}

#[tokio::test]
async fn why_there_is_no_token_is_told_alike() {
    let integrations = [
        ("x", "twitter", Some(TimeDelta::hours(2)), true),
        ("gone", "twitter", Some(TimeDelta::hours(2)), true),
        ("late", "twitter", Some(TimeDelta::seconds(-1)), true),
    ];
    for (world, client) in clients(&integrations).await {
        world
            .send_as("ian", "DELETE", "/api/dashboard/acme/integrations/gone")
            .await;
        let failing = json!({"on": "refresh", "do": {"refuse": "server_error"}});
        let failing = serde_json::from_value(failing).unwrap();
        world.stack.platforms().script(failing).unwrap();
        let why = async |platform, id: &str| {
            let key = key(platform, id);
            let token = client.access_token(&key, Wanted::default()).await;
            token.unwrap_err()
        };
        let gone = why(Platform::Twitter, "gone").await;
        let NoToken::NeedsPerson(person) = &gone else {
            panic!("{gone:?}");
        };
        assert_eq!(
            (person.state.as_str(), &person.reason),
            ("disconnected", &None)
        );
        assert_eq!(
            person.reconnect_url,
            "/dashboard/acme/integrations/gone/reconnect"
        );
        let late = why(Platform::Twitter, "late").await;
        assert!(
            matches!(
                late,
                NoToken::NotNow {
                    retry_after: 1..,
                    ..
                }
            ),
            "{late:?}"
        );
        let unknown = why(Platform::Twitter, "nothing").await;
        assert!(
            matches!(unknown, NoToken::UnknownIntegration),
            "{unknown:?}"
        );
        let other = why(Platform::Meta, "x").await;
        assert!(
            matches!(other, NoToken::OtherPlatform(Platform::Twitter)),
            "{other:?}"
        );
    }
}
