//! The protocol against models of store, platform and clock: from a seed,
//! instances die at every step, answers are lost, late or doubled, and people
//! act in between. Whether a grant was lost is read off the platform's model.

mod driver;
mod effect;
mod fate;
mod holds;
mod judge;
mod loss;
mod people;
mod platform;
mod properties;
mod sabotage;
mod step_kind;
mod world;

use std::sync::atomic::{AtomicBool, Ordering};

use test_support::{Moment, Section, Seeds, StepKinds, Tally};

use self::loss::LossSummary;
use self::sabotage::ProtocolRule;
use self::step_kind::StepKind;
use self::world::{EndedRun, Violation, run};

/// An ordinary test run takes this many seeds.
const RUNS: u64 = 30_000;
/// How often an instance must have died at each moment of each step in [`RUNS`] runs.
const LEAST_CRASHES: u64 = 25;

/// A seed, and what its run found.
#[derive(Debug)]
struct FailedRun {
    seed: u64,
    found: Vec<(Violation, String)>,
}

/// Runs seeds in parallel; with a broken rule, until one finds what `stop` looks for.
fn search(
    first: u64,
    runs: u64,
    broken: Option<ProtocolRule>,
    stop: impl Fn(Violation) -> bool + Sync,
) -> (Tally<StepKind>, Vec<FailedRun>) {
    let stopped = AtomicBool::new(false);
    let workers = std::thread::available_parallelism().map_or(2, |n| n.get() as u64);
    let work = |worker: u64| {
        let (mut tally, mut failed) = (Tally::new(), Vec::new());
        for seed in (first + worker..first + runs).step_by(usize::try_from(workers).unwrap()) {
            if stopped.load(Ordering::Relaxed) {
                break;
            }
            let EndedRun {
                found, tally: own, ..
            } = run(seed, broken, false);
            tally.add(own);
            tally.count(Section::Ends, "runs");
            if found.iter().any(|(violation, _)| stop(*violation)) {
                failed.push(FailedRun { seed, found });
                stopped.store(broken.is_some(), Ordering::Relaxed);
            }
        }
        (tally, failed)
    };
    std::thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..workers)
            .map(|worker| scope.spawn(move || work(worker)))
            .collect();
        let (mut tally, mut failed) = (Tally::new(), Vec::new());
        for thread in threads {
            let (own, found) = thread.join().unwrap();
            tally.add(own);
            failed.extend(found);
        }
        failed.sort_unstable_by_key(|run| run.seed);
        (tally, failed)
    })
}

/// Returns all that happens in a run, from its beginning.
fn story(seed: u64, broken: Option<ProtocolRule>) -> String {
    let EndedRun { found, story, .. } = run(seed, broken, true);
    let story = story.join("\n");
    format!("seed {seed}: {found:?}\n{story}")
}

#[test]
fn no_grant_is_lost_outside_the_exposed_window() {
    let command = "cargo test -p shared --lib simulation::no_grant -- --nocapture";
    let seeds = Seeds::from_environment("SIMULATION_RUNS", RUNS, command);
    let (tally, failed) = search(seeds.first, seeds.runs, None, |_| true);
    println!("{tally}{}", LossSummary(&tally));
    if seeds.runs == 1 {
        println!("{}", story(seeds.first, None));
    }
    if let [FailedRun { seed, .. }, ..] = failed[..] {
        panic!(
            "{} of {} runs failed. The first: {:#?}\n{}\nalone: {}",
            failed.len(),
            seeds.runs,
            &failed[..failed.len().min(10)],
            story(seed, None),
            seeds.replay(seed)
        );
    }
    for never in [loss::OUTSIDE, loss::UNLABELLED, loss::UNASKED] {
        assert_eq!(tally.of(Section::Losses, never), 0);
    }
    if seeds.runs >= RUNS {
        for kind in StepKind::ALL {
            for moment in Moment::ALL {
                let crashes = tally.crashes_at(*kind, moment);
                assert!(crashes >= LEAST_CRASHES, "{kind:?} {moment:?}: {crashes}");
            }
        }
        let labelled = tally.of(Section::Losses, loss::LABELLED);
        assert!(labelled > 0, "nothing was at stake");
    }
}

/// A simulation that would not notice proves nothing.
#[test]
fn each_broken_rule_loses_a_grant() {
    for (rule, violation) in [
        (ProtocolRule::StoreFirst, Violation::LostOutside),
        (
            ProtocolRule::ConditionOnGeneration,
            Violation::PersonOverwritten,
        ),
        (ProtocolRule::FallbackFirst, Violation::LostOutside),
        (ProtocolRule::KeyBeforeSend, Violation::LostOutside),
        (ProtocolRule::RowAgain, Violation::LostOutside),
    ] {
        // One of them matters in one run of 30,000.
        let (tally, failed) = search(1, RUNS * 10, Some(rule), |found| found == violation);
        let runs = tally.of(Section::Ends, "runs");
        let FailedRun { seed, found } = failed
            .first()
            .unwrap_or_else(|| panic!("{rule:?} broken, and nothing lost in {runs} runs"));
        println!("{rule:?} broken: {violation:?} after {runs} runs, seed {seed}: {found:?}");
    }
}

#[test]
fn a_seed_reproduces_its_run() {
    for seed in 1..20 {
        assert_eq!(story(seed, None), story(seed, None));
    }
}
