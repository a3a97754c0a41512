//! How an instance does the steps that the protocol names, and what goes wrong
//! with each.

use chrono::TimeDelta;

use crate::domain::refresh::attempt::{Answered, EXCHANGE, Event, Step};
use crate::domain::verdict::{ReconnectReason, Throttled, Transient, Verdict};

use super::effect::Effect;
use super::people::Act;
use super::platform::Via;
use super::tally::{CutKind, Moment, Topic};
use super::world::{Fault, Wire, World};

/// How long a try at anything but an exchange or a probe may take.
const TRY: TimeDelta = TimeDelta::seconds(5);

/// Something on the agenda.
pub(super) enum Action {
    Wake(usize),
    /// The invocation's time is over.
    Deadline(usize, u32),
    Effect(Effect, Via, Reply),
    Deliver {
        to: (usize, u32),
        event: Event,
        /// It dies on hearing of it.
        fatal: bool,
    },
    Person(Act),
}

/// Who hears what comes of an effect.
#[derive(Clone, Copy)]
pub(super) enum Reply {
    Deliver {
        to: (usize, u32),
        after: TimeDelta,
        fatal: bool,
    },
    /// Who asked dies at this instant.
    Dies((usize, u32)),
    Nobody,
}

/// What becomes of something asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Fine,
    /// Not done, and said so at once.
    Refused,
    /// Not done, and nobody says so.
    Unheard,
    /// Done, and nobody says so.
    Unanswered,
    /// Done after whoever asked gave up.
    Late,
    /// Done; whoever asked stood still for a while before hearing of it.
    Paused,
    /// The platform's own.
    Failed,
    FailedAfterActing,
    /// And asked us to come back later; for how long, in seconds.
    FailedWithWait(i64),
    Garbled,
    Throttled(i64),
    Misconfigured,
    Inconclusive,
    Lied,
    Doubled,
    DoubledAndMasked,
}

impl Fate {
    const USUAL: [Self; 4] = [Self::Refused, Self::Unheard, Self::Unanswered, Self::Late];
    const OF_EXCHANGES: [Self; 16] = [
        Self::Refused,
        Self::Unheard,
        Self::Unanswered,
        Self::Unanswered,
        Self::Late,
        Self::Failed,
        Self::FailedAfterActing,
        Self::FailedWithWait(120),
        Self::FailedWithWait(3_600),
        Self::Garbled,
        Self::Throttled(120),
        Self::Throttled(3_600),
        Self::Misconfigured,
        Self::Inconclusive,
        Self::Lied,
        Self::Doubled,
    ];

    const fn acts(self) -> bool {
        matches!(
            self,
            Self::Unanswered | Self::FailedAfterActing | Self::FailedWithWait(_) | Self::Garbled
        )
    }

    const fn name(self, kind: CutKind) -> &'static str {
        let exchange = matches!(kind, CutKind::Send);
        match self {
            Self::Fine => "none",
            Self::Refused => match kind {
                CutKind::Send => "exchange: platform unreachable",
                CutKind::SecureKey => "key management fails",
                CutKind::Claim | CutKind::Store | CutKind::Record => "row: write refused",
                CutKind::ReadAgain => "row: read fails",
                CutKind::Probe => "probe fails",
                CutKind::Pause => "none",
                CutKind::FindFallback | CutKind::StoreFallback | CutKind::RemoveFallback => {
                    "fallback fails"
                }
            },
            Self::Unheard if exchange => "exchange: request lost",
            Self::Unheard => "request lost",
            Self::Unanswered if exchange => "exchange: answer lost after the platform acted",
            Self::Unanswered => "done, answer lost",
            Self::Late if exchange => "exchange: platform acts after we gave up",
            Self::Late => "done after we gave up",
            Self::Paused => "instance stands still for 20 to 120 s",
            Self::Failed => "exchange: 5xx without acting",
            Self::FailedAfterActing => "exchange: 5xx after acting",
            Self::FailedWithWait(..=120) => "exchange: 5xx with Retry-After after acting",
            Self::FailedWithWait(_) => "exchange: 5xx with Retry-After of an hour after acting",
            Self::Garbled => "exchange: unintelligible after acting",
            Self::Throttled(..=120) => "exchange: throttled",
            Self::Throttled(_) => "exchange: throttled for an hour",
            Self::Misconfigured => "exchange: application refused",
            Self::Inconclusive => "exchange: refusal while refusals are doubted",
            Self::Lied => "exchange: a living token refused once",
            Self::Doubled => "exchange: request doubled, first answer arrives",
            Self::DoubledAndMasked => "exchange: request doubled, second answer arrives",
        }
    }
}

impl Action {
    /// Whether the run must wait for it.
    pub(super) const fn is_in_flight(&self) -> bool {
        !matches!(self, Self::Wake(_) | Self::Deadline(..))
    }
}

impl World {
    pub(super) fn act(&mut self, action: Action) {
        match action {
            Action::Wake(who) => self.wake(who),
            Action::Deadline(who, life) => {
                if self.sweepers[who].life == life && self.sweepers[who].attempt.is_some() {
                    self.count(Topic::Faults, "invocation ends at its deadline");
                    self.die(who);
                }
            }
            Action::Effect(effect, via, reply) => self.happen(effect, via, reply),
            Action::Deliver { to, event, fatal } => self.hear(to, event, fatal),
            Action::Person(act) => self.person_acts(act),
        }
    }

    fn happen(&mut self, effect: Effect, via: Via, reply: Reply) {
        let (event, masked) = (self.apply(effect, via), via == Via::Double);
        match reply {
            Reply::Deliver { to, after, fatal } => {
                if masked && let [.., first] = self.exchanges.as_mut_slice() {
                    first.masked = true;
                }
                self.push(after, Action::Deliver { to, event, fatal });
            }
            Reply::Dies((who, life)) if self.sweepers[who].life == life => self.die(who),
            Reply::Dies(_) | Reply::Nobody => {}
        }
    }

    fn hear(&mut self, (who, life): (usize, u32), event: Event, fatal: bool) {
        if self.sweepers[who].life != life {
            return;
        }
        self.say(|| format!("instance {who} hears {}", brief(&event)));
        if fatal {
            return self.die(who);
        }
        let Some(mut attempt) = self.sweepers[who].attempt.take() else {
            return self.wake_later(who);
        };
        if matches!(event, Event::Answered(_))
            && let Some(wire) = self.wire.as_mut().filter(|it| it.sender == (who, life))
        {
            wire.until = wire.until.min(self.now);
        }
        self.take_answer(who, &event);
        if let Event::Written(row) = &event {
            self.sweepers[who].tokens = self.tokens_of(row).ok().flatten();
        }
        if let Event::Probed(probed) = &event {
            self.sweepers[who].probed = probed.as_ref().map(Result::is_ok);
        }
        let step = attempt.next(event, self.local(who));
        self.sweepers[who].attempt = Some(attempt);
        self.perform(who, step);
    }

    pub(super) fn perform(&mut self, who: usize, step: Step) {
        let Some(kind) = CutKind::of(&step) else {
            return self.finish(who, step);
        };
        self.say(|| format!("instance {who}: {kind:?}"));
        if let Some(held) = self.sweepers[who].holding
            && !self.exchanges[held].is_durable()
        {
            self.exchanges[held].steps.insert(kind);
        }
        self.maybe_a_person_acts();
        // The steps that few attempts come to are cut more often.
        let often = match kind {
            CutKind::RemoveFallback => 3,
            CutKind::Pause => 4,
            _ => 1,
        };
        let cut = !self.healthy && self.chance.percent(self.rates.cut * often);
        let cut = cut.then(|| self.chance.pick(&Moment::ALL));
        if let Some(moment) = cut {
            self.say(|| format!("instance {who} is cut {moment:?} {kind:?}"));
            self.tally.cut(kind, moment);
        }
        if cut == Some(Moment::Before) {
            return self.die(who);
        }
        if kind == CutKind::Send {
            self.send_begins(who);
        }
        let pause = match step {
            Step::Pause(pause) => pause,
            _ => TimeDelta::zero(),
        };
        let effect = self.effect_of(who, step);
        let to = (who, self.sweepers[who].life);
        match cut {
            Some(Moment::During) => {
                let after = self.chance.millis(0, limit(kind).num_milliseconds());
                let effect = Action::Effect(effect, Via::Sender, Reply::Dies(to));
                self.push(after, effect);
            }
            Some(Moment::After) if kind == CutKind::Pause => self.pause(to, pause, true),
            None if kind == CutKind::Pause => self.pause(to, pause, false),
            Some(_) => self.submit(to, kind, effect, Fate::Fine, true),
            None => {
                let fate = self.fate(kind);
                self.submit(to, kind, effect, fate, false);
            }
        }
    }

    /// Nothing can fail a pause; it may take longer.
    fn pause(&mut self, to: (usize, u32), pause: TimeDelta, fatal: bool) {
        let still = !self.healthy && self.chance.percent(self.rates.pause);
        let longer = match still {
            true => self.chance.millis(20_000, 120_000),
            false => TimeDelta::zero(),
        };
        let event = Event::Paused;
        self.push(pause + longer, Action::Deliver { to, event, fatal });
    }

    /// Writes outside of an attempt; whatever comes of it, the row is left.
    pub(super) fn write_and_leave(&mut self, who: usize, effect: Effect) {
        self.sweepers[who].attempt = None;
        let to = (who, self.sweepers[who].life);
        let fate = self.fate(CutKind::Record);
        self.submit(to, CutKind::Record, effect, fate, false);
    }

    fn fate(&mut self, kind: CutKind) -> Fate {
        let rate = match kind {
            CutKind::Claim | CutKind::Store | CutKind::Record | CutKind::ReadAgain => {
                self.rates.store
            }
            CutKind::FindFallback | CutKind::StoreFallback | CutKind::RemoveFallback => {
                self.rates.fallback
            }
            CutKind::SecureKey | CutKind::Pause => self.rates.key,
            CutKind::Send | CutKind::Probe => self.rates.platform,
        };
        if self.healthy {
            return Fate::Fine;
        }
        let fate = if self.chance.percent(self.rates.pause) {
            Fate::Paused
        } else if !self.chance.percent(rate) {
            return Fate::Fine;
        } else if kind == CutKind::Send {
            self.chance.pick(&Fate::OF_EXCHANGES)
        } else {
            self.chance.pick(&Fate::USUAL)
        };
        let fate = match fate {
            // Refused twice nobody could tell from the truth.
            Fate::Lied if self.lied => Fate::Throttled(120),
            Fate::Doubled if self.chance.percent(30) => Fate::DoubledAndMasked,
            fate => fate,
        };
        self.lied |= matches!(fate, Fate::Lied | Fate::Inconclusive);
        self.say(|| format!("  but: {}", fate.name(kind)));
        self.count(Topic::Faults, fate.name(kind));
        fate
    }

    fn submit(&mut self, to: (usize, u32), kind: CutKind, effect: Effect, fate: Fate, fatal: bool) {
        let limit = limit(kind);
        let sent = self.chance.millis(0, 1_500);
        let back = self.chance.millis(0, 1_500);
        let answer = |after| Reply::Deliver { to, after, fatal };
        match fate {
            Fate::Fine => self.push(sent, Action::Effect(effect, Via::Sender, answer(back))),
            Fate::Paused => {
                let after = self.chance.millis(20_000, 120_000);
                self.push(sent, Action::Effect(effect, Via::Sender, answer(after)));
            }
            Fate::Doubled | Fate::DoubledAndMasked => {
                let (first, second) = match fate {
                    Fate::Doubled => (answer(back), Reply::Nobody),
                    _ => (Reply::Nobody, answer(back)),
                };
                let again = sent + self.chance.millis(0, 5_000);
                let double = Action::Effect(effect.clone(), Via::Double, second);
                self.push(sent, Action::Effect(effect, Via::Sender, first));
                self.push(again, double);
            }
            _ => {
                let told = match fate {
                    Fate::Unheard | Fate::Unanswered | Fate::Late => limit,
                    _ => sent + back,
                };
                let event = failure(kind, fate);
                if fate.acts() {
                    self.push(sent, Action::Effect(effect, Via::Sender, Reply::Nobody));
                } else if fate == Fate::Late {
                    let after = limit + self.chance.millis(1, 90_000);
                    self.push(after, Action::Effect(effect, Via::Late, Reply::Nobody));
                }
                self.push(told, Action::Deliver { to, event, fatal });
            }
        }
    }

    /// No two attempts may have the same token on its way at once.
    fn send_begins(&mut self, who: usize) {
        let Some(token) = self.sweepers[who].tokens.and_then(|tokens| tokens.refresh) else {
            return;
        };
        let sender = (who, self.sweepers[who].life);
        if let Some(wire) = &self.wire
            && (wire.token, wire.until > self.now) == (token, true)
            && wire.sender != sender
        {
            self.find(Fault::Invariant, "two attempts send at once".to_owned());
        }
        self.wire = Some(Wire {
            token,
            sender,
            until: self.now + EXCHANGE,
        });
    }
}

fn limit(kind: CutKind) -> TimeDelta {
    match kind {
        CutKind::Send | CutKind::Probe => EXCHANGE,
        _ => TRY,
    }
}

/// What whoever asked is told when it did not work.
fn failure(kind: CutKind, fate: Fate) -> Event {
    let transient = |transient| (Verdict::Transient(transient), true);
    let (verdict, conclusive) = match fate {
        Fate::Refused => transient(Transient::Unreachable),
        Fate::Failed | Fate::FailedAfterActing => transient(Transient::ServerError),
        Fate::Garbled => transient(Transient::Unintelligible),
        Fate::Throttled(seconds) | Fate::FailedWithWait(seconds) => {
            let wait = Some(TimeDelta::seconds(seconds));
            let whom = match fate {
                Fate::Throttled(_) => Throttled::Integration,
                _ => Throttled::Everyone,
            };
            (Verdict::Throttled { wait, whom }, true)
        }
        Fate::Misconfigured => (Verdict::AppMisconfigured, false),
        Fate::Inconclusive | Fate::Lied => (
            Verdict::ReconnectNeeded(ReconnectReason::GrantRefused),
            fate == Fate::Lied,
        ),
        _ => transient(Transient::NoAnswer),
    };
    match kind {
        CutKind::SecureKey => Event::Key(false),
        CutKind::Claim | CutKind::Store | CutKind::Record => Event::Unwritten,
        CutKind::FindFallback | CutKind::ReadAgain => Event::Unreadable,
        CutKind::StoreFallback => Event::FallbackStored(false),
        CutKind::Pause => Event::Paused,
        CutKind::RemoveFallback => Event::Removed,
        CutKind::Probe => Event::Probed(Some(Err(verdict))),
        CutKind::Send => Event::Answered(Answered::Refused {
            verdict,
            conclusive,
            code: None,
        }),
    }
}

fn brief(event: &Event) -> String {
    match event {
        Event::Written(row) => format!(
            "Written: {:?}, generation {}",
            row.state, row.credential.generation
        ),
        Event::Lost(Some(row)) => format!(
            "Lost: {:?}, generation {}",
            row.state, row.credential.generation
        ),
        Event::FallbackFound(Some(_)) => "FallbackFound: there".to_owned(),
        Event::Answered(Answered::Renewed(_)) => "new tokens".to_owned(),
        other => format!("{other:?}"),
    }
}
