//! What every test in the guest builds on: targets, cgroups, disks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use open_local_tests::scratch::run;

fn text(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    text.trim().to_owned()
}

/// The node and the queue's folder of a disk that the manifest asks for.
fn disk(number: u32) -> (PathBuf, PathBuf) {
    let node = std::env::var(format!("GUEST_DISK_DISK{number}")).expect("run in the guest");
    let name = node.strip_prefix("/dev/").unwrap();
    (PathBuf::from(&node), Path::new("/sys/block").join(name).join("queue"))
}

fn words<'a>(words: &[&'a str]) -> Vec<&'a OsStr> {
    words.iter().copied().map(OsStr::new).collect()
}

#[test]
fn device_mapper_has_the_targets_we_need() {
    let targets = run("dmsetup", &words(&["targets"]));
    for name in ["linear", "striped", "thin", "thin-pool", "snapshot", "snapshot-origin"] {
        assert!(targets.lines().any(|l| l.split(' ').next() == Some(name)), "{name}: {targets}");
    }
    for name in ["flakey", "log-writes", "delay", "error"] {
        assert!(targets.contains(name), "{name}: {targets}");
    }
}

#[test]
fn a_device_of_device_mapper_carries_data() {
    let (node, _) = disk(0);
    let table = format!("0 2048 linear {} 8", node.display());
    // There is no udev in this guest to make the node.
    let without_udev = ["--noudevsync", "--noudevrules", "--table", &table];
    run("dmsetup", &words(&[&["create", "guest-basics"], &without_udev[..]].concat()));
    run("dmsetup", &words(&["mknodes", "guest-basics"]));
    let device = Path::new("/dev/mapper/guest-basics");
    let mut opened = fs::OpenOptions::new().write(true).open(device).unwrap();
    opened.write_all(&[0x5a; 4096]).unwrap();
    opened.sync_all().unwrap();
    drop(opened);
    let written = fs::read(device).unwrap();
    run("dmsetup", &words(&["remove", "--noudevsync", "--noudevrules", "guest-basics"]));
    let mut below = vec![0; 8192];
    fs::File::open(&node).unwrap().read_exact(&mut below).unwrap();
    assert_eq!(written.len(), 1 << 20);
    assert!(written[..4096].iter().all(|byte| *byte == 0x5a));
    assert!(below[4096..].iter().all(|byte| *byte == 0x5a), "it is not where the table says");
}

#[test]
fn disks_are_as_they_were_asked_for() {
    let (nvme, virtio, scsi) = (disk(0), disk(1), disk(2));
    let logical = |queue: &Path| text(queue.join("logical_block_size"));
    assert_eq!([logical(&nvme.1), logical(&virtio.1), logical(&scsi.1)], ["4096", "512", "512"]);
    let size = |queue: &Path| text(queue.join("../size")).parse::<u64>().unwrap() / 2048;
    assert_eq!([size(&nvme.1), size(&virtio.1), size(&scsi.1)], [256, 128, 64]);
    let cache = |queue: &Path| text(queue.join("write_cache"));
    let caches = [cache(&nvme.1), cache(&virtio.1), cache(&scsi.1)];
    assert_eq!(caches, ["write back", "write through", "write back"]);
    let discard = |queue: &Path| text(queue.join("discard_max_bytes")) != "0";
    assert_eq!([discard(&nvme.1), discard(&virtio.1), discard(&scsi.1)], [true, false, true]);
}

#[test]
fn cgroups_of_version_2_limit_io() {
    let root = Path::new("/sys/fs/cgroup");
    let on = text(root.join("cgroup.subtree_control"));
    assert!(["io", "memory"].iter().all(|c| on.split(' ').any(|on| on == *c)), "{on}");
    let group = root.join("guest-basics");
    fs::create_dir(&group).unwrap();
    let number = text(disk(0).1.join("../dev"));
    let limited = fs::write(group.join("io.max"), format!("{number} wbps=1048576"));
    let read = text(group.join("io.max"));
    fs::remove_dir(&group).unwrap();
    limited.unwrap();
    assert_eq!(read, format!("{number} rbps=max wbps=1048576 riops=max wiops=max"));
}
