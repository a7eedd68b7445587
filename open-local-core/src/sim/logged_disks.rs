//! Disks in memory that remember every write and flush, and every state a power cut may leave.
//!
//! [`LoggedDisks`] implements [`crate::host::Devices`]. From [`LoggedDisks::record`] on it keeps a log
//! over all its disks; [`LoggedDisks::crashes`] lists what may be on them if the power goes after the
//! n-th entry, and [`LoggedDisks::after`] makes the disks as they are then. A disk writes sectors of
//! 512 bytes whole or not at all; what was not flushed is there, missing, torn or in another
//! order.
//!
//! ```
//! use open_local_core::Bytes;
//! use open_local_core::host::{DeviceAccess, Devices, OpenMode};
//! use open_local_core::sim::LoggedDisks;
//! use std::path::Path;
//!
//! let disks = LoggedDisks::new();
//! disks.add("/dev/sda", Bytes::MIB, Bytes::new(512));
//! let path = Path::new("/dev/sda");
//! let disk = disks.open(path, DeviceAccess::Direct(OpenMode::ReadWrite))?;
//! disks.record();
//! disk.write_at(0, &[1; 1024])?;
//! // Both sectors, none, the first, the last.
//! assert_eq!(disks.crashes(1, 0).len(), 4);
//! disk.flush()?;
//! assert_eq!(disks.crashes(2, 0).len(), 1);
//! # Ok::<(), std::io::Error>(())
//! ```

mod crash;
mod handle;
mod image;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::device::DeviceNumber;
use crate::units::Bytes;

use image::Image;

pub use crash::Crash;

/// A set of simulated disks with one log.
///
/// Clones are the same disks.
#[derive(Debug, Clone, Default)]
pub struct LoggedDisks {
    world: Arc<Mutex<World>>,
}

#[derive(Debug, Default)]
struct World {
    disks: BTreeMap<PathBuf, Disk>,
    /// What the disks held when recording began; empty before that.
    start: BTreeMap<PathBuf, Image>,
    log: Vec<DiskEvent>,
    recording: bool,
}

#[derive(Debug)]
struct Disk {
    number: DeviceNumber,
    block: Bytes,
    image: Image,
    faults: Faults,
    /// Lives as long as the handle that has claimed it.
    claim: Weak<()>,
}

/// What a disk does wrong.
#[derive(Debug, Clone, Copy, Default)]
struct Faults {
    /// Writes left until one fails, and whether all after it do.
    write: Option<(u64, i32, bool)>,
    /// The same for flushes.
    flush: Option<(u64, i32)>,
    /// Writes are answered and not done.
    loses_writes: bool,
    /// Every call fails with `EIO`; the node is gone.
    gone: bool,
}

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DiskEvent {
    /// Bytes were handed to a disk.
    Write {
        /// The disk.
        disk: PathBuf,
        /// Where.
        offset: u64,
        /// What.
        data: Vec<u8>,
    },
    /// A disk made all it was handed durable.
    Flush {
        /// The disk.
        disk: PathBuf,
    },
}

impl LoggedDisks {
    /// No disks yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a blank disk with this logical block size, or replaces the one of that path.
    pub fn add(&self, path: impl AsRef<Path>, size: Bytes, block: Bytes) {
        let mut world = self.world();
        let minor = u32::try_from(world.disks.len()).unwrap_or(u32::MAX);
        let disk = Disk {
            number: DeviceNumber::new(259, minor),
            block,
            image: Image::blank(size),
            faults: Faults::default(),
            claim: Weak::new(),
        };
        world.disks.insert(path.as_ref().to_path_buf(), disk);
    }

    /// The paths of all disks, sorted.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.world().disks.keys().cloned().collect()
    }

    /// All bytes of a disk; empty if there is no such disk.
    #[must_use]
    pub fn content(&self, path: impl AsRef<Path>) -> Vec<u8> {
        self.world().disks.get(path.as_ref()).map(|disk| disk.image.content()).unwrap_or_default()
    }

    /// Changes bytes of a disk behind everybody's back: not in the log, durable at once.
    pub fn overwrite(&self, path: impl AsRef<Path>, offset: u64, data: &[u8]) {
        if let Some(disk) = self.world().disks.get_mut(path.as_ref()) {
            disk.image.write(offset, data);
        }
    }

    /// A copy of the disks as they are now, without log and faults.
    #[must_use]
    pub fn fork(&self) -> Self {
        let world = self.world();
        let disks = world.disks.iter().map(|(path, disk)| {
            let copy = Disk {
                image: disk.image.clone(),
                faults: Faults::default(),
                claim: Weak::new(),
                ..*disk
            };
            (path.clone(), copy)
        });
        let world = World { disks: disks.collect(), ..World::default() };
        Self { world: Arc::new(Mutex::new(world)) }
    }

    /// Begins a new log; what the disks hold now is durable.
    pub fn record(&self) {
        let mut world = self.world();
        world.log.clear();
        world.recording = true;
        world.start = world
            .disks
            .iter_mut()
            .map(|(path, disk)| {
                disk.image.settle();
                (path.clone(), disk.image.clone())
            })
            .collect();
    }

    /// The log since [`Self::record`].
    #[must_use]
    pub fn log(&self) -> Vec<DiskEvent> {
        self.world().log.clone()
    }

    fn fault(&self, path: impl AsRef<Path>, set: impl FnOnce(&mut Faults)) {
        if let Some(disk) = self.world().disks.get_mut(path.as_ref()) {
            set(&mut disk.faults);
        }
    }

    /// Lets the n-th write to a disk from here (1 is the next) fail, having changed nothing.
    pub fn fail_write(&self, path: impl AsRef<Path>, n: u64, errno: i32) {
        self.fault(path, |faults| faults.write = Some((n, errno, false)));
    }

    /// As [`Self::fail_write`], and so do all writes after it.
    pub fn fail_writes_from(&self, path: impl AsRef<Path>, n: u64, errno: i32) {
        self.fault(path, |faults| faults.write = Some((n, errno, true)));
    }

    /// Lets the n-th flush of a disk from here fail.
    pub fn fail_flush(&self, path: impl AsRef<Path>, n: u64, errno: i32) {
        self.fault(path, |faults| faults.flush = Some((n, errno)));
    }

    /// Whether a disk answers writes without doing them.
    pub fn set_loses_writes(&self, path: impl AsRef<Path>, on: bool) {
        self.fault(path, |faults| faults.loses_writes = on);
    }

    /// Pulls a disk out, or puts it back.
    pub fn set_gone(&self, path: impl AsRef<Path>, on: bool) {
        self.fault(path, |faults| faults.gone = on);
    }

    /// Forgets all planned faults.
    pub fn mend(&self) {
        self.world().disks.values_mut().for_each(|disk| disk.faults = Faults::default());
    }
}
