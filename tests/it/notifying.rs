//! `notify` and the notifications' routes: everybody once, however often an
//! alert is delivered; what cannot be delivered is kept.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::world::{World, acme, integration};

async fn world_with_alert() -> (World, Value) {
    let world = World::new().await;
    world.import(&acme()).await;
    world
        .import(&[integration(
            "li",
            "linkedin",
            Some(TimeDelta::days(2)),
            false,
        )])
        .await;
    let event: Value = serde_json::from_str(include_str!("../../events/notify-sns.json")).unwrap();
    (world, event)
}

#[tokio::test]
async fn an_alert_delivered_again_and_again_notifies_once() {
    let (world, _) = world_with_alert().await;
    let row = world.row("acme", "li").await;
    world.check(json!({})).await;
    let first = world.notifications("olga", "acme").await;
    assert_eq!(first.len(), 1);
    // As if we had died between publishing and recording: the row is as before.
    for _ in 0..3 {
        let mut forgotten = world.row("acme", "li").await;
        forgotten.sent_alerts = row.sent_alerts.clone();
        world
            .integrations()
            .replace(forgotten, world.now())
            .await
            .unwrap();
        world.pass(TimeDelta::minutes(5));
        assert_eq!(world.check(json!({})).await.alerts_published, 1);
    }
    assert_eq!(world.notifications("olga", "acme").await, first);
}

#[tokio::test]
async fn a_sample_event_is_taken_and_a_read_one_stays_read() {
    let (world, event) = world_with_alert().await;
    let message: Value =
        serde_json::from_str(event["Records"][0]["Sns"]["Message"].as_str().unwrap()).unwrap();
    let org = message["org_id"].as_str().unwrap();
    world
        .import(&[json!({"type": "organization", "org_id": org, "name": "S", "owner_id": "sam"})])
        .await;
    world
        .stack
        .invoke("NotifyFunction", event.clone())
        .await
        .unwrap();
    // The integration is in no table, so its creator is known from the alert alone.
    let table = world.variable("NotifyFunction", "NOTIFICATIONS_TABLE");
    assert_eq!(world.partition(&table, "user_id", "carl").await.len(), 1);
    let notifications = world.notifications("sam", org).await;
    assert_eq!(notifications.len(), 1);
    let id = notifications[0]["notification_id"].as_str().unwrap();
    let read = format!("/api/dashboard/{org}/notifications/{id}/read");
    let bearer = format!("Bearer {}", world.token("sam"));
    for _ in 0..2 {
        assert_eq!(world.send("POST", &read, Some(&bearer)).await.status, 204);
    }
    world.stack.invoke("NotifyFunction", event).await.unwrap();
    let again = world.notifications("sam", org).await;
    assert_eq!((again.len(), &again[0]["is_read"]), (1, &json!(true)));
}

#[tokio::test]
async fn what_is_no_alert_ends_as_a_dead_letter() {
    let (world, event) = world_with_alert().await;
    let sns = aws_sdk_sns::Client::new(&world.stack.environment().sdk_config());
    let topic = world.variable("CheckTokensFunction", "ALERTS_TOPIC_ARN");
    let mut alert: Value =
        serde_json::from_str(event["Records"][0]["Sns"]["Message"].as_str().unwrap()).unwrap();
    alert["org_id"] = json!("nowhere");
    let mut future = alert.clone();
    future["schema"] = json!(2);
    for message in [
        "not JSON".to_owned(),
        json!({"kind": "pony"}).to_string(),
        future.to_string(),
        alert.to_string(),
    ] {
        sns.publish()
            .topic_arn(&topic)
            .message(message)
            .send()
            .await
            .unwrap();
    }
    world.stack.settled().await;
    let dead = world.stack.queue("FailedAlertsQueue");
    assert_eq!(dead.len(), 4, "{dead:?}");
    for reason in [
        "is not an alert: expected",
        "unknown variant `pony`",
        "its schema is 2",
        "organisation nowhere is unknown",
    ] {
        assert!(
            dead.iter().any(|letter| letter.body.contains(reason)),
            "{reason}: {dead:?}"
        );
    }
    // No other alert is lost with them.
    world.check(json!({})).await;
    assert_eq!(world.notifications("olga", "acme").await.len(), 1);
}

#[tokio::test]
async fn notifications_are_own_newest_first_paged_and_counted() {
    let world = World::new().await;
    world.import(&acme()).await;
    let records: Vec<_> = (0..25)
        .map(|n| {
            integration(
                &format!("c{n:02}"),
                "linkedin",
                Some(TimeDelta::hours(20 + n)),
                false,
            )
        })
        .collect();
    world.import(&records).await;
    world.check(json!({})).await;
    let page = |query: &str| {
        let path = format!("/api/dashboard/acme/notifications{query}");
        let world = &world;
        async move { world.get_as("olga", &path).await }
    };
    let first = page("?limit=10").await.json();
    assert_eq!(first["unread_count"], 25);
    let rows = first["notifications"].as_array().unwrap();
    assert_eq!(rows.len(), 10);
    let times: Vec<_> = rows
        .iter()
        .map(|r| r["created_at"].as_str().unwrap())
        .collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "{times:?}");
    assert_eq!(
        world.notifications("olga", "acme").await.len(),
        25,
        "through all pages"
    );

    let id = rows[3]["notification_id"].as_str().unwrap();
    let read = format!("/api/dashboard/acme/notifications/{id}/read");
    // Mia has no such notification; Gus is no member; both get nowhere.
    let mia = format!("Bearer {}", world.token("mia"));
    assert_eq!(world.send("POST", &read, Some(&mia)).await.status, 404);
    let gus = format!("Bearer {}", world.token("gus"));
    assert_eq!(world.send("POST", &read, Some(&gus)).await.status, 403);
    let olga = format!("Bearer {}", world.token("olga"));
    assert_eq!(world.send("POST", &read, Some(&olga)).await.status, 204);
    let unread = page("?unread=true&limit=100").await.json();
    assert_eq!(
        (
            &unread["unread_count"],
            unread["notifications"].as_array().unwrap().len()
        ),
        (&json!(24), 24)
    );
    for bad in [
        "?limit=0",
        "?limit=1001",
        "?limit=x",
        "?unread=maybe",
        "?colour=red",
    ] {
        assert_eq!(page(bad).await.status, 400, "{bad}");
    }
}
