//! What a refusal, an unknown outcome or a lost credential does to an integration.

use chrono::{DateTime, Utc};

use super::ProbeResult;
use crate::domain::integration::{Integration, RetryReason, State};
use crate::domain::verdict::{ReconnectReason, Transient, Verdict};

impl Integration {
    /// Applies a failed attempt. `jitter` in `[0, 1)` places the next one. A refusal that is not
    /// `conclusive` says nothing about the grant, however often it comes.
    pub fn fail(&mut self, verdict: &Verdict, conclusive: bool, now: DateTime<Utc>, jitter: f64) {
        self.refresh.lease = None;
        self.refresh.intent = None;
        // One about our application or about the question says nothing about the
        // integration; and what is known to be dead was tried because somebody asked.
        let says_nothing = matches!(
            verdict,
            Verdict::AppMisconfigured | Verdict::ProbeNotApplicable
        );
        if self.is_given_up() || says_nothing {
            return;
        }
        self.refresh.attempted_at = Some(now);
        if matches!(
            verdict,
            Verdict::ReconnectNeeded(_) | Verdict::PlatformActionNeeded(_)
        ) {
            self.sent_alerts.recovery = None;
        }
        self.state = match verdict {
            Verdict::ReconnectNeeded(reason) if self.is_confirmed_by(*reason, conclusive, now) => {
                State::ReconnectRequired {
                    reason: *reason,
                    since: now,
                }
            }
            Verdict::ReconnectNeeded(_) => self.refused(now, jitter),
            Verdict::PlatformActionNeeded(action) => {
                let since = match self.state {
                    State::PlatformActionRequired {
                        action: was, since, ..
                    } if was == *action => since,
                    _ => now,
                };
                State::PlatformActionRequired {
                    action: *action,
                    since,
                    next_check_at: self.rechecked_at(now),
                }
            }
            Verdict::Transient(_) => self.retrying(RetryReason::Transient, None, now, jitter),
            Verdict::Throttled { wait, .. } => {
                self.retrying(RetryReason::Throttled, *wait, now, jitter)
            }
            Verdict::AppMisconfigured | Verdict::ProbeNotApplicable => self.state.clone(),
            Verdict::PermissionLost(named) => {
                self.lose_permissions(named, now);
                // The token lives; only a person can give back what it may do.
                State::Active
            }
        };
    }

    /// Gives the integration back untried; an earlier doubt remains. If that doubt could not be
    /// resolved (`unknown`), a later attempt looks into it.
    pub fn release(&mut self, unknown: bool, now: DateTime<Utc>, jitter: f64) {
        let holder = self.refresh.lease.take();
        if self.is_in_doubt_but_for(holder.as_ref()) {
            if unknown && !self.is_given_up() {
                self.state = self.retrying(RetryReason::InDoubt, None, now, jitter);
            }
        } else {
            self.refresh.intent = None;
        }
    }

    /// Records that nobody knows whether the platform has replaced the token. `conclusive` and
    /// `jitter` are as in [`Self::fail`].
    pub fn mark_in_doubt(
        &mut self,
        verdict: &Verdict,
        conclusive: bool,
        now: DateTime<Utc>,
        jitter: f64,
    ) {
        let wait = match verdict {
            Verdict::Throttled { wait, .. } => *wait,
            _ => None,
        };
        // That of its own holder has an answer; a later one adds nothing to a crash.
        let holder = self.refresh.lease.take();
        if let (Some(intent), Some(holder)) = (&mut self.refresh.intent, holder) {
            let is_answer = *verdict != Verdict::Transient(Transient::NoAnswer);
            intent.answered |= is_answer && intent.attempt == holder.attempt;
        }
        if self.is_given_up() {
            // It stays so, and has been looked into, unless nothing was asked.
            if *verdict != Verdict::Transient(Transient::DecryptionFailed) {
                self.refresh.intent = None;
            }
            return;
        }
        self.refresh.attempted_at = Some(now);
        self.state = match verdict {
            Verdict::ReconnectNeeded(_) if conclusive => self.refused(now, jitter),
            _ => self.retrying(RetryReason::InDoubt, wait, now, jitter),
        };
    }

    /// Records that the platform has replaced the token and the answer is lost. The row keeps the
    /// access token for as long as it lives. People hear at once until when that is, from `probed`
    /// if the platform said so.
    pub fn lose_rotation(
        &mut self,
        probed: Option<&Result<ProbeResult, Verdict>>,
        now: DateTime<Utc>,
    ) {
        self.refresh.lease = None;
        self.refresh.intent = None;
        self.refresh.attempted_at = Some(now);
        self.sent_alerts.recovery = None;
        match probed {
            Some(Ok(seen)) => self.apply_probe(seen, now),
            Some(Err(Verdict::ReconnectNeeded(_))) => {
                self.expiry.access_token =
                    Some(self.expiry.access_token.map_or(now, |at| at.min(now)));
            }
            Some(Err(_)) | None => {}
        }
        self.state = State::ReconnectRequired {
            reason: ReconnectReason::RotationLost,
            since: now,
        };
    }

    /// Records that the credential can no longer be opened.
    pub fn mark_credential_damaged(&mut self, now: DateTime<Utc>) {
        self.refresh.lease = None;
        self.refresh.intent = None;
        self.sent_alerts.recovery = None;
        self.state = State::ReconnectRequired {
            reason: ReconnectReason::CredentialDamaged,
            since: now,
        };
    }

    /// Switches the integration off and erases its tokens.
    pub fn disconnect(&mut self, now: DateTime<Utc>) {
        self.credential.generation += 1;
        self.credential.grant += 1;
        self.credential.access_token = None;
        self.credential.refresh_token = None;
        self.credential.registered = None;
        self.refresh.possibly_replayed = None;
        // The intent stays: it says that an answer to the old credential may be
        // in the fallback, which is to be removed.
        self.refresh.lease = None;
        self.sent_alerts.recovery = None;
        self.state = State::Disconnected { since: now };
    }

    /// Whether its grant is known to be dead.
    pub(crate) const fn is_given_up(&self) -> bool {
        matches!(self.state, State::ReconnectRequired { .. })
    }

    /// Whether the platform has replaced its refresh token, and the answer is gone.
    #[must_use]
    pub const fn lost_its_rotation(&self) -> bool {
        matches!(
            self.state,
            State::ReconnectRequired {
                reason: ReconnectReason::RotationLost,
                ..
            }
        )
    }

    /// Whether a refusal shows that the grant is dead. A platform's explicit word does. A refusal
    /// that may mean anything must come twice, the second time when an attempt is due and while
    /// nothing is wrong with our application.
    pub(crate) fn is_confirmed_by(
        &self,
        reason: ReconnectReason,
        conclusive: bool,
        now: DateTime<Utc>,
    ) -> bool {
        let is_second = conclusive && self.was_refused() && !self.awaits_confirmation(now);
        reason != ReconnectReason::GrantRefused || is_second
    }

    /// Returns the state after a refusal that proves nothing yet. A second refusal before the next
    /// attempt is due counts no more than the first, and prolongs no wait.
    fn refused(&self, now: DateTime<Utc>, jitter: f64) -> State {
        match self.awaits_confirmation(now) {
            true => self.state.clone(),
            false => self.retrying(RetryReason::Refused, None, now, jitter),
        }
    }

    /// Whether the token that brought this credential may have been sent again before we stored the
    /// credential.
    pub(crate) fn is_possibly_replayed(&self) -> bool {
        let replay = self.refresh.possibly_replayed.as_ref();
        replay.is_some_and(|replay| replay.generation + 1 == self.credential.generation)
    }

    /// Whether the platform has refused the grant before. One refusal may be a race or a platform's
    /// bad hour; a second in a later sweep is not.
    #[must_use]
    pub fn was_refused(&self) -> bool {
        matches!(
            self.state,
            State::Retrying {
                reason: RetryReason::Refused,
                ..
            } | State::PlatformActionRequired { .. }
        )
    }

    /// Whether the grant was refused, and it is too early to ask a second time: what made the
    /// platform refuse may not be over.
    fn awaits_confirmation(&self, now: DateTime<Utc>) -> bool {
        matches!(
            self.state,
            State::Retrying {
                reason: RetryReason::Refused,
                next_attempt_at,
                ..
            } if now < next_attempt_at
        )
    }
}
