//! Pool folders that are gone, read-only, shared, or no folders.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use nix::mount::{MsFlags, mount};
use open_local_core::host::{MountCalls, Unchecked};
use open_local_core::host::{MountFlags, SystemMounts};
use open_local_core::{Backend, ErrorKind, Health, PublishSpec, SnapshotSpec, VolumeSpec};
use open_local_core::{PoolExt, PoolSpec};
use open_local_tests::PoolFolder;

use crate::lab::{Lab, SIZE, old, refused, snapshot, volume};

#[test]
fn a_pool_whose_disk_is_away_is_neither_remade_nor_forgotten() {
    let lab = Lab::new("disk-away");
    let held = lab.open();
    let device = fs::canonicalize(lab.pool.location()).unwrap();
    assert!(device.starts_with(&lab.disk));
    let node = mounted_from(&lab.disk);
    SystemMounts.unmount(&lab.disk, false).unwrap();
    let backend = lab.pool.backend(Arc::new(Unchecked));
    let place = lab.pool.location().to_str().unwrap();
    let check = |kind| {
        for error in [
            backend.open_pool(&lab.pool.id()).map(drop).unwrap_err(),
            backend.ensure_pool(&lab.pool.spec()).map(drop).unwrap_err(),
            backend.remove_pool(&lab.pool.id()).map(drop).unwrap_err(),
        ] {
            let error = refused::<()>(Err(error), kind, &["pool pool", place]);
            assert!(error.remedy().unwrap().contains("mount"), "{}", error.report());
        }
        let listed = backend.list_pools().unwrap();
        assert!(matches!(&listed[0].health, Health::Failed(why) if why.contains(place)));
        let gone = ErrorKind::NotFound;
        refused(held.info(), gone, &["pool pool", place]);
        refused(held.volumes(), gone, &["pool pool", place]);
        refused(held.volume(&volume("old")), gone, &["pool", place]);
        refused(held.ensure_volume(&VolumeSpec::new(volume("new"), SIZE)), gone, &[place]);
        refused(held.ensure_volume(&VolumeSpec::new(volume("old"), SIZE)), gone, &[place]);
        refused(held.publish(&PublishSpec::new(old())), gone, &[place]);
        refused(held.unpublish(&old()), gone, &[place]);
        refused(held.remove_volume(&volume("old")), gone, &[place]);
    };
    check(ErrorKind::NotFound);
    // An empty folder in its place is not taken for it either.
    fs::create_dir(lab.pool.location()).unwrap();
    check(ErrorKind::NotFound);
    assert_eq!(fs::read_dir(lab.pool.location()).unwrap().count(), 0, "made anew");
    fs::remove_dir(lab.pool.location()).unwrap();
    let flags = MountFlags::default();
    SystemMounts.mount(&node, &lab.disk, "ext4", flags, "").unwrap();
    lab.intact();
    assert!(lab.open().remove_volume(&volume("old")).unwrap().changed());
    drop(held);
    let gone = lab.pool.backend(Arc::new(Unchecked)).remove_pool(&lab.pool.id());
    assert!(gone.unwrap().changed());
    assert!(!lab.pool.location().exists());
}

/// The device a folder is mounted from.
fn mounted_from(target: &Path) -> std::path::PathBuf {
    let table = SystemMounts.table().unwrap();
    let entries = open_local_core::host::parse_mountinfo(&table).unwrap();
    let entry = entries.iter().find(|entry| entry.target == target).unwrap();
    Path::new("/dev").join(format!("loop{}", entry.number.minor()))
}

fn remount(target: &Path, read_only: bool) {
    let mut flags = MsFlags::MS_REMOUNT;
    flags.set(MsFlags::MS_RDONLY, read_only);
    let none = None::<&str>;
    mount(none, target, none, flags, none).unwrap();
}

#[test]
fn a_read_only_disk_is_told_and_changes_nothing() {
    let lab = Lab::new("read-only");
    let pool = lab.open();
    let snapshots = pool.require_snapshots().unwrap();
    let _ = snapshots.ensure_snapshot(&SnapshotSpec::new(snapshot("s"), volume("old"))).unwrap();
    remount(&lab.disk, true);
    let backend = lab.pool.backend(Arc::new(Unchecked));
    let error = refused(backend.open_pool(&lab.pool.id()), ErrorKind::Refused, &["read-only"]);
    assert!(error.remedy().unwrap().contains("read-write"));
    let other = lab.pool.beside("other", &lab.disk.join("other"));
    refused(backend.ensure_pool(&other.spec()), ErrorKind::Refused, &["other", "read-only"]);
    refused(backend.remove_pool(&lab.pool.id()), ErrorKind::Refused, &["pool", "read-only"]);
    let listed = backend.list_pools().unwrap();
    assert!(matches!(&listed[0].health, Health::Failed(why) if why.contains("read-only")));
    // Whoever has it open still sees everything and is told why nothing can be changed.
    assert_eq!(pool.volumes().unwrap().len(), 1);
    let spec = VolumeSpec::new(volume("new"), SIZE);
    for error in [
        pool.ensure_volume(&spec).map(drop).unwrap_err(),
        pool.publish(&PublishSpec::new(old())).map(drop).unwrap_err(),
        pool.remove_volume(&volume("old")).map(drop).unwrap_err(),
        pool.grow_volume(&volume("old"), SIZE).map(drop).unwrap_err(),
        snapshots.remove_snapshot(&snapshot("s")).map(drop).unwrap_err(),
        snapshots.roll_back(&volume("old"), &snapshot("s")).map(drop).unwrap_err(),
    ] {
        let error = refused::<()>(Err(error), ErrorKind::Io, &["Read-only file system"]);
        assert!(error.remedy().unwrap().contains("writable"), "{}", error.report());
    }
    remount(&lab.disk, false);
    lab.is_usable();
}

#[test]
fn a_location_that_is_a_link_or_a_file_is_refused() {
    let lab = Lab::new("no-folder");
    let backend = lab.pool.backend(Arc::new(Unchecked));
    let real = lab.disk.join("real");
    fs::create_dir(&real).unwrap();
    let link = lab.disk.join("link");
    std::os::unix::fs::symlink(&real, &link).unwrap();
    let dangling = lab.disk.join("dangling");
    std::os::unix::fs::symlink(lab.disk.join("nothing"), &dangling).unwrap();
    let file = lab.disk.join("file");
    fs::write(&file, "mine").unwrap();
    for place in [&link, &dangling, &file] {
        let other = lab.pool.beside("other", place);
        let made = backend.ensure_pool(&other.spec());
        refused(made, ErrorKind::Refused, &["pool other", place.to_str().unwrap()]);
    }
    let missing = lab.pool.beside("other", &lab.disk.join("no/such/folder"));
    refused(backend.ensure_pool(&missing.spec()), ErrorKind::NotFound, &["pool other", "no/such"]);
    let below = lab.pool.beside("other", &file.join("pool"));
    refused(backend.ensure_pool(&below.spec()), ErrorKind::NotFound, &["pool other", "file"]);
    fs::write(real.join("photo"), "mine").unwrap();
    let filled = lab.pool.beside("other", &real);
    refused(backend.ensure_pool(&filled.spec()), ErrorKind::Refused, &["pool other", "photo"]);
    assert_eq!(fs::read_dir(&real).unwrap().count(), 1);
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    assert_eq!(backend.list_pools().unwrap().len(), 1);
    lab.intact();
}

#[test]
fn a_pool_that_became_a_link_is_not_opened() {
    let lab = Lab::new("became-a-link");
    let away = lab.disk.join("away");
    fs::rename(lab.pool.location(), &away).unwrap();
    std::os::unix::fs::symlink(&away, lab.pool.location()).unwrap();
    let backend = lab.pool.backend(Arc::new(Unchecked));
    refused(backend.open_pool(&lab.pool.id()), ErrorKind::Refused, &["pool pool", "folder"]);
    refused(backend.remove_pool(&lab.pool.id()), ErrorKind::Refused, &["pool pool", "folder"]);
    fs::remove_file(lab.pool.location()).unwrap();
    fs::rename(&away, lab.pool.location()).unwrap();
    lab.intact();
}

#[test]
fn two_pools_do_not_share_a_folder() {
    let lab = Lab::new("two-pools");
    let backend = lab.pool.backend(Arc::new(Unchecked));
    let other = lab.pool.beside("other", lab.pool.location());
    refused(backend.ensure_pool(&other.spec()), ErrorKind::Conflict, &["other", "pool"]);
    let elsewhere = lab.pool.beside("pool", &lab.disk.join("elsewhere"));
    refused(
        backend.ensure_pool(&elsewhere.spec()),
        ErrorKind::Conflict,
        &["pool pool", "location", "elsewhere"],
    );
    // Nor does one live inside another's folders.
    for inside in ["volumes/inner", "inner", "locks/inner"] {
        let inner = lab.pool.beside("other", &lab.pool.join(inside));
        refused(
            backend.ensure_pool(&inner.spec()),
            ErrorKind::Refused,
            &["pool other", "disk/pool"],
        );
    }
    assert_eq!(backend.list_pools().unwrap().len(), 1);
    lab.intact();
}

#[test]
fn a_pool_with_something_in_it_is_not_removed() {
    let lab = Lab::new("filled-pool");
    let backend = lab.pool.backend(Arc::new(Unchecked));
    refused(backend.remove_pool(&lab.pool.id()), ErrorKind::Busy, &["pool pool", "volume old"]);
    lab.intact();
    let _ = lab.open().remove_volume(&volume("old")).unwrap();
    fs::write(lab.pool.join("volumes/notes.txt"), "mine").unwrap();
    refused(backend.remove_pool(&lab.pool.id()), ErrorKind::Busy, &["pool pool", "notes.txt"]);
    for place in ["locks/notes.txt", "snapshots/notes.txt"] {
        fs::rename(lab.pool.join("volumes/notes.txt"), lab.pool.join(place)).unwrap();
        let removed = backend.remove_pool(&lab.pool.id());
        refused(removed, ErrorKind::Busy, &["pool pool", place]);
        fs::rename(lab.pool.join(place), lab.pool.join("volumes/notes.txt")).unwrap();
    }
    // What lies beside our own folders stays, and with it the pool's folder.
    let notes = lab.pool.join("notes.txt");
    fs::rename(lab.pool.join("volumes/notes.txt"), &notes).unwrap();
    assert!(backend.remove_pool(&lab.pool.id()).unwrap().changed());
    assert_eq!(fs::read(&notes).unwrap(), b"mine");
    assert_eq!(fs::read_dir(lab.pool.location()).unwrap().count(), 1);
    assert!(backend.list_pools().unwrap().is_empty());
}

#[test]
fn memory_is_refused_unless_it_is_named() {
    let lab = Lab::bare("ext4", 64, "tmpfs");
    let memory = lab.scratch.join("memory");
    fs::create_dir(&memory).unwrap();
    let options = Some("size=64m");
    mount(Some("tmpfs"), &memory, Some("tmpfs"), MsFlags::empty(), options).unwrap();
    let pool = PoolFolder::new(lab.scratch.path(), &memory.join("pool"));
    let backend = pool.backend(Arc::new(Unchecked));
    let refusal = backend.ensure_pool(&pool.spec());
    let error = refused(refusal, ErrorKind::Refused, &["pool pool", "tmpfs"]);
    assert!(error.remedy().unwrap().contains("allow-filesystem=tmpfs"));
    let wrong = pool.spec().with_parameter("allow-filesystem", "nfs");
    refused(backend.ensure_pool(&wrong), ErrorKind::Refused, &["pool pool", "tmpfs"]);
    assert!(!pool.location().exists());
    assert!(backend.list_pools().unwrap().is_empty());
    let spec: PoolSpec = pool.spec().with_parameter("allow-filesystem", "tmpfs");
    let _ = backend.ensure_pool(&spec).unwrap();
    let lab = Lab { pool, ..lab };
    let open = lab.open();
    let _ = open.ensure_volume(&VolumeSpec::new(volume("old"), SIZE)).unwrap();
    lab.fill(open.as_ref(), &old(), 2);
    lab.is_usable();
}
