//! The free probes.

use super::*;

#[tokio::test]
async fn a_living_token_shows_and_a_revoked_one_does_not() {
    for platform in Platform::ALL {
        let world = World::new();
        let (living, dead) = ("living-token", "doomed-token");
        world
            .scripted(json!({"token": "doomed", "do": "revoke"}))
            .await;
        let seen = world.probe(platform, living).await;
        assert_eq!(seen.status, StatusCode::OK, "{platform}: {}", seen.body);
        let lost = world.probe(platform, dead).await;
        let body = &lost.body;
        match platform {
            Platform::Meta => {
                assert_eq!(seen.body["data"]["is_valid"], true);
                assert_eq!(body["data"]["is_valid"], false);
                assert_eq!(body["data"]["error"]["subcode"], 458);
            }
            Platform::Instagram | Platform::Threads => {
                assert_eq!(body["error"]["error_subcode"], 458);
            }
            Platform::Tiktok => {
                assert_eq!(seen.body["error"]["code"], "ok");
                assert_eq!(body["error"]["code"], "access_token_invalid");
            }
            Platform::TiktokBusiness => {
                assert_eq!(seen.body["code"], 0);
                assert_eq!(
                    (lost.status, &body["code"]),
                    (StatusCode::OK, &json!(40105))
                );
            }
            Platform::Linkedin => {
                assert_eq!(seen.body["status"], "active");
                assert_eq!(body["status"], "revoked");
                assert_eq!(body["active"], false);
            }
            Platform::Twitter => {
                assert_eq!(lost.headers["content-type"], "application/problem+json");
                assert_eq!(body["title"], "Unauthorized");
            }
            Platform::Google => {
                let error = &body["error"]["details"][0]["errors"][0]["errorCode"];
                assert_eq!(error["authenticationError"], "OAUTH_TOKEN_REVOKED");
            }
            Platform::Snapchat => {
                assert_eq!(seen.body["request_status"], "SUCCESS");
                assert_eq!(lost.status, StatusCode::UNAUTHORIZED);
            }
        }
        let probes_count_nowhere = world.platforms.refreshes(platform);
        assert_eq!(probes_count_nowhere, 0);
    }
}

#[tokio::test]
async fn an_issued_access_token_expires_and_its_refresh_token_does_not() {
    for platform in [
        Platform::Tiktok,
        Platform::TiktokBusiness,
        Platform::Linkedin,
        Platform::Twitter,
        Platform::Google,
        Platform::Snapchat,
    ] {
        let world = World::new();
        let issued = world.renewed(platform, "r0").await;
        let access = text(&issued, "access_token");
        world.pass(issued["expires_in"].as_i64().unwrap() - 1);
        let alive = world.probe(platform, access).await;
        world.pass(1);
        let over = world.probe(platform, access).await;
        assert_ne!(alive.body, over.body, "{platform}");
        match platform {
            Platform::TiktokBusiness => assert_eq!(over.body["code"], 40102),
            Platform::Linkedin => assert_eq!(over.body["status"], "expired"),
            _ => assert_eq!(over.status, StatusCode::UNAUTHORIZED, "{platform}"),
        }
        let refresh = issued["refresh_token"].as_str().unwrap_or("r0");
        world.renewed(platform, refresh).await;
    }
}

#[tokio::test]
async fn debug_token_tells_both_clocks_and_only_one_is_renewed() {
    let world = World::new();
    let platform = Platform::Meta;
    let start = world.clock.now().timestamp();
    let first = world.probe(platform, "a0").await.body;
    assert_eq!(first["data"]["expires_at"], start + 5_183_944);
    assert_eq!(first["data"]["data_access_expires_at"], start + 90 * DAY);
    world.pass(30 * DAY);
    let renewed = world.renewed(platform, "a0").await;
    let second = world
        .probe(platform, text(&renewed, "access_token"))
        .await
        .body;
    assert_eq!(second["data"]["issued_at"], start + 30 * DAY);
    assert_eq!(second["data"]["expires_at"], start + 30 * DAY + 5_183_944);
    assert_eq!(second["data"]["data_access_expires_at"], start + 90 * DAY);
    assert_eq!(second["data"]["user_id"], first["data"]["user_id"]);
}

#[tokio::test]
async fn linkedin_introspects_a_refresh_token_too() {
    let world = World::new();
    let start = world.clock.now().timestamp();
    world.renewed(Platform::Linkedin, "r0").await;
    world.pass(DAY);
    let seen = world.probe(Platform::Linkedin, "r0").await.body;
    assert_eq!(seen["expires_at"], start + 365 * DAY);
    assert_eq!(seen["authorized_at"], start);
}

#[tokio::test]
async fn an_advertisers_token_lives_for_ever_until_revoked() {
    let world = World::new();
    let platform = Platform::TiktokBusiness;
    world.probe(platform, "advertiser").await;
    world.pass(5_000 * DAY);
    assert_eq!(world.probe(platform, "advertiser").await.body["code"], 0);
    world
        .scripted(json!({"platform": "tiktok_business", "token": "advertiser", "do": "revoke"}))
        .await;
    assert_eq!(
        world.probe(platform, "advertiser").await.body["code"],
        40105
    );
}

#[tokio::test]
async fn a_probe_needs_a_token_and_the_right_caller() {
    let world = World::new();
    for platform in Platform::ALL {
        world.platforms.expect_client(platform, "other", "secret");
    }
    for (platform, field, code) in [
        (Platform::Meta, "/error/code", json!(190)),
        (Platform::Linkedin, "/error", json!("invalid_client")),
        (Platform::TiktokBusiness, "/code", json!(40101)),
    ] {
        let answer = world.probe(platform, "a0").await.body;
        assert_eq!(answer.pointer(field), Some(&code), "{platform}: {answer}");
    }
    let answer = world.send(get("/twitter/2/users/me")).await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}
