//! The kinds of steps in which instances die.

use test_support::StepKinds;

use crate::domain::refresh::attempt::Step;

/// The kinds of steps. A new step does not compile until it is named here, and does not run
/// until it is in `ALL`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum StepKind {
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

impl StepKinds for StepKind {
    const ALL: &'static [Self] = &[
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
}

impl StepKind {
    /// Returns `None` where nothing is left to do, and so nothing to interrupt.
    pub(super) fn from_step(step: &Step) -> Option<Self> {
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
