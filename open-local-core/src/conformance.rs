//! A suite that any backend can run on itself.
//!
//! Feature `conformance`.
//!
//! The traits of this crate promise more than their signatures say: a repeated call changes
//! nothing, an interrupted one is finished by the same call made again, a conflict names its
//! field, a copy is a copy. The suite turns each promise into a [`Case`] and runs all of them on a
//! backend through a [`Fixture`], the only thing a backend's author writes:
//!
//! 1. [`Fixture::fresh`] makes a new, empty pool;
//! 2. [`Fixture::reopen`] opens the same pool as a new process would after a kill;
//! 3. [`Fixture::open`] opens the device of an attachment;
//! 4. [`Fixture::leaks`] lists what lies around and belongs to nothing the pool lists.
//!
//! Then a test of yours is three lines:
//!
//! ```
//! # use open_local_core::conformance::{self, Fixture};
//! # fn check(fixture: &dyn Fixture) -> open_local_core::Result<()> {
//! let report = conformance::run(fixture, "");
//! println!("{report}");
//! report.assert_passed()
//! # }
//! ```
//!
//! A case about something your pool's [`crate::Capabilities`] deny is *not applicable*. A case
//! that can't run because the fixture offers no second process or no file systems, or because a
//! case it rests on failed, is *not run*: [`Report::assert_passed`] counts that as an error, and
//! [`Report::assert_passed_without`] wants the name of each.
//!
//! What interruption means: your pool calls [`Checkpoints::before`] before every step that changes
//! anything. The suite counts the steps of each operation, then runs it again for every step, cut
//! just before it, reopens the pool and makes the same call again.
//!
//! Sizes are small: volumes of a few MiB in a pool of 256 MiB, rounded up to the backend's own
//! unit, which the suite finds out first. A pool that gives whole places to volumes
//! ([`crate::Capabilities::exclusive`]) has at least 34 of them in that room, eight of which hold
//! 16 MiB or more but not 4, 8 or 16 MiB exactly. `examples/third_party_backend.rs` of this crate is a
//! complete backend with its fixture.

mod case;
mod cases;
mod interrupt;
mod lab;
mod observation;
mod pattern;
mod race;
mod report;
mod run;
mod worker;

use std::fmt::Debug;
use std::io;
use std::sync::Arc;

use crate::error::Result;
#[cfg(feature = "fs")]
use crate::fs::Filesystems;
use crate::host::{BlockIo, Checkpoints, Invocation};
use crate::info::Attachment;
use crate::pool::Pool;
use crate::units::{Bytes, Ratio};

pub use case::{Case, Need};
pub use report::{CaseReport, Report, Verdict};
pub use run::{cases, run};
pub use worker::{SCRIPT_VARIABLE, run_worker, worker_checkpoints};

/// The pool a case asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolWish {
    /// Its room. A backend that needs some for itself may show a little less as
    /// [`crate::Capacity::total`], never more.
    pub capacity: Bytes,
    /// Bytes kept free of promises.
    pub reserve: Bytes,
    /// How much more than it has it may promise to thin volumes.
    pub overcommit: Ratio,
}

impl Default for PoolWish {
    fn default() -> Self {
        Self { capacity: Bytes::new(256 << 20), reserve: Bytes::ZERO, overcommit: Ratio::ONE }
    }
}

impl PoolWish {
    /// The same with another reserve.
    #[must_use]
    pub const fn with_reserve(mut self, reserve: Bytes) -> Self {
        self.reserve = reserve;
        self
    }

    /// The same with another ratio of promises.
    #[must_use]
    pub const fn with_overcommit(mut self, ratio: Ratio) -> Self {
        self.overcommit = ratio;
        self
    }
}

/// What the author of a backend implements to run the suite on it.
///
/// The suite uses one pool at a time and drops every handle it holds before it asks for the next.
pub trait Fixture: Debug + Send + Sync {
    /// The name shown in the report.
    fn name(&self) -> &str;

    /// A new, empty pool with nothing in the way of its steps
    /// ([`crate::host::Unchecked`]). The former pool and all it left are disposed of first,
    /// whatever state it is in: published devices detached, files removed.
    ///
    /// # Errors
    /// Whatever stands in the way; the case fails with it.
    fn fresh(&self, wish: &PoolWish) -> Result<Arc<dyn Pool>>;

    /// The pool of the last [`Self::fresh`] as a new process sees it after the former one was
    /// killed: nothing in memory is kept, what is on disk and attached to the kernel is. The new
    /// pool calls these checkpoints before every step.
    ///
    /// # Errors
    /// Those of opening the pool, as [`crate::Backend::open_pool`] gives them.
    fn reopen(&self, checkpoints: Arc<dyn Checkpoints>) -> Result<Arc<dyn Pool>>;

    /// Opens the device of an attachment for reading, and for writing unless it is read-only. Where
    /// volumes are directories: a file in it that reads as zeroes where nothing was written. The
    /// device counts as in use until the value is dropped. What is read is what the device holds
    /// now: where the kernel caches, open it fresh.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn open(&self, device: &Attachment) -> io::Result<Box<dyn BlockIo>>;

    /// What exists outside the objects the pool lists, one line a thing: stray files, devices
    /// without a volume, half-made objects, locks. Asked at the end of each case and after each
    /// interruption that was finished; it must be empty then.
    ///
    /// # Errors
    /// Whatever stands in the way of looking.
    fn leaks(&self) -> Result<Vec<String>>;

    /// How to start a second process that opens the same pool and calls [`run_worker`] with the
    /// script in the environment variable [`SCRIPT_VARIABLE`], which the suite adds. A test binary
    /// usually names itself with the arguments that run one test: `worker --exact --nocapture`.
    fn second_process(&self) -> Option<Invocation> {
        None
    }

    /// File systems for the devices of this backend, for the cases that format.
    #[cfg(feature = "fs")]
    fn filesystems(&self) -> Option<&dyn Filesystems> {
        None
    }

    /// Disposes of the last pool; called once after the last case.
    ///
    /// # Errors
    /// Whatever stands in the way; it is shown in the report.
    fn dispose(&self) -> Result<()> {
        Ok(())
    }
}
