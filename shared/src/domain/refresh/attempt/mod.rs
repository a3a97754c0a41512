//! One attempt at refreshing an integration, as a state machine without I/O: it names the next
//! [`Step`]. Its driver performs that step and returns the [`Event`], until the step is
//! [`Step::Done`].
//!
//! It protects a single-use refresh token. Between the platform's replacing it and our first
//! durable copy of the new one, only reading the answer and storing it may happen. That is the
//! exposed window, and no client can make it smaller. A crash anywhere else loses nothing,
//! because
//! * the intent is written before anything is sent, so that nobody mistakes the old token for a
//!   living one afterwards;
//! * the key that seals the answer is at hand before anything is sent;
//! * new tokens are stored as long as the credential is the one they replace, whoever holds the
//!   lease by then, and never otherwise;
//! * what the row does not take is stored in the fallback; the next holder looks there, and at
//!   the row again, before it sends anything.

mod answering;
mod end;
mod recording;
mod state;
mod step;
mod storing;

use chrono::{DateTime, Utc};

pub use self::end::{End, Outcome};
pub use self::state::{Attempt, LEASE_DURATION, PERSIST_TIMEOUT, TOKEN_REQUEST_TIMEOUT};
pub use self::step::{Answered, Event, Step};

use self::state::{MAX_CLOCK_SKEW, MIN_PERSIST_TIME, Phase, Recording, Storing};
use crate::domain::integration::{Integration, Intent, Lease};
use crate::domain::verdict::{ReconnectReason, Verdict};
use crate::platforms::catalog::RefreshModel;

impl Attempt {
    /// Returns an attempt at `row`, which nobody else holds. It sends nothing that could not be
    /// stored before `deadline`. `jitter` in `[0, 1)` places the next attempt if this one fails.
    #[must_use]
    pub fn new(
        id: String,
        row: Integration,
        deadline: Option<DateTime<Utc>>,
        jitter: f64,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            generation: row.credential.generation,
            model: row.refresh_model(),
            in_doubt: row.is_in_doubt(),
            earlier_possibly_replayed: None,
            sent: false,
            deadline,
            persist_until: now,
            jitter,
            phase: Phase::Securing,
            races: 0,
            row,
        }
    }

    pub const fn begin(&self) -> Step {
        Step::SecureKey
    }

    /// Returns the next step, given the result of the last.
    pub fn next(&mut self, event: Event, now: DateTime<Utc>) -> Step {
        let phase = std::mem::replace(&mut self.phase, Phase::Tidying(Outcome::Superseded));
        match (phase, event) {
            (Phase::Securing, Event::Key(true)) => self.claim(now),
            (Phase::Securing, _) => self.done(Outcome::NoKey),

            (Phase::Claiming, Event::Written(row)) => {
                self.row = *row;
                if self.in_doubt {
                    self.find(false)
                } else {
                    self.send(now)
                }
            }
            (Phase::Claiming, Event::Lost(_)) => self.gone(Outcome::Superseded),
            (Phase::Claiming, _) => self.gone(Outcome::ClaimFailed),

            (Phase::Finding { .. }, Event::FallbackFound(Some(renewed)))
                if renewed.rotated || !self.was_sent_again() =>
            {
                let storing = Storing {
                    renewed: *renewed,
                    tries: 0,
                    in_fallback: true,
                    from_fallback: true,
                };
                self.store(storing, now)
            }
            (Phase::Finding { refused: false }, Event::FallbackFound(_)) => {
                self.phase = Phase::Rereading;
                Step::ReadAgain
            }
            // It was known to be dead, and is: for the reason that people know.
            (Phase::Finding { refused: true }, Event::FallbackFound(_))
                if self.row.is_given_up() =>
            {
                let refused = Recording::Refused {
                    verdict: Verdict::ReconnectNeeded(ReconnectReason::GrantRefused),
                    conclusive: true,
                    code: None,
                };
                self.record(refused, now)
            }
            (Phase::Finding { refused: true }, Event::FallbackFound(_)) => {
                self.phase = Phase::Judging;
                Step::Probe
            }
            (Phase::Rereading, Event::Read(Some(row)))
                if row.credential.generation == self.generation && row.is_leased_by(&self.id) =>
            {
                self.row = *row;
                self.send(now)
            }
            (Phase::Rereading, Event::Read(_)) => self.gone(Outcome::Superseded),
            (Phase::Finding { .. } | Phase::Rereading, _) => {
                self.record(Recording::Release(Outcome::FallbackUnknown), now)
            }

            (Phase::Sending, Event::Answered(answered)) => self.answered(answered, now),
            (Phase::Storing(storing), event) => self.stored(storing, event, now),
            (Phase::Completing, Event::Probed(Some(Ok(seen)))) => {
                self.record(Recording::ProbeResult(seen), now)
            }
            (Phase::Completing, _) => self.done(Outcome::Renewed),
            (Phase::Judging, Event::Probed(probed)) => {
                self.record(Recording::RotationLost(probed), now)
            }
            (Phase::Recording(what, tries), event) => self.recorded(what, tries, event, now),
            (Phase::Tidying(outcome), _) => self.done(outcome),
            // An event that is no answer to the step: as if it had failed.
            (Phase::Sending | Phase::Judging, _) => self.gone(Outcome::StoreFailed),
        }
    }

    fn claim(&mut self, now: DateTime<Utc>) -> Step {
        if self
            .deadline
            .is_some_and(|end| now + TOKEN_REQUEST_TIMEOUT + PERSIST_TIMEOUT > end)
        {
            return self.done(Outcome::OutOfTime);
        }
        let mut row = self.row.clone();
        let until = now + LEASE_DURATION;
        self.persist_until = until - MAX_CLOCK_SKEW * 2;
        row.refresh.lease = Some(Lease {
            attempt: self.id.clone(),
            until,
        });
        if self.model == RefreshModel::Rotating {
            let intent = Intent {
                attempt: self.id.clone(),
                at: now,
                generation: self.generation,
                answered: false,
            };
            if self.in_doubt {
                self.earlier_possibly_replayed = row.refresh.possibly_replayed.replace(intent);
            } else {
                row.refresh.intent = Some(intent);
            }
        }
        self.phase = Phase::Claiming;
        Step::Claim(Box::new(row))
    }

    fn find(&mut self, refused: bool) -> Step {
        self.phase = Phase::Finding { refused };
        Step::FindFallback(self.generation + 1)
    }

    fn send(&mut self, now: DateTime<Utc>) -> Step {
        let late = |end| now + TOKEN_REQUEST_TIMEOUT + MIN_PERSIST_TIME > end;
        if late(self.persist_until) || self.deadline.is_some_and(late) {
            return self.record(Recording::Release(Outcome::OutOfTime), now);
        }
        self.sent = true;
        self.phase = Phase::Sending;
        Step::Send
    }

    /// Whether our token has been sent again since the exchange that left the doubt, as far as
    /// anybody knows. A fallback copy without a new token may then be older than what that request
    /// brought.
    fn was_sent_again(&self) -> bool {
        let earlier = self.earlier_possibly_replayed.as_ref();
        self.sent || earlier.is_some_and(|replay| replay.generation == self.generation)
    }

    /// Withdraws this attempt's `possibly_replayed`, because it has sent nothing.
    fn take_back_possibly_replayed(&self, row: &mut Integration) {
        if row
            .refresh
            .possibly_replayed
            .as_ref()
            .is_some_and(|replay| replay.attempt == self.id)
        {
            row.refresh.possibly_replayed = self.earlier_possibly_replayed.clone();
        }
    }

    fn tidy(&mut self, outcome: Outcome) -> Step {
        self.phase = Phase::Tidying(outcome);
        Step::RemoveFallback(self.generation + 1)
    }

    fn done(&self, outcome: Outcome) -> Step {
        Step::Done(Box::new(End {
            outcome,
            row: Some(self.row.clone()),
        }))
    }

    /// Ends without a row: others hold it, or nobody knows what it is.
    fn gone(&self, outcome: Outcome) -> Step {
        Step::Done(Box::new(End { outcome, row: None }))
    }
}

#[cfg(test)]
mod tests;
