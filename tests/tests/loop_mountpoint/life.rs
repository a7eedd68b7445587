//! Joining, publishing and losing real mounts.

use std::fs;
use std::sync::Arc;

use open_local_core::host::Unchecked;
use open_local_core::{
    AttachmentKind, Backend, ErrorKind, Health, PoolExt, PoolSpec, PublishSpec, VolumeSpec,
};
use open_local_tests::scratch;

use super::shelf::{Shelf, mib, pool_id, volume};

#[test]
fn where_nothing_is_mounted_there_is_no_volume() {
    let shelf = Shelf::new("mountpoint-missing", "ext4", &[mib(64), mib(96)]);
    let pool = shelf.used();
    let at = pool.publish(&PublishSpec::new(volume())).unwrap().into_inner();
    assert_eq!((at.kind, &at.device), (AttachmentKind::Directory, &shelf.at(0)));
    fs::write(at.device.join("data"), "d").unwrap();
    shelf.unmount(0);
    let error = pool.publish(&PublishSpec::new(volume())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{}", error.report());
    assert!(error.report().to_string().contains("mount"), "{}", error.report());
    assert!(matches!(pool.volume(&volume()).unwrap().health, Health::Failed(_)));
    assert_eq!(fs::read_dir(shelf.at(0)).unwrap().count(), 0, "something was made below");
    // Another file system in its place is not taken for it, however empty.
    let (other, target) = (shelf.disks[1].path(), shelf.at(0));
    scratch::run("mount", &[other.as_os_str(), target.as_os_str()]);
    let error = pool.publish(&PublishSpec::new(volume())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{}", error.report());
    shelf.unmount(0);
    // Mounted somewhere else it is found, by its UUID, also without our file.
    let elsewhere = shelf.scratch.join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    scratch::run("mount", &[shelf.disks[0].path().as_os_str(), elsewhere.as_os_str()]);
    fs::remove_file(elsewhere.join(".open-local-place")).unwrap();
    let at = pool.publish(&PublishSpec::new(volume())).unwrap().into_inner();
    assert_eq!(at.device, elsewhere);
    assert_eq!(fs::read_to_string(elsewhere.join("data")).unwrap(), "d");
    let _ = pool.unpublish(&volume().into()).unwrap();
    let _ = pool.remove_volume(&volume()).unwrap();
    let _ = pool.maintain_all().unwrap();
    assert!(!elsewhere.join("data").exists());
}

#[test]
fn a_copy_of_a_file_system_is_not_taken_for_it() {
    let shelf = Shelf::new("mountpoint-copy", "ext4", &[mib(64)]);
    let pool = shelf.used();
    shelf.unmount(0);
    let copy = shelf.scratch.loop_device("copy", mib(64));
    let (from, to) = (shelf.disks[0].path().display(), copy.path().display());
    scratch::run(
        "dd",
        &[
            format!("if={from}").as_ref(),
            format!("of={to}").as_ref(),
            "bs=1M".as_ref(),
            "status=none".as_ref(),
            "conv=fsync".as_ref(),
        ],
    );
    for (name, device) in [("one", shelf.disks[0].path()), ("two", copy.path())] {
        fs::create_dir(shelf.scratch.join(name)).unwrap();
        let target = shelf.scratch.join(name);
        scratch::run("mount", &[device.as_os_str(), target.as_os_str()]);
    }
    let error = pool.publish(&PublishSpec::new(volume())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{}", error.report());
    let removed = pool.remove_volume(&volume());
    assert!(removed.is_ok(), "{removed:?}");
    assert_eq!(pool.maintain(mib(1)).unwrap_err().kind(), ErrorKind::Refused);
}

#[test]
fn only_empty_mount_points_join() {
    let shelf = Shelf::new("mountpoint-join", "ext4", &[mib(64), mib(64)]);
    let backend = shelf.backend(Arc::new(Unchecked));
    // A folder that is no mount point is passed over in a location, and refused by name.
    let plain = shelf.location().join("plain");
    fs::create_dir(&plain).unwrap();
    let named = |path: &std::path::Path| {
        PoolSpec::new(pool_id()).with_parameter("mount-points", path.display().to_string())
    };
    let error = backend.ensure_pool(&named(&plain)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{}", error.report());
    fs::write(shelf.at(0).join("file"), "f").unwrap();
    let error = backend.ensure_pool(&shelf.spec()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{}", error.report());
    assert!(backend.list_pools().unwrap().is_empty());
    assert!(!shelf.at(0).join(".open-local-place").exists());
    let _ = backend.ensure_pool(&shelf.spec().with_parameter("replace", "files")).unwrap();
    let pool = shelf.open().unwrap();
    let _ = pool.maintain_all().unwrap();
    assert!(!shelf.at(0).join("file").exists());
    assert!(!backend.ensure_pool(&shelf.spec()).unwrap().changed());
    // One that has no UUID has to be named.
    let memory = shelf.location().join("memory");
    fs::create_dir(&memory).unwrap();
    let arguments = ["-t", "tmpfs", "-o", "size=8m", "none"].map(std::ffi::OsStr::new);
    scratch::run("mount", &[&arguments[..], &[memory.as_os_str()]].concat());
    let error = backend.ensure_pool(&shelf.spec()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{}", error.report());
    let allow = memory.display().to_string();
    let spec = shelf.spec().with_parameter("allow-unidentified", allow);
    assert!(backend.ensure_pool(&spec).unwrap().changed());
    let _ = pool.maintain_all().unwrap();
    let made = pool.ensure_volume(&VolumeSpec::new(volume(), mib(1))).unwrap();
    assert_eq!(made.get().size, mib(8));
    let _ = pool.remove_volume(&volume()).unwrap();
    let _ = pool.maintain_all().unwrap();
    assert!(backend.remove_pool(&pool_id()).unwrap().changed());
    for index in 0..2 {
        assert!(!shelf.at(index).join(".open-local-place").exists(), "our mark was left");
    }
}
