//! The template's schedules: EventBridge Scheduler's expressions, and their ticking.

use std::str::FromStr;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use shared::Clock;

use crate::asynchronous::Asynchronous;
use crate::template::Schedule;

/// When a schedule is due.
#[derive(Debug, Clone)]
pub enum Expression {
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

impl Expression {
    /// Reads `rate(5 minutes)` or `cron(0 9 * * ? *)`.
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
            rate_of(rate).map(Self::Rate).ok_or_else(|| {
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

    /// The first instant after `now`, for a schedule that began at `start`.
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

fn rate_of(rate: &str) -> Option<TimeDelta> {
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

/// Ticks one schedule until the task is dropped.
pub(crate) async fn run(schedule: Schedule, clock: Clock, asynchronous: Asynchronous) {
    let mut ticks = Ticks::new(schedule, clock.now());
    while let Some(left) = ticks.turn(clock.now(), &asynchronous) {
        // The clock may be set while we wait, so never sleep for long.
        let left = left.to_std().unwrap_or_default();
        tokio::time::sleep(left.min(Duration::from_secs(1))).await;
    }
}

/// One schedule as time passes.
struct Ticks {
    schedule: Schedule,
    start: DateTime<Utc>,
    next: Option<DateTime<Utc>>,
}

impl Ticks {
    fn new(schedule: Schedule, start: DateTime<Utc>) -> Self {
        let next = schedule.expression.next(start, start);
        Self {
            schedule,
            start,
            next,
        }
    }

    /// Ticks if it is time to, once however much time has passed; how long it is
    /// until the next time, if there is one.
    fn turn(&mut self, now: DateTime<Utc>, asynchronous: &Asynchronous) -> Option<TimeDelta> {
        if now >= self.next? {
            tracing::debug!(schedule = self.schedule.name, "a schedule ticked");
            asynchronous.submit(&self.schedule.function, self.schedule.input.clone());
            self.next = self.schedule.expression.next(self.start, now);
        }
        Some(self.next? - now)
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
        let rate = Expression::parse("rate(5 minutes)", "UTC").unwrap();
        let start = at("2026-11-23T09:02:00Z");
        assert_eq!(rate.next(start, start), Some(at("2026-11-23T09:07:00Z")));
        let late = at("2026-11-23T09:18:30Z");
        assert_eq!(rate.next(start, late), Some(at("2026-11-23T09:22:00Z")));
    }

    #[test]
    fn a_cron_ticks_at_nine_in_its_time_zone_in_summer_and_winter() {
        let daily = Expression::parse("cron(0 9 * * ? *)", "Europe/Berlin").unwrap();
        let next = |now| daily.next(at(now), at(now));
        assert_eq!(
            next("2026-07-01T00:00:00Z"),
            Some(at("2026-07-01T07:00:00Z"))
        );
        assert_eq!(
            next("2026-11-23T08:00:00Z"),
            Some(at("2026-11-24T08:00:00Z"))
        );
        let weekly = Expression::parse("cron(30 6 ? * MON *)", "UTC").unwrap();
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
            let error = Expression::parse(expression, zone).unwrap_err().to_string();
            assert!(error.contains(reason), "{expression}: {error}");
        }
    }

    #[tokio::test]
    async fn a_schedule_ticks_when_its_time_has_come_and_not_before() {
        use std::sync::Mutex;
        let clock = Clock::frozen(at("2026-11-23T08:50:00Z"));
        let parameter = |name: &str| (name.to_owned(), "https://issuer.example".to_owned());
        let inputs = crate::template::Inputs {
            parameters: [parameter("AuthIssuer"), parameter("AuthAudience")].into(),
            sqs: String::new(),
        };
        let template = crate::template::Template::parse(crate::template::EMBEDDED).unwrap();
        let model = template.resolve(&inputs).unwrap();
        let seen: std::sync::Arc<Mutex<Vec<String>>> = std::sync::Arc::default();
        let record = std::sync::Arc::clone(&seen);
        let sweep = crate::invoke::handler(move |event, _| {
            record.lock().unwrap().push(event.to_string());
            std::future::ready(Ok(event))
        });
        let functions =
            crate::invoke::Functions::InProcess([("CheckTokensFunction".to_owned(), sweep)].into());
        let queues = crate::aws::sqs::Queues::new(model.queues.clone(), clock.clone());
        let invoker =
            crate::invoke::Invoker::new(model.functions.clone(), functions, clock.clone());
        let asynchronous = Asynchronous::new(invoker, queues, clock.clone(), Duration::ZERO);
        let of = |schedule: &Schedule| Ticks::new(schedule.clone(), clock.now());
        let mut schedules: Vec<_> = model.schedules.iter().map(of).collect();
        let mut ticks = Vec::new();
        for _ in 0..12 {
            for schedule in &mut schedules {
                let left = schedule.turn(clock.now(), &asynchronous).unwrap();
                assert!(left > TimeDelta::zero());
            }
            asynchronous.settled().await;
            ticks.push(seen.lock().unwrap().drain(..).collect::<Vec<_>>().join(" "));
            clock.advance(TimeDelta::minutes(1));
        }
        // 08:50 and on, a minute each: every five minutes, and daily at nine.
        let expected = ["", "", "", "", "", "{}", "", "", "", ""];
        assert_eq!(ticks[..10], expected);
        let mut at_nine: Vec<_> = ticks[10].split(' ').collect();
        at_nine.sort_unstable();
        assert_eq!(at_nine, ["{\"days\":7}", "{}"]);
        assert_eq!(ticks[11], "");
    }
}
