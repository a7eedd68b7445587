//! Finds the guest's disks by their serial numbers, with or without udev.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Result;
use crate::process::{Watch, pause};

/// Bytes before the serial number in a SCSI disk's vital product data page 0x80 (SPC-4, 7.8.13).
const PAGE_HEADER: usize = 4;

/// Each name with its device node, once all are there.
pub(super) fn wait(names: &[String], limit: Duration) -> Result<Vec<(String, PathBuf)>> {
    let watch = Watch::start();
    loop {
        let found = here(Path::new("/sys/block"));
        let device = |name: &String| {
            let device = found.iter().find(|(serial, _)| serial == name)?;
            let node = Path::new("/dev").join(&device.1);
            node.exists().then(|| (name.clone(), node))
        };
        let devices: Vec<_> = names.iter().filter_map(device).collect();
        if devices.len() == names.len() {
            return Ok(devices);
        }
        if watch.elapsed() > limit {
            return Err(format!("of the disks {names:?} only these appeared: {devices:?}"));
        }
        pause();
    }
}

/// The variable that tells a program where a disk is: `GUEST_DISK_FAST` for `fast`.
pub(super) fn variable(name: &str) -> String {
    format!("GUEST_DISK_{}", name.to_ascii_uppercase().replace('-', "_"))
}

/// Serial number and kernel name of every disk.
fn here(block: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(block).into_iter().flatten().flatten();
    let disks = entries.filter_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        Some((serial(&entry.path())?, name))
    });
    disks.collect()
}

fn serial(disk: &Path) -> Option<String> {
    // virtio has it beside the disk, NVMe and SCSI at the device below it.
    let text = fs::read(disk.join("serial")).or_else(|_| fs::read(disk.join("device/serial")));
    let bytes = text.or_else(|_| {
        let page = fs::read(disk.join("device/vpd_pg80"))?;
        Ok::<_, std::io::Error>(page.get(PAGE_HEADER..).unwrap_or_default().to_vec())
    });
    let text = String::from_utf8_lossy(&bytes.ok()?).trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_of_every_kind_are_found_by_serial() {
        let root = std::env::temp_dir().join(format!("xtask-block-{}", std::process::id()));
        let write = |path: &str, text: &[u8]| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("vda/serial", b"disk0");
        write("nvme0n1/device/serial", b"fast                \n");
        write("sda/device/vpd_pg80", b"\0\x80\0\x04slow");
        write("loop0/size", b"0\n");
        let mut found = here(&root);
        fs::remove_dir_all(&root).unwrap();
        found.sort();
        let pairs = [("disk0", "vda"), ("fast", "nvme0n1"), ("slow", "sda")];
        assert_eq!(found, pairs.map(|(serial, name)| (serial.to_owned(), name.to_owned())));
    }

    #[test]
    fn a_name_becomes_a_variable() {
        assert_eq!(variable("fast-4k"), "GUEST_DISK_FAST_4K");
    }
}
