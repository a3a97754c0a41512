//! Quotas through the gateway: the quota half of the original system's test
//! checklist, one test a line, named after it; and whose permits they are.

mod faults;

use std::collections::HashMap;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, TimeDelta};
use local::{Environment, Options};
use serde_json::{Value, json};
use shared::aws::quota::Limiter;
use shared::domain::quota::{Decision, Policies, QuotaKey};
use shared::{IntegrationId, OrgId, Platform, Variables};

use crate::world::{Answer, World, acme, integration};

const PERMITS: &str = "/api/platforms/meta/acme/fb/permits";
const AUTHORIZER: &str = "RateLimitAuthorizerFunction";
const API: &str = "ApiFunction";

/// Three in a minute, four in an hour.
fn small() -> Value {
    json!({"meta": {"limit": 4, "period": 3_600, "burst": 3}})
}

fn variables_of(environment: &Environment, function: &str, more: &[(&str, String)]) -> Variables {
    let own = environment.model().functions[function].variables.clone();
    let more = more
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.clone()));
    own.into_iter().chain(more).collect()
}

/// Returns the same configuration, but with another endpoint of DynamoDB.
fn sdk_at(environment: &Environment, endpoint: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(environment.sdk_config().credentials_provider().unwrap())
        .endpoint_url(endpoint)
        .build()
}

/// Starts a stack with these variables besides, whose authorizer may have a DynamoDB of
/// its own.
async fn stack_with(more: &[(&str, String)], authorizers_store: Option<String>) -> World {
    let world = World::wired(Options::default(), async |environment, clock| {
        let configuration = |function: &str| {
            let sdk = match &authorizers_store {
                Some(endpoint) if function == AUTHORIZER => sdk_at(environment, endpoint),
                _ => environment.sdk_config_of(function),
            };
            (sdk, variables_of(environment, function, more))
        };
        local::functions::handlers_of(configuration, clock)
    })
    .await;
    world.import(&acme()).await;
    world
        .import(&[
            json!({"type": "organization", "org_id": "globex", "name": "Globex", "owner_id": "gus"}),
            integration("fb", "meta", Some(TimeDelta::days(60)), false),
            integration("fb2", "meta", None, false),
            integration("tw", "twitter", Some(TimeDelta::days(60)), true),
        ])
        .await;
    world
}

async fn world(policies: Value) -> World {
    stack_with(&[("QUOTA_POLICIES", policies.to_string())], None).await
}

async fn permit(world: &World) -> Answer {
    world.send_as("mia", "POST", PERMITS).await
}

async fn statuses(world: &World, count: usize) -> Vec<u16> {
    let mut statuses = Vec::new();
    for _ in 0..count {
        statuses.push(permit(world).await.status);
    }
    statuses
}

fn number(answer: &Answer, header: &str) -> i64 {
    let value = answer.headers[header].to_str().unwrap();
    value.parse().unwrap()
}

fn table(world: &World) -> String {
    world.variable(AUTHORIZER, "QUOTAS_TABLE")
}

/// Returns every item of the quotas table. Only a test may scan.
async fn items(world: &World) -> Vec<HashMap<String, AttributeValue>> {
    let scan = world.dynamodb().scan().table_name(table(world));
    scan.send().await.unwrap().items.unwrap_or_default()
}

/// Returns how many permits were ever granted, by key.
async fn granted(world: &World) -> Vec<(String, u64)> {
    let mut granted: Vec<_> = items(world)
        .await
        .iter()
        .map(|item| {
            let key = item["quota_key"].as_s().unwrap().clone();
            (key, item["n"].as_n().unwrap().parse().unwrap())
        })
        .collect();
    granted.sort();
    granted
}

fn fb(n: u64) -> Vec<(String, u64)> {
    vec![("meta#acme#fb".to_owned(), n)]
}

fn key(integration: &str) -> QuotaKey {
    QuotaKey::new(
        Platform::Meta,
        OrgId::new("acme").unwrap(),
        IntegrationId::new(integration).unwrap(),
    )
}

/// Creates a limiter as a service outside the stack would have it.
fn limiter(world: &World, policies: &Value) -> Limiter {
    let policies: Policies = policies.to_string().parse().unwrap();
    Limiter::new(
        world.dynamodb(),
        table(world),
        policies,
        world.clock.clone(),
    )
}

// ---- The checklist ----

#[tokio::test]
async fn limiter_allows_under_the_limit() {
    let world = world(json!({})).await;
    for taken in 1..=50 {
        let answer = permit(&world).await;
        assert_eq!(answer.status, 200, "{taken}: {}", answer.text);
        assert_eq!(number(&answer, "x-ratelimit-remaining"), 200 - taken);
    }
    assert_eq!(granted(&world).await, fb(50));
}

#[tokio::test]
async fn blocks_over_it() {
    let world = world(small()).await;
    assert_eq!(statuses(&world, 5).await, [200, 200, 200, 429, 429]);
    assert_eq!(granted(&world).await, fb(3));
    // Another integration has a quota of its own.
    let other = world
        .send_as("mia", "POST", "/api/platforms/meta/acme/fb2/permits")
        .await;
    assert_eq!(other.status, 200);
    // After the minute there is one left of the hour, whoever asks.
    world.pass(TimeDelta::seconds(66));
    assert_eq!(statuses(&world, 2).await, [200, 429]);
    assert_eq!(world.send_as("olga", "POST", PERMITS).await.status, 429);
}

#[tokio::test]
async fn headers_present() {
    let world = world(json!({})).await;
    let answer = permit(&world).await;
    let now = world.now().timestamp();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["x-ratelimit-limit"], "200");
    assert_eq!(answer.headers["x-ratelimit-remaining"], "199");
    let reset = number(&answer, "x-ratelimit-reset");
    assert!(
        (now + 3_600..=now + 3_600 + 240).contains(&reset),
        "{reset}"
    );
    assert_eq!(
        answer.headers["ratelimit-policy"],
        r#""period";q=200;w=3600, "burst";q=50;w=60"#
    );
    let body = answer.json();
    let burst = body["burst"]["reset"].as_i64().unwrap() - now;
    assert!((60..=66).contains(&burst), "{burst}");
    let expected = format!(
        r#""period";r=199;t={}, "burst";r=49;t={burst}"#,
        reset - now
    );
    assert_eq!(answer.headers["ratelimit"], expected);
    assert_eq!(
        body,
        json!({
            "platform": "meta", "org_id": "acme", "integration_id": "fb",
            "use_by": "2026-11-23T09:00:30+00:00",
            "limit": 200, "seconds": 3_600, "remaining": 199, "reset": reset,
            "period": {"limit": 200, "seconds": 3_600, "remaining": 199, "reset": reset},
            "burst": {"limit": 50, "seconds": 60, "remaining": 49, "reset": now + burst},
        })
    );
}

#[tokio::test]
async fn a_429_with_correct_retry_after() {
    let world = world(json!({})).await;
    assert_eq!(statuses(&world, 50).await, [200; 50]);
    world.pass(TimeDelta::seconds(7));
    let denied = permit(&world).await;
    assert_eq!(denied.status, 429);
    let wait = number(&denied, "retry-after");
    assert!((1..=60).contains(&wait), "{wait}");
    let reset = world.now() + TimeDelta::seconds(wait);
    assert_eq!(
        denied.text,
        format!(
            concat!(
                r#"{{"error": "Rate limit exceeded", "#,
                r#""message": "Too many requests to meta API. Please try again later.", "#,
                r#""reason": "quota_used_up", "#,
                r#""retry_after": {}, "reset_at": "{}", "limit": 50}}"#
            ),
            wait,
            reset.format("%Y-%m-%d %H:%M:%S")
        )
    );
    assert_eq!(denied.headers["content-type"], "application/json");
    // Of the burst, which refuses, all three and the body.
    assert_eq!(denied.headers["x-ratelimit-limit"], "50");
    assert_eq!(denied.headers["x-ratelimit-remaining"], "0");
    assert_eq!(number(&denied, "x-ratelimit-reset"), reset.timestamp());
    assert_eq!(
        denied.headers["ratelimit-policy"],
        r#""period";q=200;w=3600, "burst";q=50;w=60"#
    );
    let rate_limit = denied.headers["ratelimit"].to_str().unwrap();
    let burst = format!(r#", "burst";r=0;t={wait}"#);
    assert!(
        rate_limit.starts_with(r#""period";r=150;t="#) && rate_limit.ends_with(&burst),
        "{rate_limit}"
    );
    // Not a second before, though nobody asks again meanwhile.
    world.pass(TimeDelta::seconds(wait - 1));
    let denied = permit(&world).await;
    assert_eq!((denied.status, number(&denied, "retry-after")), (429, 1));
    world.pass(TimeDelta::seconds(1));
    assert_eq!(permit(&world).await.status, 200);
}

#[tokio::test]
async fn limit_remaining_and_reset_are_of_one_window() {
    let world = world(json!({"meta": {"limit": 7, "period": 600, "burst": 3}})).await;
    let mut by = [0, 0];
    for step in 0..60 {
        world.pass(TimeDelta::seconds([0, 0, 1, 0, 17, 0, 0, 66][step % 8]));
        let answer = permit(&world).await;
        // From the header that tells both: a limit, what is left, and in how many seconds.
        let both = answer.headers["ratelimit"].to_str().unwrap().split(", ");
        let windows: Vec<(i64, i64)> = both
            .map(|window| {
                let (_, numbers) = window.split_once(";r=").unwrap();
                let (left, wait) = numbers.split_once(";t=").unwrap();
                (left.parse().unwrap(), wait.parse().unwrap())
            })
            .collect();
        let limit = number(&answer, "x-ratelimit-limit");
        let window = usize::from(limit == 3);
        assert_eq!(limit, [7, 3][window]);
        let reset = number(&answer, "x-ratelimit-reset") - world.now().timestamp();
        let left = number(&answer, "x-ratelimit-remaining");
        assert_eq!((left, reset), windows[window], "{step}");
        match answer.status {
            200 => assert_eq!(window, 0, "{step}"),
            429 => {
                by[window] += 1;
                assert_eq!((left, reset), (0, number(&answer, "retry-after")), "{step}");
                assert_eq!(answer.json()["limit"], limit, "{step}");
            }
            other => panic!("{other}: {}", answer.text),
        }
    }
    assert!(by[0] > 0 && by[1] > 0, "each refused: {by:?}");
}

#[tokio::test]
async fn the_window_resets() {
    let world = world(json!({"meta": {"limit": 3, "period": 600, "burst": 3}})).await;
    assert_eq!(statuses(&world, 4).await, [200, 200, 200, 429]);
    world.pass(TimeDelta::seconds(600));
    let denied = permit(&world).await;
    assert_eq!(denied.status, 429, "the last permit may be used 30 s late");
    world.pass(TimeDelta::seconds(number(&denied, "retry-after")));
    let answer = permit(&world).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["x-ratelimit-remaining"], "2");
    assert_eq!(statuses(&world, 3).await, [200, 200, 429]);
}

#[tokio::test]
async fn waiting_works() {
    let world = world(small()).await;
    assert_eq!(statuses(&world, 3).await, [200; 3]);
    let (limiter, key) = (limiter(&world, &small()), key("fb"));
    // Waiting cannot help within this budget: answered at once.
    let answer = limiter.wait_until_ready(&key, Duration::from_secs(30));
    let Decision::Denied(denial) = answer.await.unwrap() else {
        panic!("there was none left");
    };
    let free = DateTime::from_timestamp(i64::try_from(denial.retry_at).unwrap(), 0).unwrap();
    world.clock.set(free - TimeDelta::seconds(1));
    let waiting = limiter.wait_until_ready(&key, Duration::from_secs(30));
    assert!(matches!(waiting.await.unwrap(), Decision::Admitted(_)));
    assert!(world.clock.now() >= free, "it waited");
    assert_eq!(granted(&world).await, fb(4));
}

#[tokio::test]
async fn the_platform_is_taken_from_the_route() {
    let world = world(json!({})).await;
    assert_eq!(permit(&world).await.headers["x-ratelimit-limit"], "200");
    let twitter = world
        .send_as("mia", "POST", "/api/platforms/twitter/acme/tw/permits")
        .await;
    assert_eq!(twitter.headers["x-ratelimit-limit"], "300");
    assert_eq!(twitter.json()["platform"], "twitter");
    let keys = [
        ("meta#acme#fb".to_owned(), 1),
        ("twitter#acme#tw".to_owned(), 1),
    ];
    assert_eq!(granted(&world).await, keys);
}

#[tokio::test]
async fn reset_works() {
    let world = world(json!({"meta": {"limit": 2, "period": 3_600, "burst": 2}})).await;
    assert_eq!(statuses(&world, 3).await, [200, 200, 429]);
    let path = "/api/dashboard/acme/integrations/fb/rate-limit";
    world
        .send_as("mia", "DELETE", path)
        .await
        .assert_problem(403);
    world
        .send_as("gus", "DELETE", path)
        .await
        .assert_problem(403);
    let unknown = path.replace("/fb/", "/nothing/");
    world
        .send_as("ian", "DELETE", &unknown)
        .await
        .assert_problem(404);
    assert_eq!(granted(&world).await, fb(2));
    for user in ["ian", "olga"] {
        let answer = world.send_as(user, "DELETE", path).await;
        assert_eq!((answer.status, &*answer.text), (204, ""), "{user}");
    }
    assert!(items(&world).await.is_empty());
    // Within a minute every instance of the authorizer has seen it.
    world.pass(TimeDelta::seconds(60));
    assert_eq!(statuses(&world, 3).await, [200, 200, 429]);
}

// ---- Whose permits they are ----

#[tokio::test]
async fn nobody_else_spends_an_organisations_permits() {
    let world = world(small()).await;
    assert_eq!(permit(&world).await.status, 200);
    for user in ["gus", "carl", "nobody"] {
        let answer = world.send_as(user, "POST", PERMITS).await;
        answer.assert_problem(403);
        assert!(!answer.headers.contains_key("x-ratelimit-limit"));
    }
    world.send("POST", PERMITS, None).await.assert_problem(401);
    let own = PERMITS.replace("acme", "globex");
    // Gus's own organisation has no such integration, and it is its own key.
    world.send_as("gus", "POST", &own).await.assert_problem(404);
    let expected = [
        ("meta#acme#fb".to_owned(), 1),
        ("meta#globex#fb".to_owned(), 1),
    ];
    assert_eq!(granted(&world).await, expected);
    assert_eq!(permit(&world).await.headers["x-ratelimit-remaining"], "2");
}

#[tokio::test]
async fn other_spellings_get_nowhere_and_count_nothing() {
    let world = world(small()).await;
    let long = PERMITS.replace("/fb/", &format!("/{}/", "x".repeat(9_000)));
    for path in [
        "/api/platforms/facebook/acme/fb/permits",
        "/api/platforms/Meta/acme/fb/permits",
        "/api/platforms/myspace/acme/fb/permits",
        "/api/platforms/%6deta/acme/fb/permits",
        "/api/platforms/meta/%61cme/fb/permits",
        "/api/platforms/meta/acme/%66b/permits",
        "/api/platforms/meta/acme/fb%2F/permits",
        "/api/platforms/meta/acme%2Ffb/fb/permits",
        "/api/platforms/meta/acme/fb%23x/permits",
        "/api/platforms/meta/acme/fb%253A/permits",
        "/api/platforms/meta/acme/fb%2540x/permits",
        "/api/platforms/meta/acme//permits",
        "/api/platforms/meta/acme/fb/permits/",
        "/api/platforms/meta/acme/fb/Permits",
        &long,
    ] {
        for user in ["mia", "gus"] {
            let answer = world.send_as(user, "POST", path).await;
            answer.assert_problem(404);
            assert!(answer.text.len() < 1_000, "{}", answer.text);
        }
    }
    for (user, method, status) in [
        ("mia", "GET", 405),
        ("mia", "PUT", 405),
        ("mia", "DELETE", 405),
        ("gus", "GET", 405),
        ("mia", "TRACE", 404),
    ] {
        world
            .send_as(user, method, PERMITS)
            .await
            .assert_problem(status);
    }
    for method in ["HEAD", "OPTIONS"] {
        let answer = world.send_as("mia", method, PERMITS).await;
        assert_eq!(answer.headers["allow"], "POST", "{method}");
        assert!(!answer.headers.contains_key("x-ratelimit-limit"));
    }
    assert!(items(&world).await.is_empty());
    // What is wrong with the platform is said.
    for (name, expected) in [
        ("facebook", "In paths this platform is called meta."),
        (
            "myspace",
            "There is no platform \"myspace\"; in paths there are meta, instagram, ",
        ),
        ("%6deta", "There is no platform \"%6deta\"; "),
    ] {
        let path = PERMITS.replace("meta", name);
        let answer = world.send_as("mia", "POST", &path).await.json();
        let detail = answer["detail"].as_str().unwrap();
        assert!(detail.contains(expected), "{detail}");
    }
}

#[tokio::test]
async fn every_spelling_of_an_id_is_one_quota() {
    let world = world(small()).await;
    let mut odd = integration("a|b:c@d", "meta", None, false);
    odd["org_id"] = json!("org:1@x");
    world
        .import(&[
            json!({"type": "organization", "org_id": "org:1@x", "name": "Odd", "owner_id": "olga"}),
            odd,
        ])
        .await;
    let spelled = [
        ("org:1@x", "a%7Cb:c@d", 200),
        ("org%3A1%40x", "a%7Cb%3Ac%40d", 200),
        ("org%3a1@x", "a%7cb%3ac%40d", 200),
        ("org:1%40x", "a%7Cb:c%40d", 429),
        ("org:1@%78", "a%7Cb:c@d", 404),
        ("org%253A1@x", "a%7Cb:c@d", 404),
        ("org:1@x", "a%7Cb%2Fc@d", 404),
    ];
    for (org, integration, status) in spelled {
        let path = format!("/api/platforms/meta/{org}/{integration}/permits");
        let answer = world.send_as("olga", "POST", &path).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
        if status == 200 {
            assert_eq!(answer.json()["org_id"], "org:1@x");
            assert_eq!(answer.json()["integration_id"], "a|b:c@d");
        }
        // A stranger to the organisation stays one in each.
        let of_stranger = if status == 404 { 404 } else { 403 };
        world
            .send_as("mia", "POST", &path)
            .await
            .assert_problem(of_stranger);
    }
    let key = "meta#org:1@x#a|b:c@d".to_owned();
    assert_eq!(granted(&world).await, [(key, 3)]);
    let path = "/api/dashboard/org%3A1%40x/integrations/a%7Cb%3Ac%40d";
    let one = world.get_as("olga", path).await;
    assert_eq!(one.status, 200, "{}", one.text);
    let reset = world
        .send_as("olga", "DELETE", &format!("{path}/rate-limit"))
        .await;
    assert_eq!(reset.status, 204, "{}", reset.text);
    assert!(items(&world).await.is_empty());
}

#[tokio::test]
async fn an_unknown_integration_and_one_of_another_platform_are_told_with_headers() {
    let world = world(json!({})).await;
    for (path, status, limit) in [
        ("/api/platforms/meta/acme/nothing/permits", 404, "200"),
        ("/api/platforms/meta/acme/tw/permits", 409, "200"),
        ("/api/platforms/twitter/acme/fb/permits", 409, "300"),
    ] {
        for _ in 0..2 {
            let answer = world.send_as("mia", "POST", path).await;
            answer.assert_problem(status);
            assert_eq!(answer.headers["x-ratelimit-limit"], limit, "{path}");
            for name in [
                "x-ratelimit-remaining",
                "x-ratelimit-reset",
                "ratelimit-policy",
                "ratelimit",
            ] {
                assert!(answer.headers.contains_key(name), "{path} {name}");
            }
        }
    }
    // None of it was of the integration's own quota.
    let own = granted(&world).await;
    assert!(own.iter().all(|(key, _)| key != "meta#acme#fb"), "{own:?}");
}

#[tokio::test]
async fn a_membership_is_remembered_for_a_minute_at_most() {
    let world = world(json!({})).await;
    let zoe = || world.send_as("zoe", "POST", PERMITS);
    assert_eq!(zoe().await.status, 403);
    let member = json!({
        "type": "member", "org_id": "acme", "user_id": "zoe", "permissions": ["use_integrations"],
    });
    world.import(&[member]).await;
    world.pass(TimeDelta::seconds(59));
    assert_eq!(zoe().await.status, 403);
    world.pass(TimeDelta::seconds(1));
    assert_eq!(zoe().await.status, 200);
    let key = [("org_id", "acme"), ("member_id", "user#zoe")];
    let key = key.map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned())));
    world
        .dynamodb()
        .delete_item()
        .table_name(world.variable(AUTHORIZER, "ORGANIZATIONS_TABLE"))
        .set_key(Some(key.into()))
        .send()
        .await
        .unwrap();
    world.pass(TimeDelta::seconds(60));
    assert_eq!(zoe().await.status, 403);
    assert_eq!(granted(&world).await, fb(1));
}

// ---- What there is to see ----

#[tokio::test]
async fn every_callers_platforms() {
    let world = world(small()).await;
    world
        .send("GET", "/api/platforms", None)
        .await
        .assert_problem(401);
    let answer = world.get_as("nobody", "/api/platforms").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let platforms = answer.json()["platforms"].clone();
    assert_eq!(platforms.as_array().unwrap().len(), Platform::ALL.len());
    assert_eq!(
        platforms[0],
        json!({
            "platform": "meta", "platform_name": "Facebook", "limit": 4,
            "period": {"limit": 4, "seconds": 3_600}, "burst": {"limit": 3, "seconds": 60},
        })
    );
}

#[tokio::test]
async fn an_organisations_rate_limits_are_all_there_and_cost_nothing() {
    let world = world(small()).await;
    let more: Vec<_> = (0..105)
        .map(|n| integration(&format!("n{n:03}"), "google", None, false))
        .collect();
    world.import(&more).await;
    assert_eq!(statuses(&world, 2).await, [200, 200]);
    let path = "/api/dashboard/acme/rate-limits";
    world.get_as("gus", path).await.assert_problem(403);
    world
        .get_as("mia", &format!("{path}?next=x"))
        .await
        .assert_problem(400);
    let mut rows = Vec::new();
    let mut next = String::new();
    let mut pages = 0;
    loop {
        let answer = world.get_as("mia", &format!("{path}{next}")).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let page = answer.json();
        assert_eq!(
            page["platforms"].as_array().unwrap().len(),
            Platform::ALL.len()
        );
        rows.extend(page["integrations"].as_array().unwrap().clone());
        pages += 1;
        match page["next"].as_str() {
            Some(cursor) => next = format!("?next={cursor}"),
            None => break,
        }
    }
    assert_eq!((rows.len(), pages), (108, 2));
    let ids: Vec<_> = rows
        .iter()
        .map(|row| row["integration_id"].as_str())
        .collect();
    assert!(ids.is_sorted());
    let of = |id: &str| rows.iter().find(|row| row["integration_id"] == id).unwrap();
    let fb_row = of("fb");
    let fields = ["platform", "limit", "remaining"].map(|name| fb_row[name].clone());
    assert_eq!(fields, [json!("meta"), json!(4), json!(2)]);
    assert_eq!(fb_row["period"]["remaining"], 2);
    assert_eq!(fb_row["burst"]["remaining"], 1);
    assert_eq!(of("n104")["remaining"], 15_000);
    assert_eq!(granted(&world).await, fb(2));
    // One of them alone; of another organisation there is none.
    let one = async |path: &str, id: &str| {
        let path = format!("{path}?integration_id={id}");
        let answer = world.get_as("olga", &path).await.json();
        assert_eq!(answer["next"], Value::Null);
        answer["integrations"].clone()
    };
    assert_eq!(one(path, "fb").await, json!([fb_row]));
    assert_eq!(one(path, "n104").await, json!([of("n104")]));
    assert_eq!(one(path, "other").await, json!([]));
    // With nothing left of the burst, a row shows the window that would refuse.
    assert_eq!(permit(&world).await.headers["x-ratelimit-remaining"], "1");
    let rows = world.get_as("mia", path).await.json()["integrations"].clone();
    let mut shown = rows[0].clone();
    let burst = shown["burst"].clone();
    assert_eq!(
        (&burst["limit"], &burst["remaining"]),
        (&json!(3), &json!(0))
    );
    shown
        .as_object_mut()
        .unwrap()
        .retain(|name, _| burst.get(name).is_some());
    assert_eq!(shown, burst);
    let empty = world
        .get_as("gus", "/api/dashboard/globex/rate-limits")
        .await
        .json();
    assert_eq!(empty["integrations"], json!([]));
    assert_eq!(empty["next"], Value::Null);
}

// ---- What is broken ----

#[test]
fn nonsense_policies_are_refused_by_name() {
    let environment = Environment::new(&local::Addresses {
        parameters: std::collections::BTreeMap::new(),
        gateway: String::new(),
        dynamodb: "http://127.0.0.1:1".to_owned(),
        sns: String::new(),
        sqs: String::new(),
        kms: String::new(),
        s3: String::new(),
        lambda: String::new(),
        secretsmanager: String::new(),
        issuer: "http://127.0.0.1:1".to_owned(),
        platforms: "http://127.0.0.1:1".to_owned(),
        access_key: "local".to_owned(),
    })
    .unwrap();
    let clock = shared::Clock::system();
    let wire = |policies: &str| {
        let of = |function| {
            let more = [("QUOTA_POLICIES", policies.to_owned())];
            variables_of(&environment, function, &more)
        };
        let sdk = environment.sdk_config();
        let authorizer = rate_limit_authorizer::Authorizer::from_environment(
            &sdk,
            &of(AUTHORIZER),
            clock.clone(),
        );
        let api = api::App::from_environment(&sdk, &of(API), clock.clone());
        (
            authorizer.map(|_| ()).map_err(|e| e.to_string()),
            api.map(|_| ()).map_err(|e| e.to_string()),
        )
    };
    for (policies, problem) in [
        (
            r#"{"meta":{"limit":0,"period":3600,"burst":1}}"#,
            "meta.limit: must be at least 1",
        ),
        (
            r#"{"meta":{"limit":5,"period":3600,"burst":0}}"#,
            "meta.burst: must be at least 1",
        ),
        (
            r#"{"meta":{"limit":-5,"period":3600,"burst":5}}"#,
            "meta.limit must be a whole number, not -5",
        ),
        (
            r#"{"meta":{"limit":1.5,"period":3600,"burst":1}}"#,
            "meta.limit must be a whole number, not 1.5",
        ),
        (
            r#"{"meta":{"limit":5,"period":3600,"burst":6}}"#,
            "meta.burst must not be above limit",
        ),
        (
            r#"{"meta":{"limit":5,"period":59,"burst":5}}"#,
            "meta.period must be at least 60",
        ),
        (
            r#"{"meta":{"limit":5,"period":0,"burst":5}}"#,
            "meta.period must be at least 60",
        ),
        (
            r#"{"meta":{"limit":5000000000,"period":60,"burst":5}}"#,
            "meta.limit: must be at most 1000000000",
        ),
        (
            r#"{"meta":{"limit":5,"period":99999999,"burst":5}}"#,
            "meta.period: must be at most",
        ),
        (
            r#"{"meta":{"limit":5,"period":3600}}"#,
            "meta.burst is missing",
        ),
        (
            r#"{"meta":{"limit":5,"period":3600,"burst":5,"x":1}}"#,
            "meta has no field \"x\"",
        ),
        (
            r#"{"myspace":{"limit":5,"period":3600,"burst":5}}"#,
            "unknown platform \"myspace\"",
        ),
        (r#"{"meta":5}"#, "meta must be an object such as {"),
        ("[]", "must be JSON such as {"),
        ("{", "must be JSON such as {"),
        ("meta=200", "must be JSON such as {"),
    ] {
        let (authorizer, api) = wire(policies);
        let error = authorizer.unwrap_err();
        let expected = format!("environment variable QUOTA_POLICIES: {problem}");
        assert!(error.starts_with(&expected), "{policies}: {error}");
        assert_eq!(api.unwrap_err(), error);
    }
    for policies in [
        "",
        "{}",
        r#"{"facebook":{"limit":5,"period":60,"burst":5}}"#,
    ] {
        assert_eq!(wire(policies), (Ok(()), Ok(())), "{policies}");
    }
}

#[tokio::test]
async fn an_item_of_an_older_policy_still_counts() {
    let world = world(small()).await;
    let older = json!({"meta": {"limit": 100, "period": 7_200, "burst": 10}});
    let old = limiter(&world, &older);
    for _ in 0..3 {
        assert!(matches!(
            old.take_permit(&key("fb")).await.unwrap(),
            Decision::Admitted(_)
        ));
    }
    // Three in this minute, so none left; and one of the hour.
    assert_eq!(permit(&world).await.status, 429);
    world.pass(TimeDelta::seconds(66));
    assert_eq!(statuses(&world, 2).await, [200, 429]);
    assert_eq!(granted(&world).await, fb(4));
}
