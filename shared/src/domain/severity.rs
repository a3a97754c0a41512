//! How pressing something is, and when people are warned.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How pressing something is. The last four are also alert thresholds: people hear once of each
/// that an integration enters as `reconnect_by` comes near.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good news: there is nothing to do.
    Info,
    /// The end lies within the warning window, 7 days unless asked otherwise.
    Warning,
    /// At most 3 days left.
    Urgent,
    /// At most 1 day left.
    Critical,
    /// No time left.
    Expired,
}

/// How long before `reconnect_by` the first alert is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WarningWindow(TimeDelta);

pub const MAX_WINDOW_DAYS: u32 = 365;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("days must be a whole number from 1 to {MAX_WINDOW_DAYS}")]
pub struct InvalidWarningWindow;

impl WarningWindow {
    /// Returns a window of so many days, 1 to [`MAX_WINDOW_DAYS`].
    ///
    /// # Errors
    /// [`InvalidWarningWindow`] outside that range.
    pub fn days(days: u32) -> Result<Self, InvalidWarningWindow> {
        if (1..=MAX_WINDOW_DAYS).contains(&days) {
            Ok(Self(TimeDelta::days(i64::from(days))))
        } else {
            Err(InvalidWarningWindow)
        }
    }

    /// Returns the longer of this window and the default: a sweep never warns later than usual
    /// because it was asked about fewer days.
    #[must_use]
    pub fn at_least_default(self) -> Self {
        Self(self.0.max(Self::default().0))
    }

    #[must_use]
    pub const fn length(self) -> TimeDelta {
        self.0
    }
}

impl Default for WarningWindow {
    fn default() -> Self {
        Self(TimeDelta::days(7))
    }
}

impl std::str::FromStr for WarningWindow {
    type Err = InvalidWarningWindow;

    fn from_str(text: &str) -> Result<Self, InvalidWarningWindow> {
        // `u32::from_str` takes a leading plus sign; a whole number has none.
        if !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidWarningWindow);
        }
        Self::days(text.parse().map_err(|_| InvalidWarningWindow)?)
    }
}

impl Severity {
    /// Lists the thresholds in the order in which an integration enters them.
    pub const THRESHOLDS: [Self; 4] = [Self::Warning, Self::Urgent, Self::Critical, Self::Expired];

    /// Returns the instant at which an integration enters this threshold.
    #[must_use]
    pub fn begins(self, reconnect_by: DateTime<Utc>, window: WarningWindow) -> DateTime<Utc> {
        reconnect_by
            - match self {
                Self::Info | Self::Warning => window.length(),
                Self::Urgent => TimeDelta::days(3).min(window.length()),
                Self::Critical => TimeDelta::days(1),
                Self::Expired => TimeDelta::zero(),
            }
    }

    /// Returns the threshold that an integration has entered, if it is within the window. An edge
    /// belongs to the more severe side: exactly one day left is critical.
    #[must_use]
    pub fn at(
        reconnect_by: DateTime<Utc>,
        now: DateTime<Utc>,
        window: WarningWindow,
    ) -> Option<Self> {
        Self::THRESHOLDS
            .into_iter()
            .rev()
            .find(|threshold| threshold.begins(reconnect_by, window) <= now)
    }

    /// Returns the serialised name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Urgent => "urgent",
            Self::Critical => "critical",
            Self::Expired => "expired",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn severities_are_correct_at_their_edges() {
        const DAY: i64 = 86_400;
        let of = |left| Severity::at(at(left), at(0), WarningWindow::default());
        assert_eq!(of(7 * DAY + 1), None);
        assert_eq!(of(7 * DAY), Some(Severity::Warning));
        assert_eq!(of(3 * DAY + 1), Some(Severity::Warning));
        assert_eq!(of(3 * DAY), Some(Severity::Urgent));
        assert_eq!(of(DAY + 1), Some(Severity::Urgent));
        assert_eq!(of(DAY), Some(Severity::Critical));
        assert_eq!(of(1), Some(Severity::Critical));
        assert_eq!(of(0), Some(Severity::Expired));
        assert_eq!(of(-1), Some(Severity::Expired));
    }

    #[test]
    fn a_window_is_a_whole_number_of_days() {
        for bad in [
            "0",
            "-1",
            "1.5",
            "abc",
            "100000",
            "366",
            "",
            "+7",
            " 7",
            "99999999999",
        ] {
            assert_eq!(
                bad.parse::<WarningWindow>(),
                Err(InvalidWarningWindow),
                "{bad:?}"
            );
        }
        assert_eq!("365".parse(), WarningWindow::days(365));
    }
}
