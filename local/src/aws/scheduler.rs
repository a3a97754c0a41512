//! EventBridge Scheduler: ticks the template's schedules.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use shared::Clock;

use crate::aws::lambda::event_queue::EventQueue;
use crate::template::Schedule;

/// Ticks one schedule until the task is dropped.
pub(crate) async fn run(schedule: Schedule, clock: Clock, events: EventQueue) {
    let mut ticks = Ticks::new(schedule, clock.now());
    while let Some(left) = ticks.tick_if_due(clock.now(), &events) {
        // The clock may be set while we wait, so never sleep for long.
        let left = left.to_std().unwrap_or_default();
        tokio::time::sleep(left.min(Duration::from_secs(1))).await;
    }
}

/// Tracks when one schedule ticks next.
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

    /// Ticks at most once, however much time has passed. Returns the time until the
    /// next tick, if there is one.
    fn tick_if_due(&mut self, now: DateTime<Utc>, events: &EventQueue) -> Option<TimeDelta> {
        if now >= self.next? {
            tracing::debug!(schedule = self.schedule.name, "a schedule ticked");
            events.submit(&self.schedule.function, self.schedule.input.clone());
            self.next = self.schedule.expression.next(self.start, now);
        }
        Some(self.next? - now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::lambda::handler;
    use crate::aws::lambda::invoke::{Functions, Invoker};
    use crate::aws::sqs::Queues;
    use crate::template;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[tokio::test]
    async fn a_schedule_ticks_when_its_time_has_come_and_not_before() {
        use std::sync::Mutex;
        let clock = Clock::frozen(at("2026-11-23T08:50:00Z"));
        let parameter = |name: &str| (name.to_owned(), "https://issuer.example".to_owned());
        let inputs = template::Inputs {
            parameters: [parameter("AuthIssuer"), parameter("AuthAudience")].into(),
            sqs: String::new(),
        };
        let template = template::Template::parse(template::EMBEDDED).unwrap();
        let model = template.resolve(&inputs).unwrap();
        let seen: std::sync::Arc<Mutex<Vec<String>>> = std::sync::Arc::default();
        let record = std::sync::Arc::clone(&seen);
        let sweep = handler(move |event, _| {
            record.lock().unwrap().push(event.to_string());
            std::future::ready(Ok(event))
        });
        let functions = Functions::InProcess([("CheckTokensFunction".to_owned(), sweep)].into());
        let queues = Queues::new(model.queues.clone(), clock.clone());
        let invoker = Invoker::new(model.functions.clone(), functions, clock.clone());
        let events = EventQueue::new(invoker, queues, clock.clone(), Duration::ZERO);
        let of = |schedule: &Schedule| Ticks::new(schedule.clone(), clock.now());
        let mut schedules: Vec<_> = model.schedules.iter().map(of).collect();
        let mut ticks = Vec::new();
        for _ in 0..12 {
            for schedule in &mut schedules {
                let left = schedule.tick_if_due(clock.now(), &events).unwrap();
                assert!(left > TimeDelta::zero());
            }
            events.settled().await;
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
