//! What a platform's answer to an exchange leads to.

use chrono::{DateTime, Utc};

use super::state::{Attempt, Phase, Recording, Storing};
use super::step::{Answered, Step};
use crate::domain::verdict::{ReconnectReason, Verdict};
use crate::platforms::catalog::RefreshModel;

impl Attempt {
    pub(super) fn answered(&mut self, answered: Answered, now: DateTime<Utc>) -> Step {
        let (verdict, conclusive, code) = match answered {
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

    /// Whether one more refusal shows that the sent credential is dead.
    fn is_sure(&self, conclusive: bool, now: DateTime<Utc>) -> bool {
        let refused = ReconnectReason::GrantRefused;
        conclusive && (self.row.is_given_up() || self.row.is_confirmed_by(refused, conclusive, now))
    }
}
