//! Import: every kind of bad line is reported with its number and reason, the
//! rest goes on, nothing half-written stays, and a second time changes nothing.

use aws_config::retry::RetryConfig;
use axum::http::request::Parts;
use chrono::TimeDelta;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use shared::aws::tables::IntegrationsTable;
use shared::aws::token_cipher::{EncryptionContext, SealedField};
use shared::domain::integration::{Integration, State};
use shared::registration::import::Summary;

use crate::relay::{is_call, relay};
use crate::world::{World, acme, integration, key, start};

fn file(records: &[Value]) -> String {
    records
        .iter()
        .map(Value::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// Returns a good integration with one field replaced.
fn with(field: &str, value: Value) -> String {
    let mut line = integration("bad", "meta", Some(TimeDelta::days(9)), false);
    line[field] = value;
    line.to_string()
}

fn without(field: &str) -> String {
    let mut line = integration("bad", "meta", Some(TimeDelta::days(9)), false);
    line.as_object_mut().unwrap().remove(field);
    line.to_string()
}

#[tokio::test]
async fn bad_lines_are_reported_and_the_rest_is_taken() {
    let world = World::new().await;
    let good = integration("good", "meta", Some(TimeDelta::days(9)), false).to_string();
    let cases = [
        (
            "{".to_owned(),
            "not valid JSON: EOF while parsing an object (column 1)",
        ),
        ("[]".to_owned(), "not a JSON object"),
        (r#""text""#.to_owned(), "not a JSON object"),
        (
            r#"{"type":"pony"}"#.to_owned(),
            "type \"pony\" is unknown; it must be organization, member or integration",
        ),
        (
            r#"{"type":"at-bad-1"}"#.to_owned(),
            "type \"(withheld)\" is unknown",
        ),
        (
            r#"{"org_id":"acme"}"#.to_owned(),
            "type is missing; it must be",
        ),
        (r#"{"type":7}"#.to_owned(), "type must be organization"),
        (
            with("expires", json!(1)),
            "there is no field \"expires\"; there are org_id, ",
        ),
        (
            with("at-bad-1", json!(1)),
            "there is no field \"(withheld)\"",
        ),
        (without("platform"), "platform is missing"),
        (
            r#"{"type":"member","org_id":"acme","user_id":"u","user_id":"u"}"#.to_owned(),
            "user_id is given more than once",
        ),
        (
            r#"{"type":"organization","org_id":"acme","name":"A\u0007","owner_id":"o"}"#.to_owned(),
            "name holds the control character U+0007 at place 2; remove it",
        ),
        (
            format!(r#"{{"type":"member","junk":"{}"}}"#, "x".repeat(200_000)),
            "longer than 131072 bytes",
        ),
        (
            good.clone(),
            "integration acme/good was already given in line 1, which was taken",
        ),
    ];
    let mut text = good;
    for (line, _) in &cases {
        text = format!("{text}\n{line}");
    }
    let last = integration("last", "meta", Some(TimeDelta::days(9)), false);
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
            .get(&key("acme", "bad"))
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(
        world.row("acme", "last").await.account.username,
        "last.account"
    );
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
    let orphan = integration("orphan", "meta", Some(TimeDelta::days(9)), false);
    let (summary, _) = world.import_text(file(std::slice::from_ref(&orphan))).await;
    assert_eq!(summary.missing_organizations, ["acme"]);
    assert!(!summary.is_clean());
    assert_eq!(world.row("acme", "orphan").await.credential.generation, 1);
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
    let original = integration("g", "google", Some(TimeDelta::days(1)), true);
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
        (replaced.credential.generation, replaced.credential.grant),
        (refreshed.credential.generation + 1, 2)
    );
    assert_eq!(replaced.refresh.renewed_at, None);

    // Names may change without a new credential.
    other["username"] = json!("renamed");
    let (summary, _) = world.import_text(other.to_string()).await;
    assert_eq!(summary.changed, 1);
    let renamed = world.row("acme", "g").await;
    assert_eq!(
        (
            renamed.account.username.as_str(),
            renamed.credential.generation
        ),
        ("renamed", replaced.credential.generation)
    );
}

#[tokio::test]
async fn an_inactive_integration_has_no_tokens_and_is_left_alone() {
    let world = World::new().await;
    world.import(&acme()).await;
    let mut line = integration("off", "linkedin", Some(TimeDelta::days(2)), true);
    world.import(std::slice::from_ref(&line)).await;
    line["is_active"] = json!(false);
    let (summary, _) = world.import_text(line.to_string()).await;
    assert_eq!(summary.changed, 1);
    let row = world.row("acme", "off").await;
    assert!(matches!(row.state, State::Disconnected { .. }));
    assert_eq!(
        (
            row.credential.access_token,
            row.credential.refresh_token,
            row.next_action_at,
            row.reconnect_by
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
    let mut line = integration("c", "linkedin", Some(TimeDelta::days(30)), true);
    line["is_active"] = json!(false);
    world.import(std::slice::from_ref(&line)).await;
    line["is_active"] = json!(true);
    world.import(std::slice::from_ref(&line)).await;
    let row = world.row("acme", "c").await;
    assert_eq!(row.state, State::Active);
    assert!(row.credential.access_token.is_some());
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
    let mut line = integration("c", "instagram", Some(TimeDelta::days(10)), false);
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
        world.row("acme", "c").await.expiry.access_token,
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
        (0..900).map(|n| integration(&format!("i{n}"), "meta", Some(TimeDelta::days(30)), false)),
    );
    let text = file(&records);
    // Dropped in the middle, as by a kill: some are stored, some are on their
    // way, and some have not been read.
    let importer = world.importer();
    let (reached, mut cut) = tokio::sync::oneshot::channel();
    let (mut reached, mut read) = (Some(reached), 0);
    let import = importer.import(text.as_bytes(), |_| {
        read += 1;
        if read == 700 {
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
    assert_eq!(summary.created + summary.unchanged, 903);
    assert!(summary.created > 0 && summary.unchanged > 0, "{summary:?}");
    // Once more, there is nothing left to do.
    let (summary, _) = world.import_text(&text).await;
    assert_eq!(summary.unchanged, 903);
    for n in [0, 100, 899] {
        let row = world.row("acme", &format!("i{n}")).await;
        assert_eq!((row.credential.generation, row.version), (1, 1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_imports_at_once_agree() {
    let world = World::new().await;
    let mut records = acme();
    records.extend(
        (0..100).map(|n| integration(&format!("i{n}"), "google", Some(TimeDelta::hours(1)), true)),
    );
    let text = file(&records);
    let (a, b) = tokio::join!(world.import_text(&text), world.import_text(&text));
    assert!(a.0.is_clean() && b.0.is_clean(), "{a:?} {b:?}");
    assert_eq!(a.0.created + b.0.created, 103);
    assert_eq!(world.row("acme", "i42").await.credential.generation, 1);
}

/// Imports a good integration of Google with some fields changed, and returns its row or
/// the problem.
async fn with_fields(world: &World, n: usize, fields: &Value) -> Result<Integration, String> {
    let id = format!("v{n}");
    let mut line = integration(&id, "google", Some(TimeDelta::days(9)), true);
    for (field, value) in fields.as_object().unwrap() {
        if value == "ABSENT" {
            line.as_object_mut().unwrap().remove(field);
        } else {
            line[field] = value.clone();
        }
    }
    let (summary, problems) = world.import_text(line.to_string()).await;
    match problems.first() {
        Some((_, reason)) => Err(reason.clone()),
        None => {
            assert_eq!(summary.created, 1, "{fields}");
            Ok(world.row("acme", &id).await)
        }
    }
}

const DATE: &str = "must be a date with a time and a zone, such as 2026-11-30T09:00:00Z or \
                    2026-11-30 09:00:00+00, or epoch seconds";
const NO_ZONE: &str =
    "has no time zone; add one, such as Z for UTC, or +01:00 (2026-11-30T09:00:00Z)";
const PLATFORMS: &str = "platform must be one of meta (or facebook), instagram, tiktok, \
                         tiktok_business, linkedin, twitter (or x), google (or google_ads), snapchat, threads";
const WORDS: &str = "must be a list of texts, or a text separated by spaces or commas";
const ID: &str = "must be 1 to 128 characters out of A-Z a-z 0-9 . _ : @ | -, and more than dots";
const NOTHING: &str = "is a word for nothing; give the token, or null";
const OUT_OF_RANGE: &str = "must lie between the years 2000 and 2100; null where there is none";

#[tokio::test]
async fn a_date_is_taken_as_systems_write_it() {
    let world = World::new().await;
    world.import(&acme()).await;
    let nine = "2026-11-30T09:00:00Z";
    for (n, (given, taken)) in [
        (json!("2026-11-30T09:00:00Z"), Ok(Some(nine))),
        (json!("2026-11-30t09:00:00z"), Ok(Some(nine))),
        (json!("2026-11-30T10:00:00+01:00"), Ok(Some(nine))),
        (json!("2026-11-30 09:00:00+00"), Ok(Some(nine))),
        (json!("2026-11-30 09:00:00+00:00"), Ok(Some(nine))),
        (json!("2026-11-30 09:00:00+0000"), Ok(Some(nine))),
        (json!("2026-11-30 14:30:00+0530"), Ok(Some(nine))),
        (json!("2026-11-30 03:30:00-05:30"), Ok(Some(nine))),
        (json!("2026-11-30 09:00:00.123456+00"), Ok(Some(nine))),
        (json!("2026-11-30T09:00:00.123456Z"), Ok(Some(nine))),
        (json!(" 2026-11-30 09:00:00 UTC\n"), Ok(Some(nine))),
        (json!("2026-11-30 09:00:00 +0000"), Ok(Some(nine))),
        (json!("2026-11-30T09:00Z"), Ok(Some(nine))),
        (json!(1_796_029_200), Ok(Some(nine))),
        (json!("1796029200"), Ok(Some(nine))),
        (json!(1_796_029_200.75), Ok(Some(nine))),
        (json!("1796029200.75"), Ok(Some(nine))),
        (Value::Null, Ok(None)),
        (json!(""), Ok(None)),
        (json!("ABSENT"), Ok(None)),
        (json!("2026-11-30 09:00:00"), Err(NO_ZONE)),
        (json!("2026-11-30T09:00:00.5"), Err(NO_ZONE)),
        (
            json!("2026-11-30"),
            Err("is a day without a time; give a time and a zone, such as 2026-11-30T09:00:00Z"),
        ),
        (
            json!(1_796_029_200_000_u64),
            Err("looks like milliseconds; give seconds"),
        ),
        (
            json!("1796029200000"),
            Err("looks like milliseconds; give seconds"),
        ),
        (
            json!(1_796_029_200_000_000_u64),
            Err("looks like microseconds; give seconds"),
        ),
        (json!(u64::MAX), Err("looks like nanoseconds; give seconds")),
        (json!(5_184_000), Err(OUT_OF_RANGE)),
        (json!(0), Err(OUT_OF_RANGE)),
        (json!(-1), Err(OUT_OF_RANGE)),
        (json!("9999-01-01T00:00:00Z"), Err(OUT_OF_RANGE)),
        (json!("tomorrow"), Err(DATE)),
        (json!("30.11.2026 09:00"), Err(DATE)),
        (json!("2026-02-30T00:00:00Z"), Err(DATE)),
        (json!("2026-11-30 25:00:00Z"), Err(DATE)),
        (json!("2026-11-30 09:00:00+24:00"), Err(DATE)),
        (json!("2026-11-30 09:00:00 CET"), Err(DATE)),
        (json!("2026-11-3é 09:00:00Z"), Err(DATE)),
        (json!(true), Err(DATE)),
        (json!({"$date": nine}), Err(DATE)),
    ]
    .into_iter()
    .enumerate()
    {
        let row = with_fields(&world, n, &json!({ "token_expires_at": given })).await;
        let end = row.map(|row| row.expiry.access_token);
        let expected = match taken {
            Ok(at) => Ok(at.map(|at| at.parse().unwrap())),
            Err(fault) => Err(format!("token_expires_at {fault}")),
        };
        assert_eq!(end, expected, "{given}");
    }
}

#[tokio::test]
async fn what_exports_hold_is_taken_and_what_cannot_be_is_named() {
    let world = World::new().await;
    world.import(&acme()).await;
    for (n, (fields, fault)) in [
        (json!({"platform": "Google"}), None),
        (json!({"platform": "GOOGLE_ADS"}), None),
        (json!({"platform": "Google Ads"}), None),
        (json!({"platform": "google-ads"}), None),
        (json!({"platform": " google\n"}), None),
        (json!({"metadata": null}), None),
        (json!({"metadata": {"note": "two\nlines"}}), None),
        (json!({"scopes": null}), None),
        (json!({"scopes": ""}), None),
        (json!({"is_active": null}), None),
        (json!({"is_active": "ABSENT"}), None),
        (json!({"is_active": "t"}), None),
        (json!({"is_active": 1}), None),
        (json!({"is_active": "TRUE"}), None),
        (json!({"account_id": 1_234_567_890}), None),
        (json!({"refresh_token": " rt-1\r\n"}), None),
        (json!({"refresh_token": ""}), None),
        (json!({"refresh_token": "ABSENT"}), None),
        (json!({"username": " acme page\n"}), None),
        (json!({"platform": "myspace"}), Some(PLATFORMS.to_owned())),
        (json!({"platform": 7}), Some(PLATFORMS.to_owned())),
        (json!({"platform": null}), Some("platform is missing".to_owned())),
        (json!({"metadata": "at-secret"}), Some("metadata must be a JSON object, or null".to_owned())),
        (json!({"scopes": {"ads": true}}), Some(format!("scopes {WORDS}"))),
        (json!({"scopes": ["ads", 7]}), Some(format!("scopes {WORDS}"))),
        (
            json!({"scopes": ["a\u{7}b"]}),
            Some("scopes holds the control character U+0007 at place 2; remove it".to_owned()),
        ),
        (json!({"is_active": "maybe"}), Some("is_active must be true or false (or t, f, 1, 0)".to_owned())),
        (json!({"is_active": 2}), Some("is_active must be true or false (or t, f, 1, 0)".to_owned())),
        (json!({"created_by": "user x"}), Some(format!("created_by {ID}"))),
        (json!({"created_by": "ian\n"}), Some(format!("created_by {ID}"))),
        (json!({"org_id": "a#b"}), Some(format!("org_id {ID}"))),
        (json!({"integration_id": ""}), Some(format!("integration_id {ID}"))),
        (json!({"created_by": {}}), Some("created_by must be a text".to_owned())),
        (json!({"created_by": "ABSENT"}), Some("created_by is missing".to_owned())),
        (
            json!({"username": "a\u{1b}[31m"}),
            Some("username holds the control character U+001B at place 2; remove it".to_owned()),
        ),
        (
            json!({"account_id": "1\u{0}2"}),
            Some("account_id holds the control character U+0000 at place 2; remove it".to_owned()),
        ),
        (
            json!({"username": "two\nlines"}),
            Some("username holds the control character U+000A at place 4; remove it".to_owned()),
        ),
        (
            json!({"username": "two\u{2028}lines"}),
            Some("username holds the control character U+2028 at place 4; remove it".to_owned()),
        ),
        (json!({"username": "  "}), Some("username must be 1 to 512 characters".to_owned())),
        (json!({"username": 7}), Some("username must be a text".to_owned())),
        (json!({"account_id": 1.5}), Some("account_id must be a text".to_owned())),
        (
            json!({"access_token": "at-secret two"}),
            Some("access_token has white space within it, at place 10, which no token has; give it as the platform gave it".to_owned()),
        ),
        (
            json!({"refresh_token": "rt\u{0}x"}),
            Some("refresh_token has a control character within it, at place 3, which no token has; give it as the platform gave it".to_owned()),
        ),
        (
            json!({"refresh_token": "rt\u{200b}x"}),
            Some("refresh_token has a character that is not ASCII within it, at place 3, which no token has; give it as the platform gave it".to_owned()),
        ),
        (json!({"refresh_token": "NULL"}), Some(format!("refresh_token {NOTHING}"))),
        (json!({"refresh_token": "\\N"}), Some(format!("refresh_token {NOTHING}"))),
        (json!({"access_token": " "}), Some("access_token is empty; give the token".to_owned())),
        (json!({"access_token": null}), Some("access_token is missing".to_owned())),
        (json!({"access_token": ["at-secret"]}), Some("access_token must be a text".to_owned())),
        (
            json!({"refresh_token": "r".repeat(16_385)}),
            Some("refresh_token must be at most 16384 bytes".to_owned()),
        ),
        (
            json!({"token_issued_at": "2027-01-01T00:00:00Z"}),
            Some("token_issued_at must be before token_expires_at".to_owned()),
        ),
        // All that is wrong is told at once.
        (
            json!({"platform": "myspace", "username": "", "created_by": null}),
            Some(format!("created_by is missing; {PLATFORMS}; username must be 1 to 512 characters")),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let taken = with_fields(&world, n, &fields).await;
        assert_eq!(taken.err(), fault, "{fields}");
    }
}

#[tokio::test]
async fn scopes_and_permissions_are_taken_in_every_form() {
    let world = World::new().await;
    world.import(&acme()).await;
    for (n, given) in [
        json!(["ads", "pages"]),
        json!("ads pages"),
        json!("ads,pages"),
        json!(" ads, pages "),
    ]
    .into_iter()
    .enumerate()
    {
        let row = with_fields(&world, n, &json!({ "scopes": given }))
            .await
            .unwrap();
        assert_eq!(row.permissions.granted, ["ads", "pages"], "{given}");
    }
    for (given, may) in [
        (json!(["manage_integrations"]), true),
        (json!("read,manage_integrations"), true),
        (Value::Null, false),
        (json!([]), false),
    ] {
        let member =
            json!({"type": "Member", "org_id": "acme", "user_id": "zoe", "permissions": given});
        world.import(&[member]).await;
        let organizations = world.importer().organizations;
        let managers = organizations.managers(&key("acme", "c").org_id).await;
        let managers = managers.unwrap();
        let is_one = managers.iter().any(|user| user.as_str() == "zoe");
        assert_eq!(is_one, may, "{given}");
    }
}

#[tokio::test]
async fn white_space_around_a_token_is_none_of_it() {
    let world = World::new().await;
    world.import(&acme()).await;
    let mut line = integration("x", "twitter", Some(TimeDelta::hours(1)), true);
    line["access_token"] = json!(" at-x\n");
    line["refresh_token"] = json!("\trt-x\r\n");
    world.import(std::slice::from_ref(&line)).await;
    let stored = world.row("acme", "x").await;
    // The same tokens, bare: the line is the same to the letter.
    let bare = integration("x", "twitter", Some(TimeDelta::hours(1)), true);
    let (summary, _) = world.import_text(bare.to_string()).await;
    assert_eq!(summary.unchanged, 1, "{summary:?}");
    assert_eq!(world.row("acme", "x").await, stored);
    // What is sealed, and sent, is the token.
    let importer = world.importer();
    let context = EncryptionContext {
        org_id: &stored.org_id,
        integration_id: &stored.integration_id,
        field: SealedField::RefreshToken,
        generation: stored.credential.generation,
    };
    let token = importer
        .sealer
        .open(context, stored.credential.refresh_token.as_ref().unwrap());
    assert_eq!(token.await.unwrap().expose_secret(), "rt-x");
}

#[tokio::test]
async fn a_json_array_of_records_is_taken_one_after_the_other() {
    let world = World::new().await;
    let mut records = acme();
    for id in ["a", "b"] {
        let mut line = integration(id, "meta", Some(TimeDelta::days(9)), false);
        line["metadata"] = json!({"text": "a ] , } \" \\ [ {", "list": [[1], {"x": []}]});
        records.push(line);
    }
    let (compact, pretty) = (
        json!(records).to_string(),
        format!("\n {:#}\n\n", json!(records)),
    );
    let (summary, problems) = world.import_text(&compact).await;
    assert!(summary.is_clean(), "{problems:?}");
    assert_eq!((summary.lines, summary.created), (5, 5));
    let metadata = world.row("acme", "b").await.metadata;
    assert_eq!(metadata["text"], "a ] , } \" \\ [ {");
    let (summary, problems) = world.import_text(&pretty).await;
    assert!(summary.is_clean(), "{problems:?}");
    assert_eq!((summary.lines, summary.unchanged), (5, 5));
    let marked = [b"\xef\xbb\xbf", pretty.as_bytes()].concat();
    assert_eq!(world.import_text(&marked).await.0.unchanged, 5);
    // As lines that begin with commas, and with one before the end.
    let lines: Vec<String> = records.iter().map(Value::to_string).collect();
    let text = format!("[{}\n,]", lines.join("\n,"));
    assert_eq!(world.import_text(&text).await.0.unchanged, 5);
    for empty in ["[]", " [\n] \n", "", "\n\n"] {
        assert_eq!(
            world.import_text(empty).await.0,
            Summary::default(),
            "{empty:?}"
        );
    }

    // What is wrong is told with its place, and the rest is taken.
    let organization = &lines[0];
    for (text, unchanged, told) in [
        (
            format!("[{organization},\n {{\"type\":\"pony\"}},\n{}]", lines[1]),
            2,
            vec![(
                2,
                "type \"pony\" is unknown; it must be organization, member or integration",
            )],
        ),
        (
            format!("[7, {organization}]"),
            1,
            vec![(1, "not a JSON object")],
        ),
        (
            format!("[, {organization}]"),
            1,
            vec![(1, "not valid JSON: EOF while parsing a value (column 0)")],
        ),
        (
            format!(
                "[{organization},\n{{\"type\":\"member\", \"junk\": \"{}\"}},\n{}]",
                "x".repeat(200_000),
                lines[1]
            ),
            2,
            vec![(2, "longer than 131072 bytes")],
        ),
        (
            format!("[{organization},\n{}", &lines[1][..40]),
            1,
            vec![(
                2,
                "the file ends here, before the list does: it is not whole",
            )],
        ),
        (
            format!("[{organization}]\n{}", lines[1]),
            1,
            vec![(2, "the list ended before this; what follows was not read")],
        ),
        (
            format!("[{organization},\n\n{organization}]"),
            1,
            vec![(
                3,
                "organization acme was already given in record 1 (line 1), which was taken",
            )],
        ),
    ] {
        let (summary, problems) = world.import_text(&text).await;
        let short: String = text.chars().take(200).collect();
        assert_eq!(summary.unchanged, unchanged, "{short}: {problems:?}");
        let told: Vec<_> = told
            .into_iter()
            .map(|(line, text)| (line, text.to_owned()))
            .collect();
        assert_eq!(problems, told, "{short}");
    }
}

#[tokio::test]
async fn a_file_of_something_else_is_told_once_and_nothing_is_stored() {
    let world = World::new().await;
    let good = integration("c", "meta", Some(TimeDelta::days(9)), false).to_string();
    let utf16 = |little: bool| -> Vec<u8> {
        let units = good.encode_utf16();
        units
            .flat_map(|unit| {
                if little {
                    unit.to_le_bytes()
                } else {
                    unit.to_be_bytes()
                }
            })
            .collect()
    };
    let marked = [vec![0xff, 0xfe], utf16(true)].concat();
    for (file, said) in [
        (b"\x1f\x8b\x08\x00\x00".to_vec(), "this is gzip, "),
        (b"PK\x03\x04\x14\x00".to_vec(), "this is a zip archive"),
        (b"\x28\xb5\x2f\xfd\x00".to_vec(), "this is zstd, "),
        (b"SQLite format 3\0".to_vec(), "this is a SQLite database"),
        (
            b"PGDMP\x01".to_vec(),
            "this is a dump of pg_dump's own format",
        ),
        (marked, "this is UTF-16 text, "),
        (utf16(true), "this is UTF-16 text, "),
        (utf16(false), "this is UTF-16 text, "),
        (
            b"org_id,integration_id,platform\nacme,1,meta\n".to_vec(),
            "this is CSV, ",
        ),
        (
            b"\xef\xbb\xbf\"org_id\";\"platform\"\n".to_vec(),
            "this is CSV, ",
        ),
        (b"acme\t7\tmeta\n".to_vec(), "this is CSV, "),
        (b"\n<!DOCTYPE html>\n<html>".to_vec(), "this is HTML or XML"),
        (b"-- PostgreSQL database dump\n".to_vec(), "this is SQL, "),
        (
            b"INSERT INTO integrations VALUES (1);\n".to_vec(),
            "this is SQL, ",
        ),
        (b"organizations:\n  - acme\n".to_vec(), "this is YAML, "),
        (
            format!("{:#}", json!({"type": "member"})).into_bytes(),
            "this is JSON with records of several lines each",
        ),
    ] {
        let text = [&file[..], b"\n", good.as_bytes()].concat();
        let mut progress = 0;
        let result = world.importer().import(&text[..], |_| progress += 1).await;
        let error = result.unwrap_err().to_string();
        assert!(
            error.starts_with(said) && error.ends_with("Nothing was imported"),
            "{error}"
        );
        assert_eq!(progress, 0, "{error}");
    }
    let row = world.integrations().get(&key("acme", "c")).await;
    assert!(row.unwrap().is_none());
}

#[tokio::test]
async fn what_cannot_be_stored_together_is_stored_one_by_one() {
    for refused in ["BatchGetItem", "TransactWriteItems"] {
        let world = World::new().await;
        let mut records = acme();
        records.extend(
            (0..60).map(|n| integration(&format!("i{n}"), "meta", Some(TimeDelta::days(9)), false)),
        );
        // What the batches' calls answer is of no account: each row has its own outcome.
        let ask = move |head: &Parts, body| (!is_call(head, refused)).then_some(body);
        let address = relay(world.stack.addresses().dynamodb.clone(), ask, |_, _| {}).await;
        let sdk = world.stack.environment().sdk_config();
        let config = aws_sdk_dynamodb::config::Builder::from(&sdk)
            .endpoint_url(address)
            .retry_config(RetryConfig::disabled())
            .build();
        let table = world.variable("CheckTokensFunction", "INTEGRATIONS_TABLE");
        let client = aws_sdk_dynamodb::Client::from_conf(config);
        let mut importer = world.importer();
        importer.integrations = IntegrationsTable::new(client, table);
        let text = file(&records);
        let summary = importer.import(text.as_bytes(), |_| {}).await.unwrap();
        assert!(summary.is_clean(), "{refused}: {summary:?}");
        assert_eq!(summary.created, 63, "{refused}");
        let (summary, _) = world.import_text(&text).await;
        assert_eq!(summary.unchanged, 63, "{refused}");
    }
}

#[tokio::test]
async fn new_rows_beside_ones_that_are_there_are_told_apart() {
    let world = World::new().await;
    world.import(&acme()).await;
    let line = |n: usize| integration(&format!("i{n}"), "meta", Some(TimeDelta::days(9)), false);
    let odd: Vec<_> = (0..120).filter(|n| n % 2 == 1).map(line).collect();
    world.import(&odd).await;
    let all: Vec<_> = (0..120)
        .map(|n| {
            let mut line = line(n);
            if n % 4 == 1 {
                line["username"] = json!("renamed");
            }
            line
        })
        .collect();
    let (summary, problems) = world.import_text(file(&all)).await;
    assert!(summary.is_clean(), "{problems:?}");
    assert_eq!(
        (summary.created, summary.changed, summary.unchanged),
        (60, 30, 30)
    );
    assert_eq!(world.row("acme", "i101").await.account.username, "renamed");
    assert_eq!(world.row("acme", "i100").await.version, 1);
}
