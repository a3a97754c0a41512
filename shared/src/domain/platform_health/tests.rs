use chrono::TimeDelta;

use super::breaker::TRIALS_PER_INTERVAL;
use super::reported::MAX_REPORTED;
use super::success::MAX_SUCCESSES;
use super::*;
use crate::domain::refresh::ImplausibleLifetime;
use crate::{IntegrationId, OrgId, Platform};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn key(org: &str, id: &str) -> IntegrationKey {
    IntegrationKey {
        org_id: OrgId::new(org).unwrap(),
        integration_id: IntegrationId::new(id).unwrap(),
    }
}

fn success(app: &mut PlatformHealth, org: &str, id: &str, now: i64) -> Vec<HealthEvent> {
    let observation = Observation::Success {
        key: key(org, id),
        sent_at: at(now),
        access_lifetime: Some(TimeDelta::hours(2)),
        refresh_lifetime: None,
    };
    app.observe(&observation, at(now)).events
}

fn failure(
    app: &mut PlatformHealth,
    place: (&str, &str),
    verdict: Verdict,
    worked: bool,
    now: i64,
) -> Assessment {
    let observation = Observation::Failure {
        key: key(place.0, place.1),
        verdict,
        had_worked: worked,
        refused_since: None,
        code: None,
    };
    app.observe(&observation, at(now))
}

const REFUSED: Verdict = Verdict::ReconnectNeeded(ReconnectReason::GrantRefused);

#[test]
fn dead_grants_that_never_worked_stop_nobody() {
    let mut app = PlatformHealth::new(Platform::Twitter);
    success(&mut app, "a", "1", 0);
    for n in 0..300 {
        let org = format!("org{}", n % 7);
        let assessment = failure(&mut app, (&org, &n.to_string()), REFUSED, false, n);
        assert!(assessment.conclusive && assessment.events.is_empty());
    }
    assert_eq!(app.availability(at(300)), Availability::Available);
}

#[test]
fn many_refusals_at_once_are_about_the_application() {
    let mut app = PlatformHealth::new(Platform::Tiktok);
    success(&mut app, "a", "1", 0);
    success(&mut app, "b", "2", 0);
    assert!(failure(&mut app, ("a", "1"), REFUSED, true, 1).conclusive);
    assert!(failure(&mut app, ("a", "3"), REFUSED, true, 2).conclusive);
    let third = failure(&mut app, ("b", "2"), REFUSED, true, 3);
    assert!(!third.conclusive);
    assert_eq!(
        third.events,
        [HealthEvent::BreakerOpened(BreakerCause::Refusals)]
    );
    assert_eq!(
        app.availability(at(4)),
        Availability::BreakerOpen(BreakerCause::Refusals)
    );
    // Once in a while a few try, and only one instance lets them.
    assert_eq!(app.half_open(at(4)), 0);
    assert_eq!(
        (app.half_open(at(300)), app.half_open(at(300))),
        (TRIALS_PER_INTERVAL, 0)
    );
    // A success closes it.
    assert_eq!(
        success(&mut app, "a", "1", 301),
        [HealthEvent::BreakerClosed]
    );
    assert_eq!(app.availability(at(302)), Availability::Available);
}

#[test]
fn after_six_hours_each_is_judged_by_itself() {
    let mut app = PlatformHealth::new(Platform::Tiktok);
    for n in 0..3 {
        failure(&mut app, ("a", &n.to_string()), REFUSED, true, n);
    }
    assert_eq!(
        app.availability(at(10)),
        Availability::BreakerOpen(BreakerCause::Refusals)
    );
    let later = 6 * 3_600 + 3;
    assert_eq!(app.availability(at(later)), Availability::Available);
    for n in 0..9 {
        let assessment = failure(&mut app, ("a", &n.to_string()), REFUSED, true, later + n);
        assert!(
            assessment.conclusive && assessment.events.is_empty(),
            "{assessment:?}"
        );
    }
    assert_eq!(app.availability(at(later + 20)), Availability::Available);
}

#[test]
fn one_organisation_among_others_stops_nobody() {
    let mut app = PlatformHealth::new(Platform::Twitter);
    success(&mut app, "other", "1", 0);
    for n in 0..50 {
        let assessment = failure(&mut app, ("a", &n.to_string()), REFUSED, true, n);
        assert!(assessment.conclusive, "{n}");
    }
    assert_eq!(app.availability(at(60)), Availability::Available);
}

#[test]
fn refusals_far_apart_or_with_successes_between_are_their_own() {
    let mut app = PlatformHealth::new(Platform::Twitter);
    for n in 0..10 {
        let org = format!("org{n}");
        assert!(failure(&mut app, (&org, "1"), REFUSED, true, n * 1_801).conclusive);
    }
    for n in 0..10 {
        let org = format!("org{n}");
        assert!(failure(&mut app, (&org, "1"), REFUSED, true, 50_000 + n).conclusive);
        success(&mut app, "fine", "1", 50_000 + n);
    }
}

#[test]
fn a_wrong_client_opens_it_and_stays_open() {
    let mut app = PlatformHealth::new(Platform::Google);
    success(&mut app, "a", "1", 0);
    let assessment = failure(&mut app, ("a", "1"), Verdict::AppMisconfigured, true, 1);
    assert_eq!(
        assessment.events,
        [HealthEvent::BreakerOpened(BreakerCause::Misconfigured)]
    );
    assert_eq!(assessment.verdict, Some(Verdict::AppMisconfigured));
    let again = failure(&mut app, ("b", "2"), Verdict::AppMisconfigured, true, 2);
    assert!(again.events.is_empty(), "one alert");
    assert_eq!(
        app.availability(at(7 * 86_400)),
        Availability::BreakerOpen(BreakerCause::Misconfigured)
    );
}

#[test]
fn a_credential_of_another_application_is_only_itself_refused() {
    let mut app = PlatformHealth::new(Platform::Google);
    success(&mut app, "a", "1", 0);
    let assessment = failure(&mut app, ("junk", "1"), Verdict::AppMisconfigured, false, 1);
    assert_eq!(
        (assessment.verdict, assessment.conclusive),
        (Some(REFUSED), false)
    );
    assert_eq!(app.availability(at(2)), Availability::Available);
    // Believed only once the application has worked since.
    let again = |app: &mut PlatformHealth, now| {
        let observation = Observation::Failure {
            key: key("junk", "1"),
            verdict: Verdict::AppMisconfigured,
            had_worked: false,
            refused_since: Some(at(1)),
            code: None,
        };
        app.observe(&observation, at(now)).conclusive
    };
    assert!(!again(&mut app, 100));
    success(&mut app, "a", "1", 101);
    assert!(again(&mut app, 200));
    // Where nothing ever worked, it is the application's fault.
    let mut new = PlatformHealth::new(Platform::Google);
    let assessment = failure(&mut new, ("a", "1"), Verdict::AppMisconfigured, false, 1);
    assert_eq!(
        assessment.events,
        [HealthEvent::BreakerOpened(BreakerCause::Misconfigured)]
    );
}

#[test]
fn a_throttle_holds_all_back_but_not_for_long() {
    let mut app = PlatformHealth::new(Platform::Meta);
    let throttled = |wait: Option<i64>, scope| Verdict::Throttled {
        wait: wait.map(TimeDelta::seconds),
        scope,
    };
    failure(
        &mut app,
        ("a", "1"),
        throttled(Some(900), ThrottleScope::Integration),
        true,
        0,
    );
    assert_eq!(app.availability(at(0)), Availability::Available);
    failure(
        &mut app,
        ("a", "1"),
        throttled(Some(900), ThrottleScope::Application),
        true,
        0,
    );
    assert_eq!(app.availability(at(899)), Availability::HeldBack(at(900)));
    assert_eq!(app.availability(at(900)), Availability::Available);
    failure(
        &mut app,
        ("a", "1"),
        throttled(Some(86_400), ThrottleScope::Application),
        true,
        1_000,
    );
    assert_eq!(
        app.availability(at(1_001)),
        Availability::HeldBack(at(4_600))
    );
}

#[test]
fn a_life_that_changes_by_more_than_a_fifth_is_news_once() {
    let mut app = PlatformHealth::new(Platform::Tiktok);
    let mut live = |hours: i64| {
        let observation = Observation::Success {
            key: key("a", "1"),
            sent_at: at(0),
            access_lifetime: Some(TimeDelta::hours(hours)),
            refresh_lifetime: None,
        };
        app.observe(&observation, at(0)).events.len()
    };
    assert_eq!([24, 20, 24, 2, 2].map(&mut live), [0, 0, 0, 1, 0]);
    // Accounts of two kinds take turns.
    assert_eq!([24, 2, 24, 2].map(&mut live), [0; 4]);
    assert_eq!([48, 24, 48].map(&mut live), [1, 0, 0]);
}

#[test]
fn successes_of_different_organisations_are_remembered() {
    let mut app = PlatformHealth::new(Platform::Tiktok);
    success(&mut app, "b", "1", 0);
    for n in 0..20 {
        success(&mut app, "a", &n.to_string(), n);
    }
    assert_eq!(app.succeeded.len(), MAX_SUCCESSES);
    assert!(
        app.succeeded
            .iter()
            .any(|seen| seen.key.org_id.as_str() == "b")
    );
    assert_eq!(app.succeeded[0].key, key("a", "19"));
}

fn unknown(app: &mut PlatformHealth, code: &str, now: i64) -> usize {
    let observation = Observation::Failure {
        key: key("a", "1"),
        verdict: Verdict::Transient(Transient::Unintelligible),
        had_worked: true,
        refused_since: None,
        code: Some(code.to_owned()),
    };
    app.observe(&observation, at(now)).events.len()
}

#[test]
fn an_unknown_answer_is_told_of_once_a_day() {
    let mut app = PlatformHealth::new(Platform::Snapchat);
    let mut told = |now| unknown(&mut app, "http_200_html", now);
    assert_eq!(
        [0, 60, 86_000, 86_400, 86_401].map(&mut told),
        [1, 0, 0, 1, 0]
    );
    let server_error = Verdict::Transient(Transient::ServerError);
    let assessment = failure(&mut app, ("a", "1"), server_error, true, 200_000);
    assert!(assessment.events.is_empty(), "known not to work is known");
}

#[test]
fn one_unknown_answer_that_recurs_hides_no_other() {
    let mut app = PlatformHealth::new(Platform::Meta);
    let mut told = |code| unknown(&mut app, code, 0);
    assert_eq!(
        ["1234", "1234", "5678", "1234"].map(&mut told),
        [1, 0, 1, 0]
    );
    // Nor does a platform that makes up a code for each answer reach anybody each time.
    let made_up: usize = (0..1_000)
        .map(|n| unknown(&mut app, &n.to_string(), 1))
        .sum();
    assert_eq!(made_up, MAX_REPORTED - 2 + 1);
    assert!(app.reported_at.len() <= MAX_REPORTED + 1);
}

#[test]
fn a_life_that_is_not_believed_is_told_of_once_a_day() {
    let mut app = PlatformHealth::new(Platform::Google);
    let lifetime = |kind| {
        Observation::ImplausibleLifetime(vec![ImplausibleLifetime {
            kind,
            stated: Some(1),
            assumed: None,
        }])
    };
    let mut told = |kind, now| app.observe(&lifetime(kind), at(now)).events.len();
    use crate::domain::refresh::LifetimeKind::{Access, Refresh};
    assert_eq!(
        [told(Access, 0), told(Access, 1), told(Refresh, 1)],
        [1, 0, 1]
    );
    assert_eq!(told(Access, 86_400), 1);
}

fn throttled(app: &mut PlatformHealth, wait: i64, now: i64) {
    let verdict = Verdict::Throttled {
        wait: Some(TimeDelta::seconds(wait)),
        scope: ThrottleScope::Application,
    };
    failure(app, ("a", "1"), verdict, true, now);
}

fn failed(app: &mut PlatformHealth, id: &str, wait: i64, now: i64) -> bool {
    let verdict = Verdict::Throttled {
        wait: Some(TimeDelta::seconds(wait)),
        scope: ThrottleScope::Platform,
    };
    failure(app, ("a", id), verdict, true, now).is_urgent
}

#[test]
fn a_failing_platform_holds_all_back_once_several_meet_it() {
    let mut app = PlatformHealth::new(Platform::Google);
    for now in 0..20 {
        failed(&mut app, "1", 3_600, now);
    }
    failed(&mut app, "2", 3_600, 20);
    assert_eq!(
        app.availability(at(21)),
        Availability::Available,
        "two are not several"
    );
    assert!(failed(&mut app, "3", 3_600, 22));
    assert_eq!(app.availability(at(23)), Availability::HeldBack(at(3_622)));
    // Answered before it failed, or after: only that shows that it is over.
    success(&mut app, "a", "4", 12);
    assert_eq!(app.availability(at(23)), Availability::HeldBack(at(3_622)));
    success(&mut app, "a", "4", 13);
    assert_eq!(app.availability(at(23)), Availability::Available);
    // Far apart, or with successes in between, they are their own.
    let mut app = PlatformHealth::new(Platform::Google);
    for n in 0..9 {
        failed(&mut app, &n.to_string(), 3_600, n * 301);
        assert_eq!(app.availability(at(n * 301)), Availability::Available);
    }
    for n in 0..9 {
        failed(&mut app, &n.to_string(), 3_600, 10_000 + n * 20);
        success(&mut app, "a", "fine", 10_000 + n * 20 - 5);
        assert_eq!(
            app.availability(at(10_000 + n * 20)),
            Availability::Available
        );
    }
}

/// LinkedIn, for one, limits each member.
#[test]
fn who_alone_is_told_to_wait_again_and_again_holds_nobody_else_back() {
    let mut app = PlatformHealth::new(Platform::Linkedin);
    throttled(&mut app, 600, 0);
    assert_eq!(app.availability(at(1)), Availability::HeldBack(at(600)));
    success(&mut app, "b", "2", 300);
    throttled(&mut app, 600, 400);
    assert_eq!(
        app.availability(at(600)),
        Availability::Available,
        "not put off"
    );
    throttled(&mut app, 600, 700);
    assert_eq!(app.availability(at(701)), Availability::Available);
    // Somebody else says it of all.
    let verdict = Verdict::Throttled {
        wait: Some(TimeDelta::seconds(60)),
        scope: ThrottleScope::Application,
    };
    failure(&mut app, ("c", "3"), verdict, true, 800);
    assert_eq!(app.availability(at(801)), Availability::HeldBack(at(860)));
}

#[test]
fn what_is_refused_to_one_is_told_once_a_day() {
    let mut app = PlatformHealth::new(Platform::Google);
    success(&mut app, "a", "1", 0);
    let events: Vec<_> = (1..4)
        .map(|n| {
            failure(
                &mut app,
                ("b", &n.to_string()),
                Verdict::AppMisconfigured,
                false,
                n,
            )
            .events
        })
        .collect();
    assert_eq!(events, [vec![HealthEvent::RefusedForOne], vec![], vec![]]);
}

#[test]
fn a_conclusion_does_not_become_the_platforms_word() {
    let mut app = PlatformHealth::new(Platform::Google);
    throttled(&mut app, 60, 0);
    for n in 0..3 {
        failed(&mut app, &n.to_string(), 3_600, n);
    }
    assert_eq!(app.availability(at(5)), Availability::HeldBack(at(3_602)));
    success(&mut app, "a", "fine", 5);
    assert_eq!(app.availability(at(6)), Availability::HeldBack(at(60)));
    assert_eq!(app.availability(at(60)), Availability::Available);
}

#[test]
fn a_success_does_not_take_back_the_platforms_word() {
    let mut app = PlatformHealth::new(Platform::Snapchat);
    throttled(&mut app, 900, 10);
    success(&mut app, "a", "2", 9);
    success(&mut app, "a", "3", 10);
    assert_eq!(app.availability(at(11)), Availability::HeldBack(at(910)));
    // A shorter wait does not shorten a longer one, nor does one that was let through.
    throttled(&mut app, 60, 20);
    success(&mut app, "a", "4", 21);
    assert_eq!(app.availability(at(22)), Availability::HeldBack(at(910)));
    for n in 0..5 {
        failed(&mut app, &n.to_string(), 30, 30);
    }
    success(&mut app, "a", "4", 100);
    assert_eq!(app.availability(at(101)), Availability::HeldBack(at(910)));
    assert_eq!(app.availability(at(910)), Availability::Available);
}

#[test]
fn a_success_that_was_under_way_does_not_close_a_breaker() {
    let mut app = PlatformHealth::new(Platform::Google);
    failure(&mut app, ("a", "1"), Verdict::AppMisconfigured, true, 10);
    assert_eq!(success(&mut app, "b", "2", 9), []);
    assert_eq!(
        app.availability(at(11)),
        Availability::BreakerOpen(BreakerCause::Misconfigured)
    );
    assert_eq!(
        success(&mut app, "b", "2", 250),
        [HealthEvent::BreakerClosed]
    );
}

#[test]
fn a_success_taken_in_late_changes_nothing_that_came_after_it() {
    let mut app = PlatformHealth::new(Platform::Twitter);
    success(&mut app, "a", "1", 100);
    failure(&mut app, ("b", "2"), REFUSED, true, 150);
    success(&mut app, "a", "1", 50);
    success(&mut app, "a", "3", 60);
    let seen: Vec<_> = app.succeeded.iter().map(|seen| seen.at).collect();
    assert_eq!(seen, [at(100), at(60)]);
    assert_eq!(app.refused.len(), 1, "refused since");
    success(&mut app, "a", "3", 145);
    assert_eq!(app.refused.len(), 0, "answered after the refusal");
}
