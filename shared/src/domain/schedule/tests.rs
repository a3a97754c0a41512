use super::*;
use crate::domain::account::Account;
use crate::domain::integration::{
    Credential, Expiry, Intent, Lease, Permissions, RefreshState, RetryReason, Sealed,
};
use crate::domain::sent_alerts::SentAlerts;
use crate::domain::verdict::{PlatformAction, ReconnectReason, Verdict};
use crate::{IntegrationId, OrgId, Platform, UserId};

pub(crate) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

const HOUR: i64 = 3_600;
const DAY: i64 = 86_400;

/// Returns an integration that came to us at `at(0)`.
pub(crate) fn integration(
    platform: Platform,
    refresh: bool,
    issued: i64,
    expires: Option<i64>,
) -> Integration {
    Integration {
        org_id: OrgId::new("acme").unwrap(),
        integration_id: IntegrationId::new("i1").unwrap(),
        platform,
        created_by: UserId::new("ian").unwrap(),
        metadata: serde_json::Map::new(),
        version: 1,
        account: Account {
            id: "123".to_owned(),
            username: "acme.page".to_owned(),
        },
        credential: Credential {
            generation: 1,
            grant: 1,
            granted_at: at(0),
            access_token: Some(Sealed(vec![1])),
            refresh_token: refresh.then(|| Sealed(vec![2])),
            imported: None,
            registered: None,
        },
        permissions: Permissions::default(),
        expiry: Expiry {
            issued_at: Some(at(issued)),
            access_token: expires.map(at),
            ..Expiry::default()
        },
        refresh: RefreshState::default(),
        state: State::Active,
        sent_alerts: SentAlerts::default(),
        reconnect_by: None,
        next_action_at: None,
        next_action_shard: None,
    }
}

fn proven(mut row: Integration, now: i64) -> Integration {
    row.refresh.renewed_at = Some(at(now));
    row.refresh.attempted_at = Some(at(now));
    row
}

#[test]
fn a_new_renewable_integration_is_due_at_once() {
    for (platform, refresh) in [
        (Platform::Meta, false),
        (Platform::Tiktok, true),
        (Platform::TiktokBusiness, true),
        (Platform::Linkedin, true),
        (Platform::Twitter, true),
        (Platform::Google, true),
        (Platform::Snapchat, true),
    ] {
        let row = integration(platform, refresh, -HOUR, Some(HOUR));
        assert_eq!(row.refresh_due_at(at(0)), Some(at(0)), "{platform}");
        assert!(row.verdict_awaited_until(at(0)).is_some());
    }
}

#[test]
fn instagram_is_never_extended_before_it_is_a_day_old() {
    let row = integration(Platform::Instagram, false, -HOUR, Some(60 * DAY - HOUR));
    assert_eq!(row.refresh_due_at(at(0)), Some(at(23 * HOUR)));
    let mut unknown = row;
    unknown.expiry.issued_at = None;
    assert_eq!(unknown.refresh_due_at(at(0)), Some(at(23 * HOUR)));
}

#[test]
fn nothing_refreshes_a_token_without_means() {
    for (platform, expires) in [
        (Platform::Linkedin, Some(DAY)),
        (Platform::TiktokBusiness, None),
        (Platform::Meta, None),
    ] {
        let row = integration(platform, false, -DAY, expires);
        assert_eq!(row.refresh_due_at(at(0)), None, "{platform}");
    }
    // Expired tokens cannot be extended, refresh tokens still work.
    let expired = integration(Platform::Meta, false, -60 * DAY, Some(0));
    assert_eq!(expired.refresh_due_at(at(0)), None);
    let expired = integration(Platform::Google, true, -DAY, Some(-HOUR));
    assert_eq!(expired.refresh_due_at(at(0)), Some(at(0)));
    let mut ended = expired;
    ended.expiry.refresh_token = Some(at(0));
    assert_eq!(ended.refresh_due_at(at(0)), None);
}

#[test]
fn a_proven_token_is_refreshed_in_time_and_spread_out() {
    // Two hours: a margin of 18 minutes, up to 6 earlier.
    let row = proven(integration(Platform::Twitter, true, 0, Some(2 * HOUR)), 0);
    let due = row.refresh_due_at(at(0)).unwrap();
    assert!(
        (at(2 * HOUR - 24 * 60)..=at(2 * HOUR - 18 * 60)).contains(&due),
        "{due}"
    );
    // Sixteen minutes: at most half of its life.
    let row = proven(integration(Platform::Twitter, true, 0, Some(16 * 60)), 0);
    assert_eq!(row.refresh_due_at(at(0)), Some(at(8 * 60)));
    // Extension: from half of life on.
    let row = proven(integration(Platform::Meta, false, 0, Some(60 * DAY)), 0);
    assert_eq!(row.refresh_due_at(at(0)), Some(at(30 * DAY)));
    let spread: std::collections::HashSet<_> = (0..200)
        .map(|n| {
            let mut row = row.clone();
            row.platform = Platform::Google;
            row.credential.refresh_token = Some(Sealed(vec![]));
            row.integration_id = IntegrationId::new(format!("i{n}")).unwrap();
            row.refresh_due_at(at(0))
        })
        .collect();
    assert!(spread.len() > 100, "{}", spread.len());
}

#[test]
fn what_renews_itself_does_not_expire_and_its_grant_does() {
    let mut row = proven(integration(Platform::Google, true, 0, Some(HOUR)), 0);
    assert_eq!(row.reconnect_by(at(0)), None);
    row.expiry.refresh_token = Some(at(5 * DAY));
    assert_eq!(row.reconnect_by(at(0)), Some(at(5 * DAY)));
    row.refresh.renewed_at = None;
    assert_eq!(row.reconnect_by(at(0)), Some(at(HOUR)));
    row.state = State::Disconnected { since: at(0) };
    assert_eq!(row.reconnect_by(at(0)), None);
}

#[test]
fn whose_rotation_is_probably_lost_is_warned_while_the_token_lives() {
    let mut row = proven(integration(Platform::Twitter, true, 0, Some(2 * HOUR)), 0);
    row.refresh.intent = Some(Intent {
        attempt: "died".to_owned(),
        at: at(0),
        generation: row.credential.generation,
        answered: false,
    });
    let refused = Verdict::ReconnectNeeded(ReconnectReason::GrantRefused);
    row.mark_in_doubt(&refused, true, at(100 * 60), 0.0);
    row.derive_index_keys(at(100 * 60));
    assert_eq!(row.reconnect_by, None, "a second refusal may come in time");
    row.derive_index_keys(at(109 * 60));
    assert_eq!(row.next_action_at, Some(at(101 * 60)), "it is due");
    row.derive_index_keys(at(110 * 60));
    assert_eq!(row.reconnect_by, Some(at(2 * HOUR)));
    // Not while it may be our application that is refused.
    row.state = State::Active;
    row.mark_in_doubt(&refused, false, at(100 * 60), 0.0);
    row.derive_index_keys(at(110 * 60));
    assert_eq!(row.reconnect_by, None);
    // A late answer was stored over a second request.
    let mut contested = row.clone();
    contested.refresh.possibly_replayed = contested.refresh.intent.take();
    contested.credential.generation += 1;
    contested.fail(&refused, true, at(100 * 60), 0.0);
    contested.derive_index_keys(at(110 * 60));
    assert_eq!(contested.reconnect_by, Some(at(2 * HOUR)));
    // Nor where the token was certainly not replaced.
    row.fail(&refused, true, at(100 * 60), 0.0);
    row.derive_index_keys(at(110 * 60));
    assert_eq!(row.reconnect_by, None);
}

#[test]
fn a_blip_alerts_nobody_and_an_outage_does() {
    let mut row = proven(integration(Platform::Google, true, 0, Some(HOUR)), 0);
    row.state = State::Retrying {
        failures: 1,
        since: at(0),
        reason: RetryReason::Transient,
        next_attempt_at: at(90 * 60),
        wait_until: None,
        code: None,
    };
    assert_eq!(row.reconnect_by(at(HOUR - 1)), None);
    assert_eq!(row.reconnect_by(at(HOUR)), Some(at(HOUR)));
    row.derive_index_keys(at(0));
    // Somebody looks at it at the instant at which failure_grace ends.
    assert_eq!(row.next_action_at, Some(at(HOUR)));
}

#[test]
fn whatever_can_still_be_extended_is_tried_before_its_end() {
    for platform in [Platform::Meta, Platform::Instagram] {
        // Half of a life, however short, and though Instagram wants a day of age.
        for life in [5_000, 600, HOUR, DAY, 40 * HOUR, 60 * DAY] {
            let row = proven(integration(platform, false, 0, Some(life)), 0);
            let due = row.refresh_due_at(at(0));
            assert_eq!(due, Some(at(life / 2)), "{platform} {life}");
            assert!(row.is_refreshable(at(life / 2)));
        }
        // One that moved nothing is tried again, and more often towards its end.
        let mut row = integration(platform, false, -59 * DAY, Some(DAY));
        let (mut now, mut tries) = (0, 0);
        while let Some(due) = row.refresh_due_at(at(now)) {
            now = (due - at(0)).num_seconds().max(now);
            row.refresh.attempted_at = Some(at(now));
            tries += 1;
        }
        assert!((5..20).contains(&tries), "{tries}");
        assert!(
            now > DAY - 150,
            "the last one {} s before its end",
            DAY - now
        );
        // Nor does any failure leave it untried.
        for verdict in [
            Verdict::Transient(crate::domain::verdict::Transient::ServerError),
            Verdict::Throttled {
                wait: Some(TimeDelta::days(1)),
                scope: crate::domain::verdict::ThrottleScope::Integration,
            },
        ] {
            let mut row = proven(integration(platform, false, 0, Some(5_000)), 0);
            let (mut now, mut tries) = (0, 0);
            while let Some(due) = row.refresh_due_at(at(now)) {
                now = (due - at(0)).num_seconds();
                row.fail(&verdict, true, at(now), 1.0);
                tries += 1;
            }
            assert!(
                tries >= 5 && now > 5_000 - 150,
                "{tries}, the last at {now}"
            );
            // People hear of it in time to act, not when it is over.
            row.derive_index_keys(at(now));
            assert_eq!(row.reconnect_by, Some(at(5_000)), "{verdict:?}");
        }
    }
}

#[test]
fn whoever_must_wait_beyond_the_end_is_warned_before_it() {
    let mut row = proven(integration(Platform::Google, true, 0, Some(HOUR)), 0);
    let wait = |seconds| Verdict::Throttled {
        wait: Some(TimeDelta::seconds(seconds)),
        scope: crate::domain::verdict::ThrottleScope::Application,
    };
    row.fail(&wait(HOUR), true, at(50 * 60), 0.0);
    assert_eq!(row.reconnect_by(at(50 * 60)), None, "a blip");
    // It is asked once more, when half of what is left is over.
    assert_eq!(row.refresh_due_at(at(50 * 60)), Some(at(55 * 60)));
    row.fail(&wait(60), true, at(55 * 60), 0.0);
    assert_eq!(row.reconnect_by(at(55 * 60)), None);
    row.fail(&wait(HOUR), true, at(57 * 60), 0.0);
    assert_eq!(row.reconnect_by(at(57 * 60)), Some(at(HOUR)));
    // Had it ended before, there is no hurry, and nothing that anybody could prevent.
    let mut row = proven(integration(Platform::Google, true, 0, Some(HOUR)), 0);
    row.fail(&wait(HOUR), true, at(HOUR), 0.0);
    assert_eq!(row.refresh_due_at(at(HOUR)), Some(at(2 * HOUR)));
    assert_eq!(row.reconnect_by(at(HOUR)), None);
}

#[test]
fn what_nothing_refreshes_is_asked_about_once_a_day() {
    let row = integration(Platform::TiktokBusiness, false, -DAY, None);
    let spread: std::collections::HashSet<_> = (0..500)
        .map(|n| {
            let mut row = row.clone();
            row.integration_id = IntegrationId::new(format!("i{n}")).unwrap();
            let due = row.probe_due_at(at(0)).unwrap();
            assert!((at(0)..at(DAY)).contains(&due));
            due
        })
        .collect();
    assert!(spread.len() > 300, "{}", spread.len());
    let mut row = row;
    assert!(row.is_monitored(at(0)), "the first one is to come");
    row.probed(
        Ok(&crate::domain::refresh::ProbeResult::default()),
        true,
        at(0),
        0.0,
    );
    assert_eq!(row.probe_due_at(at(0)), Some(at(DAY)));
    // Where no sweep runs, nothing is monitored either.
    let unasked = integration(Platform::TiktokBusiness, false, -DAY, None);
    assert!(!unasked.is_monitored(at(2 * DAY + 1)));
    // No answer says nothing, and is tried again; in the end it is not monitored.
    let silent = Verdict::Transient(crate::domain::verdict::Transient::ServerError);
    row.probed(Err(&silent), true, at(DAY), 0.0);
    assert_eq!(row.probe_due_at(at(DAY)), Some(at(DAY + HOUR)));
    assert_eq!(row.state, State::Active);
    assert!(row.is_monitored(at(2 * DAY)) && !row.is_monitored(at(2 * DAY + 1)));
    // Two refusals, in two sweeps.
    let refused = Verdict::ReconnectNeeded(ReconnectReason::GrantRefused);
    row.probed(Err(&refused), true, at(2 * DAY), 0.0);
    let next = row.probe_due_at(at(2 * DAY)).unwrap();
    row.probed(Err(&refused), true, next, 0.0);
    assert!(matches!(row.state, State::ReconnectRequired { .. }));
    // Nobody can be asked, and nothing else shows it.
    let row = integration(Platform::Twitter, false, -DAY, None);
    assert_eq!(
        (row.probe_due_at(at(0)), row.is_monitored(at(0))),
        (None, false)
    );
}

#[test]
fn every_reachable_state_needs_attention_or_is_final() {
    let waiting = integration(Platform::Linkedin, false, -DAY, Some(30 * DAY));
    let mut row = waiting.clone();
    // Nothing refreshes it: the platform is asked about it once a day.
    (row.refresh.probed_at, row.refresh.alive_at) = (Some(at(0)), Some(at(0)));
    row.derive_index_keys(at(0));
    assert_eq!(row.next_action_at, Some(at(DAY)));
    row.platform = Platform::Twitter;
    row.derive_index_keys(at(0));
    assert_eq!(row.next_action_at, Some(at(23 * DAY)));
    assert!(row.next_action_shard.unwrap().starts_with("long#"));
    for state in [
        State::Disconnected { since: at(0) },
        State::ReconnectRequired {
            reason: ReconnectReason::Revoked,
            since: at(0),
        },
    ] {
        let mut row = waiting.clone();
        row.sent_alerts.state_since = Some(at(0));
        row.state = state;
        row.derive_index_keys(at(0));
        assert_eq!((row.next_action_at, row.next_action_shard), (None, None));
    }
    let mut row = waiting;
    row.state = State::PlatformActionRequired {
        action: PlatformAction::LogIn,
        since: at(0),
        next_check_at: at(DAY),
    };
    row.derive_index_keys(at(0));
    assert_eq!(
        row.next_action_at,
        Some(at(0)),
        "a recovery alert is pending"
    );
}

#[test]
fn a_row_survives_the_store() {
    let mut row = proven(integration(Platform::Google, true, 0, Some(HOUR)), 0);
    row.refresh.lease = Some(Lease {
        attempt: "a".to_owned(),
        until: at(60),
    });
    row.sent_alerts.threshold = Some(crate::domain::sent_alerts::SentThreshold {
        reconnect_by: at(1),
        threshold: crate::domain::severity::Severity::Urgent,
    });
    row.metadata
        .insert("n".to_owned(), serde_json::json!({"a": [1, "x", null]}));
    row.derive_index_keys(at(0));
    let item: std::collections::HashMap<String, aws_sdk_dynamodb::types::AttributeValue> =
        serde_dynamo::to_item(&row).unwrap();
    assert!(item["access_token"].is_b() && item["next_action_at"].is_n());
    assert!(
        !item.contains_key("refresh_expires_at"),
        "an absent instant must leave the index"
    );
    assert_eq!(
        serde_dynamo::from_item::<_, Integration>(item).unwrap(),
        row
    );
}
