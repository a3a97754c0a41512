//! Who may see what: tokens, membership, and spellings of paths.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use local::Options;
use serde_json::{Value, json};

use crate::world::{World, acme, integration, start};

const PATH: &str = "/api/dashboard/acme/integrations/expiring-tokens";

async fn world() -> World {
    let world = World::new().await;
    world.import(&acme()).await;
    world
        .import(&[
            json!({"type": "organization", "org_id": "globex", "name": "Globex", "owner_id": "gus"}),
            integration("li", "linkedin", Some(TimeDelta::days(2)), false),
        ])
        .await;
    world
}

#[tokio::test]
async fn a_member_of_one_organisation_gets_403_for_anothers() {
    let world = world().await;
    for (user, path, status) in [
        ("olga", PATH.to_owned(), 200), // the owner needs no member row
        ("mia", PATH.to_owned(), 200),
        ("gus", PATH.to_owned(), 403),
        ("carl", PATH.to_owned(), 403), // made an integration, is no member
        ("olga", PATH.replace("acme", "globex"), 403),
        ("gus", PATH.replace("acme", "globex"), 200),
        ("olga", PATH.replace("acme", "nowhere"), 403), // indistinguishable from one of others
        ("org", PATH.to_owned(), 403),
    ] {
        let answer = world.get_as(user, &path).await;
        if status == 200 {
            assert_eq!(answer.status, 200, "{user} {path}: {}", answer.text);
        } else {
            answer.assert_problem(status);
            assert!(!answer.text.contains("li.account"));
        }
    }
}

#[tokio::test]
async fn tokens_are_for_one_of_the_audiences_that_the_stage_names() {
    for (audience, status) in [
        ("warden-local", 200),
        ("another,warden-local", 200),
        ("another,machines", 401),
        // Names one that any token might have: nobody is let in.
        ("warden-local,", 503),
    ] {
        let parameters = BTreeMap::from([("AuthAudience".to_owned(), audience.to_owned())]);
        let world = World::with(Options {
            parameters,
            ..Options::default()
        })
        .await;
        let answer = world.get_as("olga", "/api/organizations").await;
        assert_eq!(answer.status, status, "{audience}: {}", answer.text);
    }
}

#[tokio::test]
async fn other_spellings_of_a_path_get_nowhere() {
    let world = world().await;
    for path in [
        "/api/dashboard/%61cme/integrations/expiring-tokens",
        "/api/dashboard/acme%2F/integrations/expiring-tokens",
        "/api/dashboard/acme%23user/integrations/expiring-tokens",
        "/api/dashboard/acme%253A/integrations/expiring-tokens",
        "/api/dashboard/a cme/integrations/expiring-tokens",
        "/api/dashboard//integrations/expiring-tokens",
        "/api/dashboard/acme/integrations/expiring-tokens/",
        "/API/dashboard/acme/integrations/expiring-tokens",
        "/nothing",
    ] {
        let answer = world.get_as("olga", &path.replace(' ', "%20")).await;
        answer.assert_problem(404);
    }
    let long = format!(
        "/api/dashboard/{}/integrations/expiring-tokens",
        "a".repeat(129)
    );
    world.get_as("olga", &long).await.assert_problem(404);
}

#[tokio::test]
async fn dot_segments_are_not_resolved() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let world = world().await;
    let gateway = world
        .stack
        .addresses()
        .gateway
        .trim_start_matches("http://")
        .to_owned();
    for path in [
        "/api/dashboard/x/../acme",
        "/api/dashboard/x/%2e%2e/acme",
        "/./api/dashboard/acme",
    ] {
        // By hand: a client would resolve them itself.
        let mut connection = tokio::net::TcpStream::connect(&gateway).await.unwrap();
        let request = format!(
            "GET {path}/integrations/expiring-tokens HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {}\r\n\r\n",
            world.token("olga")
        );
        connection.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 404"), "{path}: {answer}");
    }
}

#[tokio::test]
async fn a_token_that_is_not_quite_right_is_none() {
    let world = world().await;
    let issuer = world.stack.issuer();
    let now = start().timestamp();
    let iss = &world.stack.addresses().issuer;
    let claims =
        json!({"iss": iss, "aud": "warden-local", "sub": "olga", "exp": now + 60, "nbf": now});
    let sign = |field: &str, value: Value| {
        let mut claims = claims.clone();
        claims[field] = value;
        issuer.sign(claims).unwrap()
    };
    let good = issuer.sign(claims.clone()).unwrap();
    let (head_and_body, _) = good.rsplit_once('.').unwrap();
    let body = head_and_body.split('.').nth(1).unwrap();
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"; // {"alg":"none","typ":"JWT"}
    let (start_of_signature, rest) = good.split_at(good.len() - 9);
    let other = if rest.starts_with('A') { 'B' } else { 'A' };
    let tampered = format!("{start_of_signature}{other}{}", &rest[1..]);
    for (what, token) in [
        ("another issuer", sign("iss", json!("https://evil.example"))),
        ("another audience", sign("aud", json!("something-else"))),
        ("expired", sign("exp", json!(now - 1))),
        ("expiring right now", sign("exp", json!(now))),
        ("not yet valid", sign("nbf", json!(now + 3_600))),
        ("without an end", sign("exp", Value::Null)),
        ("no user", sign("sub", Value::Null)),
        ("user#x", sign("sub", json!("user#x"))),
        ("alg none", format!("{none}.{body}.")),
        ("alg none with a signature", format!("{none}.{body}.AAAA")),
        ("another signature", tampered),
        ("garbage", "abc".to_owned()),
        ("empty", String::new()),
    ] {
        let answer = world
            .send("GET", PATH, Some(&format!("Bearer {token}")))
            .await;
        assert_eq!(answer.status, 401, "{what}: {}", answer.text);
        answer.assert_problem(401);
    }
    let answer = world
        .send("GET", PATH, Some(&format!("Bearer {good}")))
        .await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    for authorization in [
        None,
        Some(good.as_str()),
        Some("Basic b2xnYTp4"),
        Some("Bearer"),
    ] {
        world
            .send("GET", PATH, authorization)
            .await
            .assert_problem(401);
    }
    world.pass(TimeDelta::seconds(60));
    let answer = world
        .send("GET", PATH, Some(&format!("Bearer {good}")))
        .await;
    assert_eq!(answer.status, 401, "it has expired by now");
}

#[tokio::test]
async fn days_must_be_a_whole_number() {
    let world = world().await;
    for days in [
        "0", "-1", "1.5", "abc", "100000", "366", "", "7&days=8", "7&page=2",
    ] {
        let answer = world.get_as("olga", &format!("{PATH}?days={days}")).await;
        answer.assert_problem(400);
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(
            detail.contains("days") || detail.contains("page"),
            "{days}: {detail}"
        );
    }
    for days in ["?days=1", "?days=365", ""] {
        assert_eq!(
            world.get_as("olga", &format!("{PATH}{days}")).await.status,
            200
        );
    }
}

#[tokio::test]
async fn health_needs_no_token_and_says_nothing_else() {
    let world = World::new().await;
    let answer = world.send("GET", "/health", None).await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({"status": "ok"}))
    );
}

/// Every route that answers GET, of an organisation and of none.
const READ: [&str; 7] = [
    PATH,
    "/api/dashboard/acme/integrations",
    "/api/dashboard/acme/integrations/li",
    "/api/dashboard/acme/notifications",
    "/api/dashboard/acme/rate-limits",
    "/api/platforms",
    "/health",
];

#[tokio::test]
async fn head_answers_as_get_without_a_body() {
    let world = world().await;
    for path in READ {
        for user in [Some("olga"), Some("gus"), None] {
            let token = user.map(|user| format!("Bearer {}", world.token(user)));
            let get = world.send("GET", path, token.as_deref()).await;
            let head = world.send("HEAD", path, token.as_deref()).await;
            let open = path == "/health" || (path == "/api/platforms" && user.is_some());
            let expected = match user {
                _ if open => 200,
                Some("olga") => 200,
                Some(_) => 403,
                None => 401,
            };
            assert_eq!(
                (get.status, head.status),
                (expected, expected),
                "{path} {user:?}"
            );
            assert_eq!(head.text, "", "{path} {user:?}");
            assert!(!get.text.is_empty());
            for name in ["content-type", "cache-control", "www-authenticate"] {
                assert_eq!(
                    head.headers.get(name),
                    get.headers.get(name),
                    "{path} {name}"
                );
            }
        }
    }
    let bad = world
        .send_as("olga", "HEAD", &format!("{PATH}?days=0"))
        .await;
    assert_eq!((bad.status, &*bad.text), (400, ""));
}

#[tokio::test]
async fn a_method_that_a_route_lacks_is_405_whoever_asks_and_about_whom() {
    let world = world().await;
    let one = "/api/dashboard/acme/integrations/li";
    let nobody = "/api/dashboard/nowhere/integrations/nothing";
    let routes = READ.map(|path| (path, "GET,HEAD"));
    let others = [
        (one, "GET,HEAD,PUT,DELETE"),
        (nobody, "GET,HEAD,PUT,DELETE"),
        ("/api/dashboard/acme/integrations/li/check", "POST"),
        ("/api/dashboard/acme/notifications/1/read", "POST"),
        ("/api/dashboard/acme/integrations/li/rate-limit", "DELETE"),
        ("/api/platforms/linkedin/acme/li/permits", "POST"),
    ];
    let routes = routes.into_iter().filter(|(path, _)| *path != one);
    for (path, allow) in routes.chain(others) {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            if allow.split(',').any(|allowed| allowed == method) {
                continue;
            }
            for token in [Some(world.token("gus")), Some("rubbish".to_owned()), None] {
                let token = token.map(|token| format!("Bearer {token}"));
                let answer = world.send(method, path, token.as_deref()).await;
                assert_eq!(answer.headers["allow"], allow, "{method} {path}");
                match method {
                    "OPTIONS" => assert_eq!((answer.status, &*answer.text), (204, "")),
                    "HEAD" => assert_eq!((answer.status, &*answer.text), (405, "")),
                    _ => answer.assert_problem(405),
                }
            }
        }
    }
    // No route, or no method that the gateway knows.
    for (method, path) in [
        ("OPTIONS", "/nothing"),
        ("TRACE", PATH),
        ("HEAD", "/dashboard"),
    ] {
        let answer = world.send_as("olga", method, path).await;
        assert_eq!(answer.status, 404, "{method} {path}");
        assert!(!answer.headers.contains_key("allow"));
    }
}
