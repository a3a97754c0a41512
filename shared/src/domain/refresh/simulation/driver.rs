//! How an instance performs the steps that the protocol names, and what goes wrong with each.

use chrono::TimeDelta;
use test_support::{Moment, Section};

use crate::domain::refresh::attempt::{Answered, Event, Step, TOKEN_REQUEST_TIMEOUT};

use super::effect::Effect;
use super::fate::{Fate, failure};
use super::people::PersonAction;
use super::platform::Via;
use super::step_kind::StepKind;
use super::world::{ProtocolWorld, Violation, Wire};

/// How long a try at anything but an exchange or a probe may take.
const STEP_TIMEOUT: TimeDelta = TimeDelta::seconds(5);

pub(super) enum AgendaItem {
    Wake(usize),
    /// The invocation's time is over.
    Deadline(usize, u32),
    Effect(Effect, Via, Reply),
    Deliver {
        to: (usize, u32),
        event: Event,
        /// The instance dies on receiving the event.
        fatal: bool,
    },
    Person(PersonAction),
}

/// Who hears the event of an effect.
#[derive(Clone, Copy)]
pub(super) enum Reply {
    Deliver {
        to: (usize, u32),
        after: TimeDelta,
        fatal: bool,
    },
    /// The instance that asked dies at this instant.
    Dies((usize, u32)),
    Nobody,
}

impl AgendaItem {
    /// Whether the run must wait for this item.
    pub(super) const fn is_in_flight(&self) -> bool {
        !matches!(self, Self::Wake(_) | Self::Deadline(..))
    }
}

impl ProtocolWorld {
    pub(super) fn act(&mut self, action: AgendaItem) {
        match action {
            AgendaItem::Wake(who) => self.wake(who),
            AgendaItem::Deadline(who, life) => {
                if self.sweepers[who].life == life && self.sweepers[who].attempt.is_some() {
                    self.count(Section::Faults, "invocation ends at its deadline");
                    self.die(who);
                }
            }
            AgendaItem::Effect(effect, via, reply) => self.take_effect(effect, via, reply),
            AgendaItem::Deliver { to, event, fatal } => self.receive(to, event, fatal),
            AgendaItem::Person(act) => self.person_acts(act),
        }
    }

    fn take_effect(&mut self, effect: Effect, via: Via, reply: Reply) {
        let (event, masked) = (self.apply(effect, via), via == Via::Double);
        match reply {
            Reply::Deliver { to, after, fatal } => {
                if masked && let [.., first] = self.exchanges.as_mut_slice() {
                    first.masked = true;
                }
                self.push(after, AgendaItem::Deliver { to, event, fatal });
            }
            Reply::Dies((who, life)) if self.sweepers[who].life == life => self.die(who),
            Reply::Dies(_) | Reply::Nobody => {}
        }
    }

    fn receive(&mut self, (who, life): (usize, u32), event: Event, fatal: bool) {
        if self.sweepers[who].life != life {
            return;
        }
        self.narrate(|| format!("instance {who} receives {}", brief(&event)));
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
        let Some(kind) = StepKind::from_step(&step) else {
            return self.finish(who, step);
        };
        self.narrate(|| format!("instance {who}: {kind:?}"));
        if let Some(held) = self.sweepers[who].holding
            && !self.exchanges[held].is_durable()
        {
            self.exchanges[held].steps.insert(kind);
        }
        self.maybe_a_person_acts();
        // At the steps that few attempts come to, instances die more often.
        let often = match kind {
            StepKind::RemoveFallback => 3,
            StepKind::Pause => 4,
            _ => 1,
        };
        let dies = !self.healthy && self.chance.percent(self.rates.crash * often);
        let dies = dies.then(|| self.chance.pick(&Moment::ALL));
        if let Some(moment) = dies {
            self.narrate(|| format!("instance {who} dies {moment:?} {kind:?}"));
            self.tally.crash(kind, moment);
        }
        if dies == Some(Moment::Before) {
            return self.die(who);
        }
        if kind == StepKind::Send {
            self.send_begins(who);
        }
        let pause = match step {
            Step::Pause(pause) => pause,
            _ => TimeDelta::zero(),
        };
        let effect = self.effect_of(who, step);
        let to = (who, self.sweepers[who].life);
        match dies {
            Some(Moment::During) => {
                let after = self.chance.millis(0, limit(kind).num_milliseconds());
                let effect = AgendaItem::Effect(effect, Via::Sender, Reply::Dies(to));
                self.push(after, effect);
            }
            Some(Moment::After) if kind == StepKind::Pause => self.pause(to, pause, true),
            None if kind == StepKind::Pause => self.pause(to, pause, false),
            Some(_) => self.submit(to, kind, effect, Fate::Fine, true),
            None => {
                let fate = self.fate(kind);
                self.submit(to, kind, effect, fate, false);
            }
        }
    }

    /// Schedules the end of a pause, which cannot fail but may come later.
    fn pause(&mut self, to: (usize, u32), pause: TimeDelta, fatal: bool) {
        let still = !self.healthy && self.chance.percent(self.rates.pause);
        let longer = match still {
            true => self.chance.millis(20_000, 120_000),
            false => TimeDelta::zero(),
        };
        let event = Event::Paused;
        self.push(pause + longer, AgendaItem::Deliver { to, event, fatal });
    }

    /// Writes outside of an attempt, and leaves the row whatever the outcome.
    pub(super) fn write_and_leave(&mut self, who: usize, effect: Effect) {
        self.sweepers[who].attempt = None;
        let to = (who, self.sweepers[who].life);
        let fate = self.fate(StepKind::Record);
        self.submit(to, StepKind::Record, effect, fate, false);
    }

    fn submit(
        &mut self,
        to: (usize, u32),
        kind: StepKind,
        effect: Effect,
        fate: Fate,
        fatal: bool,
    ) {
        let limit = limit(kind);
        let sent = self.chance.millis(0, 1_500);
        let back = self.chance.millis(0, 1_500);
        let answer = |after| Reply::Deliver { to, after, fatal };
        match fate {
            Fate::Fine => self.push(sent, AgendaItem::Effect(effect, Via::Sender, answer(back))),
            Fate::Paused => {
                let after = self.chance.millis(20_000, 120_000);
                self.push(sent, AgendaItem::Effect(effect, Via::Sender, answer(after)));
            }
            Fate::Doubled | Fate::DoubledAndMasked => {
                let (first, second) = match fate {
                    Fate::Doubled => (answer(back), Reply::Nobody),
                    _ => (Reply::Nobody, answer(back)),
                };
                let again = sent + self.chance.millis(0, 5_000);
                let double = AgendaItem::Effect(effect.clone(), Via::Double, second);
                self.push(sent, AgendaItem::Effect(effect, Via::Sender, first));
                self.push(again, double);
            }
            _ => {
                let after = match fate {
                    Fate::Unheard | Fate::Unanswered | Fate::Late => limit,
                    _ => sent + back,
                };
                let event = failure(kind, fate);
                if fate.acts() {
                    self.push(sent, AgendaItem::Effect(effect, Via::Sender, Reply::Nobody));
                } else if fate == Fate::Late {
                    let after = limit + self.chance.millis(1, 90_000);
                    self.push(after, AgendaItem::Effect(effect, Via::Late, Reply::Nobody));
                }
                self.push(after, AgendaItem::Deliver { to, event, fatal });
            }
        }
    }

    /// Checks that no two attempts have the same token on its way at once.
    fn send_begins(&mut self, who: usize) {
        let Some(token) = self.sweepers[who].tokens.and_then(|tokens| tokens.refresh) else {
            return;
        };
        let sender = (who, self.sweepers[who].life);
        if let Some(wire) = &self.wire
            && (wire.token, wire.until > self.now) == (token, true)
            && wire.sender != sender
        {
            self.find(Violation::Invariant, "two attempts send at once".to_owned());
        }
        self.wire = Some(Wire {
            token,
            sender,
            until: self.now + TOKEN_REQUEST_TIMEOUT,
        });
    }
}

fn limit(kind: StepKind) -> TimeDelta {
    match kind {
        StepKind::Send | StepKind::Probe => TOKEN_REQUEST_TIMEOUT,
        _ => STEP_TIMEOUT,
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
