//! Import: every kind of bad line is reported with its number and reason, the
//! rest goes on, nothing half-written stays, and a second time changes nothing.

use chrono::TimeDelta;
use serde_json::{Value, json};
use shared::integration::State;

use crate::world::{World, acme, connection, start};

fn file(records: &[Value]) -> String {
    records
        .iter()
        .map(Value::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// A good connection with one field replaced, or removed with null of `remove`.
fn with(field: &str, value: Value) -> String {
    let mut line = connection("bad", "meta", Some(TimeDelta::days(9)), false);
    line[field] = value;
    line.to_string()
}

fn without(field: &str) -> String {
    let mut line = connection("bad", "meta", Some(TimeDelta::days(9)), false);
    line.as_object_mut().unwrap().remove(field);
    line.to_string()
}

#[tokio::test]
async fn bad_lines_are_reported_and_the_rest_is_taken() {
    let world = World::new().await;
    let good = connection("good", "meta", Some(TimeDelta::days(9)), false).to_string();
    let cases = [
        ("{".to_owned(), "not valid JSON"),
        ("[]".to_owned(), "missing field `type`"),
        (r#""text""#.to_owned(), "not of the right type"),
        (r#"{"type":"pony"}"#.to_owned(), "unknown variant `pony`"),
        (r#"{"org_id":"acme"}"#.to_owned(), "missing field `type`"),
        (
            with("platform", json!("myspace")),
            "unknown platform \"myspace\"; known are meta",
        ),
        (with("platform", json!("Meta")), "unknown platform"),
        (with("platform", json!(7)), "not of the right type"),
        (with("token_expires_at", json!("tomorrow")), "RFC 3339"),
        (with("token_expires_at", json!("2026-11-30")), "RFC 3339"),
        (
            with("token_expires_at", json!("2026-02-30T00:00:00Z")),
            "RFC 3339",
        ),
        (
            with("token_expires_at", json!(1_795_424_400)),
            "not of the right type",
        ),
        (
            with("token_expires_at", json!("9999-01-01T00:00:00Z")),
            "between the years 2000 and 2100",
        ),
        (
            with("token_issued_at", json!("2027-01-01T00:00:00Z")),
            "before token_expires_at",
        ),
        (with("access_token", json!("  ")), "access_token must be"),
        (
            with("access_token", Value::Null),
            "missing field `access_token`",
        ),
        (
            with("org_id", json!("a#b")),
            "org_id must be 1 to 128 characters",
        ),
        (with("integration_id", json!("")), "integration_id must be"),
        (with("created_by", json!("user x")), "user_id must be"),
        (with("username", json!("")), "username must be"),
        (with("is_active", json!("yes")), "not of the right type"),
        (with("expires", json!(1)), "unknown field `expires`"),
        (without("platform"), "missing field `platform`"),
        (without("is_active"), "missing field `is_active`"),
        (without("created_by"), "missing field `created_by`"),
        (
            format!(r#"{{"type":"member","junk":"{}"}}"#, "x".repeat(200_000)),
            "longer than 131072 bytes",
        ),
        (
            good.clone(),
            "integration acme/good was already given in line 1",
        ),
    ];
    let mut text = good;
    for (line, _) in &cases {
        text = format!("{text}\n{line}");
    }
    let last = connection("last", "meta", Some(TimeDelta::days(9)), false);
    text = format!("{text}\n\n{}\r\n{}\n", file(&acme()), last);
    let (summary, problems) = world.import_text(&text).await;
    assert_eq!(
        (summary.created, summary.refused),
        (5, cases.len() as u64),
        "{problems:?}"
    );
    for ((number, reason), (n, (line, expected))) in problems.iter().zip(cases.iter().enumerate()) {
        assert_eq!(*number, n as u64 + 2);
        let shown: String = line.chars().take(120).collect();
        assert!(
            reason.contains(expected),
            "{shown}\n -> {reason}\n not {expected}"
        );
        assert!(!reason.contains("at-bad"), "a token in {reason}");
    }
    // Nothing of a bad line is there.
    let integrations = world.integrations();
    assert!(
        integrations
            .get(&crate::world::key("acme", "bad"))
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(world.row("acme", "last").await.username, "last.account");
}

#[tokio::test]
async fn bytes_that_are_no_text_are_a_bad_line() {
    let world = World::new().await;
    let mut text = b"\xef\xbb\xbf".to_vec(); // a byte order mark is none
    text.extend(file(&acme()).into_bytes());
    text.extend(b"\n\xff\xfe\x00\n{\"type\":\"member\"");
    let (summary, problems) = world.import_text(&text).await;
    assert_eq!((summary.created, summary.refused), (3, 2), "{problems:?}");
}

#[tokio::test]
async fn an_integration_without_its_organisation_is_reported_and_kept() {
    let world = World::new().await;
    let orphan = connection("orphan", "meta", Some(TimeDelta::days(9)), false);
    let (summary, _) = world.import_text(file(std::slice::from_ref(&orphan))).await;
    assert_eq!(summary.missing_organizations, ["acme"]);
    assert!(!summary.is_clean());
    assert_eq!(world.row("acme", "orphan").await.generation, 1);
    // The organisation may come later in a file, or in a later file.
    let (summary, _) = world
        .import_text(format!("{orphan}\n{}", file(&acme())))
        .await;
    assert!(summary.is_clean(), "{summary:?}");
}

#[tokio::test]
async fn importing_again_changes_nothing_and_only_a_later_credential_replaces() {
    let world = World::new().await;
    world.import(&acme()).await;
    let original = connection("g", "google", Some(TimeDelta::days(1)), true);
    world.import(std::slice::from_ref(&original)).await;
    let stored = world.row("acme", "g").await;
    let (summary, _) = world.import_text(original.to_string()).await;
    assert_eq!(summary.unchanged, 1);
    assert_eq!(world.row("acme", "g").await, stored, "not even the version");

    // Refreshed since: the line that it came from is still the same line.
    world.check(json!({})).await;
    let refreshed = world.row("acme", "g").await;
    let (summary, _) = world.import_text(original.to_string()).await;
    assert_eq!((summary.unchanged, summary.older), (1, 0));
    assert_eq!(world.row("acme", "g").await, refreshed);

    // Another credential that is not later stays out, and is reported.
    let mut other = original.clone();
    other["access_token"] = json!("at-other");
    other["token_expires_at"] = json!(start() + TimeDelta::minutes(1));
    let (summary, problems) = world.import_text(other.to_string()).await;
    assert_eq!(summary.older, 1);
    assert!(problems[0].1.contains("newer"), "{problems:?}");
    assert_eq!(world.row("acme", "g").await, refreshed);

    // A later one is a new grant.
    other["token_issued_at"] = json!(start() + TimeDelta::minutes(30));
    other["token_expires_at"] = json!(start() + TimeDelta::hours(3));
    let (summary, _) = world.import_text(other.to_string()).await;
    assert_eq!(summary.changed, 1);
    let replaced = world.row("acme", "g").await;
    assert_eq!(
        (replaced.generation, replaced.grant),
        (refreshed.generation + 1, 2)
    );
    assert_eq!(replaced.renewed_at, None);

    // Names may change without a new credential.
    other["username"] = json!("renamed");
    let (summary, _) = world.import_text(other.to_string()).await;
    assert_eq!(summary.changed, 1);
    let renamed = world.row("acme", "g").await;
    assert_eq!(
        (renamed.username.as_str(), renamed.generation),
        ("renamed", replaced.generation)
    );
}

#[tokio::test]
async fn an_inactive_connection_has_no_tokens_and_is_left_alone() {
    let world = World::new().await;
    world.import(&acme()).await;
    let mut line = connection("off", "linkedin", Some(TimeDelta::days(2)), true);
    world.import(std::slice::from_ref(&line)).await;
    line["is_active"] = json!(false);
    let (summary, _) = world.import_text(line.to_string()).await;
    assert_eq!(summary.changed, 1);
    let row = world.row("acme", "off").await;
    assert!(matches!(row.state, State::Disconnected { .. }));
    assert_eq!(
        (
            row.access_token,
            row.refresh_token,
            row.attention_at,
            row.lapses_at
        ),
        (None, None, None, None)
    );
    assert_eq!(world.check(json!({})).await.examined, 0);
    assert_eq!(world.expiring("olga", "acme", 7).await["total_count"], 0);
}

#[tokio::test]
async fn what_was_switched_off_and_on_elsewhere_is_so_here() {
    let world = World::new().await;
    world.import(&acme()).await;
    let mut line = connection("c", "linkedin", Some(TimeDelta::days(30)), true);
    line["is_active"] = json!(false);
    world.import(std::slice::from_ref(&line)).await;
    line["is_active"] = json!(true);
    world.import(std::slice::from_ref(&line)).await;
    let row = world.row("acme", "c").await;
    assert_eq!(row.state, State::Active);
    assert!(row.access_token.is_some());
    // Off again, its tokens erased there as well.
    line["is_active"] = json!(false);
    line["access_token"] = Value::Null;
    line["refresh_token"] = Value::Null;
    world.import(std::slice::from_ref(&line)).await;
    let row = world.row("acme", "c").await;
    assert!(matches!(row.state, State::Disconnected { .. }));
    let (summary, _) = world.import_text(line.to_string()).await;
    assert_eq!(summary.unchanged, 1);
}

#[tokio::test]
async fn the_same_token_with_a_later_end_is_taken_over() {
    let world = World::new().await;
    world.import(&acme()).await;
    let mut line = connection("c", "instagram", Some(TimeDelta::days(10)), false);
    line["metadata"] = json!({"budget": 100.0, "nested": {"list": [1, 2.5, null]}});
    world.import(std::slice::from_ref(&line)).await;
    let (summary, _) = world.import_text(line.to_string()).await;
    assert_eq!(
        summary.unchanged, 1,
        "a whole float in the metadata is no change"
    );
    line["token_expires_at"] = json!(start() + TimeDelta::days(50));
    let (summary, _) = world.import_text(line.to_string()).await;
    assert_eq!(summary.changed, 1);
    assert_eq!(
        world.row("acme", "c").await.access_expires_at,
        Some(start() + TimeDelta::days(50))
    );
    // A token without an end outlives it.
    line["token_expires_at"] = Value::Null;
    let (summary, _) = world.import_text(line.to_string()).await;
    assert_eq!(summary.changed, 1);
}

#[tokio::test]
async fn an_import_that_was_cut_off_is_finished_by_the_next() {
    let world = World::new().await;
    let mut records = acme();
    records.extend(
        (0..200).map(|n| connection(&format!("i{n}"), "meta", Some(TimeDelta::days(30)), false)),
    );
    let text = file(&records);
    // Dropped in the middle, as by a kill: once a hundred lines have been read.
    let importer = world.importer();
    let (reached, mut cut) = tokio::sync::oneshot::channel();
    let (mut reached, mut read) = (Some(reached), 0);
    let import = importer.import(text.as_bytes(), |_| {
        read += 1;
        if read == 100 {
            reached.take().map(|sender| sender.send(()));
        }
    });
    tokio::select! {
        biased;
        _ = &mut cut => {}
        _ = import => panic!("it was to be cut"),
    }
    let (summary, problems) = world.import_text(&text).await;
    assert!(summary.is_clean(), "{problems:?}");
    assert_eq!(summary.created + summary.unchanged, 203);
    assert!(summary.created > 0 && summary.unchanged > 0, "{summary:?}");
    for n in [0, 100, 199] {
        assert_eq!(world.row("acme", &format!("i{n}")).await.generation, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_imports_at_once_agree() {
    let world = World::new().await;
    let mut records = acme();
    records.extend(
        (0..100).map(|n| connection(&format!("i{n}"), "google", Some(TimeDelta::hours(1)), true)),
    );
    let text = file(&records);
    let (a, b) = tokio::join!(world.import_text(&text), world.import_text(&text));
    assert!(a.0.is_clean() && b.0.is_clean(), "{a:?} {b:?}");
    assert_eq!(a.0.created + b.0.created, 103);
    assert_eq!(world.row("acme", "i42").await.generation, 1);
}
