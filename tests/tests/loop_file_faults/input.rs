//! Names, sizes and specifications that can't be.

use std::sync::Arc;

use open_local_core::host::Unchecked;
use open_local_core::{
    Backend, Bytes, ErrorKind, PoolExt, PoolId, PoolSpec, Provisioning, SnapshotId, SnapshotSpec,
    VolumeId, VolumeSpec,
};

use crate::lab::{Lab, SIZE, old, refused, snapshot, volume};

#[test]
fn names_that_are_paths_options_or_endless_are_refused() {
    let long = "n".repeat(300);
    for name in ["a/b", "..", ".", "a\0b", "-rf", "", "a b", "ä", "\n", long.as_str()] {
        // What a message shows of a name has no control characters and is short.
        let shown = if name.len() > 64 { &long[..64] } else { "name" };
        for error in [
            VolumeId::new(name).unwrap_err(),
            SnapshotId::new(name).unwrap_err(),
            PoolId::new(name).unwrap_err(),
        ] {
            let error = refused::<()>(Err(error), ErrorKind::InvalidArgument, &[shown]);
            let text = error.report().to_string();
            assert!(!text.contains('\0') && text.len() < 300, "{text:?}");
        }
    }
}

#[test]
fn locations_that_are_no_plain_paths_are_refused() {
    let lab = Lab::new("bad-locations");
    let backend = lab.pool.backend(Arc::new(Unchecked));
    let id = PoolId::new("other").unwrap();
    let inside = lab.disk.join("there/../pool2");
    for bad in ["relative/folder", "/", inside.to_str().unwrap(), "/srv/a\0b", "/srv/a\nb"] {
        let spec = PoolSpec::new(id.clone()).at(bad);
        refused(backend.ensure_pool(&spec), ErrorKind::InvalidArgument, &["other", "location"]);
    }
    let spec = PoolSpec::new(id.clone());
    refused(backend.ensure_pool(&spec), ErrorKind::InvalidArgument, &["other", "location"]);
    let spec = PoolSpec::new(id.clone()).at(lab.disk.join("other")).with_parameter("colour", "red");
    refused(backend.ensure_pool(&spec), ErrorKind::InvalidArgument, &["other", "colour"]);
    let more = Bytes::GIB;
    let spec = PoolSpec::new(id).at(lab.disk.join("other")).with_capacity(more);
    refused(backend.ensure_pool(&spec), ErrorKind::OutOfSpace, &["other", "1GiB"]);
    assert_eq!(backend.list_pools().unwrap().len(), 1);
    assert!(!lab.disk.join("other").exists());
    lab.intact();
}

#[test]
fn sizes_that_no_device_can_have_are_refused() {
    let lab = Lab::new("bad-sizes");
    let pool = lab.open();
    let near_the_end = [u64::MAX, u64::MAX - 511, u64::MAX - 4095, i64::MAX as u64 - 510];
    for size in [0, 1, 511, 513].into_iter().chain(near_the_end) {
        for provisioning in [Provisioning::Thin, Provisioning::Thick] {
            let spec = VolumeSpec::new(volume("new"), Bytes::new(size));
            let made = pool.ensure_volume(&spec.with_provisioning(provisioning));
            refused(made, ErrorKind::InvalidArgument, &["new"]);
        }
        let grown = pool.grow_volume(&volume("old"), Bytes::new(size));
        refused(grown, ErrorKind::InvalidArgument, &["old"]);
    }
    lab.intact();
}

#[test]
fn sizes_that_the_pool_has_not_are_refused() {
    let lab = Lab::new("large-sizes");
    let pool = lab.open();
    // The largest device there may be, and what is just more than the disk.
    for size in [(1 << 63) - 4096, 1 << 40, 64 << 20] {
        for provisioning in [Provisioning::Thin, Provisioning::Thick] {
            let spec = VolumeSpec::new(volume("new"), Bytes::new(size));
            let made = pool.ensure_volume(&spec.with_provisioning(provisioning));
            refused(made, ErrorKind::OutOfSpace, &["new"]);
        }
        let grown = pool.grow_volume(&volume("old"), Bytes::new(size));
        refused(grown, ErrorKind::OutOfSpace, &["old"]);
    }
    assert_eq!(lab.old().size, SIZE);
    lab.intact();
}

#[test]
fn the_same_name_with_another_size_is_a_conflict_and_nothing_shrinks() {
    let lab = Lab::new("conflicts");
    let pool = lab.open();
    for size in [2 << 20, 8 << 20] {
        let spec = VolumeSpec::new(volume("old"), Bytes::new(size));
        refused(pool.ensure_volume(&spec), ErrorKind::Conflict, &["old", "size", "4MiB"]);
    }
    let smaller = pool.grow_volume(&volume("old"), Bytes::MIB).unwrap();
    assert!(!smaller.changed(), "{smaller:?}");
    assert_eq!(lab.old().size, SIZE);
    let thick = VolumeSpec::new(volume("old"), SIZE).with_provisioning(Provisioning::Thick);
    refused(pool.ensure_volume(&thick), ErrorKind::Conflict, &["old", "provisioning"]);
    let snapshots = pool.require_snapshots().unwrap();
    let spec = SnapshotSpec::new(snapshot("s"), volume("old"));
    let _ = snapshots.ensure_snapshot(&spec).unwrap();
    let _ = pool.ensure_volume(&VolumeSpec::new(volume("other"), SIZE)).unwrap();
    let other = snapshots.ensure_snapshot(&SnapshotSpec::new(snapshot("s"), volume("other")));
    refused(other, ErrorKind::Conflict, &["snapshot s", "volume"]);
    let back = snapshots.roll_back(&volume("other"), &snapshot("s"));
    refused(back, ErrorKind::Conflict, &["snapshot s", "volume"]);
    lab.holds(&old(), 2);
    lab.intact();
}
