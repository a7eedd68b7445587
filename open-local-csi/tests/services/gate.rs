//! A step at which an operation waits until it is let go on, so that another comes meanwhile.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use open_local_core::host::Checkpoints;
use open_local_core::{Op, Result, Subject};

/// Longest wait for the other side.
const WAIT: Duration = Duration::from_secs(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closed,
    Waiting,
}

/// Lets everything pass until it is closed; then the next step waits.
#[derive(Debug)]
pub(crate) struct Gate(Mutex<State>, Condvar);

impl Gate {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State::Open), Condvar::new()))
    }

    pub(crate) fn close(&self) {
        *self.0.lock().unwrap() = State::Closed;
    }

    /// Waits until an operation waits at the gate.
    pub(crate) fn until_taken(&self) {
        let state = self.0.lock().unwrap();
        let (state, _) =
            self.1.wait_timeout_while(state, WAIT, |state| *state != State::Waiting).unwrap();
        assert_eq!(*state, State::Waiting, "no step was taken");
    }

    pub(crate) fn open(&self) {
        *self.0.lock().unwrap() = State::Open;
        self.1.notify_all();
    }
}

impl Checkpoints for Gate {
    fn before(&self, _: Op, _: &Subject, _: &str) -> Result<()> {
        let mut state = self.0.lock().unwrap();
        if *state == State::Closed {
            *state = State::Waiting;
            self.1.notify_all();
            drop(self.1.wait_timeout_while(state, WAIT, |state| *state != State::Open).unwrap());
        }
        Ok(())
    }
}
