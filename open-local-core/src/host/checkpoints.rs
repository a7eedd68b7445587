//! The place where a test stops or kills an operation between two steps.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, ErrorKind, Op, Result, Subject};

/// Called before every step that changes something.
///
/// In production nothing happens ([`Unchecked`]). A test counts the steps of an operation once
/// and then runs it again for every n, cut before step n.
pub trait Checkpoints: Debug + Send + Sync {
    /// The step is about to be taken.
    ///
    /// # Errors
    /// An [`ErrorKind::Indeterminate`] error if the operation is to be cut here: the caller
    /// returns it at once and must not undo anything, as after a kill.
    fn before(&self, op: Op, subject: &Subject, step: &str) -> Result<()>;
}

/// Lets everything pass.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unchecked;

impl Checkpoints for Unchecked {
    fn before(&self, _op: Op, _subject: &Subject, _step: &str) -> Result<()> {
        Ok(())
    }
}

/// Lets everything pass and counts.
#[derive(Debug, Default)]
pub struct CountSteps(AtomicU64);

impl CountSteps {
    /// The number of steps so far.
    #[must_use]
    pub fn steps(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Checkpoints for CountSteps {
    fn before(&self, _op: Op, _subject: &Subject, _step: &str) -> Result<()> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

/// Cuts the operation before its n-th step, counted from 1, and every step after that.
#[derive(Debug)]
pub struct StopAt {
    at: u64,
    seen: AtomicU64,
}

impl StopAt {
    /// Stops before step `at`.
    #[must_use]
    pub const fn new(at: u64) -> Self {
        Self { at, seen: AtomicU64::new(0) }
    }

    /// Whether the step was reached.
    #[must_use]
    pub fn reached(&self) -> bool {
        self.seen.load(Ordering::SeqCst) >= self.at
    }
}

impl Checkpoints for StopAt {
    fn before(&self, op: Op, subject: &Subject, step: &str) -> Result<()> {
        if self.seen.fetch_add(1, Ordering::SeqCst).saturating_add(1) < self.at {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Indeterminate,
            op,
            subject.clone(),
            format!("cut by a test before: {step}"),
        ))
    }
}

/// Kills this process with SIGKILL before its n-th step, counted from 1.
///
/// For tests that run an operation in a child process and want the real thing.
#[derive(Debug)]
pub struct KillAt {
    at: u64,
    seen: AtomicU64,
}

impl KillAt {
    /// Kills before step `at`.
    #[must_use]
    pub const fn new(at: u64) -> Self {
        Self { at, seen: AtomicU64::new(0) }
    }
}

impl Checkpoints for KillAt {
    fn before(&self, op: Op, subject: &Subject, step: &str) -> Result<()> {
        if self.seen.fetch_add(1, Ordering::SeqCst).saturating_add(1) != self.at {
            return Ok(());
        }
        let me = nix::unistd::Pid::this();
        // Nothing after this line runs; the error is for a kernel that refuses the signal.
        let sent = nix::sys::signal::kill(me, nix::sys::signal::Signal::SIGKILL);
        Err(Error::new(
            ErrorKind::Indeterminate,
            op,
            subject.clone(),
            format!("killed by a test before: {step} ({sent:?})"),
        ))
    }
}
