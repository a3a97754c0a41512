//! 16 callers at once take permits while others set and lift blocks of the same quota: no grant
//! while it is blocked, one write a decision, and every limit kept.
//!
//! Time is the driver's: it steps between rounds, and the callers' clocks differ.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use chrono::TimeDelta;
use futures::future::join_all;
use shared::Clock;
use shared::aws::quota::{BlockOutcome, Limiter};
use shared::domain::quota::{BlockSource, Decision, DenialReason, QuotaKey};
use test_support::Random;

use super::rolling::most_within;
use super::{Engine, key, policies};
use crate::world::start;

const CALLERS: usize = 16;
const SETTERS: usize = 2;
const ROUNDS: usize = 5_000;
/// Clocks are off by at most this, in milliseconds.
const SKEW: i64 = 500;
/// Between rounds, in milliseconds.
const STEP: i64 = 900;
const LIMIT: u32 = 60;
const PERIOD: u32 = 120;
const BURST: u32 = 20;

/// What was asked for, as whoever asked knows it.
#[derive(Debug, Default)]
struct Asked {
    /// The true time, in milliseconds since the start, until which nothing may be granted.
    until: AtomicI64,
    /// The true time until which nothing may lift it.
    throttled_until: AtomicI64,
    /// How many lifts were begun and ended: odd while one is under way, which may explain a grant.
    lifts: AtomicU64,
}

/// An instance of the limiter with a clock of its own.
#[derive(Clone)]
struct Instance {
    limiter: Limiter,
    clock: Clock,
    truth: Clock,
    key: QuotaKey,
    asked: Arc<Asked>,
}

/// The outcome of a caller's attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    Admitted,
    Blocked,
    UsedUp,
    /// A denial that took no call.
    Repeated,
}

impl Instance {
    fn now(&self) -> i64 {
        (self.truth.precise() - start()).num_milliseconds()
    }

    async fn attempt(&self) -> Attempt {
        let lifts = self.asked.lifts.load(Ordering::SeqCst);
        let until = self.asked.until.load(Ordering::SeqCst);
        let calls = self.limiter.calls();
        let decision = self.limiter.take_permit(&self.key).await.unwrap();
        let is_lifted = lifts % 2 == 1 || self.asked.lifts.load(Ordering::SeqCst) != lifts;
        match decision {
            Decision::Admitted(permit) => {
                let now = self.now();
                assert!(now >= until || is_lifted, "granted at {now}: {until}");
                assert_eq!(permit.status.blocked_until, None);
                Attempt::Admitted
            }
            Decision::Denied(_) if self.limiter.calls() == calls => Attempt::Repeated,
            Decision::Denied(denial) => match denial.reason() {
                DenialReason::Blocked => Attempt::Blocked,
                DenialReason::UsedUp => Attempt::UsedUp,
            },
        }
    }

    /// Sets a block of up to two minutes.
    async fn block(&self, random: &mut Random) {
        let (source, longest) = match random.below(4) {
            0 => (BlockSource::Throttle, 10_000),
            1 => (BlockSource::usage("usage", "time"), 110_000),
            _ => (BlockSource::usage("usage", "calls"), 110_000),
        };
        let until = self.now() + random.below(longest);
        let at = start() + TimeDelta::milliseconds(until);
        let outcome = self.limiter.block(&self.key, at, source).await.unwrap();
        // Over by a clock that is ahead: nothing was asked.
        if outcome != BlockOutcome::Over {
            self.asked.until.fetch_max(until, Ordering::SeqCst);
            if source == BlockSource::Throttle {
                self.asked
                    .throttled_until
                    .fetch_max(until, Ordering::SeqCst);
            }
        }
    }

    /// Tries to lift a block; returns whether one was lifted that was not over.
    async fn unblock(&self) -> bool {
        let until = self.asked.until.load(Ordering::SeqCst);
        let source = BlockSource::usage("usage", "calls");
        self.asked.lifts.fetch_add(1, Ordering::SeqCst);
        let is_lifted = self.limiter.unblock(&self.key, &source).await.unwrap();
        let now = self.now();
        if is_lifted {
            let throttled = self.asked.throttled_until.load(Ordering::SeqCst);
            assert!(now >= throttled, "lifted at {now}: throttled {throttled}");
            self.asked.until.store(0, Ordering::SeqCst);
        }
        self.asked.lifts.fetch_add(1, Ordering::SeqCst);
        is_lifted && now < until
    }
}

fn instances(engine: &Engine, truth: &Clock) -> Vec<Instance> {
    let (client, asked) = (engine.patient(), Arc::new(Asked::default()));
    let count = (CALLERS + SETTERS) as i64;
    let instance = |n: i64| {
        // In another order than they are called.
        let skew = n * 7 % count * 2 * SKEW / (count - 1) - SKEW;
        let clock = Clock::frozen(start() + TimeDelta::milliseconds(skew));
        Instance {
            limiter: Limiter::new(
                client.clone(),
                engine.table(),
                policies(LIMIT, PERIOD, BURST),
                clock.clone(),
            ),
            clock,
            truth: truth.clone(),
            key: key("blocked"),
            asked: asked.clone(),
        }
    };
    (0..count).map(instance).collect()
}

/// One round: every caller asks once, and one setter may set or lift a block meanwhile, but
/// not both, so that what was asked is known for certain.
async fn round(
    callers: &[Instance],
    setters: &[Instance],
    random: &mut Random,
) -> (Vec<Attempt>, bool) {
    let setter = setters[random.below(SETTERS)].clone();
    let mut chance = Random::new(random.below(u64::MAX / 2));
    let setting = tokio::spawn(async move {
        match chance.below(100) {
            0..2 => {
                setter.block(&mut chance).await;
                false
            }
            2..42 => setter.unblock().await,
            _ => false,
        }
    });
    let asking = callers.iter().cloned();
    let asking = asking.map(|caller| tokio::spawn(async move { caller.attempt().await }));
    let asking: Vec<_> = asking.collect();
    let attempts = join_all(asking).await;
    let is_lifted = setting.await.unwrap();
    let attempts = attempts.into_iter().map(Result::unwrap);
    (attempts.collect(), is_lifted)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_permit_is_given_while_a_quota_is_blocked() {
    let engine = Engine::start().await;
    let before = engine.counter.requests();
    let truth = Clock::frozen(start());
    let instances = instances(&engine, &truth);
    let (callers, setters) = instances.split_at(CALLERS);
    let mut random = Random::new(7);
    let mut attempts = Vec::new();
    let mut granted = Vec::new();
    let mut lifted = 0;
    // One caller makes the item; the race for that is a test of its own.
    attempts.push(callers[0].attempt().await);
    granted.push(0);
    for _ in 0..ROUNDS {
        let (of_round, is_lifted) = round(callers, setters, &mut random).await;
        lifted += usize::from(is_lifted);
        let grants = of_round.iter().filter(|of| **of == Attempt::Admitted);
        let now = callers[0].now();
        granted.extend(grants.map(|_| now));
        attempts.extend(of_round);
        let by = TimeDelta::milliseconds(STEP);
        truth.advance(by);
        instances.iter().for_each(|one| one.clock.advance(by));
    }

    let count = |of| attempts.iter().filter(|attempt| **attempt == of).count();
    let kinds = [Attempt::Admitted, Attempt::Blocked, Attempt::UsedUp];
    let [admitted, blocked, used_up] = kinds.map(count);
    println!("{admitted} admitted, {blocked} blocked, {used_up} used up, {lifted} lifted");
    assert!(admitted > 200 && blocked > 200 && used_up > 200 && lifted > 3);
    let in_period = most_within(&granted, i64::from(PERIOD) * 1000);
    let in_burst = most_within(&granted, 60_000);
    assert!(in_period <= LIMIT as usize, "{in_period} in a period");
    assert!(in_burst <= BURST as usize, "{in_burst} in 60 s");

    // A decision is one write, and one more for the first permit. Besides, each caller looks for
    // the application's block, at most once in 5 s.
    let calls = |of: &[Instance]| of.iter().map(|one| one.limiter.calls()).sum::<u64>();
    assert_eq!(calls(&instances), engine.counter.requests() - before);
    let reads = engine.counter.reads();
    let looks = (truth.precise() - start()).num_seconds() / 5 + 1;
    assert!(reads <= u64::try_from(looks).unwrap() * CALLERS as u64);
    let decisions = (admitted + blocked + used_up) as u64;
    assert_eq!(calls(callers) - reads, decisions + 1);
}
