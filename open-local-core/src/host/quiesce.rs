//! Holding the content of a published device still while a copy is made.

use std::fmt::Debug;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::Result;
use crate::info::Attachment;

/// File systems that are frozen because somebody asked for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frozen {
    /// The name of the intent on disk.
    pub intent: String,
    /// One mount target of each frozen file system.
    pub targets: Vec<PathBuf>,
}

/// Freezes and thaws the file systems on a device.
///
/// The intent is on disk before the first freeze, so that a start-up sweep ([`Self::sweep`])
/// thaws what a kill left frozen.
pub trait Quiescer: Debug + Send + Sync {
    /// Freezes every file system mounted from the device, within the deadline.
    ///
    /// # Errors
    /// `Busy` if the device is not mounted (nobody can hold a raw device still) or frozen by
    /// somebody else, `Timeout` (nothing stays frozen), `Io`.
    fn freeze_device(&self, device: &Attachment, deadline: Duration) -> Result<Frozen>;

    /// Thaws what [`Self::freeze_device`] froze and removes the intent; answers whether all of it
    /// had stayed frozen until now. If not, somebody else thawed it, and what was copied meanwhile
    /// may be torn.
    ///
    /// # Idempotency
    /// What is thawed already is no error.
    ///
    /// # Errors
    /// `Io`; the intent stays and the next sweep tries again.
    fn thaw(&self, frozen: &Frozen) -> Result<bool>;

    /// Thaws what killed processes left frozen; answers the mount targets. Intents of processes
    /// that still run are left alone.
    ///
    /// # Errors
    /// `Io`; what could not be thawed is tried again by the next sweep.
    fn sweep(&self) -> Result<Vec<PathBuf>>;
}
