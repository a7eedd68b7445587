//! Mounting, freezing and trimming file systems.

use std::fmt::Debug;
use std::io;
use std::path::Path;

use super::FsSpace;

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

    /// Makes `source` visible at `target` too.
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
}

/// The machine's mounts.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemMounts;

impl MountCalls for SystemMounts {
    fn table(&self) -> io::Result<Vec<u8>> {
        std::fs::read("/proc/self/mountinfo")
    }

    fn mount(
        &self,
        device: &Path,
        target: &Path,
        kind: &str,
        _flags: MountFlags,
        data: &str,
    ) -> io::Result<()> {
        use nix::mount::{MsFlags, mount};
        Ok(mount(
            Some(device),
            target,
            Some(kind),
            MsFlags::empty(),
            Some(data),
        )?)
    }

    fn bind(&self, _source: &Path, _target: &Path, _flags: MountFlags) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }

    fn unmount(&self, target: &Path, _lazy: bool) -> io::Result<()> {
        Ok(nix::mount::umount2(
            target,
            nix::mount::MntFlags::UMOUNT_NOFOLLOW,
        )?)
    }

    fn freeze(&self, _target: &Path) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }

    fn thaw(&self, _target: &Path) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }

    fn trim(&self, _target: &Path) -> io::Result<u64> {
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }

    fn space(&self, _target: &Path) -> io::Result<FsSpace> {
        Err(io::Error::from_raw_os_error(libc::ENOSYS))
    }
}
