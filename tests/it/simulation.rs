//! The real function against the real SDK and an embedded engine, through a
//! proxy that fails from a seed: processes die in the middle of requests,
//! answers are lost, late or wrong, people act in between. Whether a grant was
//! lost is read off the simulated platform and the proxy's log.

mod answer;
mod evidence;
mod judge;
mod lab;
mod people;
mod plan;
mod proxy;
mod proxy_state;
mod request;
mod run;
mod window;

use futures::future::join_all;
use judge::{INSIDE, OUTSIDE, UNASKED, UNLABELLED};
use lab::Lab;
use request::RequestKind;
use run::{EndedRun, run};
use test_support::{Section, Seeds, Tally};

/// The number of seeds in an ordinary test run.
const RUNS: u64 = 200;
/// Runs at once, each on a stack of its own.
const PARALLEL_RUNS: u64 = 3;

/// A seed whose run found something, and its story.
struct Failure {
    seed: u64,
    found: Vec<String>,
    story: Vec<String>,
}

async fn runs(first: u64, runs: u64, lying: bool) -> (Tally<RequestKind>, Vec<Failure>) {
    let workers = (0..PARALLEL_RUNS.min(runs)).map(|worker| async move {
        let mut lab = Lab::new().await;
        let (mut tally, mut failures) = (Tally::new(), Vec::new());
        for seed in (first + worker..first + runs).step_by(PARALLEL_RUNS as usize) {
            let EndedRun {
                tally: of_run,
                found,
                story,
            } = run(&mut lab, seed, lying).await;
            tally.add(of_run);
            if !found.is_empty() {
                failures.push(Failure { seed, found, story });
            }
        }
        (tally, failures)
    });
    let workers: Vec<_> = workers.map(tokio::spawn).collect();
    let (mut tally, mut failures) = (Tally::new(), Vec::new());
    for ended in join_all(workers).await {
        let (of_worker, found) = ended.unwrap();
        tally.add(of_worker);
        failures.extend(found);
    }
    failures.sort_unstable_by_key(|failure| failure.seed);
    (tally, failures)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_grant_is_lost_outside_the_exposed_window() {
    let command = "cargo test --workspace --test it simulation::no_grant -- --nocapture";
    let seeds = Seeds::from_environment("SIMULATION_LAYER2_RUNS", RUNS, command);
    let (tally, failures) = runs(seeds.first, seeds.runs, false).await;
    println!("{tally}");
    for failure in failures.iter().take(10) {
        println!("seed {}: {:#?}", failure.seed, failure.found);
    }
    if let Some(Failure { seed, story, .. }) = failures.first() {
        panic!(
            "{} of {} runs failed. The first:\n{}\nalone: {}",
            failures.len(),
            seeds.runs,
            story.join("\n"),
            seeds.replay(*seed),
        );
    }
    assert_eq!(tally.of(Section::Losses, OUTSIDE), 0);
    assert_eq!(tally.of(Section::Losses, UNLABELLED), 0);
    assert_eq!(tally.of(Section::Losses, UNASKED), 0);
    if seeds.runs >= RUNS {
        assert!(
            tally.of(Section::Losses, INSIDE) > 0,
            "nothing was at stake"
        );
        assert!(tally.crashes() >= RUNS / 2, "hardly anything died");
    }
}

/// A simulation that would not notice proves nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_that_forgets_what_it_took_is_noticed() {
    let (tally, failures) = runs(1, 1, true).await;
    assert!(tally.of(Section::Losses, OUTSIDE) > 0, "{tally}");
    assert!(!failures.is_empty());
}
