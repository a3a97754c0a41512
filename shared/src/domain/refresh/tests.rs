use super::backoff::backoff;
use super::*;
use crate::Platform;
use crate::domain::integration::{RetryReason, State};
use crate::domain::schedule::tests::{at, integration};
use crate::domain::sent_alerts::Recovery;
use crate::domain::severity::Severity;
use crate::domain::verdict::{ReconnectReason, ThrottleScope, Verdict};

const DAY: i64 = 86_400;

fn renewed(access_days: i64) -> Renewed {
    Renewed {
        rotated: true,
        access_token: Sealed(vec![3]),
        refresh_token: Some(Sealed(vec![4])),
        lifetimes: Lifetimes {
            access: Some(TimeDelta::days(access_days)),
            ..Lifetimes::default()
        },
        sent_at: at(0),
    }
}

fn refused() -> Verdict {
    Verdict::ReconnectNeeded(ReconnectReason::GrantRefused)
}

#[test]
fn an_extension_that_moves_nothing_proves_nothing() {
    let mut row = integration(Platform::Meta, false, -DAY, Some(59 * DAY));
    row.renew(renewed(59), at(0));
    assert_eq!(
        (row.refresh.renewed_at, row.expiry.access_token),
        (None, Some(at(59 * DAY)))
    );
    assert_eq!(
        row.credential.generation, 2,
        "the token may be another one all the same"
    );
    assert_eq!(
        row.refresh_due_at(at(0)),
        Some(at(29 * DAY)),
        "from half of its life on"
    );
    row.renew(renewed(60), at(0));
    assert_eq!(
        (row.refresh.renewed_at, row.expiry.access_token),
        (Some(at(0)), Some(at(60 * DAY)))
    );
}

#[test]
fn an_extension_that_ends_earlier_than_believed_is_believed() {
    let mut row = integration(Platform::Meta, false, -DAY, Some(60 * DAY));
    row.renew(renewed(20), at(0));
    assert_eq!(
        (row.refresh.renewed_at, row.expiry.access_token),
        (None, Some(at(20 * DAY)))
    );
}

#[test]
fn a_refusal_is_remembered_through_a_blip_and_while_a_person_is_awaited() {
    let mut row = integration(Platform::Twitter, true, -3_600, Some(3_600));
    row.fail(&refused(), true, at(0), 0.0);
    row.fail(
        &Verdict::Transient(crate::domain::verdict::Transient::ServerError),
        true,
        at(60),
        0.0,
    );
    row.fail(&refused(), true, at(120), 0.0);
    assert!(matches!(row.state, State::ReconnectRequired { .. }));
    let mut row = integration(Platform::Google, true, -3_600, Some(3_600));
    let action = crate::domain::verdict::PlatformAction::AdministratorPolicy;
    row.fail(&Verdict::PlatformActionNeeded(action), true, at(0), 0.0);
    row.fail(&refused(), true, at(DAY), 0.0);
    assert!(matches!(row.state, State::ReconnectRequired { .. }));
}

#[test]
fn a_refusal_counts_when_it_is_confirmed() {
    let mut row = integration(Platform::Twitter, true, -3_600, Some(3_600));
    row.fail(&refused(), true, at(0), 0.0);
    assert!(matches!(
        row.state,
        State::Retrying {
            reason: RetryReason::Refused,
            ..
        }
    ));
    row.fail(&refused(), true, at(60), 0.0);
    assert!(matches!(row.state, State::ReconnectRequired { since, .. } if since == at(60)));
    assert!(
        row.credential.access_token.is_some(),
        "the access token may still live"
    );
}

#[test]
fn a_refusal_is_not_confirmed_by_asking_again_at_once() {
    let mut row = integration(Platform::Twitter, true, -3_600, Some(3_600));
    row.fail(&refused(), true, at(0), 0.0);
    let before = row.state.clone();
    for seconds in [2, 59] {
        row.fail(&refused(), true, at(seconds), 0.9);
        assert_eq!(row.state, before, "nor put off by it");
    }
    row.fail(&refused(), true, at(60), 0.0);
    assert!(matches!(row.state, State::ReconnectRequired { .. }));
}

#[test]
fn no_failure_but_evidence_changes_what_people_must_do() {
    use crate::domain::verdict::Transient;
    for verdict in [
        Verdict::Transient(Transient::ServerError),
        Verdict::Throttled {
            wait: None,
            scope: ThrottleScope::Integration,
        },
    ] {
        let mut row = integration(Platform::Google, true, -1_800, Some(1_800));
        for n in 0..50 {
            row.fail(&verdict, true, at(n * 60), 0.5);
        }
        assert!(
            matches!(row.state, State::Retrying { failures: 50, .. }),
            "{verdict:?}"
        );
    }
}

#[test]
fn our_own_misconfiguration_changes_nothing_of_an_integration() {
    let mut row = integration(Platform::Google, true, -1_800, Some(1_800));
    let before = row.clone();
    row.fail(&Verdict::AppMisconfigured, false, at(0), 0.5);
    assert_eq!(row, before);
}

#[test]
fn pauses_grow_and_stay_within_bounds() {
    let year = TimeDelta::days(365);
    assert_eq!(backoff(0, year, 0.0), TimeDelta::minutes(1));
    assert_eq!(backoff(9, year, 0.0), TimeDelta::minutes(1));
    assert!(backoff(0, year, 0.999) < TimeDelta::minutes(2));
    let late = backoff(20, year, 0.999);
    assert!(
        late > TimeDelta::minutes(59) && late < TimeDelta::hours(1),
        "{late}"
    );
    assert!(backoff(20, TimeDelta::minutes(8), 0.999) < TimeDelta::minutes(8));
    let mut row = integration(Platform::Google, true, -7_200, Some(-3_600));
    for n in 0..10 {
        row.fail(
            &Verdict::Transient(crate::domain::verdict::Transient::ServerError),
            true,
            at(n),
            0.999,
        );
    }
    assert!(row.refresh_due_at(at(9)) > Some(at(50 * 60)));
}

#[test]
fn a_platforms_retry_after_is_kept() {
    let mut row = integration(Platform::Snapchat, true, -1_800, Some(1_800));
    row.fail(
        &Verdict::Throttled {
            wait: Some(TimeDelta::minutes(20)),
            scope: ThrottleScope::Integration,
        },
        true,
        at(0),
        0.0,
    );
    assert_eq!(row.refresh_due_at(at(0)), Some(at(1_200)));
}

#[test]
fn a_fixed_clock_does_not_drift() {
    let mut row = integration(Platform::Linkedin, true, -DAY, Some(DAY));
    row.expiry.refresh_token = Some(at(300 * DAY));
    let mut answer = renewed(60);
    answer.lifetimes.refresh = Some(TimeDelta::days(300) + TimeDelta::seconds(7));
    row.renew(answer.clone(), at(0));
    assert_eq!(row.expiry.refresh_token, Some(at(300 * DAY)));
    answer.lifetimes.refresh = Some(TimeDelta::days(365));
    row.renew(answer, at(0));
    assert_eq!(row.expiry.refresh_token, Some(at(365 * DAY)));
}

#[test]
fn people_hear_of_a_recovery_and_not_of_routine() {
    let mut hourly = integration(Platform::Google, true, -1_800, Some(1_800));
    hourly.renew(renewed(1), at(0));
    assert_eq!(hourly.sent_alerts.recovery, None);
    // Long-lived and inside its warning window.
    let mut saved = integration(Platform::Linkedin, true, -55 * DAY, Some(5 * DAY));
    saved.renew(renewed(60), at(0));
    assert_eq!(
        saved.sent_alerts.recovery,
        Some(Recovery {
            at: at(0),
            expiry: Some(at(5 * DAY))
        })
    );
    // Long-lived, with time to spare.
    let mut early = integration(Platform::Linkedin, true, -40 * DAY, Some(20 * DAY));
    early.renew(renewed(60), at(0));
    assert_eq!(early.sent_alerts.recovery, None);
    // Short-lived, but an alert had been sent.
    let mut alerted = integration(Platform::Google, true, -1_800, Some(1_800));
    alerted.sent_alerts.threshold = Some(crate::domain::sent_alerts::SentThreshold {
        reconnect_by: at(1_800),
        threshold: Severity::Critical,
    });
    alerted.renew(renewed(1), at(0));
    assert!(alerted.sent_alerts.recovery.is_some() && alerted.sent_alerts.threshold.is_none());
}

#[test]
fn permissions_that_went_missing_are_noticed() {
    let mut row = integration(Platform::Google, true, -1_800, Some(1_800));
    row.permissions.granted = vec!["read".to_owned(), "write".to_owned()];
    let mut answer = renewed(1);
    answer.lifetimes.scopes = vec!["read".to_owned()];
    row.renew(answer.clone(), at(0));
    assert_eq!(
        (row.permissions.missing.as_slice(), row.permissions.lost_at),
        (&["write".to_owned()][..], Some(at(0)))
    );
    row.renew(answer.clone(), at(60));
    assert_eq!(row.permissions.lost_at, Some(at(0)));
    answer.lifetimes.scopes.push("write".to_owned());
    row.renew(answer, at(120));
    assert_eq!(
        (row.permissions.missing.len(), row.permissions.lost_at),
        (0, None)
    );
}

/// Google answers to `email` with its long name: that is no other permission.
#[test]
fn a_permission_in_another_spelling_is_not_lost() {
    let mut row = integration(Platform::Google, true, -1_800, Some(1_800));
    row.permissions.granted = vec!["openid".to_owned(), "email".to_owned()];
    let mut answer = renewed(1);
    let long = "https://www.googleapis.com/auth/userinfo.email";
    answer.lifetimes.scopes = vec!["openid".to_owned(), long.to_owned()];
    row.renew(answer.clone(), at(0));
    assert_eq!(
        (row.permissions.missing.len(), row.permissions.lost_at),
        (0, None)
    );
    // What is known from then on is the platform's own spelling.
    answer.lifetimes.scopes.pop();
    row.renew(answer, at(60));
    assert_eq!(row.permissions.missing, [long]);
}

/// Returns an advertiser's integration: nothing refreshes it, and it does not end.
fn unrefreshable() -> crate::domain::integration::Integration {
    integration(Platform::TiktokBusiness, false, -DAY, None)
}

const REFUSED: Verdict = Verdict::ReconnectNeeded(ReconnectReason::GrantRefused);
const LOG_IN: Verdict =
    Verdict::PlatformActionNeeded(crate::domain::verdict::PlatformAction::LogIn);

#[test]
fn a_refused_probe_is_confirmed_by_a_later_one_and_refuted_by_a_living_token() {
    let mut row = unrefreshable();
    row.probed(Err(&REFUSED), true, at(0), 0.0);
    let due = row.probe_due_at(at(0)).unwrap();
    row.derive_index_keys(at(0));
    assert_eq!(row.next_action_at, Some(due));
    assert_eq!(row.refresh.attempted_at, None, "nobody tried to refresh it");
    // Somebody who asks twice confirms nothing.
    row.probed(Err(&REFUSED), true, at(1), 0.0);
    assert!(matches!(row.state, State::Retrying { .. }));
    let due = row.probe_due_at(at(1)).unwrap();
    let mut alive = row.clone();
    alive.probed(Ok(&ProbeResult::default()), true, due, 0.0);
    assert_eq!(alive.state, State::Active);
    assert_eq!(
        alive.next_attempt_at(due),
        Some(due + TimeDelta::days(1)),
        "what is fine is asked about once a day"
    );
    row.probed(Err(&REFUSED), false, due, 0.0);
    assert!(
        matches!(row.state, State::Retrying { .. }),
        "the breaker is open"
    );
    let due = row.probe_due_at(due).unwrap();
    row.probed(Err(&REFUSED), true, due, 0.0);
    assert!(matches!(row.state, State::ReconnectRequired { .. }));
    // Late, but not too late.
    for (_, what) in row.pending_alerts(due, crate::domain::alert_policy::AlertPolicy::default()) {
        row.record_sent(&what);
    }
    row.probed(Ok(&ProbeResult::default()), true, due, 0.0);
    assert_eq!(row.state, State::Active);
    assert!(
        row.sent_alerts.recovery.is_some(),
        "who was alerted hears that it is safe"
    );
}

#[test]
fn a_person_who_must_act_on_the_platform_is_looked_after_daily() {
    let mut row = unrefreshable();
    row.probed(Err(&LOG_IN), true, at(0), 0.0);
    assert_eq!(row.probe_due_at(at(0)), Some(at(DAY)));
    row.probed(Err(&Verdict::AppMisconfigured), false, at(DAY), 0.0);
    assert_eq!(row.probe_due_at(at(DAY)), Some(at(2 * DAY)));
    row.probed(Ok(&ProbeResult::default()), true, at(2 * DAY), 0.0);
    assert_eq!(row.state, State::Active);
}

#[test]
fn a_probe_says_nothing_of_a_grant_that_is_a_refresh_token_nor_of_what_is_fine() {
    let mut row = integration(Platform::Twitter, true, -DAY, Some(DAY));
    row.expiry.refresh_token = Some(at(-1));
    let before = row.clone();
    row.probed(Err(&REFUSED), true, at(0), 0.0);
    assert_eq!(row, before);
    let mut row = unrefreshable();
    let mut before = row.clone();
    before.refresh.probed_at = Some(at(0));
    row.probed(Err(&Verdict::AppMisconfigured), false, at(0), 0.0);
    assert_eq!(row, before);
}

#[test]
fn a_lost_permission_leaves_it_active_and_is_looked_after_daily() {
    let named = ["ads.read", "some.word"].map(str::to_owned).to_vec();
    for platform in [Platform::Google, Platform::Twitter, Platform::Meta] {
        let mut row = integration(platform, platform != Platform::Meta, -50 * DAY, Some(600));
        row.expiry.access_token = Some(at(10 * DAY));
        row.expiry.idle = Some(at(DAY));
        row.permissions.granted = ["ads.read", "profile"].map(str::to_owned).to_vec();
        let lost = Verdict::PermissionLost(named.clone());
        row.fail(&lost, true, at(0), 0.0);
        assert_eq!(row.state, State::Active);
        assert_eq!(
            row.permissions.missing,
            ["ads.read"],
            "what it never had it did not lose"
        );
        assert_eq!(row.permissions.lost_at, Some(at(0)));
        assert_eq!(row.refresh_due_at(at(0)), Some(at(DAY)), "{platform}");
        row.fail(&lost, true, at(DAY), 0.0);
        assert_eq!(row.permissions.lost_at, Some(at(0)), "alerted once");
        assert_eq!(row.refresh_due_at(at(DAY)), Some(at(2 * DAY)), "{platform}");
        let mut back = renewed(60);
        back.lifetimes.scopes = ["profile", "ads.read"].map(str::to_owned).to_vec();
        row.renew(back, at(2 * DAY));
        assert_eq!(
            (row.permissions.missing.len(), row.permissions.lost_at),
            (0, None)
        );
    }
}

#[test]
fn a_probe_that_misses_a_permission_shows_that_the_token_lives() {
    let mut row = unrefreshable();
    row.probed(Err(&REFUSED), true, at(0), 0.0);
    row.probed(Err(&Verdict::PermissionLost(Vec::new())), true, at(60), 0.0);
    assert_eq!(
        (&row.state, row.permissions.lost_at),
        (&State::Active, Some(at(60)))
    );
    row.probed(Ok(&ProbeResult::default()), true, at(120), 0.0);
    assert_eq!(row.permissions.lost_at, None);
}
