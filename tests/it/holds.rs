//! Platforms that ask us to wait, name lives that cannot be, or answer with anything but
//! tokens: which integrations wait, which are still tried, and what people and the
//! operator hear of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use check_tokens::{CheckTokens, Request};
use chrono::TimeDelta;
use local::platforms::Script;
use serde_json::{Value, json};
use shared::Platform;
use shared::domain::integration::{RetryReason, State};
use tokio::sync::Notify;

use crate::world::{World, acme, integration, start};

const HOUR: TimeDelta = TimeDelta::hours(1);

async fn world(integrations: &[Value]) -> World {
    let world = World::new().await;
    world.import(&acme()).await;
    world.import(integrations).await;
    world
}

fn follow(world: &World, script: Value) {
    let script: Script = serde_json::from_value(script).unwrap();
    world.stack.platforms().script(script).unwrap();
}

/// Makes `platform` answer `respond`, word by word, about tokens that contain `token`.
fn respond(world: &World, platform: &str, token: &str, respond: Value) {
    follow(
        world,
        json!({"platform": platform, "token": token, "do": {"respond": respond}}),
    );
}

fn asks_to_wait(status: u16) -> Value {
    json!({"status": status, "headers": {"retry-after": "3600"}})
}

async fn shown(world: &World, id: &str) -> Value {
    let path = format!("/api/dashboard/acme/integrations/{id}");
    world.get_as("mia", &path).await.json()
}

async fn check(world: &World, id: &str) -> Value {
    let request = json!({"integration": {"org_id": "acme", "integration_id": id}});
    let checked = world.stack.invoke("CheckTokensFunction", request).await;
    checked.unwrap()
}

async fn events(world: &World, kind: &str) -> Vec<String> {
    let all = world.audit("operator_events").await;
    let of_kind = all.iter().filter(|row| row["kind"] == kind);
    of_kind
        .map(|row| row["message"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn one_integrations_failure_silences_no_other() {
    for status in [500, 502, 503] {
        let world = world(&[integration("a", "google", Some(HOUR), true)]).await;
        respond(&world, "google", "rt-a", asks_to_wait(status));
        assert_eq!(world.check(json!({})).await.refresh_failed, 1);
        // Another one, 90 seconds from its end.
        let soon = TimeDelta::seconds(90);
        world
            .import(&[integration("b", "google", Some(soon), true)])
            .await;
        let report = world.check(json!({})).await;
        assert_eq!(
            (report.auto_refreshed, report.held_back),
            (1, 0),
            "{status}"
        );
        assert!(world.row("acme", "b").await.expiry.access_token > Some(world.now() + soon));
        // The one that failed waits, though not beyond its end, and says why.
        let row = world.row("acme", "a").await;
        assert!(
            matches!(row.state, State::Retrying { reason: RetryReason::Throttled, next_attempt_at, .. }
                if next_attempt_at > world.now() && Some(next_attempt_at) < row.expiry.access_token),
            "{:?}",
            row.state
        );
        let message = shown(&world, "a").await["message"].to_string();
        let wait = "Google Ads asks us to wait until 10:00 UTC (in 1 hour).";
        assert!(message.contains(wait), "{message}");
    }
}

#[tokio::test]
async fn several_failures_hold_all_back_until_one_succeeds() {
    let ids = ["a", "b", "c"];
    let failing = ids.map(|id| integration(id, "google", Some(HOUR * 3), true));
    let world = world(&failing).await;
    for id in ids {
        respond(&world, "google", &format!("rt-{id}"), asks_to_wait(503));
    }
    world.check(json!({})).await;
    let fourth = integration("d", "google", Some(HOUR * 3), true);
    world.import(&[fourth]).await;
    let report = world.check(json!({})).await;
    assert_eq!((report.auto_refreshed, report.held_back), (0, 1));
    // It is not looked at again before, and says why.
    assert_eq!(world.check(json!({})).await.examined, 0);
    let seen = shown(&world, "d").await;
    assert_eq!(seen["status"], "failing", "{seen}");
    let again = start() + TimeDelta::minutes(15);
    assert_eq!(seen["next_attempt_at"], json!(again), "{seen}");
    assert_eq!(seen["wait_until"], json!(start() + HOUR), "{seen}");
    let wait = "Google Ads asks us to wait until 10:00 UTC (in 1 hour). It is tried again then, or once the platform accepts others.";
    assert_eq!(seen["message"], wait);
    let checked = check(&world, "d").await;
    assert_eq!(checked["result"], "held_back", "{checked}");
    assert_eq!(checked["message"], wait);
    // Somebody who cannot wait is asked, and that shows that it is over.
    world.stack.platforms().clear_scripts();
    world.pass(TimeDelta::seconds(1));
    let soon = TimeDelta::minutes(5);
    world
        .import(&[integration("e", "google", Some(soon), true)])
        .await;
    assert_eq!(
        check(&world, "e").await["result"],
        "renewed",
        "by hand, too"
    );
    let late = integration("f", "google", Some(HOUR * 3), true);
    world.import(&[late]).await;
    assert_eq!(world.check(json!({})).await.auto_refreshed, 1);
    // Nor does it hold up who was held back before: by hand at once, else soon.
    assert_eq!(check(&world, "d").await["result"], "renewed");
}

/// A platform of our own making, which counts how many requests it hears at once.
struct Counting {
    url: String,
    asked: Arc<AtomicUsize>,
    at_once: Arc<AtomicUsize>,
    /// While set, an answer waits until a second request is there.
    in_pairs: Arc<AtomicBool>,
}

impl Counting {
    async fn start() -> Self {
        let (asked, at_once) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let now = Arc::<AtomicUsize>::default();
        let (in_pairs, second) = (Arc::<AtomicBool>::default(), Arc::<Notify>::default());
        let (counted, most, paired) = (asked.clone(), at_once.clone(), in_pairs.clone());
        let hear = move |body: Bytes| {
            let (counted, most, now) = (counted.clone(), most.clone(), now.clone());
            let (paired, second) = (paired.clone(), second.clone());
            async move {
                counted.fetch_add(1, Ordering::SeqCst);
                let there = now.fetch_add(1, Ordering::SeqCst) + 1;
                most.fetch_max(there, Ordering::SeqCst);
                if there > 1 {
                    paired.store(false, Ordering::SeqCst);
                    second.notify_one();
                } else if paired.load(Ordering::SeqCst) {
                    // If none comes, nobody waits again, and what is counted fails the test.
                    let limit = std::time::Duration::from_secs(5);
                    drop(tokio::time::timeout(limit, second.notified()).await);
                    paired.store(false, Ordering::SeqCst);
                }
                // Time for others to come, if any may.
                for _ in 0..500 {
                    tokio::task::yield_now().await;
                }
                now.fetch_sub(1, Ordering::SeqCst);
                answer(&body)
            }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(hear)).await });
        Self {
            url,
            asked,
            at_once,
            in_pairs,
        }
    }

    fn function(&self, world: &World) -> CheckTokens {
        let variables = world.stack.environment().variables("CheckTokensFunction");
        let endpoints = json!({"snapchat": {"token": self.url, "api": self.url}}).to_string();
        let variables = variables
            .iter()
            .filter(|(name, _)| *name != "PLATFORM_ENDPOINTS")
            .chain([("PLATFORM_ENDPOINTS", endpoints.as_str())])
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let sdk = world.stack.environment().sdk_config();
        CheckTokens::from_environment(&sdk, &variables, world.clock.clone()).unwrap()
    }
}

/// Asks the sender of `rt-first` to wait, and refreshes all others.
fn answer(body: &Bytes) -> Response {
    let body = String::from_utf8_lossy(body);
    if body.contains("rt-first") {
        let wait = [("retry-after", "3600")];
        return (StatusCode::TOO_MANY_REQUESTS, wait, "{}").into_response();
    }
    let tokens = json!({"access_token": "new", "refresh_token": "newer", "expires_in": 3_600});
    tokens.to_string().into_response()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_ends_before_a_hold_is_asked_one_at_a_time() {
    let platform = Counting::start().await;
    let world = world(&[integration("first", "snapchat", Some(HOUR * 3), true)]).await;
    let function = platform.function(&world);
    let sweep = async || {
        function
            .sweep(Request::default(), None, |_| {})
            .await
            .unwrap()
    };
    assert_eq!(sweep().await.refresh_failed, 1);
    let left = |id: usize| match id {
        0..12 => TimeDelta::minutes(20),
        _ => HOUR * 3,
    };
    let others: Vec<_> = (0..20)
        .map(|n| integration(&format!("c{n}"), "snapchat", Some(left(n)), true))
        .collect();
    world.import(&others).await;
    let report = sweep().await;
    assert_eq!(
        (report.auto_refreshed, report.held_back),
        (12, 8),
        "{report:?}"
    );
    assert_eq!(platform.at_once.load(Ordering::SeqCst), 1);
    assert_eq!(platform.asked.load(Ordering::SeqCst), 1 + 12);
    for n in 12..20 {
        let row = world.row("acme", &format!("c{n}")).await;
        let until = start() + HOUR;
        assert!(
            matches!(row.state, State::Retrying { wait_until: Some(at), next_attempt_at, .. }
                if at == until && next_attempt_at < until),
            "{:?}",
            row.state
        );
    }
    // That they were let through takes nothing back: the others wait to its end.
    world.pass(HOUR - TimeDelta::seconds(1));
    assert_eq!(sweep().await.held_back, 8);
    assert!(
        platform.asked.load(Ordering::SeqCst) <= 13 + 12 + 1,
        "renewals of the twelve"
    );
    world.pass(TimeDelta::seconds(1));
    platform.at_once.store(0, Ordering::SeqCst);
    platform.in_pairs.store(true, Ordering::SeqCst);
    let report = sweep().await;
    assert!(report.auto_refreshed >= 8, "{report:?}");
    assert!(
        platform.at_once.load(Ordering::SeqCst) > 1,
        "all at once again"
    );
}

/// The platform keeps asking to wait until the token ends: people hear of it before that.
#[tokio::test]
async fn whoever_will_end_in_a_hold_is_warned_before() {
    let world = world(&[integration("g", "google", Some(HOUR), true)]).await;
    assert_eq!(world.check(json!({})).await.auto_refreshed, 1);
    respond(&world, "google", "rt-g", asks_to_wait(429));
    let end = world.row("acme", "g").await.expiry.access_token.unwrap();
    let asked = || world.stack.platforms().refreshes(Platform::Google);
    let before = asked();
    let mut warned_at = None;
    while world.now() < end {
        world.pass(TimeDelta::minutes(5));
        world.check(json!({})).await;
        if warned_at.is_none() && !world.notification_kinds("olga").await.is_empty() {
            warned_at = Some(world.now());
        }
    }
    assert_eq!(
        world.notification_kinds("olga").await[..1],
        ["integration_token_expired"]
    );
    assert!(warned_at < Some(end), "{warned_at:?}");
    assert!(asked() - before >= 2, "asked again before its end");
    // And that it is over.
    world.stack.platforms().clear_scripts();
    world.pass(HOUR);
    assert_eq!(world.check(json!({})).await.auto_refreshed, 1);
    assert_eq!(
        world.notification_kinds("olga").await[0],
        "integration_token_refreshed"
    );
}

#[tokio::test]
async fn a_life_that_cannot_be_is_the_documented_one() {
    for (platform, said, documented) in [
        ("google", json!(1_800_003_599), HOUR),
        ("google", json!(3_599_000), HOUR),
        ("google", json!(0), HOUR),
        ("google", json!("-3599"), HOUR),
        ("google", Value::Null, HOUR),
        ("twitter", json!(7_200_000), HOUR * 2),
        ("instagram", json!(5_184_000_000_u64), TimeDelta::days(60)),
    ] {
        let left = match platform {
            "instagram" => TimeDelta::days(20),
            _ => HOUR / 2,
        };
        let world = world(&[integration(
            "a",
            platform,
            Some(left),
            platform != "instagram",
        )])
        .await;
        let body = json!({"access_token": "new", "refresh_token": "newer", "expires_in": said});
        let token = if platform == "instagram" {
            "at-a"
        } else {
            "rt-a"
        };
        let body = json!({"status": 200, "body": body.to_string()});
        respond(&world, platform, token, body);
        assert_eq!(world.check(json!({})).await.auto_refreshed, 1);
        let row = world.row("acme", "a").await;
        assert_eq!(
            row.expiry.access_token,
            Some(start() + documented),
            "{platform} {said}"
        );
        assert!(row.next_attempt_at(world.now()) < row.expiry.access_token);
        // At the first answer, once.
        let told = events(&world, "implausible_lifetime").await;
        assert_eq!(told.len(), 1, "{platform} {said}");
        let life = format!(
            "documented lifetime of {} seconds is assumed",
            documented.num_seconds()
        );
        assert!(told[0].contains(&life), "{told:?}");
        assert!(events(&world, "lifetime_changed").await.is_empty());
    }
}

#[tokio::test]
async fn an_extension_that_shortens_is_said_to_and_made_up_for_before_the_end() {
    for platform in ["instagram", "meta"] {
        let world = world(&[integration("a", platform, Some(TimeDelta::days(10)), false)]).await;
        let body = json!({"access_token": "at-a", "token_type": "bearer", "expires_in": 5_000});
        follow(
            &world,
            json!({"platform": platform, "times": 1, "do": {"respond": {"status": 200,
                "body": body.to_string()}}}),
        );
        // The probe after it would say otherwise.
        follow(
            &world,
            json!({"platform": platform, "on": "probe", "do": {"respond": {"status": 500}}}),
        );
        let path = "/api/dashboard/acme/integrations/a/check";
        let checked = world.send_as("ian", "POST", path).await.json();
        world.stack.settled().await;
        assert_eq!(checked["result"], "shortened", "{platform}: {checked}");
        let message = checked["message"].as_str().unwrap();
        assert!(
            message.contains("sooner than the old one; its token ends in 1 hour")
                && message.contains("It is tried again in 41 minutes."),
            "{message}"
        );
        let next = start() + TimeDelta::seconds(2_500);
        assert_eq!(checked["next_attempt_at"], json!(next), "{checked}");
        world.stack.platforms().clear_scripts();
        world.clock.set(next);
        assert_eq!(world.check(json!({})).await.auto_refreshed, 1, "{platform}");
        let row = world.row("acme", "a").await;
        assert!(
            row.expiry.access_token > Some(world.now() + TimeDelta::days(59)),
            "{row:?}"
        );
    }
}

#[tokio::test]
async fn a_token_without_an_end_is_asked_about_once_a_day() {
    let world = world(&[
        integration("page", "meta", None, false),
        integration("ads", "tiktok_business", None, false),
        integration("x", "twitter", None, false),
    ])
    .await;
    // As Meta says of a Page's token.
    let page = json!({"data": {"is_valid": true, "expires_at": 0, "data_access_expires_at": 0}});
    follow(
        &world,
        json!({"platform": "meta", "on": "probe", "do": {"respond": {"status": 200,
            "body": page.to_string()}}}),
    );
    for _ in 0..48 {
        world.check(json!({})).await;
        world.pass(HOUR);
    }
    for id in ["page", "ads"] {
        let asked = world.audit(&format!("integration#acme#{id}")).await;
        let alive = asked.iter().filter(|row| row["result"] == "alive");
        assert_eq!((alive.count(), asked.len()), (2, 2), "{id}: once a day");
    }
    for (id, status, message) in [
        ("page", "healthy", "It works, Facebook said so"),
        ("ads", "healthy", "It works, TikTok Business said so"),
        ("x", "not_monitored", "Not monitored: no end of it is known"),
    ] {
        let seen = shown(&world, id).await;
        assert_eq!(seen["status"], status, "{seen}");
        assert!(
            seen["message"].as_str().unwrap().contains(message),
            "{seen}"
        );
    }
    // It dies, and nobody asks about it.
    follow(
        &world,
        json!({"platform": "tiktok_business", "on": "probe", "do": {"refuse": "40105"}}),
    );
    for _ in 0..26 {
        world.check(json!({})).await;
        world.pass(HOUR);
    }
    let state = world.row("acme", "ads").await.state;
    assert!(
        matches!(state, State::ReconnectRequired { .. }),
        "{state:?}"
    );
    assert_eq!(
        world.notification_kinds("olga").await,
        ["integration_reconnect_required"]
    );
}

#[tokio::test]
async fn what_came_instead_of_tokens_is_told() {
    let html = json!({"status": 200, "body": "<!doctype html><p>Maintenance",
        "headers": {"content-type": "text/html; charset=utf-8", "request-id": "Gx7"}});
    let moved = json!({"status": 302, "headers": {"location": "https://example.com/"}});
    for (answer, code, words, status, kind, length) in [
        (
            html,
            "http_200_html",
            "an HTML page with status 200",
            200,
            "text/html",
            29,
        ),
        (
            moved,
            "redirected",
            "a redirect to another address",
            302,
            "application/json",
            0,
        ),
    ] {
        let world = world(&[integration("x", "twitter", Some(HOUR), true)]).await;
        respond(&world, "twitter", "rt-x", answer);
        world.check(json!({})).await;
        let rows = world.audit("integration#acme#x").await;
        let row = &rows[0];
        assert_eq!(row["result"], "in_doubt", "{row}");
        assert_eq!(row["code"], code, "{row}");
        assert_eq!(row["http_status"], status, "{row}");
        assert_eq!(row["content_type"], kind, "{row}");
        assert_eq!(row["body_bytes"], length, "{row}");
        if status == 200 {
            assert_eq!(row["platform_request_id"], "Gx7", "{row}");
        }
        let message = shown(&world, "x").await["message"].to_string();
        assert!(
            message.contains(&format!("no clear answer ({words})")),
            "{message}"
        );
        let told = events(&world, "unknown_answer").await;
        assert!(told.len() == 1 && told[0].contains(words), "{told:?}");
    }
    // The answer never comes.
    let world = world(&[integration("x", "twitter", Some(HOUR), true)]).await;
    follow(&world, json!({"platform": "twitter", "do": "lose_answer"}));
    world.check(json!({})).await;
    let rows = world.audit("integration#acme#x").await;
    assert_eq!(rows[0]["code"], "connection_closed", "{rows:?}");
    let message = shown(&world, "x").await["message"].to_string();
    assert!(
        message.contains("no answer: the connection was closed"),
        "{message}"
    );
}
