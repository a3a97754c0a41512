//! What a simulation injected, and what came of it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Debug};

/// When in the life of a step or request something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moment {
    /// Nothing has been asked for.
    Before,
    /// It is done, and not answered.
    During,
    /// It is answered; nothing else was asked for since.
    After,
}

impl Moment {
    pub const ALL: [Self; 3] = [Self::Before, Self::During, Self::After];
}

/// The kinds of steps in which a simulation has processes die.
pub trait StepKinds: Copy + Ord + Debug + 'static {
    /// All kinds, in the order in which they are printed.
    const ALL: &'static [Self];
}

/// What a count is about, in the order in which the counts are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    Runs,
    Faults,
    /// What happened in the middle of a sweep.
    Interruptions,
    People,
    /// How attempts ended.
    Attempts,
    /// What came of attempts at integrations in doubt.
    Doubts,
    /// How runs ended.
    Ends,
    /// Grants that ended.
    Losses,
    /// What was left in the fallback.
    Leftovers,
}

/// Counts of crashes by step and moment, and of everything else by name.
#[derive(Debug, Clone)]
pub struct Tally<K> {
    crashes: BTreeMap<(K, Moment), u64>,
    counts: BTreeMap<(Section, Cow<'static, str>), u64>,
}

impl<K: StepKinds> Tally<K> {
    #[must_use]
    pub const fn new() -> Self {
        Self {
            crashes: BTreeMap::new(),
            counts: BTreeMap::new(),
        }
    }

    pub fn count(&mut self, section: Section, what: impl Into<Cow<'static, str>>) {
        self.count_many(section, what, 1);
    }

    /// Adds `number` to a count; a count of 0 is printed all the same.
    pub fn count_many(
        &mut self,
        section: Section,
        what: impl Into<Cow<'static, str>>,
        number: u64,
    ) {
        *self.counts.entry((section, what.into())).or_default() += number;
    }

    /// Counts a process that died.
    pub fn crash(&mut self, kind: K, moment: Moment) {
        *self.crashes.entry((kind, moment)).or_default() += 1;
    }

    /// How often this was counted.
    #[must_use]
    pub fn of(&self, section: Section, what: &'static str) -> u64 {
        let count = self.counts.get(&(section, Cow::Borrowed(what)));
        count.copied().unwrap_or_default()
    }

    #[must_use]
    pub fn total(&self, section: Section) -> u64 {
        let counts = self.counts.iter().filter(|((of, _), _)| *of == section);
        counts.map(|(_, count)| count).sum()
    }

    /// How many processes died at this moment of such a step.
    #[must_use]
    pub fn crashes_at(&self, kind: K, moment: Moment) -> u64 {
        let count = self.crashes.get(&(kind, moment));
        count.copied().unwrap_or_default()
    }

    /// How many processes died.
    #[must_use]
    pub fn crashes(&self) -> u64 {
        self.crashes.values().sum()
    }

    /// Adds what another run counted.
    pub fn add(&mut self, other: Self) {
        for (key, count) in other.crashes {
            *self.crashes.entry(key).or_default() += count;
        }
        for (key, count) in other.counts {
            *self.counts.entry(key).or_default() += count;
        }
    }
}

impl<K: StepKinds> Default for Tally<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: StepKinds> fmt::Display for Tally<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.crashes.is_empty() {
            writeln!(f, "Crashes{:>18}{:>9}{:>9}", "before", "during", "after")?;
            for kind in K::ALL {
                write!(f, "  {:<14}", format!("{kind:?}"))?;
                for moment in Moment::ALL {
                    write!(f, "{:>9}", self.crashes_at(*kind, moment))?;
                }
                writeln!(f)?;
            }
        }
        let mut last = None;
        for ((section, what), count) in &self.counts {
            if last != Some(section) {
                writeln!(f, "{section:?}")?;
                last = Some(section);
            }
            writeln!(f, "  {what:<62}{count:>9}")?;
        }
        Ok(())
    }
}
