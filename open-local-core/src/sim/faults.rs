//! Faults that a test puts between two steps.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{Checkpoints, Unchecked};

/// Fails the n-th step, counted from 1, with an error of the chosen kind; all others pass.
#[derive(Debug)]
pub struct FailAt {
    at: u64,
    kind: ErrorKind,
    seen: AtomicU64,
}

impl FailAt {
    /// Fails step `at` with an error of `kind`.
    #[must_use]
    pub const fn new(at: u64, kind: ErrorKind) -> Self {
        Self { at, kind, seen: AtomicU64::new(0) }
    }

    /// Whether the step was reached.
    #[must_use]
    pub fn reached(&self) -> bool {
        self.seen.load(Ordering::SeqCst) >= self.at
    }
}

impl Checkpoints for FailAt {
    fn before(&self, op: Op, subject: &Subject, step: &str) -> Result<()> {
        if self.seen.fetch_add(1, Ordering::SeqCst).saturating_add(1) != self.at {
            return Ok(());
        }
        let message = format!("failed by a test before: {step}");
        Err(Error::new(self.kind, op, subject.clone(), message))
    }
}

/// Checkpoints that can be changed while backends are open.
#[derive(Debug)]
pub(super) struct Switchable(Mutex<Arc<dyn Checkpoints>>);

impl Default for Switchable {
    fn default() -> Self {
        Self(Mutex::new(Arc::new(Unchecked)))
    }
}

impl Switchable {
    pub(super) fn set(&self, checkpoints: Arc<dyn Checkpoints>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = checkpoints;
    }
}

impl Checkpoints for Switchable {
    fn before(&self, op: Op, subject: &Subject, step: &str) -> Result<()> {
        // The guard is gone before the call: a checkpoint may change the checkpoints.
        let current = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        current.before(op, subject, step)
    }
}
