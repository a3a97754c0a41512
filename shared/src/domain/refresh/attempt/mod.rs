//! One attempt at refreshing an integration, as a state machine without I/O: it
//! names the next [`Step`], whoever drives it does that and says what came of
//! it, until the step is [`Step::Done`].
//!
//! What it protects is a single-use refresh token. From the platform's replacing
//! it to our first durable copy of the new one nothing but reading the answer
//! and storing it may happen: that is the exposed window, and no client can
//! make it smaller. A crash anywhere else loses nothing, because
//! * the intent is written before anything is sent, so that nobody mistakes the
//!   old token for a living one afterwards;
//! * the key that seals the answer is at hand before anything is sent;
//! * new tokens are stored as long as the credential is the one they replace,
//!   whoever holds the lease by then, and never otherwise;
//! * what the row does not take is stored in the fallback, where the next holder finds it, and
//!   the next holder looks there, and at the row again, before it sends anything.

mod end;
mod recording;
mod step;
mod storing;

use chrono::{DateTime, TimeDelta, Utc};

pub use self::end::{End, Outcome};
pub use self::step::{Answered, Event, Step};

use self::recording::Recording;
use self::storing::Storing;
use super::Renewed;
use crate::domain::integration::{Integration, Intent, Lease};
use crate::domain::verdict::{ReconnectReason, Verdict};
use crate::platforms::catalog::RefreshModel;

/// How long an exchange may take at most.
pub const EXCHANGE: TimeDelta = TimeDelta::seconds(10);
/// How long storing its answer may take.
pub const PERSIST: TimeDelta = TimeDelta::seconds(30);
/// By how much the clocks of two instances may differ.
const SKEW: TimeDelta = TimeDelta::seconds(10);
/// For how long an attempt holds an integration.
pub const LEASE: TimeDelta =
    TimeDelta::seconds(EXCHANGE.num_seconds() + PERSIST.num_seconds() + 2 * SKEW.num_seconds());
/// Nothing is sent with less time than this to store the answer in.
const LEAST_PERSIST: TimeDelta = TimeDelta::seconds(10);
/// How often a write that lost a race is applied to what won it.
const RACES: u8 = 5;

/// A rule that keeps grants alive. Only the simulation breaks one, to show
/// that it would notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    KeyBeforeSend,
    FallbackFirst,
    RowAgain,
    StoreFirst,
    ConditionOnGeneration,
}

/// One attempt.
#[derive(Debug)]
pub struct Attempt {
    id: String,
    row: Integration,
    /// Of the credential that is exchanged.
    generation: u64,
    model: RefreshModel,
    /// An earlier exchange of this very credential has no known end.
    in_doubt: bool,
    /// By whoever last held it in doubt before.
    earlier_possibly_replayed: Option<Intent>,
    sent: bool,
    deadline: Option<DateTime<Utc>>,
    /// When storing must have ended.
    persist_until: DateTime<Utc>,
    jitter: f64,
    phase: Phase,
    races: u8,
    #[cfg(test)]
    pub(crate) broken: Option<Rule>,
}

#[derive(Debug)]
enum Phase {
    Securing,
    Claiming,
    /// Before sending, or once more after a refusal.
    Finding {
        refused: bool,
    },
    /// Whoever left the doubt may have stored an answer after the claim, and
    /// removed its fallback copy.
    Rereading,
    Exchanging,
    /// Only where a rule is broken: sealing, or probing, between answer and store.
    Dallying(Renewed),
    Storing(Storing),
    /// The tokens are stored; not all that ends with them was in the answer.
    Completing,
    Judging,
    Recording(Recording, u8),
    Tidying(Outcome),
}

impl Attempt {
    /// An attempt at `row`, which nobody else holds; nothing is sent that could
    /// not be stored before `deadline`. `jitter` in `[0, 1)` places the next
    /// attempt if this one fails.
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
            #[cfg(test)]
            broken: None,
        }
    }

    /// The first step.
    pub fn begin(&mut self, now: DateTime<Utc>) -> Step {
        if self.keeps(Rule::KeyBeforeSend) {
            Step::SecureKey
        } else {
            self.claim(now)
        }
    }

    /// The next step, given what came of the last.
    pub fn next(&mut self, event: Event, now: DateTime<Utc>) -> Step {
        let phase = std::mem::replace(&mut self.phase, Phase::Tidying(Outcome::Superseded));
        match (phase, event) {
            (Phase::Securing, Event::Key(true)) => self.claim(now),
            (Phase::Securing, _) => self.done(Outcome::NoKey),

            (Phase::Claiming, Event::Written(row)) => {
                self.row = *row;
                if self.in_doubt && self.keeps(Rule::FallbackFirst) {
                    self.find(false)
                } else {
                    self.send(now)
                }
            }
            (Phase::Claiming, Event::Lost(_)) => self.gone(Outcome::Superseded),
            (Phase::Claiming, _) => self.gone(Outcome::Unclaimed),

            (Phase::Finding { .. }, Event::FallbackFound(Some(renewed)))
                if renewed.rotated || !self.was_sent_again() =>
            {
                let storing = Storing {
                    renewed: *renewed,
                    tries: 0,
                    in_fallback: true,
                    recovered: true,
                };
                self.store(storing, now)
            }
            (Phase::Finding { refused: false }, Event::FallbackFound(_))
                if !self.keeps(Rule::RowAgain) =>
            {
                self.send(now)
            }
            (Phase::Finding { refused: false }, Event::FallbackFound(_)) => {
                self.phase = Phase::Rereading;
                Step::ReadAgain
            }
            // It was known to be dead, and is: for the reason that people were told.
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
                if row.credential.generation == self.generation && row.holds(&self.id) =>
            {
                self.row = *row;
                self.send(now)
            }
            (Phase::Rereading, Event::Read(_)) => self.gone(Outcome::Superseded),
            (Phase::Finding { .. } | Phase::Rereading, _) => {
                self.record(Recording::Release(Outcome::FallbackUnknown), now)
            }

            (Phase::Exchanging, Event::Answered(answered)) => self.answered(answered, now),
            (Phase::Dallying(_), Event::Key(false)) => self.gone(Outcome::Unstored),
            (Phase::Dallying(renewed), _) => self.store(Storing::new(renewed), now),
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
            (Phase::Exchanging | Phase::Judging, _) => self.gone(Outcome::Unstored),
        }
    }

    fn claim(&mut self, now: DateTime<Utc>) -> Step {
        if self
            .deadline
            .is_some_and(|end| now + EXCHANGE + PERSIST > end)
        {
            return self.done(Outcome::Released);
        }
        let mut row = self.row.clone();
        let until = now + LEASE;
        self.persist_until = until - SKEW * 2;
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
        let late = |end| now + EXCHANGE + LEAST_PERSIST > end;
        if late(self.persist_until) || self.deadline.is_some_and(late) {
            return self.record(Recording::Release(Outcome::Released), now);
        }
        self.sent = true;
        self.phase = Phase::Exchanging;
        Step::Send
    }

    /// Whether one more refusal shows that what was sent is dead.
    fn is_sure(&self, conclusive: bool, now: DateTime<Utc>) -> bool {
        let refused = ReconnectReason::GrantRefused;
        conclusive && (self.row.is_given_up() || self.row.is_confirmed_by(refused, conclusive, now))
    }

    /// Whether our token has been sent again since the exchange that left the
    /// doubt, as far as anybody knows: a fallback copy that brings no new one may be
    /// older than what that brought.
    fn was_sent_again(&self) -> bool {
        let earlier = self.earlier_possibly_replayed.as_ref();
        self.sent || earlier.is_some_and(|replay| replay.generation == self.generation)
    }

    /// What was announced has not been done.
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

    fn answered(&mut self, answered: Answered, now: DateTime<Utc>) -> Step {
        let (verdict, conclusive, code) = match answered {
            Answered::Renewed(renewed) if !self.keeps(Rule::KeyBeforeSend) => {
                self.phase = Phase::Dallying(*renewed);
                return Step::SecureKey;
            }
            Answered::Renewed(renewed) if !self.keeps(Rule::StoreFirst) => {
                self.phase = Phase::Dallying(*renewed);
                return Step::Probe;
            }
            Answered::Renewed(renewed) => return self.store(Storing::new(*renewed), now),
            Answered::Refused {
                verdict,
                conclusive,
                code,
            } => (verdict, conclusive, code),
        };
        let rotating = self.model == RefreshModel::Rotating;
        match verdict {
            // A platform that has replaced the token may call it revoked: also its
            // explicit word is believed in doubt only when it comes twice.
            Verdict::ReconnectNeeded(ReconnectReason::GrantRefused | ReconnectReason::Revoked)
                if self.in_doubt && self.is_sure(conclusive, now) =>
            {
                self.find(true)
            }
            Verdict::ReconnectNeeded(ReconnectReason::GrantRefused)
                if rotating
                    && self.row.is_possibly_replayed()
                    && !self.row.is_given_up()
                    && self.is_sure(conclusive, now) =>
            {
                self.phase = Phase::Judging;
                Step::Probe
            }
            // What no rotation explains is what it says.
            Verdict::ReconnectNeeded(_) if self.in_doubt && self.is_sure(conclusive, now) => {
                self.refuse(verdict, conclusive, code, now)
            }
            _ if self.in_doubt || rotating && verdict.may_have_acted() => {
                let in_doubt = Recording::InDoubt {
                    verdict,
                    conclusive,
                    code,
                };
                self.record(in_doubt, now)
            }
            _ => self.refuse(verdict, conclusive, code, now),
        }
    }

    fn refuse(
        &mut self,
        verdict: Verdict,
        conclusive: bool,
        code: Option<String>,
        now: DateTime<Utc>,
    ) -> Step {
        let refused = Recording::Refused {
            verdict,
            conclusive,
            code,
        };
        self.record(refused, now)
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

    /// The row is in others' hands, or nobody knows what it is.
    fn gone(&self, outcome: Outcome) -> Step {
        Step::Done(Box::new(End { outcome, row: None }))
    }

    #[cfg(not(test))]
    #[expect(clippy::unused_self, reason = "the simulation breaks rules")]
    const fn keeps(&self, _: Rule) -> bool {
        true
    }

    #[cfg(test)]
    fn keeps(&self, rule: Rule) -> bool {
        self.broken != Some(rule)
    }
}

#[cfg(test)]
mod tests;
