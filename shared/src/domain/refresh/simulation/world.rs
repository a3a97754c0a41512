//! One run: a row, a platform, instances that sweep, and people, on one
//! agenda. Everything that happens follows from the seed.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use test_support::{Random, Section, Tally};

use crate::domain::integration::{Integration, Sealed};
use crate::domain::refresh::Renewed;
use crate::domain::refresh::attempt::Event;
use crate::domain::schedule::tests::{at, integration};
use crate::platforms::catalog::RefreshModel;

use super::driver::AgendaItem;
use super::loss;
use super::platform::{SimulatedPlatform, SimulatedTokens, Via};
use super::sabotage::{DrivenAttempt, ProtocolRule};
use super::step_kind::StepKind;

/// A run that does not settle within this many more sweeps never does.
const SETTLING: usize = 60;

/// What must not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Violation {
    LostOutside,
    PersonOverwritten,
    Unlabelled,
    Invariant,
}

/// How often things go wrong in this run, in percent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rates {
    pub(super) crash: u32,
    pub(super) store: u32,
    pub(super) fallback: u32,
    pub(super) key: u32,
    pub(super) platform: u32,
    pub(super) pause: u32,
    pub(super) people: u32,
    /// Somebody else writes the row all the time.
    pub(super) storm: bool,
}

/// One instance; its next invocation, or its successor, has the next life.
#[derive(Debug, Default)]
pub(super) struct Sweeper {
    pub(super) life: u32,
    pub(super) skew: TimeDelta,
    /// The instance makes one attempt, and has no successor.
    pub(super) leaves: bool,
    pub(super) attempt: Option<DrivenAttempt>,
    pub(super) row: Option<Integration>,
    pub(super) tokens: Option<SimulatedTokens>,
    pub(super) in_doubt: bool,
    pub(super) by_grace: bool,
    pub(super) probed: Option<bool>,
    /// When the instance last looked for an answer in the fallback, and in the row.
    pub(super) looked_at: (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
    /// The index of the exchange whose answer the instance holds.
    pub(super) holding: Option<usize>,
}

/// A rotation that the platform committed.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) old: u32,
    pub(super) new: u32,
    pub(super) access: Sealed,
    pub(super) via: Via,
    /// What its holder began between the commit and the first durable copy.
    pub(super) steps: BTreeSet<StepKind>,
    /// When the new token was first stored in the fallback, and in the row.
    pub(super) stored_in_fallback_at: Option<DateTime<Utc>>,
    pub(super) stored_at: Option<DateTime<Utc>>,
    /// The sender got the answer to its doubled request instead.
    pub(super) masked: bool,
}

/// A refresh token that is on its way to the platform.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) token: u32,
    pub(super) sender: (usize, u32),
    pub(super) until: DateTime<Utc>,
}

pub(super) struct ProtocolWorld {
    pub(super) chance: Random,
    pub(super) now: DateTime<Utc>,
    pub(super) platform: SimulatedPlatform,
    pub(super) row: Integration,
    pub(super) in_fallback: BTreeMap<u64, Renewed>,
    pub(super) sweepers: Vec<Sweeper>,
    agenda: BTreeMap<(DateTime<Utc>, u64), AgendaItem>,
    serial: u64,
    in_flight: usize,
    pub(super) exchanges: Vec<Exchange>,
    pub(super) wire: Option<Wire>,
    /// The grant that the person wants, or none.
    pub(super) wanted: Option<usize>,
    pub(super) rates: Rates,
    pub(super) broken: Option<ProtocolRule>,
    wakes: usize,
    budget: usize,
    pub(super) healthy: bool,
    pub(super) renewed_in_health: bool,
    /// The platform refused a living token once.
    pub(super) lied: bool,
    /// When the present grant was first given up.
    pub(super) concluded_at: Option<DateTime<Utc>>,
    nonce: u32,
    pub(super) found: Vec<(Violation, String)>,
    pub(super) tally: Tally<StepKind>,
    story: Option<Vec<String>>,
}

pub(super) struct EndedRun {
    pub(super) found: Vec<(Violation, String)>,
    pub(super) tally: Tally<StepKind>,
    pub(super) story: Vec<String>,
}

/// Runs one seed to its end.
pub(super) fn run(seed: u64, broken: Option<ProtocolRule>, with_story: bool) -> EndedRun {
    let mut world = ProtocolWorld::new(seed, broken, with_story);
    world.play();
    world.judge();
    EndedRun {
        found: world.found,
        tally: world.tally,
        story: world.story.unwrap_or_default(),
    }
}

impl ProtocolWorld {
    fn new(seed: u64, broken: Option<ProtocolRule>, with_story: bool) -> Self {
        let mut chance = Random::new(seed);
        let mut platform = SimulatedPlatform::new(&mut chance);
        let rates = Rates {
            crash: chance.pick(&[0, 5, 12]),
            store: chance.pick(&[0, 15, 60, 60]),
            fallback: chance.pick(&[0, 0, 15, 50]),
            key: chance.pick(&[0, 10]),
            platform: chance.pick(&[0, 20, 50]),
            pause: chance.pick(&[0, 0, 6]),
            people: chance.pick(&[0, 0, 4]),
            storm: chance.percent(4),
        };
        let life = platform.life;
        // An extension is due from half of life on.
        let age = match platform.model {
            RefreshModel::Extend => life / 2 + TimeDelta::days(1),
            _ => TimeDelta::zero(),
        };
        let tokens = platform.consent(at(0) - age);
        let (issued, ends) = (-age.num_seconds(), (life - age).num_seconds());
        let mut row = integration(platform.name, tokens.refresh.is_some(), issued, Some(ends));
        if chance.percent(50) {
            (row.refresh.renewed_at, row.refresh.attempted_at) = (Some(at(-1)), Some(at(-1)));
        }
        let mut world = Self {
            now: at(0),
            platform,
            row: row.clone(),
            in_fallback: BTreeMap::new(),
            sweepers: Vec::new(),
            agenda: BTreeMap::new(),
            serial: 0,
            in_flight: 0,
            exchanges: Vec::new(),
            wire: None,
            wanted: Some(tokens.grant),
            rates,
            broken,
            wakes: 0,
            budget: 3 + chance.below(9),
            healthy: false,
            renewed_in_health: false,
            lied: false,
            concluded_at: None,
            nonce: 0,
            found: Vec::new(),
            tally: Tally::default(),
            story: with_story.then(Vec::new),
            chance,
        };
        world.seal_into(&mut row, tokens);
        row.derive_index_keys(at(0));
        world.row = row;
        for who in 0..world.chance.pick(&[1, 2, 2, 2, 3]) {
            let skew = world.chance.millis(-10_000, 10_000);
            world.sweepers.push(Sweeper {
                skew,
                ..Sweeper::default()
            });
            world.wake_later(who);
        }
        world
    }

    fn play(&mut self) {
        while let Some(((when, _), action)) = self.agenda.pop_first() {
            self.now = when;
            self.in_flight -= usize::from(action.is_in_flight());
            self.act(action);
            let is_over = self.healthy && self.in_flight == 0 && self.is_settled();
            if is_over || !self.found.is_empty() {
                return;
            }
        }
    }

    /// Counts a sweep; from some sweep on nothing goes wrong any more.
    pub(super) fn begin_sweep(&mut self) {
        self.wakes += 1;
        if self.wakes > self.budget && !self.healthy {
            self.healthy = true;
            self.narrate(|| "from here on nothing goes wrong".to_owned());
        }
        if self.wakes > self.budget + SETTLING {
            let state = format!("it does not settle: {:?}", self.row);
            self.find(Violation::Invariant, state);
        }
    }

    /// Whether nothing more will happen to the row, or the last refresh worked.
    fn is_settled(&self) -> bool {
        use crate::domain::integration::State;
        match self.row.state {
            // What only seems to work is found out by the next refresh.
            State::Active if self.row.refresh.lease.is_none() && self.renewed_in_health => {
                let tokens = self.tokens_of(&self.row).ok().flatten();
                tokens.is_some_and(|tokens| self.platform.can_refresh(tokens, self.now))
            }
            _ => self.row.next_action_at.is_none(),
        }
    }

    pub(super) fn push(&mut self, after: TimeDelta, action: AgendaItem) {
        self.serial += 1;
        self.in_flight += usize::from(action.is_in_flight());
        self.agenda.insert((self.now + after, self.serial), action);
    }

    /// Has the instance look at the row when something is due, as a schedule would.
    pub(super) fn wake_later(&mut self, who: usize) {
        if self.sweepers[who].leaves {
            return;
        }
        let due = self
            .row
            .next_action_at
            .map(|at| at - self.sweepers[who].skew);
        let wait = match due {
            Some(due) => (due - self.now).max(TimeDelta::zero()),
            None => TimeDelta::minutes(1),
        };
        let late = match self.chance.percent(3) {
            true => self.chance.millis(0, 3_600_000),
            false => self.chance.millis(0, 20_000),
        };
        self.push(wait + late, AgendaItem::Wake(who));
    }

    /// Returns the time by the instance's clock.
    pub(super) fn local(&self, who: usize) -> DateTime<Utc> {
        (self.now + self.sweepers[who].skew).trunc_subsecs(0)
    }

    /// Ends an instance, at any point; another one takes its place.
    pub(super) fn die(&mut self, who: usize) {
        self.narrate(|| format!("instance {who} dies"));
        let skew = self.chance.millis(-10_000, 10_000);
        let Sweeper { life, leaves, .. } = self.sweepers[who];
        self.sweepers[who] = Sweeper {
            life: life + 1,
            skew,
            leaves,
            ..Sweeper::default()
        };
        self.wake_later(who);
    }

    pub(super) fn find(&mut self, violation: Violation, what: String) {
        self.narrate(|| format!("FOUND {violation:?}: {what}"));
        match violation {
            Violation::LostOutside => self.count(Section::Losses, loss::OUTSIDE),
            Violation::Unlabelled => self.count(Section::Losses, loss::UNLABELLED),
            Violation::PersonOverwritten | Violation::Invariant => {}
        }
        self.found.push((violation, what));
    }

    pub(super) fn count(&mut self, topic: Section, what: &'static str) {
        self.tally.count(topic, what);
    }

    pub(super) fn narrate(&mut self, what: impl FnOnce() -> String) {
        let since = self.now - at(0);
        if let Some(story) = &mut self.story {
            let seconds = since.num_milliseconds() / 1000;
            story.push(format!(
                "{seconds:>6}.{:03} s  {}",
                since.subsec_millis(),
                what()
            ));
        }
    }

    /// Seals a token as the real cipher does: no two values are alike, and each is for one
    /// generation.
    pub(super) fn seal(&mut self, token: u32, generation: u64) -> Sealed {
        self.nonce += 1;
        let mut bytes = token.to_be_bytes().to_vec();
        bytes.extend(generation.to_be_bytes());
        bytes.extend(self.nonce.to_be_bytes());
        Sealed(bytes)
    }

    pub(super) fn seal_into(&mut self, row: &mut Integration, tokens: SimulatedTokens) {
        let generation = row.credential.generation;
        row.credential.access_token = Some(self.seal(tokens.access, generation));
        row.credential.refresh_token = tokens.refresh.map(|token| self.seal(token, generation));
    }

    /// Returns the tokens of a credential; `Err` if it does not open for `generation`.
    pub(super) fn open(
        &self,
        access: Option<&Sealed>,
        refresh: Option<&Sealed>,
        generation: u64,
    ) -> Result<Option<SimulatedTokens>, ()> {
        let Some(access) = access else {
            return refresh.map_or(Ok(None), |_| Err(()));
        };
        let access = open(access, generation)?;
        let refresh = refresh.map(|sealed| open(sealed, generation)).transpose()?;
        let grant = self.platform.grant_of_access(access);
        if refresh.is_some_and(|token| self.platform.grant_of_refresh(token) != grant) {
            return Err(());
        }
        Ok(Some(SimulatedTokens {
            grant,
            access,
            refresh,
        }))
    }

    pub(super) fn tokens_of(&self, row: &Integration) -> Result<Option<SimulatedTokens>, ()> {
        let (access, refresh) = (
            row.credential.access_token.as_ref(),
            row.credential.refresh_token.as_ref(),
        );
        self.open(access, refresh, row.credential.generation)
    }

    /// Notes the answer that an instance has just taken in.
    pub(super) fn take_answer(&mut self, who: usize, event: &Event) {
        use crate::domain::refresh::attempt::Answered;
        if let Event::Answered(Answered::Renewed(renewed)) = event {
            let of = |exchange: &Exchange| exchange.access == renewed.access_token;
            self.sweepers[who].holding = self.exchanges.iter().position(of);
            // From now on it is these that are asked about.
            let (access, refresh) = (&renewed.access_token, renewed.refresh_token.as_ref());
            let generation = self.sweepers[who]
                .row
                .as_ref()
                .unwrap()
                .credential
                .generation
                + 1;
            if let Ok(Some(tokens)) = self.open(Some(access), refresh, generation) {
                self.sweepers[who].tokens = Some(tokens);
            }
        }
    }
}

fn open(sealed: &Sealed, generation: u64) -> Result<u32, ()> {
    let (token, rest) = sealed.0.split_first_chunk::<4>().ok_or(())?;
    let (of, _) = rest.split_first_chunk::<8>().ok_or(())?;
    if u64::from_be_bytes(*of) == generation {
        Ok(u32::from_be_bytes(*token))
    } else {
        Err(())
    }
}
