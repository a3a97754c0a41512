//! Distances in time, in words and numbers for people.

use chrono::{DateTime, TimeDelta, Utc};

/// Returns a distance in time in words: "in 7 days", "in 1 hour", "now", "3 days ago".
#[must_use]
pub fn humanly(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    if at == now {
        return "now".to_owned();
    }
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

/// Returns a future instant with its distance: "10:00 UTC (in 40 minutes)".
#[must_use]
pub fn exactly(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    format!("{} UTC ({})", at.format("%H:%M"), humanly(at, now))
}

/// Returns the days from `now` to `at`, to one decimal; negative when past.
#[must_use]
pub fn days_until(at: DateTime<Utc>, now: DateTime<Utc>) -> f64 {
    rounded(at - now, 86_400.0)
}

/// Returns the hours from `now` to `at`, to one decimal; negative when past.
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
    fn distances_read_naturally() {
        assert_eq!(humanly(at(0), at(0)), "now");
        assert_eq!(humanly(at(7 * 86_400), at(0)), "in 7 days");
        assert_eq!(humanly(at(86_399), at(0)), "in 23 hours");
        assert_eq!(humanly(at(60), at(0)), "in 1 minute");
        assert_eq!(humanly(at(-3 * 86_400), at(0)), "3 days ago");
        assert!((days_until(at(129_600), at(0)) - 1.5).abs() < 1e-9);
        assert!((hours_until(at(5_400), at(0)) - 1.5).abs() < 1e-9);
    }
}
