//! What platforms say of calls closes quotas, and has integrations checked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chrono::{DateTime, TimeDelta, Utc};
use local::platforms::Script;
use serde_json::{Value, json};
use shared::Platform;
use shared::domain::integration::State;

use super::recorder::{counted_world, watched_world};
use super::{APP, import, path, world};
use crate::world::{Answer, World};

async fn report(world: &World, platform: &str, id: &str, report: Value) -> Value {
    let path = path(platform, id, "feedback");
    let answer = world.post_as(APP, &path, &report).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

async fn permit(world: &World, platform: &str, id: &str) -> Answer {
    world
        .send_as(APP, "POST", &path(platform, id, "permits"))
        .await
}

/// Fails unless a permit is refused because the platform asks to wait, until then.
async fn assert_blocked(world: &World, platform: &str, id: &str, seconds: i64) {
    let answer = permit(world, platform, id).await;
    assert_eq!(answer.status, 429, "{platform}: {}", answer.text);
    let denial = answer.json();
    assert_eq!(denial["reason"], "platform_asks_to_wait", "{denial}");
    assert_eq!(denial["retry_after"], json!(seconds), "{denial}");
    let name = platform.parse::<Platform>().unwrap().display_name();
    let message = format!("{name} asks us to wait. Please try again later.");
    assert_eq!(denial["message"], json!(message));
    assert_eq!(answer.headers["x-ratelimit-remaining"], "0");
    assert_eq!(answer.headers["retry-after"], seconds.to_string());
}

fn until(said: &Value) -> DateTime<Utc> {
    said["until"].as_str().unwrap().parse().unwrap()
}

fn graph_error(code: u32) -> Value {
    json!({"error": {"message": "x", "type": "OAuthException", "code": code}})
}

#[tokio::test]
async fn a_throttle_closes_the_integrations_quota_for_all_until_then() {
    let hour = Some(TimeDelta::hours(40));
    for (platform, answer, seconds) in [
        (
            "meta",
            json!({"status": 400, "body": graph_error(80_004)}),
            60,
        ),
        (
            "meta",
            json!({"status": 400, "body": graph_error(17), "headers": {"X-Business-Use-Case-Usage":
                r#"{"9":[{"type":"pages","call_count":100,"total_time":1,"total_cputime":1,"estimated_time_to_regain_access":19}]}"#}}),
            19 * 60,
        ),
        (
            "twitter",
            json!({"status": 429, "headers": {"Retry-After": 30}}),
            30,
        ),
        (
            "google",
            json!({"status": 429, "body": {"error": {"status": "RESOURCE_EXHAUSTED", "details": [{"retryDelay": "45s", "errors": [
                {"errorCode": {"quotaError": "RESOURCE_EXHAUSTED"}, "details": {"quotaErrorDetails": {"rateScope": "ACCOUNT"}}}]}]}}}),
            45,
        ),
    ] {
        let world = world(&[("a", platform, hour, true), ("b", platform, hour, true)]).await;
        assert_eq!(permit(&world, platform, "a").await.status, 200);
        let said = report(&world, platform, "a", answer).await;
        assert_eq!(said["verdict"], "throttled", "{said}");
        // A second more, for clocks that differ.
        assert_eq!(until(&said), world.now() + TimeDelta::seconds(seconds + 1));
        assert!(said["advice"].as_str().unwrap().contains("Wait"), "{said}");
        assert_blocked(&world, platform, "a", seconds + 1).await;
        assert_eq!(permit(&world, platform, "b").await.status, 200);
        world.pass(TimeDelta::seconds(seconds));
        assert_blocked(&world, platform, "a", 1).await;
        world.pass(TimeDelta::seconds(1));
        assert_eq!(permit(&world, platform, "a").await.status, 200);
    }
}

#[tokio::test]
async fn what_holds_back_the_application_closes_all_its_integrations() {
    let life = Some(TimeDelta::days(40));
    let world = world(&[
        ("a", "meta", life, false),
        ("b", "meta", life, false),
        ("c", "instagram", life, false),
    ])
    .await;
    let answer = json!({"status": 400, "body": graph_error(4), "headers": {"Retry-After": "120"}});
    assert_eq!(permit(&world, "meta", "b").await.status, 200);
    let said = report(&world, "meta", "a", answer).await;
    assert_eq!(until(&said), world.now() + TimeDelta::seconds(121));
    // Its own quota is closed at once. What an instance knows of the application may be five
    // seconds old.
    assert_blocked(&world, "meta", "a", 121).await;
    world.pass(TimeDelta::seconds(6));
    assert_blocked(&world, "meta", "a", 115).await;
    // A report may be wrong, so it stops the others for a minute only.
    assert_blocked(&world, "meta", "b", 55).await;
    assert_eq!(permit(&world, "instagram", "c").await.status, 200);
    world.pass(TimeDelta::seconds(55));
    assert_eq!(permit(&world, "meta", "b").await.status, 200);
    assert_blocked(&world, "meta", "a", 60).await;
    world.pass(TimeDelta::seconds(60));
    assert_eq!(permit(&world, "meta", "a").await.status, 200);
}

#[tokio::test]
async fn usage_near_its_end_closes_the_quota_and_less_is_shown() {
    let world = world(&[("a", "meta", Some(TimeDelta::days(40)), false)]).await;
    let usage = |percent: f64, seconds: i64| {
        let header = format!(r#"{{"acc_id_util_pct":{percent},"reset_time_duration":{seconds}}}"#);
        json!({"status": 200, "headers": {"X-Ad-Account-Usage": header}, "body": "{}"})
    };
    let said = report(&world, "meta", "a", usage(60.5, 300)).await;
    assert_eq!(
        (&said["verdict"], &said["until"]),
        (&json!("accepted"), &Value::Null)
    );
    let limits = world
        .get_as("mia", "/api/dashboard/acme/rate-limits")
        .await
        .json();
    let shown = &limits["integrations"][0];
    assert_eq!(shown["usage"][0]["header"], "x-ad-account-usage", "{shown}");
    assert_eq!(shown["usage"][0]["percent"], 60);
    assert_eq!(shown.get("blocked_until"), None);

    let said = report(&world, "meta", "a", usage(95.0, 300)).await;
    assert_eq!(said["verdict"], "accepted");
    assert_eq!(until(&said), world.now() + TimeDelta::seconds(301));
    assert_blocked(&world, "meta", "a", 301).await;
    let limits = world
        .get_as("mia", "/api/dashboard/acme/rate-limits")
        .await
        .json();
    let blocked = limits["integrations"][0]["blocked_until"].as_i64().unwrap();
    assert_eq!(blocked, world.now().timestamp() + 301);
    // A report that was under way lifts nothing; a later one of the same use does.
    report(&world, "meta", "a", usage(50.0, 0)).await;
    assert_blocked(&world, "meta", "a", 301).await;
    world.pass(TimeDelta::seconds(61));
    report(&world, "meta", "a", usage(50.0, 0)).await;
    // The authorizer repeats a denial that it remembers for at most a minute.
    world.pass(TimeDelta::seconds(60));
    assert_eq!(permit(&world, "meta", "a").await.status, 200);
}

#[tokio::test]
async fn a_report_changes_no_state_and_has_the_integration_checked_once_a_minute() {
    let world = world(&[("x", "twitter", Some(TimeDelta::hours(2)), true)]).await;
    let before = world.row("acme", "x").await;
    let refused = json!({"status": 401, "generation": 1});
    let said = report(&world, "twitter", "x", refused.clone()).await;
    assert_eq!(
        (&said["verdict"], &said["until"]),
        (&json!("token_refused"), &Value::Null)
    );
    world.stack.settled().await;
    // Our own request shows that the reporter was wrong: the grant lives.
    let after = world.row("acme", "x").await;
    assert_eq!(after.state, State::Active);
    assert_eq!(
        after.credential.generation,
        before.credential.generation + 1
    );
    let refreshes = || world.stack.platforms().refreshes(Platform::Twitter);
    assert_eq!(refreshes(), 1);
    // What is about an earlier token is mended already.
    world.pass(TimeDelta::minutes(2));
    report(&world, "twitter", "x", refused).await;
    world.stack.settled().await;
    assert_eq!(refreshes(), 1);
    world.pass(TimeDelta::minutes(2));
    for (wait, expected) in [(0, 2), (0, 2), (59, 2), (1, 3)] {
        world.pass(TimeDelta::seconds(wait));
        report(&world, "twitter", "x", json!({"status": 401})).await;
        world.stack.settled().await;
        assert_eq!(refreshes(), expected, "{wait}");
    }
}

#[tokio::test]
async fn a_check_that_could_not_be_begun_is_begun_by_the_next_report() {
    let works = Arc::new(AtomicBool::new(false));
    let may = works.clone();
    let world =
        watched_world(move |call| call != "Lambda.Invoke" || may.load(Ordering::SeqCst)).await;
    import(&world, &[("x", "twitter", Some(TimeDelta::hours(2)), true)]).await;
    let refused = json!({"status": 401, "generation": 1});
    let feedback = path("twitter", "x", "feedback");
    let answer = world.post_as(APP, &feedback, &refused).await;
    answer.assert_problem_says(503, "could not be checked just now");
    works.store(true, Ordering::SeqCst);
    report(&world, "twitter", "x", refused).await;
    world.stack.settled().await;
    assert_eq!(world.stack.platforms().refreshes(Platform::Twitter), 1);
}

#[tokio::test]
async fn no_report_opens_the_quotas_of_others() {
    let life = Some(TimeDelta::days(40));
    let world = world(&[("a", "meta", life, false), ("b", "meta", life, false)]).await;
    let usage = |percent: u32| {
        let header = json!({ "call_count": percent }).to_string();
        json!({"status": 200, "headers": {"X-App-Usage": header}, "body": "{}"})
    };
    report(&world, "meta", "a", usage(100)).await;
    world.pass(TimeDelta::seconds(60));
    report(&world, "meta", "b", usage(1)).await;
    assert_blocked(&world, "meta", "b", 1).await;
    // Nor closes them again at once.
    world.pass(TimeDelta::seconds(1));
    report(&world, "meta", "a", usage(100)).await;
    world.pass(TimeDelta::seconds(6));
    assert_blocked(&world, "meta", "a", 55).await;
    assert_eq!(permit(&world, "meta", "b").await.status, 200);
}

#[tokio::test]
async fn one_use_that_is_free_again_leaves_another_closed() {
    let life = Some(TimeDelta::days(40));
    let world = world(&[("a", "meta", life, false)]).await;
    let cases = |cases: Value| {
        let header = cases.to_string();
        json!({"status": 200, "headers": {"X-Business-Use-Case-Usage": header}})
    };
    let case = |count: u32, minutes: u32| json!([{"type": "pages", "call_count": count, "estimated_time_to_regain_access": minutes}]);
    let both = cases(json!({"1": case(100, 30), "2": case(100, 10)}));
    report(&world, "meta", "a", both).await;
    assert_blocked(&world, "meta", "a", 1_801).await;
    world.pass(TimeDelta::seconds(61));
    report(&world, "meta", "a", cases(json!({"1": case(10, 0)}))).await;
    // The authorizer repeats a denial that it remembers for at most a minute.
    world.pass(TimeDelta::seconds(60));
    assert_blocked(&world, "meta", "a", 601 - 121).await;
}

#[tokio::test]
async fn no_report_lifts_what_a_refused_call_closed() {
    let world = world(&[("x", "twitter", Some(TimeDelta::hours(2)), true)]).await;
    let reset = (world.now() + TimeDelta::hours(6)).timestamp().to_string();
    let headers = |remaining: &str| {
        json!({
            "Retry-After": "300", "x-user-limit-24hour-limit": "10",
            "x-user-limit-24hour-remaining": remaining, "x-user-limit-24hour-reset": reset,
        })
    };
    let refused = json!({"status": 429, "headers": headers("0")});
    report(&world, "twitter", "x", refused).await;
    world.pass(TimeDelta::seconds(61));
    report(
        &world,
        "twitter",
        "x",
        json!({"status": 200, "headers": headers("9")}),
    )
    .await;
    world.pass(TimeDelta::seconds(60));
    assert_ne!(permit(&world, "twitter", "x").await.status, 200);
}

#[tokio::test]
async fn a_report_of_many_uses_costs_a_few_writes() {
    let (world, calls) = counted_world().await;
    let life = Some(TimeDelta::days(40));
    import(&world, &[("a", "meta", life, false)]).await;
    let case = json!([{"type": "pages", "call_count": 100, "estimated_time_to_regain_access": 9}]);
    let cases: serde_json::Map<_, _> = (0..1_000).map(|n| (n.to_string(), case.clone())).collect();
    let header = Value::from(cases).to_string();
    let answer = json!({"status": 200, "headers": {"X-Business-Use-Case-Usage": header}});
    calls.lock().unwrap().clear();
    report(&world, "meta", "a", answer).await;
    let writes = calls
        .lock()
        .unwrap()
        .iter()
        .filter(|call| call.ends_with("UpdateItem"))
        .count();
    // The block, which makes the item, and the use.
    assert!(writes <= 3, "{writes}");
    assert_blocked(&world, "meta", "a", 541).await;
}

#[tokio::test]
async fn what_really_happened_is_found_out_by_a_request_of_our_own() {
    let world = world(&[("g", "google", Some(TimeDelta::hours(1)), true)]).await;
    let script: Script =
        serde_json::from_value(json!({"platform": "google", "do": "revoke"})).unwrap();
    world.stack.platforms().script(script).unwrap();
    report(&world, "google", "g", json!({"status": 403, "body": {"error": {"errors": [{"reason": "insufficientPermissions"}]}}})).await;
    world.stack.settled().await;
    let state = world.row("acme", "g").await.state;
    assert!(matches!(state, State::Retrying { .. }), "{state:?}");
}

#[tokio::test]
async fn a_report_that_makes_no_sense_is_explained() {
    let world = world(&[("a", "meta", None, false)]).await;
    let path = path("meta", "a", "feedback");
    for (report, says) in [
        (json!({"status": 700}), "from 100 to 599"),
        (json!({}), "missing field `status`"),
        (json!([]), "no JSON object"),
        (
            json!({"status": 200, "headers": {"a": {}}}),
            "headers must be",
        ),
    ] {
        let answer = world.post_as(APP, &path, &report).await;
        answer.assert_problem_says(400, says);
    }
    let long = json!({"status": 200, "body": "x".repeat(16 * 1024 + 1)});
    world.post_as(APP, &path, &long).await.assert_problem(413);
    let unknown = path.replace("/a/", "/b/");
    let fine = json!({"status": 200});
    world
        .post_as(APP, &unknown, &fine)
        .await
        .assert_problem(404);
}
