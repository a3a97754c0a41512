//! A credential that the platform may have replaced.

use super::*;

/// A platform that blames the grant for what is wrong with our application, or that has a bad
/// hour, also refuses once.
#[test]
fn a_first_refusal_in_doubt_concludes_nothing() {
    let mut attempt = send_in_doubt(in_doubt());
    let record = attempt.next(refused(dead_grant()), at(2));
    let (row, step) = write(&mut attempt, record, 2);
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
        attempt.begin();
        let claim = attempt.next(Event::Key(true), now);
        let (claimed, _) = write(&mut attempt, claim, 0);
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
        let (row, step) = write(&mut attempt, record, 0);
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
    let (row, step) = write(&mut attempt, record, 4);
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

/// An instance stands still with the answer in hand, and another sends the old token again. The
/// outcome used to be "refused".
#[test]
fn a_late_answer_that_is_refused_afterwards_is_a_lost_rotation() {
    let (mut late, mut claimed) = send(rotating());
    claimed.refresh.lease = None;
    let (mut other, claimed) = send_in_doubt_as("b", claimed);
    let record = other.next(refused(dead_grant()), at(2));
    let (doubted, _) = write(&mut other, record, 2);
    late.next(answered(), at(3));
    let store = late.next(Event::Lost(Some(Box::new(doubted))), at(3));
    let (stored, step) = write(&mut late, store, 3);
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
    let (row, step) = write(&mut attempt, record, 6);
    assert_eq!(outcome(&step), Outcome::RotationLost);
    assert!(row.lost_its_rotation());

    // What the platform says in so many words stays what it says.
    let (mut attempt, _) = send(once);
    let revoked = Verdict::ReconnectNeeded(ReconnectReason::Revoked);
    let record = attempt.next(refused(revoked.clone()), at(4));
    let (row, step) = write(&mut attempt, record, 4);
    assert_eq!(outcome(&step), Outcome::Refused(revoked));
    assert!(row.is_given_up() && !row.lost_its_rotation());

    // Once it has been exchanged for another, that is over.
    let (mut attempt, _) = send(stored);
    let store = attempt.next(answered(), at(4));
    let (renewed, _) = write(&mut attempt, store, 4);
    assert_eq!(renewed.refresh.possibly_replayed, None);
    assert!(!claimed.is_possibly_replayed(), "of another generation");
}

/// A platform that has replaced the token may call it revoked.
#[test]
fn an_explicit_refusal_in_doubt_must_come_twice_too() {
    let revoked = || Verdict::ReconnectNeeded(ReconnectReason::Revoked);
    let mut attempt = send_in_doubt(in_doubt());
    let record = attempt.next(refused(revoked()), at(2));
    let (row, _) = write(&mut attempt, record, 2);
    assert!(row.is_in_doubt() && !row.is_given_up());
    let mut attempt = send_in_doubt(refused_in_doubt());
    let step = attempt.next(refused(revoked()), at(2));
    assert!(matches!(step, Step::FindFallback(2)), "{step:?}");
    // What no rotation explains is what it says.
    let expired = Verdict::ReconnectNeeded(ReconnectReason::Expired);
    let mut attempt = send_in_doubt(refused_in_doubt());
    let record = attempt.next(refused(expired.clone()), at(2));
    let (row, step) = write(&mut attempt, record, 2);
    assert_eq!(outcome(&step), Outcome::Refused(expired));
    assert!(row.is_given_up() && !row.lost_its_rotation());
}

/// Only what was sent again can explain a later refusal.
#[test]
fn what_the_platform_allowed_or_nobody_sent_again_is_not_contested() {
    // It answers to the second request itself.
    let mut attempt = send_in_doubt(in_doubt());
    let store = attempt.next(answered(), at(2));
    let (row, _) = write(&mut attempt, store, 2);
    assert_eq!(
        (row.credential.generation, row.refresh.possibly_replayed),
        (2, None)
    );
    // What was in the fallback is found before anything is sent.
    let (mut attempt, _) = begin(in_doubt());
    let claim = attempt.next(Event::Key(true), at(0));
    let (claimed, _) = write(&mut attempt, claim, 0);
    assert!(
        claimed.refresh.possibly_replayed.is_some(),
        "written before it is done"
    );
    let store = attempt.next(Event::FallbackFound(Some(Box::new(new_tokens()))), at(1));
    let (row, _) = write(&mut attempt, store, 1);
    assert_eq!(
        (row.credential.generation, row.refresh.possibly_replayed),
        (2, None)
    );
    // Or when it had been refused.
    let mut attempt = send_in_doubt(refused_in_doubt());
    attempt.next(refused(dead_grant()), at(2));
    let store = attempt.next(Event::FallbackFound(Some(Box::new(new_tokens()))), at(3));
    let (row, _) = write(&mut attempt, store, 3);
    assert!(row.is_possibly_replayed());
    // Too little time was left.
    let (mut attempt, _) = begin(in_doubt());
    let claim = attempt.next(Event::Key(true), at(0));
    let (claimed, _) = write(&mut attempt, claim, 0);
    attempt.next(Event::FallbackFound(None), at(20));
    let record = attempt.next(Event::Read(Some(Box::new(claimed))), at(21));
    let (row, step) = write(&mut attempt, record, 21);
    assert_eq!(outcome(&step), Outcome::OutOfTime);
    assert_eq!(row.refresh.possibly_replayed, None);
}

/// Somebody had the integration checked, the platform accepted the token, and only the fallback
/// took the answer.
#[test]
fn what_was_in_the_fallback_of_an_integration_that_was_given_up_is_found() {
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
    assert_eq!(claimed.next_action_at, Some(at(0) + LEASE_DURATION));
    // The lease has ended.
    claimed.refresh.lease = None;
    claimed.derive_index_keys(at(60));
    assert_eq!(claimed.next_action_at, Some(at(60)));
    let mut next = Attempt::new("b".to_owned(), claimed.clone(), None, 0.5, at(60));
    next.begin();
    let claim = next.next(Event::Key(true), at(60));
    let (_, step) = write(&mut next, claim, 60);
    assert!(matches!(step, Step::FindFallback(2)), "{step:?}");
    let store = next.next(Event::FallbackFound(Some(Box::new(new_tokens()))), at(61));
    let (stored, _) = write(&mut next, store, 61);
    assert_eq!(
        (stored.state, stored.credential.generation),
        (State::Active, 2)
    );

    // Where nothing is in the fallback, it is dead for the reason that people know.
    let mut next = send_in_doubt(claimed.clone());
    next.next(refused(dead_grant()), at(62));
    let record = next.next(Event::FallbackFound(None), at(63));
    let (row, step) = write(&mut next, record, 63);
    assert_eq!(outcome(&step), Outcome::Refused(dead_grant()));
    assert_eq!((row.state, row.next_action_at), (given_up.clone(), None));

    // Nor does it change while that cannot be looked into.
    let mut unknown = claimed.clone();
    unknown.release(true, at(62), 0.5);
    unknown.mark_in_doubt(
        &Verdict::Transient(Transient::DecryptionFailed),
        true,
        at(62),
        0.5,
    );
    unknown.derive_index_keys(at(62));
    assert_eq!(unknown.state, given_up);
    assert_eq!(unknown.next_action_at, Some(at(62)));
}

#[test]
fn nothing_is_sent_while_nobody_knows_what_is_in_the_fallback() {
    let (mut attempt, _) = begin(in_doubt());
    let claim = attempt.next(Event::Key(true), at(0));
    write(&mut attempt, claim, 0);
    let record = attempt.next(Event::Unreadable, at(5));
    let (row, step) = write(&mut attempt, record, 5);
    assert_eq!(outcome(&step), Outcome::FallbackUnknown);
    assert!(row.is_in_doubt());
}

/// Seed 1,018,030 of the simulation once failed: whoever left the doubt had stored its answer
/// after the claim, and the old token, sent again, killed that answer.
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
        let (claimed, _) = write(&mut attempt, claim, 0);
        attempt.next(Event::FallbackFound(None), at(1));
        let step = attempt.next(Event::Read(case(&claimed).map(Box::new)), at(1));
        assert_eq!(outcome(&step), Outcome::Superseded);
    }
    let (mut attempt, _) = begin(in_doubt());
    let claim = attempt.next(Event::Key(true), at(0));
    write(&mut attempt, claim, 0);
    attempt.next(Event::FallbackFound(None), at(1));
    let record = attempt.next(Event::Unreadable, at(5));
    let (row, step) = write(&mut attempt, record, 5);
    assert_eq!(outcome(&step), Outcome::FallbackUnknown);
    assert!(row.is_in_doubt());
}
