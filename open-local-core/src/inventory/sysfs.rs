//! Disks and partitions as `/sys/block` shows them (sysfs-block of the kernel's ABI documents,
//! 6.18). Nothing is opened but sysfs.

use std::io;
use std::path::{Component, Path, PathBuf};

use super::uevent::properties;
use super::{BlockDevice, DeviceKind, Discard, Partition, Window};
use crate::device::DeviceNumber;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{Files, Host, read_small};
use crate::raw::{attribute, holders, identity, names_in};
use crate::units::{Bytes, Sectors};

/// Most disks of a host, and most partitions of a disk.
pub(super) const MAX_DEVICES: usize = 1 << 16;
/// Largest attribute of sysfs, a page.
const MAX_ATTRIBUTE: usize = 4096;

/// Whether a text is one component of a path: what names a device in sysfs.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && text != "." && text != ".." && !text.contains(['/', '\0'])
}

/// The names of all disks.
pub(super) fn disks(host: &Host) -> Result<Vec<String>> {
    let folder = host.roots.sys.join("block");
    let names = host.files.list(&folder).map_err(|e| {
        Error::from_io(Op::Probe, Subject::path(&folder), "can't list the block devices", e)
            .with_remedy("mount sysfs at /sys, or give its folder")
    })?;
    if names.len() > MAX_DEVICES {
        let message = format!("there are {} block devices, more than {MAX_DEVICES}", names.len());
        return Err(Error::new(ErrorKind::Unsupported, Op::Probe, Subject::Host, message)
            .with_remedy("look at single devices by name"));
    }
    Ok(names.iter().filter_map(|name| name.to_str()).map(str::to_owned).collect())
}

/// A disk and its partitions; none if there is no such disk (any more) or it has no node.
pub(super) fn disk(host: &Host, name: &str) -> Vec<BlockDevice> {
    let look = Look { files: host.files.as_ref(), dev: &host.roots.dev };
    let folder = host.roots.sys.join("block").join(name);
    // A path of a natively multipathed NVMe namespace has no node (GENHD_FL_HIDDEN).
    if !is_name(name) || look.number::<u32>(&folder.join("hidden")).is_some_and(|n| n != 0) {
        return Vec::new();
    }
    let Some(mut disk) = look.device(&folder, name) else {
        return Vec::new();
    };
    look.describe(&folder, &mut disk);
    let mut all = Vec::new();
    match names_in(look.files, &folder) {
        Ok(names) => {
            let inside = names.iter().filter(|inside| inside.starts_with(name));
            let parts = inside.filter_map(|inside| look.partition(&folder, &disk, inside));
            all.extend(parts.take(MAX_DEVICES));
        }
        Err(e) => disk.trouble = Some(format!("can't list its partitions: {e}")),
    }
    disk.partitions = all.iter().map(|part: &BlockDevice| part.name.clone()).collect();
    all.insert(0, disk);
    all
}

struct Look<'a> {
    files: &'a dyn Files,
    dev: &'a Path,
}

impl Look<'_> {
    /// An attribute that every device has; `None` if it is gone.
    fn needed(&self, path: &Path) -> io::Result<Option<String>> {
        match read_small(self.files, path, MAX_ATTRIBUTE) {
            Ok(text) => Ok(Some(String::from_utf8_lossy(&text).trim().to_owned())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) if e.raw_os_error() == Some(libc::ENODEV) => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn number<T: std::str::FromStr>(&self, path: &Path) -> Option<T> {
        attribute(self.files, path)?.parse().ok()
    }

    fn bytes(&self, path: &Path) -> Option<Bytes> {
        self.number(path).map(Bytes::new)
    }

    /// What disks and partitions have alike; `None` if it is gone or was never one.
    fn device(&self, folder: &Path, name: &str) -> Option<BlockDevice> {
        let mut device = BlockDevice::new(name, DeviceNumber::new(0, 0));
        match self.needed(&folder.join("dev")) {
            Ok(None) => return None,
            Ok(Some(text)) => match text.parse() {
                Ok(number) => device.number = number,
                Err(_) => device.trouble = Some(format!("its number is {text:?}")),
            },
            Err(e) => device.trouble = Some(format!("can't read its number: {e}")),
        }
        match self.needed(&folder.join("size")) {
            Ok(None) => return None,
            Ok(Some(text)) => match text.parse().ok().and_then(|n| Sectors::new(n).to_bytes()) {
                Some(size) => device.size = size,
                None => device.trouble = Some(format!("its size is {text:?} sectors")),
            },
            Err(e) => device.trouble = Some(format!("can't read its size: {e}")),
        }
        match self.needed(&folder.join("ro")) {
            Ok(text) => device.read_only = text.is_some_and(|text| text != "0"),
            Err(e) => device.trouble = Some(format!("can't tell whether it refuses writes: {e}")),
        }
        match holders(self.files, folder) {
            Ok(holders) => device.holders = holders,
            Err(e) => device.trouble = Some(format!("can't tell which devices hold it: {e}")),
        }
        device.identity = identity(self.files, folder);
        device.node = self.node(folder, name);
        Some(device)
    }

    /// The node the kernel makes, from what it tells udev.
    fn node(&self, folder: &Path, name: &str) -> PathBuf {
        let text = read_small(self.files, &folder.join("uevent"), MAX_ATTRIBUTE);
        let text = text.unwrap_or_default();
        let told = properties(&text, b'\n').find(|(key, _)| *key == "DEVNAME");
        let normal = |path: &Path| path.components().all(|c| matches!(c, Component::Normal(_)));
        let told = told.map(|(_, path)| path).filter(|path| normal(Path::new(path)));
        self.dev.join(told.unwrap_or_else(|| name.replace('!', "/")))
    }

    /// What only disks have.
    fn describe(&self, folder: &Path, disk: &mut BlockDevice) {
        let at = |name: &str| folder.join(name);
        let text = |name: &str| attribute(self.files, &at(name));
        disk.kind = DeviceKind::of(&disk.name, disk.identity.dm_uuid.as_deref());
        disk.logical_block = self.bytes(&at("queue/logical_block_size")).unwrap_or_default();
        disk.physical_block = self.bytes(&at("queue/physical_block_size")).unwrap_or_default();
        disk.rotational = self.number(&at("queue/rotational")).map(|n: u32| n != 0);
        disk.removable = self.number(&at("removable")).is_some_and(|n: u32| n != 0);
        disk.discard = Discard {
            granularity: self.bytes(&at("queue/discard_granularity")).unwrap_or_default(),
            max: self.bytes(&at("queue/discard_max_bytes")).unwrap_or_default(),
        };
        if disk.discard.max.is_zero() {
            disk.discard = Discard::default();
        }
        disk.vendor = text("device/vendor");
        disk.model = text("device/model").or_else(|| text("device/name"));
        disk.dm_name = text("dm/name");
        disk.md_uuid = text("md/uuid");
        disk.suspended = self.number(&at("dm/suspended")).is_some_and(|n: u32| n != 0);
        disk.window = disk.identity.backing_file.as_ref().map(|_| Window {
            offset: self.bytes(&at("loop/offset")).unwrap_or_default(),
            device: None,
        });
        match names_in(self.files, &at("slaves")) {
            Ok(slaves) => disk.slaves = slaves,
            Err(e) => disk.trouble = Some(format!("can't tell what it is made of: {e}")),
        }
    }

    /// A folder inside of a disk's, if it is a partition.
    fn partition(&self, folder: &Path, disk: &BlockDevice, name: &str) -> Option<BlockDevice> {
        let folder = folder.join(name);
        let index = self.number(&folder.join("partition"))?;
        let mut part = self.device(&folder, name)?;
        let told = read_small(self.files, &folder.join("uevent"), MAX_ATTRIBUTE);
        let told = told.unwrap_or_default();
        let of = |wanted: &str| {
            let mut found = properties(&told, b'\n').filter(|(key, _)| *key == wanted);
            found.next().map(|(_, value)| value).filter(|value| !value.is_empty())
        };
        part.partition = Some(Partition {
            disk: disk.name.clone(),
            index,
            start: self
                .number(&folder.join("start"))
                .and_then(|n| Sectors::new(n).to_bytes())
                .unwrap_or_default(),
            uuid: of("PARTUUID"),
            name: of("PARTNAME"),
        });
        part.kind = disk.kind;
        part.logical_block = disk.logical_block;
        part.physical_block = disk.physical_block;
        part.rotational = disk.rotational;
        part.removable = disk.removable;
        part.discard = disk.discard;
        part.suspended = disk.suspended;
        Some(part)
    }
}
