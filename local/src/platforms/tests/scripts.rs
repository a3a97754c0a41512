//! Scripted behaviour and the control route.

use std::time::Duration;

use super::super::{Action, Script, catalog};
use super::*;

#[tokio::test]
async fn a_named_error_comes_as_often_as_asked_and_does_nothing() {
    let world = World::new();
    let platform = Platform::Meta;
    world
        .scripted(json!({"platform": "facebook", "times": 2, "do": {"refuse": "190/460"}}))
        .await;
    for _ in 0..2 {
        let answer = world.refresh(platform, "a0").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.body["error"]["error_subcode"], 460);
    }
    world.renewed(platform, "a0").await;
    let counts = world.platforms.counts()[&platform];
    assert_eq!((counts.refreshes, counts.refused), (3, 2));
}

#[tokio::test]
async fn every_named_error_of_every_platform_can_be_had() {
    for platform in Platform::ALL {
        let world = World::new();
        let mut seen = std::collections::BTreeSet::new();
        for name in catalog::for_platform(platform).names() {
            assert!(seen.insert(name), "{platform} knows {name} twice");
            let script = Script::refuse(platform, name).times(1);
            world.platforms.script(script).unwrap();
            let answer = world.refresh(platform, "t").await;
            let token = tokens(platform, &answer.body)["access_token"].clone();
            assert!(token.is_null() || token == "", "{platform} {name}: {token}");
        }
        for name in [
            "invalid_grant",
            "invalid_client",
            "server_error",
            "html",
            "empty",
        ] {
            assert!(seen.contains(name), "{platform} lacks {name}");
        }
        assert_eq!(world.platforms.counts()[&platform].adopted, 0);
    }
}

#[tokio::test]
async fn a_selector_picks_every_token_of_a_grant() {
    let world = World::new();
    let platform = Platform::Twitter;
    let picked = world.renewed(platform, "first-of-picked").await;
    let other = world.renewed(platform, "first-of-other").await;
    let refresh = text(&picked, "refresh_token").to_owned();
    for selector in [
        "first-of-picked",
        "of-picked",
        text(&picked, "access_token"),
        &refresh,
    ] {
        world.platforms.clear_scripts();
        world
            .scripted(json!({"token": selector, "do": {"refuse": "server_error"}}))
            .await;
        let answer = world.refresh(platform, &refresh).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{selector}");
    }
    world.renewed(platform, text(&other, "refresh_token")).await;
    world
        .send(Request::delete("/control").body(Body::empty()).unwrap())
        .await;
    world.renewed(platform, &refresh).await;
}

#[tokio::test]
async fn a_revoked_grant_stays_dead_on_every_platform() {
    for platform in Platform::ALL {
        let world = World::new();
        world.change_rules(platform, |rules| rules.minimum_age = 0);
        let issued = world.renewed(platform, "first").await;
        let next = match platform {
            Platform::Meta | Platform::Instagram | Platform::Threads => {
                text(&issued, "access_token")
            }
            Platform::Google => "first",
            _ => text(&issued, "refresh_token"),
        };
        world
            .scripted(
                json!({"platform": platform.name(), "token": next, "times": 1, "do": "revoke"}),
            )
            .await;
        world.platforms.clear_scripts();
        let answer = world.refresh(platform, next).await;
        assert!(
            is_dead(platform, &answer.body),
            "{platform}: {}",
            answer.body
        );
        assert_eq!(world.platforms.counts()[&platform].live_grants, 0);
        world.renewed(platform, "second").await;
    }
}

#[tokio::test]
async fn a_revocation_waits_for_a_grant_not_yet_seen() {
    let world = World::new();
    world
        .scripted(json!({"token": "doomed", "times": 1, "do": "revoke"}))
        .await;
    world.renewed(Platform::Google, "spared").await;
    for _ in 0..2 {
        let answer = world.refresh(Platform::Google, "doomed").await;
        assert!(is_dead(Platform::Google, &answer.body));
    }
    world
        .renewed(Platform::Google, "doomed-too-but-once-was-asked")
        .await;
}

#[tokio::test]
async fn throttling_uses_each_platforms_own_place() {
    let world = World::new();
    world
        .scripted(json!({"do": {"throttle": {"retry_after": 90}}}))
        .await;
    for platform in Platform::ALL {
        let answer = world.refresh(platform, "t").await;
        let (status, body, headers) = (answer.status, &answer.body, &answer.headers);
        match platform {
            Platform::Meta | Platform::Instagram | Platform::Threads => {
                assert_eq!(
                    (status, &body["error"]["code"]),
                    (StatusCode::BAD_REQUEST, &json!(4))
                );
                let usage = headers["x-business-use-case-usage"].to_str().unwrap();
                let usage: Value = serde_json::from_str(usage).unwrap();
                let first = &usage.as_object().unwrap().values().next().unwrap()[0];
                assert_eq!(first["estimated_time_to_regain_access"], 2);
            }
            Platform::TiktokBusiness => {
                assert_eq!((status, &body["code"]), (StatusCode::OK, &json!(40100)));
            }
            _ => assert_eq!(status, StatusCode::TOO_MANY_REQUESTS, "{platform}"),
        }
        match platform {
            Platform::Twitter => {
                let reset = world.clock.now().timestamp() + 90;
                assert_eq!(headers["x-rate-limit-reset"], reset.to_string());
                assert_eq!(body["errors"][0]["code"], 88);
            }
            Platform::Google => {
                let details = &body["error"]["details"][0]["errors"][0]["details"];
                assert_eq!(details["quotaErrorDetails"]["retryDelay"], "90s");
            }
            Platform::Meta | Platform::Instagram | Platform::Threads => {}
            _ => assert_eq!(headers["retry-after"], "90", "{platform}"),
        }
    }
}

#[tokio::test]
async fn a_lost_answer_has_acted_and_the_connection_closes() {
    let world = World::new();
    let platform = Platform::Tiktok;
    let script = Script::new(Action::LoseAnswer).on(platform).times(1);
    world.platforms.script(script).unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let server = axum::serve(listener, world.platforms.router());
    let server = tokio::spawn(server.into_future());

    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(10))
        .build()
        .unwrap();
    let send = || {
        let form = [
            ("client_key", "id"),
            ("client_secret", "secret"),
            ("grant_type", "refresh_token"),
            ("refresh_token", "r0"),
        ];
        let url = text(&endpoints(&base)["tiktok"], "token").to_owned();
        client.post(url).form(&form).send()
    };
    let lost = send().await.unwrap_err();
    assert!(
        lost.is_request() && !lost.is_timeout() && !lost.is_connect(),
        "{lost:?}"
    );
    let counts = world.platforms.counts()[&platform];
    assert_eq!((counts.refreshes, counts.refused), (1, 0), "it acted, once");
    let again: Value = send().await.unwrap().json().await.unwrap();
    assert_eq!(
        again["error"], "invalid_grant",
        "the refresh token was used up"
    );
    server.abort();
}

#[tokio::test]
async fn a_delay_goes_together_with_another_script() {
    let world = World::new();
    world.scripted(json!({"do": {"delay_ms": 1}})).await;
    world
        .scripted(json!({"times": 1, "do": {"refuse": "html"}}))
        .await;
    let answer = world.refresh(Platform::Google, "t").await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    assert_eq!(answer.headers["content-type"], "text/html");
    world.renewed(Platform::Google, "t").await;
}

#[tokio::test]
async fn an_answer_can_be_given_word_by_word_to_exchanges_or_probes() {
    let world = World::new();
    let respond =
        json!({"status": 418, "body": "no", "headers": {"Content-Type": "text/plain", "x-a": "b"}});
    world
        .scripted(json!({"platform": "linkedin", "on": "probe", "do": {"respond": respond}}))
        .await;
    world.renewed(Platform::Linkedin, "r0").await;
    let answer = world.probe(Platform::Linkedin, "r0").await;
    assert_eq!((answer.status.as_u16(), answer.body), (418, json!("no")));
    assert_eq!(answer.headers["x-a"], "b");
    assert_eq!(answer.headers["content-type"], "text/plain");
}

#[tokio::test]
async fn a_command_that_makes_no_sense_is_explained() {
    let world = World::new();
    for (command, explanation) in [
        (
            json!({"platform": "meta", "do": {"refuse": "nope"}}),
            "unknown error \"nope\"; meta knows 190, 190/458",
        ),
        (
            json!({"platform": "myspace", "do": "revoke"}),
            "unknown platform \"myspace\"; known are meta",
        ),
        (json!({"platform": "meta"}), "missing field `do`"),
        (
            json!({"do": "explode"}),
            "unknown variant `explode`, expected one of `refuse`",
        ),
        (
            json!({"do": "revoke", "tmies": 1}),
            "unknown field `tmies`, expected one of",
        ),
        (json!({"do": "revoke", "times": 0}), "nonzero"),
        (
            json!({"do": "revoke", "token": ""}),
            "token: must not be empty",
        ),
        (
            json!({"do": {"respond": {"status": 42}}}),
            "respond.status: 42",
        ),
        (
            json!({"do": {"respond": {"status": 200, "headers": {"a b": "c"}}}}),
            "\"a b\" is no header name",
        ),
        (
            json!({"platform": "meta", "rules": {"grace": 1}}),
            "unknown field `grace`",
        ),
        (json!({"rules": {}}), "platform"),
        (json!([]), "invalid"),
    ] {
        let answer = world.control(command.clone()).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{command}");
        let error = text(&answer.body, "error");
        assert!(error.contains(explanation), "{command}: {error}");
    }
    let answer = world
        .send(post("/control", "text/plain", "{".to_owned()))
        .await;
    assert!(text(&answer.body, "error").starts_with("not a JSON document"));
}

#[tokio::test]
async fn the_control_route_counts_and_changes_rules_and_never_tells_a_token() {
    let world = World::new();
    world
        .scripted(json!({"platform": "x", "rules": {"grace_window": 30, "family_kill": false}}))
        .await;
    let rules = world.platforms.rules(Platform::Twitter);
    assert_eq!(
        (rules.grace_window, rules.family_kill, rules.access_lifetime),
        (30, false, 7_200)
    );

    world.renewed(Platform::Twitter, "r0").await;
    let counts = world.send(get("/control")).await.body;
    assert_eq!(counts.as_object().unwrap().len(), Platform::ALL.len());
    assert_eq!(
        counts["twitter"],
        json!({
            "refreshes": 1, "refused": 0, "calls": 0, "writes": 0, "adopted": 1, "live_grants": 1,
        })
    );
    assert!(!counts.to_string().contains("sim."));
}
