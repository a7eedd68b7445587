//! A pool on a file system on the disk: its devices have the disk's blocks.

use std::fs;
use std::sync::Arc;

use open_local_core::fs::{Filesystems, FormatSpec, MountSpec};
use open_local_core::host::{Files, OpenMode, SystemFiles, Unchecked};
use open_local_core::{
    Bytes, FsKind, Grown, Pool, PoolExt, PublishSpec, SnapshotId, SnapshotSpec, VolumeId,
    VolumeSource, VolumeSpec,
};
use open_local_tests::guest::require_modules;
use open_local_tests::scratch::run;
use open_local_tests::{Direct, PoolFolder, Scratch};

use crate::part;

const SIZE: Bytes = Bytes::new(16 << 20);
const LARGER: Bytes = Bytes::new(32 << 20);

fn volume(name: &str) -> VolumeId {
    VolumeId::new(name).unwrap()
}

fn published(pool: &dyn Pool, name: &str) -> open_local_core::Attachment {
    pool.publish(&PublishSpec::new(volume(name))).unwrap().into_inner()
}

fn a_pool(kind: FsKind, number: u64) {
    let scratch = Scratch::new(&format!("nvme-file-{kind}"));
    require_modules(&[kind.as_str()]);
    let disk = part(&scratch, number, Bytes::from_mib(400).unwrap());
    run(&format!("mkfs.{kind}"), &["-q".as_ref(), disk.path().as_os_str()]);
    let mount = scratch.mount("mnt", &disk.path(), kind.as_str()).unwrap();
    let folder = PoolFolder::new(scratch.path(), &mount.join("pool"));
    let pool = folder.ensure().unwrap();
    let _ = pool.ensure_volume(&VolumeSpec::new(volume("a"), SIZE)).unwrap();
    let at = published(pool.as_ref(), "a");
    assert_eq!(at.block_size, Bytes::new(4096), "{at:?}");
    let dio = format!("/sys/dev/block/{}/loop/dio", at.number);
    assert_eq!(fs::read_to_string(dio).unwrap().trim(), "1", "direct I/O");
    let device = Direct::open(&at.device).unwrap();
    assert!(device.fill(512, 512, 1).is_err(), "smaller than a block");
    drop(device);

    // A file system on it grows while it is mounted and is copied while it is mounted.
    let filesystems = folder.filesystems(Arc::new(Unchecked));
    let tokens = pool.require_format_tokens().unwrap();
    let spec = FormatSpec::new(FsKind::Ext4);
    assert!(filesystems.ensure_formatted(tokens, &volume("a"), &at, &spec).unwrap().changed());
    let target = scratch.join("volume");
    let _ = filesystems.ensure_mounted(&MountSpec::new(&at.device, &target)).unwrap();
    fs::write(target.join("kept"), b"kept").unwrap();
    let _ = pool.grow_volume(&volume("a"), LARGER).unwrap();
    assert!(matches!(filesystems.grow(&target).unwrap(), Grown::Grew(_)));
    let monday = SnapshotId::new("monday").unwrap();
    let spec = SnapshotSpec::new(monday.clone(), volume("a"));
    let _ = pool.require_snapshots().unwrap().ensure_snapshot(&spec).unwrap();
    fs::write(target.join("kept"), b"lost").unwrap();
    let source = VolumeSource::Snapshot(monday.clone());
    let _ = pool.ensure_volume(&VolumeSpec::new(volume("b"), LARGER).from_source(source)).unwrap();
    let copy = published(pool.as_ref(), "b");
    let second = scratch.join("copy");
    let _ = filesystems.ensure_mounted(&MountSpec::new(&copy.device, &second)).unwrap();
    assert_eq!(fs::read(second.join("kept")).unwrap(), b"kept");
    for (target, name) in [(&target, "a"), (&second, "b")] {
        assert!(filesystems.ensure_unmounted(target).unwrap().changed());
        assert!(pool.unpublish(&volume(name).into()).unwrap().changed());
    }

    let snapshots = pool.require_snapshots().unwrap();
    let _ = snapshots.roll_back(&volume("a"), &monday).unwrap();
    let at = published(pool.as_ref(), "a");
    let _ = filesystems.ensure_mounted(&MountSpec::new(&at.device, &target)).unwrap();
    assert_eq!(fs::read(target.join("kept")).unwrap(), b"kept", "rolled back");
    let _ = filesystems.ensure_unmounted(&target).unwrap();
    let device = SystemFiles.open(&at.device, OpenMode::Read).unwrap();
    assert_eq!(device.size().unwrap(), LARGER);
    drop(device);
    let _ = pool.unpublish(&volume("a").into()).unwrap();
    let _ = snapshots.remove_snapshot(&monday).unwrap();
    for name in ["a", "b"] {
        let _ = pool.remove_volume(&volume(name)).unwrap();
    }
    assert_eq!(folder.leaks().unwrap(), [""; 0]);
}

#[test]
fn a_pool_on_ext4_has_the_blocks_of_its_disk() {
    a_pool(FsKind::Ext4, 3);
}

#[test]
fn a_pool_on_xfs_has_the_blocks_of_its_disk() {
    a_pool(FsKind::Xfs, 4);
}
