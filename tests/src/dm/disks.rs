//! The guest's disks, by serial number.

use std::fs;
use std::path::{Path, PathBuf};

use open_local_core::{Bytes, DeviceNumber};

/// A whole disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// Its name in `/sys/block`.
    pub name: String,
    /// Its number.
    pub number: DeviceNumber,
    /// Its size.
    pub size: Bytes,
}

impl Disk {
    /// The disk with this serial number.
    ///
    /// # Panics
    /// If there is none, or more than one: a test that lacks its disk must fail.
    #[must_use]
    #[expect(clippy::panic, reason = "a test that lacks its disk must fail")]
    pub fn by_serial(serial: &str) -> Self {
        let all = Self::all();
        let mut found = all.iter().filter(|disk| disk.serial().as_deref() == Some(serial));
        match (found.next(), found.next()) {
            (Some(disk), None) => disk.clone(),
            (None, _) => panic!("this test needs a disk with the serial number {serial}: {all:?}"),
            (Some(one), Some(other)) => panic!("{one:?} and {other:?} have the number {serial}"),
        }
    }

    /// All disks of the machine.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let entries = fs::read_dir("/sys/block").into_iter().flatten().flatten();
        let mut found: Vec<Self> = entries
            .filter_map(|entry| {
                let read = |file: &str| fs::read_to_string(entry.path().join(file)).ok();
                let sectors: u64 = read("size")?.trim().parse().ok()?;
                Some(Self {
                    name: entry.file_name().into_string().ok()?,
                    number: read("dev")?.trim().parse().ok()?,
                    size: Bytes::new(sectors.checked_mul(512)?),
                })
            })
            .collect();
        found.sort_by(|a, b| a.name.cmp(&b.name));
        found
    }

    /// Its node.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        Path::new("/dev").join(&self.name)
    }

    /// Its folder in `/sys/block`.
    #[must_use]
    pub fn sys(&self) -> PathBuf {
        Path::new("/sys/block").join(&self.name)
    }

    /// A small number of its queue, such as `logical_block_size`.
    #[must_use]
    pub fn queue(&self, file: &str) -> Option<u64> {
        let text = fs::read_to_string(self.sys().join("queue").join(file)).ok()?;
        text.trim().parse().ok()
    }

    /// Its serial number: NVMe has it beside the controller, virtio beside the disk, SCSI in a
    /// page of vital product data behind four bytes of header.
    #[must_use]
    pub fn serial(&self) -> Option<String> {
        let read = |file: &str| fs::read(self.sys().join(file)).ok();
        let page =
            || read("device/vpd_pg80").map(|page| page.get(4..).unwrap_or_default().to_vec());
        let bytes = read("device/serial").or_else(|| read("serial")).or_else(page)?;
        let text = String::from_utf8_lossy(&bytes);
        Some(text.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned())
    }
}
