use super::storing::PAUSES;
use super::*;
use crate::Platform;
use crate::domain::alert_policy::AlertPolicy;
use crate::domain::integration::{RetryReason, Sealed, State};
use crate::domain::refresh::{Ends, Lifetimes, ProbeResult};
use crate::domain::schedule::tests::{at, integration};
use crate::domain::verdict::{ReconnectReason, Throttled, Transient};

const HOUR: i64 = 3_600;

fn rotating() -> Integration {
    integration(Platform::Twitter, true, -HOUR, Some(HOUR))
}

/// A row whose last attempt died after sending.
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

/// The same, once the platform has refused what that attempt sent.
fn refused_in_doubt() -> Integration {
    let mut row = in_doubt();
    row.doubt(&dead_grant(), true, at(-100), 0.0);
    row
}

fn begin(row: Integration) -> (Attempt, Step) {
    begin_as("a", row)
}

fn begin_as(id: &str, row: Integration) -> (Attempt, Step) {
    let mut attempt = Attempt::new(id.to_owned(), row, None, 0.5, at(0));
    let step = attempt.begin(at(0));
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

/// Has the store take what a step writes.
fn take(attempt: &mut Attempt, step: Step, now: i64) -> (Integration, Step) {
    let (Step::Claim(row) | Step::Store(row) | Step::Record(row)) = step else {
        panic!("{step:?} writes nothing")
    };
    let mut row = *row;
    row.version += 1;
    row.settle(at(now));
    let next = attempt.next(Event::Written(Box::new(row.clone())), at(now));
    (row, next)
}

/// As far as the exchange, with what was claimed.
fn send(row: Integration) -> (Attempt, Integration) {
    let (mut attempt, _) = begin(row);
    let claim = attempt.next(Event::Key(true), at(0));
    let (claimed, step) = take(&mut attempt, claim, 0);
    assert!(matches!(step, Step::Send), "{step:?}");
    (attempt, claimed)
}

/// As far as the exchange of a credential that may have been replaced.
fn send_in_doubt(row: Integration) -> Attempt {
    send_in_doubt_as("a", row).0
}

fn send_in_doubt_as(id: &str, row: Integration) -> (Attempt, Integration) {
    let (mut attempt, _) = begin_as(id, row);
    let claim = attempt.next(Event::Key(true), at(0));
    let (claimed, step) = take(&mut attempt, claim, 0);
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
    let (claimed, step) = take(&mut attempt, claim, 0);
    assert!(claimed.holds("a") && claimed.is_leased(at(0)));
    assert_eq!(claimed.refresh.intent.unwrap().generation, 1);
    assert_eq!(claimed.next_action_at, Some(at(0) + LEASE));
    assert!(matches!(step, Step::Send), "{step:?}");
    let store = attempt.next(answered(), at(1));
    assert!(matches!(store, Step::Store(_)), "{store:?}");
    let (stored, step) = take(&mut attempt, store, 1);
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
    let deadline = Some(at(0) + EXCHANGE + PERSIST - TimeDelta::seconds(1));
    let mut attempt = Attempt::new("a".to_owned(), rotating(), deadline, 0.5, at(0));
    attempt.begin(at(0));
    assert_eq!(
        outcome(&attempt.next(Event::Key(true), at(0))),
        Outcome::Released
    );
    // A claim that took long: given back, and no doubt is left of it.
    let (mut attempt, _) = begin(rotating());
    let claim = attempt.next(Event::Key(true), at(0));
    let (_, release) = take(&mut attempt, claim, 21);
    assert!(matches!(release, Step::Record(_)), "{release:?}");
    let (row, step) = take(&mut attempt, release, 21);
    assert_eq!(
        (
            row.refresh.lease,
            row.refresh.intent,
            row.credential.generation
        ),
        (None, None, 1)
    );
    assert_eq!(outcome(&step), Outcome::Released);
}

#[test]
fn what_the_row_does_not_take_is_in_the_fallback_and_the_next_holder_stores_it() {
    let (mut attempt, claimed) = send(rotating());
    let store = attempt.next(answered(), at(1));
    assert!(matches!(store, Step::Store(_)), "{store:?}");
    let again = attempt.next(Event::Unwritten, at(6));
    assert!(matches!(again, Step::Store(_)), "{again:?}");
    let Step::StoreFallback(fallback) = attempt.next(Event::Unwritten, at(11)) else {
        panic!("not in the fallback")
    };
    let once_more = attempt.next(Event::FallbackStored(true), at(12));
    assert!(matches!(once_more, Step::Store(_)), "{once_more:?}");
    assert_eq!(
        outcome(&attempt.next(Event::Unwritten, at(17))),
        Outcome::InFallback
    );

    let mut left = claimed;
    left.refresh.lease = None;
    assert!(left.is_in_doubt());
    let mut next = Attempt::new("b".to_owned(), left, None, 0.5, at(70));
    next.begin(at(70));
    let claim = next.next(Event::Key(true), at(70));
    let (_, step) = take(&mut next, claim, 70);
    assert!(matches!(step, Step::FindFallback(2)), "{step:?}");
    let store = next.next(Event::FallbackFound(Some(fallback)), at(71));
    let (stored, step) = take(&mut next, store, 71);
    assert_eq!(stored.credential.access_token, Some(Sealed(vec![3])));
    assert!(matches!(step, Step::RemoveFallback(2)), "{step:?}");
    assert_eq!(
        outcome(&next.next(Event::Removed, at(72))),
        Outcome::Recovered
    );
}

/// Fails every place, each at once, until the attempt gives up: how often each
/// was tried, and after how long it gave up.
fn fail_every_place(row: Integration) -> (usize, usize, TimeDelta, Outcome) {
    let (mut attempt, _) = send(row);
    let (mut stores, mut fallback_stores, mut now) = (0, 0, at(1));
    let mut step = attempt.next(answered(), now);
    loop {
        let event = match &step {
            Step::Store(_) => {
                stores += 1;
                Event::Unwritten
            }
            Step::StoreFallback(_) => {
                fallback_stores += 1;
                Event::FallbackStored(false)
            }
            Step::Pause(pause) => {
                assert!(*pause > TimeDelta::zero());
                now += *pause;
                Event::Paused
            }
            step => return (stores, fallback_stores, now - at(0), outcome(step)),
        };
        step = attempt.next(event, now);
    }
}

#[test]
fn a_living_token_is_not_dropped_while_there_is_time_to_store_it() {
    let (stores, fallback_stores, after, outcome) = fail_every_place(rotating());
    assert_eq!(outcome, Outcome::Unstored);
    // The time for an exchange that took a second is left as well.
    let time = EXCHANGE + PERSIST;
    assert!(
        after > time - PAUSES.1 && after <= time,
        "given up after {after}"
    );
    assert!(
        stores > 8 && fallback_stores > 8,
        "{stores} {fallback_stores}"
    );
    // Neither is one that is not in the fallback.
    let google = integration(Platform::Google, true, -HOUR, Some(HOUR));
    let (_, fallback_stores, after, _) = fail_every_place(google);
    assert!(
        fallback_stores == 0 && after > time - PAUSES.1,
        "{fallback_stores} {after}"
    );
}

#[test]
fn what_is_in_the_fallback_too_late_to_be_stored_is_left_for_the_next_holder() {
    for (now, stored) in [(39, true), (40, false)] {
        let (mut attempt, claimed) = send(rotating());
        attempt.next(answered(), at(1));
        attempt.next(Event::Unwritten, at(6));
        attempt.next(Event::Unwritten, at(11));
        let step = attempt.next(Event::FallbackStored(true), at(now));
        assert_eq!(matches!(step, Step::Store(_)), stored, "{now}: {step:?}");
        if stored {
            let mut other = claimed;
            other.version += 1;
            let lost = Event::Lost(Some(Box::new(other)));
            assert_eq!(outcome(&attempt.next(lost, at(40))), Outcome::InFallback);
        }
    }
}

#[test]
fn new_tokens_win_over_anything_but_a_newer_credential() {
    let (mut attempt, claimed) = send(rotating());
    attempt.next(answered(), at(1));
    // Somebody else holds the row by now, with the same credential.
    let mut other = claimed.clone();
    other.version += 1;
    other.refresh.lease.as_mut().unwrap().attempt = "b".to_owned();
    let again = attempt.next(Event::Lost(Some(Box::new(other))), at(80));
    assert!(
        matches!(&again, Step::Store(row) if row.credential.generation == 2),
        "{again:?}"
    );
    // A person has reconnected.
    let mut other = claimed;
    other.version += 2;
    other.credential.generation += 1;
    let step = attempt.next(Event::Lost(Some(Box::new(other))), at(81));
    assert_eq!(outcome(&step), Outcome::Superseded);
}

/// Seed 288 of the simulation, once: the only copy was removed.
#[test]
fn a_in_the_fallback_copy_outlives_any_number_of_lost_races() {
    let (mut attempt, _) = begin(in_doubt());
    let claim = attempt.next(Event::Key(true), at(0));
    let (claimed, _) = take(&mut attempt, claim, 0);
    let mut step = attempt.next(Event::FallbackFound(Some(Box::new(new_tokens()))), at(1));
    for race in 1.. {
        if !matches!(step, Step::Store(_)) {
            break;
        }
        let mut other = claimed.clone();
        other.version += race;
        step = attempt.next(Event::Lost(Some(Box::new(other))), at(1));
    }
    assert_eq!(outcome(&step), Outcome::InFallback);
}

/// A platform that blames the grant for what is wrong with our application, or
/// has a bad hour, says the same once.
#[test]
fn a_first_refusal_in_doubt_concludes_nothing() {
    let mut attempt = send_in_doubt(in_doubt());
    let record = attempt.next(refused(dead_grant()), at(2));
    let (row, step) = take(&mut attempt, record, 2);
    assert_eq!(outcome(&step), Outcome::InDoubt(dead_grant()));
    assert!(row.is_in_doubt());
    let State::Retrying {
        reason: RetryReason::Refused,
        next_attempt_at,
        ..
    } = row.state
    else {
        panic!("{:?}", row.state)
    };
    // Nor does another before it is time to ask again, or while it may be the
    // application that is refused.
    for (now, conclusive) in [
        (next_attempt_at - TimeDelta::seconds(1), true),
        (next_attempt_at, false),
    ] {
        let mut row = row.clone();
        row.refresh.lease = None;
        let mut attempt = Attempt::new("b".to_owned(), row, None, 0.5, now);
        attempt.begin(now);
        let claim = attempt.next(Event::Key(true), now);
        let (claimed, _) = take(&mut attempt, claim, 0);
        attempt.next(Event::FallbackFound(None), now);
        attempt.next(Event::Read(Some(Box::new(claimed))), now);
        let record = attempt.next(
            Event::Answered(Answered::Refused {
                verdict: dead_grant(),
                conclusive,
                code: None,
            }),
            now,
        );
        let (row, step) = take(&mut attempt, record, 0);
        assert_eq!(outcome(&step), Outcome::InDoubt(dead_grant()));
        assert!(row.is_in_doubt() && !row.is_given_up());
    }
}

#[test]
fn a_second_refusal_in_doubt_is_believed_after_another_look() {
    let mut attempt = send_in_doubt(refused_in_doubt());
    let step = attempt.next(refused(dead_grant()), at(2));
    assert!(matches!(step, Step::FindFallback(2)), "{step:?}");
    let step = attempt.next(Event::FallbackFound(None), at(3));
    assert!(matches!(step, Step::Probe), "{step:?}");
    let seen = ProbeResult {
        access: Ends::At(at(1_800)),
        ..ProbeResult::default()
    };
    let record = attempt.next(Event::Probed(Some(Ok(seen))), at(4));
    let (row, step) = take(&mut attempt, record, 4);
    assert_eq!(outcome(&step), Outcome::RotationLost);
    assert!(matches!(
        row.state,
        State::ReconnectRequired {
            reason: ReconnectReason::RotationLost,
            ..
        }
    ));
    assert_eq!(
        row.reconnect_by,
        Some(at(1_800)),
        "by the platform's own word"
    );
    assert!(row.credential.access_token.is_some(), "it lives until then");
}

#[test]
fn what_is_in_the_fallback_meanwhile_is_found_by_the_second_look() {
    let mut attempt = send_in_doubt(refused_in_doubt());
    attempt.next(refused(dead_grant()), at(2));
    let step = attempt.next(Event::FallbackFound(Some(Box::new(new_tokens()))), at(3));
    assert!(matches!(step, Step::Store(_)), "{step:?}");
}

/// An instance stands still with the answer in hand, and another sends the old
/// token again. It used to say "refused".
#[test]
fn a_late_answer_that_is_refused_afterwards_is_a_lost_rotation() {
    let (mut late, mut claimed) = send(rotating());
    claimed.refresh.lease = None;
    let (mut other, claimed) = send_in_doubt_as("b", claimed);
    let record = other.next(refused(dead_grant()), at(2));
    let (doubted, _) = take(&mut other, record, 2);
    late.next(answered(), at(3));
    let store = late.next(Event::Lost(Some(Box::new(doubted))), at(3));
    let (stored, step) = take(&mut late, store, 3);
    assert_eq!(outcome(&step), Outcome::Renewed);
    assert_eq!(
        (&stored.state, stored.credential.generation),
        (&State::Active, 2)
    );

    let mut once = stored.clone();
    once.fail(&dead_grant(), true, at(-100), 0.0);
    let (mut attempt, _) = send(once.clone());
    let step = attempt.next(refused(dead_grant()), at(4));
    assert!(matches!(step, Step::Probe), "{step:?}");
    let record = attempt.next(Event::Probed(None), at(6));
    let (row, step) = take(&mut attempt, record, 6);
    assert_eq!(outcome(&step), Outcome::RotationLost);
    assert!(row.lost_its_rotation());

    // What the platform says in so many words stays what it says.
    let (mut attempt, _) = send(once);
    let revoked = Verdict::ReconnectNeeded(ReconnectReason::Revoked);
    let record = attempt.next(refused(revoked.clone()), at(4));
    let (row, step) = take(&mut attempt, record, 4);
    assert_eq!(outcome(&step), Outcome::Refused(revoked));
    assert!(row.is_given_up() && !row.lost_its_rotation());

    // Once it has been exchanged for another, that is over.
    let (mut attempt, _) = send(stored);
    let store = attempt.next(answered(), at(4));
    let (renewed, _) = take(&mut attempt, store, 4);
    assert_eq!(renewed.refresh.possibly_replayed, None);
    assert!(!claimed.is_possibly_replayed(), "of another generation");
}

/// Seed 427,738 of the simulation, once: a platform that had left the token in
/// force replaced it when it was sent again, and the late answer was stored over
/// the row that was to take the new one.
#[test]
fn a_late_answer_that_brings_no_new_refresh_token_gives_way() {
    let (mut late, mut claimed) = send(rotating());
    claimed.refresh.lease = None;
    let (_, held) = send_in_doubt_as("b", claimed.clone());
    for (rotated, row, gives_way) in [(false, held.clone(), true), (true, held, false)] {
        let renewed = Renewed {
            rotated,
            ..new_tokens()
        };
        late.phase = Phase::Exchanging;
        late.next(Event::Answered(Answered::Renewed(Box::new(renewed))), at(3));
        let step = late.next(Event::Lost(Some(Box::new(row))), at(3));
        if gives_way {
            assert_eq!(outcome(&step), Outcome::Superseded);
        } else {
            assert!(matches!(step, Step::Store(_)), "{step:?}");
        }
    }
    // It clears a conclusion, unless that is being looked into once more.
    let (_, mut concluded) = send_in_doubt_as("b", {
        let mut row = claimed.clone();
        row.refresh.lease = None;
        row
    });
    concluded.state = State::ReconnectRequired {
        reason: ReconnectReason::RotationLost,
        since: at(2),
    };
    for (is_held, gives_way) in [(true, true), (false, false)] {
        let mut row = concluded.clone();
        row.refresh.lease.take_if(|_| !is_held);
        late.phase = Phase::Storing(Storing::new(Renewed {
            rotated: false,
            ..new_tokens()
        }));
        let step = late.next(Event::Lost(Some(Box::new(row))), at(3));
        assert_eq!(matches!(step, Step::Done(_)), gives_way, "{step:?}");
    }
    // Where nobody sends it again, it is stored as any other.
    claimed.version += 1;
    late.phase = Phase::Storing(Storing::new(Renewed {
        rotated: false,
        ..new_tokens()
    }));
    let step = late.next(Event::Lost(Some(Box::new(claimed))), at(3));
    assert!(matches!(step, Step::Store(_)), "{step:?}");
}

/// The same where that answer was in the fallback.
#[test]
fn a_in_the_fallback_copy_that_brings_no_new_refresh_token_gives_way() {
    let copy = |rotated| {
        let renewed = Renewed {
            rotated,
            ..new_tokens()
        };
        Event::FallbackFound(Some(Box::new(renewed)))
    };
    let (_, mut held) = send_in_doubt_as("b", in_doubt());
    held.refresh.lease = None;
    for (row, rotated, is_taken) in [
        (held.clone(), false, false),
        (held, true, true),
        // Nobody has sent the token again.
        (in_doubt(), false, true),
    ] {
        let (mut attempt, _) = begin(row);
        let claim = attempt.next(Event::Key(true), at(0));
        take(&mut attempt, claim, 0);
        let step = attempt.next(copy(rotated), at(1));
        assert_eq!(matches!(step, Step::Store(_)), is_taken, "{step:?}");
        assert_eq!(matches!(step, Step::ReadAgain), !is_taken, "{step:?}");
    }
}

/// A platform that has replaced the token may call it revoked.
#[test]
fn an_explicit_refusal_in_doubt_must_come_twice_too() {
    let revoked = || Verdict::ReconnectNeeded(ReconnectReason::Revoked);
    let mut attempt = send_in_doubt(in_doubt());
    let record = attempt.next(refused(revoked()), at(2));
    let (row, _) = take(&mut attempt, record, 2);
    assert!(row.is_in_doubt() && !row.is_given_up());
    let mut attempt = send_in_doubt(refused_in_doubt());
    let step = attempt.next(refused(revoked()), at(2));
    assert!(matches!(step, Step::FindFallback(2)), "{step:?}");
    // What no rotation explains is what it says.
    let expired = Verdict::ReconnectNeeded(ReconnectReason::Expired);
    let mut attempt = send_in_doubt(refused_in_doubt());
    let record = attempt.next(refused(expired.clone()), at(2));
    let (row, step) = take(&mut attempt, record, 2);
    assert_eq!(outcome(&step), Outcome::Refused(expired));
    assert!(row.is_given_up() && !row.lost_its_rotation());
}

/// Only what was sent again can explain a later refusal.
#[test]
fn what_the_platform_allowed_or_nobody_sent_again_is_not_contested() {
    // It answers to the second request itself.
    let mut attempt = send_in_doubt(in_doubt());
    let store = attempt.next(answered(), at(2));
    let (row, _) = take(&mut attempt, store, 2);
    assert_eq!(
        (row.credential.generation, row.refresh.possibly_replayed),
        (2, None)
    );
    // What was in the fallback is found before anything is sent.
    let (mut attempt, _) = begin(in_doubt());
    let claim = attempt.next(Event::Key(true), at(0));
    let (claimed, _) = take(&mut attempt, claim, 0);
    assert!(
        claimed.refresh.possibly_replayed.is_some(),
        "written before it is done"
    );
    let store = attempt.next(Event::FallbackFound(Some(Box::new(new_tokens()))), at(1));
    let (row, _) = take(&mut attempt, store, 1);
    assert_eq!(
        (row.credential.generation, row.refresh.possibly_replayed),
        (2, None)
    );
    // Or when it had been refused.
    let mut attempt = send_in_doubt(refused_in_doubt());
    attempt.next(refused(dead_grant()), at(2));
    let store = attempt.next(Event::FallbackFound(Some(Box::new(new_tokens()))), at(3));
    let (row, _) = take(&mut attempt, store, 3);
    assert!(row.is_possibly_replayed());
    // Too little time was left.
    let (mut attempt, _) = begin(in_doubt());
    let claim = attempt.next(Event::Key(true), at(0));
    let (claimed, _) = take(&mut attempt, claim, 0);
    attempt.next(Event::FallbackFound(None), at(20));
    let record = attempt.next(Event::Read(Some(Box::new(claimed))), at(21));
    let (row, step) = take(&mut attempt, record, 21);
    assert_eq!(outcome(&step), Outcome::Released);
    assert_eq!(row.refresh.possibly_replayed, None);
}

/// Somebody had it checked, the platform accepted it, and only the fallback took that.
#[test]
fn what_was_in_the_fallback_of_a_integration_that_was_given_up_is_found() {
    let mut row = rotating();
    row.fail(&dead_grant(), true, at(-200), 0.0);
    row.fail(&dead_grant(), true, at(-100), 0.0);
    for (begins, what) in row.pending_alerts(at(-50), AlertPolicy::default()) {
        if begins <= at(-50) {
            row.record_sent(&what);
        }
    }
    let given_up = row.state.clone();
    assert!(matches!(given_up, State::ReconnectRequired { .. }));
    let (mut attempt, mut claimed) = send(row);
    attempt.next(answered(), at(1));
    attempt.next(Event::Unwritten, at(2));
    let fallback = attempt.next(Event::Unwritten, at(3));
    assert!(matches!(fallback, Step::StoreFallback(_)), "{fallback:?}");
    assert_eq!(claimed.next_action_at, Some(at(0) + LEASE));
    // The lease has ended.
    claimed.refresh.lease = None;
    claimed.settle(at(60));
    assert_eq!(claimed.next_action_at, Some(at(60)));
    let mut next = Attempt::new("b".to_owned(), claimed.clone(), None, 0.5, at(60));
    next.begin(at(60));
    let claim = next.next(Event::Key(true), at(60));
    let (_, step) = take(&mut next, claim, 60);
    assert!(matches!(step, Step::FindFallback(2)), "{step:?}");
    let store = next.next(Event::FallbackFound(Some(Box::new(new_tokens()))), at(61));
    let (stored, _) = take(&mut next, store, 61);
    assert_eq!(
        (stored.state, stored.credential.generation),
        (State::Active, 2)
    );

    // Where nothing is in the fallback, it is dead for the reason that people know.
    let mut next = send_in_doubt(claimed.clone());
    next.next(refused(dead_grant()), at(62));
    let record = next.next(Event::FallbackFound(None), at(63));
    let (row, step) = take(&mut next, record, 63);
    assert_eq!(outcome(&step), Outcome::Refused(dead_grant()));
    assert_eq!((row.state, row.next_action_at), (given_up.clone(), None));

    // Nor does it change while that cannot be looked into.
    let mut unknown = claimed.clone();
    unknown.release(true, at(62), 0.5);
    unknown.doubt(
        &Verdict::Transient(Transient::Unopenable),
        true,
        at(62),
        0.5,
    );
    unknown.settle(at(62));
    assert_eq!(unknown.state, given_up);
    assert_eq!(unknown.next_action_at, Some(at(62)));
}

#[test]
fn nothing_is_sent_while_nobody_knows_what_is_parked() {
    let (mut attempt, _) = begin(in_doubt());
    let claim = attempt.next(Event::Key(true), at(0));
    take(&mut attempt, claim, 0);
    let record = attempt.next(Event::Unreadable, at(5));
    let (row, step) = take(&mut attempt, record, 5);
    assert_eq!(outcome(&step), Outcome::FallbackUnknown);
    assert!(row.is_in_doubt());
}

/// Seed 1,018,030 of the simulation, once: whoever left the doubt had stored its
/// answer after the claim, and the old token, sent again, killed that.
#[test]
fn nothing_is_sent_in_doubt_of_a_row_that_has_moved_since_the_claim() {
    let moved = |claimed: &Integration| {
        let mut row = claimed.clone();
        row.version += 1;
        row.credential.generation += 1;
        Some(row)
    };
    let taken_over = |claimed: &Integration| {
        let mut row = claimed.clone();
        row.version += 1;
        row.refresh.lease.as_mut().unwrap().attempt = "b".to_owned();
        Some(row)
    };
    let gone = |_: &Integration| None;
    let cases: [fn(&Integration) -> Option<Integration>; 3] = [moved, taken_over, gone];
    for case in cases {
        let (mut attempt, _) = begin(in_doubt());
        let claim = attempt.next(Event::Key(true), at(0));
        let (claimed, _) = take(&mut attempt, claim, 0);
        attempt.next(Event::FallbackFound(None), at(1));
        let step = attempt.next(Event::Read(case(&claimed).map(Box::new)), at(1));
        assert_eq!(outcome(&step), Outcome::Superseded);
    }
    let (mut attempt, _) = begin(in_doubt());
    let claim = attempt.next(Event::Key(true), at(0));
    take(&mut attempt, claim, 0);
    attempt.next(Event::FallbackFound(None), at(1));
    let record = attempt.next(Event::Unreadable, at(5));
    let (row, step) = take(&mut attempt, record, 5);
    assert_eq!(outcome(&step), Outcome::FallbackUnknown);
    assert!(row.is_in_doubt());
}

/// Refusals after that say something of the application too.
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
        let (row, _) = take(&mut attempt, record, 1);
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
    let (row, _) = take(&mut attempt, record, 2);
    assert!(!row.refresh.intent.unwrap().answered);
}

#[test]
fn no_answer_leaves_a_doubt_only_where_the_token_is_used_up() {
    for (platform, doubted) in [(Platform::Twitter, true), (Platform::Google, false)] {
        let (mut attempt, _) = send(integration(platform, true, -HOUR, Some(HOUR)));
        let record = attempt.next(refused(no_answer()), at(10));
        let (row, step) = take(&mut attempt, record, 10);
        let expected = match doubted {
            true => Outcome::InDoubt(no_answer()),
            false => Outcome::Refused(no_answer()),
        };
        assert_eq!((outcome(&step), row.is_in_doubt()), (expected, doubted));
    }
}

#[test]
fn a_failure_that_says_when_to_come_back_leaves_the_doubt_and_the_wait() {
    let asked_to_wait = |whom| Verdict::Throttled {
        wait: Some(TimeDelta::minutes(20)),
        whom,
    };
    for (whom, doubted) in [(Throttled::Everyone, true), (Throttled::Application, false)] {
        let (mut attempt, _) = send(rotating());
        let record = attempt.next(refused(asked_to_wait(whom)), at(1));
        let (row, _) = take(&mut attempt, record, 1);
        assert_eq!(row.is_in_doubt(), doubted, "{whom:?}");
        assert_eq!(row.refresh_due_at(at(1)), Some(at(1 + 20 * 60)));
    }
}

#[test]
fn an_extension_without_an_end_is_stored_and_then_probed() {
    let (mut attempt, _) = send(integration(Platform::Meta, false, -HOUR, Some(HOUR)));
    let mut renewed = new_tokens();
    renewed.lifetimes.access = None;
    let store = attempt.next(Event::Answered(Answered::Renewed(Box::new(renewed))), at(1));
    let (_, step) = take(&mut attempt, store, 1);
    assert!(matches!(step, Step::Probe), "{step:?}");
    let seen = ProbeResult {
        access: Ends::At(at(60 * 24 * HOUR)),
        ..ProbeResult::default()
    };
    // The probe takes its time.
    let record = attempt.next(Event::Probed(Some(Ok(seen))), at(4));
    let (row, step) = take(&mut attempt, record, 4);
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
    row.see_extended(&ProbeResult::default(), at(1));
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
    row.see_extended(&never, at(2));
    assert_eq!(
        (row.refresh.renewed_at, row.reconnect_by(at(2))),
        (Some(at(0)), None)
    );
}
