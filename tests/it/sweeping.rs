//! The sweep: faults, races, deadlines, and asking twice.

use chrono::TimeDelta;
use local::platforms::Script;
use serde_json::{Value, json};
use shared::Platform;
use shared::domain::check_result::CheckResult;
use shared::domain::integration::{RetryReason, State};
use shared::domain::verdict::{PlatformAction, ReconnectReason};

use crate::world::{World, acme, integration, start};

async fn world_of(integrations: &[(&str, &str, TimeDelta, bool)]) -> World {
    let world = World::new().await;
    world.import(&acme()).await;
    let records: Vec<_> = integrations
        .iter()
        .map(|(id, platform, left, refresh)| integration(id, platform, Some(*left), *refresh))
        .collect();
    world.import(&records).await;
    world
}

fn refuse(world: &World, platform: Platform, token: &str, name: &str) {
    world
        .stack
        .platforms()
        .script(Script::refuse(platform, name).token(token))
        .unwrap();
}

#[tokio::test]
async fn one_failing_integration_never_stops_the_others() {
    let hour = TimeDelta::hours(1);
    let world = world_of(&[
        ("a", "google", hour, true),
        ("b", "google", hour, true),
        ("c", "google", hour, true),
    ])
    .await;
    // Row b is damaged, c's token was moved here from a's row.
    let a = world.row("acme", "a").await;
    let mut c = world.row("acme", "c").await;
    c.credential.access_token = a.credential.access_token;
    world.integrations().replace(c, start()).await.unwrap();
    world
        .dynamodb()
        .update_item()
        .table_name(world.variable("CheckTokensFunction", "INTEGRATIONS_TABLE"))
        .key(
            "org_id",
            aws_sdk_dynamodb::types::AttributeValue::S("acme".into()),
        )
        .key(
            "integration_id",
            aws_sdk_dynamodb::types::AttributeValue::S("b".into()),
        )
        .update_expression("REMOVE username")
        .send()
        .await
        .unwrap();
    let report = world.check(json!({})).await;
    assert_eq!(report.auto_refreshed, 1, "{report:?}");
    let problem = |id: &str| {
        let failure = report
            .failures
            .iter()
            .find(|f| f.integration_id == id)
            .unwrap();
        failure.problem.clone()
    };
    assert!(
        problem("b").contains("is damaged: missing field `username`"),
        "{}",
        problem("b")
    );
    assert!(
        problem("c").contains("cannot be opened"),
        "{}",
        problem("c")
    );
    assert_eq!(report.failures.len(), 2);
}

#[tokio::test]
async fn people_hear_that_sweeps_are_late() {
    let world = world_of(&[("g", "google", TimeDelta::hours(1), true)]).await;
    let unchecked_since = async |filter: &str| {
        let path = format!("/api/dashboard/acme/integrations{filter}");
        world.get_as("mia", &path).await.json()["unchecked_since"].clone()
    };
    // A new deployment has a while for its first.
    assert_eq!(unchecked_since("").await, Value::Null);
    world.pass(TimeDelta::minutes(20));
    assert_eq!(unchecked_since("").await, json!(start()));
    assert_eq!(unchecked_since("?platform=meta").await, Value::Null);
    // A platform that fails makes no sweep late.
    refuse(&world, Platform::Google, "rt-g", "server_error");
    for _ in 0..5 {
        world.check(json!({})).await;
        assert_eq!(unchecked_since("").await, Value::Null);
        world.pass(TimeDelta::minutes(19));
    }
    world.pass(TimeDelta::minutes(1));
    let last = json!(world.now() - TimeDelta::minutes(20));
    assert_eq!(unchecked_since("").await, last);
    assert_eq!(unchecked_since("?platform=meta").await, last);
}

#[tokio::test]
async fn a_blip_of_the_platform_disturbs_nobody() {
    let world = world_of(&[("g", "google", TimeDelta::hours(1), true)]).await;
    world.check(json!({})).await;
    world.pass(TimeDelta::minutes(50));
    refuse(&world, Platform::Google, "rt-g", "server_error");
    let report = world.check(json!({})).await;
    assert_eq!(
        report.refresh_failures[&CheckResult::Transient],
        1,
        "{report:?}"
    );
    let row = world.row("acme", "g").await;
    let State::Retrying {
        failures: 1,
        reason: RetryReason::Transient,
        next_attempt_at,
        ..
    } = row.state
    else {
        panic!("{:?}", row.state)
    };
    assert!(next_attempt_at >= world.now() + TimeDelta::minutes(1));
    assert_eq!(
        world.check(json!({})).await.examined,
        0,
        "not before its pause is over"
    );
    world.stack.platforms().clear_scripts();
    world.clock.set(next_attempt_at);
    assert_eq!(world.check(json!({})).await.auto_refreshed, 1);
    assert_eq!(world.row("acme", "g").await.state, State::Active);
    assert_eq!(world.notifications("olga", "acme").await.len(), 0);
}

#[tokio::test]
async fn an_outage_that_lasts_reaches_people_and_so_does_its_end() {
    let world = world_of(&[("g", "google", TimeDelta::hours(1), true)]).await;
    world.check(json!({})).await;
    refuse(&world, Platform::Google, "rt-g", "server_error");
    for _ in 0..48 {
        world.pass(TimeDelta::minutes(5));
        world.check(json!({})).await;
    }
    let told = world.notifications("olga", "acme").await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(
        told[0]["type"], "integration_token_expired",
        "failure_grace outlived the token"
    );
    world.stack.platforms().clear_scripts();
    for _ in 0..13 {
        world.pass(TimeDelta::minutes(5));
        world.check(json!({})).await;
    }
    let types = world.notification_kinds("olga").await;
    assert_eq!(
        types,
        ["integration_token_refreshed", "integration_token_expired"]
    );
}

#[tokio::test]
async fn a_refused_grant_is_concluded_when_confirmed_and_told_once() {
    let world = world_of(&[("x", "twitter", TimeDelta::hours(1), true)]).await;
    refuse(&world, Platform::Twitter, "rt-x", "invalid_grant");
    world.check(json!({})).await;
    let row = world.row("acme", "x").await;
    assert!(matches!(
        row.state,
        State::Retrying {
            reason: RetryReason::Refused,
            ..
        }
    ));
    world.pass(TimeDelta::minutes(10));
    let report = world.check(json!({})).await;
    assert_eq!(report.refresh_failures[&CheckResult::ReconnectNeeded], 1);
    let row = world.row("acme", "x").await;
    assert!(matches!(
        row.state,
        State::ReconnectRequired {
            reason: ReconnectReason::GrantRefused,
            ..
        }
    ));
    assert_eq!(row.next_action_at, None);
    world.pass(TimeDelta::days(3));
    assert_eq!(world.check(json!({})).await.examined, 0);
    let types = world.notification_kinds("olga").await;
    assert_eq!(types[0], "integration_reconnect_required");
    // Unproven, within an hour of its end: people had been warned as well.
    assert_eq!(types[1..], ["integration_token_expiring"]);

    // A reconnect ends it, and people hear that.
    let mut line = integration("x", "twitter", Some(TimeDelta::days(4)), true);
    line["access_token"] = json!("at-x-2");
    line["refresh_token"] = json!("rt-new");
    world.import(&[line]).await;
    world.check(json!({})).await;
    assert_eq!(world.row("acme", "x").await.state, State::Active);
    let newest = &world.notifications("olga", "acme").await[0];
    assert_eq!(newest["type"], "integration_token_refreshed");
}

#[tokio::test]
async fn evidence_is_acted_on_at_once() {
    let left = TimeDelta::days(20);
    let world = world_of(&[("m", "meta", left, false), ("c", "meta", left, false)]).await;
    refuse(&world, Platform::Meta, "at-m", "190/460");
    refuse(&world, Platform::Meta, "at-c", "190/459");
    world.check(json!({})).await;
    let row = world.row("acme", "m").await;
    assert!(matches!(
        row.state,
        State::ReconnectRequired {
            reason: ReconnectReason::PasswordChanged,
            ..
        }
    ));
    let State::PlatformActionRequired {
        action: PlatformAction::LogIn,
        next_check_at,
        ..
    } = world.row("acme", "c").await.state
    else {
        panic!()
    };
    assert_eq!(next_check_at, start() + TimeDelta::days(1));
    let told = world.notifications("ian", "acme").await;
    let reasons: Vec<_> = told
        .iter()
        .map(|n| n["message"].as_str().unwrap())
        .collect();
    assert!(
        reasons.iter().any(|r| r.contains("password was changed")),
        "{reasons:?}"
    );
    assert!(
        reasons
            .iter()
            .any(|r| r.contains("log in on the platform itself first")),
        "{reasons:?}"
    );
    // The person has logged in: the daily look finds out.
    world.stack.platforms().clear_scripts();
    world.pass(TimeDelta::days(1));
    world.check(json!({})).await;
    assert_eq!(world.row("acme", "c").await.state, State::Active);
    assert_eq!(
        world.notifications("ian", "acme").await[0]["type"],
        "integration_token_refreshed"
    );
}

/// If only the organisation's administrator or the owner at the platform can act, people
/// hear so at once, and the integration goes on by itself once that is done.
#[tokio::test]
async fn who_must_act_on_the_platform_is_told_what_to_do_there() {
    for (platform, name, error, words) in [
        (
            Platform::Google,
            "google",
            "admin_policy_enforced",
            "ask them to allow it, reconnecting alone does not help",
        ),
        (
            Platform::Google,
            "google",
            "org_internal",
            "ask them to allow it, reconnecting alone does not help",
        ),
        (
            Platform::Google,
            "google",
            "access_denied",
            "ask them to allow it, reconnecting alone does not help",
        ),
        (
            Platform::Google,
            "google",
            "policy_enforced",
            "Advanced Protection",
        ),
        (
            Platform::Google,
            "google",
            "rapt_required",
            "ask them to exempt this application",
        ),
        (
            Platform::Twitter,
            "twitter",
            "user-not-enrolled",
            "enrol this account",
        ),
        (
            Platform::Meta,
            "meta",
            "190/490",
            "log in on the platform itself first",
        ),
        (
            Platform::Meta,
            "meta",
            "102/459",
            "log in on the platform itself first",
        ),
    ] {
        let left = match platform {
            Platform::Meta => TimeDelta::days(20),
            _ => TimeDelta::minutes(5),
        };
        let world = world_of(&[("c", name, left, true)]).await;
        refuse(&world, platform, "-c", error);
        for _ in 0..3 {
            world.check(json!({})).await;
            world.pass(TimeDelta::hours(1));
        }
        let tried = world.stack.platforms().refreshes(platform);
        assert_eq!(tried, 1, "{error}: not tried again and again");
        let told = world.notifications("ian", "acme").await;
        let first = told.last().unwrap();
        assert_eq!(
            first["type"], "integration_platform_action_required",
            "{error}: {told:?}"
        );
        let said = first["message"].as_str().unwrap();
        assert!(said.contains(words), "{error}: {said}");
        world.stack.platforms().clear_scripts();
        world.pass(TimeDelta::days(1));
        world.check(json!({})).await;
        assert_eq!(world.row("acme", "c").await.state, State::Active, "{error}");
        let newest = &world.notifications("ian", "acme").await[0];
        assert_eq!(newest["type"], "integration_token_refreshed", "{error}");
    }
}

/// A code that names no end of the grant is confirmed by a second refusal.
#[tokio::test]
async fn a_code_that_names_no_end_kills_nothing_at_once() {
    for (platform, name, error, left) in [
        (Platform::Meta, "meta", "102", TimeDelta::days(20)),
        (Platform::Meta, "meta", "190", TimeDelta::days(20)),
        (Platform::Meta, "meta", "another_app", TimeDelta::days(20)),
        (
            Platform::TiktokBusiness,
            "tiktok_business",
            "40105",
            TimeDelta::hours(20),
        ),
        (
            Platform::TiktokBusiness,
            "tiktok_business",
            "40309",
            TimeDelta::hours(20),
        ),
    ] {
        let world = world_of(&[("c", name, left, true)]).await;
        refuse(&world, platform, "-c", error);
        world.check(json!({})).await;
        let state = world.row("acme", "c").await.state;
        let refused = RetryReason::Refused;
        assert!(
            matches!(state, State::Retrying { reason, .. } if reason == refused),
            "{error}: {state:?}"
        );
        let dead = "integration_reconnect_required".to_owned();
        assert!(
            !world.notification_kinds("olga").await.contains(&dead),
            "{error}"
        );
        let before = world.clock.now();
        // A bad hour of the platform ends; or the second refusal decides.
        world.pass(TimeDelta::hours(1));
        world.check(json!({})).await;
        let state = world.row("acme", "c").await.state;
        let reason = ReconnectReason::GrantRefused;
        assert!(
            matches!(state, State::ReconnectRequired { reason: why, since } if why == reason && since > before),
            "{error}: {state:?}"
        );
        let world = world_of(&[("c", name, left, true)]).await;
        let once = Script::refuse(platform, error).times(1);
        world.stack.platforms().script(once).unwrap();
        for _ in 0..2 {
            world.check(json!({})).await;
            world.pass(TimeDelta::hours(1));
        }
        assert_eq!(world.row("acme", "c").await.state, State::Active, "{error}");
        assert!(
            !world.notification_kinds("olga").await.contains(&dead),
            "{error}"
        );
    }
}

/// No answer to an extension tells when data access ends, and no extension renews it.
#[tokio::test]
async fn people_are_warned_of_the_end_of_data_access_that_only_a_probe_tells() {
    let world = world_of(&[("m", "meta", TimeDelta::days(20), false)]).await;
    let mut rules = world.stack.platforms().rules(Platform::Meta);
    rules.data_access_lifetime = Some(5 * 86_400);
    world.stack.platforms().set_rules(Platform::Meta, rules);
    let report = world.check(json!({})).await;
    assert_eq!(
        (report.auto_refreshed, report.warning),
        (1, 1),
        "{report:?}"
    );
    let row = world.row("acme", "m").await;
    let end = Some(start() + TimeDelta::days(5));
    assert_eq!((row.expiry.data_access, row.reconnect_by), (end, end));
    assert!(row.expiry.access_token > Some(start() + TimeDelta::days(50)));
    assert_eq!(
        world.notification_kinds("olga").await,
        ["integration_token_expiring"]
    );
    let listed = world.expiring("olga", "acme", 7).await;
    assert_eq!(listed["expiring_tokens"][0]["integration_id"], "m");
}

/// Meta's answers may leave out when the token ends.
#[tokio::test]
async fn an_extension_that_does_not_say_its_end_is_proven_by_a_probe() {
    let world = world_of(&[("m", "meta", TimeDelta::days(20), false)]).await;
    let mut rules = world.stack.platforms().rules(Platform::Meta);
    rules.says_expires_in = false;
    world.stack.platforms().set_rules(Platform::Meta, rules);
    assert_eq!(world.check(json!({})).await.auto_refreshed, 1);
    let row = world.row("acme", "m").await;
    assert_eq!(row.refresh.renewed_at, Some(start()));
    assert!(row.expiry.access_token > Some(start() + TimeDelta::days(50)));
}

#[tokio::test]
async fn our_own_misconfiguration_changes_no_integration() {
    let world = world_of(&[("g", "google", TimeDelta::days(1), true)]).await;
    world.check(json!({})).await;
    world.pass(TimeDelta::minutes(50));
    world
        .stack
        .platforms()
        .script(Script::refuse(Platform::Google, "invalid_client"))
        .unwrap();
    let report = world.check(json!({})).await;
    assert_eq!(report.refresh_failures[&CheckResult::AppMisconfigured], 1);
    let row = world.row("acme", "g").await;
    assert_eq!(row.state, State::Active);
    assert_eq!(world.notifications("olga", "acme").await.len(), 0);
}

#[tokio::test]
async fn a_throttle_is_waited_out() {
    let world = world_of(&[("s", "snapchat", TimeDelta::hours(1), true)]).await;
    let script: Script = serde_json::from_value(
        json!({"platform": "snapchat", "do": {"throttle": {"retry_after": 900}}}),
    )
    .unwrap();
    world.stack.platforms().script(script).unwrap();
    world.check(json!({})).await;
    world.stack.platforms().clear_scripts();
    world.pass(TimeDelta::seconds(899));
    assert_eq!(world.check(json!({})).await.auto_refreshed, 0);
    world.pass(TimeDelta::seconds(1));
    assert_eq!(world.check(json!({})).await.auto_refreshed, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sweeps_at_once_do_nothing_twice() {
    let ids: Vec<String> = (0..60).map(|n| format!("x{n}")).collect();
    let integrations: Vec<_> = ids
        .iter()
        .map(|id| (id.as_str(), "twitter", TimeDelta::hours(1), true))
        .collect();
    let world = world_of(&integrations).await;
    let sweeps = futures::future::join_all((0..3).map(|_| world.check(json!({})))).await;
    let refreshed: u64 = sweeps.iter().map(|report| report.auto_refreshed).sum();
    let failed: u64 = sweeps.iter().map(|report| report.refresh_failed).sum();
    assert_eq!((refreshed, failed), (60, 0), "{sweeps:?}");
    assert_eq!(world.stack.platforms().refreshes(Platform::Twitter), 60);
    for id in &ids {
        assert_eq!(world.row("acme", id).await.credential.generation, 2);
    }
}

#[tokio::test]
async fn a_reconnect_during_the_exchange_wins() {
    let world = world_of(&[("x", "twitter", TimeDelta::hours(1), true)]).await;
    // The platform answers late; meanwhile the person reconnects.
    let script: Script =
        serde_json::from_value(json!({"platform": "twitter", "do": {"delay_ms": 300}})).unwrap();
    world.stack.platforms().script(script).unwrap();
    let mut line = integration("x", "twitter", Some(TimeDelta::hours(5)), true);
    line["access_token"] = json!("at-x-2");
    line["refresh_token"] = json!("rt-x-2");
    let reconnect = async {
        while world.stack.platforms().refreshes(Platform::Twitter) == 0 {
            tokio::task::yield_now().await;
        }
        world.import(&[line]).await;
    };
    let (report, ()) = tokio::join!(world.check(json!({})), reconnect);
    assert_eq!(
        (report.auto_refreshed, report.conflicts),
        (0, 1),
        "{report:?}"
    );
    let row = world.row("acme", "x").await;
    assert_eq!((row.credential.generation, row.credential.grant), (2, 2));
    assert_eq!(row.expiry.access_token, Some(start() + TimeDelta::hours(5)));
    let attempts = world.audit("integration#acme#x").await;
    assert_eq!(attempts[0]["result"], "superseded");
}

#[tokio::test]
async fn without_auto_refresh_people_are_told_and_nothing_is_sent() {
    let world = world_of(&[("l", "linkedin", TimeDelta::days(2), true)]).await;
    let report = world.check(json!({"auto_refresh": false})).await;
    assert_eq!(
        (
            report.auto_refreshed,
            report.alerts_published,
            report.urgent
        ),
        (0, 1, 1)
    );
    assert_eq!(world.stack.platforms().refreshes(Platform::Linkedin), 0);
    assert_eq!(
        world
            .check(json!({"auto_refresh": false}))
            .await
            .alerts_published,
        0
    );
    // Refreshing it afterwards is news.
    assert_eq!(world.check(json!({})).await.auto_refreshed, 1);
    assert_eq!(
        world.notifications("olga", "acme").await[0]["type"],
        "integration_token_refreshed"
    );
}

#[tokio::test]
async fn a_larger_window_warns_earlier_and_only_once() {
    let world = world_of(&[("l", "twitter", TimeDelta::days(20), false)]).await;
    assert_eq!(world.check(json!({"days": 7})).await.examined, 0);
    assert_eq!(world.check(json!({"days": 1})).await.examined, 0);
    let report = world.check(json!({"days": 30})).await;
    assert_eq!((report.alerts_published, report.warning), (1, 1));
    assert_eq!(world.check(json!({"days": 30})).await.alerts_published, 0);
    world.pass(TimeDelta::days(14));
    assert_eq!(
        world.check(json!({})).await.alerts_published,
        0,
        "this threshold has been told"
    );
    world.pass(TimeDelta::days(3));
    assert_eq!(world.check(json!({})).await.urgent, 1);
}

#[tokio::test]
async fn a_sweep_stops_before_its_deadline_and_says_so() {
    // Two classes: hourly tokens first, then those of weeks.
    let ids: Vec<String> = (0..100).map(|n| format!("c{n}")).collect();
    let integrations: Vec<_> = ids
        .iter()
        .enumerate()
        .map(|(n, id)| {
            (
                id.as_str(),
                if n % 2 == 0 { "google" } else { "linkedin" },
                TimeDelta::hours(1),
                true,
            )
        })
        .collect();
    let world = world_of(&integrations).await;
    let function = check_tokens::CheckTokens::from_environment(
        &world
            .stack
            .environment()
            .sdk_config_of("CheckTokensFunction"),
        &world.stack.environment().variables("CheckTokensFunction"),
        world.clock.clone(),
    )
    .unwrap();
    // Half-way through, time runs out.
    let deadline = Some(world.now() + TimeDelta::minutes(5));
    let clock = world.clock.clone();
    let report = function
        .sweep(check_tokens::Request::default(), deadline, |report| {
            if report.examined == 20 {
                clock.advance(TimeDelta::minutes(5));
            }
        })
        .await
        .unwrap();
    assert!(report.cut_short, "{report:?}");
    assert!((20..100).contains(&report.examined), "{report:?}");
    let rest = function
        .sweep(check_tokens::Request::default(), None, |_| {})
        .await
        .unwrap();
    assert!(!rest.cut_short);
    assert_eq!(
        report.auto_refreshed + rest.auto_refreshed,
        100,
        "{report:?} {rest:?}"
    );
}

#[tokio::test]
async fn a_platform_that_hangs_keeps_no_other_from_being_refreshed() {
    let ids: Vec<String> = (0..40).map(|n| format!("c{n}")).collect();
    let hour = TimeDelta::hours(1);
    let platform = |n| if n % 8 == 7 { "google" } else { "twitter" };
    let integrations: Vec<_> = ids
        .iter()
        .enumerate()
        .map(|(n, id)| (id.as_str(), platform(n), hour, true))
        .collect();
    let world = world_of(&integrations).await;
    let script: Script =
        serde_json::from_value(json!({"platform": "twitter", "do": {"delay_ms": 1_000}})).unwrap();
    world.stack.platforms().script(script).unwrap();
    let variables = world.stack.environment().variables("CheckTokensFunction");
    let variables: shared::Variables = variables
        .iter()
        .chain([("SWEEP_CONCURRENCY", "4"), ("PLATFORM_CONCURRENCY", "2")])
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let sdk = world.stack.environment().sdk_config();
    let function =
        check_tokens::CheckTokens::from_environment(&sdk, &variables, world.clock.clone()).unwrap();
    // Once all others are refreshed, time runs out.
    let deadline = Some(world.now() + TimeDelta::minutes(5));
    let google = || world.stack.platforms().refreshes(Platform::Google);
    let report = function
        .sweep(check_tokens::Request::default(), deadline, |_| {
            if google() == 5 && deadline > Some(world.now()) {
                world.clock.advance(TimeDelta::minutes(5));
            }
        })
        .await
        .unwrap();
    assert_eq!(google(), 5, "{report:?}");
    assert!(report.cut_short);
    let hung = world.stack.platforms().refreshes(Platform::Twitter);
    assert!(hung <= 4, "{hung} had their turn before all others had");
    // Those that waited come next.
    world.stack.platforms().clear_scripts();
    let rest = world.check(json!({})).await;
    assert_eq!(report.auto_refreshed + rest.auto_refreshed, 40, "{rest:?}");
}

#[tokio::test]
async fn a_sweep_that_died_after_its_claim_is_made_up_for() {
    let world = world_of(&[("g", "google", TimeDelta::hours(1), true)]).await;
    let mut row = world.row("acme", "g").await;
    row.refresh.lease = Some(shared::domain::integration::Lease {
        attempt: "of a dead sweep".to_owned(),
        until: start() + TimeDelta::seconds(60),
    });
    world.integrations().replace(row, start()).await.unwrap();
    assert_eq!(world.check(json!({})).await.auto_refreshed, 0);
    world.pass(TimeDelta::seconds(60));
    assert_eq!(world.check(json!({})).await.auto_refreshed, 1);
}

#[tokio::test]
async fn a_broken_request_is_a_named_failure_in_the_queue() {
    let world = world_of(&[("g", "google", TimeDelta::hours(1), true)]).await;
    for bad in [
        json!({"days": 0}),
        json!({"days": "abc"}),
        json!({"source": "aws.events"}),
        json!("x"),
    ] {
        let error = world
            .stack
            .invoke("CheckTokensFunction", bad)
            .await
            .unwrap_err();
        assert!(
            error.error_message.contains("the payload is not a request"),
            "{error}"
        );
    }
    let lambda = aws_sdk_lambda::Client::new(&world.stack.environment().sdk_config());
    lambda
        .invoke()
        .function_name(
            world
                .stack
                .environment()
                .function_name("CheckTokensFunction"),
        )
        .invocation_type(aws_sdk_lambda::types::InvocationType::Event)
        .payload(aws_sdk_lambda::primitives::Blob::new(
            br#"{"days":1.5}"#.to_vec(),
        ))
        .send()
        .await
        .unwrap();
    world.stack.settled().await;
    let dead = world.stack.queue("FailedSweepsQueue");
    assert_eq!(dead.len(), 1);
    assert!(
        dead[0]
            .body
            .contains("days must be a whole number from 1 to 365, not 1.5"),
        "{}",
        dead[0].body
    );
    assert_eq!(world.row("acme", "g").await.credential.generation, 1);
}

#[tokio::test]
async fn the_sample_events_are_what_the_functions_take() {
    let world = World::new().await;
    for event in [
        include_str!("../../events/check-tokens-daily.json"),
        include_str!("../../events/check-tokens-due.json"),
    ] {
        world.check(serde_json::from_str(event).unwrap()).await;
    }
    let event = serde_json::from_str(include_str!("../../events/authorizer-request.json")).unwrap();
    let error = world
        .stack
        .invoke("RateLimitAuthorizerFunction", event)
        .await
        .unwrap_err();
    assert_eq!(error.error_message, "Unauthorized");
    let mut event: Value =
        serde_json::from_str(include_str!("../../events/api-expiring-tokens.json")).unwrap();
    let answer = world.stack.invoke("ApiFunction", event.clone()).await;
    let answer = answer.unwrap();
    assert_eq!(answer["statusCode"], 200, "{answer}");
    let context = event["requestContext"].as_object_mut().unwrap();
    context.remove("authorizer").unwrap();
    let answer = world.stack.invoke("ApiFunction", event).await.unwrap();
    assert_eq!(answer["statusCode"], 403, "no authorizer has spoken for it");
}

#[tokio::test]
async fn a_credential_whose_key_cannot_be_had_backs_off_and_reaches_people() {
    let world = world_of(&[("g", "google", TimeDelta::hours(1), true)]).await;
    world.check(json!({})).await;
    world.pass(TimeDelta::minutes(50));
    let mut row = world.row("acme", "g").await;
    // Its data key is one that KMS does not unwrap.
    if let Some(token) = &mut row.credential.access_token {
        token.0[20] ^= 1;
    }
    world
        .integrations()
        .replace(row, world.now())
        .await
        .unwrap();
    let report = world.check(json!({})).await;
    assert_eq!(report.failures.len(), 1, "{report:?}");
    assert_eq!(world.check(json!({})).await.examined, 0, "it backs off");
    for _ in 0..24 {
        world.pass(TimeDelta::minutes(5));
        world.check(json!({})).await;
    }
    let told = world.notifications("olga", "acme").await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0]["type"], "integration_token_expired");
}

#[tokio::test]
async fn failures_that_are_not_the_grants_alert_nobody_even_at_first() {
    let hour = TimeDelta::hours(1);
    let world = world_of(&[
        ("t", "google", hour, true),
        ("s", "snapchat", hour, true),
        ("l", "linkedin", hour * 12, true),
    ])
    .await;
    world
        .stack
        .platforms()
        .script(Script::refuse(Platform::Google, "invalid_client"))
        .unwrap();
    refuse(&world, Platform::Snapchat, "rt-s", "server_error");
    refuse(&world, Platform::Linkedin, "rt-l", "server_error");
    world.check(json!({})).await;
    assert_eq!(world.notifications("olga", "acme").await.len(), 0);
    // Twelve hours of life: half of it is waited, and half is left to act in.
    for _ in 0..75 {
        world.pass(TimeDelta::minutes(5));
        world.check(json!({})).await;
    }
    let about: Vec<_> = world
        .notifications("olga", "acme")
        .await
        .into_iter()
        .filter(|n| n["data"]["integration_id"] == "l")
        .collect();
    assert_eq!(about.len(), 1);
    assert_eq!(about[0]["type"], "integration_token_expiring");
}

#[tokio::test]
async fn without_client_credentials_people_are_told_and_the_sweep_fails() {
    let world = world_of(&[
        ("l", "linkedin", TimeDelta::days(2), false),
        ("g", "google", TimeDelta::hours(1), true),
    ])
    .await;
    let variables = world.stack.environment().variables("CheckTokensFunction");
    let variables: shared::Variables = [
        "INTEGRATIONS_TABLE",
        "ORGANIZATIONS_TABLE",
        "AUDIT_TABLE",
        "ALERTS_TOPIC_ARN",
        "TOKEN_KEY_ID",
        "QUOTAS_TABLE",
        "FALLBACK_BUCKET",
    ]
    .into_iter()
    .map(|name| {
        (
            name.to_owned(),
            variables.required(name).unwrap().to_owned(),
        )
    })
    .chain([("PLATFORM_SECRET_ID".to_owned(), "no-such-secret".to_owned())])
    .collect();
    let sdk = world.stack.environment().sdk_config();
    let function =
        check_tokens::CheckTokens::from_environment(&sdk, &variables, world.clock.clone()).unwrap();
    let error = function
        .sweep(check_tokens::Request::default(), None, |_| {})
        .await
        .unwrap_err();
    assert!(
        error.to_string().starts_with("nothing could be refreshed"),
        "{error}"
    );
    world.stack.settled().await;
    assert_eq!(world.notifications("olga", "acme").await.len(), 1);
    assert_eq!(
        world.row("acme", "g").await.version,
        1,
        "untouched, and still due"
    );
    assert_eq!(world.check(json!({})).await.auto_refreshed, 1);
}

#[tokio::test]
async fn the_same_threshold_under_two_windows_is_one_notification() {
    let world = world_of(&[("l", "linkedin", TimeDelta::hours(156), false)]).await;
    let unsent = world.row("acme", "l").await;
    world.check(json!({"days": 30})).await;
    // As if another sweep, with another window, had published just before that was recorded.
    let mut row = world.row("acme", "l").await;
    row.sent_alerts = unsent.sent_alerts;
    world
        .integrations()
        .replace(row, world.now())
        .await
        .unwrap();
    assert_eq!(world.check(json!({})).await.alerts_published, 1);
    assert_eq!(world.notifications("olga", "acme").await.len(), 1);
}

#[tokio::test]
async fn a_reconnect_that_fails_at_once_is_no_good_news() {
    let world = world_of(&[("m", "meta", TimeDelta::days(2), false)]).await;
    refuse(&world, Platform::Meta, "at-m", "190/460");
    world.check(json!({})).await;
    let mut line = integration("m", "meta", Some(TimeDelta::days(50)), false);
    line["access_token"] = json!("at-m-again");
    world.import(&[line]).await;
    world.check(json!({})).await;
    let types = world.notification_kinds("olga").await;
    assert!(
        types
            .iter()
            .all(|kind| kind == "integration_reconnect_required"),
        "{types:?}"
    );
}
