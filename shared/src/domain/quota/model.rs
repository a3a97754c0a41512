//! The algorithm against its promise, by simulation: random arrivals, clocks
//! that differ, writes that arrive late or twice, deletions, resets, changes of
//! policy. No interval may hold more than its limit.

use chrono::{DateTime, TimeDelta, Utc};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::item::{Item, Span, seconds};
use super::policy::Policy;
use super::window::Window;

/// Milliseconds since the start.
type Millis = i64;

fn at(millis: Millis) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_800_000_000_000 + millis).unwrap()
}

/// What happened: when a grant was written, and when its permit was used.
struct Grant {
    written: Millis,
    used: Millis,
}

/// The largest number of `instants` in any half-open interval of `length`.
fn most_within(mut instants: Vec<Millis>, length: Millis) -> usize {
    instants.sort_unstable();
    let mut first = 0;
    (0..instants.len())
        .map(|last| {
            while instants[last] - instants[first] >= length {
                first += 1;
            }
            last - first + 1
        })
        .max()
        .unwrap_or(0)
}

fn assert_within(policy: &Policy, grants: &[Grant], seed: u64) -> Result<(), String> {
    let length = |window: Window| i64::from(window.seconds) * 1000;
    let used = most_within(
        grants.iter().map(|grant| grant.used).collect(),
        length(policy.period),
    );
    let written = most_within(
        grants.iter().map(|grant| grant.written).collect(),
        length(policy.burst),
    );
    if used > policy.period.limit as usize {
        return Err(format!(
            "seed {seed}: {used} used in a period of {:?}",
            policy.period
        ));
    }
    if written > policy.burst.limit as usize {
        return Err(format!(
            "seed {seed}: {written} granted in a burst of {:?}",
            policy.burst
        ));
    }
    Ok(())
}

/// One run. `guard` keeps the windows as they are; without it they reach back
/// just their own length, as if clocks agreed and permits were used at once.
fn run(seed: u64, guard: bool) -> Result<usize, String> {
    let mut rng = StdRng::seed_from_u64(seed);
    let limit = rng.random_range(2..40);
    let burst = rng.random_range(1..=limit.min(12));
    let mut policy = Policy::new(limit, rng.random_range(60..400), burst).unwrap();
    if !guard {
        for window in [&mut policy.period, &mut policy.burst] {
            window.behind = window.seconds.div_ceil(window.epoch);
        }
    }
    let mut item: Option<Item> = None;
    let mut grants: Vec<Grant> = Vec::new();
    let mut now: Millis = 0;
    let pace = [5, 200, 2_000, 20_000][rng.random_range(0..4)];
    let mut total = 0;
    for _ in 0..1_500 {
        now += rng.random_range(0..=pace);
        // The clock that the writer read, when it sent: off by at most the bound.
        let clock = at(now + rng.random_range(-1_000..=1_000));
        match rng.random_range(0..1_000) {
            0 => {
                // A reset begins a new count.
                assert_within(&policy, &grants, seed)?;
                item = None;
                grants.clear();
                continue;
            }
            1..5 => {
                // DynamoDB deletes what has expired, some time or other.
                if item
                    .as_ref()
                    .is_some_and(|item| item.ends_at(&policy) + 60 < seconds(at(now)))
                {
                    item = None;
                }
                continue;
            }
            _ => {}
        }
        // A write that is retried although it had arrived.
        let writes = if rng.random_range(0..50) == 0 { 2 } else { 1 };
        let stored = item.get_or_insert_with(Item::empty);
        let mut admitted = false;
        for _ in 0..writes {
            admitted |= stored.grant(&policy, clock);
        }
        if admitted {
            total += 1;
            let held = rng.random_range(0..i64::from(super::PERMIT_SECONDS) * 1000);
            grants.push(Grant {
                written: now,
                used: now + held,
            });
        }
    }
    assert_within(&policy, &grants, seed)?;
    Ok(total)
}

#[test]
fn no_interval_ever_holds_more_than_its_limit() {
    let total: usize = (0..400).map(|seed| run(seed, true).unwrap()).sum();
    assert!(total > 10_000, "something must have been granted: {total}");
}

#[test]
fn without_the_guard_against_skew_the_limit_breaks() {
    assert!((0..400).any(|seed| run(seed, false).is_err()));
}

#[test]
fn a_changed_policy_counts_what_was_granted_before() {
    for seed in 0..300 {
        let mut rng = StdRng::seed_from_u64(seed);
        let length = rng.random_range(60..400);
        let old = Policy::new(rng.random_range(5..60), length, 5).unwrap();
        let new = Policy::new(
            rng.random_range(5..60),
            rng.random_range(60..=length),
            rng.random_range(1..=5),
        )
        .unwrap();
        let mut item = Item::empty();
        let (mut now, mut written): (Millis, Vec<Millis>) = (0, Vec::new());
        let mut granted = |item: &mut Item, policy: &Policy, now: Millis| {
            let passed = item.grant(policy, at(now));
            if passed {
                written.push(now);
            }
            passed
        };
        for _ in 0..200 {
            now += rng.random_range(0..6_000);
            granted(&mut item, &old, now);
        }
        let windows = Span::BOTH.map(|span| (span, span.window(&old)));
        let mut item = item.regridded(&new, &windows, at(now));
        let mut later = Vec::new();
        for _ in 0..200 {
            now += rng.random_range(0..6_000);
            if granted(&mut item, &new, now) {
                later.push(now);
            }
        }
        assert!(!later.is_empty(), "seed {seed}: it must not stay closed");
        for span in Span::BOTH {
            let Window { limit, seconds, .. } = span.window(&new);
            let length = i64::from(seconds) * 1000;
            for last in &later {
                let within = written
                    .iter()
                    .filter(|at| (last - length + 1..=*last).contains(*at))
                    .count();
                assert!(
                    within <= limit as usize,
                    "seed {seed}: {within} of {limit} in {seconds} s"
                );
            }
        }
    }
}

#[test]
fn it_does_not_grow_and_frees_up_in_time() {
    let policy = Policy::new(20, 120, 20).unwrap();
    let mut item = Item::empty();
    let mut now = 0;
    while item.grant(&policy, at(now)) {
        now += 100;
    }
    let status = item.status(Span::Period, &policy, at(now));
    assert_eq!(status.remaining, 0);
    let free = i64::try_from(status.reset).unwrap();
    // At the reset, and not a second before, one is free.
    let reset = DateTime::from_timestamp(free, 0).unwrap();
    assert!(!item.clone().grant(&policy, reset - TimeDelta::seconds(1)));
    assert!(item.grant(&policy, reset));
    // At most an epoch and the guard late.
    let window = policy.period;
    assert!(free - seconds(at(0)) as i64 <= i64::from((window.behind + 1) * window.epoch));
    // Used at whatever pace, it holds little more than its ranges.
    for pace in [1, 7, 30, 100] {
        for step in 0..2_000 {
            let now = reset + TimeDelta::seconds(step * pace);
            item.grant(&policy, now);
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
