//! A part of a disk that can be made larger while it is in use.

use std::path::PathBuf;

use open_local_core::{Attachment, Bytes, DeviceNumber, VolumeId};

use super::control::DmDevice;
use super::disks::Disk;
use super::table::{Table, Target};

/// A run of a disk's sectors as a device with the disk's own block size.
#[derive(Debug)]
pub struct Slice {
    device: DmDevice,
    below: DeviceNumber,
    start: u64,
    block: Bytes,
}

impl Slice {
    /// The part of a disk from an offset on.
    ///
    /// # Panics
    /// If it can't be made, or is not on the disk.
    #[must_use]
    pub fn of(run: &str, name: &str, disk: &Disk, start: Bytes, size: Bytes) -> Self {
        assert!(start.get() + size.get() <= disk.size.get(), "{disk:?} ends before {name} does");
        let (below, start) = (disk.number, start.get() / 512);
        let block = Bytes::new(disk.queue("logical_block_size").unwrap_or(512));
        let device = DmDevice::create(run, name, &table(below, start, size));
        Self { device, below, start, block }
    }

    /// Makes it larger, while it is mounted too.
    ///
    /// # Panics
    /// If the kernel refuses.
    #[expect(clippy::panic, reason = "a test whose disk does not grow must fail")]
    pub fn grow(&self, size: Bytes) {
        let table = table(self.below, self.start, size);
        self.device.reload(&table).unwrap_or_else(|error| panic!("{error}"));
    }

    /// The device.
    #[must_use]
    pub const fn device(&self) -> &DmDevice {
        &self.device
    }

    /// Its node.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.device.path()
    }

    /// It as the published device of a volume.
    #[must_use]
    pub fn attachment(&self, volume: VolumeId) -> Attachment {
        Attachment::new(volume, self.path(), self.device.number(), self.block)
    }
}

const fn table(below: DeviceNumber, start: u64, size: Bytes) -> Table {
    Table { sectors: size.get() / 512, target: Target::Linear { below, start } }
}
