//! Calls that are refused: by the token, the limit, the path, or a script.

use super::api::{Kind, call};
use super::*;

/// Asserts that a call's token was refused, in the platform's own words.
fn assert_refused(platform: Platform, answer: &Received) {
    let body = &answer.body;
    let (status, told) = match platform {
        Platform::Meta | Platform::Instagram | Platform::Threads => {
            (400, body["error"]["code"] == 190)
        }
        Platform::TiktokBusiness => (200, body["code"] == 40105),
        Platform::Tiktok => (401, body["error"]["code"] == "access_token_invalid"),
        Platform::Linkedin => (401, body["serviceErrorCode"].is_u64()),
        Platform::Twitter => (401, body["type"] == "about:blank"),
        Platform::Google => (401, body["error"]["status"] == "UNAUTHENTICATED"),
        Platform::Snapchat => (401, body["request_status"] == "ERROR"),
    };
    assert_eq!(answer.status.as_u16(), status, "{platform}: {body}");
    assert!(told, "{platform}: {body}");
}

fn assert_accepted(platform: Platform, answer: &Received) {
    let body = &answer.body;
    assert!(answer.status.is_success(), "{platform}: {body}");
    if platform == Platform::TiktokBusiness {
        assert_eq!(body["code"], 0, "{body}");
    }
}

#[tokio::test]
async fn a_revoked_token_is_refused_and_another_grants_is_not() {
    for platform in Platform::ALL {
        let world = World::new();
        let kinds = [Kind::Profile, Kind::List, Kind::Write];
        world.send(call(platform, Kind::Profile, "doomed")).await;
        world
            .scripted(json!({"token": "doomed", "do": "revoke"}))
            .await;
        for kind in kinds {
            assert_refused(platform, &world.send(call(platform, kind, "doomed")).await);
            assert_accepted(platform, &world.send(call(platform, kind, "spared")).await);
        }
        assert_eq!(world.platforms.counts()[&platform].writes, 1);
    }
}

#[tokio::test]
async fn a_token_dies_in_calls_once_a_newer_one_is_issued_where_the_rules_say() {
    for platform in Platform::ALL {
        let world = World::new();
        world.change_rules(platform, |rules| rules.minimum_age = 0);
        let rules = world.platforms.rules(platform);
        assert_eq!(rules.old_access_dies, rules.rotates, "{platform}");
        let old = world.renewed(platform, "r0").await;
        let next = match platform {
            Platform::Meta | Platform::Instagram | Platform::Threads => text(&old, "access_token"),
            Platform::Google => "r0",
            _ => text(&old, "refresh_token"),
        };
        let new = world.renewed(platform, next).await;
        let [old, new] = [&old, &new].map(|tokens| text(tokens, "access_token"));
        let probed = world.probe(platform, old).await.status;
        assert_eq!(
            probed,
            StatusCode::OK,
            "{platform}: a probe tells another truth"
        );
        for dies in [true, false] {
            world.change_rules(platform, |rules| rules.old_access_dies = dies);
            let answer = world.send(call(platform, Kind::Write, old)).await;
            match dies {
                true => assert_refused(platform, &answer),
                false => assert_accepted(platform, &answer),
            }
            assert_accepted(
                platform,
                &world.send(call(platform, Kind::Write, new)).await,
            );
        }
    }
}

#[tokio::test]
async fn an_expired_token_and_a_refresh_token_are_refused() {
    for platform in Platform::ALL {
        let world = World::new();
        let issued = world.renewed(platform, "r0").await;
        let access = text(&issued, "access_token");
        let rules = world.platforms.rules(platform);
        if rules.rotates {
            let answer = call(platform, Kind::List, text(&issued, "refresh_token"));
            assert_refused(platform, &world.send(answer).await);
        }
        assert_accepted(
            platform,
            &world.send(call(platform, Kind::List, access)).await,
        );
        world.pass(rules.access_lifetime);
        let over = world.send(call(platform, Kind::List, access)).await;
        match platform {
            Platform::TiktokBusiness => assert_eq!(over.body["code"], 40102),
            Platform::Linkedin => assert_eq!(over.body["serviceErrorCode"], 65602),
            _ => assert_refused(platform, &over),
        }
    }
}

#[tokio::test]
async fn a_grant_that_calls_too_often_waits_until_the_window_has_passed() {
    for platform in Platform::ALL {
        let world = World::new();
        world.change_rules(platform, |rules| {
            rules.calls_limit = Some(2);
            rules.calls_window = 600;
        });
        for _ in 0..2 {
            assert_accepted(platform, &world.send(call(platform, Kind::List, "t")).await);
            world.pass(60);
        }
        let over = world.send(call(platform, Kind::Write, "t")).await;
        let (body, headers) = (&over.body, &over.headers);
        let status = match platform {
            Platform::Meta | Platform::Instagram | Platform::Threads => 400,
            Platform::TiktokBusiness => 200,
            _ => 429,
        };
        assert_eq!(over.status.as_u16(), status, "{platform}: {body}");
        match platform {
            Platform::Meta | Platform::Threads => assert_eq!(body["error"]["code"], 4),
            Platform::Instagram => assert_eq!(body["error"]["code"], 80002),
            Platform::Tiktok => assert_eq!(body["error"]["code"], "rate_limit_exceeded"),
            Platform::TiktokBusiness => assert_eq!(body["code"], 40100),
            Platform::Linkedin => assert_eq!(body["code"], "TOO_MANY_REQUESTS"),
            Platform::Twitter => {
                let reset = (world.clock.now().timestamp() + 480).to_string();
                assert_eq!(headers["x-rate-limit-remaining"], "0");
                assert_eq!(headers["x-rate-limit-reset"], reset);
            }
            Platform::Google => {
                let details = &body["error"]["details"][0]["errors"][0]["details"];
                assert_eq!(details["quotaErrorDetails"]["retryDelay"], "480s");
                assert_eq!(details["quotaErrorDetails"]["rateScope"], "DEVELOPER");
            }
            Platform::Snapchat => assert_eq!(body["request_status"], "ERROR"),
        }
        assert_eq!(world.platforms.counts()[&platform].writes, 0, "{platform}");
        assert_accepted(
            platform,
            &world.send(call(platform, Kind::List, "other")).await,
        );
        world.pass(480);
        assert_accepted(
            platform,
            &world.send(call(platform, Kind::Write, "t")).await,
        );
    }
}

#[tokio::test]
async fn a_script_picks_calls_and_a_profile_that_is_a_probe_by_either_name() {
    for platform in Platform::ALL {
        let world = World::new();
        let respond = json!({"respond": {"status": 418}});
        world
            .scripted(json!({"on": "call", "token": "picked", "times": 3, "do": respond}))
            .await;
        world
            .scripted(json!({"on": "refresh", "do": {"refuse": "html"}}))
            .await;
        for kind in [Kind::Profile, Kind::List, Kind::Write] {
            let spared = world.send(call(platform, kind, "spared")).await;
            assert_accepted(platform, &spared);
            let picked = world.send(call(platform, kind, "picked")).await;
            assert_eq!(picked.status.as_u16(), 418, "{platform}");
        }
        assert_accepted(
            platform,
            &world.send(call(platform, Kind::List, "picked")).await,
        );

        world.scripted(json!({"on": "probe", "do": respond})).await;
        assert_accepted(platform, &world.send(call(platform, Kind::List, "t")).await);
        let probes = super::super::catalog::for_platform(platform).probes;
        let profile = call(platform, Kind::Profile, "t");
        let is_probe = probes
            .iter()
            .any(|probe| probe.path == profile.uri().path());
        let answer = world.send(profile).await;
        assert_eq!(answer.status == 418, is_probe, "{platform}");
    }
}

#[tokio::test]
async fn a_script_throttles_delays_and_refuses_calls_by_name() {
    let world = World::new();
    for (platform, name, status) in [
        (Platform::Meta, "80004", 400),
        (Platform::Twitter, "forbidden", 403),
        (Platform::Linkedin, "403", 403),
        (Platform::Tiktok, "scope_not_authorized", 401),
        (Platform::Google, "USER_PERMISSION_DENIED", 403),
    ] {
        let refuse =
            json!({"on": "call", "platform": platform, "times": 1, "do": {"refuse": name}});
        world.scripted(refuse).await;
        let answer = world.send(call(platform, Kind::Write, "t")).await;
        assert_eq!(
            answer.status.as_u16(),
            status,
            "{platform}: {}",
            answer.body
        );
    }
    world
        .scripted(json!({"on": "call", "do": {"delay_ms": 1}}))
        .await;
    world
        .scripted(json!({"on": "any", "times": 1, "do": {"throttle": {"retry_after": 9}}}))
        .await;
    let answer = world.send(call(Platform::Snapchat, Kind::List, "t")).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.headers["retry-after"]),
        (429, &"9".parse().unwrap())
    );
    let answer = world.send(call(Platform::Snapchat, Kind::List, "t")).await;
    assert_accepted(Platform::Snapchat, &answer);
}
