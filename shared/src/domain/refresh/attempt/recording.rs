//! What is written of an exchange that brought no tokens, or of a probe.

use chrono::{DateTime, Utc};

use super::end::Outcome;
use super::state::{Attempt, MAX_LOST_WRITES, Phase, Recording};
use super::step::{Event, Step};
use crate::domain::integration::Integration;

/// How often recording a refusal is tried again. If it never succeeds, the lease runs out.
const MAX_RECORD_RETRIES: u8 = 3;

impl Attempt {
    pub(super) fn record(&mut self, what: Recording, now: DateTime<Utc>) -> Step {
        self.record_again(what, 0, now)
    }

    fn record_again(&mut self, what: Recording, tries: u8, now: DateTime<Utc>) -> Step {
        let mut row = self.row.clone();
        if !self.sent {
            self.take_back_possibly_replayed(&mut row);
        }
        what.apply(&mut row, self.jitter, now);
        self.phase = Phase::Recording(what, tries);
        Step::Record(Box::new(row))
    }

    pub(super) fn recorded(
        &mut self,
        what: Recording,
        tries: u8,
        event: Event,
        now: DateTime<Utc>,
    ) -> Step {
        match event {
            Event::Written(row) => {
                self.row = *row;
                self.done(what.outcome())
            }
            Event::Lost(Some(row))
                if self.races < MAX_LOST_WRITES && self.still_ours(&what, &row) =>
            {
                self.races += 1;
                self.row = *row;
                self.record_again(what, tries, now)
            }
            Event::Lost(_) => self.gone(Outcome::Superseded),
            _ if tries < MAX_RECORD_RETRIES => self.record_again(what, tries + 1, now),
            _ => self.gone(match what {
                Recording::Refused { verdict, .. } | Recording::InDoubt { verdict, .. } => {
                    Outcome::Unrecorded(verdict)
                }
                other => other.outcome(),
            }),
        }
    }

    /// Whether `what` is still about this row: only we hold it, or, after storing, the tokens are
    /// still the ones that we stored.
    fn still_ours(&self, what: &Recording, row: &Integration) -> bool {
        match what {
            Recording::ProbeResult(_) => {
                row.credential.generation == self.row.credential.generation
            }
            _ => row.credential.generation == self.generation && row.is_leased_by(&self.id),
        }
    }
}

impl Recording {
    fn apply(&self, row: &mut Integration, jitter: f64, now: DateTime<Utc>) {
        match self {
            Self::Release(outcome) => {
                row.release(*outcome == Outcome::FallbackUnknown, now, jitter)
            }
            Self::Refused {
                verdict,
                conclusive,
                code,
            } => {
                row.fail(verdict, *conclusive, now, jitter);
                row.record_error_code(verdict, code.as_ref());
            }
            Self::InDoubt {
                verdict,
                conclusive,
                code,
            } => {
                row.mark_in_doubt(verdict, *conclusive, now, jitter);
                row.record_error_code(verdict, code.as_ref());
            }
            Self::RotationLost(probed) => row.lose_rotation(probed.as_ref(), now),
            Self::ProbeResult(seen) => row.apply_probe_of_extension(seen, now),
        }
    }

    fn outcome(self) -> Outcome {
        match self {
            Self::Release(outcome) => outcome,
            Self::Refused { verdict, .. } => Outcome::Refused(verdict),
            Self::InDoubt { verdict, .. } => Outcome::InDoubt(verdict),
            Self::RotationLost(_) => Outcome::RotationLost,
            Self::ProbeResult(_) => Outcome::Renewed,
        }
    }
}
