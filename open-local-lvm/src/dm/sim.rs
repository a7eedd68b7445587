//! A simulated kernel's device-mapper, above simulated disks.
//!
//! Feature `sim`. [`SimDm`] answers the calls of [`DeviceMapper`](super::DeviceMapper) as Linux
//! 6.1 does, error numbers included, and carries data: its devices open like any other through
//! [`Devices`]. Targets: linear, striped, thin-pool, thin, error and zero.
//!
//! A thin pool keeps its metadata on its metadata device, so that zeroing, moving, copying or
//! losing that device has the effect it has; between commits it is in memory, and a power cut
//! loses it. The form on the device is not the kernel's, only the beginning of the superblock is.
//!
//! What is less than the kernel: nothing waits. I/O on a suspended device fails with `EDEADLK`
//! and is noted as a [hazard](SimDm::hazards); a write that a full pool would queue fails at once
//! as after the kernel's 60 seconds, with the same change of the pool's status. Metadata is
//! committed when something asks for it, and not every second.
//!
//! ```
//! use std::sync::Arc;
//! use open_local_core::host::{DeviceAccess, Devices};
//! use open_local_core::sim::{SimDisks, SimFiles};
//! use open_local_core::{Bytes, Sectors};
//! use open_local_lvm::dm::sim::SimDm;
//! use open_local_lvm::dm::{DeviceMapper, DmId, SuspendFlags, Udev};
//!
//! let files = Arc::new(SimFiles::new(1));
//! let disks = SimDisks::new(&files)?;
//! disks.add("sda", Bytes::MIB, None)?;
//! let dm = SimDm::new(&files, Arc::new(disks.of_kernel()))?;
//!
//! dm.create("half", "")?;
//! let half = DmId::name("half");
//! dm.load(&half, &"0 1024 linear 8:0 1024".parse()?, false)?;
//! dm.resume(&half, SuspendFlags::default(), Udev::NO_UDEV)?;
//! let device = dm.open("/dev/dm-0".as_ref(), DeviceAccess::Claim)?;
//! assert_eq!(device.size()?, Bytes::from_kib(512).unwrap());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod calls;
mod cookies;
mod device;
mod handle;
mod io;
mod kernel;
mod load;
mod message;
mod nodes;
mod pool;
mod thin;

#[cfg(test)]
mod tests;

use std::io as std_io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use open_local_core::DeviceNumber;
use open_local_core::host::{DeviceAccess, Devices};
use open_local_core::sim::SimFiles;

use super::DmId;
use kernel::Kernel;

pub use cookies::SimUdev;

/// The major number of the simulated device-mapper; the real one's is given at boot.
pub const DM_MAJOR: u32 = 254;

/// The device-mapper of a simulated machine.
///
/// Clones are the same one. Calls of a killed process fail, each change is counted by
/// [`SimFiles::operations`] and fails or is the last one as planned there.
#[derive(Debug, Clone)]
pub struct SimDm {
    files: Arc<SimFiles>,
    kernel: Arc<Mutex<Kernel>>,
    /// What programs open by path.
    disks: Arc<dyn Devices>,
    /// Calls of device-mapper so far.
    calls: Arc<AtomicU64>,
}

impl SimDm {
    /// No devices yet. `disks` is what tables name: of [`SimDisks`](open_local_core::sim::SimDisks)
    /// give [`of_kernel`](open_local_core::sim::SimDisks::of_kernel). Disks with a node in `/dev`
    /// are found by themselves, others have to be [added](Self::add_disk).
    ///
    /// # Errors
    /// `ENOTDIR` if something is in the way of `/dev` or `/sys`.
    pub fn new(files: &Arc<SimFiles>, disks: Arc<dyn Devices>) -> std_io::Result<Self> {
        for folder in ["/dev/mapper", "/sys/block", "/sys/dev/block"] {
            files.add_folder(folder)?;
        }
        let kernel = Kernel::new(Arc::clone(files), Arc::clone(&disks));
        Ok(Self {
            files: Arc::clone(files),
            kernel: Arc::new(Mutex::new(kernel)),
            disks,
            calls: Arc::default(),
        })
    }

    /// The same with other disks for programs that open one by its path: those whose calls are
    /// counted and fail as planned, where the kernel's own do not.
    #[must_use]
    pub fn with_disks(self, disks: Arc<dyn Devices>) -> Self {
        Self { disks, ..self }
    }

    fn kernel(&self) -> MutexGuard<'_, Kernel> {
        self.kernel.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a disk known that has no node in `/dev`.
    ///
    /// # Errors
    /// As opening it gives them.
    pub fn add_disk(&self, path: impl AsRef<Path>) -> std_io::Result<DeviceNumber> {
        self.kernel().add_disk(path.as_ref())
    }

    /// The same devices on a machine that was copied; nothing is open there.
    #[must_use]
    pub fn fork(&self, files: &Arc<SimFiles>, disks: Arc<dyn Devices>) -> Self {
        let kernel = self.kernel().copied(Arc::clone(files), Arc::clone(&disks));
        Self {
            files: Arc::clone(files),
            kernel: Arc::new(Mutex::new(kernel)),
            disks,
            calls: Arc::default(),
        }
    }

    /// Forgets every device, as a reboot does, with what `/dev` has of it by its name. What pools have not committed is lost; the disks
    /// and files are cut or shut down by their own calls.
    pub fn reboot(&self) {
        self.kernel().reboot();
    }

    /// Whether udev runs and answers; it does not, unless told otherwise.
    pub fn set_udev(&self, udev: SimUdev) {
        self.kernel().udev.mode = udev;
    }

    /// Lets udev deal with what it was told of.
    pub fn settle(&self) {
        self.kernel().settle();
    }

    /// What was done that the kernel allows and that loses data or hangs a real machine.
    #[must_use]
    pub fn hazards(&self) -> Vec<String> {
        self.kernel().hazards.clone()
    }

    /// How many calls of device-mapper there were so far, changes and looks, without cookies.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    fn count(&self) {
        let _ = self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// Every change so far, as text.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.kernel().log.clone()
    }

    /// Lets the n-th change from here (1 is the next) whose text in the log contains `part` fail
    /// with this error number, having changed nothing. A new plan replaces this one.
    pub fn fail_at(&self, n: u64, part: &str, errno: i32) {
        self.kernel().fault = (n > 0).then(|| (n, part.to_owned(), errno));
    }

    /// Names of the devices that are suspended.
    #[must_use]
    pub fn suspended(&self) -> Vec<String> {
        self.kernel().suspended()
    }

    /// Cookies that nobody has waited for.
    #[must_use]
    pub fn cookies(&self) -> usize {
        self.kernel().udev.cookies.len()
    }

    /// Discards bytes of a device, as a file system does: what a thin volume has wholly inside
    /// of the range is unmapped.
    ///
    /// # Errors
    /// `ENXIO`, `EIO`, `EDEADLK`; `EOPNOTSUPP` if the pool ignores discards.
    pub fn discard(&self, number: DeviceNumber, offset: u64, len: u64) -> std_io::Result<()> {
        self.kernel().discard(number, offset, len)
    }

    /// Lets a pool's metadata ask for a check: the pool becomes read-only.
    ///
    /// # Errors
    /// `ENXIO` if there is no such pool.
    pub fn set_needs_check(&self, pool: &DmId) -> std_io::Result<()> {
        self.kernel().with_pool(pool, |kernel, minor| kernel.metadata_failed(minor))
    }

    /// Lets a pool fail: all its I/O ends with errors.
    ///
    /// # Errors
    /// `ENXIO` if there is no such pool.
    pub fn fail_pool(&self, pool: &DmId) -> std_io::Result<()> {
        self.kernel().with_pool(pool, |kernel, minor| kernel.set_mode(minor, pool::Mode::Fail))
    }

    /// Has a pool commit its metadata, as the kernel does every second.
    ///
    /// # Errors
    /// `ENXIO` if there is no such pool.
    pub fn commit(&self, pool: &DmId) -> std_io::Result<()> {
        self.kernel().with_pool(pool, |kernel, minor| {
            let _ = kernel.commit(minor);
        })
    }

    /// The number of a device by name, UUID or number.
    ///
    /// # Errors
    /// `ENXIO` if there is none.
    pub fn number(&self, id: &DmId) -> std_io::Result<DeviceNumber> {
        self.kernel().find(id).map(kernel::number_of)
    }

    /// Opens a device by number, as [`Devices::open`] does by path.
    ///
    /// # Errors
    /// As that call.
    pub fn open_number(
        &self,
        number: DeviceNumber,
        access: DeviceAccess,
    ) -> std_io::Result<Box<dyn open_local_core::host::DeviceHandle>> {
        handle::open(self, number, access)
    }
}
