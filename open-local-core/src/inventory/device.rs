//! A block device as the kernel describes it, as plain data.

use std::path::PathBuf;

use super::DeviceKind;
use crate::device::DeviceNumber;
use crate::plan::Media;
use crate::raw::DeviceIdentity;
use crate::units::Bytes;

/// A disk or partition.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockDevice {
    /// The kernel's name, as in `/sys/block`; a `!` stands for a `/` in the node's.
    pub name: String,
    /// The kernel's own node.
    pub node: PathBuf,
    /// Its number.
    pub number: DeviceNumber,
    /// What drives it.
    pub kind: DeviceKind,
    /// Of a partition, which; `None` for a whole disk.
    pub partition: Option<Partition>,
    /// Its size; zero without a medium or file.
    pub size: Bytes,
    /// The smallest piece that can be addressed.
    pub logical_block: Bytes,
    /// The smallest piece that is written without reading first.
    pub physical_block: Bytes,
    /// Whether it rotates, as far as the kernel knows.
    pub rotational: Option<bool>,
    /// Whether it refuses writes.
    pub read_only: bool,
    /// Whether the medium can be taken out.
    pub removable: bool,
    /// What it can discard.
    pub discard: Discard,
    /// Who made it.
    pub vendor: Option<String>,
    /// The model.
    pub model: Option<String>,
    /// Serial, WWN, device-mapper UUID, backing file, sequence number. Those of a partition are
    /// its own, which has a sequence number at most.
    pub identity: DeviceIdentity,
    /// The name of a device-mapper device.
    pub dm_name: Option<String>,
    /// The UUID of a software RAID, where the kernel shows it.
    pub md_uuid: Option<String>,
    /// What of its file or device a loop device shows.
    pub window: Option<Window>,
    /// Whether it is suspended: reading it would wait until it is resumed.
    pub suspended: bool,
    /// Devices made of it, by kernel name.
    pub holders: Vec<String>,
    /// Devices it is made of, by kernel name.
    pub slaves: Vec<String>,
    /// Partitions of it that the kernel knows, by kernel name.
    pub partitions: Vec<String>,
    /// Where file systems on it are mounted, in this process's view.
    pub mounted: Vec<PathBuf>,
    /// Whether it is in use as a swap area.
    pub swap: bool,
    /// What of all this could not be read, if anything: what it says then is not to be relied on.
    pub trouble: Option<String>,
}

/// Which part of which disk a partition is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Partition {
    /// The disk, by kernel name.
    pub disk: String,
    /// Its number in the table.
    pub index: u32,
    /// Where it starts.
    pub start: Bytes,
    /// Its UUID in the table, where the kernel shows it.
    pub uuid: Option<String>,
    /// Its name in the table.
    pub name: Option<String>,
}

/// What a device can discard; all zero if nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Discard {
    /// The smallest piece.
    pub granularity: Bytes,
    /// The most in one request.
    pub max: Bytes,
}

/// The part of its file or device that a loop device shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Window {
    /// Where it starts.
    pub offset: Bytes,
    /// The device behind it, if it is no file.
    pub device: Option<DeviceNumber>,
}

impl BlockDevice {
    /// A disk of which only this is known: 512-byte blocks, no size.
    #[must_use]
    pub fn new(name: impl Into<String>, number: DeviceNumber) -> Self {
        let name = name.into();
        Self {
            node: PathBuf::from("/dev").join(name.replace('!', "/")),
            kind: DeviceKind::of(&name, None),
            name,
            number,
            partition: None,
            size: Bytes::ZERO,
            logical_block: Bytes::new(512),
            physical_block: Bytes::new(512),
            rotational: None,
            read_only: false,
            removable: false,
            discard: Discard::default(),
            vendor: None,
            model: None,
            identity: DeviceIdentity::default(),
            dm_name: None,
            md_uuid: None,
            window: None,
            suspended: false,
            holders: Vec::new(),
            slaves: Vec::new(),
            partitions: Vec::new(),
            mounted: Vec::new(),
            swap: false,
            trouble: None,
        }
    }

    /// The disk: of a partition the one it is a part of, else itself.
    #[must_use]
    pub fn disk(&self) -> &str {
        self.partition.as_ref().map_or(&self.name, |partition| &partition.disk)
    }

    /// The medium, in the words of the planner.
    #[must_use]
    pub const fn media(&self) -> Media {
        match (self.kind, self.rotational) {
            (DeviceKind::Nvme, _) => Media::Nvme,
            (_, Some(true)) => Media::Hdd,
            (_, Some(false)) => Media::Ssd,
            (_, None) => Media::Unspecified,
        }
    }

    /// Whether mounts, swap or devices made of it keep it in use as a whole.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        self.swap || !self.mounted.is_empty() || !self.holders.is_empty()
    }
}

/// A key that sorts names as people do: `loop2` before `loop10`, a disk before its partitions.
pub(super) fn order(name: &str) -> Vec<(u64, &str)> {
    let mut key = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let word = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(word);
        let end = tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len());
        let (number, tail) = tail.split_at(end);
        key.push((0, word));
        // None before all others; of those too large to be one the text decides.
        let value = match number {
            "" => 0,
            number => number.parse().map_or(u64::MAX, |n: u64| n.saturating_add(1)),
        };
        key.push((value, number));
        rest = tail;
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_as_people_sort_them() {
        let mut names = ["loop10", "sda1", "loop2", "nvme0n1p10", "sda", "nvme0n1p2", "sdb"];
        names.sort_by(|a, b| order(a).cmp(&order(b)));
        assert_eq!(names, ["loop2", "loop10", "nvme0n1p2", "nvme0n1p10", "sda", "sda1", "sdb"]);
    }

    #[test]
    fn the_medium_follows_kind_and_rotation() {
        let mut disk = BlockDevice::new("nvme0n1", DeviceNumber::new(259, 0));
        disk.rotational = Some(false);
        assert_eq!(disk.media(), Media::Nvme);
        let mut disk = BlockDevice::new("sda", DeviceNumber::new(8, 0));
        assert_eq!(disk.media(), Media::Unspecified);
        disk.rotational = Some(true);
        assert_eq!(disk.media(), Media::Hdd);
    }
}
