//! New tokens on their way to a durable copy.

use super::super::storing::MAX_STORE_PAUSE;
use super::*;

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
    next.begin();
    let claim = next.next(Event::Key(true), at(70));
    let (_, step) = write(&mut next, claim, 70);
    assert!(matches!(step, Step::FindFallback(2)), "{step:?}");
    let store = next.next(Event::FallbackFound(Some(fallback)), at(71));
    let (stored, step) = write(&mut next, store, 71);
    assert_eq!(stored.credential.access_token, Some(Sealed(vec![3])));
    assert!(matches!(step, Step::RemoveFallback(2)), "{step:?}");
    assert_eq!(
        outcome(&next.next(Event::Removed, at(72))),
        Outcome::StoredFromFallback
    );
}

/// Fails every place, each at once, until the attempt gives up. Returns how often each was
/// tried, after how long it gave up, and the outcome.
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
    assert_eq!(outcome, Outcome::StoreFailed);
    // The time for an exchange that took a second is left as well.
    let time = TOKEN_REQUEST_TIMEOUT + PERSIST_TIMEOUT;
    assert!(
        after > time - MAX_STORE_PAUSE && after <= time,
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
        fallback_stores == 0 && after > time - MAX_STORE_PAUSE,
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

/// Seed 288 of the simulation once failed: the only copy was removed.
#[test]
fn a_fallback_copy_outlives_any_number_of_lost_races() {
    let (mut attempt, _) = begin(in_doubt());
    let claim = attempt.next(Event::Key(true), at(0));
    let (claimed, _) = write(&mut attempt, claim, 0);
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

/// Seed 427,738 of the simulation once failed. A platform that had left the token in force
/// replaced it when it was sent again, and the late answer was stored over the row that was to
/// take the new one.
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
        late.phase = Phase::Sending;
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

/// The same, with the late answer in the fallback.
#[test]
fn a_fallback_copy_that_brings_no_new_refresh_token_gives_way() {
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
        write(&mut attempt, claim, 0);
        let step = attempt.next(copy(rotated), at(1));
        assert_eq!(matches!(step, Step::Store(_)), is_taken, "{step:?}");
        assert_eq!(matches!(step, Step::ReadAgain), !is_taken, "{step:?}");
    }
}
