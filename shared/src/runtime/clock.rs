//! Time as a value that is passed in, so that every decision can be replayed.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, SubsecRound, TimeDelta, Utc};
use tokio::sync::Notify;

/// Where "now" comes from. Cheap to clone; clones of one clock move together.
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    /// The system's clock, shifted by so many milliseconds.
    System(Arc<AtomicI64>),
    /// A clock that stands still until it is moved.
    Frozen(Arc<Frozen>),
}

#[derive(Debug)]
struct Frozen {
    /// Milliseconds since the epoch.
    at: AtomicI64,
    moved: Notify,
}

impl Clock {
    #[must_use]
    pub fn system() -> Self {
        Self(Source::System(Arc::default()))
    }

    /// Whether the clock runs as the system's does, shifted or not.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        matches!(self.0, Source::System(_))
    }

    /// Returns a clock that stands at `at` until [`Clock::advance`] or [`Clock::set`] moves it,
    /// or somebody sleeps on it.
    #[must_use]
    pub fn frozen(at: DateTime<Utc>) -> Self {
        Self(Source::Frozen(Arc::new(Frozen {
            at: AtomicI64::new(at.timestamp_millis()),
            moved: Notify::new(),
        })))
    }

    /// Returns the time in whole seconds, the resolution in which instants are stored. So an
    /// instant that was read back equals the one that was written.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.precise().trunc_subsecs(0)
    }

    /// Returns the time to the millisecond, for ordering log and audit entries and for
    /// measuring durations, never for deciding.
    #[must_use]
    pub fn precise(&self) -> DateTime<Utc> {
        match &self.0 {
            Source::System(shift) => {
                system_now() + TimeDelta::milliseconds(shift.load(Ordering::SeqCst))
            }
            Source::Frozen(frozen) => {
                DateTime::from_timestamp_millis(frozen.at.load(Ordering::SeqCst))
                    .unwrap_or_default()
            }
        }
    }

    /// Moves this clock, and every clone of it, forward (or back, if negative).
    pub fn advance(&self, by: TimeDelta) {
        match &self.0 {
            Source::System(shift) => {
                shift.fetch_add(by.num_milliseconds(), Ordering::SeqCst);
            }
            Source::Frozen(frozen) => {
                frozen.at.fetch_add(by.num_milliseconds(), Ordering::SeqCst);
                frozen.moved.notify_waiters();
            }
        }
    }

    /// Sets this clock, and every clone of it, to `at`; a system clock runs on from there.
    pub fn set(&self, at: DateTime<Utc>) {
        match &self.0 {
            Source::System(shift) => {
                shift.store((at - system_now()).num_milliseconds(), Ordering::SeqCst)
            }
            Source::Frozen(frozen) => {
                frozen.at.store(at.timestamp_millis(), Ordering::SeqCst);
                frozen.moved.notify_waiters();
            }
        }
    }

    /// Returns once this clock shows `until`. A frozen clock is moved there: nobody waits, and
    /// time passes as if somebody had.
    pub async fn sleep_until(&self, until: DateTime<Utc>) {
        match &self.0 {
            Source::System(_) => {
                let left = (until - self.precise()).to_std().unwrap_or_default();
                tokio::time::sleep(left).await;
            }
            Source::Frozen(frozen) => {
                frozen
                    .at
                    .fetch_max(until.timestamp_millis(), Ordering::SeqCst);
                frozen.moved.notify_waiters();
            }
        }
    }

    /// Returns what `work` returns, or `None` if `limit` passes first. On a frozen clock, the
    /// clock must be moved that far. So a slow machine never looks like a service that does not
    /// answer.
    pub async fn within<F: Future>(&self, limit: Duration, work: F) -> Option<F::Output> {
        match &self.0 {
            Source::System(_) => tokio::time::timeout(limit, work).await.ok(),
            Source::Frozen(frozen) => {
                let limit = TimeDelta::from_std(limit).unwrap_or(TimeDelta::MAX);
                let until = self.precise().checked_add_signed(limit);
                let until = until.unwrap_or(DateTime::<Utc>::MAX_UTC);
                tokio::select! {
                    biased;
                    done = work => Some(done),
                    () = self.moved_to(frozen, until) => None,
                }
            }
        }
    }

    async fn moved_to(&self, frozen: &Frozen, until: DateTime<Utc>) {
        loop {
            let mut moved = std::pin::pin!(frozen.moved.notified());
            // Listening before looking, or a move in between would be missed.
            moved.as_mut().enable();
            if self.precise() >= until {
                return;
            }
            moved.await;
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the system's clock"
)]
fn system_now() -> DateTime<Utc> {
    Utc::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_of_a_frozen_clock_move_together() {
        let start = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let clock = Clock::frozen(start);
        let clone = clock.clone();
        clock.advance(TimeDelta::days(2));
        assert_eq!(clone.now(), start + TimeDelta::days(2));
        clone.set(start);
        assert_eq!(clock.now(), start);
    }

    #[tokio::test]
    async fn whoever_sleeps_on_a_frozen_clock_lets_the_time_pass() {
        let start = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let later = start + TimeDelta::seconds(10);
        let (clock, sleeper) = (Clock::frozen(start), Clock::frozen(start));
        let waiting = sleeper.within(Duration::from_secs(10), std::future::pending::<()>());
        let mut waiting = std::pin::pin!(waiting);
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        sleeper.clone().sleep_until(later).await;
        assert_eq!((sleeper.now(), clock.now()), (later, start));
        assert_eq!(waiting.await, None);
        // What is past takes no time, and never goes back.
        sleeper.sleep_until(start).await;
        assert_eq!(sleeper.now(), later);
    }

    #[tokio::test]
    async fn time_is_up_when_the_clock_says_so() {
        let start = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let clock = Clock::frozen(start);
        let limit = Duration::from_millis(300);
        let waiting = clock.within(limit, std::future::pending::<()>());
        let mut waiting = std::pin::pin!(waiting);
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        clock.advance(TimeDelta::milliseconds(299));
        assert!(futures::poll!(waiting.as_mut()).is_pending());
        clock.advance(TimeDelta::milliseconds(1));
        assert_eq!(waiting.await, None);
        assert_eq!(clock.within(limit, async { 7 }).await, Some(7));
        let system = Clock::system();
        let never = system.within(Duration::ZERO, std::future::pending::<()>());
        assert_eq!(never.await, None);
    }

    #[test]
    fn now_is_whole_seconds() {
        assert_eq!(Clock::system().now().timestamp_subsec_nanos(), 0);
    }
}
