//! What people are to be told about an integration, and what they have been:
//! each thing once.

use chrono::{DateTime, Utc};

use crate::domain::integration::{Integration, State};
use crate::domain::sent_alerts::SentThreshold;
use crate::domain::severity::{Severity, WarningWindow};
use crate::domain::verdict::{PlatformAction, ReconnectReason};

/// One thing to tell people about an integration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PendingAlert {
    /// It crossed a threshold before `reconnect_by`.
    Expiry {
        /// The expiry.
        reconnect_by: DateTime<Utc>,
        /// The threshold: never [`Severity::Info`].
        threshold: Severity,
    },
    /// Its grant died.
    ReconnectRequired {
        /// Why.
        reason: ReconnectReason,
    },
    /// It waits for its owner to act on the platform.
    PlatformActionRequired {
        /// What they must do.
        action: PlatformAction,
    },
    /// It is safe again after people were told, or would have been.
    Refreshed {
        /// The expiry that this ended.
        expiry: Option<DateTime<Utc>>,
    },
    /// It lost permissions.
    PermissionLost,
}

impl PendingAlert {
    /// Whether the integration stays broken until a person acts.
    #[must_use]
    pub const fn needs_person(&self) -> bool {
        matches!(
            self,
            Self::ReconnectRequired { .. } | Self::PlatformActionRequired { .. }
        )
    }
}

/// On what terms people are told.
#[derive(Debug, Clone, Copy)]
pub struct AlertPolicy {
    /// How early they are warned.
    pub window: WarningWindow,
    /// Whether refreshes are attempted: then a grant's first verdict is
    /// awaited before anybody hears that its access token ends.
    pub refreshing: bool,
}

impl Default for AlertPolicy {
    fn default() -> Self {
        Self {
            window: WarningWindow::default(),
            refreshing: true,
        }
    }
}

impl Integration {
    /// What is still to be told, each with the instant from which it holds;
    /// what lies in the future is not due yet.
    #[must_use]
    pub fn pending_alerts(
        &self,
        now: DateTime<Utc>,
        policy: AlertPolicy,
    ) -> Vec<(DateTime<Utc>, PendingAlert)> {
        // Good news only while it is true.
        let is_safe = self.state == State::Active
            && self.verdict_awaited_until(now).is_none()
            && self
                .reconnect_by(now)
                .is_none_or(|reconnect_by| reconnect_by > now);
        let recovery = self
            .sent_alerts
            .recovery
            .as_ref()
            .filter(|_| is_safe)
            .map(|recovery| {
                (
                    recovery.at,
                    PendingAlert::Refreshed {
                        expiry: recovery.expiry,
                    },
                )
            });
        let permission = self
            .permissions
            .lost_at
            .filter(|at| self.sent_alerts.permission_lost_at != Some(*at))
            .map(|at| (at, PendingAlert::PermissionLost));
        let condition = match self.state {
            State::Active | State::Retrying { .. } => self.next_threshold(now, policy),
            State::ReconnectRequired { reason, since } => {
                self.unsent(since, PendingAlert::ReconnectRequired { reason })
            }
            State::PlatformActionRequired { action, since, .. } => self
                .unsent(since, PendingAlert::PlatformActionRequired { action })
                .or_else(|| self.unsent_end(now)),
            State::Disconnected { .. } => None,
        };
        [recovery, permission, condition]
            .into_iter()
            .flatten()
            .collect()
    }

    fn unsent(
        &self,
        since: DateTime<Utc>,
        what: PendingAlert,
    ) -> Option<(DateTime<Utc>, PendingAlert)> {
        (self.sent_alerts.state_since != Some(since)).then_some((since, what))
    }

    /// The end of an integration that waited for its owner in vain: nothing can
    /// renew it any more, so that acting on the platform no longer helps.
    fn unsent_end(&self, now: DateTime<Utc>) -> Option<(DateTime<Utc>, PendingAlert)> {
        if self.refresh_due_at(now).is_some() {
            return None;
        }
        let reconnect_by = self.reconnect_by(now)?;
        let end = SentThreshold {
            reconnect_by,
            threshold: Severity::Expired,
        };
        let threshold = Severity::Expired;
        (self.sent_alerts.threshold.as_ref() != Some(&end)).then_some((
            reconnect_by,
            PendingAlert::Expiry {
                reconnect_by,
                threshold,
            },
        ))
    }

    /// The threshold it is on, if people have not heard of it; else the next one.
    fn next_threshold(
        &self,
        now: DateTime<Utc>,
        policy: AlertPolicy,
    ) -> Option<(DateTime<Utc>, PendingAlert)> {
        let reconnect_by = self.reconnect_by(now)?;
        if policy.refreshing && self.verdict_awaited_until(now).is_some() {
            return None;
        }
        let told = self
            .sent_alerts
            .threshold
            .as_ref()
            .filter(|told| told.reconnect_by == reconnect_by)
            .map(|told| told.threshold);
        let on = Severity::of(reconnect_by, now, policy.window);
        let threshold = if on > told {
            on
        } else {
            // `None` is below every threshold, so this is the first one where nothing was told.
            Severity::THRESHOLDS
                .into_iter()
                .find(|threshold| Some(*threshold) > told)
        }?;
        // A threshold that has begun by the usual window began then, whatever window
        // was asked for: the same alert must always have begun at the same instant.
        let usually = threshold.begins(reconnect_by, WarningWindow::default());
        let begins = if usually <= now {
            usually
        } else {
            threshold.begins(reconnect_by, policy.window)
        };
        Some((
            begins,
            PendingAlert::Expiry {
                reconnect_by,
                threshold,
            },
        ))
    }

    /// Records that people have been told.
    pub fn record_sent(&mut self, what: &PendingAlert) {
        match what {
            PendingAlert::Expiry {
                reconnect_by,
                threshold,
            } => {
                self.sent_alerts.threshold = Some(SentThreshold {
                    reconnect_by: *reconnect_by,
                    threshold: *threshold,
                });
            }
            PendingAlert::ReconnectRequired { .. }
            | PendingAlert::PlatformActionRequired { .. } => {
                self.sent_alerts.state_since = self.state.since();
            }
            PendingAlert::Refreshed { .. } => self.sent_alerts.recovery = None,
            PendingAlert::PermissionLost => {
                self.sent_alerts.permission_lost_at = self.permissions.lost_at
            }
        }
    }
}

impl State {
    /// Since when it lasts; an active integration has no such instant.
    #[must_use]
    pub const fn since(&self) -> Option<DateTime<Utc>> {
        match self {
            Self::Active => None,
            Self::Retrying { since, .. }
            | Self::ReconnectRequired { since, .. }
            | Self::PlatformActionRequired { since, .. }
            | Self::Disconnected { since } => Some(*since),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Platform;
    use crate::domain::schedule::tests::{at, integration};

    const DAY: i64 = 86_400;

    fn due(row: &Integration, now: i64) -> Vec<PendingAlert> {
        let mut all = row.pending_alerts(at(now), AlertPolicy::default());
        all.retain(|(when, _)| *when <= at(now));
        all.into_iter().map(|(_, what)| what).collect()
    }

    #[test]
    fn each_threshold_of_an_expiry_is_told_once() {
        let mut row = integration(Platform::Linkedin, false, -50 * DAY, Some(10 * DAY));
        let mut told = Vec::new();
        for hour in 0..=24 * 12 {
            for what in due(&row, hour * 3_600) {
                row.record_sent(&what);
                let PendingAlert::Expiry { threshold, .. } = what else {
                    panic!("{what:?}")
                };
                told.push((hour / 24, threshold));
            }
        }
        assert_eq!(
            told,
            [
                (3, Severity::Warning),
                (7, Severity::Urgent),
                (9, Severity::Critical),
                (10, Severity::Expired)
            ]
        );
    }

    #[test]
    fn thresholds_missed_are_not_made_up() {
        let row = integration(Platform::Linkedin, false, -60 * DAY, Some(DAY / 2));
        assert_eq!(
            due(&row, 0),
            [PendingAlert::Expiry {
                reconnect_by: at(DAY / 2),
                threshold: Severity::Critical
            }]
        );
    }

    #[test]
    fn nobody_hears_of_a_expire_before_the_first_verdict_unless_nothing_is_refreshed() {
        let row = integration(Platform::Google, true, -1_800, Some(1_800));
        assert_eq!(due(&row, 0), []);
        let policy = AlertPolicy {
            refreshing: false,
            ..AlertPolicy::default()
        };
        assert_eq!(row.pending_alerts(at(0), policy).len(), 1);
    }

    #[test]
    fn a_dead_grant_is_told_once_and_silences_the_thresholds() {
        let mut row = integration(Platform::Linkedin, true, -50 * DAY, Some(2 * DAY));
        row.refresh.attempted_at = Some(at(0));
        row.state = State::ReconnectRequired {
            reason: ReconnectReason::Revoked,
            since: at(0),
        };
        let what = due(&row, 0);
        assert_eq!(
            what,
            [PendingAlert::ReconnectRequired {
                reason: ReconnectReason::Revoked
            }]
        );
        row.record_sent(&what[0]);
        assert_eq!(due(&row, 30 * DAY), []);
    }
}
