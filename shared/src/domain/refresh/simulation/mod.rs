//! The protocol against models of store, platform and clock: from a seed,
//! instances die at every step, answers are lost, late or doubled, and people
//! act in between. Whether a grant was lost is read off the platform's model.

mod driver;
mod effect;
mod holds;
mod judge;
mod people;
mod platform;
mod properties;
mod random;
mod tally;
mod world;

use std::sync::atomic::{AtomicBool, Ordering};

use super::attempt::Rule;
use tally::{CutKind, Moment, Tally, Topic, loss};
use world::{Ended, Fault, run};

/// What an ordinary test run takes.
const RUNS: u64 = 30_000;
/// How often each step must have been cut at each moment in as many runs.
const LEAST_CUTS: u64 = 25;

#[expect(
    clippy::disallowed_methods,
    reason = "whoever runs a test by hand sets its seed"
)]
fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

/// A seed and what its run found.
type Failure = (u64, Vec<(Fault, String)>);

/// Runs seeds in parallel until one finds what `stop` is looking for.
fn search(
    first: u64,
    runs: u64,
    broken: Option<Rule>,
    stop: fn(Fault) -> bool,
) -> (Tally, Vec<Failure>) {
    let stopped = AtomicBool::new(false);
    let workers = std::thread::available_parallelism().map_or(2, |n| n.get() as u64);
    let work = |worker: u64| {
        let (mut tally, mut found) = (Tally::default(), Vec::new());
        for seed in (first + worker..first + runs).step_by(usize::try_from(workers).unwrap()) {
            if stopped.load(Ordering::Relaxed) {
                break;
            }
            let ended = run(seed, broken, false);
            tally.add(&ended.tally);
            tally.count(Topic::Ends, "runs");
            if ended.found.iter().any(|(fault, _)| stop(*fault)) {
                found.push((seed, ended.found));
                stopped.store(broken.is_some(), Ordering::Relaxed);
            }
        }
        (tally, found)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers)
            .map(|worker| scope.spawn(move || work(worker)))
            .collect();
        let (mut tally, mut found) = (Tally::default(), Vec::new());
        for thread in threads {
            let (of, seeds) = thread.join().unwrap();
            tally.add(&of);
            found.extend(seeds);
        }
        found.sort_unstable_by_key(|(seed, _)| *seed);
        (tally, found)
    })
}

/// A run told from its beginning.
fn story(seed: u64, broken: Option<Rule>) -> String {
    let Ended { found, story, .. } = run(seed, broken, true);
    let story = story.join("\n");
    format!("seed {seed}: {found:?}\n{story}")
}

#[test]
fn no_grant_is_lost_outside_the_exposed_window() {
    let seed = setting("SIMULATION_SEED");
    let runs = setting("SIMULATION_RUNS").unwrap_or(RUNS);
    let (tally, found) = search(seed.unwrap_or(1), runs, None, |_| true);
    println!("{tally}");
    if let (Some(seed), 1) = (seed, runs) {
        println!("{}", story(seed, None));
    }
    if let [(seed, _), ..] = found[..] {
        panic!(
            "{} of {runs} runs failed. Alone: SIMULATION_SEED={seed} SIMULATION_RUNS=1 \
             cargo test --workspace --lib simulation -- --nocapture\nThe first: {:#?}\n{}",
            found.len(),
            &found[..found.len().min(10)],
            story(seed, None)
        );
    }
    for never in [loss::OUTSIDE, loss::UNLABELLED, loss::UNASKED] {
        assert_eq!(tally.of(Topic::Losses, never), 0);
    }
    if runs >= RUNS {
        for kind in CutKind::ALL {
            for moment in Moment::ALL {
                let cuts = tally.cuts.get(&(kind, moment)).copied();
                assert!(cuts >= Some(LEAST_CUTS), "{kind:?} {moment:?}: {cuts:?}");
            }
        }
        let labelled = tally.of(Topic::Losses, loss::LABELLED);
        assert!(labelled > 0, "nothing was at stake");
    }
}

/// A simulation that would not notice proves nothing.
#[test]
fn each_broken_rule_loses_a_grant() {
    for (rule, fault) in [
        (Rule::StoreFirst, Fault::LostOutside),
        (Rule::ConditionOnGeneration, Fault::PersonOverwritten),
        (Rule::FallbackFirst, Fault::LostOutside),
        (Rule::KeyBeforeSend, Fault::LostOutside),
        (Rule::RowAgain, Fault::LostOutside),
    ] {
        let stop: fn(Fault) -> bool = match fault {
            Fault::PersonOverwritten => |fault| fault == Fault::PersonOverwritten,
            _ => |fault| fault == Fault::LostOutside,
        };
        // One of them matters in one run of 30,000.
        let (tally, found) = search(1, RUNS * 10, Some(rule), stop);
        let runs = tally.of(Topic::Ends, "runs");
        let (seed, first) = found
            .first()
            .unwrap_or_else(|| panic!("{rule:?} broken, and nothing lost in {runs} runs"));
        println!("{rule:?} broken: {fault:?} after {runs} runs, seed {seed}: {first:?}");
    }
}

#[test]
fn a_seed_reproduces_its_run() {
    for seed in 1..20 {
        assert_eq!(story(seed, None), story(seed, None));
    }
}
