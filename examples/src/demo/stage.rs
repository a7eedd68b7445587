//! What the demo needs besides a backend: a place for files, and a cgroup of its own.

use std::fmt::Debug;
use std::path::Path;
use std::time::Duration;

use open_local_core::throttle::CgroupTarget;
use open_local_core::{Attachment, Bytes, BytesPerSec, PoolSpec, Result};

use crate::machine::Machine;

/// How long a writer took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// What it wrote.
    pub bytes: Bytes,
    /// How long it took, up to the moment the device had it all.
    pub span: Duration,
}

impl Written {
    /// Bytes a second, rounded down.
    #[must_use]
    pub fn rate(&self) -> BytesPerSec {
        let nanos = self.span.as_nanos().max(1);
        let rate = u128::from(self.bytes.get()).saturating_mul(1_000_000_000) / nanos;
        BytesPerSec::new(u64::try_from(rate).unwrap_or(u64::MAX))
    }
}

/// A place to run the demo on.
pub trait Stage: Debug {
    /// The machine, its operations logged.
    fn machine(&self) -> &Machine;

    /// The run's unique name.
    fn run(&self) -> &str;

    /// The run's own folder; mount targets are below it.
    fn folder(&self) -> &Path;

    /// The specification of the run's pool.
    fn pool(&self) -> PoolSpec;

    /// The run's own cgroup.
    fn cgroup(&self) -> &CgroupTarget;

    /// Writes a file into the file system mounted at `target` from `device`, durably.
    ///
    /// # Errors
    /// As the file system gives them.
    fn put(&self, target: &Path, device: &Attachment, name: &str, content: &[u8]) -> Result<()>;

    /// Reads the first `length` bytes of a file that [`Self::put`] wrote.
    ///
    /// # Errors
    /// As the file system gives them.
    fn get(&self, target: &Path, device: &Attachment, name: &str, length: usize)
    -> Result<Vec<u8>>;

    /// Makes the run's cgroup.
    ///
    /// # Errors
    /// `Unsupported` where no hierarchy limits I/O, `PermissionDenied`, `Io`.
    fn make_cgroup(&self) -> Result<()>;

    /// Overwrites the start of a device from a process in the run's cgroup with direct I/O;
    /// `None` where there are no processes and no time to measure.
    ///
    /// # Errors
    /// `External` if the writer failed, and what running it can run into.
    fn write_in_cgroup(&self, device: &Attachment, bytes: Bytes) -> Result<Option<Written>>;

    /// Removes the run's cgroup and folder, if they are there. Called when nothing is mounted or
    /// attached any more.
    ///
    /// # Errors
    /// `Busy` if something is mounted below the folder after all, `Io`.
    fn remove(&self) -> Result<()>;

    /// What there still is of this run, in words.
    ///
    /// # Errors
    /// `Io` if it can't be told.
    fn leftovers(&self) -> Result<Vec<String>>;
}
