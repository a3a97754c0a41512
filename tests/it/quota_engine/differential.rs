//! Random operations against an oracle that knows nothing of epochs: a plain
//! log of instants, counted.
//!
//! Both directions are checked: never more than the limit in any interval, and
//! no refusal without as many grants in a stretch that is at most an epoch and
//! the guard longer than the window. And blocks: nothing is granted while one
//! runs, and it refuses a second and the difference between clocks longer at most.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use chrono::{DateTime, TimeDelta, Utc};
use shared::Clock;
use shared::aws::quota::Limiter;
use shared::domain::quota::{BlockSource, Decision, Denial, QuotaKey, QuotaStatus};
use test_support::{Random, Seeds};

use super::rolling::most_within;
use super::{Engine, grid, key, policies};
use crate::world::start;

const SEEDS: u64 = 40;
const OPERATIONS: u32 = 250;
/// Clocks are off by at most this, in milliseconds.
const MAX_SKEW_MILLIS: i64 = 1_000;
/// How long a permit may be held, in milliseconds.
const MAX_HELD_MILLIS: i64 = 30_000;

#[derive(Debug, Clone, Copy)]
struct Limits {
    limit: i64,
    period: i64,
    burst: i64,
}

impl Limits {
    fn policies(self) -> shared::domain::quota::Policies {
        let narrow = |value: i64| u32::try_from(value).unwrap();
        policies(narrow(self.limit), narrow(self.period), narrow(self.burst))
    }

    /// Returns for how many milliseconds a grant may count at most: the epochs before the
    /// current one, the current one, and the difference between clocks.
    fn counts_for(length: i64, epochs: i64, held: i64) -> i64 {
        let (epoch, behind) = grid(length, epochs, held);
        (behind + 1) * epoch * 1000 + 2 * MAX_SKEW_MILLIS
    }
}

/// One process: its own clock and memory.
struct Instance {
    clock: Clock,
    skew: i64,
    limiter: Limiter,
}

struct Comparison<'a> {
    engine: &'a Engine,
    client: Client,
    random: Random,
    key: QuotaKey,
    /// The true time, in milliseconds.
    now: i64,
    limits: Limits,
    /// Clocks are off by at most this, in milliseconds.
    skew: i64,
    instances: Vec<Instance>,
    /// When permits were granted, since the last reset.
    granted: Vec<i64>,
    /// When the instances used their permits.
    used: Vec<i64>,
    /// Before this time, a reset, a lifted block or a change of policy may explain a refusal.
    strict_until: i64,
    /// Nothing may be granted before this time.
    blocked_until: i64,
    admitted: usize,
    denied: usize,
}

fn usage() -> BlockSource {
    BlockSource::usage("x-app-usage", "call_count")
}

fn at(millis: i64) -> DateTime<Utc> {
    start() + TimeDelta::milliseconds(millis)
}

impl Comparison<'_> {
    fn instances(
        engine: &Engine,
        client: &Client,
        limits: Limits,
        skew: i64,
        random: &mut Random,
    ) -> Vec<Instance> {
        let instance = |_| {
            let skew = random.between(-skew, skew);
            let clock = Clock::frozen(at(skew));
            Instance {
                limiter: Limiter::new(
                    client.clone(),
                    engine.table(),
                    limits.policies(),
                    clock.clone(),
                ),
                clock,
                skew,
            }
        };
        (0..3).map(instance).collect()
    }

    fn set(&mut self, now: i64) {
        self.now = self.now.max(now);
        for instance in &self.instances {
            instance.clock.set(at(self.now + instance.skew));
        }
    }

    fn recent(&self, length: i64) -> i64 {
        let recent = self.granted.iter().filter(|at| self.now - **at < length);
        i64::try_from(recent.count()).unwrap()
    }

    /// Whether a refusal now is explained by what was granted.
    fn explained(&self) -> bool {
        let Limits {
            limit,
            period,
            burst,
        } = self.limits;
        // A block ends up to a second later than its whole second, and by a clock that is behind.
        self.now < self.strict_until
            || self.now < self.blocked_until + 2_000 + 2 * MAX_SKEW_MILLIS
            || self.recent(Limits::counts_for(period, 30, 30)) >= limit
            || self.recent(Limits::counts_for(60, 20, 0)) >= burst
    }

    /// Asserts that a caller may take what it is told is left without exceeding anything.
    fn assert_left(&self, status: &QuotaStatus) {
        let left = i64::from(status.remaining());
        let Limits {
            limit,
            period,
            burst,
        } = self.limits;
        let room = match self.now < self.blocked_until {
            true => 0,
            false => (limit - self.recent(period * 1000)).min(burst - self.recent(60_000)),
        };
        assert!(left <= room.max(0), "{status:?}");
    }

    async fn attempt(&mut self, by: usize) -> Option<Denial> {
        let before = self.engine.counter.requests();
        let instance = &self.instances[by];
        let decision = instance.limiter.take_permit(&self.key).await.unwrap();
        let calls = self.engine.counter.requests() - before;
        let seconds = u64::try_from(instance.clock.now().timestamp()).unwrap();
        match decision {
            Decision::Admitted(permit) => {
                assert_eq!((permit.use_by - instance.clock.now()).num_seconds(), 30);
                let until = self.blocked_until;
                assert!(self.now >= until, "granted at {}: {until}", self.now);
                self.granted.push(self.now);
                let held = self.random.below(MAX_HELD_MILLIS);
                self.used.push(self.now + held);
                // Every interval ends somewhere: with the newest grant, this time.
                let Limits {
                    limit,
                    period,
                    burst,
                } = self.limits;
                let (in_period, in_burst) = (self.recent(period * 1000), self.recent(60_000));
                assert!(in_period <= limit, "{in_period} in {:?}", self.limits);
                assert!(in_burst <= burst, "{in_burst} in 60 s: {:?}", self.limits);
                self.assert_left(&permit.status);
                self.admitted += 1;
                None
            }
            Decision::Denied(denial) => {
                assert!(denial.retry_at > seconds, "{denial:?} at {seconds}");
                assert!(self.explained(), "refused without a reason: {denial:?}");
                if calls > 0 {
                    assert_eq!(denial.status.remaining(), 0, "{denial:?}");
                    let shown = denial.shown();
                    assert_eq!(
                        (shown.remaining, shown.reset),
                        (0, denial.retry_at),
                        "{denial:?}"
                    );
                }
                self.denied += 1;
                (calls > 0).then_some(denial)
            }
        }
    }

    /// Asserts that a refusal is repeated without a call, and that its `retry_at` comes true.
    async fn wait_out(&mut self, by: usize, denial: Denial) {
        let before = self.engine.counter.requests();
        let instance = &self.instances[by];
        let again = instance.limiter.take_permit(&self.key).await.unwrap();
        assert_eq!(again, Decision::Denied(denial));
        assert_eq!(self.engine.counter.requests(), before, "asked again");
        let told = i64::try_from(denial.retry_at).unwrap() * 1000 - start().timestamp_millis();
        let skew = self.instances[by].skew;
        if self.now < told - 1000 - skew {
            self.set(told - 1000 - skew);
            assert!(
                matches!(
                    self.instances[by]
                        .limiter
                        .take_permit(&self.key)
                        .await
                        .unwrap(),
                    Decision::Denied(_)
                ),
                "granted before it was told"
            );
        }
        self.set(told - skew);
        assert!(self.attempt(by).await.is_none(), "told {denial:?}");
    }

    fn assert_used_within(&self) {
        let used = most_within(&self.used, self.limits.period * 1000);
        assert!(
            used as i64 <= self.limits.limit,
            "{used} used in {:?}",
            self.limits
        );
    }

    /// Deploys another policy. What was granted before counts on.
    async fn change_policy(&mut self) {
        self.assert_used_within();
        self.used.clear();
        let period = self.limits.period;
        self.limits = some_limits(&mut self.random);
        self.limits.period = self.random.between(60, period);
        self.instances = Comparison::instances(
            self.engine,
            &self.client,
            self.limits,
            self.skew,
            &mut self.random,
        );
        self.set(self.now);
        // It rewrites the item, stricter than it need be for as long as a grant counts.
        self.strict_until = i64::MAX;
        self.attempt(0).await;
        self.strict_until = self.now + Limits::counts_for(self.limits.period, 30, 30);
    }

    /// Sets a block of a throttle or of usage.
    async fn block(&mut self, by: usize) {
        let source = match self.random.below(3) {
            0 => BlockSource::Throttle,
            _ => usage(),
        };
        let until = self.now + self.random.below(150_000);
        let blocking = self.instances[by]
            .limiter
            .block(&self.key, at(until), source);
        if blocking.await.unwrap().block().is_some() {
            self.blocked_until = self.blocked_until.max(until);
        }
    }

    async fn unblock(&mut self, by: usize) {
        let usage = usage();
        let lifting = self.instances[by].limiter.unblock(&self.key, &usage);
        if lifting.await.unwrap() {
            self.blocked_until = 0;
            self.others_remember();
        }
    }

    /// Others repeat their refusals for a minute.
    fn others_remember(&mut self) {
        let until = self.now + 60_000 + 2 * MAX_SKEW_MILLIS;
        self.strict_until = self.strict_until.max(until);
    }

    async fn item(&self) -> Option<HashMap<String, AttributeValue>> {
        let get = self.client.get_item().table_name(self.engine.table());
        let key = AttributeValue::S(self.key.to_string());
        let get = get.key("quota_key", key).consistent_read(true);
        get.send().await.unwrap().item
    }

    /// Deletes the item if it has expired, as DynamoDB does some time or other.
    async fn expire(&self) {
        let ttl = self.item().await.and_then(|item| {
            let ttl = item.get("ttl")?.as_n().ok()?.parse::<i64>().ok()?;
            Some(ttl * 1000)
        });
        if ttl.is_some_and(|ttl| ttl < at(self.now).timestamp_millis()) {
            let delete = self.client.delete_item().table_name(self.engine.table());
            let key = AttributeValue::S(self.key.to_string());
            delete.key("quota_key", key).send().await.unwrap();
        }
    }

    async fn operate(&mut self, pace: i64) {
        let pause = self.random.below(pace + 1);
        self.set(self.now + pause);
        let by = self.random.below(3_usize);
        match self.random.below(1_000) {
            0..4 => {
                self.assert_used_within();
                self.instances[by].limiter.reset(&self.key).await.unwrap();
                (self.granted, self.used) = (Vec::new(), Vec::new());
                self.blocked_until = 0;
                self.others_remember();
            }
            4..30 => self.expire().await,
            30..80 => {
                let limiter = &self.instances[by].limiter;
                let status = limiter.status(&self.key).await.unwrap();
                self.assert_left(&status);
            }
            80..84 => self.change_policy().await,
            84..94 => {
                let period = self.limits.period * 1000;
                self.set(self.now + period);
            }
            94..98 => self.block(by).await,
            98..130 => self.unblock(by).await,
            roll => {
                let denied = self.attempt(by).await;
                if let Some(denial) = denied.filter(|_| roll < 300)
                    && self.now >= self.strict_until
                {
                    self.wait_out(by, denial).await;
                }
            }
        }
    }
}

fn some_limits(random: &mut Random) -> Limits {
    let limit = random.between(1, 40);
    Limits {
        limit,
        period: random.between(60, 400),
        burst: random.between(1, limit.min(15)),
    }
}

async fn run(engine: &Engine, seed: u64) -> (usize, usize) {
    let mut random = Random::new(seed);
    let limits = some_limits(&mut random);
    let client = engine.patient();
    let skew = if seed.is_multiple_of(3) {
        0
    } else {
        MAX_SKEW_MILLIS
    };
    let pace = [5, 400, 3_000, 20_000][random.below(4_usize)];
    let mut world = Comparison {
        engine,
        instances: Comparison::instances(engine, &client, limits, skew, &mut random),
        client,
        random,
        key: key(&format!("seed-{seed}")),
        now: 0,
        limits,
        skew,
        granted: Vec::new(),
        used: Vec::new(),
        strict_until: 0,
        blocked_until: 0,
        admitted: 0,
        denied: 0,
    };
    world.set(0);
    for _ in 0..OPERATIONS {
        world.operate(pace).await;
    }
    world.assert_used_within();
    (world.admitted, world.denied)
}

#[tokio::test]
async fn it_agrees_with_a_plain_log_of_what_it_granted() {
    let engine = Engine::start().await;
    let command = "cargo test --workspace --test it differential -- --nocapture";
    let seeds = Seeds::from_environment("QUOTA_ENGINE_RUNS", SEEDS, command);
    let (mut admitted, mut denied) = (0, 0);
    for seed in seeds.all() {
        // Shown when it fails.
        println!("alone: {}", seeds.replay(seed));
        let (a, d) = run(&engine, seed).await;
        admitted += a;
        denied += d;
    }
    println!("{admitted} admitted, {denied} denied");
    let is_whole = seeds.runs >= SEEDS;
    assert!(admitted > 1_000 && denied > 1_000 || !is_whole);
}

#[tokio::test]
async fn what_is_left_is_told_right_although_clocks_differ() {
    let engine = Engine::start().await;
    let limiter = |skew| {
        let clock = Clock::frozen(at(skew));
        Limiter::new(
            engine.patient(),
            engine.table(),
            policies(10, 60, 10),
            clock,
        )
    };
    // One clock is in the next epoch of both windows already.
    let (ahead, behind) = (limiter(0), limiter(-MAX_SKEW_MILLIS));
    let key = key("skewed");
    ahead.take_permit(&key).await.unwrap();
    let Decision::Admitted(permit) = behind.take_permit(&key).await.unwrap() else {
        panic!("denied");
    };
    assert_eq!(permit.status.remaining(), 8);
}
