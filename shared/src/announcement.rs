//! What people are to be told about a connection, and what they have been:
//! each thing once.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::integration::{Integration, State};
use crate::lapse::{Severity, Window};
use crate::verdict::{PlatformAction, ReconnectReason};

/// One thing to tell people about a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Announcement {
    /// It entered a rung of the episode that ends at `lapses_at`.
    Lapse {
        /// The episode.
        lapses_at: DateTime<Utc>,
        /// The rung: never [`Severity::Info`].
        rung: Severity,
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
        /// The episode that this ended.
        episode: Option<DateTime<Utc>>,
    },
    /// It lost permissions.
    PermissionLost,
}

impl Announcement {
    /// Whether the connection stays broken until a person acts.
    #[must_use]
    pub const fn needs_person(&self) -> bool {
        matches!(
            self,
            Self::ReconnectRequired { .. } | Self::PlatformActionRequired { .. }
        )
    }
}

/// What people have been told about a connection, and what is owed to them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The last rung told of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lapse: Option<ToldLapse>,
    /// Since when the state lasted that was told of.
    #[serde(
        with = "super::integration::seconds",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub state_since: Option<DateTime<Utc>>,
    /// The loss of permissions that was told of.
    #[serde(
        with = "super::integration::seconds",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub permission_lost_at: Option<DateTime<Utc>>,
    /// Good news that is owed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owed: Option<Rescue>,
}

/// A rung of an episode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldLapse {
    /// The episode.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub lapses_at: DateTime<Utc>,
    /// The rung.
    pub rung: Severity,
}

/// A refresh or reconnect that people should hear of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rescue {
    /// When it happened.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub at: DateTime<Utc>,
    /// The episode that it ended.
    #[serde(
        with = "super::integration::seconds",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub episode: Option<DateTime<Utc>>,
}

/// On what terms people are told.
#[derive(Debug, Clone, Copy)]
pub struct Telling {
    /// How early they are warned.
    pub window: Window,
    /// Whether refreshes are attempted: then a grant's first verdict is
    /// awaited before anybody hears that its access token ends.
    pub refreshing: bool,
}

impl Default for Telling {
    fn default() -> Self {
        Self {
            window: Window::default(),
            refreshing: true,
        }
    }
}

impl Integration {
    /// What is still to be told, each with the instant from which it holds;
    /// what lies in the future is not due yet.
    #[must_use]
    pub fn announcements(
        &self,
        now: DateTime<Utc>,
        telling: Telling,
    ) -> Vec<(DateTime<Utc>, Announcement)> {
        // Good news only while it is true.
        let is_safe = self.state == State::Active
            && self.verdict_awaited_until(now).is_none()
            && self.lapse(now).is_none_or(|lapse| lapse > now);
        let rescue = self.told.owed.as_ref().filter(|_| is_safe).map(|rescue| {
            (
                rescue.at,
                Announcement::Refreshed {
                    episode: rescue.episode,
                },
            )
        });
        let permission = self
            .permission_lost_at
            .filter(|at| self.told.permission_lost_at != Some(*at))
            .map(|at| (at, Announcement::PermissionLost));
        let condition = match self.state {
            State::Active | State::Retrying { .. } => self.next_rung(now, telling),
            State::ReconnectRequired { reason, since } => {
                self.untold(since, Announcement::ReconnectRequired { reason })
            }
            State::PlatformActionRequired { action, since, .. } => self
                .untold(since, Announcement::PlatformActionRequired { action })
                .or_else(|| self.untold_end(now)),
            State::Disconnected { .. } => None,
        };
        [rescue, permission, condition]
            .into_iter()
            .flatten()
            .collect()
    }

    fn untold(
        &self,
        since: DateTime<Utc>,
        what: Announcement,
    ) -> Option<(DateTime<Utc>, Announcement)> {
        (self.told.state_since != Some(since)).then_some((since, what))
    }

    /// The end of a connection that waited for its owner in vain: nothing can
    /// renew it any more, so that acting on the platform no longer helps.
    fn untold_end(&self, now: DateTime<Utc>) -> Option<(DateTime<Utc>, Announcement)> {
        if self.refresh_due_at(now).is_some() {
            return None;
        }
        let lapses_at = self.lapse(now)?;
        let end = ToldLapse {
            lapses_at,
            rung: Severity::Expired,
        };
        let rung = Severity::Expired;
        (self.told.lapse.as_ref() != Some(&end))
            .then_some((lapses_at, Announcement::Lapse { lapses_at, rung }))
    }

    /// The rung it is on, if people have not heard of it; else the next one.
    fn next_rung(
        &self,
        now: DateTime<Utc>,
        telling: Telling,
    ) -> Option<(DateTime<Utc>, Announcement)> {
        let lapses_at = self.lapse(now)?;
        if telling.refreshing && self.verdict_awaited_until(now).is_some() {
            return None;
        }
        let told = self
            .told
            .lapse
            .as_ref()
            .filter(|told| told.lapses_at == lapses_at)
            .map(|told| told.rung);
        let on = Severity::of(lapses_at, now, telling.window);
        let rung = if on > told {
            on
        } else {
            // `None` is below every rung, so this is the first one where nothing was told.
            Severity::RUNGS.into_iter().find(|rung| Some(*rung) > told)
        }?;
        // A rung that has begun by the usual window began then, whatever window
        // was asked for: the same alert must always have begun at the same instant.
        let usually = rung.begins(lapses_at, Window::default());
        let begins = if usually <= now {
            usually
        } else {
            rung.begins(lapses_at, telling.window)
        };
        Some((begins, Announcement::Lapse { lapses_at, rung }))
    }

    /// Records that people have been told.
    pub fn record_told(&mut self, what: &Announcement) {
        match what {
            Announcement::Lapse { lapses_at, rung } => {
                self.told.lapse = Some(ToldLapse {
                    lapses_at: *lapses_at,
                    rung: *rung,
                });
            }
            Announcement::ReconnectRequired { .. }
            | Announcement::PlatformActionRequired { .. } => {
                self.told.state_since = self.state.since();
            }
            Announcement::Refreshed { .. } => self.told.owed = None,
            Announcement::PermissionLost => self.told.permission_lost_at = self.permission_lost_at,
        }
    }
}

impl State {
    /// Since when it lasts; an active connection has no such instant.
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
    use crate::attention::tests::{at, connection};

    const DAY: i64 = 86_400;

    fn due(row: &Integration, now: i64) -> Vec<Announcement> {
        let mut all = row.announcements(at(now), Telling::default());
        all.retain(|(when, _)| *when <= at(now));
        all.into_iter().map(|(_, what)| what).collect()
    }

    #[test]
    fn each_rung_of_an_episode_is_told_once() {
        let mut row = connection(Platform::Linkedin, false, -50 * DAY, Some(10 * DAY));
        let mut told = Vec::new();
        for hour in 0..=24 * 12 {
            for what in due(&row, hour * 3_600) {
                row.record_told(&what);
                let Announcement::Lapse { rung, .. } = what else {
                    panic!("{what:?}")
                };
                told.push((hour / 24, rung));
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
    fn rungs_missed_are_not_made_up() {
        let row = connection(Platform::Linkedin, false, -60 * DAY, Some(DAY / 2));
        assert_eq!(
            due(&row, 0),
            [Announcement::Lapse {
                lapses_at: at(DAY / 2),
                rung: Severity::Critical
            }]
        );
    }

    #[test]
    fn nobody_hears_of_a_lapse_before_the_first_verdict_unless_nothing_is_refreshed() {
        let row = connection(Platform::Google, true, -1_800, Some(1_800));
        assert_eq!(due(&row, 0), []);
        let telling = Telling {
            refreshing: false,
            ..Telling::default()
        };
        assert_eq!(row.announcements(at(0), telling).len(), 1);
    }

    #[test]
    fn a_dead_grant_is_told_once_and_silences_the_rungs() {
        let mut row = connection(Platform::Linkedin, true, -50 * DAY, Some(2 * DAY));
        row.attempted_at = Some(at(0));
        row.state = State::ReconnectRequired {
            reason: ReconnectReason::Revoked,
            since: at(0),
        };
        let what = due(&row, 0);
        assert_eq!(
            what,
            [Announcement::ReconnectRequired {
                reason: ReconnectReason::Revoked
            }]
        );
        row.record_told(&what[0]);
        assert_eq!(due(&row, 30 * DAY), []);
    }
}
