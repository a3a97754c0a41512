//! The proxy: what it passes on, what it keeps to itself, and what it does about the answer.

use std::io::{Read, Write};

use axum::body::{Body, Bytes};
use axum::response::Response;
use chrono::TimeDelta;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use futures::stream;
use local::platforms::Script;
use serde_json::{Value, json};
use shared::Platform;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::recorder::{Recorder, counted_world, world_with_host};
use super::{APP, import, path, world};
use crate::world::{World, start};

async fn meta() -> (World, Recorder) {
    let recorder = Recorder::default();
    let world = world_with_host(Platform::Meta, &recorder.serve().await).await;
    import(&world, &[("a", "meta", Some(TimeDelta::days(40)), false)]).await;
    (world, recorder)
}

fn answer(status: u16, headers: &[(&str, &str)], body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status.try_into().unwrap();
    for (name, value) in headers {
        let name: axum::http::HeaderName = name.parse().unwrap();
        response.headers_mut().append(name, value.parse().unwrap());
    }
    response
}

#[tokio::test]
async fn a_call_is_passed_on_with_the_token_put_in() {
    let (world, recorder) = meta().await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        recorder.answer(answer(
            201,
            &[("x-app", "1"), ("content-type", "a/b")],
            "{}",
        ));
        let path = path("meta", "a", "proxy/v26.0/me/feed/");
        let answer = world
            .request_as(
                APP,
                method,
                &format!("{path}?a=1&b=%26&access_token=mine&a=2"),
            )
            .header("x-own", "kept")
            .header("x-own", "twice")
            .header("access-token", "theirs")
            .header("cookie", "session=1")
            .header("x-forwarded-for", "10.0.0.1")
            .body("body")
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 201);
        assert_eq!(answer.headers()["x-app"], "1");
        assert_eq!(answer.headers()["content-type"], "a/b");
        assert_eq!(answer.headers()["warden-verdict"], "accepted");
        assert_eq!(answer.headers()["x-ratelimit-limit"], "200");
        assert_eq!(answer.text().await.unwrap(), "{}");
        let received = recorder.take().pop().unwrap();
        assert_eq!(received.head.method, method);
        assert_eq!(received.head.uri.path(), "/v26.0/me/feed/");
        // The gateway keeps no order but among values of one name.
        let query = received.head.uri.query().unwrap();
        assert!(
            ["a=1&a=2&b=%26", "b=%26&a=1&a=2"].contains(&query),
            "{query}"
        );
        let headers = &received.head.headers;
        assert_eq!(headers["authorization"], "Bearer at-a");
        let own: Vec<_> = headers.get_all("x-own").iter().collect();
        assert_eq!(own, ["kept", "twice"]);
        for dropped in ["cookie", "x-forwarded-for", "x-amzn-trace-id"] {
            assert_eq!(headers.get(dropped), None, "{dropped}");
        }
        assert_eq!(received.body, "body");
    }
}

#[tokio::test]
async fn a_form_with_a_token_of_the_callers_is_refused() {
    let (world, recorder) = meta().await;
    let form = async |body: &'static str| {
        let request = world
            .request_as(APP, "POST", &path("meta", "a", "proxy/v26.0/me/feed"))
            .header("content-type", "application/x-www-form-urlencoded");
        request.body(body).send().await.unwrap().status()
    };
    assert_eq!(form("message=hi&access_token=theirs").await, 400);
    assert!(recorder.take().is_empty());
    recorder.answer(answer(200, &[], "{}"));
    assert_eq!(form("message=hi").await, 200);
    assert_eq!(recorder.take().pop().unwrap().body, "message=hi");
}

#[tokio::test]
async fn a_status_that_no_gateway_knows_is_said_so() {
    let (world, recorder) = meta().await;
    recorder.answer(answer(999, &[], "{}"));
    let got = world.get_as(APP, &path("meta", "a", "proxy/me")).await;
    got.assert_problem_says(502, "status 999");
}

#[tokio::test]
async fn bodies_pass_byte_for_byte() {
    let (world, recorder) = meta().await;
    let url = path("meta", "a", "proxy/me");
    let binary: Vec<u8> = (0..4 * 1024 * 1024_u32).map(|n| (n % 251) as u8).collect();
    let latin = b"caf\xe9".to_vec();
    let packed = gzip(b"{}");
    let no_gzip = b"\x1f\x8b\x08\x00not really".to_vec();
    let chunks = || {
        let parts = ["a", "b", "c"].map(|part| Ok::<_, std::io::Error>(Bytes::from(part)));
        Body::from_stream(stream::iter(parts))
    };
    for (headers, body, expected) in [
        (
            vec![("content-type", "image/png")],
            Body::from(binary.clone()),
            binary.clone(),
        ),
        (
            vec![("content-type", "text/html; charset=iso-8859-1")],
            Body::from(latin.clone()),
            latin,
        ),
        (
            vec![
                ("content-type", "application/json"),
                ("content-encoding", "gzip"),
            ],
            Body::from(packed.clone()),
            packed,
        ),
        // What only begins as gzip does.
        (vec![], Body::from(no_gzip.clone()), no_gzip),
        (vec![], chunks(), b"abc".to_vec()),
        (vec![], Body::empty(), Vec::new()),
    ] {
        recorder.answer(answer(200, &headers, body));
        let sent = binary[..4 * 1024 * 1024].to_vec();
        let request = world.request_as(APP, "POST", &url).body(sent);
        let got = request.send().await.unwrap();
        assert_eq!(got.status(), 200);
        for (name, value) in headers {
            assert_eq!(got.headers()[name], value);
        }
        assert!(
            got.bytes().await.unwrap() == expected,
            "{} bytes",
            expected.len()
        );
        assert!(recorder.take()[0].body == binary, "the body that was sent");
    }
    for status in [204, 304] {
        recorder.answer(answer(status, &[("etag", "\"1\"")], ""));
        let got = world.request_as(APP, "GET", &url).send().await.unwrap();
        assert_eq!(
            (got.status().as_u16(), &got.headers()["etag"]),
            (status, &"\"1\"".parse().unwrap())
        );
    }
    recorder.answer(answer(200, &[("x-a", "b")], "not sent"));
    let got = world.request_as(APP, "HEAD", &url).send().await.unwrap();
    assert_eq!(
        (got.status().as_u16(), &got.headers()["x-a"]),
        (200, &"b".parse().unwrap())
    );
    assert_eq!(recorder.take().pop().unwrap().head.method, "HEAD");
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(text).unwrap();
    gzip.finish().unwrap()
}

#[tokio::test]
async fn what_cannot_be_looked_into_is_not_passed_on_and_counts_all_the_same() {
    let (world, recorder) = meta().await;
    let url = path("meta", "a", "proxy/me");
    let get = || {
        world
            .request_as(APP, "GET", &url)
            .header("accept-encoding", "br, gzip")
    };
    // A token in a packed answer is taken out, and the answer still is packed.
    let next = gzip(br#"{"next":"?access_token=at-a"}"#);
    recorder.answer(answer(200, &[("content-encoding", "gzip")], next));
    let got = get().send().await.unwrap();
    assert_eq!(got.headers()["content-encoding"], "gzip");
    let body = got.bytes().await.unwrap();
    let mut text = String::new();
    GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
    assert_eq!(text, r#"{"next":"?access_token=TOKEN_WITHHELD"}"#);
    let received = recorder.take().pop().unwrap();
    assert_eq!(received.head.headers["accept-encoding"], "gzip");
    // What is refused behind an encoding is refused all the same, and the token renewed.
    world.pass(TimeDelta::minutes(2));
    let opaque = [("content-encoding", "br")];
    let refused = json!({"error": {"code": 190, "message": "Invalid"}}).to_string();
    recorder.answer(answer(400, &opaque, refused));
    recorder.answer(answer(200, &[], "done"));
    recorder.take();
    let got = get().send().await.unwrap();
    assert_eq!(
        (got.status(), got.text().await.unwrap().as_str()),
        (reqwest::StatusCode::OK, "done")
    );
    assert_eq!(recorder.take().len(), 2);
    // Too long when it is unpacked.
    let bomb = gzip(&vec![b'x'; 40 * 1024 * 1024]);
    recorder.answer(answer(200, &[("content-encoding", "gzip")], bomb));
    let got = get().send().await.unwrap();
    assert_eq!(got.status(), 502);
    // In an encoding that we did not ask for; the throttle counts.
    let throttled = [("content-encoding", "br"), ("retry-after", "60")];
    recorder.answer(answer(429, &throttled, "???"));
    let got = get().send().await.unwrap();
    assert_eq!(got.status(), 502);
    let problem: Value = got.json().await.unwrap();
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("is in the encoding \"br\""), "{detail}");
    assert!(!detail.contains("has done"), "{detail}");
    let said = (&problem["status_of_platform"], &problem["verdict"]);
    assert_eq!(said, (&json!(429), &json!("throttled")));
    world.pass(TimeDelta::seconds(6));
    let got = get().send().await.unwrap();
    assert_eq!(got.status(), 429);
}

#[tokio::test]
async fn a_hostile_platform_gets_nowhere() {
    let (world, recorder) = meta().await;
    let url = path("meta", "a", "proxy/me");
    let get = async || world.request_as(APP, "GET", &url).send().await.unwrap();
    // A body without an end.
    let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from(vec![b'x'; 65_536])));
    recorder.answer(answer(200, &[], Body::from_stream(endless)));
    let got = get().await;
    assert_eq!(got.status(), 502);
    let problem: Value = got.json().await.unwrap();
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("Take an access token"), "{detail}");
    // A redirect is for the caller to see, not to follow with a token.
    let metadata = "http://169.254.169.254/latest/meta-data/";
    recorder.answer(answer(302, &[("location", metadata)], ""));
    recorder.take();
    let client = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none());
    let gateway = &world.stack.addresses().gateway;
    let got = client
        .build()
        .unwrap()
        .get(format!("{gateway}{url}"))
        .bearer_auth(world.token(APP));
    let got = got.send().await.unwrap();
    assert_eq!(
        (got.status().as_u16(), &got.headers()["location"]),
        (302, &metadata.parse().unwrap())
    );
    assert_eq!(recorder.take().len(), 1);
    // Nothing of it speaks for our origin.
    recorder.answer(answer(
        200,
        &[
            ("set-cookie", "a=b"),
            ("clear-site-data", "\"*\""),
            ("strict-transport-security", "max-age=1"),
            ("warden-verdict", "forged"),
            ("x-ratelimit-remaining", "999"),
            ("connection", "x-hop"),
            ("x-hop", "1"),
        ],
        "",
    ));
    let got = get().await;
    for dropped in [
        "set-cookie",
        "clear-site-data",
        "strict-transport-security",
        "x-hop",
    ] {
        assert_eq!(got.headers().get(dropped), None, "{dropped}");
    }
    let verdicts: Vec<_> = got.headers().get_all("warden-verdict").iter().collect();
    assert_eq!(verdicts, ["accepted"]);
    assert_ne!(got.headers()["x-ratelimit-remaining"], "999");
    // The token that it repeats.
    let echo =
        json!({"paging": {"next": "https://graph.facebook.com/me?access_token=at-a&after=1"}});
    recorder.answer(answer(
        200,
        &[("link", "<https://x/?access_token=at-a>")],
        echo.to_string(),
    ));
    let got = get().await;
    assert!(!got.headers()["link"].to_str().unwrap().contains("at-a"));
    let text = got.text().await.unwrap();
    assert!(
        text.contains("access_token=TOKEN_WITHHELD&after=1"),
        "{text}"
    );
}

/// Gets a path exactly as it is written, which HTTP clients do not; returns the status.
async fn as_written(world: &World, path: &str) -> u16 {
    let gateway = &world.stack.addresses().gateway;
    let address = gateway.trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let token = world.token(APP);
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let status = &answer["HTTP/1.1 ".len()..][..3];
    std::str::from_utf8(status).unwrap().parse().unwrap()
}

#[tokio::test]
async fn no_path_leads_elsewhere() {
    let (world, recorder) = meta().await;
    for (rest, status) in [
        ("a/..%2f..%2fb", 400),
        ("%2e%2e/b", 400),
        ("%252e%252e/b", 400),
        ("a%2Fb", 400),
        ("a%5Cb", 400),
        ("a//b", 400),
        ("//evil.example/b", 400),
        ("a%0d%0ax:y", 400),
        ("v26.0", 400),
        ("%7626%2E0", 400),
        ("v26.0/", 400),
        ("", 404),
        ("evil.example:80@other/me", 200),
        ("https:evil.example/me", 200),
    ] {
        let url = path("meta", "a", &format!("proxy/{rest}"));
        assert_eq!(as_written(&world, &url).await, status, "{rest}");
        let received = recorder.take();
        assert_eq!(received.len(), usize::from(status == 200), "{rest}");
        for one in received {
            assert_eq!(one.head.uri.path(), format!("/{rest}"));
        }
    }
    let url = path("meta", "a", "proxy/me");
    let elsewhere = world
        .request_as(APP, "GET", &url)
        .header("warden-platform-host", "evil.example");
    let got = elsewhere.send().await.unwrap();
    assert_eq!(got.status(), 400);
    let problem: Value = got.json().await.unwrap();
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("graph, graph-video"), "{detail}");
    assert!(recorder.take().is_empty());
}

#[tokio::test]
async fn a_refused_token_is_renewed_within_the_call_and_nothing_else_is_sent_twice() {
    let recorder = Recorder::default();
    let world = world_with_host(Platform::Twitter, &recorder.serve().await).await;
    import(&world, &[("x", "twitter", Some(TimeDelta::hours(2)), true)]).await;
    world.pass(TimeDelta::minutes(5));
    let url = path("twitter", "x", "proxy/2/tweets");
    let post = async || {
        let request = world.request_as(APP, "POST", &url).body("hello");
        request.send().await.unwrap()
    };
    recorder.answer(answer(401, &[], "{}"));
    recorder.answer(answer(201, &[], "done"));
    let got = post().await;
    // Both calls took a permit.
    assert_eq!(got.headers()["x-ratelimit-remaining"], "298");
    assert_eq!(
        (got.status().as_u16(), got.text().await.unwrap()),
        (201, "done".to_owned())
    );
    let received = recorder.take();
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].head.headers["authorization"], "Bearer at-x");
    let second = received[1].head.headers["authorization"].to_str().unwrap();
    assert!(second.starts_with("Bearer sim.twitter."), "{second}");
    assert_eq!(
        (&received[0].body, &received[1].body),
        (&Bytes::from("hello"), &Bytes::from("hello"))
    );
    let quota = world
        .get_as(APP, &path("twitter", "x", "quota"))
        .await
        .json();
    assert_eq!(quota["period"]["remaining"], 298, "{quota}");

    for status in [400, 403, 404, 408, 409, 500, 502, 503] {
        recorder.answer(answer(status, &[], ""));
        assert_eq!(post().await.status(), status);
        assert_eq!(recorder.take().len(), 1, "{status}");
    }
    // A token that is new already is not replaced again.
    recorder.answer(answer(401, &[], ""));
    let got = post().await;
    assert_eq!(
        (got.status().as_u16(), &got.headers()["warden-verdict"]),
        (401, &"token_refused".parse().unwrap())
    );
    assert_eq!(recorder.take().len(), 1);
    assert_eq!(world.stack.platforms().refreshes(Platform::Twitter), 1);
}

#[tokio::test]
async fn a_throttled_call_says_until_when_and_the_quota_is_closed() {
    let life = Some(TimeDelta::days(40));
    let world = world(&[("a", "meta", life, false), ("b", "meta", life, false)]).await;
    let call = async |id: &str| world.get_as(APP, &path("meta", id, "proxy/me")).await;
    let me = async || call("a").await;
    let first = me().await;
    assert_eq!(first.status, 200, "{}", first.text);
    assert_eq!(first.headers["x-ratelimit-remaining"], "199");
    assert!(first.json()["id"].is_string(), "{}", first.text);
    assert_eq!(me().await.headers["x-ratelimit-remaining"], "198");
    let script: Script = serde_json::from_value(json!({
        "platform": "meta", "on": "call", "times": 1, "do": {"throttle": {"retry_after": 120}},
    }))
    .unwrap();
    world.stack.platforms().script(script).unwrap();
    let throttled = me().await;
    assert_eq!(throttled.status, 400, "{}", throttled.text);
    assert_eq!(throttled.headers["warden-verdict"], "throttled");
    // When the block ends: a second more, for clocks that differ.
    let until = (start() + TimeDelta::seconds(121)).to_rfc3339();
    assert_eq!(throttled.headers["warden-until"], until);
    let denied = me().await;
    assert_eq!(
        (denied.status, &denied.json()["reason"]),
        (429, &json!("platform_asks_to_wait"))
    );
    assert_eq!(denied.headers["retry-after"], "121");
    assert_eq!(denied.headers["x-ratelimit-remaining"], "0");
    // The platform said so to us, and means the application: others are told as well.
    world.pass(TimeDelta::seconds(120));
    for id in ["a", "b"] {
        assert_eq!(call(id).await.status, 429, "{id}");
    }
    world.pass(TimeDelta::seconds(1));
    for id in ["a", "b"] {
        assert_eq!(call(id).await.status, 200, "{id}");
    }
}

#[tokio::test]
async fn a_token_that_has_ended_is_renewed_within_the_call() {
    let world = world(&[
        ("x", "twitter", Some(TimeDelta::seconds(-1)), true),
        ("d", "linkedin", None, false),
    ])
    .await;
    let got = world
        .get_as(APP, &path("twitter", "x", "proxy/2/users/me"))
        .await;
    assert_eq!(got.status, 200, "{}", got.text);
    assert_eq!(world.stack.platforms().refreshes(Platform::Twitter), 1);
    world
        .send_as("ian", "DELETE", "/api/dashboard/acme/integrations/d")
        .await;
    let got = world
        .get_as(APP, &path("linkedin", "d", "proxy/v2/userinfo"))
        .await;
    got.assert_problem(409);
    assert_eq!(got.json()["state"], "disconnected");
}

#[tokio::test]
async fn every_platform_is_called_by_its_own_rules() {
    for (platform, me) in [
        ("meta", "me"),
        ("instagram", "v26.0/me"),
        ("threads", "v1.0/me"),
        ("twitter", "2/users/me"),
        ("linkedin", "v2/userinfo"),
        ("tiktok", "v2/user/info/?fields=open_id"),
        ("tiktok_business", "open_api/v1.3/user/info/"),
        ("google", "v26/customers:listAccessibleCustomers"),
        ("snapchat", "v1/me"),
    ] {
        let world = world(&[("a", platform, Some(TimeDelta::days(40)), true)]).await;
        let got = world
            .get_as(APP, &path(platform, "a", &format!("proxy/{me}")))
            .await;
        assert_eq!(got.status, 200, "{platform}: {}", got.text);
        assert_eq!(
            got.headers["warden-verdict"], "accepted",
            "{platform}: {}",
            got.text
        );
        let counts = world.stack.platforms().counts();
        assert_eq!(counts[&platform.parse().unwrap()].calls, 1, "{platform}");
    }
}

#[tokio::test]
async fn a_platform_that_does_not_answer_is_given_up() {
    let (world, recorder) = meta().await;
    let url = path("meta", "a", "proxy/me");
    recorder.answer(answer(
        200,
        &[],
        Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>()),
    ));
    let asking = world.get_as(APP, &url);
    let passing = async {
        while recorder.take().is_empty() {
            tokio::task::yield_now().await;
        }
        world.pass(TimeDelta::seconds(25));
    };
    let (got, ()) = tokio::join!(asking, passing);
    got.assert_problem_says(504, "within 25 seconds");
}

#[tokio::test]
async fn a_proxied_call_costs_one_read_and_no_write_of_the_function() {
    let (world, calls) = counted_world().await;
    import(
        &world,
        &[("x", "linkedin", Some(TimeDelta::days(40)), true)],
    )
    .await;
    for _ in 0..3 {
        let got = world
            .get_as(APP, &path("linkedin", "x", "proxy/v2/userinfo"))
            .await;
        assert_eq!(got.status, 200, "{}", got.text);
    }
    let calls = calls.lock().unwrap().clone();
    assert_eq!(
        calls,
        [
            "DynamoDB.GetItem",
            "KMS.Decrypt",
            "DynamoDB.GetItem",
            "DynamoDB.GetItem"
        ]
    );
}

#[tokio::test]
async fn client_libraries_see_an_error_in_what_is_our_own() {
    let world = world(&[("a", "meta", Some(TimeDelta::days(40)), false)]).await;
    let mine = path("meta", "a", "proxy/me");
    let batch = world
        .post_as(APP, &path("meta", "a", "proxy/"), &json!({}))
        .await;
    let unknown = world.get_as(APP, &path("meta", "b", "proxy/me")).await;
    let stranger = world.get_as("nobody", &mine).await;
    let nobody = world.send("GET", &mine, None).await;
    let policy = json!({"status": 400, "body": {"error": {"code": 4}}});
    let closed = world
        .post_as(APP, &path("meta", "a", "feedback"), &policy)
        .await;
    assert_eq!(closed.status, 200);
    let denied = world.get_as(APP, &mine).await;
    for (answer, status) in [
        (batch, 404),
        (unknown, 404),
        (stranger, 403),
        (nobody, 401),
        (denied, 429),
    ] {
        answer.assert_problem(status);
        let problem = answer.json();
        assert_eq!(problem["error"]["type"], "TokenWarden", "{problem}");
        let message = problem["error"]["message"].as_str().unwrap();
        assert!(!message.is_empty());
    }
    // The original's denial elsewhere.
    let permits = path("meta", "a", "permits");
    let denied = world.send_as(APP, "POST", &permits).await;
    assert_eq!(denied.json()["error"], "Rate limit exceeded");
}
