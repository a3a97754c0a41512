//! New tokens on their way to a durable copy: the row, and where that fails, the
//! fallback, until the time for that is over.

use chrono::{DateTime, TimeDelta, Utc};

use super::end::Outcome;
use super::state::{Attempt, MAX_LOST_WRITES, Phase, Storing};
use super::step::{Event, Step};
use crate::domain::integration::Integration;
use crate::domain::refresh::Renewed;
use crate::platforms::catalog::RefreshModel;

/// The first pause once both places have failed. It doubles each time.
const MIN_STORE_PAUSE: TimeDelta = TimeDelta::milliseconds(500);
/// The longest pause between two rounds of both places.
pub(super) const MAX_STORE_PAUSE: TimeDelta = TimeDelta::seconds(4);
/// How often storing is tried at most; with the pauses the time ends first.
const MAX_STORE_TRIES: u32 = 32;

impl Attempt {
    pub(super) fn store(&mut self, storing: Storing, now: DateTime<Utc>) -> Step {
        let mut row = self.row.clone();
        row.renew(storing.renewed.clone(), now);
        if !storing.from_fallback {
            // The platform has answered to the token's being sent again.
            row.refresh
                .possibly_replayed
                .take_if(|replay| replay.attempt == self.id);
        } else if !self.sent {
            self.take_back_possibly_replayed(&mut row);
        }
        self.phase = Phase::Storing(storing);
        Step::Store(Box::new(row))
    }

    pub(super) fn stored(
        &mut self,
        mut storing: Storing,
        event: Event,
        now: DateTime<Utc>,
    ) -> Step {
        match event {
            Event::Written(row) => {
                self.row = *row;
                self.after_storing(&storing)
            }
            // Our own write, whose answer was lost: the sealed form is unique.
            Event::Lost(Some(row))
                if row.credential.access_token.as_ref() == Some(&storing.renewed.access_token) =>
            {
                self.row = *row;
                self.after_storing(&storing)
            }
            // Whoever sent that token again may have been given a new one: storing
            // the old one once more would keep that from being stored.
            Event::Lost(Some(row)) if !storing.renewed.rotated && self.is_being_replayed(&row) => {
                self.gone(Outcome::Superseded)
            }
            Event::Lost(Some(row)) if row.credential.generation == self.generation => {
                self.races = self.races.saturating_add(1);
                self.row = *row;
                let in_time = now < self.persist_until;
                match (self.races <= MAX_LOST_WRITES, storing.in_fallback) {
                    // Ours is still the only living one. What nothing else keeps
                    // is stored over whoever holds the row by now, however late:
                    // it replaces only the credential that it was got for.
                    (true, false) => self.store(storing, now),
                    (true, true) if in_time => self.store(storing, now),
                    // Left for the next holder.
                    (_, true) => self.gone(Outcome::InFallback),
                    (false, false) => self.store_elsewhere(storing, now),
                }
            }
            Event::Lost(_) if storing.in_fallback => self.tidy(Outcome::Superseded),
            Event::Lost(_) => self.gone(Outcome::Superseded),
            Event::FallbackStored(true) if now < self.persist_until => {
                storing.in_fallback = true;
                self.store(storing, now)
            }
            Event::FallbackStored(true) => self.gone(Outcome::InFallback),
            _ if storing.in_fallback => self.gone(Outcome::InFallback),
            Event::Paused => self.store_in_place(storing, now),
            _ => self.store_elsewhere(storing, now),
        }
    }

    /// Goes on to the next place for the tokens, until the time for that is over: the row twice,
    /// then the fallback and the row in turn, with pauses in between.
    fn store_elsewhere(&mut self, mut storing: Storing, now: DateTime<Utc>) -> Step {
        storing.tries += 1;
        let pause = storing.pause().unwrap_or_default();
        if storing.tries >= MAX_STORE_TRIES || now + pause >= self.persist_until {
            return self.gone(Outcome::StoreFailed);
        }
        if pause > TimeDelta::zero() {
            self.phase = Phase::Storing(storing);
            return Step::Pause(pause);
        }
        self.store_in_place(storing, now)
    }

    fn store_in_place(&mut self, storing: Storing, now: DateTime<Utc>) -> Step {
        // Any other credential than a single-use one can be asked for again.
        if storing.is_for_fallback() && self.model == RefreshModel::Rotating {
            let renewed = Box::new(storing.renewed.clone());
            self.phase = Phase::Storing(storing);
            return Step::StoreFallback(renewed);
        }
        self.store(storing, now)
    }

    fn after_storing(&mut self, storing: &Storing) -> Step {
        let outcome = match storing.from_fallback {
            true => Outcome::StoredFromFallback,
            false => Outcome::Renewed,
        };
        if storing.in_fallback {
            return self.tidy(outcome);
        }
        // Some answers to an extension leave the lifetime out: a probe has it.
        let is_stated = storing.renewed.lifetimes.access.is_some();
        if self.model == RefreshModel::Extend
            && (!is_stated || self.row.platform.limits_data_access())
        {
            self.phase = Phase::Completing;
            return Step::Probe;
        }
        self.done(outcome)
    }

    /// Whether somebody else has begun to send our token again.
    fn is_being_replayed(&self, row: &Integration) -> bool {
        row.credential.generation == self.generation
            && row
                .refresh
                .possibly_replayed
                .as_ref()
                .is_some_and(|replay| {
                    // A success, however late, clears a conclusion that came too early;
                    // not while that token may be on its way once more.
                    let is_open = !row.is_given_up() || row.is_leased_by(&replay.attempt);
                    replay.generation == self.generation && replay.attempt != self.id && is_open
                })
    }
}

impl Storing {
    pub(super) const fn new(renewed: Renewed) -> Self {
        Self {
            renewed,
            tries: 0,
            in_fallback: false,
            from_fallback: false,
        }
    }

    const fn is_for_fallback(&self) -> bool {
        self.tries >= 2 && self.tries.is_multiple_of(2)
    }

    /// Returns the pause before another round of both places.
    fn pause(&self) -> Option<TimeDelta> {
        let rounds = (self.tries / 2).checked_sub(2)?;
        let doubled = MIN_STORE_PAUSE * 2_i32.pow(rounds.min(8));
        self.is_for_fallback().then(|| doubled.min(MAX_STORE_PAUSE))
    }
}
