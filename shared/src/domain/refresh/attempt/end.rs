//! How an attempt ends.

use crate::domain::check_result::CheckResult;
use crate::domain::integration::Integration;
use crate::domain::verdict::Verdict;

#[derive(Debug, Clone)]
pub struct End {
    pub outcome: Outcome,
    /// The row as it is now, as far as this attempt knows; `None` if others may have it.
    pub row: Option<Integration>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A new token is stored.
    Renewed,
    /// A new token that an earlier attempt left in the fallback is stored.
    StoredFromFallback,
    /// The platform gave no new token, and the row says so.
    Refused(Verdict),
    /// Nobody knows whether the platform replaced the token.
    InDoubt(Verdict),
    /// The platform replaced the token and the answer is gone.
    RotationLost,
    /// Nothing was sent: too little time was left.
    OutOfTime,
    /// Nothing was sent: there was no key to seal an answer with.
    NoKey,
    /// Nothing was sent: nobody could find out whether an answer is in the fallback or stored.
    FallbackUnknown,
    /// Nothing was sent, or the answer was dropped: another write came first.
    Superseded,
    /// The row could not be written before anything was sent.
    ClaimFailed,
    /// The new token is in the fallback; the next holder stores it.
    InFallback,
    /// The new token could be stored nowhere.
    StoreFailed,
    /// A refusal could not be recorded.
    Unrecorded(Verdict),
}

impl From<&Outcome> for CheckResult {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Renewed => Self::Renewed,
            Outcome::StoredFromFallback => Self::StoredFromFallback,
            Outcome::Refused(verdict) | Outcome::Unrecorded(verdict) => verdict.into(),
            Outcome::InDoubt(_) => Self::InDoubt,
            Outcome::RotationLost => Self::RotationLost,
            Outcome::OutOfTime => Self::OutOfTime,
            Outcome::NoKey => Self::NoKey,
            Outcome::FallbackUnknown => Self::FallbackUnknown,
            Outcome::Superseded => Self::Superseded,
            Outcome::ClaimFailed => Self::ClaimFailed,
            Outcome::InFallback => Self::InFallback,
            Outcome::StoreFailed => Self::StoreFailed,
        }
    }
}
