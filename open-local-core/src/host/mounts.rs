//! Mounting, freezing and trimming file systems.

use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};

use super::FsSpace;
use crate::fs::FsUsage;
use crate::units::Bytes;

/// Options of a mount that the kernel takes as flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct MountFlags {
    /// Refuse writes.
    pub read_only: bool,
    /// No devices.
    pub nodev: bool,
    /// No set-user-ID programs.
    pub nosuid: bool,
    /// No programs.
    pub noexec: bool,
    /// No access times.
    pub noatime: bool,
    /// No access times of folders.
    pub nodiratime: bool,
    /// Access times at every access.
    pub strictatime: bool,
}

/// The system calls about mounts.
pub trait MountCalls: Debug + Send + Sync {
    /// The mount table of this process, in the form of `/proc/self/mountinfo`.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn table(&self) -> io::Result<Vec<u8>>;

    /// Mounts a device.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn mount(
        &self,
        device: &Path,
        target: &Path,
        kind: &str,
        flags: MountFlags,
        data: &str,
    ) -> io::Result<()>;

    /// Makes `source` visible at `target` too, with these flags from the first moment on.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn bind(&self, source: &Path, target: &Path, flags: MountFlags) -> io::Result<()>;

    /// Unmounts, never lazily unless told so; a link at `target` is not followed.
    ///
    /// # Errors
    /// `EBUSY` while it is in use, others as the operating system gives them.
    fn unmount(&self, target: &Path, lazy: bool) -> io::Result<()>;

    /// Freezes the file system mounted at `target`.
    ///
    /// # Errors
    /// `EBUSY` if it is frozen already.
    fn freeze(&self, target: &Path) -> io::Result<()>;

    /// Thaws the file system mounted at `target`.
    ///
    /// # Errors
    /// `EINVAL` if it is not frozen.
    fn thaw(&self, target: &Path) -> io::Result<()>;

    /// Discards what the file system does not use; answers the bytes discarded.
    ///
    /// # Errors
    /// `EOPNOTSUPP` where the device can't discard.
    fn trim(&self, target: &Path) -> io::Result<u64>;

    /// The room of the file system.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn space(&self, target: &Path) -> io::Result<FsSpace>;

    /// Bytes and inodes of the file system; without inodes unless an implementation knows them.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn usage(&self, target: &Path) -> io::Result<FsUsage> {
        let space = self.space(target)?;
        let used = space.total.get().saturating_sub(space.available.get());
        Ok(FsUsage::new(space.total, Bytes::new(used), space.available))
    }

    /// The path as the mount table has it: every folder above the last component is looked
    /// through if it is a link.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn resolve(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_path_buf())
    }

    /// Who keeps the file system at `target` busy, a few of them, for a message to a person.
    fn users(&self, _target: &Path) -> Vec<String> {
        Vec::new()
    }
}
