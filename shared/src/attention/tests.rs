use super::*;
use crate::announcement::Told;
use crate::integration::{Intent, Lease, Sealed};
use crate::verdict::{PlatformAction, ReconnectReason, Verdict};
use crate::{IntegrationId, OrgId, Platform, UserId};

pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

/// A connection that came to us at `at(0)`.
pub(crate) fn connection(
    platform: Platform,
    refresh: bool,
    issued: i64,
    expires: Option<i64>,
) -> Integration {
    Integration {
        org_id: OrgId::new("acme").unwrap(),
        integration_id: IntegrationId::new("i1").unwrap(),
        platform,
        username: "acme.page".to_owned(),
        account_id: "123".to_owned(),
        created_by: UserId::new("ian").unwrap(),
        scopes: Vec::new(),
        metadata: serde_json::Map::new(),
        version: 1,
        generation: 1,
        grant: 1,
        granted_at: at(0),
        access_token: Some(Sealed(vec![1])),
        refresh_token: refresh.then(|| Sealed(vec![2])),
        imported: None,
        registered: None,
        issued_at: Some(at(issued)),
        access_expires_at: expires.map(at),
        refresh_expires_at: None,
        data_access_expires_at: None,
        idle_expires_at: None,
        renewed_at: None,
        attempted_at: None,
        state: State::Active,
        missing_scopes: Vec::new(),
        permission_lost_at: None,
        lease: None,
        intent: None,
        replay: None,
        told: Told::default(),
        lapses_at: None,
        attention_at: None,
        attention_shard: None,
    }
}

fn proven(mut row: Integration, now: i64) -> Integration {
    row.renewed_at = Some(at(now));
    row.attempted_at = Some(at(now));
    row
}

#[test]
fn a_new_renewable_connection_is_due_at_once() {
    for (platform, refresh) in [
        (Platform::Meta, false),
        (Platform::Tiktok, true),
        (Platform::TiktokBusiness, true),
        (Platform::Linkedin, true),
        (Platform::Twitter, true),
        (Platform::Google, true),
        (Platform::Snapchat, true),
    ] {
        let row = connection(platform, refresh, -HOUR, Some(HOUR));
        assert_eq!(row.refresh_due_at(at(0)), Some(at(0)), "{platform}");
        assert!(row.verdict_awaited_until(at(0)).is_some());
    }
}

#[test]
fn instagram_is_never_extended_before_it_is_a_day_old() {
    let row = connection(Platform::Instagram, false, -HOUR, Some(60 * DAY - HOUR));
    assert_eq!(row.refresh_due_at(at(0)), Some(at(23 * HOUR)));
    let mut unknown = row;
    unknown.issued_at = None;
    assert_eq!(unknown.refresh_due_at(at(0)), Some(at(23 * HOUR)));
}

#[test]
fn nothing_refreshes_a_token_without_means() {
    for (platform, expires) in [
        (Platform::Linkedin, Some(DAY)),
        (Platform::TiktokBusiness, None),
        (Platform::Meta, None),
    ] {
        let row = connection(platform, false, -DAY, expires);
        assert_eq!(row.refresh_due_at(at(0)), None, "{platform}");
    }
    // Expired tokens cannot be extended, refresh tokens still work.
    let expired = connection(Platform::Meta, false, -60 * DAY, Some(0));
    assert_eq!(expired.refresh_due_at(at(0)), None);
    let expired = connection(Platform::Google, true, -DAY, Some(-HOUR));
    assert_eq!(expired.refresh_due_at(at(0)), Some(at(0)));
    let mut ended = expired;
    ended.refresh_expires_at = Some(at(0));
    assert_eq!(ended.refresh_due_at(at(0)), None);
}

#[test]
fn a_proven_token_is_refreshed_in_time_and_spread_out() {
    // Two hours: a margin of 18 minutes, up to 6 earlier.
    let row = proven(connection(Platform::Twitter, true, 0, Some(2 * HOUR)), 0);
    let due = row.refresh_due_at(at(0)).unwrap();
    assert!(
        (at(2 * HOUR - 24 * 60)..=at(2 * HOUR - 18 * 60)).contains(&due),
        "{due}"
    );
    // Sixteen minutes: at most half of its life.
    let row = proven(connection(Platform::Twitter, true, 0, Some(16 * 60)), 0);
    assert_eq!(row.refresh_due_at(at(0)), Some(at(8 * 60)));
    // Extension: from half of life on.
    let row = proven(connection(Platform::Meta, false, 0, Some(60 * DAY)), 0);
    assert_eq!(row.refresh_due_at(at(0)), Some(at(30 * DAY)));
    let spread: std::collections::HashSet<_> = (0..200)
        .map(|n| {
            let mut row = row.clone();
            row.platform = Platform::Google;
            row.refresh_token = Some(Sealed(vec![]));
            row.integration_id = IntegrationId::new(format!("i{n}")).unwrap();
            row.refresh_due_at(at(0))
        })
        .collect();
    assert!(spread.len() > 100, "{}", spread.len());
}

#[test]
fn what_renews_itself_does_not_lapse_and_its_grant_does() {
    let mut row = proven(connection(Platform::Google, true, 0, Some(HOUR)), 0);
    assert_eq!(row.lapse(at(0)), None);
    row.refresh_expires_at = Some(at(5 * DAY));
    assert_eq!(row.lapse(at(0)), Some(at(5 * DAY)));
    row.renewed_at = None;
    assert_eq!(row.lapse(at(0)), Some(at(HOUR)));
    row.state = State::Disconnected { since: at(0) };
    assert_eq!(row.lapse(at(0)), None);
}

#[test]
fn whose_rotation_is_probably_lost_is_warned_while_the_token_lives() {
    let mut row = proven(connection(Platform::Twitter, true, 0, Some(2 * HOUR)), 0);
    row.intent = Some(Intent {
        attempt: "died".to_owned(),
        at: at(0),
        generation: row.generation,
        answered: false,
    });
    let refused = Verdict::ReconnectNeeded(ReconnectReason::GrantRefused);
    row.doubt(&refused, true, at(100 * 60), 0.0);
    row.settle(at(100 * 60));
    assert_eq!(row.lapses_at, None, "a second refusal may come in time");
    row.settle(at(109 * 60));
    assert_eq!(row.attention_at, Some(at(101 * 60)), "it is due");
    row.settle(at(110 * 60));
    assert_eq!(row.lapses_at, Some(at(2 * HOUR)));
    // Not while it may be our application that is refused.
    row.state = State::Active;
    row.doubt(&refused, false, at(100 * 60), 0.0);
    row.settle(at(110 * 60));
    assert_eq!(row.lapses_at, None);
    // A late answer was stored over a second request.
    let mut contested = row.clone();
    contested.replay = contested.intent.take();
    contested.generation += 1;
    contested.fail(&refused, true, at(100 * 60), 0.0);
    contested.settle(at(110 * 60));
    assert_eq!(contested.lapses_at, Some(at(2 * HOUR)));
    // Nor where the token was certainly not replaced.
    row.fail(&refused, true, at(100 * 60), 0.0);
    row.settle(at(110 * 60));
    assert_eq!(row.lapses_at, None);
}

#[test]
fn a_blip_alerts_nobody_and_an_outage_does() {
    let mut row = proven(connection(Platform::Google, true, 0, Some(HOUR)), 0);
    row.state = State::Retrying {
        failures: 1,
        since: at(0),
        reason: RetryReason::Transient,
        next_attempt_at: at(90 * 60),
    };
    assert_eq!(row.lapse(at(HOUR - 1)), None);
    assert_eq!(row.lapse(at(HOUR)), Some(at(HOUR)));
    row.settle(at(0));
    // Somebody looks at it at the instant at which patience ends.
    assert_eq!(row.attention_at, Some(at(HOUR)));
}

#[test]
fn every_reachable_state_needs_attention_or_is_final() {
    let waiting = connection(Platform::Linkedin, false, -DAY, Some(30 * DAY));
    let mut row = waiting.clone();
    row.settle(at(0));
    assert_eq!(row.attention_at, Some(at(23 * DAY)));
    assert!(row.attention_shard.unwrap().starts_with("s#"));
    for state in [
        State::Disconnected { since: at(0) },
        State::ReconnectRequired {
            reason: ReconnectReason::Revoked,
            since: at(0),
        },
    ] {
        let mut row = waiting.clone();
        row.told.state_since = Some(at(0));
        row.state = state;
        row.settle(at(0));
        assert_eq!((row.attention_at, row.attention_shard), (None, None));
    }
    let mut row = waiting;
    row.state = State::PlatformActionRequired {
        action: PlatformAction::LogIn,
        since: at(0),
        next_check_at: at(DAY),
    };
    row.settle(at(0));
    assert_eq!(row.attention_at, Some(at(0)), "it is owed an announcement");
}

#[test]
fn a_row_survives_the_store() {
    let mut row = proven(connection(Platform::Google, true, 0, Some(HOUR)), 0);
    row.lease = Some(Lease {
        attempt: "a".to_owned(),
        until: at(60),
    });
    row.told.lapse = Some(crate::announcement::ToldLapse {
        lapses_at: at(1),
        rung: crate::lapse::Severity::Urgent,
    });
    row.metadata
        .insert("n".to_owned(), serde_json::json!({"a": [1, "x", null]}));
    row.settle(at(0));
    let item: std::collections::HashMap<String, aws_sdk_dynamodb::types::AttributeValue> =
        serde_dynamo::to_item(&row).unwrap();
    assert!(item["access_token"].is_b() && item["attention_at"].is_n());
    assert!(
        !item.contains_key("refresh_expires_at"),
        "an absent instant must leave the index"
    );
    assert_eq!(
        serde_dynamo::from_item::<_, Integration>(item).unwrap(),
        row
    );
}
