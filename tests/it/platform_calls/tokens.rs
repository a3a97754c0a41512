//! Access tokens that are handed out: living ones, renewed by one exchange for all who wait.

use chrono::TimeDelta;
use futures::future::join_all;
use local::platforms::Script;
use serde_json::{Value, json};
use shared::Platform;
use shared::domain::integration::{Intent, Lease};

use super::recorder::counted_world;
use super::{APP, import, members, path, take_token, world};
use crate::world::{Answer, World, integration, start};

/// How many callers ask at the same time.
const CALLERS: usize = 64;

fn script(world: &World, script: Value) {
    let script: Script = serde_json::from_value(script).unwrap();
    world.stack.platforms().script(script).unwrap();
}

/// The answers to callers who ask at the same time.
async fn together(world: &World, platform: &str, id: &str, body: &Value) -> Vec<Answer> {
    let asks = (0..CALLERS).map(|_| take_token(world, platform, id, body.clone()));
    join_all(asks).await
}

#[tokio::test]
async fn one_call_returns_a_token_that_works_and_how_to_send_it() {
    let life = Some(TimeDelta::hours(2));
    let world = world(&[
        ("x", "twitter", life, true),
        ("b", "tiktok_business", None, false),
    ])
    .await;
    let answer = take_token(&world, "twitter", "x", json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.headers["cache-control"], "no-store");
    let expected = json!({
        "access_token": "at-x", "token_type": "Bearer",
        "expires_at": (start() + TimeDelta::hours(2)).to_rfc3339(), "scopes": [],
        "generation": 1, "header": {"name": "Authorization", "value": "Bearer at-x"},
    });
    assert_eq!(answer.json(), expected);
    assert!(!answer.text.contains("rt-x"));
    let answer = take_token(&world, "tiktok_business", "b", json!({}))
        .await
        .json();
    assert_eq!(
        answer["header"],
        json!({"name": "Access-Token", "value": "at-b"})
    );
    assert_eq!(answer["expires_at"], Value::Null);
    // Without a body too.
    let path = path("twitter", "x", "access-token");
    assert_eq!(world.send_as("olga", "POST", &path).await.status, 200);
    assert_eq!(world.stack.platforms().refreshes(Platform::Twitter), 0);
}

#[tokio::test]
async fn only_who_may_use_an_integration_gets_its_token() {
    let world = world(&[("x", "twitter", Some(TimeDelta::hours(2)), true)]).await;
    world
        .import(&[
            json!({"type": "organization", "org_id": "globex", "name": "G", "owner_id": "gus"}),
        ])
        .await;
    for (route, body) in [
        ("access-token", json!({})),
        ("feedback", json!({"status": 200})),
        ("permits", json!({})),
        ("proxy/2/users/me", json!({})),
    ] {
        let path = path("twitter", "x", route);
        for user in ["ian", "carl", "gus", "nobody"] {
            let answer = world.post_as(user, &path, &body).await;
            answer.assert_problem(403);
            assert!(!answer.text.contains("at-x"));
        }
        // Nor by naming the integration of another organisation.
        let elsewhere = path.replace("acme", "globex");
        let answer = world.post_as("gus", &elsewhere, &body).await;
        answer.assert_problem(404);
        assert_eq!(world.send("POST", &path, None).await.status, 401);
    }
    for (wrong, status) in [
        (path("meta", "x", "access-token"), 409),
        (path("twitter", "y", "access-token"), 404),
        (path("x", "x", "access-token"), 404),
    ] {
        let answer = world.post_as(APP, &wrong, &json!({})).await;
        answer.assert_problem(status);
    }
}

#[tokio::test]
async fn a_token_that_has_ended_is_renewed_by_one_exchange_for_all() {
    for (platform, refresh, body) in [
        ("twitter", true, json!({})),
        ("tiktok", true, json!({})),
        ("snapchat", true, json!({})),
        ("google", true, json!({})),
        // Nothing extends a token that has ended.
        ("meta", false, json!({"rejected_generation": 1})),
        ("instagram", false, json!({"min_validity_seconds": 3_600})),
    ] {
        let left = if refresh { -1 } else { 1_800 };
        let world = World::new().await;
        world.import(&members()).await;
        let mut record = integration("i", platform, Some(TimeDelta::seconds(left)), refresh);
        record["token_issued_at"] = json!(start() - TimeDelta::days(2));
        world.import(&[record]).await;
        // In real time: long enough for all to come meanwhile.
        script(
            &world,
            json!({"platform": platform, "on": "refresh", "do": {"delay_ms": 300}}),
        );
        let answers = together(&world, platform, "i", &body).await;
        let of_platform: Platform = platform.parse().unwrap();
        assert_eq!(
            world.stack.platforms().refreshes(of_platform),
            1,
            "{platform}"
        );
        let new = answers[0].json();
        assert_eq!(new["generation"], 2, "{platform}: {new}");
        assert_ne!(new["access_token"], "at-i");
        // Scopes may be stored after the token, once a probe shows them.
        for answer in &answers {
            let token = answer.json();
            assert_eq!((answer.status, &token["generation"]), (200, &json!(2)));
            assert_eq!(token["access_token"], new["access_token"]);
        }
    }
}

#[tokio::test]
async fn all_who_wait_for_an_exchange_get_its_result() {
    let world = world(&[("x", "twitter", Some(TimeDelta::seconds(-1)), true)]).await;
    let failure = json!({
        "platform": "twitter", "on": "refresh", "times": 1, "do": {"refuse": "server_error"},
    });
    script(&world, failure);
    script(
        &world,
        json!({"platform": "twitter", "on": "refresh", "do": {"delay_ms": 300}}),
    );
    for answer in together(&world, "twitter", "x", &json!({})).await {
        answer.assert_problem(503);
        let wait: i64 = answer.headers["retry-after"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        assert!((1..=3_600).contains(&wait), "{wait}");
        assert!(
            !answer.text.contains("at-x"),
            "nothing that has ended is handed out"
        );
    }
    let refreshes = || world.stack.platforms().refreshes(Platform::Twitter);
    assert_eq!(refreshes(), 1);
    // The history has what happened, and nothing of those who came too late.
    let history = world.audit("integration#acme#x").await;
    assert_eq!(history.len(), 1, "{history:?}");
    // Who read the row before the failure was stored asks for a check, which asks nobody.
    let late = json!({"integration": {"org_id": "acme", "integration_id": "x"}, "generation": 1});
    let checked = world
        .stack
        .invoke("CheckTokensFunction", late)
        .await
        .unwrap();
    assert_eq!(checked["result"], "superseded", "{checked}");
    assert_eq!(refreshes(), 1);
    // A minute later it works, again by one exchange.
    world.pass(TimeDelta::seconds(61));
    let answers = together(&world, "twitter", "x", &json!({})).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert_eq!(refreshes(), 2);
}

#[tokio::test]
async fn a_refused_grant_is_told_with_the_way_to_mend_it() {
    let world = world(&[("g", "google", Some(TimeDelta::seconds(-1)), true)]).await;
    script(&world, json!({"platform": "google", "do": "revoke"}));
    // The first refusal is to be confirmed.
    for answer in together(&world, "google", "g", &json!({})).await {
        answer.assert_problem(503);
    }
    world.pass(TimeDelta::hours(1));
    world.check(json!({})).await;
    for answer in together(&world, "google", "g", &json!({})).await {
        answer.assert_problem(409);
        let problem = answer.json();
        assert_eq!(problem["state"], "reconnect_required", "{problem}");
        assert_eq!(problem["reason"], "grant_refused");
        let url = "/dashboard/acme/integrations/g/reconnect";
        assert_eq!(problem["reconnect_url"], url);
    }
    assert_eq!(world.stack.platforms().refreshes(Platform::Google), 2);
    let one = "/api/dashboard/acme/integrations/g";
    assert_eq!(world.send_as("ian", "DELETE", one).await.status, 204);
    let answer = take_token(&world, "google", "g", json!({})).await;
    answer.assert_problem(409);
    assert_eq!(answer.json()["state"], "disconnected");
    assert_eq!(answer.json()["reason"], Value::Null);
}

#[tokio::test]
async fn what_has_ended_and_nothing_refreshes_takes_a_person_at_once() {
    let ended = Some(TimeDelta::days(-2));
    let world = world(&[
        ("m", "meta", ended, false),
        ("l", "linkedin", ended, false),
        ("s", "snapchat", ended, false),
    ])
    .await;
    for (id, platform) in [("m", "meta"), ("l", "linkedin"), ("s", "snapchat")] {
        let answer = take_token(&world, platform, id, json!({})).await;
        answer.assert_problem(409);
        let problem = answer.json();
        assert_eq!(problem["state"], "reconnect_required", "{problem}");
        assert_eq!(problem["reason"], "expired");
        assert!(
            problem["detail"].as_str().unwrap().contains("reconnect"),
            "{problem}"
        );
    }
    let counts = world.stack.platforms().counts();
    assert!(counts.values().all(|count| count.refreshes == 0));
}

#[tokio::test]
async fn a_living_token_is_returned_when_a_refresh_fails() {
    let world = world(&[("x", "twitter", Some(TimeDelta::minutes(30)), true)]).await;
    script(
        &world,
        json!({"platform": "twitter", "on": "refresh", "do": {"refuse": "server_error"}}),
    );
    let wanted = json!({"min_validity_seconds": 3_600});
    let answer = take_token(&world, "twitter", "x", wanted.clone()).await;
    assert_eq!(
        (answer.status, &answer.json()["access_token"]),
        (200, &json!("at-x"))
    );
    assert_eq!(world.stack.platforms().refreshes(Platform::Twitter), 1);
    // Nor is the platform asked again at once.
    assert_eq!(take_token(&world, "twitter", "x", wanted).await.status, 200);
    assert_eq!(world.stack.platforms().refreshes(Platform::Twitter), 1);
    // But what the platform has refused is not handed out again.
    let rejected = json!({"rejected_generation": 1});
    take_token(&world, "twitter", "x", rejected)
        .await
        .assert_problem(503);
}

#[tokio::test]
async fn a_platform_that_holds_us_back_is_not_asked() {
    let world = world(&[("s", "snapchat", Some(TimeDelta::seconds(-1)), true)]).await;
    script(
        &world,
        json!({"platform": "snapchat", "on": "refresh", "do": {"throttle": {"retry_after": 900}}}),
    );
    let first = take_token(&world, "snapchat", "s", json!({})).await;
    first.assert_problem(503);
    assert_eq!(first.headers["retry-after"], "900");
    world.pass(TimeDelta::minutes(5));
    let later = take_token(&world, "snapchat", "s", json!({})).await;
    later.assert_problem(503);
}

#[tokio::test]
async fn a_caller_that_refuses_each_token_gets_no_exchange_for_each() {
    let world = world(&[("x", "twitter", Some(TimeDelta::hours(2)), true)]).await;
    let refreshes = || world.stack.platforms().refreshes(Platform::Twitter);
    let mut generation = 1;
    for _ in 0..5 {
        let rejected = json!({"rejected_generation": generation});
        let answer = take_token(&world, "twitter", "x", rejected).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        generation = answer.json()["generation"].as_u64().unwrap();
    }
    assert_eq!((refreshes(), generation), (1, 2));
    world.pass(TimeDelta::minutes(1));
    let rejected = json!({"rejected_generation": generation});
    take_token(&world, "twitter", "x", rejected).await;
    assert_eq!(refreshes(), 2);
}

#[tokio::test]
async fn an_open_circuit_breaker_is_told() {
    let ended = Some(TimeDelta::seconds(-1));
    let world = world(&[
        ("a", "snapchat", ended, true),
        ("b", "snapchat", ended, true),
    ])
    .await;
    script(
        &world,
        json!({"platform": "snapchat", "on": "refresh", "do": {"refuse": "invalid_client"}}),
    );
    take_token(&world, "snapchat", "a", json!({}))
        .await
        .assert_problem(503);
    let told = take_token(&world, "snapchat", "b", json!({})).await;
    told.assert_problem_says(503, "refuses our application");
    assert_eq!(told.headers["retry-after"], "300");
}

#[tokio::test]
async fn what_a_dead_process_left_is_waited_for_and_mended() {
    for platform in ["twitter", "google"] {
        let (world, calls) = counted_world().await;
        let ended = Some(TimeDelta::seconds(-1));
        import(&world, &[("x", platform, ended, true)]).await;
        // As an attempt leaves it that was killed between its claim and its end.
        let mut row = world.row("acme", "x").await;
        row.refresh.lease = Some(Lease {
            attempt: "dead".to_owned(),
            until: start() + TimeDelta::seconds(60),
        });
        row.refresh.intent = Some(Intent {
            attempt: "dead".to_owned(),
            at: start(),
            generation: 1,
            answered: false,
        });
        world.integrations().replace(row, start()).await.unwrap();
        let any = json!({});
        let asking = together(&world, platform, "x", &any);
        let passing = async {
            // Once all have looked twice, all wait; then their time is over.
            while calls.lock().unwrap().len() < 2 * CALLERS {
                tokio::task::yield_now().await;
            }
            world.pass(TimeDelta::seconds(20));
        };
        let (answers, ()) = tokio::join!(asking, passing);
        for answer in answers {
            answer.assert_problem(503);
            assert_eq!(answer.headers["retry-after"], "40");
        }
        let of_platform: Platform = platform.parse().unwrap();
        let refreshes = || world.stack.platforms().refreshes(of_platform);
        assert_eq!(refreshes(), 0);
        world.pass(TimeDelta::seconds(41));
        let answers = together(&world, platform, "x", &json!({})).await;
        let new = answers[0].json();
        assert_eq!(new["generation"], 2, "{new}");
        assert!(answers.iter().all(|answer| answer.json() == new));
        assert_eq!(refreshes(), 1, "{platform}");
    }
}

#[tokio::test]
async fn after_a_person_acts_no_token_of_before_is_handed_out() {
    let world = world(&[("x", "twitter", Some(TimeDelta::seconds(-1)), true)]).await;
    let one = "/api/dashboard/acme/integrations/x";
    for round in 0..3 {
        let (new, refresh) = (format!("new-{round}"), format!("refresh-{round}"));
        let credential = json!({
            "platform": "twitter", "username": "x.account", "account_id": "1234567890",
            "access_token": new, "refresh_token": refresh,
            "token_expires_at": world.now() + TimeDelta::hours(2),
        });
        // A sweep and callers are under way meanwhile.
        let put = async {
            let request = world.request_as("ian", "PUT", one).json(&credential);
            let answer = request.send().await.unwrap();
            assert!(answer.status().is_success());
            let asks = (0..8).map(|_| take_token(&world, "twitter", "x", json!({})));
            for answer in join_all(asks).await {
                let body = answer.json();
                let token = body["access_token"].as_str().unwrap();
                // A sweep that finds the old attempt cut short refreshes the new grant.
                let origin = world.stack.platforms().origin(Platform::Twitter, token);
                let is_of_new = token == new || origin.as_ref() == Some(&refresh);
                assert!(is_of_new, "{round}: {token} of {origin:?}");
            }
        };
        let sweep = world.check(json!({}));
        let before = take_token(&world, "twitter", "x", json!({}));
        tokio::join!(put, sweep, before);
    }
    let delete = world.send_as("ian", "DELETE", one);
    let before = take_token(&world, "twitter", "x", json!({}));
    let (deleted, _) = tokio::join!(delete, before);
    assert_eq!(deleted.status, 204);
    for answer in together(&world, "twitter", "x", &json!({})).await {
        answer.assert_problem(409);
    }
}

#[tokio::test]
async fn a_hand_out_costs_one_read_and_is_recorded_once_an_hour() {
    let (world, calls) = counted_world().await;
    import(&world, &[("x", "twitter", Some(TimeDelta::hours(4)), true)]).await;
    let calls = || calls.lock().unwrap().clone();
    let ask = async |user: &str| {
        let path = path("twitter", "x", "access-token");
        let answer = world.post_as(user, &path, &json!({})).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
    };
    ask(APP).await;
    assert_eq!(
        calls(),
        ["DynamoDB.GetItem", "KMS.Decrypt", "DynamoDB.PutItem"]
    );
    let before = calls().len();
    for _ in 0..5 {
        ask(APP).await;
    }
    assert_eq!(calls()[before..], ["DynamoDB.GetItem"; 5]);
    ask("mia").await;
    world.pass(TimeDelta::minutes(59));
    ask(APP).await;
    world.pass(TimeDelta::minutes(1));
    ask(APP).await;
    let rows = world.audit("integration#acme#x").await;
    let taken: Vec<_> = rows
        .iter()
        .filter(|row| row["action"] == "access_token_taken")
        .map(|row| {
            (
                row["at"].as_str().unwrap()[..15].to_owned(),
                row["by"].clone(),
            )
        })
        .collect();
    let at = |hours| {
        format!(
            "{:015}",
            (start() + TimeDelta::hours(hours)).timestamp_millis()
        )
    };
    assert_eq!(
        taken,
        [
            (at(0), json!(APP)),
            (at(0), json!("mia")),
            (at(1), json!(APP)),
        ]
    );
    assert!(rows.iter().all(|row| !row.to_string().contains("at-x")));
}
