//! EventBridge Scheduler's expressions.

use std::str::FromStr;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;

/// When a schedule is due.
#[derive(Debug, Clone)]
pub enum ScheduleExpression {
    /// `rate(...)`: first after one whole interval.
    Rate(TimeDelta),
    /// `cron(...)` in a time zone.
    Cron(Box<cron::Schedule>, Tz),
}

/// A schedule expression that cannot be run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{expression}: {problem}")]
pub struct InvalidExpression {
    expression: String,
    problem: String,
}

impl ScheduleExpression {
    /// Parses `rate(5 minutes)` or `cron(0 9 * * ? *)`.
    ///
    /// # Errors
    /// [`InvalidExpression`] says what is wrong with it.
    pub fn parse(expression: &str, time_zone: &str) -> Result<Self, InvalidExpression> {
        let invalid = |problem: String| InvalidExpression {
            expression: expression.to_owned(),
            problem,
        };
        let argument = |name: &str| {
            let rest = expression.strip_prefix(name)?;
            rest.strip_prefix('(')?.strip_suffix(')')
        };
        if let Some(rate) = argument("rate") {
            parse_rate(rate).map(Self::Rate).ok_or_else(|| {
                invalid("a rate is a positive number and minutes, hours or days".to_owned())
            })
        } else if let Some(fields) = argument("cron") {
            let split: Vec<&str> = fields.split_whitespace().collect();
            // AWS wants a `?` in exactly one of the two; the parser takes any.
            let [_, _, day, _, weekday, _] = split[..] else {
                return Err(invalid("a cron expression has six fields".to_owned()));
            };
            if (day == "?") == (weekday == "?") {
                return Err(invalid(
                    "one of day of month and day of week is ?".to_owned(),
                ));
            }
            let zone = Tz::from_str(time_zone).map_err(|e| invalid(e.to_string()))?;
            cron::Schedule::from_str(&format!("0 {fields}"))
                .map(|schedule| Self::Cron(Box::new(schedule), zone))
                .map_err(|e| invalid(e.to_string()))
        } else {
            Err(invalid(
                "only rate(...) and cron(...) are supported".to_owned(),
            ))
        }
    }

    /// Returns the first instant after `now`, for a schedule that began at `start`.
    #[must_use]
    pub fn next(&self, start: DateTime<Utc>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Rate(interval) => {
                let passed = (now - start).num_seconds().max(0) / interval.num_seconds();
                Some(start + TimeDelta::seconds((passed + 1) * interval.num_seconds()))
            }
            Self::Cron(schedule, zone) => {
                let next = schedule.after(&now.with_timezone(zone)).next();
                next.map(|at| at.with_timezone(&Utc))
            }
        }
    }
}

fn parse_rate(rate: &str) -> Option<TimeDelta> {
    let (count, unit) = rate.trim().split_once(' ')?;
    let count: i64 = count
        .parse()
        .ok()
        .filter(|count| (1..=1_000_000).contains(count))?;
    match unit.trim().trim_end_matches('s') {
        "minute" => Some(TimeDelta::minutes(count)),
        "hour" => Some(TimeDelta::hours(count)),
        "day" => Some(TimeDelta::days(count)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn a_rate_first_ticks_after_one_whole_interval_and_keeps_its_phase() {
        let rate = ScheduleExpression::parse("rate(5 minutes)", "UTC").unwrap();
        let start = at("2026-11-23T09:02:00Z");
        assert_eq!(rate.next(start, start), Some(at("2026-11-23T09:07:00Z")));
        let late = at("2026-11-23T09:18:30Z");
        assert_eq!(rate.next(start, late), Some(at("2026-11-23T09:22:00Z")));
    }

    #[test]
    fn a_cron_ticks_at_nine_in_its_time_zone_in_summer_and_winter() {
        let daily = ScheduleExpression::parse("cron(0 9 * * ? *)", "Europe/Berlin").unwrap();
        let next = |now| daily.next(at(now), at(now));
        assert_eq!(
            next("2026-07-01T00:00:00Z"),
            Some(at("2026-07-01T07:00:00Z"))
        );
        assert_eq!(
            next("2026-11-23T08:00:00Z"),
            Some(at("2026-11-24T08:00:00Z"))
        );
        let weekly = ScheduleExpression::parse("cron(30 6 ? * MON *)", "UTC").unwrap();
        let monday = at("2026-11-23T06:30:00Z");
        assert_eq!(
            weekly.next(monday, at("2026-11-22T00:00:00Z")),
            Some(monday)
        );
    }

    #[test]
    fn other_expressions_are_refused_with_the_reason() {
        for (expression, zone, reason) in [
            ("rate(0 minutes)", "UTC", "a rate is"),
            ("rate(5 seconds)", "UTC", "a rate is"),
            ("cron(0 9 * * ?)", "UTC", "six fields"),
            ("cron(0 9 * * * *)", "UTC", "one of day"),
            ("cron(0 9 * * ? *)", "Mars/Base", "failed to parse timezone"),
            ("cron(0 9 L * ? *)", "UTC", ""),
            ("at(2026-11-23T09:00:00)", "UTC", "only rate"),
        ] {
            let error = ScheduleExpression::parse(expression, zone)
                .unwrap_err()
                .to_string();
            assert!(error.contains(reason), "{expression}: {error}");
        }
    }
}
