//! Who has a device open, as far as the kernel tells: mounts, swap areas, devices on top of it.

use std::path::PathBuf;

use open_local_core::DeviceNumber;
use open_local_core::host::{Host, parse_mountinfo, read_small};

/// The mount table and the list of swap areas may be that large.
const MAX_TABLE: usize = 16 << 20;
/// What one attribute of `/sys` may have.
const MAX_ATTRIBUTE: usize = 4096;

/// What is known of who uses a device, in words; what can't be read is left out.
pub(super) fn of(host: &Host, number: DeviceNumber) -> Vec<String> {
    let files = host.files.as_ref();
    let mut found = Vec::new();
    let table = host.roots.proc.join("self/mountinfo");
    let mounts = read_small(files, &table, MAX_TABLE).ok().and_then(|t| parse_mountinfo(&t).ok());
    for mount in mounts.into_iter().flatten().filter(|mount| mount.number == number) {
        found.push(format!("the mount at {}", mount.target.display()));
    }
    let block = host.roots.sys.join(format!("dev/block/{number}"));
    for holder in files.list(&block.join("holders")).unwrap_or_default() {
        let name = host.roots.sys.join("block").join(&holder).join("dm/name");
        let name = read_small(files, &name, MAX_ATTRIBUTE).unwrap_or_default();
        let name = String::from_utf8_lossy(&name).trim().to_owned();
        let name = if name.is_empty() { holder.to_string_lossy().into_owned() } else { name };
        found.push(format!("the device {name}"));
    }
    if is_swap(host, number) {
        found.push("the kernel as a swap area".to_owned());
    }
    found
}

fn is_swap(host: &Host, number: DeviceNumber) -> bool {
    let files = host.files.as_ref();
    let list = read_small(files, &host.roots.proc.join("swaps"), MAX_TABLE).unwrap_or_default();
    let list = String::from_utf8_lossy(&list).into_owned();
    let areas = list.lines().skip(1).filter_map(|line| line.split_whitespace().next());
    let mut areas = areas.map(PathBuf::from);
    areas.any(|area| files.stat(&area).is_ok_and(|stat| stat.stands_for == Some(number)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use open_local_core::sim::{SimFiles, sim_host};

    use super::*;

    #[test]
    fn mounts_devices_and_swap_areas_are_named_and_missing_files_are_none() {
        let files = Arc::new(SimFiles::new(1));
        let number = DeviceNumber::new(254, 3);
        assert!(of(&sim_host(Arc::clone(&files), 1), number).is_empty());
        files.add_folder("/proc/self").unwrap();
        let mounts = b"30 1 254:3 / /data rw - ext4 /dev/dm-3 rw\n31 1 8:1 / /o rw - ext4 x rw\n";
        files.add_file("/proc/self/mountinfo", mounts).unwrap();
        files.add_folder("/sys/dev/block/254:3/holders").unwrap();
        files.add_folder("/sys/dev/block/254:3/holders/dm-9").unwrap();
        files.add_folder("/sys/block/dm-9/dm").unwrap();
        files.add_file("/sys/block/dm-9/dm/name", b"luks-1\n").unwrap();
        files.add_folder("/dev").unwrap();
        files.add_device("/dev/dm-3", number).unwrap();
        files.add_file("/proc/swaps", b"Filename Type\n/dev/dm-3 partition 1 0 -2\n").unwrap();
        let found = of(&sim_host(files, 1), number);
        assert_eq!(found, ["the mount at /data", "the device luks-1", "the kernel as a swap area"]);
    }
}
