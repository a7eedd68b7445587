//! Bounded waiting.

use std::time::Duration;

use super::Clock;
use crate::error::Result;

/// A moment after which waiting ends.
#[derive(Debug, Clone, Copy)]
pub struct Deadline(Duration);

impl Deadline {
    /// So much time from now.
    #[must_use]
    pub fn after(clock: &dyn Clock, wait: Duration) -> Self {
        Self(clock.monotonic().saturating_add(wait))
    }

    /// Whether it has passed.
    #[must_use]
    pub fn has_passed(&self, clock: &dyn Clock) -> bool {
        clock.monotonic() >= self.0
    }

    /// The time left; zero once it has passed.
    #[must_use]
    pub fn left(&self, clock: &dyn Clock) -> Duration {
        self.0.saturating_sub(clock.monotonic())
    }
}

/// Asks until there is an answer or the deadline has passed; at least once.
///
/// Waits 1 ms after the first refusal and twice as long after each further one, up to 100 ms.
///
/// # Errors
/// The first error of `ask`.
pub fn poll_until<T>(
    clock: &dyn Clock,
    wait: Duration,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<Option<T>> {
    let deadline = Deadline::after(clock, wait);
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(answer) = ask()? {
            return Ok(Some(answer));
        }
        if deadline.has_passed(clock) {
            return Ok(None);
        }
        clock.sleep(pause.min(deadline.left(clock)));
        pause = pause.saturating_mul(2).min(Duration::from_millis(100));
    }
}
