//! What a new credential does to an integration.

use chrono::{DateTime, Utc};

use super::{EXPIRY_TOLERANCE, Lifetimes, Renewed, expiry_tolerance};
use crate::domain::integration::{Integration, State};
use crate::domain::sent_alerts::Recovery;
use crate::domain::severity::WarningWindow;
use crate::platforms::catalog::RefreshModel;

impl Integration {
    /// Applies a renewed credential: a new generation of the same grant.
    pub fn renew(&mut self, renewed: Renewed, now: DateTime<Utc>) {
        let model = self.refresh_model();
        let before = self.clone();
        let (believed, _) = renewed
            .lifetimes
            .plausible(self.platform, model, renewed.rotated);
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
        self.expiry.idle = self
            .platform
            .idle_lifetime()
            .map(|life| renewed.sent_at + life);
        self.refresh.attempted_at = Some(now);
        self.refresh.renewed_at = proves.then_some(now);
        self.state = State::Active;
        self.refresh.lease = None;
        self.refresh.intent = None;
        self.update_permissions(scopes, now);
        self.queue_recovery_alert(&before, now);
    }

    /// Applies the permissions that an answer names.
    pub(super) fn update_permissions(&mut self, scopes: Vec<String>, now: DateTime<Utc>) {
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

    /// Records that the platform refuses for want of a permission. A permission that it names
    /// counts only if the grant had it: an error's words may be anything.
    pub(super) fn lose_permissions(&mut self, named: &[String], now: DateTime<Utc>) {
        let (lost, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.permissions.granted)
            .into_iter()
            .partition(|scope| named.contains(scope));
        self.permissions.granted = kept;
        if !lost.is_empty() || self.permissions.lost_at.is_none() {
            self.permissions.lost_at = Some(now);
        }
        self.permissions.missing.extend(lost);
    }

    /// Queues a recovery alert if a refresh ended what an alert was sent about, or
    /// saved a long-lived token inside its warning window. A token that lives no
    /// longer than that window is refreshed as a matter of routine, and is no news.
    pub(super) fn queue_recovery_alert(&mut self, before: &Self, now: DateTime<Utc>) {
        let reconnect_by = self.reconnect_by(now);
        let alerted_expiry = before
            .sent_alerts
            .threshold
            .as_ref()
            .map(|sent| sent.reconnect_by);
        let ended_expiry = alerted_expiry.is_some() && alerted_expiry != reconnect_by;
        let ended_state = before.sent_alerts.state_since.is_some();
        let window = WarningWindow::default().length();
        let saved = before.access_lifetime() > window
            && self.expiry.access_token > before.expiry.access_token
            && before
                .expiry
                .access_token
                .is_some_and(|end| end - window <= now);
        if ended_expiry || ended_state || saved {
            let expiry = alerted_expiry
                .or(before.reconnect_by(now))
                .or(before.expiry.access_token);
            self.sent_alerts.recovery = Some(Recovery { at: now, expiry });
        }
        if ended_expiry {
            self.sent_alerts.threshold = None;
        }
        self.sent_alerts.state_since = None;
    }

    /// Returns this integration as the successor of `before`, whose grant it replaces. Whoever was
    /// alerted that the old grant was ending hears that the integration is safe again.
    #[must_use]
    pub fn with_recovery_after(mut self, before: &Self, now: DateTime<Utc>) -> Self {
        let alerted =
            before.sent_alerts.threshold.is_some() || before.sent_alerts.state_since.is_some();
        if alerted && self.state == State::Active {
            let expiry = before
                .sent_alerts
                .threshold
                .as_ref()
                .map(|sent| sent.reconnect_by);
            self.sent_alerts.recovery = Some(Recovery {
                at: now,
                expiry: expiry.or(before.expiry.access_token),
            });
        }
        self
    }
}
