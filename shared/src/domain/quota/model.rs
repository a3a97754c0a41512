//! The algorithm against its promise: arrivals at any pace, clocks that differ,
//! writes that arrive late or twice, deletions, resets, changes of policy. No
//! interval may hold more than its limit.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::bool;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::sample::select;
use test_support::{Seeds, check_property, inputs_of};

use super::item::{Item, Span, seconds};
use super::policy::Policy;
use super::window::Window;

/// Milliseconds since the start.
type Millis = i64;

fn at(millis: Millis) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_800_000_000_000 + millis).unwrap()
}

/// Records when a grant was written, and when its permit was used.
struct Grant {
    written: Millis,
    used: Millis,
}

/// Returns the largest number of `instants` in any half-open interval of `length`.
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

/// What happens to a quota, and after which pause.
#[derive(Debug, Clone)]
struct HistoryStep {
    pause: Millis,
    event: QuotaEvent,
}

#[derive(Debug, Clone)]
enum QuotaEvent {
    /// A caller asks for a permit.
    Request {
        /// The writer's clock is off by this much.
        skew: Millis,
        /// Whether the write is retried although it had arrived.
        is_written_twice: bool,
        held: Millis,
    },
    /// DynamoDB deletes an expired item at some later time.
    Expire,
    Reset,
}

/// A policy and what happens under it.
#[derive(Debug, Clone)]
struct History {
    limit: u32,
    burst: u32,
    period: u32,
    steps: Vec<HistoryStep>,
}

fn steps(pace: Millis) -> impl Strategy<Value = Vec<HistoryStep>> {
    let held = 0..i64::from(super::PERMIT_SECONDS) * 1000;
    let request = (-1_000..=1_000_i64, bool::weighted(0.02), held);
    let request = request.prop_map(|(skew, is_written_twice, held)| QuotaEvent::Request {
        skew,
        is_written_twice,
        held,
    });
    let event = prop_oneof![
        995 => request,
        4 => Just(QuotaEvent::Expire),
        1 => Just(QuotaEvent::Reset),
    ];
    let step = (0..=pace, event).prop_map(|(pause, event)| HistoryStep { pause, event });
    vec(step, 1_500)
}

fn histories() -> impl Strategy<Value = History> {
    let policy = (2..40_u32, 1..=12_u32, 60..400_u32);
    let paced = select(&[5, 200, 2_000, 20_000_i64][..]).prop_flat_map(steps);
    (policy, paced).prop_map(|((limit, burst, period), steps)| History {
        limit,
        burst: burst.min(limit),
        period,
        steps,
    })
}

/// An ordinary test run takes this many histories.
const HISTORIES: u64 = 400;
const COMMAND: &str = "cargo test -p shared --lib quota::model";

fn seeds() -> Seeds {
    Seeds::from_environment("QUOTA_MODEL_RUNS", HISTORIES, COMMAND)
}

fn check_within(policy: &Policy, grants: &[Grant]) -> Result<(), String> {
    let most = |of: fn(&Grant) -> Millis, window: Window| {
        let length = i64::from(window.seconds) * 1000;
        most_within(grants.iter().map(of).collect(), length)
    };
    let used = most(|grant| grant.used, policy.period);
    if used > policy.period.limit as usize {
        return Err(format!("{used} used in a period of {:?}", policy.period));
    }
    let written = most(|grant| grant.written, policy.burst);
    if written > policy.burst.limit as usize {
        return Err(format!(
            "{written} granted in a burst of {:?}",
            policy.burst
        ));
    }
    Ok(())
}

/// Returns how many permits a history brings, or which limit broke. Without `guard`, the
/// windows reach back just their own length, as if clocks agreed and permits were used at once.
fn run(history: &History, guard: bool) -> Result<usize, String> {
    let mut policy = Policy::new(history.limit, history.period, history.burst).unwrap();
    if !guard {
        for window in [&mut policy.period, &mut policy.burst] {
            window.behind = window.seconds.div_ceil(window.epoch);
        }
    }
    let mut item: Option<Item> = None;
    let mut grants: Vec<Grant> = Vec::new();
    let mut now: Millis = 0;
    let mut total = 0;
    for step in &history.steps {
        now += step.pause;
        match step.event {
            QuotaEvent::Reset => {
                check_within(&policy, &grants)?;
                item = None;
                grants.clear();
            }
            QuotaEvent::Expire => {
                item.take_if(|item| item.ends_at(&policy) + 60 < seconds(at(now)));
            }
            QuotaEvent::Request {
                skew,
                is_written_twice,
                held,
            } => {
                let stored = item.get_or_insert_with(Item::empty);
                let clock = at(now + skew);
                let mut admitted = stored.admit(&policy, clock);
                if is_written_twice {
                    admitted |= stored.admit(&policy, clock);
                }
                if admitted {
                    total += 1;
                    grants.push(Grant {
                        written: now,
                        used: now + held,
                    });
                }
            }
        }
    }
    check_within(&policy, &grants)?;
    Ok(total)
}

#[test]
fn no_interval_ever_holds_more_than_its_limit() {
    let (seeds, total) = (seeds(), std::cell::Cell::new(0));
    check_property(&seeds, &histories(), |history| {
        run(&history, true).map(|granted| total.set(total.get() + granted))
    });
    let total = total.get();
    let is_whole = seeds.runs >= HISTORIES;
    assert!(total > 10_000 || !is_whole, "granted in all: {total}");
}

#[test]
fn without_the_guard_against_skew_the_limit_breaks() {
    let (seeds, histories) = (Seeds::fixed(HISTORIES, COMMAND), histories());
    let mut histories = inputs_of(&seeds, &histories);
    assert!(histories.any(|history| run(&history, false).is_err()));
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
