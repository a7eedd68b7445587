//! Whether udev is waited for: what a process has learned of it so far.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest wait for the answer to the test at the start.
pub(super) const TEST: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
struct Known {
    tested: bool,
    /// Why nobody waits any more.
    dead: Option<String>,
}

/// Shared by all copies of an activator.
#[derive(Debug, Default)]
pub(super) struct Udev(Mutex<Known>);

impl Udev {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_tested(&self) -> bool {
        self.known().tested
    }

    pub(super) fn answered(&self) {
        self.known().tested = true;
    }

    /// udev has not answered for so long: nobody waits for it again.
    pub(super) fn died(&self, wait: Duration) -> String {
        let message = format!(
            "udev is there but has not answered within {} s: nodes and links are made without it; \
             if it works again, start the program anew",
            wait.as_secs()
        );
        let mut known = self.known();
        known.tested = true;
        known.dead.get_or_insert(message).clone()
    }

    pub(super) fn message(&self) -> Option<String> {
        self.known().dead.clone()
    }
}
