//! The shapes of requests and answers.

use super::*;

fn keys(body: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = body
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

#[test]
fn the_endpoints_end_like_the_real_ones() {
    let endpoints = endpoints("http://127.0.0.1:9/");
    assert_eq!(endpoints.as_object().unwrap().len(), Platform::ALL.len());
    assert_eq!(
        endpoints["meta"],
        json!({
            "token": "http://127.0.0.1:9/meta/oauth/access_token",
            "code": "http://127.0.0.1:9/meta/oauth/access_token",
            "authorize": "http://127.0.0.1:9/meta/dialog/oauth",
            "api": "http://127.0.0.1:9/meta",
            "hosts": {
                "graph": "http://127.0.0.1:9/meta",
                "graph-video": "http://127.0.0.1:9/meta-video",
            },
        })
    );
    for (platform, end) in [
        ("tiktok", "/v2/oauth/token/"),
        (
            "tiktok_business",
            "/open_api/v1.3/tt_user/oauth2/refresh_token/",
        ),
        ("linkedin", "/oauth/v2/accessToken"),
        ("twitter", "/2/oauth2/token"),
        ("snapchat", "/login/oauth2/access_token"),
    ] {
        let token = text(&endpoints[platform], "token");
        assert!(token.ends_with(end), "{token}");
    }
}

#[tokio::test]
async fn every_platform_answers_in_its_own_shape() {
    for (platform, fields, access, refresh) in [
        (
            Platform::Meta,
            "access_token expires_in token_type",
            5_183_944,
            None,
        ),
        (
            Platform::Instagram,
            "access_token expires_in token_type",
            5_183_944,
            None,
        ),
        (
            Platform::Threads,
            "access_token expires_in token_type",
            5_183_944,
            None,
        ),
        (
            Platform::Tiktok,
            "access_token expires_in open_id refresh_expires_in refresh_token scope token_type",
            7_200,
            Some(("refresh_expires_in", 180 * DAY)),
        ),
        (
            Platform::TiktokBusiness,
            "access_token expires_in open_id refresh_token refresh_token_expires_in scope token_type",
            DAY,
            Some(("refresh_token_expires_in", 365 * DAY)),
        ),
        (
            Platform::Linkedin,
            "access_token expires_in refresh_token refresh_token_expires_in scope",
            60 * DAY,
            Some(("refresh_token_expires_in", 365 * DAY)),
        ),
        (
            Platform::Twitter,
            "access_token expires_in refresh_token scope token_type",
            7_200,
            None,
        ),
        (
            Platform::Google,
            "access_token expires_in scope token_type",
            3_599,
            None,
        ),
        (
            Platform::Snapchat,
            "access_token expires_in refresh_token scope token_type",
            3_600,
            None,
        ),
    ] {
        let world = World::new();
        let answer = world.refresh(platform, "first-token").await;
        assert_eq!(answer.status, StatusCode::OK, "{platform}: {}", answer.body);
        assert_eq!(answer.headers["content-type"], "application/json");
        let body = tokens(platform, &answer.body);
        assert_eq!(keys(&body).join(" "), fields, "{platform}");
        assert_eq!(body["expires_in"], access, "{platform}");
        if let Some((field, life)) = refresh {
            assert_eq!(body[field], life, "{platform}");
        }
        let prefix = format!("sim.{platform}.");
        assert!(text(&body, "access_token").starts_with(&prefix));
        if platform == Platform::TiktokBusiness {
            assert_eq!(answer.body["code"], 0);
            assert_eq!(answer.body["message"], "OK");
        }
        let separator = match platform {
            Platform::Twitter => ' ',
            Platform::Tiktok | Platform::TiktokBusiness | Platform::Linkedin => ',',
            _ => continue,
        };
        assert!(text(&body, "scope").contains(separator), "{platform}");
    }
}

#[tokio::test]
async fn meta_takes_a_form_too_and_instagram_only_a_query() {
    let world = World::new();
    let form = "grant_type=fb_exchange_token&fb_exchange_token=t&client_id=a&client_secret=b";
    let path = token_path(Platform::Meta);
    let answer = world.send(post(&path, FORM, form.to_owned())).await;
    assert_eq!(answer.body["expires_in"], 5_183_944);

    let path = token_path(Platform::Instagram);
    let answer = world.send(post(&path, FORM, String::new())).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
}

#[tokio::test]
async fn a_body_in_the_wrong_encoding_is_refused() {
    let world = World::new();
    for platform in Platform::ALL {
        if matches!(platform, Platform::Instagram | Platform::Threads) {
            continue;
        }
        let wrong = match platform {
            Platform::TiktokBusiness => FORM,
            _ => "application/json",
        };
        let request = post(&token_path(platform), wrong, "{}".to_owned());
        let answer = world.send(request).await;
        let code = match platform {
            Platform::Meta => json!(100),
            Platform::TiktokBusiness => json!(40002),
            _ => json!("invalid_request"),
        };
        let body = &answer.body;
        let found = [&body["error"]["code"], &body["code"], &body["error"]];
        assert!(found.contains(&&code), "{platform}: {body}");
    }
}

/// Sends the right request with one text replaced, in its address or its body.
async fn altered(world: &World, platform: Platform, from: &str, to: &str) -> Received {
    let (parts, body) = refresh_request(platform, "first-token").into_parts();
    let body = String::from_utf8(to_bytes(body, 9_999).await.unwrap().to_vec()).unwrap();
    let path = parts.uri.to_string();
    assert!(
        path.contains(from) || body.contains(from),
        "{platform}: no {from} in {path} {body}"
    );
    let mut request = Request::builder()
        .method(parts.method)
        .uri(path.replace(from, to))
        .body(Body::from(body.replace(from, to)))
        .unwrap();
    *request.headers_mut() = parts.headers;
    world.send(request).await
}

#[tokio::test]
async fn a_wrong_grant_type_is_refused_in_every_platforms_words() {
    for platform in Platform::ALL {
        let world = World::new();
        let wanted = match platform {
            Platform::Meta => "grant_type=fb_exchange_token",
            Platform::Instagram => "grant_type=ig_refresh_token",
            Platform::Threads => "grant_type=th_refresh_token",
            Platform::TiktokBusiness => r#""grant_type":"refresh_token""#,
            _ => "grant_type=refresh_token",
        };
        let wrong = wanted
            .replace("fb_exchange_token", "x")
            .replace("refresh_token", "x");
        let wrong = wrong.replace("ig_x", "x").replace("th_x", "x");
        let answer = altered(&world, platform, wanted, &wrong).await;
        let body = &answer.body;
        match platform {
            Platform::Meta | Platform::Instagram | Platform::Threads => {
                assert_eq!(body["error"]["code"], 100);
            }
            Platform::TiktokBusiness => assert_eq!(body["code"], 40108),
            _ => assert_eq!(body["error"], "unsupported_grant_type", "{platform}"),
        }
        assert_eq!(world.platforms.counts()[&platform].adopted, 0);
    }
}

#[tokio::test]
async fn a_missing_token_is_refused_in_every_platforms_words() {
    for platform in Platform::ALL {
        let world = World::new();
        let answer = altered(&world, platform, "first-token", "").await;
        let body = &answer.body;
        match platform {
            Platform::Meta | Platform::Instagram | Platform::Threads => {
                assert_eq!(body["error"]["code"], 100);
            }
            Platform::TiktokBusiness => assert_eq!(body["code"], 40104),
            _ => assert_eq!(body["error"], "invalid_request", "{platform}"),
        }
        // TikTok's token endpoint says no with HTTP 200.
        let status = match platform {
            Platform::Tiktok | Platform::TiktokBusiness => 200,
            _ => 400,
        };
        assert_eq!(answer.status, status, "{platform}");
    }
}

#[tokio::test]
async fn wrong_client_credentials_are_the_clients_fault_not_the_tokens() {
    for platform in Platform::ALL {
        if matches!(platform, Platform::Instagram | Platform::Threads) {
            continue;
        }
        let world = World::new();
        world.platforms.expect_client(platform, "id", "secret");
        world.renewed(platform, "another-token").await;
        world.platforms.expect_client(platform, "other", "secret");
        let answer = world.refresh(platform, "first-token").await;
        let body = &answer.body;
        match platform {
            Platform::Meta => assert_eq!(body["error"]["code"], 101),
            Platform::TiktokBusiness => assert_eq!(body["code"], 40101),
            Platform::Twitter => assert_eq!(body["error"], "unauthorized_client"),
            _ => assert_eq!(body["error"], "invalid_client", "{platform}"),
        }
        assert!(!is_dead(platform, body), "{platform}");
        let status = match platform {
            Platform::Meta => 400,
            Platform::Tiktok | Platform::TiktokBusiness => 200,
            _ => 401,
        };
        assert_eq!(answer.status, status, "{platform}");
        world.platforms.expect_client(platform, "id", "secret");
        world.renewed(platform, "first-token").await;
    }
}

#[tokio::test]
async fn x_wants_basic_from_a_confidential_client() {
    let world = World::new();
    let path = token_path(Platform::Twitter);
    let form = "grant_type=refresh_token&refresh_token=";
    let public = world
        .send(post(&path, FORM, format!("{form}a&client_id=id")))
        .await;
    assert_eq!(public.status, StatusCode::OK, "{}", public.body);

    let posted = format!("{form}b&client_id=id&client_secret=secret");
    let posted = world.send(post(&path, FORM, posted)).await;
    assert_eq!(posted.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        posted.body["error_description"],
        "Missing valid authorization header"
    );

    world
        .platforms
        .expect_client(Platform::Twitter, "id", "secret");
    let public = world
        .send(post(&path, FORM, format!("{form}c&client_id=id")))
        .await;
    assert_eq!(public.body["error"], "unauthorized_client");
    world.renewed(Platform::Twitter, "d").await;
}

#[tokio::test]
async fn meta_says_a_wrong_secret_with_the_code_of_an_unknown_error() {
    let world = World::new();
    world
        .platforms
        .expect_client(Platform::Meta, "id", "another");
    let answer = world.refresh(Platform::Meta, "t").await;
    assert_eq!(answer.body["error"]["code"], 1);
    assert_eq!(
        answer.body["error"]["message"],
        "Error validating client secret."
    );
}
