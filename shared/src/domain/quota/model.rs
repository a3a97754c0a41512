//! The algorithm against its promise: arrivals at any pace, clocks that differ,
//! writes that arrive late or twice, deletions, resets, changes of policy, blocks.
//! No interval may hold more than its limit, and nothing is granted while blocked.

mod history;

use std::cell::Cell;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy};
use test_support::{Seeds, check_property, inputs_of};

use super::item::{Item, Span};
use super::policy::Policy;
use super::window::Window;
use super::window::seconds;
use history::{GUARDED, Guards, histories, run};

/// Milliseconds since the start.
type Millis = i64;

fn at(millis: Millis) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_800_000_000_000 + millis).unwrap()
}

/// An ordinary test run takes this many histories.
const HISTORIES: u64 = 400;
const COMMAND: &str = "cargo test -p shared --lib quota::model";

fn seeds() -> Seeds {
    Seeds::from_environment("QUOTA_MODEL_RUNS", HISTORIES, COMMAND)
}

#[test]
fn no_interval_ever_holds_more_than_its_limit_and_no_block_a_grant() {
    let (seeds, total) = (seeds(), Cell::new((0, 0)));
    check_property(&seeds, &histories(), |history| {
        let (granted, lifted) = run(&history, GUARDED)?;
        let (all_granted, all_lifted) = total.get();
        total.set((all_granted + granted, all_lifted + lifted));
        Ok(())
    });
    let (granted, lifted) = total.get();
    let is_whole = seeds.runs >= HISTORIES;
    assert!(granted > 10_000 || !is_whole, "granted in all: {granted}");
    assert!(lifted > 50 || !is_whole, "lifted in all: {lifted}");
}

fn first_failure(guards: Guards) -> Option<String> {
    let (seeds, histories) = (Seeds::fixed(HISTORIES, COMMAND), histories());
    inputs_of(&seeds, &histories).find_map(|history| run(&history, guards).err())
}

#[test]
fn without_the_guard_against_skew_the_limit_breaks() {
    let broken = first_failure(Guards {
        against_skew: false,
        ..GUARDED
    });
    let broken = broken.unwrap();
    assert!(broken.contains("in a"), "{broken}");
}

#[test]
fn without_a_look_at_the_block_calls_pass_it() {
    let broken = first_failure(Guards {
        by_block: false,
        ..GUARDED
    });
    let broken = broken.unwrap();
    assert!(broken.contains("although blocked"), "{broken}");
}

/// Two policies, and the pauses between requests under each.
#[derive(Debug, Clone)]
struct PolicyChange {
    old: (u32, u32),
    new: (u32, u32, u32),
    before: Vec<Millis>,
    after: Vec<Millis>,
}

fn policy_changes() -> impl Strategy<Value = PolicyChange> {
    let lengths = (60..400_u32).prop_flat_map(|length| (Just(length), 60..=length));
    let pauses = || vec(0..6_000_i64, 200);
    let limits = (5..60_u32, 5..60_u32, 1..=5_u32);
    (lengths, limits, pauses(), pauses()).prop_map(
        |((length, new_length), (old, new, burst), before, after)| PolicyChange {
            old: (old, length),
            new: (new, new_length, burst),
            before,
            after,
        },
    )
}

#[test]
fn a_changed_policy_counts_what_was_granted_before() {
    check_property(&seeds(), &policy_changes(), |change| {
        let old = Policy::new(change.old.0, change.old.1, 5).unwrap();
        let new = Policy::new(change.new.0, change.new.1, change.new.2).unwrap();
        let mut item = Item::empty();
        let (mut now, mut written, mut later): (Millis, Vec<Millis>, Vec<Millis>) =
            (0, Vec::new(), Vec::new());
        for pause in change.before {
            now += pause;
            if item.admit(&old, at(now)) {
                written.push(now);
            }
        }
        let windows = Span::BOTH.map(|span| (span, span.window(&old)));
        let mut item = item.regridded(&new, &windows, at(now));
        for pause in change.after {
            now += pause;
            if item.admit(&new, at(now)) {
                written.push(now);
                later.push(now);
            }
        }
        if later.is_empty() {
            return Err("it stays closed".to_owned());
        }
        for span in Span::BOTH {
            let Window { limit, seconds, .. } = span.window(&new);
            let length = i64::from(seconds) * 1000;
            for last in &later {
                let interval = last - length + 1..=*last;
                let within = written.iter().filter(|at| interval.contains(at)).count();
                if within > limit as usize {
                    return Err(format!("{within} of {limit} in {seconds} s"));
                }
            }
        }
        Ok(())
    });
}

#[test]
fn it_does_not_grow_and_frees_up_in_time() {
    let policy = Policy::new(20, 120, 20).unwrap();
    let mut item = Item::empty();
    let mut now = 0;
    while item.admit(&policy, at(now)) {
        now += 100;
    }
    let status = item.status(Span::Period, &policy, at(now));
    assert_eq!(status.remaining, 0);
    let free = i64::try_from(status.reset).unwrap();
    // At the reset, and not a second before, one is free.
    let reset = DateTime::from_timestamp(free, 0).unwrap();
    assert!(!item.clone().admit(&policy, reset - TimeDelta::seconds(1)));
    assert!(item.admit(&policy, reset));
    // At most an epoch and the guard late.
    let window = policy.period;
    assert!(free - seconds(at(0)) as i64 <= i64::from((window.behind + 1) * window.epoch));
    // Used at whatever pace, it holds little more than its ranges.
    for pace in [1, 7, 30, 100] {
        for step in 0..2_000 {
            let now = reset + TimeDelta::seconds(step * pace);
            item.admit(&policy, now);
            // As the limiter does with what it sees.
            let stale = item.stale(&policy, now);
            if stale.len() > 4 {
                item.snapshots.retain(|epoch, _| !stale.contains(epoch));
            }
            let ranges: u32 = policy
                .windows()
                .iter()
                .map(|w| w.behind + w.ahead + 1)
                .sum();
            assert!(
                item.snapshots.len() <= ranges as usize + 4,
                "{}",
                item.snapshots.len()
            );
        }
    }
}
