//! How near an integration is to expiring, in the words people see.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

/// How pressing something is. Before an expiry, each of the last four is also a
/// *threshold*: people are told once on entering it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good news; nothing to do.
    Info,
    /// Within the warning window, 7 days unless asked otherwise.
    Warning,
    /// At most 3 days left.
    Urgent,
    /// At most 1 day left.
    Critical,
    /// No time left.
    Expired,
}

/// The warning window: how long before the end people are first told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WarningWindow(TimeDelta);

/// The longest warning window that can be asked for, in days.
pub const MAX_WINDOW_DAYS: u32 = 365;

/// A number of days that is no window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("days must be a whole number from 1 to {MAX_WINDOW_DAYS}")]
pub struct InvalidWarningWindow;

impl WarningWindow {
    /// A window of so many days, 1 to [`MAX_WINDOW_DAYS`].
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

    /// The same, or the default where that is longer: a sweep never warns
    /// later than usual because it was asked about fewer days.
    #[must_use]
    pub fn at_least_default(self) -> Self {
        Self(self.0.max(Self::default().0))
    }

    /// Its length.
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
    /// The thresholds, in the order in which they are crossed.
    pub const THRESHOLDS: [Self; 4] = [Self::Warning, Self::Urgent, Self::Critical, Self::Expired];

    /// The instant at which an integration that expires at `reconnect_by` enters this threshold.
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

    /// The threshold that an integration is on, if it is within the window at all.
    /// An edge belongs to the more severe side: exactly one day left is critical.
    #[must_use]
    pub fn of(
        reconnect_by: DateTime<Utc>,
        now: DateTime<Utc>,
        window: WarningWindow,
    ) -> Option<Self> {
        Self::THRESHOLDS
            .into_iter()
            .rev()
            .find(|threshold| threshold.begins(reconnect_by, window) <= now)
    }

    /// Its name, as serialised.
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

/// A distance in time as people say it: "in 7 days", "in 1 hour", "3 days ago".
#[must_use]
pub fn humanly(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let distance = (at - now).abs();
    let (count, unit) = match distance.num_seconds() {
        0..60 => (distance.num_seconds(), "second"),
        60..3_600 => (distance.num_minutes(), "minute"),
        3_600..86_400 => (distance.num_hours(), "hour"),
        _ => (distance.num_days(), "day"),
    };
    let plural = if count == 1 { "" } else { "s" };
    if at >= now {
        format!("in {count} {unit}{plural}")
    } else {
        format!("{count} {unit}{plural} ago")
    }
}

/// An instant to come, as people need it to plan: "10:00 UTC (in 40 minutes)".
#[must_use]
pub fn exactly(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    format!("{} UTC ({})", at.format("%H:%M"), humanly(at, now))
}

/// Days from `now` to `at`, to one decimal; negative when past.
#[must_use]
pub fn days_until(at: DateTime<Utc>, now: DateTime<Utc>) -> f64 {
    rounded(at - now, 86_400.0)
}

/// Hours from `now` to `at`, to one decimal; negative when past.
#[must_use]
pub fn hours_until(at: DateTime<Utc>, now: DateTime<Utc>) -> f64 {
    rounded(at - now, 3_600.0)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "seconds of a few thousand years fit in 53 bits"
)]
fn rounded(distance: TimeDelta, unit: f64) -> f64 {
    (distance.num_seconds() as f64 / unit * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    #[test]
    fn severities_correct_at_their_edges() {
        const DAY: i64 = 86_400;
        let of = |left| Severity::of(at(left), at(0), WarningWindow::default());
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

    #[test]
    fn distances_read_naturally() {
        assert_eq!(humanly(at(7 * 86_400), at(0)), "in 7 days");
        assert_eq!(humanly(at(86_399), at(0)), "in 23 hours");
        assert_eq!(humanly(at(60), at(0)), "in 1 minute");
        assert_eq!(humanly(at(-3 * 86_400), at(0)), "3 days ago");
        assert!((days_until(at(129_600), at(0)) - 1.5).abs() < 1e-9);
        assert!((hours_until(at(5_400), at(0)) - 1.5).abs() < 1e-9);
    }
}
