//! The steps that an attempt asks for, and their results.

use chrono::TimeDelta;

use super::end::End;
use crate::domain::integration::Integration;
use crate::domain::refresh::{ProbeResult, Renewed};
use crate::domain::verdict::Verdict;

#[derive(Debug, Clone)]
pub enum Step {
    /// Have a data key at hand.
    SecureKey,
    /// Write the row, if it is still the one that was read.
    Claim(Box<Integration>),
    /// Look for a fallback credential of this generation.
    FindFallback(u64),
    /// Read the row again, strongly consistent.
    ReadAgain,
    /// Exchange the credential, and seal the answer with the key at hand.
    Send,
    /// Write the row with new tokens, if it is still the one that was read.
    Store(Box<Integration>),
    /// Put new tokens into the fallback.
    StoreFallback(Box<Renewed>),
    Pause(TimeDelta),
    /// Remove the fallback credential of this generation.
    RemoveFallback(u64),
    /// Ask whether the access token lives.
    Probe,
    /// Write the row with what was learned, if it is still the one that was read.
    Record(Box<Integration>),
    /// The attempt is over.
    Done(Box<End>),
}

/// The result of a step.
#[derive(Debug, Clone)]
pub enum Event {
    /// Whether the key is at hand.
    Key(bool),
    /// The write succeeded. This is the row now.
    Written(Box<Integration>),
    /// Somebody else had written the row. This is the row now, if it exists.
    Lost(Option<Box<Integration>>),
    /// Nobody knows whether the row was written.
    Unwritten,
    /// What the fallback holds, if anything.
    FallbackFound(Option<Box<Renewed>>),
    /// The row as it is now, if it exists.
    Read(Option<Box<Integration>>),
    /// The fallback, or the row, could not be read.
    Unreadable,
    /// Whether the fallback has certainly taken the tokens.
    FallbackStored(bool),
    Paused,
    /// The fallback copy is gone, or nobody knows.
    Removed,
    Answered(Answered),
    /// The platform's answer to the probe; `None` where it has no free probe.
    Probed(Option<Result<ProbeResult, Verdict>>),
}

/// A platform's answer to an exchange.
#[derive(Debug, Clone)]
pub enum Answered {
    /// The platform gave new tokens.
    Renewed(Box<Renewed>),
    /// The platform gave no tokens.
    Refused {
        verdict: Verdict,
        /// Whether a refusal may be believed: not while our application itself
        /// may be what is refused.
        conclusive: bool,
        /// The platform's error code, or a description of the answer without one.
        code: Option<String>,
    },
}
