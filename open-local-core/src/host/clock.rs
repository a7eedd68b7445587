//! Time.

use std::fmt::Debug;
use std::time::{Duration, SystemTime};

/// Time, real or virtual.
pub trait Clock: Debug + Send + Sync {
    /// The time of day, for records people read; it may jump.
    fn now(&self) -> SystemTime;

    /// Time since some fixed moment, for deadlines; it never goes back.
    fn monotonic(&self) -> Duration;

    /// Waits.
    fn sleep(&self, duration: Duration);
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[expect(clippy::disallowed_methods, reason = "this is the replacement the ban points to")]
impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn monotonic(&self) -> Duration {
        static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
        START.get_or_init(std::time::Instant::now).elapsed()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}
