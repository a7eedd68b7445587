//! How far long work is, for whoever wants to show it.

use std::fmt::Debug;

use crate::error::{Op, Subject};
use crate::units::Bytes;

/// A listener for the progress of long work.
pub trait Progress: Debug + Send + Sync {
    /// `done` of `total` bytes of the work are done. Called at the start, every few MiB, and with
    /// `done == total` at the end.
    fn advanced(&self, op: Op, subject: &Subject, done: Bytes, total: Bytes);
}

/// Listens to nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn advanced(&self, _op: Op, _subject: &Subject, _done: Bytes, _total: Bytes) {}
}
