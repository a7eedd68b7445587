//! Devices that are one and the same behind several names.

use std::collections::BTreeMap;

use super::device::order;
use super::{BlockDevice, DeviceKind};
use crate::units::Bytes;

/// What makes two devices one.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Identity<'a> {
    Wwn(&'a str),
    /// Of disks that have no WWN; several NVMe namespaces share the serial of their controller,
    /// but have a WWN each.
    Serial(&'a str, &'a str),
}

fn identity(disk: &BlockDevice) -> Option<(Identity<'_>, Bytes)> {
    let whole = disk.partition.is_none() && !disk.kind.is_made() && !disk.size.is_zero();
    if !whole {
        return None;
    }
    let says_something = |text: &&str| text.bytes().any(|b| b.is_ascii_alphanumeric() && b != b'0');
    // `naa.` and the like alone name nobody.
    let wwn = disk.identity.wwn.as_deref();
    let wwn = wwn.filter(|wwn| says_something(&wwn.split_once('.').map_or(*wwn, |(_, id)| id)));
    let serial = disk.identity.serial.as_deref().filter(says_something);
    let id = match (wwn, serial) {
        (Some(wwn), _) => Identity::Wwn(wwn),
        (None, Some(serial)) => Identity::Serial(serial, disk.model.as_deref().unwrap_or_default()),
        (None, None) => return None,
    };
    // Cheap devices repeat serial numbers; two paths to one disk never differ in size.
    Some((id, disk.size))
}

/// For each device that is another path to one: which one to use, both by kernel name.
///
/// Of several paths, a multipath device made of one of them is the one to use; else one that is
/// in use already, else the first by name.
pub(super) fn duplicates(devices: &[BlockDevice]) -> BTreeMap<&str, &str> {
    let by_name: BTreeMap<&str, &BlockDevice> =
        devices.iter().map(|device| (device.name.as_str(), device)).collect();
    let mut groups: BTreeMap<_, Vec<&BlockDevice>> = BTreeMap::new();
    for device in devices {
        if let Some(key) = identity(device) {
            groups.entry(key).or_default().push(device);
        }
    }
    let mut found = BTreeMap::new();
    let multipath = |path: &BlockDevice| {
        let mut over = path.holders.iter().filter_map(|name| by_name.get(name.as_str()));
        over.find(|holder| holder.kind == DeviceKind::DmMultipath)
            .map(|holder| holder.name.as_str())
    };
    for device in devices {
        if let Some(holder) = multipath(device) {
            found.insert(device.name.as_str(), holder);
        }
    }
    for group in groups.values().filter(|group| group.len() > 1) {
        let one = group.iter().find_map(|path| multipath(path)).or_else(|| best(group, &by_name));
        for path in group.iter().filter(|path| Some(path.name.as_str()) != one) {
            found.extend(one.map(|one| (path.name.as_str(), one)));
        }
    }
    windows(devices, &by_name, &mut found);
    partitions(devices, &mut found);
    found
}

/// The path that is in use, itself or by a partition, or the first.
fn best<'a>(
    group: &[&'a BlockDevice],
    by_name: &BTreeMap<&str, &'a BlockDevice>,
) -> Option<&'a str> {
    let in_use = |path: &BlockDevice| {
        let mut parts = path.partitions.iter().filter_map(|name| by_name.get(name.as_str()));
        path.is_in_use() || parts.any(|part| part.is_in_use())
    };
    let first = group.iter().min_by_key(|path| (!in_use(path), order(&path.name)));
    first.map(|path| path.name.as_str())
}

/// Loop devices that show the same bytes of one file.
fn windows<'a>(
    devices: &'a [BlockDevice],
    by_name: &BTreeMap<&str, &'a BlockDevice>,
    found: &mut BTreeMap<&'a str, &'a str>,
) {
    let mut files: BTreeMap<_, Vec<&BlockDevice>> = BTreeMap::new();
    for device in devices.iter().filter(|device| device.partition.is_none()) {
        if let Some(file) = device.identity.backing_file.as_ref() {
            files.entry(file).or_default().push(device);
        }
    }
    for sharers in files.values().filter(|sharers| sharers.len() > 1) {
        let mut sharers: Vec<&BlockDevice> =
            sharers.iter().copied().filter(|one| !one.size.is_zero()).collect();
        while let Some(one) = best(&sharers, by_name) {
            let Some(at) = sharers.iter().position(|sharer| sharer.name == one) else {
                break;
            };
            let chosen = sharers.swap_remove(at);
            let (same, others) = sharers.into_iter().partition(|other| overlap(chosen, other));
            sharers = others;
            let same: Vec<&BlockDevice> = same;
            found.extend(same.iter().map(|path| (path.name.as_str(), one)));
        }
    }
}

fn overlap(a: &BlockDevice, b: &BlockDevice) -> bool {
    let range = |device: &BlockDevice| {
        let start = device.window.unwrap_or_default().offset.get();
        start..start.saturating_add(device.size.get())
    };
    let (a, b) = (range(a), range(b));
    a.start < b.end && b.start < a.end
}

/// Partitions of paths: the same one of the disk to use.
fn partitions<'a>(devices: &'a [BlockDevice], found: &mut BTreeMap<&'a str, &'a str>) {
    let indexed: BTreeMap<(&str, u32), &str> = devices
        .iter()
        .filter_map(|device| {
            let partition = device.partition.as_ref()?;
            Some(((partition.disk.as_str(), partition.index), device.name.as_str()))
        })
        .collect();
    let parts: Vec<(&str, &str)> = devices
        .iter()
        .filter_map(|device| {
            let partition = device.partition.as_ref()?;
            let disk = *found.get(partition.disk.as_str())?;
            let same = indexed.get(&(disk, partition.index)).copied();
            Some((device.name.as_str(), same.unwrap_or(disk)))
        })
        .collect();
    found.extend(parts);
}
