//! Integrations that nothing refreshes: what a free probe says of them when
//! somebody asks, and what the sweep does about what it said.

use chrono::TimeDelta;
use local::platforms::Script;
use serde_json::{Value, json};
use shared::domain::integration::{RetryReason, State};
use shared::domain::verdict::ReconnectReason;

use crate::world::{World, acme, integration};

async fn world(id: &str, platform: &str, left: Option<TimeDelta>) -> World {
    let world = World::new().await;
    world.import(&acme()).await;
    world
        .import(&[integration(id, platform, left, false)])
        .await;
    // So that nothing is left to be told of.
    world.check(json!({})).await;
    world
}

const ADS: &str = "https://www.googleapis.com/auth/adwords";

/// Creates a world with a Google integration `g` that allows `scopes`, without a refresh token.
async fn google(scopes: &[&str]) -> World {
    let world = World::new().await;
    world.import(&acme()).await;
    let mut line = integration("g", "google", None, false);
    line["scopes"] = json!(scopes);
    world.import(&[line]).await;
    world.check(json!({})).await;
    world
}

fn answers(world: &World, action: &Value, times: Option<u64>) {
    let script = json!({"on": "probe", "times": times, "do": action});
    let script: Script = serde_json::from_value(script).unwrap();
    world.stack.platforms().script(script).unwrap();
}

fn refused() -> Value {
    json!({"respond": {"status": 200, "body": r#"{"active":false}"#}})
}

/// Checks an integration through the function itself.
async fn check_by_function(world: &World, id: &str) -> Value {
    let request = json!({"integration": {"org_id": "acme", "integration_id": id}});
    let checked = world.stack.invoke("CheckTokensFunction", request).await;
    world.stack.settled().await;
    checked.unwrap()
}

/// Checks an integration through the gateway.
async fn check_by_gateway(world: &World, id: &str) -> Value {
    let path = format!("/api/dashboard/acme/integrations/{id}/check");
    let answer = world.send_as("ian", "POST", &path).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    world.stack.settled().await;
    answer.json()
}

async fn attempts(world: &World, id: &str) -> Vec<String> {
    let rows = world.audit(&format!("integration#acme#{id}")).await;
    let result = |row: &Value| row["result"].as_str().unwrap().to_owned();
    rows.iter().map(result).collect()
}

/// Fails unless the list shows an integration as its own page does.
async fn assert_listed_as_shown(world: &World, id: &str) {
    let all = "/api/dashboard/acme/integrations";
    let listed = world.get_as("ian", all).await.json()["integrations"].clone();
    let listed: Vec<Value> = serde_json::from_value(listed).unwrap();
    let listed = listed.iter().find(|row| row["integration_id"] == id);
    let mut shown = world.get_as("ian", &format!("{all}/{id}")).await.json();
    shown.as_object_mut().unwrap().remove("history").unwrap();
    assert_eq!(listed, Some(&shown));
}

#[tokio::test]
async fn a_living_token_is_said_to_be_alive() {
    for (platform, left) in [
        ("tiktok_business", None),
        ("linkedin", Some(TimeDelta::days(40))),
        ("instagram", None),
    ] {
        let world = world("a", platform, left).await;
        for checked in [
            check_by_function(&world, "a").await,
            check_by_gateway(&world, "a").await,
        ] {
            assert_eq!(checked["result"], "alive", "{checked}");
            let tomorrow = json!(world.now() + TimeDelta::days(1));
            assert_eq!(checked["next_attempt_at"], tomorrow, "{checked}");
            let said = checked["message"].as_str().unwrap();
            assert!(said.contains("alive"), "{said}");
        }
        assert_eq!(world.row("acme", "a").await.state, State::Active);
        assert_eq!(attempts(&world, "a").await, ["alive", "alive"]);
        // It is asked about once a day, and no more.
        for hours in [23, 1, 1] {
            world.pass(TimeDelta::hours(hours));
            world.check(json!({})).await;
        }
        assert_eq!(attempts(&world, "a").await.len(), 3);
        // By now only the probes show that the token lives.
        world.pass(TimeDelta::days(1));
        world.check(json!({})).await;
        world.pass(TimeDelta::days(1));
        world.check(json!({})).await;
        assert_listed_as_shown(&world, "a").await;
    }
}

#[tokio::test]
async fn a_refused_token_is_dead_once_a_later_sweep_is_refused_again() {
    let world = world("l", "linkedin", Some(TimeDelta::days(40))).await;
    answers(&world, &refused(), None);
    for checked in [
        check_by_gateway(&world, "l").await,
        check_by_function(&world, "l").await,
    ] {
        assert_eq!(checked["result"], "reconnect_needed", "{checked}");
        assert!(checked["next_attempt_at"].is_string(), "{checked}");
        let said = checked["message"].as_str().unwrap();
        assert!(said.contains("It is tried again"), "{said}");
        let state = world.row("acme", "l").await.state;
        let reason = RetryReason::Refused;
        assert!(
            matches!(state, State::Retrying { reason: why, .. } if why == reason),
            "{state:?}"
        );
    }
    assert!(world.notification_kinds("olga").await.is_empty());

    world.pass(TimeDelta::hours(1));
    assert_eq!(world.check(json!({})).await.examined, 1);
    let state = world.row("acme", "l").await.state;
    let reason = ReconnectReason::GrantRefused;
    assert!(
        matches!(state, State::ReconnectRequired { reason: why, .. } if why == reason),
        "{state:?}"
    );
    assert_eq!(
        world.notification_kinds("olga").await,
        ["integration_reconnect_required"]
    );
    world.pass(TimeDelta::days(1));
    assert_eq!(world.check(json!({})).await.examined, 0, "it is final");

    // Unless it lives after all.
    world.stack.platforms().clear_scripts();
    assert_eq!(check_by_gateway(&world, "l").await["result"], "alive");
    assert_eq!(world.row("acme", "l").await.state, State::Active);
    assert_eq!(
        world.notification_kinds("olga").await,
        [
            "integration_token_refreshed",
            "integration_reconnect_required"
        ]
    );
}

#[tokio::test]
async fn a_refusal_that_was_a_bad_hour_is_cleared_by_the_sweep() {
    let world = world("l", "linkedin", Some(TimeDelta::days(40))).await;
    answers(&world, &refused(), Some(1));
    check_by_gateway(&world, "l").await;
    // The platform fails meanwhile: that refutes nothing and confirms nothing.
    answers(&world, &json!({"refuse": "server_error"}), Some(1));
    for _ in 0..2 {
        world.pass(TimeDelta::hours(1));
        assert_eq!(world.check(json!({})).await.examined, 1);
    }
    assert_eq!(world.row("acme", "l").await.state, State::Active);
    let told = ["reconnect_needed", "transient", "alive"];
    assert_eq!(attempts(&world, "l").await, told);
    assert!(world.notification_kinds("olga").await.is_empty());
    world.pass(TimeDelta::hours(1));
    assert_eq!(world.check(json!({})).await.examined, 0);
}

#[tokio::test]
async fn what_its_owner_must_do_is_looked_after_daily_until_it_is_done() {
    let world = google(&[ADS]).await;
    let body = json!({"error": {"code": 401, "status": "UNAUTHENTICATED", "details": [{"errors": [
        {"errorCode": {"authenticationError": "TWO_STEP_VERIFICATION_NOT_ENROLLED"}},
    ]}]}});
    let respond = json!({"respond": {"status": 401, "body": body.to_string()}});
    answers(&world, &respond, Some(2));
    let checked = check_by_gateway(&world, "g").await;
    assert_eq!(checked["result"], "platform_action_needed", "{checked}");
    let state = world.row("acme", "g").await.state;
    assert!(
        matches!(state, State::PlatformActionRequired { .. }),
        "{state:?}"
    );
    for day in 1..=2 {
        for _ in 0..3 {
            world.pass(TimeDelta::hours(8));
            world.check(json!({})).await;
        }
        assert_eq!(attempts(&world, "g").await.len(), day + 1);
    }
    assert_eq!(world.row("acme", "g").await.state, State::Active);
    assert_eq!(
        world.notification_kinds("olga").await,
        [
            "integration_token_refreshed",
            "integration_platform_action_required"
        ]
    );
}

#[tokio::test]
async fn a_platform_that_holds_us_back_says_nothing_of_the_token() {
    let world = world("l", "linkedin", Some(TimeDelta::days(40))).await;
    let before = world.row("acme", "l").await.state;
    answers(&world, &json!({"throttle": {"retry_after": 600}}), None);
    assert_eq!(check_by_function(&world, "l").await["result"], "throttled");
    // Nor is it asked again before that.
    assert_eq!(check_by_gateway(&world, "l").await["result"], "held_back");
    assert_eq!(attempts(&world, "l").await, ["throttled"]);
    assert_eq!(world.row("acme", "l").await.state, before);
    world.stack.platforms().clear_scripts();
    world.pass(TimeDelta::minutes(11));
    assert_eq!(check_by_gateway(&world, "l").await["result"], "alive");
}

#[tokio::test]
async fn an_application_that_is_refused_is_the_operators_and_no_integrations() {
    let world = world("l", "linkedin", Some(TimeDelta::days(40))).await;
    let before = world.row("acme", "l").await.state;
    answers(&world, &json!({"refuse": "invalid_client"}), None);
    assert_eq!(
        check_by_gateway(&world, "l").await["result"],
        "app_misconfigured"
    );
    assert_eq!(
        check_by_gateway(&world, "l").await["result"],
        "breaker_open"
    );
    assert_eq!(world.row("acme", "l").await.state, before);
    let heard = world.audit("operator_events").await;
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!(heard[0]["kind"], "breaker_opened");
    assert!(world.notification_kinds("olga").await.is_empty());
}

#[tokio::test]
async fn where_asking_is_not_free_nothing_is_asked() {
    let world = world("x", "twitter", Some(TimeDelta::days(40))).await;
    let before = world.row("acme", "x").await;
    for checked in [
        check_by_function(&world, "x").await,
        check_by_gateway(&world, "x").await,
    ] {
        assert_eq!(checked["result"], "nothing_to_check", "{checked}");
        assert_eq!(checked["attempt_id"], Value::Null);
    }
    assert!(attempts(&world, "x").await.is_empty());
    assert_eq!(world.row("acme", "x").await, before);
}

#[tokio::test]
async fn the_platforms_id_of_a_request_reaches_the_history() {
    let world = World::new().await;
    world.import(&acme()).await;
    let soon = Some(TimeDelta::hours(1));
    let graph = json!({"error": {"code": 2, "message": "", "fbtrace_id": "AbC-1"}});
    let tiktok = json!({"error": "server_error", "log_id": "20261123090000"});
    let business = json!({"code": 50_000, "message": "", "request_id": "20261123A"});
    // Refreshes, then probes; the last two say it in a header.
    for (id, platform, left, refresh, body, headers, expected) in [
        ("m", "meta", soon, false, graph, json!({}), "AbC-1"),
        (
            "t",
            "tiktok",
            soon,
            true,
            tiktok,
            json!({}),
            "20261123090000",
        ),
        (
            "b",
            "tiktok_business",
            None,
            false,
            business,
            json!({}),
            "20261123A",
        ),
        (
            "l",
            "linkedin",
            None,
            false,
            json!({"active": true}),
            json!({"x-li-uuid": "AAYX+/=="}),
            "AAYX+/==",
        ),
        (
            "g",
            "google",
            None,
            false,
            json!({}),
            json!({"request-id": "Gx7_9"}),
            "Gx7_9",
        ),
    ] {
        world
            .import(&[integration(id, platform, left, refresh)])
            .await;
        let respond = json!({"status": 200, "body": body.to_string(), "headers": headers});
        let script = json!({"platform": platform, "on": "any", "do": {"respond": respond}});
        let script: Script = serde_json::from_value(script).unwrap();
        world.stack.platforms().script(script).unwrap();
        check_by_gateway(&world, id).await;
        let rows = world.audit(&format!("integration#acme#{id}")).await;
        assert_eq!(rows[0]["platform_request_id"], expected, "{rows:?}");
        let path = format!("/api/dashboard/acme/integrations/{id}");
        let shown = world.get_as("mia", &path).await.json();
        assert_eq!(
            shown["history"][0]["platform_request_id"], expected,
            "{shown}"
        );
    }
}

#[tokio::test]
async fn a_permission_that_a_refresh_misses_is_told_and_tried_for_daily() {
    let world = World::new().await;
    world.import(&acme()).await;
    let mut line = integration("m", "meta", Some(TimeDelta::days(20)), false);
    line["scopes"] = json!(["pages_manage_posts", "ads_read"]);
    world.import(&[line]).await;
    let said = "(#200) Requires pages_manage_posts permission to manage the object";
    let body = json!({"error": {"code": 200, "message": said}}).to_string();
    let script = json!({"do": {"respond": {"status": 403, "body": body}}});
    let script: Script = serde_json::from_value(script).unwrap();
    world.stack.platforms().script(script).unwrap();
    for hour in 0..=48 {
        world.check(json!({})).await;
        let exchanges = world.stack.platforms().refreshes(shared::Platform::Meta);
        assert_eq!(exchanges, 1 + hour / 24, "after {hour} hours");
        world.pass(TimeDelta::hours(1));
    }
    let row = world.row("acme", "m").await;
    assert_eq!(row.state, State::Active);
    assert_eq!(row.permissions.missing, ["pages_manage_posts"]);
    assert_eq!(
        world.notification_kinds("olga").await,
        ["integration_permission_lost"]
    );
    let shown = world
        .get_as("mia", "/api/dashboard/acme/integrations/m")
        .await
        .json();
    let said = shown["message"].as_str().unwrap();
    assert!(said.contains("lost permissions"), "{said}");
}

#[tokio::test]
async fn a_permission_that_a_probe_misses_is_told_until_it_is_back() {
    let world = google(&[ADS]).await;
    answers(
        &world,
        &json!({"refuse": "USER_PERMISSION_DENIED"}),
        Some(1),
    );
    assert_eq!(
        check_by_gateway(&world, "g").await["result"],
        "permission_lost"
    );
    let row = world.row("acme", "g").await;
    assert_eq!(row.state, State::Active);
    assert_eq!(row.permissions.lost_at, Some(world.now()));
    assert_eq!(
        world.notification_kinds("olga").await,
        ["integration_permission_lost"]
    );
    assert_eq!(check_by_gateway(&world, "g").await["result"], "alive");
    assert_eq!(world.row("acme", "g").await.permissions.lost_at, None);
}

/// A grant for YouTube or Analytics has never had the permission that a call of
/// Google Ads needs, and one for Google Ads may be of an account without it.
#[tokio::test]
async fn a_google_check_asks_for_no_more_than_the_grant_allows() {
    let youtube = "https://www.googleapis.com/auth/youtube";
    for scopes in [vec![youtube], vec![]] {
        let world = google(&scopes).await;
        let platforms = world.stack.platforms();
        let mut rules = platforms.rules(shared::Platform::Google);
        youtube.clone_into(&mut rules.scope);
        platforms.set_rules(shared::Platform::Google, rules);
        for checked in [
            check_by_function(&world, "g").await,
            check_by_gateway(&world, "g").await,
        ] {
            assert_eq!(checked["result"], "alive", "{scopes:?}: {checked}");
        }
        let row = world.row("acme", "g").await;
        assert_eq!((row.permissions.lost_at, row.state), (None, State::Active));
        assert_eq!(row.permissions.granted, [youtube]);
        let told = world.notification_kinds("olga").await;
        assert!(
            !told.contains(&"integration_permission_lost".to_owned()),
            "{told:?}"
        );
    }
    for error in [
        "NOT_ADS_USER",
        "SERVICE_DISABLED",
        "ACCESS_TOKEN_SCOPE_INSUFFICIENT",
    ] {
        let world = google(&[ADS]).await;
        let before = world.row("acme", "g").await;
        answers(&world, &json!({"refuse": error}), None);
        for checked in [
            check_by_function(&world, "g").await,
            check_by_gateway(&world, "g").await,
        ] {
            assert_eq!(
                checked["result"], "probe_not_applicable",
                "{error}: {checked}"
            );
            let said = checked["message"].as_str().unwrap();
            assert!(said.contains("did not say whether the token lives"));
        }
        let row = world.row("acme", "g").await;
        let same = (row.state, row.permissions.lost_at, row.expiry.access_token);
        let expected = (before.state, None, before.expiry.access_token);
        assert_eq!(same, expected, "{error}");
        assert!(world.notification_kinds("olga").await.is_empty(), "{error}");
        assert!(world.audit("operator_events").await.is_empty(), "{error}");
    }
}
