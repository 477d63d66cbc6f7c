//! The node's clock: the only place that reads one for the engines.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ringtrip_model::{Time, Timestamp};

/// Monotonic time since the node's start, and calendar time. A step of the system clock moves no
/// timer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    base: Instant,
    started_at: Timestamp,
}

impl Clock {
    /// Starts the clock.
    pub(crate) fn start() -> Self {
        Self {
            base: Instant::now(),
            started_at: system_time(),
        }
    }

    /// Returns the time since the start.
    pub(crate) fn now(&self) -> Time {
        Time::from_micros(u64::try_from(self.base.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// Returns the calendar time of the start.
    pub(crate) const fn started_at(&self) -> Timestamp {
        self.started_at
    }

    /// Returns the instant of the start, for what wants an [`Instant`].
    pub(crate) const fn base(&self) -> Instant {
        self.base
    }

    /// Returns the calendar time now, as the system has it: right also after a suspension, through
    /// which the monotonic clock stands still.
    pub(crate) fn wall(&self) -> Timestamp {
        system_time()
    }

    /// Places a past time on the calendar.
    pub(crate) fn wall_at(&self, time: Time) -> Timestamp {
        let age = self.now().since(time).as_micros();
        Timestamp::from_micros(system_time().as_micros() - i64::try_from(age).unwrap_or(0))
    }

    /// Places a time on the runtime's clock.
    pub(crate) fn instant(&self, time: Time) -> tokio::time::Instant {
        tokio::time::Instant::from_std(self.base + time.since(Time::ZERO))
    }
}

fn system_time() -> Timestamp {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since_1970.as_micros()).unwrap_or(0))
}

/// Waits until then; for ever if there is no such time.
pub(crate) async fn sleep_until(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
