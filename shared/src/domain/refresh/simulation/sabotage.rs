//! The rules that keep grants alive, and a driver that breaks one of them, to show that the
//! simulation would notice. The protocol stays whole: between it and whoever performs its
//! steps, the driver skips them, puts them off or answers them falsely.

use chrono::{DateTime, Utc};

use crate::domain::integration::Integration;
use crate::domain::refresh::attempt::{Answered, Attempt, End, Event, Outcome, Step};

/// A rule that an attempt keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ProtocolRule {
    KeyBeforeSend,
    FallbackFirst,
    RowAgain,
    StoreFirst,
    ConditionOnGeneration,
}

/// An attempt whose driver keeps every rule but the broken one.
#[derive(Debug)]
pub(super) struct DrivenAttempt {
    attempt: Attempt,
    broken: Option<ProtocolRule>,
    /// The generation of the credential that is exchanged.
    generation: u64,
    /// The row as this attempt last wrote it.
    written: Option<Box<Integration>>,
    /// The platform's answer, held back while something else is done.
    held_back: Option<Event>,
    has_sent: bool,
    is_storing: bool,
}

impl DrivenAttempt {
    pub(super) const fn new(
        attempt: Attempt,
        generation: u64,
        broken: Option<ProtocolRule>,
    ) -> Self {
        Self {
            attempt,
            broken,
            generation,
            written: None,
            held_back: None,
            has_sent: false,
            is_storing: false,
        }
    }

    pub(super) fn begin(&mut self, now: DateTime<Utc>) -> Step {
        let step = self.attempt.begin();
        self.skip(step, now)
    }

    pub(super) fn next(&mut self, event: Event, now: DateTime<Utc>) -> Step {
        let event = match (self.held_back.take(), self.broken, event) {
            // The answer cannot be sealed.
            (Some(_), _, Event::Key(false)) => {
                return Step::Done(Box::new(End {
                    outcome: Outcome::StoreFailed,
                    row: None,
                }));
            }
            (Some(answer), ..) => answer,
            (
                None,
                Some(rule @ (ProtocolRule::KeyBeforeSend | ProtocolRule::StoreFirst)),
                answer @ Event::Answered(Answered::Renewed(_)),
            ) => {
                self.held_back = Some(answer);
                return match rule {
                    ProtocolRule::KeyBeforeSend => Step::SecureKey,
                    _ => Step::Probe,
                };
            }
            // Whatever has replaced the credential is stored over.
            (None, Some(ProtocolRule::ConditionOnGeneration), Event::Lost(Some(mut row)))
                if self.is_storing =>
            {
                row.credential.generation = self.generation;
                Event::Lost(Some(row))
            }
            (None, _, event) => event,
        };
        if let Event::Written(row) = &event {
            self.written = Some(row.clone());
        }
        let step = self.attempt.next(event, now);
        self.skip(step, now)
    }

    /// Answers what the broken rule asks for, without doing it.
    fn skip(&mut self, step: Step, now: DateTime<Utc>) -> Step {
        let event = match (self.broken, &step) {
            (Some(ProtocolRule::KeyBeforeSend), Step::SecureKey) => Event::Key(true),
            (Some(ProtocolRule::FallbackFirst), Step::FindFallback(_)) if !self.has_sent => {
                Event::FallbackFound(None)
            }
            (Some(ProtocolRule::FallbackFirst | ProtocolRule::RowAgain), Step::ReadAgain) => {
                Event::Read(self.written.clone())
            }
            _ => {
                self.has_sent |= matches!(step, Step::Send);
                self.is_storing = matches!(step, Step::Store(_));
                return step;
            }
        };
        let step = self.attempt.next(event, now);
        self.skip(step, now)
    }
}
