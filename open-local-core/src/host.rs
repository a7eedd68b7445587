//! The only doors to the machine.
//!
//! Everything above these traits is deterministic: give a backend another [`Host`] and it runs in
//! memory, with a clock of the test's own and a fault at the step the test chose.

mod block;
mod checkpoints;
mod clock;
mod deadline;
mod entropy;
mod files;
mod ioctl;
mod mount_table;
mod progress;
mod quiesce;
mod roots;
mod runner;
mod system_files;
mod system_runner;

#[cfg(feature = "raw")]
mod devices;
#[cfg(feature = "mountpoint")]
mod folders;
#[cfg(feature = "fs")]
mod freezing;
#[cfg(feature = "loopdev")]
mod loopdev;
#[cfg(feature = "file")]
mod loops;
#[cfg(feature = "fs")]
mod mounts;
#[cfg(feature = "mountpoint")]
mod system_folders;
#[cfg(feature = "fs")]
mod system_mounts;
#[cfg(feature = "inventory")]
mod uevents;

use std::sync::Arc;

pub use block::{BlockIo, MemoryBlock, ReadOnly};
pub use checkpoints::{Checkpoints, CountSteps, KillAt, StopAt, Unchecked};
pub use clock::{Clock, SystemClock};
pub use deadline::{Deadline, poll_until};
pub use entropy::{Entropy, SystemEntropy};
pub use files::{
    Access, FileIo, FileKind, FileLock, FileStat, Files, FsSpace, OpenMode, read_small,
};
#[cfg(feature = "raw")]
pub(crate) use mount_table::unescape;
pub use mount_table::{MountEntry, mounted_at, parse_mountinfo};
pub use progress::{Progress, Silent};
pub use quiesce::{Frozen, Quiescer};
pub use roots::Roots;
pub use runner::{Invocation, Output, ProgramRunner, find_program};
pub use system_files::SystemFiles;
pub use system_runner::SystemRunner;

#[cfg(feature = "raw")]
pub use devices::{DeviceAccess, DeviceHandle, Devices, SystemDevices};
#[cfg(feature = "mountpoint")]
pub use folders::{FolderHandle, Folders};
#[cfg(feature = "fs")]
pub(crate) use freezing::{FreezeEnd, freeze_within};
#[cfg(feature = "loopdev")]
pub use loopdev::LoopdevLoops;
#[cfg(feature = "file")]
pub use loops::{LoopDevice, LoopSpec, Loops, SystemLoops};
#[cfg(feature = "fs")]
pub use mounts::{MountCalls, MountFlags};
#[cfg(feature = "mountpoint")]
pub use system_folders::SystemFolders;
#[cfg(feature = "fs")]
pub use system_mounts::SystemMounts;
#[cfg(feature = "inventory")]
pub use uevents::{Received, ScriptedUevents, SystemUevents, Uevents};

/// The machine as a backend sees it: one value a seam, each replaceable.
///
/// Cheap to clone; clones share the seams. Start from [`Self::system`] and replace what you need:
/// seams may be added.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Host {
    /// Files and folders.
    pub files: Arc<dyn Files>,
    /// Programs.
    pub programs: Arc<dyn ProgramRunner>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// Called before every step of a plan; tests stop or kill there.
    pub checkpoints: Arc<dyn Checkpoints>,
    /// Told how far long work is.
    pub progress: Arc<dyn Progress>,
    /// Where `/sys`, `/proc`, `/dev`, `/run` and the cgroups are.
    pub roots: Roots,
}

impl Host {
    /// The machine this process runs on.
    #[must_use]
    pub fn system() -> Self {
        Self {
            files: Arc::new(SystemFiles),
            programs: Arc::new(SystemRunner::new()),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            checkpoints: Arc::new(Unchecked),
            progress: Arc::new(Silent),
            roots: Roots::system(),
        }
    }

    /// The same with other checkpoints.
    #[must_use]
    pub fn with_checkpoints(mut self, checkpoints: Arc<dyn Checkpoints>) -> Self {
        self.checkpoints = checkpoints;
        self
    }

    /// The same with another listener for progress.
    #[must_use]
    pub fn with_progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = progress;
        self
    }

    /// The same with other roots.
    #[must_use]
    pub fn with_roots(mut self, roots: Roots) -> Self {
        self.roots = roots;
        self
    }
}
