//! How a grant can be lost, and a summary of all that was counted.

use std::fmt;

use test_support::{Section, Tally};

use super::step_kind::StepKind;

pub(super) const OUTSIDE: &str = "outside the exposed window";
pub(super) const LABELLED: &str = "inside it, labelled rotation lost";
pub(super) const UNLABELLED: &str = "inside it, unlabelled";
pub(super) const NETWORK: &str = "the network doubled or delayed a request: reconnect required";
pub(super) const UNASKED: &str = "left to end unrefreshed although a refresh would be granted";
pub(super) const MISSED: &str = "extension missed: nothing was exchanged in time";

/// What is tolerated, and why.
const TOLERATED: [(&str, &str); 2] = [
    (
        NETWORK,
        "no client can prevent that a token which works once arrives twice, or too late",
    ),
    (MISSED, "nothing replaced the token: it ended of its own"),
];

/// Summarises everything in a tally, zeros included.
pub(super) struct LossSummary<'a>(pub(super) &'a Tally<StepKind>);

impl fmt::Display for LossSummary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(tally) = self;
        let lost = |what| tally.of(Section::Losses, what);
        let tolerated = TOLERATED.iter().map(|(what, _)| lost(what)).sum();
        writeln!(f, "Summary")?;
        for (what, count) in [
            ("runs", tally.of(Section::Ends, "runs")),
            ("instances that died", tally.crashes()),
            ("faults injected", tally.total(Section::Faults)),
            ("attempts in doubt that ended", tally.total(Section::Doubts)),
            ("lost outside the exposed window", lost(OUTSIDE)),
            ("lost inside it, labelled", lost(LABELLED)),
            ("lost inside it, unlabelled", lost(UNLABELLED)),
            (UNASKED, lost(UNASKED)),
            ("otherwise ended, and tolerated", tolerated),
        ] {
            writeln!(f, "  {:<62}{count:>9}", format!("{what}:"))?;
        }
        for (what, why) in TOLERATED {
            writeln!(f, "    {} {what}\n      ({why})", lost(what))?;
        }
        Ok(())
    }
}
