//! What is not an integration's fault: an application that a platform refuses or
//! holds back, rows and credentials that were damaged.

use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::TimeDelta;
use local::platforms::{Action, Script, Throttle};
use serde_json::{Value, json};
use shared::Platform;
use shared::domain::integration::State;
use shared::domain::verdict::{ReconnectReason, Transient, Verdict};

use crate::world::{World, acme, integration};

/// Creates `acme` and `beta`, with `of_each` integrations each.
async fn two_organisations(platform: &str, of_each: usize, left: TimeDelta) -> World {
    let world = World::new().await;
    world.import(&acme()).await;
    world
        .import(&[
            json!({"type": "organization", "org_id": "beta", "name": "Beta", "owner_id": "bea"}),
        ])
        .await;
    for org in ["acme", "beta"] {
        let lines: Vec<_> = (0..of_each)
            .map(|n| integration_of(org, &format!("{org}-{n}"), platform, left))
            .collect();
        world.import(&lines).await;
    }
    world
}

fn integration_of(org: &str, id: &str, platform: &str, left: TimeDelta) -> Value {
    let mut line = integration(id, platform, Some(left), true);
    line["org_id"] = json!(org);
    line
}

async fn states(world: &World, of_each: usize) -> Vec<State> {
    let mut states = Vec::new();
    for org in ["acme", "beta"] {
        for n in 0..of_each {
            states.push(world.row(org, &format!("{org}-{n}")).await.state);
        }
    }
    states
}

async fn operations(world: &World, kind: &str) -> usize {
    let all = world.audit("operator_events").await;
    all.iter().filter(|row| row["kind"] == kind).count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_client_secret_flips_no_integration() {
    for (platform, name, error) in [
        // Platforms that say what is wrong, and two that blame the grant.
        (Platform::Google, "google", "invalid_client"),
        // Switched off by the platform: no owner can mend that by reconnecting.
        (Platform::Google, "google", "disabled_client"),
        (Platform::Tiktok, "tiktok", "invalid_grant"),
        (Platform::Twitter, "twitter", "invalid_request"),
    ] {
        let world = two_organisations(name, 10, TimeDelta::hours(1)).await;
        assert_eq!(world.check(json!({})).await.auto_refreshed, 20);
        world
            .stack
            .platforms()
            .script(Script::refuse(platform, error))
            .unwrap();
        for _ in 0..36 {
            world.pass(TimeDelta::minutes(10));
            world.check(json!({})).await;
        }
        let flipped = states(&world, 10).await;
        let flipped = flipped
            .iter()
            .filter(|state| !matches!(state, State::Active | State::Retrying { .. }));
        assert_eq!(flipped.count(), 0, "{name}");
        assert_eq!(operations(&world, "breaker_opened").await, 1, "{name}");
        assert_eq!(world.notifications("olga", "acme").await.len(), 0, "{name}");
        // Nobody runs against the wall: a few tries every five minutes.
        let tried = world.stack.platforms().refreshes(platform);
        assert!(tried < 20 + 20 + 3 * 40, "{name}: {tried}");

        world.stack.platforms().clear_scripts();
        for _ in 0..8 {
            world.pass(TimeDelta::minutes(10));
            world.check(json!({})).await;
        }
        let all = states(&world, 10).await;
        assert!(
            all.iter().all(|state| *state == State::Active),
            "{name}: {all:?}"
        );
        assert_eq!(operations(&world, "breaker_closed").await, 1, "{name}");
        assert_eq!(world.notifications("olga", "acme").await.len(), 0, "{name}");
    }
}

/// Meta refuses an application without the capability, or without proof of its secret.
#[tokio::test]
async fn what_metas_application_lacks_is_the_operators() {
    for error in ["3", "proof_required"] {
        let world = two_organisations("meta", 2, TimeDelta::days(20)).await;
        let script = Script::refuse(Platform::Meta, error);
        world.stack.platforms().script(script).unwrap();
        world.check(json!({})).await;
        let all = states(&world, 2).await;
        assert!(all.iter().all(|state| *state == State::Active), "{all:?}");
        assert_eq!(world.row("acme", "acme-0").await.permissions.lost_at, None);
        assert_eq!(operations(&world, "breaker_opened").await, 1, "{error}");
        assert!(world.notification_kinds("olga").await.is_empty(), "{error}");
    }
}

/// A run that takes the right to try a broken application and does not use it would
/// keep everybody else from trying.
#[tokio::test]
async fn only_a_sweep_that_refreshes_takes_the_turn_to_try_a_broken_application() {
    let world = two_organisations("google", 2, TimeDelta::hours(1)).await;
    assert_eq!(world.check(json!({})).await.auto_refreshed, 4);
    world
        .stack
        .platforms()
        .script(Script::refuse(Platform::Google, "invalid_client"))
        .unwrap();
    world.pass(TimeDelta::minutes(50));
    world.check(json!({})).await;
    assert_eq!(operations(&world, "breaker_opened").await, 1);
    world.stack.platforms().clear_scripts();
    world.pass(TimeDelta::minutes(10));
    let tried = world.stack.platforms().refreshes(Platform::Google);
    world.check(json!({"auto_refresh": false})).await;
    let one = json!({"integration": {"org_id": "beta", "integration_id": "beta-1"}});
    let checked = world
        .stack
        .invoke("CheckTokensFunction", one)
        .await
        .unwrap();
    assert_eq!(checked["result"], "breaker_open", "{checked}");
    assert_eq!(world.stack.platforms().refreshes(Platform::Google), tried);
    assert_eq!(world.check(json!({})).await.auto_refreshed, 4);
    assert_eq!(operations(&world, "breaker_closed").await, 1);
}

/// LinkedIn calls the tokens of one application inactive when another asks. That must not
/// end, within a day, all the integrations that only probes check.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_applications_secret_ends_nothing_that_is_only_asked_about() {
    let world = two_organisations("linkedin", 0, TimeDelta::zero()).await;
    for org in ["acme", "beta"] {
        let lines: Vec<_> = (0..60)
            .map(|n| {
                let mut line =
                    integration_of(org, &format!("{org}-{n}"), "linkedin", TimeDelta::days(40));
                line["refresh_token"] = Value::Null;
                line
            })
            .collect();
        world.import(&lines).await;
    }
    let hours = async |hours| {
        for _ in 0..hours {
            world.check(json!({})).await;
            world.pass(TimeDelta::hours(1));
        }
    };
    hours(25).await;
    let inactive = json!({"platform": "linkedin", "on": "probe", "do": {"respond": {
        "status": 200, "body": r#"{"active":false}"#}}});
    let script: Script = serde_json::from_value(inactive).unwrap();
    world.stack.platforms().script(script).unwrap();
    // Less than the six hours for which refusals are doubted.
    hours(5).await;
    assert_eq!(operations(&world, "breaker_opened").await, 1);
    let dead = |state: &State| matches!(state, State::ReconnectRequired { .. });
    assert!(!states(&world, 60).await.iter().any(dead));
    world.stack.platforms().clear_scripts();
    hours(25).await;
    assert_eq!(operations(&world, "breaker_closed").await, 1);
    let all = states(&world, 60).await;
    assert!(all.iter().all(|state| *state == State::Active), "{all:?}");
    assert_eq!(world.notification_kinds("olga").await.len(), 0);
}

/// The platform's own errors have left all integrations in doubt, and then the secret is
/// rotated. That ends no integration.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_client_secret_flips_no_integration_in_doubt() {
    for (platform, name, error) in [
        (Platform::Twitter, "twitter", "invalid_request"),
        (Platform::Tiktok, "tiktok", "invalid_grant"),
    ] {
        let world = two_organisations(name, 4, TimeDelta::hours(1)).await;
        assert_eq!(world.check(json!({})).await.auto_refreshed, 8);
        world.pass(TimeDelta::minutes(110));
        for org in ["acme", "beta"] {
            for n in 0..4 {
                let mut row = world.row(org, &format!("{org}-{n}")).await;
                row.refresh.intent = Some(shared::domain::integration::Intent {
                    attempt: "answered with an error".to_owned(),
                    at: world.now() - TimeDelta::minutes(5),
                    generation: row.credential.generation,
                    answered: true,
                });
                let now = world.now();
                let error = Verdict::Transient(Transient::ServerError);
                row.mark_in_doubt(&error, true, now - TimeDelta::hours(1), 0.0);
                world.integrations().replace(row, now).await.unwrap();
            }
        }
        let script = Script::refuse(platform, error);
        world.stack.platforms().script(script).unwrap();
        // Less than the six hours for which refusals are doubted.
        for _ in 0..30 {
            world.check(json!({})).await;
            world.pass(TimeDelta::minutes(10));
        }
        assert_eq!(operations(&world, "breaker_opened").await, 1, "{name}");
        // Nobody was told but of the token's end, once it was ten minutes away.
        let told = world.notification_kinds("olga").await;
        let of_the_end = ["integration_token_expiring", "integration_token_expired"];
        assert!(
            told.iter().all(|kind| of_the_end.contains(&kind.as_str())),
            "{told:?}"
        );
        let retrying = |state: &State| matches!(state, State::Retrying { .. });
        let all = states(&world, 4).await;
        assert!(all.iter().all(retrying), "{name}: {all:?}");
        world.stack.platforms().clear_scripts();
        for _ in 0..8 {
            world.pass(TimeDelta::minutes(10));
            world.check(json!({})).await;
        }
        let all = states(&world, 4).await;
        assert!(
            all.iter().all(|state| *state == State::Active),
            "{name}: {all:?}"
        );
        assert_eq!(operations(&world, "rotation_lost").await, 0, "{name}");
    }
}

/// A sweep that died with eight answers in hand explains the refusals, which say nothing
/// of the application.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_that_our_own_crash_explains_open_no_breaker() {
    let world = two_organisations("tiktok", 4, TimeDelta::hours(1)).await;
    assert_eq!(world.check(json!({})).await.auto_refreshed, 8);
    world.pass(TimeDelta::minutes(100));
    for org in ["acme", "beta"] {
        for n in 0..4 {
            let mut row = world.row(org, &format!("{org}-{n}")).await;
            row.refresh.intent = Some(shared::domain::integration::Intent {
                attempt: "died".to_owned(),
                at: world.now() - TimeDelta::minutes(5),
                generation: row.credential.generation,
                answered: false,
            });
            let now = world.now();
            world.integrations().replace(row, now).await.unwrap();
        }
    }
    let script = Script::refuse(Platform::Tiktok, "invalid_grant");
    world.stack.platforms().script(script).unwrap();
    for _ in 0..3 {
        world.check(json!({})).await;
        world.pass(TimeDelta::minutes(5));
    }
    assert_eq!(operations(&world, "breaker_opened").await, 0);
    assert_eq!(operations(&world, "rotation_lost").await, 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cut_over_with_dead_grants_stops_no_healthy_one() {
    let world = two_organisations("twitter", 3, TimeDelta::hours(1)).await;
    assert_eq!(world.check(json!({})).await.auto_refreshed, 6);
    let dead: Vec<_> = (0..300)
        .map(|n| {
            let org = if n % 2 == 0 { "acme" } else { "beta" };
            integration_of(org, &format!("dead-{n}"), "twitter", TimeDelta::hours(1))
        })
        .collect();
    world.import(&dead).await;
    let script = Script::refuse(Platform::Twitter, "invalid_request").token("rt-dead");
    world.stack.platforms().script(script).unwrap();
    for _ in 0..30 {
        world.pass(TimeDelta::minutes(15));
        world.check(json!({})).await;
    }
    let healthy = states(&world, 3).await;
    assert!(
        healthy.iter().all(|state| *state == State::Active),
        "{healthy:?}"
    );
    for row in [("acme", "acme-0"), ("beta", "beta-2")] {
        let row = world.row(row.0, row.1).await;
        assert!(row.expiry.access_token > Some(world.now()), "{row:?}");
    }
    for n in [0, 1, 298, 299] {
        let org = if n % 2 == 0 { "acme" } else { "beta" };
        let state = world.row(org, &format!("dead-{n}")).await.state;
        assert!(
            matches!(state, State::ReconnectRequired { .. }),
            "{state:?}"
        );
    }
    assert_eq!(operations(&world, "breaker_opened").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_with_junk_credentials_stops_nobody() {
    let world = two_organisations("google", 3, TimeDelta::hours(1)).await;
    assert_eq!(world.check(json!({})).await.auto_refreshed, 6);
    let junk: Vec<_> = (0..50)
        .map(|n| integration_of("beta", &format!("junk-{n}"), "google", TimeDelta::hours(1)))
        .collect();
    world.import(&junk).await;
    // Half of no application, half of somebody else's.
    for (token, error) in [
        ("rt-junk-1", "unauthorized_client"),
        ("rt-junk", "invalid_grant"),
    ] {
        let script = Script::refuse(Platform::Google, error).token(token);
        world.stack.platforms().script(script).unwrap();
    }
    for _ in 0..24 {
        world.pass(TimeDelta::minutes(15));
        world.check(json!({})).await;
    }
    for row in [("acme", "acme-0"), ("beta", "beta-2")] {
        let row = world.row(row.0, row.1).await;
        assert_eq!(row.state, State::Active);
        assert!(row.expiry.access_token > Some(world.now()), "{row:?}");
    }
    for n in [0, 1, 10, 49] {
        let state = world.row("beta", &format!("junk-{n}")).await.state;
        assert!(
            matches!(state, State::ReconnectRequired { .. }),
            "{n} {state:?}"
        );
    }
    assert_eq!(operations(&world, "breaker_opened").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_that_throttles_us_is_left_alone_by_all() {
    let world = two_organisations("snapchat", 100, TimeDelta::hours(1)).await;
    let throttle = Action::Throttle(Throttle {
        retry_after: Some(600),
    });
    let script = Script::new(throttle).on(Platform::Snapchat);
    world.stack.platforms().script(script).unwrap();
    let report = world.check(json!({})).await;
    let tried = world.stack.platforms().refreshes(Platform::Snapchat);
    // Those that were under way when the first answer came, and no more.
    assert!(tried <= 64, "{tried}");
    assert_eq!(report.held_back + tried, 200, "{report:?}");
    world.stack.platforms().clear_scripts();
    world.pass(TimeDelta::seconds(590));
    assert_eq!(world.check(json!({})).await.auto_refreshed, 0);
    world.pass(TimeDelta::seconds(10));
    assert_eq!(world.check(json!({})).await.auto_refreshed, 200);
}

#[tokio::test]
async fn a_success_that_was_under_way_does_not_end_a_throttle() {
    let world = two_organisations("snapchat", 1, TimeDelta::hours(1)).await;
    let throttle = Action::Throttle(Throttle {
        retry_after: Some(900),
    });
    for script in [
        Script::new(throttle).token("rt-acme-0"),
        Script::new(Action::DelayMs(300)).token("rt-beta-0"),
    ] {
        let script = script.on(Platform::Snapchat);
        world.stack.platforms().script(script).unwrap();
    }
    let report = world.check(json!({})).await;
    assert_eq!(
        (report.auto_refreshed, report.refresh_failed),
        (1, 1),
        "{report:?}"
    );
    world.stack.platforms().clear_scripts();
    let third = integration_of("acme", "late", "snapchat", TimeDelta::hours(1));
    world.import(&[third]).await;
    world.pass(TimeDelta::seconds(899));
    let report = world.check(json!({})).await;
    assert_eq!((report.auto_refreshed, report.held_back), (0, 1));
    assert_eq!(world.stack.platforms().refreshes(Platform::Snapchat), 2);
    world.pass(TimeDelta::seconds(1));
    assert_eq!(world.check(json!({})).await.auto_refreshed, 2);
}

#[tokio::test]
async fn a_corrupt_row_is_set_aside_and_stops_nothing() {
    let world = two_organisations("google", 2, TimeDelta::hours(1)).await;
    for (row, change) in [("acme-0", "REMOVE platform"), ("acme-1", "SET #s = :s")] {
        let mut update = world
            .dynamodb()
            .update_item()
            .table_name(world.variable("CheckTokensFunction", "INTEGRATIONS_TABLE"))
            .key("org_id", AttributeValue::S("acme".into()))
            .key("integration_id", AttributeValue::S(row.into()))
            .update_expression(change);
        if change.contains(":s") {
            update = update
                .expression_attribute_names("#s", "state")
                .expression_attribute_values(":s", AttributeValue::S("broken".into()));
        }
        update.send().await.unwrap();
    }
    let report = world.check(json!({})).await;
    assert_eq!(
        (report.auto_refreshed, report.failures.len()),
        (2, 2),
        "{report:?}"
    );
    assert_eq!(report.operator_events.len(), 2, "{report:?}");
    assert!(
        report.operator_events[0].contains("restore the row"),
        "{report:?}"
    );
    // Once: it is not met again.
    let again = world.check(json!({})).await;
    assert_eq!((again.failures.len(), again.operator_events.len()), (0, 0));
    assert_eq!(operations(&world, "row_damaged").await, 2);
    // It says why.
    let row = world
        .dynamodb()
        .get_item()
        .table_name(world.variable("CheckTokensFunction", "INTEGRATIONS_TABLE"))
        .key("org_id", AttributeValue::S("acme".into()))
        .key("integration_id", AttributeValue::S("acme-0".into()))
        .send()
        .await
        .unwrap();
    let why = row.item.unwrap()["damaged"].as_s().unwrap().clone();
    assert!(why.contains("platform"), "{why}");
    // Nor does it hide the others.
    let path = "/api/dashboard/acme/integrations";
    let listed = world.get_as("olga", path).await;
    assert_eq!(listed.status, 200, "{}", listed.text);
    world.expiring("olga", "acme", 30).await;
    // Connecting the account anew mends it.
    world
        .import(&[integration_of(
            "acme",
            "acme-0",
            "google",
            TimeDelta::hours(2),
        )])
        .await;
    assert_eq!(world.check(json!({})).await.auto_refreshed, 1);
    assert_eq!(world.row("acme", "acme-0").await.state, State::Active);
}

#[tokio::test]
async fn a_credential_that_cannot_be_opened_is_told_at_once() {
    let world = two_organisations("google", 2, TimeDelta::hours(1)).await;
    let mut row = world.row("acme", "acme-0").await;
    if let Some(token) = &mut row.credential.refresh_token {
        *token.0.last_mut().unwrap() ^= 1;
    }
    world
        .integrations()
        .replace(row, world.now())
        .await
        .unwrap();
    let report = world.check(json!({})).await;
    assert_eq!(
        (report.auto_refreshed, report.failures.len()),
        (3, 1),
        "{report:?}"
    );
    assert_eq!(operations(&world, "credential_damaged").await, 1);
    let state = world.row("acme", "acme-0").await.state;
    let reason = ReconnectReason::CredentialDamaged;
    assert!(
        matches!(state, State::ReconnectRequired { reason: why, .. } if why == reason),
        "{state:?}"
    );
    assert_eq!(
        world.notification_kinds("olga").await,
        ["integration_reconnect_required"]
    );
    let again = world.check(json!({})).await;
    assert_eq!((again.examined, again.failures.len()), (0, 0));
    let attempts = world.audit("integration#acme#acme-0").await;
    let results: Vec<_> = attempts.iter().map(|row| &row["result"]).collect();
    assert_eq!(results, ["credential_damaged"]);
}

#[tokio::test]
async fn a_platform_that_shortens_its_tokens_is_noticed_once() {
    let world = two_organisations("tiktok", 3, TimeDelta::hours(1)).await;
    world.check(json!({})).await;
    let mut rules = world.stack.platforms().rules(Platform::Tiktok);
    rules.access_lifetime = 1_800;
    world.stack.platforms().set_rules(Platform::Tiktok, rules);
    for _ in 0..6 {
        world.pass(TimeDelta::minutes(20));
        assert_eq!(world.check(json!({})).await.refresh_failed, 0);
    }
    assert_eq!(operations(&world, "lifetime_changed").await, 1);
    let row = world.row("acme", "acme-0").await;
    assert!(row.expiry.access_token > Some(world.now()), "{row:?}");
}

/// Stands in for Secrets Manager: what the secret holds, and how often somebody read it.
#[derive(Clone, Default)]
struct Secret(Arc<Mutex<(String, u32)>>);

impl Secret {
    async fn serve(&self) -> String {
        let secret = self.clone();
        let answer = move || async move {
            let mut held = secret.0.lock().unwrap();
            held.1 += 1;
            let body = json!({"ARN": "arn", "Name": "secret", "SecretString": held.0});
            (
                [("content-type", "application/x-amz-json-1.1")],
                body.to_string(),
            )
        };
        let router = axum::Router::new().route("/", axum::routing::post(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, router).await });
        url
    }

    fn put(&self, client_secret: &str) {
        let google = json!({"client_id": "app", "client_secret": client_secret});
        self.0.lock().unwrap().0 = json!({ "google": google }).to_string();
    }

    fn reads(&self) -> u32 {
        self.0.lock().unwrap().1
    }
}

#[tokio::test]
async fn the_platforms_secret_is_read_once_and_again_when_it_may_have_been_rotated() {
    let world = two_organisations("google", 1, TimeDelta::hours(1)).await;
    let platforms = world.stack.platforms();
    platforms.expect_client(Platform::Google, "app", "new");
    let secret = Secret::default();
    secret.put("old");
    let environment = local::Environment::new(&local::Addresses {
        secretsmanager: secret.serve().await,
        ..world.stack.addresses().clone()
    })
    .unwrap();
    let function = check_tokens::CheckTokens::from_environment(
        &environment.sdk_config(),
        &environment.variables("CheckTokensFunction"),
        world.clock.clone(),
    )
    .unwrap();
    let sweep = async || {
        let swept = function.sweep(check_tokens::Request::default(), None, |_| {});
        (swept.await.unwrap().auto_refreshed, secret.reads())
    };
    // The platform knows another secret than we do.
    assert_eq!(sweep().await, (0, 1));
    // Somebody mends that: the next sweep uses it, without a deployment.
    secret.put("new");
    world.pass(TimeDelta::minutes(5));
    assert_eq!(sweep().await, (2, 2));
    // Nothing is wrong, so nothing is read, but within an hour or so.
    world.pass(TimeDelta::minutes(50));
    assert_eq!(sweep().await, (2, 2));
    world.pass(TimeDelta::minutes(50));
    assert_eq!(sweep().await, (2, 3));
}

/// A check does not send a token that the platform has replaced: that could end what
/// still lives of the grant.
#[tokio::test]
async fn a_check_of_a_lost_rotation_sends_nothing() {
    let world = two_organisations("twitter", 1, TimeDelta::hours(1)).await;
    assert_eq!(world.check(json!({})).await.auto_refreshed, 2);
    let mut row = world.row("acme", "acme-0").await;
    row.lose_rotation(None, world.now());
    world
        .integrations()
        .replace(row, world.now())
        .await
        .unwrap();
    let sent = world.stack.platforms().refreshes(Platform::Twitter);
    let one = json!({"integration": {"org_id": "acme", "integration_id": "acme-0"}});
    let invoked = world.stack.invoke("CheckTokensFunction", one).await;
    let message = invoked.unwrap()["message"].as_str().unwrap().to_owned();
    assert!(
        message.starts_with("The account must be reconnected"),
        "{message}"
    );
    assert_eq!(world.stack.platforms().refreshes(Platform::Twitter), sent);
}
