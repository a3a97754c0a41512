//! What a probe of the access token does to an integration.

use chrono::{DateTime, Utc};

use super::expiry_tolerance;
use crate::domain::integration::{Integration, RetryReason, State};
use crate::domain::probe_result::ProbeResult;
use crate::domain::verdict::{ReconnectReason, Verdict};
use crate::platforms::catalog::RefreshModel;

impl Integration {
    /// Applies what a probe saw of the access token.
    pub fn apply_probe(&mut self, seen: &ProbeResult, now: DateTime<Utc>) {
        let (seen, _) = seen.clone().plausible(self.platform, now);
        self.expiry.access_token = seen.access.or(self.expiry.access_token);
        self.expiry.data_access = seen.data_access.or(self.expiry.data_access);
        self.update_permissions(seen.scopes, now);
        self.refresh.alive_at = Some(now);
    }

    /// Applies what a probe saw of an access token that an extension has just brought. The probe
    /// may show that the end moved after all.
    pub fn apply_probe_of_extension(&mut self, seen: &ProbeResult, now: DateTime<Utc>) {
        let before = self.expiry.access_token;
        self.apply_probe(seen, now);
        let moved = match (before, self.expiry.access_token) {
            (Some(before), Some(end)) => end > before + expiry_tolerance(Some(end - now)),
            (Some(_), None) => true,
            (None, _) => false,
        };
        if moved {
            // As the extension itself would have, had its answer said so.
            (self.expiry.issued_at, self.refresh.renewed_at) =
                (self.refresh.attempted_at, self.refresh.attempted_at);
        }
    }

    /// Applies the result of a free probe, where nothing refreshes the access token now. Where that
    /// token is the whole grant, a living token clears earlier conclusions. Only a second refusal
    /// when the next probe is due confirms a refusal. Where there is a refresh token, the result
    /// says nothing of the grant.
    pub fn probed(
        &mut self,
        said: Result<&ProbeResult, &Verdict>,
        conclusive: bool,
        now: DateTime<Utc>,
        jitter: f64,
    ) {
        let is_the_grant = matches!(
            self.refresh_model(),
            RefreshModel::None | RefreshModel::Extend
        );
        let is_due = self.next_attempt_at(now).is_some_and(|at| at <= now);
        if is_the_grant {
            self.refresh.probed_at = Some(now);
        }
        let verdict = match said {
            Ok(seen) => {
                let before = self.clone();
                self.apply_probe(seen, now);
                if is_the_grant {
                    self.recover(&before, now);
                }
                return;
            }
            Err(verdict) => verdict,
        };
        if let Verdict::PermissionLost(named) = verdict {
            let before = self.clone();
            self.lose_permissions(named, now);
            self.refresh.alive_at = Some(now);
            if is_the_grant {
                self.recover(&before, now);
            }
            return;
        }
        if !is_the_grant {
            return;
        }
        match verdict {
            Verdict::ReconnectNeeded(_) | Verdict::PlatformActionNeeded(_) => {
                // It was no attempt at refreshing, and no end of one.
                let (attempted_at, intent) =
                    (self.refresh.attempted_at, self.refresh.intent.clone());
                self.fail(verdict, conclusive && is_due, now, jitter);
                (self.refresh.attempted_at, self.refresh.intent) = (attempted_at, intent);
            }
            // That it could not be asked about says nothing of it: later, where
            // something is still to be confirmed or refuted.
            _ => {
                let wait = match verdict {
                    Verdict::Throttled { wait, .. } => *wait,
                    _ => None,
                };
                match self.state {
                    State::Retrying { reason, .. } => {
                        self.state = self.retrying(reason, wait, now, jitter);
                    }
                    State::PlatformActionRequired { .. } => {
                        self.state = self.retrying(RetryReason::Refused, wait, now, jitter);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Records that the access token lives after all. That clears no state in which more than this
    /// token is lost or unreadable.
    fn recover(&mut self, before: &Self, now: DateTime<Utc>) {
        match self.state {
            State::Retrying { .. }
            | State::PlatformActionRequired { .. }
            | State::ReconnectRequired {
                reason:
                    ReconnectReason::GrantRefused
                    | ReconnectReason::Expired
                    | ReconnectReason::Revoked
                    | ReconnectReason::AppRemoved
                    | ReconnectReason::PasswordChanged
                    | ReconnectReason::Inactive,
                ..
            } => {
                self.state = State::Active;
                self.queue_recovery_alert(before, now);
            }
            State::ReconnectRequired {
                reason: ReconnectReason::RotationLost | ReconnectReason::CredentialDamaged,
                ..
            }
            | State::Active
            | State::Disconnected { .. } => {}
        }
    }
}
