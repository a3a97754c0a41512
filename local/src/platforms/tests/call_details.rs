//! What only one platform's API does, and the answer that never ends.

use std::time::Duration;

use futures::StreamExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::api::{Kind, call, call_at};
use super::*;

const PROOF: &str = "55a1708ccb9b43137fd11076cc94c5d2a937767f407eb3d05f7a6135a31f1a15";

fn header(answer: &Received, name: &str) -> Value {
    serde_json::from_str(answer.headers[name].to_str().unwrap()).unwrap()
}

#[tokio::test]
async fn the_graph_apis_take_any_version_and_the_token_in_three_places() {
    for (platform, path) in [
        (Platform::Meta, "/meta"),
        (Platform::Instagram, "/instagram"),
        (Platform::Threads, "/threads"),
    ] {
        let world = World::new();
        for version in ["", "/v1.0", "/v25.0", "/v26.0"] {
            let profile = format!("{path}{version}/me");
            let by_header = world.send(call_at(platform, &profile, None, "t")).await;
            let by_query = world.send(get(&format!("{profile}?access_token=t"))).await;
            assert!(by_header.body["id"].is_string(), "{}", by_header.body);
            assert_eq!(by_header.body, by_query.body);
            let by_library = world.send(get(&format!("{profile}/?access_token=t"))).await;
            assert_eq!(by_header.body, by_library.body);
            let nobody = world.send(get(&profile)).await;
            assert_eq!(nobody.body["error"]["code"], 2500);
        }
        let form = "access_token=t&message=Hello&media_type=TEXT".to_owned();
        let edge = match platform {
            Platform::Meta => "feed",
            Platform::Instagram => "media",
            _ => "threads",
        };
        let made = world
            .send(post(&format!("{path}/me/{edge}"), FORM, form))
            .await;
        assert!(made.body["id"].is_string(), "{}", made.body);
        let nobody = world
            .send(post(&format!("{path}/1/{edge}"), FORM, String::new()))
            .await;
        assert_eq!(nobody.body["error"]["code"], 104);
    }
}

#[tokio::test]
async fn the_graph_apis_next_page_is_an_address_with_the_token_in_it() {
    let world = World::new();
    let mut request = call_at(
        Platform::Meta,
        "/meta/v26.0/me/feed?limit=2&fields=id",
        None,
        "t&",
    );
    request
        .headers_mut()
        .insert("host", "127.0.0.1:9".parse().unwrap());
    let page = world.send(request).await.body;
    assert_eq!(page["data"].as_array().unwrap().len(), 2);
    assert_eq!(
        page["paging"]["next"],
        "http://127.0.0.1:9/meta/v26.0/me/feed?fields=id&access_token=t%26&limit=2&after=Mg%3D%3D"
    );
    assert_eq!(page["paging"]["cursors"]["after"], "Mg==");
}

#[tokio::test]
async fn the_graph_apis_usage_rises_with_use() {
    let world = World::new();
    let platform = Platform::Meta;
    world.change_rules(platform, |rules| rules.calls_limit = Some(4));
    for (percent, minutes) in [(25, 0), (50, 0), (75, 0), (100, 55), (100, 54)] {
        let answer = world
            .send(call_at(platform, "/meta/act_7/campaigns", None, "t"))
            .await;
        assert_eq!(header(&answer, "x-app-usage")["call_count"], percent);
        let business = &header(&answer, "x-business-use-case-usage")["7"][0];
        assert_eq!(business["type"], "ads_management");
        assert_eq!(business["call_count"], percent);
        assert_eq!(business["estimated_time_to_regain_access"], minutes);
        let account = header(&answer, "x-ad-account-usage");
        assert_eq!(account["acc_id_util_pct"], percent);
        assert!(account["reset_time_duration"].as_u64().unwrap() <= 3_600);
        world.pass(100);
    }
    let over = world
        .send(call_at(platform, "/meta/act_7/campaigns", None, "t"))
        .await;
    assert_eq!(over.body["error"]["code"], 80004);
    let page = world.send(call(platform, Kind::List, "other")).await;
    assert!(!page.headers.contains_key("x-ad-account-usage"));
    let business = header(&page, "x-business-use-case-usage");
    assert_eq!(
        business.as_object().unwrap().values().next().unwrap()[0]["type"],
        "pages"
    );
}

#[tokio::test]
async fn xs_remaining_calls_go_down_and_its_profile_is_one() {
    let world = World::new();
    let platform = Platform::Twitter;
    let reset = (world.clock.now().timestamp() + 900).to_string();
    for (kind, remaining) in [
        (Kind::Profile, "74"),
        (Kind::List, "73"),
        (Kind::Write, "72"),
    ] {
        let answer = world.send(call(platform, kind, "t")).await;
        assert_eq!(answer.headers["x-rate-limit-limit"], "75");
        assert_eq!(answer.headers["x-rate-limit-remaining"], remaining);
        assert_eq!(answer.headers["x-rate-limit-reset"], reset);
    }
    assert_eq!(world.platforms.counts()[&platform].calls, 3);
}

#[tokio::test]
async fn linkedin_wants_a_version_below_rest_only() {
    let world = World::new();
    for (path, version, status, code) in [
        ("/linkedin/rest/me", None, 400, json!("VERSION_MISSING")),
        (
            "/linkedin/rest/me",
            Some("2026"),
            426,
            json!("NONEXISTENT_VERSION"),
        ),
        ("/linkedin/rest/me", Some("202611"), 200, Value::Null),
        ("/linkedin/v2/userinfo", None, 200, Value::Null),
    ] {
        let mut request = Request::get(path).header("authorization", "Bearer t");
        if let Some(version) = version {
            request = request.header("linkedin-version", version);
        }
        let answer = world.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["code"]),
            (status, &code)
        );
    }
}

#[tokio::test]
async fn google_refuses_a_page_size_and_a_grant_for_something_else() {
    let world = World::new();
    let platform = Platform::Google;
    let search = json!({"query": "SELECT campaign.id FROM campaign", "pageSize": 5});
    let path = "/google/v26/customers/1/googleAds:search";
    let answer = world.send(call_at(platform, path, Some(search), "t")).await;
    let code = &answer.body["error"]["details"][0]["errors"][0]["errorCode"];
    assert_eq!(code["requestError"], "PAGE_SIZE_NOT_SUPPORTED");
    world.change_rules(platform, |rules| rules.scope = "openid".to_owned());
    let answer = world.send(call(platform, Kind::Write, "t")).await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(world.platforms.counts()[&platform].writes, 0);
}

#[tokio::test]
async fn meta_wants_the_proof_in_calls_too_and_takes_videos_at_another_host() {
    let world = World::new();
    let platform = Platform::Meta;
    let uploaded = call_at(platform, "/meta-video/v26.0/1/videos", Some(json!({})), "t");
    assert!(world.send(uploaded).await.body["id"].is_string());
    world.change_rules(platform, |rules| rules.requires_proof = true);
    let bare = world.send(call(platform, Kind::Write, "t")).await;
    assert_eq!(bare.body["error"]["code"], 100);
    world.platforms.expect_client(platform, "id", "secret");
    let wrong = world
        .send(get("/meta/me?access_token=t&appsecret_proof=00"))
        .await;
    assert_eq!(wrong.body["error"]["code"], 100);
    // printf t | openssl dgst -sha256 -hmac secret
    let right = get(&format!("/meta/me?access_token=t&appsecret_proof={PROOF}"));
    assert_eq!(world.send(right).await.status, StatusCode::OK);
    assert_eq!(world.platforms.counts()[&platform].writes, 1);
}

#[tokio::test]
async fn an_advertisers_token_that_was_never_seen_lives_for_ever() {
    let world = World::new();
    let platform = Platform::TiktokBusiness;
    world.send(call(platform, Kind::Profile, "t")).await;
    world.pass(5_000 * DAY);
    assert_eq!(
        world.send(call(platform, Kind::List, "t")).await.body["code"],
        0
    );
}

#[tokio::test]
async fn an_answer_without_an_end_comes_as_long_as_someone_reads() {
    let world = World::new();
    for platform in Platform::ALL {
        let host = super::super::catalog::for_platform(platform).calls.hosts[0].prefix;
        let request = get(&format!("{host}/endless"));
        let response = world.platforms.router().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let body = response.into_body().into_data_stream();
        let pieces: Vec<_> = body.take(1_000).collect().await;
        let bytes: usize = pieces
            .iter()
            .map(|piece| piece.as_ref().unwrap().len())
            .sum();
        assert!(bytes > 10_000_000, "{platform}: {bytes}");
    }
}

#[tokio::test]
async fn an_endless_answer_waits_for_its_reader() {
    let world = World::new();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = axum::serve(listener, world.platforms.router());
    let server = tokio::spawn(server.into_future());
    let mut connection = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = b"GET /meta/endless HTTP/1.1\r\nhost: x\r\n\r\n";
    connection.write_all(request).await.unwrap();
    // On this test's only thread, a server that spins would let no timer fire.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let mut bytes = vec![0; 8_000_000];
    connection.read_exact(&mut bytes).await.unwrap();
    assert!(bytes.starts_with(b"HTTP/1.1 200 OK"));
    drop(connection);
    // The server lives on, for others.
    let answer = world.send(call(Platform::Meta, Kind::Profile, "t")).await;
    assert_eq!(answer.status, StatusCode::OK);
    server.abort();
}
