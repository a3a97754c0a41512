//! What happens to one quota, and the proof that its item stands it.

use proptest::bool;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_oneof};
use proptest::sample::select;

use super::super::PERMIT_SECONDS;
use super::super::block::{Block, BlockSource};
use super::super::item::Item;
use super::super::policy::Policy;
use super::super::window::Window;
use super::super::window::seconds;
use super::{Millis, at};

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

#[derive(Debug, Clone, Copy)]
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
    /// The platform asks to wait for so long.
    Block {
        skew: Millis,
        length: Millis,
        source: BlockSource,
    },
    /// A report of this source says that there is room again.
    Unblock {
        skew: Millis,
        source: BlockSource,
    },
}

/// A policy and what happens under it.
#[derive(Debug, Clone)]
pub(super) struct History {
    limit: u32,
    burst: u32,
    period: u32,
    steps: Vec<HistoryStep>,
}

/// Entries of a report of usage; the first stands for a throttle.
const SOURCES: [&str; 3] = ["", "calls", "time"];

fn source(entry: &str) -> BlockSource {
    match entry {
        "" => BlockSource::Throttle,
        entry => BlockSource::usage("x-app-usage", entry),
    }
}

fn steps(pace: Millis) -> impl Strategy<Value = Vec<HistoryStep>> {
    let held = 0..i64::from(PERMIT_SECONDS) * 1000;
    let request = (-1_000..=1_000_i64, bool::weighted(0.02), held);
    let request = request.prop_map(|(skew, is_written_twice, held)| QuotaEvent::Request {
        skew,
        is_written_twice,
        held,
    });
    let sources = || select(SOURCES.map(source).to_vec());
    let block = (-1_000..=1_000_i64, 0..300_000_i64, sources());
    let block = block.prop_map(|(skew, length, source)| QuotaEvent::Block {
        skew,
        length,
        source,
    });
    let unblock = (-1_000..=1_000_i64, sources());
    let unblock = unblock.prop_map(|(skew, source)| QuotaEvent::Unblock { skew, source });
    let event = prop_oneof![
        965 => request,
        4 => Just(QuotaEvent::Expire),
        1 => Just(QuotaEvent::Reset),
        5 => block,
        25 => unblock,
    ];
    let step = (0..=pace, event).prop_map(|(pause, event)| HistoryStep { pause, event });
    vec(step, 1_500)
}

pub(super) fn histories() -> impl Strategy<Value = History> {
    let policy = (2..40_u32, 1..=12_u32, 60..400_u32);
    let paced = select(&[5, 200, 2_000, 20_000_i64][..]).prop_flat_map(steps);
    (policy, paced).prop_map(|((limit, burst, period), steps)| History {
        limit,
        burst: burst.min(limit),
        period,
        steps,
    })
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

/// What guards a history; a sabotaged one lacks a guard.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guards {
    /// Else the windows reach back just their own length, as if clocks agreed and permits were
    /// used at once.
    pub(super) against_skew: bool,
    /// Else a grant does not look at the block.
    pub(super) by_block: bool,
}

pub(super) const GUARDED: Guards = Guards {
    against_skew: true,
    by_block: true,
};

/// What was asked for, by true time, and knows nothing of items.
#[derive(Debug, Default)]
struct Asked {
    throttled_until: Millis,
    reported_until: Millis,
    /// When a block was asked for last.
    at: Option<Millis>,
}

impl Asked {
    fn check_grant(&self, now: Millis) -> Result<(), String> {
        let until = self.throttled_until.max(self.reported_until);
        match now < until {
            true => Err(format!("granted at {now} although blocked until {until}")),
            false => Ok(()),
        }
    }

    fn lift(&mut self, now: Millis) -> Result<(), String> {
        // A call that was admitted before the block has 55 s.
        let is_late = self.at.is_none_or(|at| now - at < 55_000);
        if now < self.throttled_until || is_late {
            return Err(format!("lifted at {now}: {self:?}"));
        }
        self.reported_until = 0;
        Ok(())
    }
}

/// Plays a history.
struct Play {
    policy: Policy,
    guards: Guards,
    item: Option<Item>,
    asked: Asked,
    grants: Vec<Grant>,
    granted: usize,
    lifted: usize,
}

impl Play {
    fn new(history: &History, guards: Guards) -> Self {
        let mut policy = Policy::new(history.limit, history.period, history.burst).unwrap();
        if !guards.against_skew {
            for window in [&mut policy.period, &mut policy.burst] {
                window.behind = window.seconds.div_ceil(window.epoch);
            }
        }
        Self {
            policy,
            guards,
            item: None,
            asked: Asked::default(),
            grants: Vec::new(),
            granted: 0,
            lifted: 0,
        }
    }

    fn on(&mut self, event: QuotaEvent, now: Millis) -> Result<(), String> {
        match event {
            QuotaEvent::Reset => {
                check_within(&self.policy, &self.grants)?;
                (self.item, self.asked) = (None, Asked::default());
                self.grants.clear();
            }
            QuotaEvent::Expire => {
                let policy = &self.policy;
                self.item
                    .take_if(|item| item.ends_at(policy) + 60 < seconds(at(now)));
            }
            QuotaEvent::Block {
                skew,
                length,
                source,
            } => self.block(now, skew, length, source),
            QuotaEvent::Unblock { skew, source } => self.unblock(source, now, skew)?,
            QuotaEvent::Request {
                skew,
                is_written_twice,
                held,
            } => self.request(now, skew, is_written_twice, held)?,
        }
        Ok(())
    }

    fn block(&mut self, now: Millis, skew: Millis, length: Millis, source: BlockSource) {
        let Some(block) = Block::new(at(now + length), source, at(now + skew)) else {
            return;
        };
        let stored = self.item.get_or_insert_with(Item::empty);
        stored.block = Some(block.over(stored.block));
        let until = match source {
            BlockSource::Throttle => &mut self.asked.throttled_until,
            BlockSource::Usage(_) => &mut self.asked.reported_until,
        };
        *until = (now + length).max(*until);
        // Only what changes the block counts as its beginning.
        if stored.block == Some(block) {
            self.asked.at = Some(now);
        }
    }

    fn unblock(&mut self, source: BlockSource, now: Millis, skew: Millis) -> Result<(), String> {
        let Some(stored) = &mut self.item else {
            return Ok(());
        };
        let clock = seconds(at(now + skew));
        let is_running = stored.block.is_some_and(|block| block.is_running(clock));
        let is_lifted = stored
            .block
            .take_if(|block| block.is_liftable(source, clock));
        if is_lifted.is_some() && is_running {
            self.asked.lift(now)?;
            self.lifted += 1;
        }
        Ok(())
    }

    fn request(
        &mut self,
        now: Millis,
        skew: Millis,
        is_written_twice: bool,
        held: Millis,
    ) -> Result<(), String> {
        let stored = self.item.get_or_insert_with(Item::empty);
        if !self.guards.by_block {
            stored.block = None;
        }
        let clock = at(now + skew);
        let mut admitted = stored.admit(&self.policy, clock);
        if is_written_twice {
            admitted |= stored.admit(&self.policy, clock);
        }
        if admitted {
            self.asked.check_grant(now)?;
            self.granted += 1;
            self.grants.push(Grant {
                written: now,
                used: now + held,
            });
        }
        Ok(())
    }
}

/// Returns how many permits a history brings and how many blocks it lifts, or what broke.
pub(super) fn run(history: &History, guards: Guards) -> Result<(usize, usize), String> {
    let mut play = Play::new(history, guards);
    let mut now: Millis = 0;
    for step in &history.steps {
        now += step.pause;
        play.on(step.event, now)?;
    }
    check_within(&play.policy, &play.grants)?;
    Ok((play.granted, play.lifted))
}
