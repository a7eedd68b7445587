//! Virtual time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::host::Clock;

/// The moment every simulated machine starts at: 2026-01-01T00:00:00Z, in seconds.
const START: u64 = 1_767_225_600;

/// A clock that moves only when somebody sleeps or a test advances it.
#[derive(Debug, Default)]
pub struct SimClock(AtomicU64);

impl SimClock {
    /// Moves time on; at the far end of 584 years it stands still.
    pub fn advance(&self, duration: Duration) {
        let step = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let forward = |now: u64| Some(now.saturating_add(step));
        // The closure always answers, so there is no failure to handle.
        let _moved = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, forward);
    }
}

impl Clock for SimClock {
    fn now(&self) -> SystemTime {
        let start = SystemTime::UNIX_EPOCH + Duration::from_secs(START);
        start + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::SeqCst))
    }

    fn sleep(&self, duration: Duration) {
        self.advance(duration);
        // Whoever is waited for may be another thread.
        std::thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleeping_takes_no_time_but_moves_the_clock() {
        let clock = SimClock::default();
        let before = clock.now();
        clock.sleep(Duration::from_secs(3600));
        assert_eq!(clock.monotonic(), Duration::from_secs(3600));
        assert_eq!(clock.now().duration_since(before).unwrap(), Duration::from_secs(3600));
        clock.advance(Duration::MAX);
        clock.advance(Duration::MAX);
        assert_eq!(clock.monotonic(), Duration::from_nanos(u64::MAX));
    }
}
