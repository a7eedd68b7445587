//! A pool of the `file` backend on a disk that goes away.

use std::fs;
use std::sync::Arc;

use open_local_core::host::{
    Files, Loops, MountCalls, OpenMode, SystemFiles, SystemLoops, SystemMounts, Unchecked,
};
use open_local_core::{
    Backend, Bytes, Error, ErrorKind, PoolExt, PublishSpec, Result, SnapshotId, SnapshotSpec,
    VolumeId, VolumeSpec,
};
use open_local_tests::guest::require_modules;
use open_local_tests::scratch::run;
use open_local_tests::{PoolFolder, Scratch};

use crate::removable::Removable;
use crate::within;

const SIZE: Bytes = Bytes::new(4 << 20);

fn volume(name: &str) -> VolumeId {
    VolumeId::new(name).unwrap()
}

fn snapshot() -> SnapshotSpec {
    SnapshotSpec::new(SnapshotId::new("s").unwrap(), volume("old"))
}

/// A call on a pool, opened anew as by another process.
type Call = fn(&PoolFolder) -> Result<()>;

const CALLS: [(&str, Call); 6] = [
    ("make", |pool| pool.open()?.ensure_volume(&VolumeSpec::new(volume("new"), SIZE)).map(drop)),
    ("grow", |pool| pool.open()?.grow_volume(&volume("old"), Bytes::new(8 << 20)).map(drop)),
    ("snapshot", |pool| pool.open()?.require_snapshots()?.ensure_snapshot(&snapshot()).map(drop)),
    ("remove", |pool| pool.open()?.remove_volume(&volume("spare")).map(drop)),
    ("publish", |pool| pool.open()?.publish(&PublishSpec::new(volume("spare"))).map(drop)),
    ("make the pool", |pool| pool.backend(Arc::new(Unchecked)).ensure_pool(&pool.spec()).map(drop)),
];

fn must_fail(pool: &PoolFolder, context: &str, fit: impl Fn(&Error) -> bool) {
    for (name, call) in CALLS {
        let folder = pool.clone();
        let answer = within(name, move || call(&folder));
        let error = answer.err().unwrap_or_else(|| panic!("{context}: {name} succeeded"));
        println!("{context}: {name}: {:?}: {}", error.kind(), error.report());
        assert!(fit(&error), "{context}: {name}: {}", error.report());
        assert!(error.remedy().is_some_and(|r| !r.is_empty()), "{context}: {name}: no remedy");
    }
}

fn fill(pool: &PoolFolder, name: &str) {
    let pool = pool.open().unwrap();
    let at = pool.publish(&PublishSpec::new(volume(name))).unwrap().into_inner();
    let device = SystemFiles.open(&at.device, OpenMode::ReadWrite).unwrap();
    device.write_at(0, &vec![7; SIZE.to_usize().unwrap()]).unwrap();
    device.flush().unwrap();
    drop(device);
    let _ = pool.unpublish(&volume(name).into()).unwrap();
}

/// A dead disk is the trouble of its own pool and of no other.
fn is_usable(pool: &PoolFolder) {
    let made = pool.open().and_then(|open| {
        let _ = open.ensure_volume(&VolumeSpec::new(volume("well"), SIZE))?;
        fill(pool, "well");
        open.remove_volume(&volume("well"))
    });
    assert!(made.unwrap_or_else(|e| panic!("{}", e.report())).changed());
}

fn goes_away(kind: &str, name: &str, disk: impl FnOnce(&Scratch) -> Removable) {
    require_modules(&["loop", kind]);
    let scratch = Scratch::new(&format!("removal-pool-{name}"));
    let disk = disk(&scratch);
    run("wipefs", &["-aq".as_ref(), disk.path().as_os_str()]);
    run(&format!("mkfs.{kind}"), &["-q".as_ref(), disk.path().as_os_str()]);
    let mount = scratch.mount("mnt", &disk.path(), kind).unwrap();
    let pool = PoolFolder::new(scratch.path(), &mount.join("pool"));
    let open = pool.ensure().unwrap();
    for name in ["old", "spare"] {
        let _ = open.ensure_volume(&VolumeSpec::new(volume(name), SIZE)).unwrap();
        fill(&pool, name);
    }
    let _ = open.publish(&PublishSpec::new(volume("old"))).unwrap();
    drop(open);
    // On a disk of its own, which is well.
    let healthy = scratch.disk("healthy", Bytes::from_mib(64).unwrap(), "ext4");
    let beside = pool.beside("beside", &healthy.join("beside"));
    drop(beside.ensure().unwrap());

    disk.take_away();
    // What the kernel has cached may still be read; nothing can be changed.
    must_fail(&pool, "the disk is away", |_| true);
    is_usable(&beside);
    let ours = pool.devices();
    let loops = SystemLoops::default();
    for device in loops.list().unwrap().iter().filter(|d| ours.contains(&d.path)) {
        loops.detach(device).unwrap();
    }
    SystemMounts.unmount(&mount, false).unwrap();
    // The bare folder of the mount is no place for a pool that is elsewhere.
    must_fail(&pool, "nothing is mounted", |error| {
        let named = error.report().to_string().contains("pool");
        named && error.kind() != ErrorKind::Indeterminate
    });
    assert_eq!(fs::read_dir(&mount).unwrap().count(), 0, "made anew in the bare folder");

    disk.give_back();
    let _ = scratch.mount("mnt", &disk.path(), kind).unwrap();
    let open = pool.open().unwrap_or_else(|e| panic!("{}", e.report()));
    for name in ["old", "spare"] {
        let spec = PublishSpec::new(volume(name)).read_only();
        let at = open.publish(&spec).unwrap_or_else(|e| panic!("{name}: {}", e.report()));
        let device = SystemFiles.open(&at.get().device, OpenMode::Read).unwrap();
        let mut bytes = vec![0; SIZE.to_usize().unwrap()];
        device.read_at(0, &mut bytes).unwrap();
        assert!(bytes.iter().all(|b| *b == 7), "{name}");
        drop(device);
        let _ = open.unpublish(&volume(name).into()).unwrap();
    }
    for (name, call) in CALLS {
        call(&pool).unwrap_or_else(|e| panic!("again: {name}: {}", e.report()));
        if name == "remove" {
            let _ = open.ensure_volume(&VolumeSpec::new(volume("spare"), SIZE)).unwrap();
        }
    }
    assert_eq!(pool.leaks().unwrap(), [""; 0]);
}

#[test]
fn a_scsi_disk_is_removed_under_a_pool() {
    goes_away("ext4", "scsi", |_| Removable::Scsi);
}

#[test]
fn a_disk_under_a_pool_answers_errors_only_for_a_while() {
    goes_away("xfs", "errors", Removable::mapped);
}
