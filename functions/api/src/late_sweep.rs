//! Whether the sweeps are late that keep integrations alive.

use chrono::{DateTime, TimeDelta, Utc};

/// No sweep that runs comes later: they begin at most 10 minutes apart (`DueSchedule`), and end
/// within 5. The alarm `sweep-silent` goes off after as long.
const LATE_AFTER: TimeDelta = TimeDelta::minutes(20);

/// Returns since when nothing has been looked at, if sweeps are late: since the last one ended,
/// or where none ever has, since the oldest of the integrations that are shown came to us.
pub(crate) fn unchecked_since(
    last_sweep: Option<DateTime<Utc>>,
    oldest_grant: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> Option<DateTime<Utc>> {
    last_sweep
        .or(oldest_grant)
        .filter(|since| now - *since >= LATE_AFTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sweeps_are_late_twenty_minutes_after_the_last() {
        let at = |minutes: i64| DateTime::from_timestamp(1_800_000_000 + minutes * 60, 0);
        let now = at(0).unwrap();
        for (last_sweep, oldest_grant, expected) in [
            (at(-1), at(-99), None),
            (at(-19), at(-99), None),
            (at(-20), at(-99), at(-20)),
            (at(-60), at(-1), at(-60)),
            // Another machine's clock may be ahead.
            (at(1), at(-99), None),
            // A new deployment has not swept yet.
            (None, None, None),
            (None, at(-19), None),
            (None, at(-20), at(-20)),
        ] {
            let since = unchecked_since(last_sweep, oldest_grant, now);
            assert_eq!(since, expected, "{last_sweep:?} {oldest_grant:?}");
        }
    }
}
