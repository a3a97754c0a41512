//! Members and what they may do, the organisations of a user, and notifications read at once:
//! through the gateway.

use aws_sdk_dynamodb::types::AttributeValue;
use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::world::{Answer, World, acme, integration};

const ALL: &str = "/api/dashboard/acme/members";
/// For how long the authorizer remembers what somebody may do.
const REMEMBERED: TimeDelta = TimeDelta::seconds(60);

fn one(user: &str) -> String {
    format!("{ALL}/{user}")
}

async fn world() -> World {
    let world = World::new().await;
    world.import(&acme()).await;
    world
}

async fn put(world: &World, by: &str, user: &str, permissions: Value) -> Answer {
    let request = world.request_as(by, "PUT", &one(user));
    let request = request.json(&json!({"permissions": permissions}));
    Answer::of(request).await
}

async fn members(world: &World, query: &str) -> Value {
    let answer = world.get_as("mia", &format!("{ALL}{query}")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

#[tokio::test]
async fn the_owner_adds_changes_and_removes_members() {
    let world = world().await;
    let list = members(&world, "").await;
    let expected = json!({
        "members": [
            {"user_id": "olga", "role": "owner",
             "permissions": ["manage_integrations", "manage_members", "use_integrations"]},
            {"user_id": "ian", "role": "member", "permissions": ["manage_integrations"]},
            {"user_id": "mia", "role": "member", "permissions": ["read", "use_integrations"]},
        ],
        "next": null,
    });
    assert_eq!(list, expected);

    let added = put(&world, "olga", "zoe", json!(["use_integrations"])).await;
    let zoe = json!({"user_id": "zoe", "role": "member", "permissions": ["use_integrations"]});
    assert_eq!((added.status, added.json()), (201, zoe.clone()));
    assert_eq!(world.get_as("zoe", &one("zoe")).await.json(), zoe);
    let again = put(&world, "olga", "zoe", json!(["use_integrations"])).await;
    assert_eq!(again.status, 200);
    world.pass(TimeDelta::seconds(1));
    let changed = put(&world, "olga", "zoe", json!([])).await;
    assert_eq!(
        (changed.status, &changed.json()["permissions"]),
        (200, &json!([]))
    );

    world.pass(TimeDelta::seconds(1));
    let removed = world.send_as("olga", "DELETE", &one("zoe")).await;
    assert_eq!((removed.status, removed.text.as_str()), (204, ""));
    world
        .send_as("olga", "DELETE", &one("zoe"))
        .await
        .assert_problem(404);
    world.get_as("mia", &one("zoe")).await.assert_problem(404);
    world.pass(REMEMBERED);
    world.get_as("zoe", ALL).await.assert_problem(403);

    let recorded = world.audit("members#acme").await;
    let recorded: Vec<_> = recorded
        .iter()
        .map(|row| {
            [
                &row["action"],
                &row["user_id"],
                &row["permissions"],
                &row["by"],
            ]
        })
        .collect();
    let row = |action: &str, permissions: Value| {
        [json!(action), json!("zoe"), permissions, json!("olga")]
    };
    let expected = [
        row("member_added", json!(["use_integrations"])),
        row("permissions_changed", json!([])),
        row("member_removed", json!([])),
    ];
    assert_eq!(recorded, expected.each_ref().map(|row| row.each_ref()));
}

#[tokio::test]
async fn only_who_manages_members_changes_them() {
    let world = world().await;
    for user in ["mia", "ian", "nobody"] {
        // `ian` manages integrations: that is not enough to give himself more.
        let all = json!(["manage_integrations", "use_integrations", "manage_members"]);
        put(&world, user, user, all).await.assert_problem(403);
        world
            .send_as(user, "DELETE", &one("mia"))
            .await
            .assert_problem(403);
    }
    assert_eq!(
        members(&world, "").await["members"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(world.audit("members#acme").await, Vec::<Value>::new());

    put(&world, "olga", "mia", json!(["manage_members"])).await;
    world.pass(REMEMBERED);
    assert_eq!(put(&world, "mia", "zoe", json!([])).await.status, 201);
    // Nobody touches the owner.
    put(&world, "mia", "olga", json!([]))
        .await
        .assert_problem(409);
    world
        .send_as("mia", "DELETE", &one("olga"))
        .await
        .assert_problem(409);
    // Another organisation's members are none of hers.
    let other = "/api/dashboard/other/members/mia";
    world
        .send_as("mia", "DELETE", other)
        .await
        .assert_problem(403);
}

#[tokio::test]
async fn a_body_that_makes_no_sense_is_explained() {
    let world = world().await;
    for (body, says) in [
        ("", "not as it should be"),
        ("[]", "no JSON object"),
        ("{}", "missing field `permissions`"),
        (r#"{"permissions":"manage_members"}"#, "expected a sequence"),
        (r#"{"permissions":[1]}"#, "expected a string"),
        (
            r#"{"permissions":[],"role":"owner"}"#,
            "unknown field `role`",
        ),
        (
            r#"{"permissions":["manage_integration"]}"#,
            r#"There is no permission "manage_integration"; there are manage_integrations, manage_members, use_integrations."#,
        ),
    ] {
        let request = world.request_as("olga", "PUT", &one("zoe")).body(body);
        let answer = Answer::of(request).await;
        answer.assert_problem_says(400, says);
    }
    let long = "x".repeat(20_000);
    let request = world.request_as("olga", "PUT", &one("zoe")).body(long);
    Answer::of(request).await.assert_problem(413);
    for bad in ["a%23b", "%7aoe", "a%20b"] {
        put(&world, "olga", bad, json!([]))
            .await
            .assert_problem(404);
    }
    world.get_as("mia", &one("zoe")).await.assert_problem(404);
    // As many identity providers write ids.
    assert_eq!(
        put(&world, "olga", "auth0%7C7", json!([])).await.status,
        201
    );
    assert_eq!(
        world.get_as("mia", &one("auth0|7")).await.json()["user_id"],
        "auth0|7"
    );
}

#[tokio::test]
async fn a_permission_of_another_system_stays_with_who_has_it() {
    let world = world().await;
    let ian = json!({
        "type": "member", "org_id": "acme", "user_id": "ian", "permissions": ["billing"],
    });
    world.import(&[ian]).await;
    let kept = put(&world, "olga", "ian", json!(["billing", "manage_members"])).await;
    assert_eq!(
        kept.json()["permissions"],
        json!(["billing", "manage_members"])
    );
    put(&world, "olga", "mia", json!(["billing"]))
        .await
        .assert_problem(400);
}

#[tokio::test]
async fn many_members_come_in_pages() {
    let world = world().await;
    for number in 0..120 {
        let member = format!("u{number:03}");
        world
            .importer()
            .organizations
            .put_member(
                &serde_json::from_value(json!({
                    "org_id": "acme", "user_id": member, "permissions": [],
                }))
                .unwrap(),
            )
            .await
            .unwrap();
    }
    let (mut seen, mut query) = (Vec::new(), "?limit=50".to_owned());
    loop {
        let page = members(&world, &query).await;
        seen.extend(page["members"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => query = format!("?limit=50&next={next}"),
            None => break,
        }
    }
    let ids: Vec<_> = seen
        .iter()
        .map(|member| member["user_id"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), 123);
    assert_eq!((ids[0], ids[1], ids[122]), ("olga", "ian", "u119"));
    for bad in ["?limit=0", "?next=%25", "?page=1"] {
        world
            .get_as("mia", &format!("{ALL}{bad}"))
            .await
            .assert_problem(400);
    }
}

async fn organizations(world: &World, user: &str) -> Value {
    let answer = world.get_as(user, "/api/organizations").await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()["organizations"].take()
}

#[tokio::test]
async fn a_user_sees_their_organizations() {
    let world = world().await;
    world
        .import(&[
            json!({"type": "organization", "org_id": "zeta", "name": "Zeta", "owner_id": "ian"}),
            json!({"type": "member", "org_id": "zeta", "user_id": "ian", "permissions": []}),
        ])
        .await;
    let expected = json!([
        {"org_id": "acme", "name": "Acme", "role": "member", "permissions": ["manage_integrations"]},
        {"org_id": "zeta", "name": "Zeta", "role": "owner",
         "permissions": ["manage_integrations", "manage_members", "use_integrations"]},
    ]);
    assert_eq!(organizations(&world, "ian").await, expected);
    assert_eq!(organizations(&world, "olga").await[0]["role"], "owner");
    assert_eq!(organizations(&world, "nobody").await, json!([]));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/api/organizations", world.stack.addresses().gateway);
    assert_eq!(client.get(url).send().await.unwrap().status(), 401);

    // The owner changes: the old one sees it no more.
    world
        .import(&[
            json!({"type": "organization", "org_id": "acme", "name": "Acme", "owner_id": "ian"}),
        ])
        .await;
    assert_eq!(organizations(&world, "olga").await, json!([]));
    assert_eq!(organizations(&world, "ian").await[0]["role"], "owner");
}

/// An organisation that was stored before there was an index by user is found once it is imported
/// again.
#[tokio::test]
async fn an_old_organization_is_found_after_another_import() {
    let world = world().await;
    let table = world.variable("NotifyFunction", "ORGANIZATIONS_TABLE");
    let strip = || async {
        let update = world.dynamodb().update_item().table_name(&table);
        update
            .key("org_id", AttributeValue::S("acme".to_owned()))
            .key("member_id", AttributeValue::S("org".to_owned()))
            .update_expression("REMOVE user_id")
            .send()
            .await
            .unwrap();
    };
    strip().await;
    assert_eq!(organizations(&world, "olga").await, json!([]));
    assert_eq!(organizations(&world, "ian").await[0]["org_id"], "acme");
    world.import(&acme()).await;
    assert_eq!(organizations(&world, "olga").await[0]["org_id"], "acme");
}

#[tokio::test]
async fn all_notifications_are_read_at_once() {
    let world = world().await;
    let ends = |id: &str| integration(id, "linkedin", Some(TimeDelta::days(2)), false);
    let many: Vec<_> = (0..40).map(|number| ends(&format!("li{number}"))).collect();
    world.import(&many).await;
    world.check(json!({})).await;
    let notifications = "/api/dashboard/acme/notifications";
    let read_all = format!("{notifications}/read-all");
    let unread = async |user: &str| {
        let page = world
            .get_as(user, &format!("{notifications}?unread=true"))
            .await;
        page.json()["unread_count"].as_u64().unwrap()
    };
    let before = unread("olga").await;
    assert!(before >= 40, "{before}");
    let others = unread("ian").await;
    let answer = world.send_as("olga", "POST", &read_all).await;
    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({"marked": before}))
    );
    assert_eq!((unread("olga").await, unread("ian").await), (0, others));
    let again = world.send_as("olga", "POST", &read_all).await;
    assert_eq!(again.json(), json!({"marked": 0}));
    world
        .send_as("nobody", "POST", &read_all)
        .await
        .assert_problem(403);
}

#[tokio::test]
async fn who_asks_again_for_the_same_gets_no_body() {
    let world = world().await;
    let again = async |path: &str, tag: &str| {
        let request = world.request_as("mia", "GET", path);
        Answer::of(request.header("if-none-match", tag)).await
    };
    for path in [
        ALL,
        "/api/organizations",
        "/api/platforms",
        "/api/dashboard/acme/integrations",
        "/api/dashboard/acme/notifications",
        "/api/dashboard/acme/rate-limits",
    ] {
        let first = world.get_as("mia", path).await;
        let tag = first.headers["etag"].to_str().unwrap();
        for same in [tag, &format!("W/{tag}"), &format!("\"x\", {tag}"), "*"] {
            let answer = again(path, same).await;
            assert_eq!(
                (answer.status, answer.text.as_str()),
                (304, ""),
                "{path} {same}"
            );
            assert_eq!(answer.headers["etag"], tag);
        }
        for other in ["\"x\"", tag.trim_matches('"'), ""] {
            let answer = again(path, other).await;
            assert_eq!(
                (answer.status, &answer.text),
                (200, &first.text),
                "{path} {other}"
            );
        }
    }
    let before = world.get_as("mia", ALL).await.headers["etag"].clone();
    put(&world, "olga", "zoe", json!([])).await;
    let changed = again(ALL, before.to_str().unwrap()).await;
    assert_eq!((changed.status, changed.text.contains("zoe")), (200, true));
    // A refusal is no representation.
    let request = world
        .request_as("nobody", "GET", ALL)
        .header("if-none-match", "*");
    Answer::of(request).await.assert_problem(403);
}
