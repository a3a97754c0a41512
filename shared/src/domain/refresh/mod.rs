//! What a platform's answer does to an integration: pure transitions, so that
//! one that lost a race can be applied again to the row as it is now.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::integration::{Integration, RetryReason, Sealed, State};
use crate::domain::sent_alerts::Recovery;
use crate::domain::severity::WarningWindow;
use crate::domain::verdict::{ReconnectReason, Transient, Verdict};
use crate::platforms::catalog::RefreshModel;

pub mod attempt;
mod lifetimes;
mod probing;

pub use lifetimes::{LifetimeKind, Unbelieved};
pub use probing::{Ends, ProbeResult};

/// A credential from a platform's answer, sealed for the generation it will have.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewed {
    /// The access token.
    pub access_token: Sealed,
    /// The refresh token: the answer's, or the old one resealed where the answer had none.
    pub refresh_token: Option<Sealed>,
    /// Whether it is another than the one that was sent, which then may be used up.
    #[serde(default = "yes")]
    pub rotated: bool,
    /// Its life.
    pub lifetimes: Lifetimes,
    /// When the request was sent: lives count from then.
    pub sent_at: DateTime<Utc>,
}

/// A fallback copy from before this field existed may be the only copy.
const fn yes() -> bool {
    true
}

/// What an answer says of the new credential's life.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lifetimes {
    /// Of the access token.
    pub access: Option<TimeDelta>,
    /// Of the refresh token.
    pub refresh: Option<TimeDelta>,
    /// What the grant allows.
    pub scopes: Vec<String>,
}

/// A clock that an answer gives as "seconds left" varies by the time the
/// answer took; only a move beyond this is one.
const EXPIRY_TOLERANCE: TimeDelta = TimeDelta::hours(1);
/// The same of a life so short that an hour more would be another.
fn expiry_tolerance(life: Option<TimeDelta>) -> TimeDelta {
    life.map_or(EXPIRY_TOLERANCE, |life| {
        EXPIRY_TOLERANCE.min(life.max(TimeDelta::zero()) / 20)
    })
}

/// The shortest and the longest pause after a failure.
const PAUSES: (TimeDelta, TimeDelta) = (TimeDelta::minutes(1), TimeDelta::hours(1));

/// What is held back with all others is looked at again after this long.
const HELD_AGAIN: TimeDelta = TimeDelta::minutes(15);

impl Integration {
    /// Takes over a renewed credential: a new generation of the same grant.
    pub fn renew(&mut self, renewed: Renewed, now: DateTime<Utc>) {
        let model = self.refresh_model();
        let before = self.clone();
        let (believed, _) = renewed
            .lifetimes
            .believed(self.platform, model, renewed.rotated);
        let Lifetimes {
            access,
            refresh,
            scopes,
        } = believed;
        // Without a life an extension has moved nothing.
        let access_expires_at = match access {
            Some(life) => Some(renewed.sent_at + life),
            None => self.expiry.access_token,
        };
        let expiry_tolerance = expiry_tolerance(access_expires_at.map(|end| end - renewed.sent_at));
        let moved = access_expires_at > self.expiry.access_token.map(|old| old + expiry_tolerance);
        let shortened =
            access_expires_at.map(|new| new + expiry_tolerance) < self.expiry.access_token;
        let proves = model != RefreshModel::Extend || moved;

        self.refresh
            .possibly_replayed
            .take_if(|of| of.generation != self.credential.generation);
        self.credential.generation += 1;
        self.credential.access_token = Some(renewed.access_token);
        self.credential.refresh_token = renewed.refresh_token;
        if proves || shortened {
            self.expiry.issued_at = Some(renewed.sent_at);
            self.expiry.access_token = access_expires_at;
        }
        if let Some(life) = refresh {
            let end = renewed.sent_at + life;
            if self
                .expiry
                .refresh_token
                .is_none_or(|old| (end - old).abs() > EXPIRY_TOLERANCE)
            {
                self.expiry.refresh_token = Some(end);
            }
        }
        self.expiry.idle = self.platform.idle_life().map(|life| renewed.sent_at + life);
        self.refresh.attempted_at = Some(now);
        self.refresh.renewed_at = proves.then_some(now);
        self.state = State::Active;
        self.refresh.lease = None;
        self.refresh.intent = None;
        self.take_scopes(scopes, now);
        self.owe_recovery_alert(&before, now);
    }

    fn take_scopes(&mut self, scopes: Vec<String>, now: DateTime<Utc>) {
        // An answer that names no scopes has changed none.
        if !scopes.is_empty() {
            let had = self
                .permissions
                .granted
                .iter()
                .chain(&self.permissions.missing);
            let has = |had: &str| {
                let spelt = self.platform.spelling(had);
                scopes.iter().any(|scope| scope == had || scope == spelt)
            };
            let missing: Vec<_> = had.filter(|had| !has(had)).cloned().collect();
            if missing
                .iter()
                .any(|scope| !self.permissions.missing.contains(scope))
            {
                self.permissions.lost_at = Some(now);
            }
            self.permissions.missing = missing;
            self.permissions.granted = scopes;
        }
        // Also after an exchange that had itself been refused for want of one.
        if self.permissions.missing.is_empty() {
            self.permissions.lost_at = None;
        }
    }

    /// Takes over that the platform refuses for want of a permission. What it
    /// names counts if the grant had it: an error's words may be anything.
    fn lose_permissions(&mut self, named: &[String], now: DateTime<Utc>) {
        let (lost, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.permissions.granted)
            .into_iter()
            .partition(|scope| named.contains(scope));
        self.permissions.granted = kept;
        if !lost.is_empty() || self.permissions.lost_at.is_none() {
            self.permissions.lost_at = Some(now);
        }
        self.permissions.missing.extend(lost);
    }

    /// People hear of a refresh if it ended what they had been told of, or
    /// saved a long-lived token that was inside its warning window. A token
    /// that lives no longer than that window renews itself as a matter of
    /// routine, every hour or every day, and is no news.
    fn owe_recovery_alert(&mut self, before: &Self, now: DateTime<Utc>) {
        let reconnect_by = self.reconnect_by(now);
        let told_of = before
            .sent_alerts
            .threshold
            .as_ref()
            .map(|told| told.reconnect_by);
        let ended_expiry = told_of.is_some() && told_of != reconnect_by;
        let ended_state = before.sent_alerts.state_since.is_some();
        let window = WarningWindow::default().length();
        let saved = before.access_life() > window
            && self.expiry.access_token > before.expiry.access_token
            && before
                .expiry
                .access_token
                .is_some_and(|end| end - window <= now);
        if ended_expiry || ended_state || saved {
            let expiry = told_of
                .or(before.reconnect_by(now))
                .or(before.expiry.access_token);
            self.sent_alerts.recovery = Some(Recovery { at: now, expiry });
        }
        if ended_expiry {
            self.sent_alerts.threshold = None;
        }
        self.sent_alerts.state_since = None;
    }

    /// This integration as it goes on from `before`, whose grant it replaces:
    /// who was told that the old one was ending hears that it is safe again.
    #[must_use]
    pub fn following(mut self, before: &Self, now: DateTime<Utc>) -> Self {
        let alerted =
            before.sent_alerts.threshold.is_some() || before.sent_alerts.state_since.is_some();
        if alerted && self.state == State::Active {
            let expiry = before
                .sent_alerts
                .threshold
                .as_ref()
                .map(|told| told.reconnect_by);
            self.sent_alerts.recovery = Some(Recovery {
                at: now,
                expiry: expiry.or(before.expiry.access_token),
            });
        }
        self
    }

    /// Switches it off and erases its tokens.
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

    /// Takes over a refusal. `jitter` in `[0, 1)` places the next attempt. What is
    /// not `conclusive` says nothing about the grant, however often it comes.
    pub fn fail(&mut self, verdict: &Verdict, conclusive: bool, now: DateTime<Utc>, jitter: f64) {
        self.refresh.lease = None;
        self.refresh.intent = None;
        // One about our application or about the question says nothing about the
        // integration; and what is known to be dead was tried because somebody asked.
        let says_nothing = matches!(verdict, Verdict::AppMisconfigured | Verdict::Unanswered);
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
            Verdict::AppMisconfigured | Verdict::Unanswered => self.state.clone(),
            Verdict::PermissionLost(named) => {
                self.lose_permissions(named, now);
                // The token lives; only a person can give back what it may do.
                State::Active
            }
        };
    }

    /// Gives it back untried; an earlier doubt remains. One whose doubt could not
    /// be looked into is looked into later.
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

    /// Takes over that nobody knows whether the platform has replaced the token.
    /// The same holds as for [`Self::fail`].
    pub fn doubt(&mut self, verdict: &Verdict, conclusive: bool, now: DateTime<Utc>, jitter: f64) {
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
            if *verdict != Verdict::Transient(Transient::Unopenable) {
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

    /// Takes over that the platform has replaced the token and the answer is
    /// gone. The access token is kept for as long as it lives, and people hear
    /// at once when that is, by the platform's own word if `probed` has it.
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
            Some(Ok(seen)) => self.see(seen, now),
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

    /// Takes over that its credential can no longer be opened.
    pub fn damage(&mut self, now: DateTime<Utc>) {
        self.refresh.lease = None;
        self.refresh.intent = None;
        self.sent_alerts.recovery = None;
        self.state = State::ReconnectRequired {
            reason: ReconnectReason::CredentialDamaged,
            since: now,
        };
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

    /// Whether a refusal shows that the grant is dead: a platform's explicit word
    /// does; one that may mean anything must come twice, when it was time to ask
    /// again, and while nothing is wrong with our application.
    pub(crate) fn is_confirmed_by(
        &self,
        reason: ReconnectReason,
        conclusive: bool,
        now: DateTime<Utc>,
    ) -> bool {
        let is_second = conclusive && self.was_refused() && !self.awaits_confirmation(now);
        reason != ReconnectReason::GrantRefused || is_second
    }

    /// How it stands after a refusal that shows nothing yet. Asked again before it
    /// was time to, it is no more than the first, and no reason to wait longer.
    fn refused(&self, now: DateTime<Utc>, jitter: f64) -> State {
        match self.awaits_confirmation(now) {
            true => self.state.clone(),
            false => self.retrying(RetryReason::Refused, None, now, jitter),
        }
    }

    /// Whether the token that its credential was got for may have been sent again
    /// before that was stored.
    pub(crate) fn is_possibly_replayed(&self) -> bool {
        let replay = self.refresh.possibly_replayed.as_ref();
        replay.is_some_and(|replay| replay.generation + 1 == self.credential.generation)
    }

    /// Whether the platform refused the grant the last time too: one refusal
    /// may be a race or a platform's bad hour, a second in a later sweep is not.
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

    /// Whether it was refused, and it is too early to ask a second time: what
    /// made the platform refuse it may not be over.
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

    fn retrying(
        &self,
        reason: RetryReason,
        wait: Option<TimeDelta>,
        now: DateTime<Utc>,
        jitter: f64,
    ) -> State {
        if let State::PlatformActionRequired { action, since, .. } = self.state {
            // A failing look changes nothing about what the person must do.
            return State::PlatformActionRequired {
                action,
                since,
                next_check_at: self.rechecked_at(now),
            };
        }
        let (failures, since) = match self.state {
            State::Retrying {
                failures, since, ..
            } => (failures, since),
            _ => (0, now),
        };
        // A refusal is remembered through other failures until it is confirmed or refuted.
        let reason = if self.was_refused() {
            RetryReason::Refused
        } else {
            reason
        };
        // Once it has ended there is no hurry left.
        let left = self.ends_at().filter(|end| *end > now).map(|end| end - now);
        let pause = pause(failures, left.map_or(PAUSES.1, |left| left / 8), jitter);
        let wait_or_pause = wait.map_or(pause, |wait| match left {
            // Waiting would be its end: asked once more when half of what is left is over.
            Some(left) if self.ends_before(now + wait, now) => (left / 2).max(PAUSES.0),
            _ => wait.max(pause),
        });
        State::Retrying {
            failures: failures.saturating_add(1),
            since,
            reason,
            next_attempt_at: now + wait_or_pause,
            wait_until: wait.map(|wait| now + wait),
            code: None,
        }
    }

    /// Takes over that the platform asks our whole application to wait, so that an
    /// attempt which was due is not made. It says nothing of the grant. That may end
    /// sooner: it is looked at again in a quarter of an hour.
    pub fn wait_until(&mut self, until: DateTime<Utc>, now: DateTime<Utc>) {
        let is_in_doubt = self.is_in_doubt();
        let again = until.min(now + HELD_AGAIN);
        match &mut self.state {
            State::Active => {
                self.state = State::Retrying {
                    failures: 0,
                    since: now,
                    reason: match is_in_doubt {
                        true => RetryReason::InDoubt,
                        false => RetryReason::Throttled,
                    },
                    next_attempt_at: again,
                    wait_until: Some(until),
                    code: None,
                }
            }
            State::Retrying {
                next_attempt_at,
                wait_until,
                ..
            } => (*next_attempt_at, *wait_until) = (again, Some(until)),
            State::PlatformActionRequired { next_check_at, .. } => *next_check_at = again,
            State::ReconnectRequired { .. } | State::Disconnected { .. } => {}
        }
    }

    /// Keeps what came of an attempt that is to be made again: for people. What is
    /// about our application has left the row as it was.
    pub fn note(&mut self, verdict: &Verdict, came: Option<&String>) {
        if *verdict == Verdict::AppMisconfigured {
            return;
        }
        if let State::Retrying { code, .. } = &mut self.state {
            *code = came.cloned();
        }
    }
}

/// Full jitter (aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter):
/// anywhere from a minute up to a ceiling that doubles with each failure, at
/// most an hour and an eighth of the life left, never under a minute.
fn pause(failures: u32, eighth_of_life_left: TimeDelta, jitter: f64) -> TimeDelta {
    let doubled = PAUSES.0 * 2_i32.pow(failures.min(10) + 1);
    let ceiling = doubled.min(PAUSES.1).min(eighth_of_life_left).max(PAUSES.0);
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "under an hour"
    )]
    let spread = ((ceiling - PAUSES.0).num_seconds() as f64 * jitter) as i64;
    PAUSES.0 + TimeDelta::seconds(spread)
}

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;
