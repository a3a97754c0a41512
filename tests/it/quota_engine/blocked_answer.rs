//! What callers of the API see while a platform asks us to wait.

use chrono::TimeDelta;
use serde_json::json;
use shared::aws::quota::Limiter;
use shared::domain::quota::{BlockSource, Policies};

use super::key;
use crate::world::{World, acme, integration};

#[tokio::test]
async fn a_429_says_that_the_platform_asks_to_wait() {
    let world = World::new().await;
    world.import(&acme()).await;
    world
        .import(&[integration("fb", "meta", None, false)])
        .await;
    let table = world.variable("ApiFunction", "QUOTAS_TABLE");
    let (client, clock) = (world.dynamodb(), world.clock.clone());
    let limiter = Limiter::new(client, table, Policies::default(), clock);
    let until = world.now() + TimeDelta::seconds(599);
    let key = key("fb");
    let blocking = limiter.block(&key, until, BlockSource::Throttle);
    let end = blocking.await.unwrap().block().unwrap().until;

    let path = "/api/platforms/meta/acme/fb/permits";
    let denied = world.send_as("mia", "POST", path).await;
    assert_eq!(denied.status, 429, "{}", denied.text);
    let expected = json!({
        "error": "Rate limit exceeded",
        "message": "Facebook asks us to wait. Please try again later.",
        "reason": "platform_asks_to_wait",
        "retry_after": 600, "reset_at": "2026-11-23 09:10:00", "limit": 200,
    });
    assert_eq!(denied.json(), expected);
    for (name, value) in [
        ("retry-after", "600".to_owned()),
        ("x-ratelimit-limit", "200".to_owned()),
        ("x-ratelimit-remaining", "0".to_owned()),
        ("x-ratelimit-reset", end.to_string()),
    ] {
        assert_eq!(denied.headers[name], value, "{name}");
    }
    let limits = world.get_as("mia", "/api/dashboard/acme/rate-limits").await;
    let row = limits.json()["integrations"][0].clone();
    assert_eq!(row["blocked_until"], end);
    assert_eq!((&row["remaining"], &row["reset"]), (&json!(0), &json!(end)));
    assert_eq!(row["period"]["remaining"], 200);

    world.pass(TimeDelta::seconds(600));
    let answer = world.send_as("mia", "POST", path).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.headers["x-ratelimit-remaining"], "199");
    assert!(answer.json().get("blocked_until").is_none());
}
