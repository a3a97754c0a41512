//! One attempt at refreshing a connection, as a state machine without I/O: it
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
//! * what the row does not take is parked where the next holder finds it, and
//!   the next holder looks there, and at the row again, before it sends anything.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Renewed, Seen};
use crate::integration::{Integration, Intent, Lease};
use crate::platform::RefreshModel;
use crate::verdict::{ReconnectReason, Verdict};

/// How long an exchange may take at most.
pub const EXCHANGE: TimeDelta = TimeDelta::seconds(10);
/// How long storing its answer may take.
pub const PERSIST: TimeDelta = TimeDelta::seconds(30);
/// By how much the clocks of two instances may differ.
const SKEW: TimeDelta = TimeDelta::seconds(10);
/// For how long an attempt holds a connection.
pub const LEASE: TimeDelta =
    TimeDelta::seconds(EXCHANGE.num_seconds() + PERSIST.num_seconds() + 2 * SKEW.num_seconds());
/// Nothing is sent with less time than this to store the answer in.
const LEAST_PERSIST: TimeDelta = TimeDelta::seconds(10);
/// How often a write that lost a race is applied to what won it.
const RACES: u8 = 5;
/// How often recording a refusal is tried: if it never succeeds, the lease runs out.
const RECORD_TRIES: u8 = 3;
/// How long storing pauses once both places have failed: what ails them may
/// pass. It doubles each time, up to the longest.
const PAUSES: (TimeDelta, TimeDelta) = (TimeDelta::milliseconds(500), TimeDelta::seconds(4));
/// How often storing is tried at most; with the pauses the time ends first.
const STORE_TRIES: u32 = 32;

/// What is to be done next.
#[derive(Debug, Clone)]
pub enum Step {
    /// Have a data key at hand.
    SecureKey,
    /// Write the row, if it is still the one that was read.
    Claim(Box<Integration>),
    /// Look for a parked credential of this generation.
    FindParked(u64),
    /// Read the row again, strongly consistent.
    ReadAgain,
    /// Exchange the credential, and seal what comes with the key at hand.
    Send,
    /// Write the row with new tokens, if it is still the one that was read.
    Store(Box<Integration>),
    /// Park new tokens.
    Park(Box<Renewed>),
    /// Wait for so long.
    Pause(TimeDelta),
    /// Remove the parked credential of this generation.
    RemoveParked(u64),
    /// Ask whether the access token lives.
    Probe,
    /// Write the row with what was learned, if it is still the one that was read.
    Record(Box<Integration>),
    /// Nothing.
    Done(Box<End>),
}

/// What came of a step.
#[derive(Debug, Clone)]
pub enum Event {
    /// The key is at hand, or not.
    Key(bool),
    /// The row was written, and is now this.
    Written(Box<Integration>),
    /// Somebody else had written it: it is now this, if it exists.
    Lost(Option<Box<Integration>>),
    /// Nobody knows whether it was written.
    Unwritten,
    /// What is parked, if anything is.
    Parked(Option<Box<Renewed>>),
    /// The row as it is now, if it exists.
    Read(Option<Box<Integration>>),
    /// What is parked, or the row, could not be read.
    Unreadable,
    /// It was parked, or nobody knows.
    ParkedAway(bool),
    /// The pause is over.
    Paused,
    /// What was parked is gone, or nobody knows.
    Removed,
    /// The platform answered.
    Answered(Answered),
    /// The platform's word on the access token, if it has a free way to ask.
    Probed(Option<Result<Seen, Verdict>>),
}

/// A platform's answer to an exchange.
#[derive(Debug, Clone)]
pub enum Answered {
    /// New tokens.
    Renewed(Box<Renewed>),
    /// None.
    Refused {
        /// Why.
        verdict: Verdict,
        /// Whether a refusal may be believed: not while our application itself
        /// may be what is refused.
        conclusive: bool,
    },
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub struct End {
    /// What came of it.
    pub outcome: Outcome,
    /// The row as it is now, as far as this attempt knows.
    pub row: Option<Integration>,
}

/// What came of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A new token is stored.
    Renewed,
    /// A new token that an earlier attempt had parked is stored.
    Recovered,
    /// The platform gave none; the row says so.
    Refused(Verdict),
    /// Whether the platform replaced the token is not known.
    InDoubt(Verdict),
    /// The platform replaced the token and the answer is gone.
    RotationLost,
    /// Nothing was sent: too little time was left.
    Released,
    /// Nothing was sent: no key to seal an answer with.
    NoKey,
    /// Nothing was sent: whether an answer is parked or stored could not be found out.
    ParkingUnknown,
    /// Nothing was sent, or what came was dropped: somebody else was quicker.
    Superseded,
    /// The row could not be written before anything was sent.
    Unclaimed,
    /// The new token is parked; the next holder stores it.
    Parked,
    /// The new token could be stored nowhere.
    Unstored,
    /// A refusal could not be recorded.
    Unrecorded(Verdict),
}

/// A rule that keeps grants alive. Only the simulation breaks one, to show
/// that it would notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    KeyBeforeSend,
    ParkedFirst,
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
    earlier_replay: Option<Intent>,
    sent: bool,
    deadline: Option<DateTime<Utc>>,
    /// When storing must have ended.
    persist_until: DateTime<Utc>,
    luck: f64,
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
    /// removed what was parked of it.
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

#[derive(Debug)]
struct Storing {
    renewed: Renewed,
    tries: u32,
    /// A copy of it is parked.
    parked: bool,
    /// It came from there.
    recovered: bool,
}

/// What is to be written of an exchange that brought no tokens, or of a probe.
#[derive(Debug, Clone)]
enum Recording {
    Release(Outcome),
    Refused { verdict: Verdict, conclusive: bool },
    InDoubt { verdict: Verdict, conclusive: bool },
    RotationLost(Option<Result<Seen, Verdict>>),
    Seen(Seen),
}

impl Attempt {
    /// An attempt at `row`, which nobody else holds; nothing is sent that could
    /// not be stored before `deadline`. `luck` in `[0, 1)` places the next
    /// attempt if this one fails.
    #[must_use]
    pub fn new(
        id: String,
        row: Integration,
        deadline: Option<DateTime<Utc>>,
        luck: f64,
        now: DateTime<Utc>,
    ) -> Self {
        Self {
            id,
            generation: row.generation,
            model: row.refresh_model(),
            in_doubt: row.is_in_doubt(),
            earlier_replay: None,
            sent: false,
            deadline,
            persist_until: now,
            luck,
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
                if self.in_doubt && self.keeps(Rule::ParkedFirst) {
                    self.find(false)
                } else {
                    self.send(now)
                }
            }
            (Phase::Claiming, Event::Lost(_)) => self.gone(Outcome::Superseded),
            (Phase::Claiming, _) => self.gone(Outcome::Unclaimed),

            (Phase::Finding { .. }, Event::Parked(Some(renewed)))
                if renewed.rotated || !self.was_sent_again() =>
            {
                let storing = Storing {
                    renewed: *renewed,
                    tries: 0,
                    parked: true,
                    recovered: true,
                };
                self.store(storing, now)
            }
            (Phase::Finding { refused: false }, Event::Parked(_))
                if !self.keeps(Rule::RowAgain) =>
            {
                self.send(now)
            }
            (Phase::Finding { refused: false }, Event::Parked(_)) => {
                self.phase = Phase::Rereading;
                Step::ReadAgain
            }
            // It was known to be dead, and is: for the reason that people were told.
            (Phase::Finding { refused: true }, Event::Parked(_)) if self.row.is_given_up() => {
                let refused = Recording::Refused {
                    verdict: Verdict::ReconnectNeeded(ReconnectReason::GrantRefused),
                    conclusive: true,
                };
                self.record(refused, now)
            }
            (Phase::Finding { refused: true }, Event::Parked(_)) => {
                self.phase = Phase::Judging;
                Step::Probe
            }
            (Phase::Rereading, Event::Read(Some(row)))
                if row.generation == self.generation && row.holds(&self.id) =>
            {
                self.row = *row;
                self.send(now)
            }
            (Phase::Rereading, Event::Read(_)) => self.gone(Outcome::Superseded),
            (Phase::Finding { .. } | Phase::Rereading, _) => {
                self.record(Recording::Release(Outcome::ParkingUnknown), now)
            }

            (Phase::Exchanging, Event::Answered(answered)) => self.answered(answered, now),
            (Phase::Dallying(_), Event::Key(false)) => self.gone(Outcome::Unstored),
            (Phase::Dallying(renewed), _) => self.store(Storing::new(renewed), now),
            (Phase::Storing(storing), event) => self.stored(storing, event, now),
            (Phase::Completing, Event::Probed(Some(Ok(seen)))) => {
                self.record(Recording::Seen(seen), now)
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
        row.lease = Some(Lease {
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
                self.earlier_replay = row.replay.replace(intent);
            } else {
                row.intent = Some(intent);
            }
        }
        self.phase = Phase::Claiming;
        Step::Claim(Box::new(row))
    }

    fn find(&mut self, refused: bool) -> Step {
        self.phase = Phase::Finding { refused };
        Step::FindParked(self.generation + 1)
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

    /// Whether somebody else has set about sending our token again.
    fn is_replayed(&self, row: &Integration) -> bool {
        // A success, however late, clears a conclusion that came too early.
        row.generation == self.generation
            && !row.is_given_up()
            && row.replay.as_ref().is_some_and(|replay| {
                replay.generation == self.generation && replay.attempt != self.id
            })
    }

    /// Whether our token has been sent again since the exchange that left the
    /// doubt, as far as anybody knows: a parked copy that brings no new one may be
    /// older than what that brought.
    fn was_sent_again(&self) -> bool {
        let earlier = self.earlier_replay.as_ref();
        self.sent || earlier.is_some_and(|replay| replay.generation == self.generation)
    }

    /// What was announced has not been done.
    fn take_back_replay(&self, row: &mut Integration) {
        if row
            .replay
            .as_ref()
            .is_some_and(|replay| replay.attempt == self.id)
        {
            row.replay = self.earlier_replay.clone();
        }
    }

    fn answered(&mut self, answered: Answered, now: DateTime<Utc>) -> Step {
        let (verdict, conclusive) = match answered {
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
            } => (verdict, conclusive),
        };
        let rotating = self.model == RefreshModel::Rotating;
        match verdict {
            // A platform that has replaced the token may call it revoked: also its
            // explicit word is believed in doubt only when it comes twice.
            Verdict::ReconnectNeeded(_) if self.in_doubt && self.is_sure(conclusive, now) => {
                self.find(true)
            }
            Verdict::ReconnectNeeded(ReconnectReason::GrantRefused)
                if rotating
                    && self.row.is_contested()
                    && !self.row.is_given_up()
                    && self.is_sure(conclusive, now) =>
            {
                self.phase = Phase::Judging;
                Step::Probe
            }
            _ if self.in_doubt || rotating && verdict.may_have_acted() => {
                let in_doubt = Recording::InDoubt {
                    verdict,
                    conclusive,
                };
                self.record(in_doubt, now)
            }
            _ => {
                let refused = Recording::Refused {
                    verdict,
                    conclusive,
                };
                self.record(refused, now)
            }
        }
    }

    fn store(&mut self, storing: Storing, now: DateTime<Utc>) -> Step {
        let mut row = self.row.clone();
        row.renew(storing.renewed.clone(), now);
        if !storing.recovered {
            // The platform has answered to the token's being sent again.
            row.replay.take_if(|replay| replay.attempt == self.id);
        } else if !self.sent {
            self.take_back_replay(&mut row);
        }
        self.phase = Phase::Storing(storing);
        Step::Store(Box::new(row))
    }

    fn stored(&mut self, mut storing: Storing, event: Event, now: DateTime<Utc>) -> Step {
        match event {
            Event::Written(row) => {
                self.row = *row;
                self.after_storing(&storing)
            }
            // Our own write, whose answer was lost: the sealed form is unique.
            Event::Lost(Some(row))
                if row.access_token.as_ref() == Some(&storing.renewed.access_token) =>
            {
                self.row = *row;
                self.after_storing(&storing)
            }
            // Whoever sent that token again may have been given a new one: storing
            // the old one once more would keep that from being stored.
            Event::Lost(Some(row)) if !storing.renewed.rotated && self.is_replayed(&row) => {
                self.gone(Outcome::Superseded)
            }
            Event::Lost(Some(row))
                if row.generation == self.generation
                    || !self.keeps(Rule::ConditionOnGeneration) =>
            {
                self.races = self.races.saturating_add(1);
                self.row = *row;
                let in_time = now < self.persist_until;
                match (self.races <= RACES, storing.parked) {
                    // Ours is still the only living one. What nothing else keeps
                    // is stored over whoever holds the row by now, however late:
                    // it replaces only the credential that it was got for.
                    (true, false) => self.store(storing, now),
                    (true, true) if in_time => self.store(storing, now),
                    // Left for the next holder.
                    (_, true) => self.gone(Outcome::Parked),
                    (false, false) => self.store_elsewhere(storing, now),
                }
            }
            Event::Lost(_) if storing.parked => self.tidy(Outcome::Superseded),
            Event::Lost(_) => self.gone(Outcome::Superseded),
            Event::ParkedAway(true) if now < self.persist_until => {
                storing.parked = true;
                self.store(storing, now)
            }
            Event::ParkedAway(true) => self.gone(Outcome::Parked),
            _ if storing.parked => self.gone(Outcome::Parked),
            Event::Paused => self.store_in_place(storing, now),
            _ => self.store_elsewhere(storing, now),
        }
    }

    /// Goes on to the next place to store it in, until the time for that is over:
    /// the row twice, then parking and the row in turn, with pauses in between.
    fn store_elsewhere(&mut self, mut storing: Storing, now: DateTime<Utc>) -> Step {
        storing.tries += 1;
        let pause = storing.pause().unwrap_or_default();
        if storing.tries >= STORE_TRIES || now + pause >= self.persist_until {
            return self.gone(Outcome::Unstored);
        }
        if pause > TimeDelta::zero() {
            self.phase = Phase::Storing(storing);
            return Step::Pause(pause);
        }
        self.store_in_place(storing, now)
    }

    fn store_in_place(&mut self, storing: Storing, now: DateTime<Utc>) -> Step {
        // Any other credential than a single-use one can be asked for again.
        if storing.is_for_parking() && self.model == RefreshModel::Rotating {
            let renewed = Box::new(storing.renewed.clone());
            self.phase = Phase::Storing(storing);
            return Step::Park(renewed);
        }
        self.store(storing, now)
    }

    fn after_storing(&mut self, storing: &Storing) -> Step {
        let outcome = match storing.recovered {
            true => Outcome::Recovered,
            false => Outcome::Renewed,
        };
        if storing.parked {
            return self.tidy(outcome);
        }
        // What no answer to an extension tells, and some leave out: the probe has it.
        let is_told = storing.renewed.lifetimes.access.is_some();
        if self.model == RefreshModel::Extend
            && (!is_told || self.row.platform.limits_data_access())
        {
            self.phase = Phase::Completing;
            return Step::Probe;
        }
        self.done(outcome)
    }

    fn tidy(&mut self, outcome: Outcome) -> Step {
        self.phase = Phase::Tidying(outcome);
        Step::RemoveParked(self.generation + 1)
    }

    fn record(&mut self, what: Recording, now: DateTime<Utc>) -> Step {
        self.record_again(what, 0, now)
    }

    fn record_again(&mut self, what: Recording, tries: u8, now: DateTime<Utc>) -> Step {
        let mut row = self.row.clone();
        if !self.sent {
            self.take_back_replay(&mut row);
        }
        what.apply(&mut row, self.luck, now);
        self.phase = Phase::Recording(what, tries);
        Step::Record(Box::new(row))
    }

    fn recorded(&mut self, what: Recording, tries: u8, event: Event, now: DateTime<Utc>) -> Step {
        match event {
            Event::Written(row) => {
                self.row = *row;
                self.done(what.outcome())
            }
            Event::Lost(Some(row)) if self.races < RACES && self.still_ours(&what, &row) => {
                self.races += 1;
                self.row = *row;
                self.record_again(what, tries, now)
            }
            Event::Lost(_) => self.gone(Outcome::Superseded),
            _ if tries < RECORD_TRIES => self.record_again(what, tries + 1, now),
            _ => self.gone(match what {
                Recording::Refused { verdict, .. } | Recording::InDoubt { verdict, .. } => {
                    Outcome::Unrecorded(verdict)
                }
                other => other.outcome(),
            }),
        }
    }

    /// Whether what was learned is still about this row: nobody holds it but
    /// us, or, after storing, the tokens are still the ones that we stored.
    fn still_ours(&self, what: &Recording, row: &Integration) -> bool {
        match what {
            Recording::Seen(_) => row.generation == self.row.generation,
            _ => row.generation == self.generation && row.holds(&self.id),
        }
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

impl Storing {
    const fn new(renewed: Renewed) -> Self {
        Self {
            renewed,
            tries: 0,
            parked: false,
            recovered: false,
        }
    }

    const fn is_for_parking(&self) -> bool {
        self.tries >= 2 && self.tries.is_multiple_of(2)
    }

    /// Before another round of both places.
    fn pause(&self) -> Option<TimeDelta> {
        let rounds = (self.tries / 2).checked_sub(2)?;
        let doubled = PAUSES.0 * 2_i32.pow(rounds.min(8));
        self.is_for_parking().then(|| doubled.min(PAUSES.1))
    }
}

impl Recording {
    fn apply(&self, row: &mut Integration, luck: f64, now: DateTime<Utc>) {
        match self {
            Self::Release(outcome) => row.release(*outcome == Outcome::ParkingUnknown, now, luck),
            Self::Refused {
                verdict,
                conclusive,
            } => row.fail(verdict, *conclusive, now, luck),
            Self::InDoubt {
                verdict,
                conclusive,
            } => row.doubt(verdict, *conclusive, now, luck),
            Self::RotationLost(probed) => row.lose_rotation(probed.as_ref(), now),
            Self::Seen(seen) => row.see_extended(seen, now),
        }
    }

    fn outcome(self) -> Outcome {
        match self {
            Self::Release(outcome) => outcome,
            Self::Refused { verdict, .. } => Outcome::Refused(verdict),
            Self::InDoubt { verdict, .. } => Outcome::InDoubt(verdict),
            Self::RotationLost(_) => Outcome::RotationLost,
            Self::Seen(_) => Outcome::Renewed,
        }
    }
}

impl Outcome {
    /// The name under which reports and audit rows count it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Renewed => "renewed",
            Self::Recovered => "recovered",
            Self::Refused(verdict) | Self::Unrecorded(verdict) => verdict.name(),
            Self::InDoubt(_) => "in_doubt",
            Self::RotationLost => "rotation_lost",
            Self::Released => "no_time",
            Self::NoKey => "no_key",
            Self::ParkingUnknown => "parking_unknown",
            Self::Superseded => "superseded",
            Self::Unclaimed => "unclaimed",
            Self::Parked => "parked",
            Self::Unstored => "unstored",
        }
    }
}

#[cfg(test)]
mod tests;
