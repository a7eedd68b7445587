//! Waiting that a stop ends.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Whether a stop was asked for; clones are the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Pause(Arc<(Mutex<bool>, Condvar)>);

impl Pause {
    /// Waits so long, or until the stop; answers whether to go on.
    pub(super) fn wait(&self, span: Duration) -> bool {
        let (stopped, told) = &*self.0;
        let guard = stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = told.wait_timeout_while(guard, span, |stopped| !*stopped);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Whether the stop was asked for.
    pub(super) fn is_over(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for the stop.
    pub(super) fn end(&self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }
}
