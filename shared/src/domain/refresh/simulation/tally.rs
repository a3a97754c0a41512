//! What was injected, and what came of it.

use std::collections::BTreeMap;
use std::fmt;

use crate::domain::refresh::attempt::Step;

/// The kinds of steps there are: a new one does not compile until it is named
/// here, and does not run until it is in the list that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum CutKind {
    SecureKey,
    Claim,
    FindFallback,
    ReadAgain,
    Send,
    Store,
    StoreFallback,
    Pause,
    RemoveFallback,
    Probe,
    Record,
}

impl CutKind {
    pub(super) const ALL: [Self; 11] = [
        Self::SecureKey,
        Self::Claim,
        Self::FindFallback,
        Self::ReadAgain,
        Self::Send,
        Self::Store,
        Self::StoreFallback,
        Self::Pause,
        Self::RemoveFallback,
        Self::Probe,
        Self::Record,
    ];

    /// `None` where nothing is left to do, and so nothing to cut.
    pub(super) fn of(step: &Step) -> Option<Self> {
        let kind = match step {
            Step::SecureKey => Self::SecureKey,
            Step::Claim(_) => Self::Claim,
            Step::FindFallback(_) => Self::FindFallback,
            Step::ReadAgain => Self::ReadAgain,
            Step::Send => Self::Send,
            Step::Store(_) => Self::Store,
            Step::StoreFallback(_) => Self::StoreFallback,
            Step::Pause(_) => Self::Pause,
            Step::RemoveFallback(_) => Self::RemoveFallback,
            Step::Probe => Self::Probe,
            Step::Record(_) => Self::Record,
            Step::Done(_) => return None,
        };
        assert!(Self::ALL.contains(&kind), "{kind:?} is not counted");
        Some(kind)
    }
}

/// When an instance dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Moment {
    /// Before it asks for anything.
    Before,
    /// What it asked for happens, and it never hears of it.
    During,
    /// Having heard of it, before anything else.
    After,
}

impl Moment {
    pub(super) const ALL: [Self; 3] = [Self::Before, Self::During, Self::After];
}

/// How a grant can be lost.
pub(super) mod loss {
    pub(in super::super) const OUTSIDE: &str = "outside the exposed window";
    pub(in super::super) const LABELLED: &str = "inside it, labelled rotation lost";
    pub(in super::super) const UNLABELLED: &str = "inside it, unlabelled";
    pub(in super::super) const NETWORK: &str =
        "the network doubled or delayed a request: told, reconnect";
    pub(in super::super) const UNASKED: &str =
        "left to end unrefreshed although a refresh would be granted";
    pub(in super::super) const MISSED: &str = "extension missed: nothing was exchanged in time";

    /// What is tolerated, and why.
    pub(super) const TOLERATED: [(&str, &str); 2] = [
        (
            NETWORK,
            "no client can prevent that a token which works once arrives twice, or too late",
        ),
        (MISSED, "nothing replaced the token: it ended of its own"),
    ];
}

#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    pub(super) cuts: BTreeMap<(CutKind, Moment), u64>,
    counts: BTreeMap<(Topic, &'static str), u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    Faults,
    People,
    Attempts,
    Doubts,
    Ends,
    Losses,
    Leftovers,
}

impl Tally {
    pub(super) fn count(&mut self, topic: Topic, what: &'static str) {
        *self.counts.entry((topic, what)).or_default() += 1;
    }

    pub(super) fn cut(&mut self, kind: CutKind, moment: Moment) {
        *self.cuts.entry((kind, moment)).or_default() += 1;
    }

    pub(super) fn of(&self, topic: Topic, what: &'static str) -> u64 {
        self.counts.get(&(topic, what)).copied().unwrap_or_default()
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (key, count) in &other.cuts {
            *self.cuts.entry(*key).or_default() += count;
        }
        for (key, count) in &other.counts {
            *self.counts.entry(*key).or_default() += count;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Cuts{:>21}{:>9}{:>9}", "before", "during", "after")?;
        for kind in CutKind::ALL {
            write!(f, "  {:<14}", format!("{kind:?}"))?;
            for moment in Moment::ALL {
                let count = self.cuts.get(&(kind, moment)).copied();
                write!(f, "{:>9}", count.unwrap_or_default())?;
            }
            writeln!(f)?;
        }
        let mut last = None;
        for ((topic, what), count) in &self.counts {
            if last != Some(topic) {
                writeln!(f, "{topic:?}")?;
                last = Some(topic);
            }
            writeln!(f, "  {what:<62}{count:>9}")?;
        }
        self.summary(f)
    }
}

impl Tally {
    /// What everything above comes down to, also where that is nothing.
    fn summary(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |of: Topic| -> u64 {
            let counts = self.counts.iter().filter(|((topic, _), _)| *topic == of);
            counts.map(|(_, count)| count).sum()
        };
        let lost = |what| self.of(Topic::Losses, what);
        let tolerated = loss::TOLERATED.iter().map(|(what, _)| lost(what)).sum();
        writeln!(f, "Summary")?;
        for (what, count) in [
            ("runs", self.of(Topic::Ends, "runs")),
            ("instances cut", self.cuts.values().sum()),
            ("faults injected", all(Topic::Faults)),
            ("attempts in doubt that ended", all(Topic::Doubts)),
            ("lost outside the exposed window", lost(loss::OUTSIDE)),
            ("lost inside it, labelled", lost(loss::LABELLED)),
            ("lost inside it, unlabelled", lost(loss::UNLABELLED)),
            (loss::UNASKED, lost(loss::UNASKED)),
            ("otherwise ended, and tolerated", tolerated),
        ] {
            writeln!(f, "  {:<62}{count:>9}", format!("{what}:"))?;
        }
        for (what, why) in loss::TOLERATED {
            writeln!(f, "    {} {what}\n      ({why})", lost(what))?;
        }
        Ok(())
    }
}
