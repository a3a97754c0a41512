//! 64 callers at once, each an instance of its own, over several windows: never
//! above a limit, one write a decision, and none too few.
//!
//! Time is the driver's: it steps between rounds and once in the middle of each,
//! while calls are under way, and the callers' clocks differ.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use chrono::TimeDelta;
use futures::future::join_all;
use shared::Clock;
use shared::aws::quota::Limiter;
use shared::domain::quota::{Decision, QuotaKey};

use super::rolling::most_within;
use super::{Engine, grid, key, policies};
use crate::world::start;

const CALLERS: usize = 64;
/// Callers' clocks differ by at most twice this, in milliseconds. Together with
/// the step in the middle of a round it stays within what the guard covers.
const SKEW: i64 = 400;
const MIDDLE: i64 = 250;

/// One window of the sequential model, as the design has it.
struct Model {
    limit: u64,
    epoch: i64,
    behind: i64,
    snapshots: BTreeMap<i64, u64>,
}

impl Model {
    fn new(limit: u32, length: i64, epochs: i64, held: i64) -> Self {
        let (epoch, behind) = grid(length, epochs, held);
        Self {
            limit: limit.into(),
            epoch,
            behind,
            snapshots: BTreeMap::new(),
        }
    }

    fn allows(&self, granted: u64, at: i64) -> bool {
        let epoch = at / 1000 / self.epoch;
        self.snapshots
            .range(epoch - self.behind..=epoch + 1)
            .all(|(_, snapshot)| granted - snapshot < self.limit)
    }

    /// Returns how many attempts at these instants it grants, one after another.
    fn grants(mut windows: [Self; 2], attempts: &[i64]) -> u64 {
        let mut granted = 0;
        for at in attempts {
            if windows.iter().all(|window| window.allows(granted, *at)) {
                for window in &mut windows {
                    let epoch = at / 1000 / window.epoch;
                    window.snapshots.entry(epoch).or_insert(granted);
                }
                granted += 1;
            }
        }
        granted
    }
}

/// Returns how many of the attempts a limiter that knows everything grants.
fn perfect(limits: [(u32, i64); 2], attempts: &[i64]) -> u64 {
    let mut granted: Vec<i64> = Vec::new();
    for at in attempts {
        let room = limits.iter().all(|(limit, length)| {
            let recent = granted.iter().rev().take_while(|g| *at - **g < *length);
            recent.count() < *limit as usize
        });
        if room {
            granted.push(*at);
        }
    }
    granted.len() as u64
}

#[derive(Default)]
struct Log {
    /// When each attempt began, by its caller's clock.
    attempts: Vec<i64>,
    /// When a permit was known to be granted, by the true clock.
    admitted: Vec<i64>,
    /// Denials that an instance repeated without a call.
    repeated: u64,
}

struct Caller {
    limiter: Limiter,
    key: QuotaKey,
    clock: Clock,
    /// Until this time at least, in milliseconds of its clock, the limiter must repeat its
    /// last denial without a call.
    denied: AtomicI64,
}

impl Caller {
    async fn call(&self, truth: &Clock, log: &Mutex<Log>) {
        let asked = self.clock.precise().timestamp_millis();
        let (calls, until) = (self.limiter.calls(), self.denied.load(Ordering::SeqCst));
        let decision = self.limiter.take_permit(&self.key).await.unwrap();
        let calls = self.limiter.calls() - calls;
        let answered = self.clock.precise().timestamp_millis();
        // A refusal is repeated without a call, unless it ended meanwhile.
        assert!(
            calls == 0 || answered >= until,
            "{calls} calls before {until}"
        );
        if calls > 0 {
            let until = match decision {
                Decision::Admitted(_) => 0,
                Decision::Denied(denial) => {
                    let retry_at = i64::try_from(denial.retry_at).unwrap();
                    retry_at.min(asked / 1000 + 60) * 1000
                }
            };
            self.denied.store(until, Ordering::SeqCst);
        }
        let mut log = log.lock().unwrap();
        log.attempts.push(asked);
        log.repeated += u64::from(calls == 0);
        if let Decision::Admitted(_) = decision {
            log.admitted.push(truth.precise().timestamp_millis());
        }
    }
}

struct Scenario {
    limit: u32,
    period: u32,
    burst: u32,
    rounds: usize,
    /// Milliseconds between rounds.
    step: i64,
}

async fn run(engine: &Engine, run: &Scenario) -> [String; 9] {
    let Scenario {
        limit,
        period,
        burst,
        rounds,
        step,
    } = *run;
    let truth = Clock::frozen(start());
    let name = format!("l{limit}p{period}b{burst}");
    let client = engine.patient();
    let policies = policies(limit, period, burst);
    let callers: Vec<Arc<Caller>> = (0..CALLERS as i64)
        .map(|n| {
            let skew = TimeDelta::milliseconds(n * 2 * SKEW / (CALLERS as i64 - 1) - SKEW);
            let clock = Clock::frozen(start() + skew);
            Arc::new(Caller {
                limiter: Limiter::new(
                    client.clone(),
                    engine.table(),
                    policies.clone(),
                    clock.clone(),
                ),
                key: key(&name),
                clock,
                denied: AtomicI64::default(),
            })
        })
        .collect();
    let pass = |millis| {
        let by = TimeDelta::milliseconds(millis);
        truth.advance(by);
        callers.iter().for_each(|caller| caller.clock.advance(by));
    };
    let log = Arc::new(Mutex::new(Log::default()));
    // One caller makes the item; the race for that is a test of its own.
    let (before, read_before) = (engine.counter.requests(), engine.counter.reads());
    callers[0].call(&truth, &log).await;
    for _ in 0..rounds {
        let answered = Arc::new(AtomicUsize::new(0));
        let asking = callers.iter().map(|caller| {
            let (caller, truth, log) = (caller.clone(), truth.clone(), log.clone());
            let answered = answered.clone();
            tokio::spawn(async move {
                caller.call(&truth, &log).await;
                answered.fetch_add(1, Ordering::SeqCst);
            })
        });
        let asking: Vec<_> = asking.collect();
        while answered.load(Ordering::SeqCst) < CALLERS / 2
            && !asking.iter().all(tokio::task::JoinHandle::is_finished)
        {
            tokio::task::yield_now().await;
        }
        pass(MIDDLE);
        for asked in join_all(asking).await {
            asked.unwrap();
        }
        pass(step - MIDDLE);
    }
    let calls = engine.counter.requests() - before;
    // Nothing reached the engine that the limiters do not tell of.
    let told: u64 = callers.iter().map(|caller| caller.limiter.calls()).sum();
    assert_eq!(calls, told);
    // A decision is a write. Besides, each instance looks for the application's block, at most
    // once in 5 s.
    let reads = engine.counter.reads() - read_before;
    let looks = (truth.now() - start()).num_seconds() / 5 + 1;
    let most = u64::try_from(looks).unwrap() * CALLERS as u64;
    assert!(0 < reads && reads <= most, "{name}: {reads} of {most}");
    let calls = calls - reads;

    let mut log = Arc::into_inner(log).unwrap().into_inner().unwrap();
    log.attempts.sort_unstable();
    let decisions = log.attempts.len() as u64;
    let admitted = log.admitted.len() as u64;
    let in_period = most_within(&log.admitted, i64::from(period) * 1000);
    let in_burst = most_within(&log.admitted, 60_000);
    let model = Model::grants(
        [
            Model::new(limit, period.into(), 30, 30),
            Model::new(burst, 60, 20, 0),
        ],
        &log.attempts,
    );
    let perfect = perfect(
        [(limit, i64::from(period) * 1000), (burst, 60_000)],
        &log.attempts,
    );
    assert!(
        in_period <= limit as usize,
        "{name}: {in_period} in a period"
    );
    assert!(in_burst <= burst as usize, "{name}: {in_burst} in 60 s");
    let asked = decisions - log.repeated;
    assert!(
        calls as f64 <= 1.05 * asked as f64,
        "{name}: {calls} calls for {asked} decisions that needed one"
    );
    let share = admitted as f64 / model as f64;
    assert!(share >= 0.95, "{name}: {admitted} of the model's {model}");
    [
        format!("{limit} in {period} s, {burst} in 60 s"),
        CALLERS.to_string(),
        decisions.to_string(),
        admitted.to_string(),
        format!("{in_period} of {limit}"),
        format!("{in_burst} of {burst}"),
        format!(
            "{:.3} ({:.3})",
            calls as f64 / decisions as f64,
            calls as f64 / asked as f64
        ),
        format!("{:.1} %", share * 100.0),
        format!("{:.1} %", admitted as f64 / perfect as f64 * 100.0),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_at_once_never_exceed_a_limit_at_one_write_a_decision() {
    let engine = Engine::start().await;
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::ASCII_MARKDOWN);
    table.set_header([
        "policy",
        "callers",
        "decisions",
        "admitted",
        "most in any period",
        "most in any 60 s",
        "writes per decision (per one not repeated)",
        "of the model",
        "of perfection",
    ]);
    for of in [
        Scenario {
            limit: 60,
            period: 60,
            burst: 20,
            rounds: 500,
            step: 700,
        },
        Scenario {
            limit: 60,
            period: 60,
            burst: 60,
            rounds: 500,
            step: 700,
        },
        Scenario {
            limit: 400,
            period: 150,
            burst: 300,
            rounds: 500,
            step: 900,
        },
        Scenario {
            limit: 3_000,
            period: 60,
            burst: 2_900,
            rounds: 250,
            step: 500,
        },
    ] {
        table.add_row(run(&engine, &of).await);
    }
    println!("{table}");
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_race_for_a_new_key_get_the_burst_and_no_more() {
    let engine = Engine::start().await;
    let policies = policies(60, 60, 20);
    let client = engine.patient();
    for round in 0..5 {
        let key = key(&format!("new-{round}"));
        let before = engine.counter.requests();
        let asking = (0..CALLERS).map(|_| {
            let clock = Clock::frozen(start());
            let limiter = Limiter::new(client.clone(), engine.table(), policies.clone(), clock);
            let key = key.clone();
            tokio::spawn(async move { limiter.take_permit(&key).await.unwrap() })
        });
        let asking: Vec<_> = asking.collect();
        let decisions = join_all(asking).await;
        let admitted = decisions
            .iter()
            .filter(|decision| matches!(decision, Ok(Decision::Admitted(_))))
            .count();
        assert_eq!(admitted, 20);
        // A look at the application's block, the main form, the creation, and the main form again.
        let calls = engine.counter.requests() - before;
        assert!(calls <= 4 * CALLERS as u64, "{calls}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_denial_costs_no_call() {
    let engine = Engine::start().await;
    let limiter = Limiter::new(
        engine.patient(),
        engine.table(),
        policies(2, 600, 1),
        Clock::frozen(start()),
    );
    let key = key("denied");
    assert!(matches!(
        limiter.take_permit(&key).await.unwrap(),
        Decision::Admitted(_)
    ));
    let denied = limiter.take_permit(&key).await.unwrap();
    assert!(matches!(denied, Decision::Denied(_)));
    let before = engine.counter.requests();
    let again = (0..10 * CALLERS).map(|_| limiter.take_permit(&key));
    for decision in join_all(again).await {
        assert_eq!(decision.unwrap(), denied);
    }
    assert_eq!(engine.counter.requests(), before);
}
