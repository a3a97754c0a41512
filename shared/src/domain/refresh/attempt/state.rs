//! What an attempt knows: its types, which all parts of the protocol share.

use chrono::{DateTime, TimeDelta, Utc};

use super::end::Outcome;
use crate::domain::integration::{Integration, Intent};
use crate::domain::probe_result::ProbeResult;
use crate::domain::refresh::Renewed;
use crate::domain::verdict::Verdict;
use crate::platforms::catalog::RefreshModel;

/// How long an exchange may take at most.
pub const TOKEN_REQUEST_TIMEOUT: TimeDelta = TimeDelta::seconds(10);
/// How long storing the answer may take.
pub const PERSIST_TIMEOUT: TimeDelta = TimeDelta::seconds(30);
/// By how much the clocks of two instances may differ.
pub(super) const MAX_CLOCK_SKEW: TimeDelta = TimeDelta::seconds(10);
/// For how long an attempt holds an integration.
pub const LEASE_DURATION: TimeDelta = TimeDelta::seconds(
    TOKEN_REQUEST_TIMEOUT.num_seconds()
        + PERSIST_TIMEOUT.num_seconds()
        + 2 * MAX_CLOCK_SKEW.num_seconds(),
);
/// Nothing is sent with less time left than this to store the answer.
pub(super) const MIN_PERSIST_TIME: TimeDelta = TimeDelta::seconds(10);
/// How often a write that lost a race is applied to the row that won it.
pub(super) const MAX_LOST_WRITES: u8 = 5;

#[derive(Debug)]
pub struct Attempt {
    pub(super) id: String,
    pub(super) row: Integration,
    /// The generation of the credential that is exchanged.
    pub(super) generation: u64,
    pub(super) model: RefreshModel,
    /// An earlier exchange of this very credential has no known end.
    pub(super) in_doubt: bool,
    /// The row's `possibly_replayed` from before this attempt.
    pub(super) earlier_possibly_replayed: Option<Intent>,
    pub(super) sent: bool,
    pub(super) deadline: Option<DateTime<Utc>>,
    /// Storing must end before this instant.
    pub(super) persist_until: DateTime<Utc>,
    pub(super) jitter: f64,
    pub(super) phase: Phase,
    pub(super) races: u8,
}

#[derive(Debug)]
pub(super) enum Phase {
    Securing,
    Claiming,
    /// Reads the fallback: before sending, or once more after a refusal.
    Finding {
        refused: bool,
    },
    /// Reads the row once more: whoever left the doubt may have stored an answer after the claim,
    /// and removed its fallback copy.
    Rereading,
    Sending,
    Storing(Storing),
    /// The tokens are stored; a probe asks for the ends that the answer left out.
    Completing,
    Judging,
    Recording(Recording, u8),
    Tidying(Outcome),
}

/// What is to be written of an exchange that brought no tokens, or of a probe.
#[derive(Debug, Clone)]
pub(super) enum Recording {
    Release(Outcome),
    Refused {
        verdict: Verdict,
        conclusive: bool,
        code: Option<String>,
    },
    InDoubt {
        verdict: Verdict,
        conclusive: bool,
        code: Option<String>,
    },
    RotationLost(Option<Result<ProbeResult, Verdict>>),
    ProbeResult(ProbeResult),
}

/// New tokens, and what has been tried to store them.
#[derive(Debug)]
pub(super) struct Storing {
    pub(super) renewed: Renewed,
    pub(super) tries: u32,
    /// A copy of the tokens is in the fallback.
    pub(super) in_fallback: bool,
    /// The tokens were found in the fallback.
    pub(super) from_fallback: bool,
}
