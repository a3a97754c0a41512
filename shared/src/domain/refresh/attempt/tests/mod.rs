mod doubt;
mod storing;

use chrono::TimeDelta;

use super::*;
use crate::Platform;
use crate::domain::alert_policy::AlertPolicy;
use crate::domain::integration::{RetryReason, Sealed, State};
use crate::domain::refresh::{Ends, Lifetimes, ProbeResult, Renewed};
use crate::domain::schedule::tests::{at, integration};
use crate::domain::verdict::{ReconnectReason, ThrottleScope, Transient};

const HOUR: i64 = 3_600;

fn rotating() -> Integration {
    integration(Platform::Twitter, true, -HOUR, Some(HOUR))
}

/// Returns a row whose last attempt died after sending.
fn in_doubt() -> Integration {
    let mut row = rotating();
    row.refresh.intent = Some(Intent {
        attempt: "dead".to_owned(),
        at: at(-120),
        generation: row.credential.generation,
        answered: false,
    });
    row
}

/// Returns such a row after the platform has refused what that attempt sent.
fn refused_in_doubt() -> Integration {
    let mut row = in_doubt();
    row.mark_in_doubt(&dead_grant(), true, at(-100), 0.0);
    row
}

fn begin(row: Integration) -> (Attempt, Step) {
    begin_as("a", row)
}

fn begin_as(id: &str, row: Integration) -> (Attempt, Step) {
    let attempt = Attempt::new(id.to_owned(), row, None, 0.5, at(0));
    let step = attempt.begin();
    (attempt, step)
}

fn new_tokens() -> Renewed {
    Renewed {
        rotated: true,
        access_token: Sealed(vec![3]),
        refresh_token: Some(Sealed(vec![4])),
        lifetimes: Lifetimes {
            access: Some(TimeDelta::hours(2)),
            ..Lifetimes::default()
        },
        sent_at: at(0),
    }
}

fn answered() -> Event {
    Event::Answered(Answered::Renewed(Box::new(new_tokens())))
}

fn refused(verdict: Verdict) -> Event {
    Event::Answered(Answered::Refused {
        verdict,
        conclusive: true,
        code: None,
    })
}

fn no_answer() -> Verdict {
    Verdict::Transient(Transient::NoAnswer)
}

fn dead_grant() -> Verdict {
    Verdict::ReconnectNeeded(ReconnectReason::GrantRefused)
}

/// Has the store accept what a step writes.
fn write(attempt: &mut Attempt, step: Step, now: i64) -> (Integration, Step) {
    let (Step::Claim(row) | Step::Store(row) | Step::Record(row)) = step else {
        panic!("{step:?} writes nothing")
    };
    let mut row = *row;
    row.version += 1;
    row.derive_index_keys(at(now));
    let next = attempt.next(Event::Written(Box::new(row.clone())), at(now));
    (row, next)
}

/// Drives an attempt to the exchange, and returns it with the claimed row.
fn send(row: Integration) -> (Attempt, Integration) {
    let (mut attempt, _) = begin(row);
    let claim = attempt.next(Event::Key(true), at(0));
    let (claimed, step) = write(&mut attempt, claim, 0);
    assert!(matches!(step, Step::Send), "{step:?}");
    (attempt, claimed)
}

/// Drives an attempt to the exchange of a credential that may have been replaced.
fn send_in_doubt(row: Integration) -> Attempt {
    send_in_doubt_as("a", row).0
}

fn send_in_doubt_as(id: &str, row: Integration) -> (Attempt, Integration) {
    let (mut attempt, _) = begin_as(id, row);
    let claim = attempt.next(Event::Key(true), at(0));
    let (claimed, step) = write(&mut attempt, claim, 0);
    assert!(matches!(step, Step::FindFallback(2)), "{step:?}");
    let step = attempt.next(Event::FallbackFound(None), at(1));
    assert!(matches!(step, Step::ReadAgain), "{step:?}");
    let step = attempt.next(Event::Read(Some(Box::new(claimed.clone()))), at(1));
    assert!(matches!(step, Step::Send), "{step:?}");
    (attempt, claimed)
}

fn outcome(step: &Step) -> Outcome {
    let Step::Done(end) = step else {
        panic!("{step:?} is not the end")
    };
    end.outcome.clone()
}

#[test]
fn a_refresh_secures_a_key_claims_sends_and_stores() {
    let (mut attempt, step) = begin(rotating());
    assert!(matches!(step, Step::SecureKey));
    let claim = attempt.next(Event::Key(true), at(0));
    let (claimed, step) = write(&mut attempt, claim, 0);
    assert!(claimed.is_leased_by("a") && claimed.is_leased(at(0)));
    assert_eq!(claimed.refresh.intent.unwrap().generation, 1);
    assert_eq!(claimed.next_action_at, Some(at(0) + LEASE_DURATION));
    assert!(matches!(step, Step::Send), "{step:?}");
    let store = attempt.next(answered(), at(1));
    assert!(matches!(store, Step::Store(_)), "{store:?}");
    let (stored, step) = write(&mut attempt, store, 1);
    assert_eq!(outcome(&step), Outcome::Renewed);
    assert_eq!(
        (
            stored.credential.generation,
            stored.refresh.lease,
            stored.refresh.intent
        ),
        (2, None, None)
    );
}

#[test]
fn without_a_key_nothing_is_claimed() {
    let (mut attempt, _) = begin(rotating());
    assert_eq!(
        outcome(&attempt.next(Event::Key(false), at(0))),
        Outcome::NoKey
    );
}

#[test]
fn nothing_is_sent_that_could_not_be_stored_in_time() {
    // Too little time for all of it: not even claimed.
    let deadline = Some(at(0) + TOKEN_REQUEST_TIMEOUT + PERSIST_TIMEOUT - TimeDelta::seconds(1));
    let mut attempt = Attempt::new("a".to_owned(), rotating(), deadline, 0.5, at(0));
    attempt.begin();
    assert_eq!(
        outcome(&attempt.next(Event::Key(true), at(0))),
        Outcome::OutOfTime
    );
    // A claim that took long: given back, and no doubt is left of it.
    let (mut attempt, _) = begin(rotating());
    let claim = attempt.next(Event::Key(true), at(0));
    let (_, release) = write(&mut attempt, claim, 21);
    assert!(matches!(release, Step::Record(_)), "{release:?}");
    let (row, step) = write(&mut attempt, release, 21);
    assert_eq!(
        (
            row.refresh.lease,
            row.refresh.intent,
            row.credential.generation
        ),
        (None, None, 1)
    );
    assert_eq!(outcome(&step), Outcome::OutOfTime);
}

/// Refusals after the platform's answer say something of the application too.
#[test]
fn a_doubt_that_the_platforms_answer_left_is_told_from_one_that_we_left() {
    for (transient, answered) in [
        (Transient::ServerError, true),
        (Transient::Unintelligible, true),
        (Transient::NoAnswer, false),
    ] {
        let (mut attempt, claimed) = send(rotating());
        assert!(!claimed.refresh.intent.unwrap().answered);
        let record = attempt.next(refused(Verdict::Transient(transient)), at(1));
        let (row, _) = write(&mut attempt, record, 1);
        assert!(row.is_in_doubt());
        assert_eq!(
            row.refresh.intent.unwrap().answered,
            answered,
            "{transient:?}"
        );
    }
    // Of a later holder's it says nothing.
    let mut attempt = send_in_doubt(in_doubt());
    let record = attempt.next(refused(Verdict::Transient(Transient::ServerError)), at(2));
    let (row, _) = write(&mut attempt, record, 2);
    assert!(!row.refresh.intent.unwrap().answered);
}

#[test]
fn no_answer_leaves_a_doubt_only_where_the_token_is_used_up() {
    for (platform, doubted) in [(Platform::Twitter, true), (Platform::Google, false)] {
        let (mut attempt, _) = send(integration(platform, true, -HOUR, Some(HOUR)));
        let record = attempt.next(refused(no_answer()), at(10));
        let (row, step) = write(&mut attempt, record, 10);
        let expected = match doubted {
            true => Outcome::InDoubt(no_answer()),
            false => Outcome::Refused(no_answer()),
        };
        assert_eq!((outcome(&step), row.is_in_doubt()), (expected, doubted));
    }
}

#[test]
fn a_failure_that_says_when_to_come_back_leaves_the_doubt_and_the_wait() {
    let asked_to_wait = |scope| Verdict::Throttled {
        wait: Some(TimeDelta::minutes(20)),
        scope,
    };
    for (scope, doubted) in [
        (ThrottleScope::Platform, true),
        (ThrottleScope::Application, false),
    ] {
        let (mut attempt, _) = send(rotating());
        let record = attempt.next(refused(asked_to_wait(scope)), at(1));
        let (row, _) = write(&mut attempt, record, 1);
        assert_eq!(row.is_in_doubt(), doubted, "{scope:?}");
        assert_eq!(row.refresh_due_at(at(1)), Some(at(1 + 20 * 60)));
    }
}

#[test]
fn an_extension_without_an_end_is_stored_and_then_probed() {
    let (mut attempt, _) = send(integration(Platform::Meta, false, -HOUR, Some(HOUR)));
    let mut renewed = new_tokens();
    renewed.lifetimes.access = None;
    let store = attempt.next(Event::Answered(Answered::Renewed(Box::new(renewed))), at(1));
    let (_, step) = write(&mut attempt, store, 1);
    assert!(matches!(step, Step::Probe), "{step:?}");
    let seen = ProbeResult {
        access: Ends::At(at(60 * 24 * HOUR)),
        ..ProbeResult::default()
    };
    // The probe takes its time.
    let record = attempt.next(Event::Probed(Some(Ok(seen))), at(4));
    let (row, step) = write(&mut attempt, record, 4);
    assert_eq!(outcome(&step), Outcome::Renewed);
    assert_eq!(row.expiry.access_token, Some(at(60 * 24 * HOUR)));
    assert_eq!(
        row.refresh.renewed_at, row.refresh.attempted_at,
        "it has moved: proven"
    );
    assert_eq!(row.expiry.issued_at, Some(at(1)));
}

#[test]
fn an_extended_token_that_never_ends_has_no_end_to_warn_of() {
    let mut row = integration(Platform::Meta, false, -HOUR, Some(HOUR));
    let mut renewed = new_tokens();
    renewed.lifetimes.access = None;
    row.renew(renewed, at(0));
    row.expiry.data_access = Some(at(HOUR));
    row.apply_probe_of_extension(&ProbeResult::default(), at(1));
    assert_eq!(
        (row.refresh.renewed_at, row.reconnect_by(at(1))),
        (None, Some(at(HOUR))),
        "not a word of it"
    );
    let never = ProbeResult {
        access: Ends::Never,
        data_access: Ends::Never,
        ..ProbeResult::default()
    };
    row.apply_probe_of_extension(&never, at(2));
    assert_eq!(
        (row.refresh.renewed_at, row.reconnect_by(at(2))),
        (Some(at(0)), None)
    );
}
