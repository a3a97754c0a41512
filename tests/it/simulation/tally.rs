//! What was injected, and what came of it.

use std::collections::BTreeMap;
use std::fmt;

use super::plan::Moment;
use super::request::{Kind, Service};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    Runs,
    AuditEvents,
    Attempts,
    /// What came of attempts at integrations in doubt.
    Doubts,
    Ends,
    Losses,
    Leftovers,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    crashes: BTreeMap<(Kind, Moment), u64>,
    faults: BTreeMap<(Service, &'static str), u64>,
    counts: BTreeMap<(Topic, String), u64>,
}

impl Tally {
    pub(super) fn count(&mut self, topic: Topic, what: impl Into<String>) {
        self.count_many(topic, what, 1);
    }

    pub(super) fn count_many(&mut self, topic: Topic, what: impl Into<String>, number: u64) {
        *self.counts.entry((topic, what.into())).or_default() += number;
    }

    pub(super) fn crash(&mut self, kind: Kind, moment: Moment) {
        *self.crashes.entry((kind, moment)).or_default() += 1;
    }

    pub(super) fn fault(&mut self, service: Service, what: &'static str) {
        *self.faults.entry((service, what)).or_default() += 1;
    }

    pub(super) fn of(&self, topic: Topic, what: &str) -> u64 {
        let count = self.counts.get(&(topic, what.to_owned()));
        count.copied().unwrap_or_default()
    }

    pub(super) fn crashes(&self) -> u64 {
        self.crashes.values().sum()
    }

    pub(super) fn add(&mut self, other: Self) {
        for (key, count) in other.crashes {
            *self.crashes.entry(key).or_default() += count;
        }
        for (key, count) in other.faults {
            *self.faults.entry(key).or_default() += count;
        }
        for (key, count) in other.counts {
            *self.counts.entry(key).or_default() += count;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Crashes{:>18}{:>9}{:>9}", "before", "during", "after")?;
        for kind in Kind::ALL {
            write!(f, "  {:<14}", format!("{kind:?}"))?;
            for moment in Moment::ALL {
                let count = self.crashes.get(&(kind, moment)).copied();
                write!(f, "{:>9}", count.unwrap_or_default())?;
            }
            writeln!(f)?;
        }
        writeln!(f, "Faults")?;
        for ((service, what), count) in &self.faults {
            writeln!(f, "  {:<62}{count:>9}", format!("{service}: {what}"))?;
        }
        let mut last = None;
        for ((topic, what), count) in &self.counts {
            if last != Some(topic) {
                writeln!(f, "{topic:?}")?;
                last = Some(topic);
            }
            writeln!(f, "  {what:<62}{count:>9}")?;
        }
        Ok(())
    }
}
