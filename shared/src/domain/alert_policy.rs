//! Pending and sent alerts: people hear of each thing about an integration once.

use chrono::{DateTime, Utc};

use crate::domain::integration::{Integration, State};
use crate::domain::sent_alerts::SentThreshold;
use crate::domain::severity::{Severity, WarningWindow};
use crate::domain::verdict::{PlatformAction, ReconnectReason};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PendingAlert {
    /// The integration crossed an alert threshold.
    Expiry {
        reconnect_by: DateTime<Utc>,
        /// Never [`Severity::Info`].
        threshold: Severity,
    },
    /// The grant died.
    ReconnectRequired {
        reason: ReconnectReason,
    },
    /// The grant waits for its owner.
    PlatformActionRequired {
        action: PlatformAction,
    },
    /// The integration is safe again after an alert, or before one that was due.
    Refreshed {
        /// The recovery ended this expiry.
        expiry: Option<DateTime<Utc>>,
    },
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

/// The terms on which alerts become due.
#[derive(Debug, Clone, Copy)]
pub struct AlertPolicy {
    pub window: WarningWindow,
    /// Whether sweeps attempt refreshes. If so, an alert that the access token ends waits for the
    /// grant's first verdict.
    pub auto_refresh: bool,
}

impl Default for AlertPolicy {
    fn default() -> Self {
        Self {
            window: WarningWindow::default(),
            auto_refresh: true,
        }
    }
}

impl Integration {
    /// Returns the pending alerts, each with the instant from which it holds. An alert is not due
    /// while that instant lies in the future.
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
                self.unsent_state(since, PendingAlert::ReconnectRequired { reason })
            }
            State::PlatformActionRequired { action, since, .. } => self
                .unsent_state(since, PendingAlert::PlatformActionRequired { action })
                .or_else(|| self.unsent_end(now)),
            State::Disconnected { .. } => None,
        };
        [recovery, permission, condition]
            .into_iter()
            .flatten()
            .collect()
    }

    fn unsent_state(
        &self,
        since: DateTime<Utc>,
        alert: PendingAlert,
    ) -> Option<(DateTime<Utc>, PendingAlert)> {
        (self.sent_alerts.state_since != Some(since)).then_some((since, alert))
    }

    /// Returns the alert for the end of an integration that waited for its owner in vain. Nothing
    /// can renew it any more, so acting on the platform no longer helps.
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

    /// Returns the threshold that the integration is on if its alert is not sent, else the next
    /// one.
    fn next_threshold(
        &self,
        now: DateTime<Utc>,
        policy: AlertPolicy,
    ) -> Option<(DateTime<Utc>, PendingAlert)> {
        let reconnect_by = self.reconnect_by(now)?;
        if policy.auto_refresh && self.verdict_awaited_until(now).is_some() {
            return None;
        }
        let sent = self
            .sent_alerts
            .threshold
            .as_ref()
            .filter(|sent| sent.reconnect_by == reconnect_by)
            .map(|sent| sent.threshold);
        let on = Severity::at(reconnect_by, now, policy.window);
        let threshold = if on > sent {
            on
        } else {
            // `None` is below every threshold, so this is the first one where nothing is sent.
            Severity::THRESHOLDS
                .into_iter()
                .find(|threshold| Some(*threshold) > sent)
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

    pub fn record_sent(&mut self, alert: &PendingAlert) {
        match alert {
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
    /// Returns since when the state lasts; `None` for an active integration.
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
        all.into_iter().map(|(_, alert)| alert).collect()
    }

    #[test]
    fn each_threshold_of_an_expiry_is_sent_once() {
        let mut row = integration(Platform::Linkedin, false, -50 * DAY, Some(10 * DAY));
        let mut sent = Vec::new();
        for hour in 0..=24 * 12 {
            for alert in due(&row, hour * 3_600) {
                row.record_sent(&alert);
                let PendingAlert::Expiry { threshold, .. } = alert else {
                    panic!("{alert:?}")
                };
                sent.push((hour / 24, threshold));
            }
        }
        assert_eq!(
            sent,
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
    fn no_alert_precedes_the_first_verdict_unless_nothing_is_refreshed() {
        let row = integration(Platform::Google, true, -1_800, Some(1_800));
        assert_eq!(due(&row, 0), []);
        let policy = AlertPolicy {
            auto_refresh: false,
            ..AlertPolicy::default()
        };
        assert_eq!(row.pending_alerts(at(0), policy).len(), 1);
    }

    #[test]
    fn a_dead_grant_is_sent_once_and_silences_the_thresholds() {
        let mut row = integration(Platform::Linkedin, true, -50 * DAY, Some(2 * DAY));
        row.refresh.attempted_at = Some(at(0));
        row.state = State::ReconnectRequired {
            reason: ReconnectReason::Revoked,
            since: at(0),
        };
        let alerts = due(&row, 0);
        assert_eq!(
            alerts,
            [PendingAlert::ReconnectRequired {
                reason: ReconnectReason::Revoked
            }]
        );
        row.record_sent(&alerts[0]);
        assert_eq!(due(&row, 30 * DAY), []);
    }
}
