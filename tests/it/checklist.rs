//! The original system's test checklist, token half: one test a line, named after it.
//! ("Command runs synchronously" is in `cli/tests`, "severities correct at
//! their edges" also in `shared/src/domain/severity.rs`.)

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::world::{World, acme, integration, start};

fn types(notifications: &[Value]) -> Vec<&str> {
    notifications
        .iter()
        .map(|n| n["type"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn events_fired_when_tokens_expire() {
    let world = World::new().await;
    world.import(&acme()).await;
    world
        .import(&[integration(
            "x",
            "twitter",
            Some(TimeDelta::days(10)),
            false,
        )])
        .await;
    let mut told = Vec::new();
    for _ in 0..12 {
        let report = world.check(json!({"days": 7})).await;
        told.push(report.alerts_published);
        world.pass(TimeDelta::days(1));
    }
    // Ten days left, nine, eight; 7 warning; 3 urgent; 1 critical; 0 expired.
    assert_eq!(told, [0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 1, 0]);
    let all = world.notifications("olga", "acme").await;
    assert_eq!(
        types(&all),
        [
            "integration_token_expired",
            "integration_token_expiring",
            "integration_token_expiring",
            "integration_token_expiring"
        ]
    );
    let severities: Vec<_> = all.iter().map(|n| n["severity"].clone()).collect();
    assert_eq!(severities, ["expired", "critical", "urgent", "warning"]);
}

#[tokio::test]
async fn notifications_for_owner_creator_admins() {
    let world = World::new().await;
    world.import(&acme()).await;
    // Ian, a manager, made this one himself: still once.
    let mut by_ian = integration("own", "linkedin", Some(TimeDelta::days(2)), false);
    by_ian["created_by"] = json!("ian");
    world
        .import(&[
            integration("li", "linkedin", Some(TimeDelta::days(2)), false),
            by_ian,
        ])
        .await;
    world
        .import(&[
            json!({"type": "member", "org_id": "acme", "user_id": "carl", "permissions": []}),
        ])
        .await;
    world.check(json!({})).await;
    for (user, ids) in [
        ("olga", vec!["li", "own"]),
        ("ian", vec!["li", "own"]),
        ("carl", vec!["li"]),
        ("mia", vec![]),
    ] {
        let mut about: Vec<_> = world
            .notifications(user, "acme")
            .await
            .iter()
            .map(|n| n["data"]["integration_id"].as_str().unwrap().to_owned())
            .collect();
        about.sort();
        assert_eq!(about, ids, "{user}");
    }
    let one = &world.notifications("carl", "acme").await[0];
    assert_eq!(
        one["title"],
        "Urgent: LinkedIn connection expires in 2 days"
    );
    assert!(one["message"].as_str().unwrap().contains("li.account"));
    assert_eq!(
        one["action_url"],
        "/dashboard/acme/integrations/li/reconnect"
    );
    assert_eq!(one["is_read"], false);
    assert_eq!(
        one["data"],
        json!({
            "integration_id": "li", "platform": "linkedin", "username": "li.account",
            "expires_at": "2026-11-25T09:00:00Z", "days_until_expiry": 2, "severity": "urgent"
        })
    );
}

#[tokio::test]
async fn auto_refresh_for_platforms_that_can() {
    let world = World::new().await;
    world.import(&acme()).await;
    let left = Some(TimeDelta::days(2));
    let refreshable = [
        ("meta", false),
        ("instagram", false),
        ("tiktok", true),
        ("tiktok_business", true),
        ("linkedin", true),
        ("twitter", true),
        ("google", true),
        ("snapchat", true),
        ("threads", false),
    ];
    let mut records: Vec<_> = refreshable
        .iter()
        .map(|(platform, refresh)| integration(platform, platform, left, *refresh))
        .collect();
    records.push(integration("no-refresh-token", "linkedin", left, false));
    world.import(&records).await;
    let report = world.check(json!({"days": 7})).await;
    assert_eq!(
        (report.auto_refreshed, report.refresh_failed),
        (9, 0),
        "{report:?}"
    );
    for (platform, refresh) in refreshable {
        let row = world.row("acme", platform).await;
        assert!(row.expiry.access_token.unwrap() > start(), "{platform}");
        assert_eq!(
            (row.credential.generation, row.refresh.renewed_at),
            (2, Some(start())),
            "{platform}"
        );
        assert_eq!(
            row.credential.refresh_token.is_some(),
            refresh,
            "{platform}"
        );
        assert_eq!(
            world.audit(&format!("integration#acme#{platform}")).await[0]["result"],
            "renewed"
        );
    }
    let listed = world.expiring("olga", "acme", 7).await;
    assert_eq!(listed["total_count"], 1);
    assert_eq!(
        listed["expiring_tokens"][0]["integration_id"],
        "no-refresh-token"
    );
    // Long-lived tokens that were inside their warning window: people hear of it.
    let refreshed: Vec<_> = world
        .notifications("olga", "acme")
        .await
        .into_iter()
        .filter(|n| n["type"] == "integration_token_refreshed")
        .collect();
    assert_eq!(
        refreshed.len(),
        4,
        "meta, instagram, linkedin, threads: {refreshed:?}"
    );
    let meta = refreshed
        .iter()
        .find(|n| n["data"]["platform"] == "meta")
        .unwrap();
    assert_eq!(meta["action_url"], "/dashboard/acme/integrations/meta");
    assert_eq!(
        meta["data"],
        json!({
            "integration_id": "meta", "platform": "meta", "username": "meta.account",
            "new_expires_at": start() + TimeDelta::seconds(5_183_944),
        })
    );
}

#[tokio::test]
async fn schedule_at_09_00() {
    let world = World::new().await;
    let schedules = &world.stack.environment().model().schedules;
    let daily = schedules
        .iter()
        .find(|s| s.input == json!({"days": 7}))
        .unwrap();
    let monday = start(); // 09:00
    assert_eq!(
        daily.expression.next(monday, monday - TimeDelta::hours(10)),
        Some(monday)
    );
    assert_eq!(
        daily.expression.next(monday, monday),
        Some(monday + TimeDelta::days(1))
    );
    let due = schedules.iter().find(|s| s.input == json!({})).unwrap();
    assert_eq!(
        due.expression.next(monday, monday),
        Some(monday + TimeDelta::minutes(5))
    );
}

#[tokio::test]
async fn run_log_written() {
    let world = World::new().await;
    world.import(&acme()).await;
    world
        .import(&[integration(
            "li",
            "linkedin",
            Some(TimeDelta::hours(5)),
            false,
        )])
        .await;
    let report = world.check(json!({"days": 7})).await;
    let runs = world.audit("sweep").await;
    assert_eq!(runs.len(), 1);
    for (count, value) in [
        ("critical", report.critical),
        ("urgent", report.urgent),
        ("warning", report.warning),
        ("auto_refreshed", report.auto_refreshed),
        ("refresh_failed", report.refresh_failed),
    ] {
        assert_eq!(runs[0][count], json!(value), "{count}");
    }
    assert_eq!(report.critical, 1);
    assert!(
        runs[0]["at"]
            .as_str()
            .unwrap()
            .starts_with(&format!("00{}#", start().timestamp_millis()))
    );
}

#[tokio::test]
async fn dashboard_endpoint_returns_expiring_tokens() {
    let world = World::new().await;
    world.import(&acme()).await;
    world
        .import(&[
            integration("later", "tiktok_business", Some(TimeDelta::days(7)), false),
            integration("soon", "google", Some(TimeDelta::hours(36)), false),
            integration("beyond", "linkedin", Some(TimeDelta::days(8)), false),
        ])
        .await;
    assert_eq!(
        world.expiring("olga", "acme", 7).await,
        json!({
            "expiring_tokens": [
                {
                    "integration_id": "soon", "platform": "google", "platform_name": "Google Ads",
                    "username": "soon.account", "account_id": "1234567890",
                    "expires_at": "2026-11-24T21:00:00+00:00", "expires_at_human": "in 1 day",
                    "days_until_expiry": 1.5, "hours_until_expiry": 36, "severity": "urgent",
                    "has_refresh_token": false,
                    "reconnect_url": "/dashboard/acme/integrations/soon/reconnect"
                },
                {
                    "integration_id": "later", "platform": "tiktok_business", "platform_name": "TikTok Business",
                    "username": "later.account", "account_id": "1234567890",
                    "expires_at": "2026-11-30T09:00:00+00:00", "expires_at_human": "in 7 days",
                    "days_until_expiry": 7, "hours_until_expiry": 168, "severity": "warning",
                    "has_refresh_token": false,
                    "reconnect_url": "/dashboard/acme/integrations/later/reconnect"
                }
            ],
            "total_count": 2, "critical_count": 0, "urgent_count": 1, "warning_count": 1
        })
    );
    assert_eq!(world.expiring("mia", "acme", 30).await["total_count"], 3);
    assert_eq!(world.expiring("ian", "acme", 1).await["total_count"], 0);
}

#[tokio::test]
async fn severities_correct_at_their_edges() {
    let world = World::new().await;
    world.import(&acme()).await;
    let second = TimeDelta::seconds(1);
    let cases = [
        ("a", TimeDelta::days(1), "critical"),
        ("b", TimeDelta::days(1) + second, "urgent"),
        ("c", TimeDelta::days(3), "urgent"),
        ("d", TimeDelta::days(3) + second, "warning"),
        ("e", TimeDelta::days(7), "warning"),
    ];
    let records: Vec<_> = cases
        .iter()
        .map(|(id, left, _)| integration(id, "linkedin", Some(*left), false))
        .collect();
    world.import(&records).await;
    world
        .import(&[
            integration("out", "linkedin", Some(TimeDelta::days(7) + second), false),
            integration("over", "linkedin", Some(TimeDelta::zero()), false),
        ])
        .await;
    let listed = world.expiring("olga", "acme", 7).await;
    let rows = listed["expiring_tokens"].as_array().unwrap();
    let got: Vec<_> = rows
        .iter()
        .map(|r| (r["integration_id"].clone(), r["severity"].clone()))
        .collect();
    let expected: Vec<_> = cases
        .iter()
        .map(|(id, _, severity)| (json!(id), json!(severity)))
        .collect();
    assert_eq!(got, expected);
    let report = world.check(json!({})).await;
    assert_eq!(
        (
            report.critical,
            report.urgent,
            report.warning,
            report.expired
        ),
        (1, 2, 2, 1)
    );
}
