//! Loop devices through the crate `loopdev-3`.
//!
//! A second implementation of [`Loops`], to hold ours against. The crate does what it can do:
//! finds and opens a free device, binds the file (`LOOP_SET_FD`), switches direct I/O, detaches
//! (`LOOP_CLR_FD`) and follows a file that has grown (`LOOP_SET_CAPACITY`). What it can't is done
//! by the ioctl layer of [`SystemLoops`]: it reads no status, so listing and the check of identity
//! before each act are ours; and it sets neither the kernel's file-name field (our tag) nor the
//! logical block size.
//!
//! Two things are therefore less than what [`SystemLoops`] gives:
//!
//! - **Attaching is not one step.** The crate binds the file and only then can mark the device to
//!   detach when its last opener closes; the tag is put on, and the mark taken off, once all else
//!   is done. So a device with a tag is complete and one of a killed process goes away, but for a
//!   kill between the crate's first two calls: that leaves a device without a tag, by our rules
//!   nobody's, which is neither found again nor detached by us (`losetup -d` does it).
//!   [`SystemLoops`] does everything in one call.
//! - **The devices are those of `/dev`.** The crate knows no other folder, so other roots matter
//!   only to what is ours.
//!
//! It opens every device for writing, also a read-only one to detach it, which the kernel allows
//! (Linux 6.18). An operating system without `LOOP_CONFIGURE` (before Linux 5.8) can be served by
//! this implementation only.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

use loopdev::{LoopControl, LoopDevice as Handle};

use super::loops::{ATTACH_ATTEMPTS, set_tag};
use super::{LoopDevice, LoopSpec, Loops, Roots, SystemLoops, ioctl};
use crate::units::Bytes;

/// The machine's loop devices through the crate `loopdev-3`.
#[derive(Debug, Clone, Default)]
pub struct LoopdevLoops(SystemLoops);

impl LoopdevLoops {
    /// Loop devices, described as the kernel shows them under these roots.
    #[must_use]
    pub fn new(roots: &Roots) -> Self {
        Self(SystemLoops::new(roots))
    }

    /// Makes a bound device what was asked for, and says whose it is once it is.
    fn complete(&self, device: &Handle, index: u32, spec: &LoopSpec<'_>) -> io::Result<LoopDevice> {
        let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
        let size = i32::try_from(spec.block_size.get()).map_err(|_| invalid())?;
        // The same device for our calls: while the crate's descriptor is open nobody can bind
        // it to another file.
        let ours = fs::File::open(self.0.node(index))?;
        ioctl::loop_set_block_size(&ours, size)?;
        match device.set_direct_io(spec.direct_io) {
            // The file system can't.
            Err(e) if e.raw_os_error() == Some(libc::EINVAL) => {}
            other => other?,
        }
        let mut info = ioctl::loop_status(&ours)?;
        set_tag(&mut info, spec.tag)?;
        info.lo_flags &= !ioctl::LO_FLAGS_AUTOCLEAR;
        ioctl::loop_set_status(&ours, &info)?;
        self.0.describe(index, &ours)
    }

    fn try_attach(&self, spec: &LoopSpec<'_>, file: &fs::File) -> io::Result<LoopDevice> {
        let device = LoopControl::open()?.next_free()?;
        let index = device.minor()?;
        // Read-only if the file was opened so. Whatever fails from here on, it is detached when
        // our descriptors close.
        let bare = device.with().autoclear(true);
        bare.attach_fd(file.as_raw_fd())?;
        self.complete(&device, index, spec)
    }

    /// The crate's handle of a device that is held, and so can't become another one.
    fn held(&self, device: &LoopDevice) -> io::Result<Handle> {
        Handle::open(self.0.node(device.index))
    }
}

impl Loops for LoopdevLoops {
    fn list(&self) -> io::Result<Vec<LoopDevice>> {
        self.0.list()
    }

    fn attach(&self, spec: &LoopSpec<'_>) -> io::Result<LoopDevice> {
        // Before anything is bound, since it can only be put on afterwards.
        set_tag(&mut ioctl::LoopInfo64::empty(), spec.tag)?;
        let file = fs::OpenOptions::new()
            .read(true)
            .write(!spec.read_only)
            .custom_flags(libc::O_NOFOLLOW)
            .open(spec.file)?;
        let mut last = io::Error::from_raw_os_error(libc::EBUSY);
        for _ in 0..ATTACH_ATTEMPTS {
            match self.try_attach(spec, &file) {
                // Somebody else took the free device first.
                Err(e) if e.raw_os_error() == Some(libc::EBUSY) => last = e,
                other => return other,
            }
        }
        Err(last)
    }

    fn detach(&self, device: &LoopDevice) -> io::Result<()> {
        let holder = self.0.reopen(device, libc::O_EXCL)?;
        let handle = self.held(device)?;
        handle.detach()?;
        drop((handle, holder));
        self.0.settle(device)
    }

    fn resize(&self, device: &LoopDevice) -> io::Result<Bytes> {
        let holder = self.0.reopen(device, 0)?;
        self.held(device)?.set_capacity()?;
        ioctl::device_size(&holder).map(Bytes::new)
    }

    fn flush(&self, device: &LoopDevice) -> io::Result<()> {
        self.0.flush(device)
    }
}
