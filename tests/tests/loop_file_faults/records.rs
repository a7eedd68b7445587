//! Records that are cut, garbage, or written by a newer version.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use open_local_core::host::Unchecked;
use open_local_core::state::crc32c;
use open_local_core::{
    Backend, ErrorKind, Health, Pool, PoolExt, PublishSpec, SnapshotSpec, VolumeSource, VolumeSpec,
};

use crate::lab::{Lab, SIZE, old, refused, snapshot, volume};

/// The kinds of damage, each made from what the record was.
fn damages(good: &[u8]) -> Vec<(&'static str, Vec<u8>, ErrorKind)> {
    let text = String::from_utf8(good.to_vec()).unwrap();
    let body = &text[..text.rfind("end ").unwrap()];
    let newer = body.replacen(" 1\n", " 9\n", 1);
    assert_ne!(newer, body);
    let newer = format!("{newer}end {:08x}\n", crc32c(newer.as_bytes()));
    let flipped = good.iter().enumerate().map(|(at, b)| if at == 30 { b ^ 1 } else { *b });
    vec![
        ("empty", Vec::new(), ErrorKind::Corrupt),
        ("cut", good[..good.len() / 2].to_vec(), ErrorKind::Corrupt),
        ("one bit", flipped.collect(), ErrorKind::Corrupt),
        ("garbage", vec![0xA5; 4000], ErrorKind::Corrupt),
        ("too large", vec![b'a'; 1 << 20], ErrorKind::Corrupt),
        ("newer", newer.into_bytes(), ErrorKind::Unsupported),
    ]
}

fn failed(health: &Health) -> bool {
    matches!(health, Health::Failed(why) if !why.is_empty())
}

/// With its record damaged, nothing can be done to the volume and nothing happens to it.
fn check_damaged_volume(lab: &Lab, what: &str, kind: ErrorKind) {
    let pool = lab.open();
    let listed = pool.volumes().unwrap();
    let names: Vec<&str> = listed.iter().map(|info| info.id.as_str()).collect();
    assert_eq!(names, ["old", "sound"], "{what}");
    assert!(failed(&listed[0].health), "{what}: {:?}", listed[0]);
    assert_eq!(listed[1].health, Health::Healthy, "{what}");
    let health = pool.info().unwrap().health;
    assert!(
        matches!(&health, Health::Degraded(why) if why.contains("volume old")),
        "{what}: {health:?}"
    );
    let names = ["volume old"];
    refused(pool.volume(&volume("old")), kind, &names);
    refused(pool.ensure_volume(&VolumeSpec::new(volume("old"), SIZE)), kind, &names);
    refused(pool.grow_volume(&volume("old"), SIZE), kind, &names);
    refused(pool.publish(&PublishSpec::new(old())), kind, &names);
    refused(pool.unpublish(&old()), kind, &names);
    refused(pool.remove_volume(&volume("old")), kind, &names);
    let source = VolumeSource::Volume(volume("old"));
    let clone = VolumeSpec::new(volume("copy"), SIZE).from_source(source);
    refused(pool.ensure_volume(&clone), kind, &names);
    let snapshots = pool.require_snapshots().unwrap();
    refused(
        snapshots.ensure_snapshot(&SnapshotSpec::new(snapshot("new"), volume("old"))),
        kind,
        &names,
    );
    refused(snapshots.roll_back(&volume("old"), &snapshot("s")), kind, &names);
    refused(pool.require_format_tokens().unwrap().format_token(&volume("old")), kind, &names);
    refused(pool.require_format_tokens().unwrap().allow_format(&volume("old")), kind, &names);
    // The others go on.
    lab.holds(&volume("sound").into(), 3);
    let _ = pool.ensure_volume(&VolumeSpec::new(volume("more"), SIZE)).unwrap();
    let _ = pool.remove_volume(&volume("more")).unwrap();
}

#[test]
fn a_damaged_record_of_a_volume_harms_that_volume_only() {
    let lab = Lab::new("damaged-volume");
    let pool = lab.open();
    let snapshots = pool.require_snapshots().unwrap();
    let _ = snapshots.ensure_snapshot(&SnapshotSpec::new(snapshot("s"), volume("old"))).unwrap();
    let _ = pool.ensure_volume(&VolumeSpec::new(volume("sound"), SIZE)).unwrap();
    lab.fill(pool.as_ref(), &volume("sound").into(), 3);
    let path = lab.pool.join("volumes/old.meta");
    let good = fs::read(&path).unwrap();
    for (what, bad, kind) in damages(&good) {
        fs::write(&path, &bad).unwrap();
        check_damaged_volume(&lab, what, kind);
        assert_eq!(fs::read(&path).unwrap(), bad, "{what}: it is evidence");
        fs::write(&path, &good).unwrap();
        lab.intact();
    }
    // A sound record of another volume is no less wrong.
    fs::copy(lab.pool.join("volumes/sound.meta"), &path).unwrap();
    check_damaged_volume(&lab, "that of another", ErrorKind::Corrupt);
    fs::write(&path, &good).unwrap();
    lab.intact();
}

#[test]
fn a_record_damaged_while_published_keeps_the_device() {
    let lab = Lab::new("damaged-published");
    let at = lab.open().publish(&PublishSpec::new(old())).unwrap().into_inner();
    let path = lab.pool.join("volumes/old.meta");
    let good = fs::read(&path).unwrap();
    fs::write(&path, b"garbage").unwrap();
    refused(lab.open().unpublish(&old()), ErrorKind::Corrupt, &["volume old"]);
    refused(lab.open().remove_volume(&volume("old")), ErrorKind::Corrupt, &["volume old"]);
    assert_eq!(lab.pool.devices(), std::slice::from_ref(&at.device));
    fs::write(&path, &good).unwrap();
    assert_eq!(lab.old().attachment, Some(at));
    assert!(lab.open().unpublish(&old()).unwrap().changed());
    lab.intact();
}

#[test]
fn a_damaged_record_of_a_snapshot_harms_that_snapshot_only() {
    let lab = Lab::new("damaged-snapshot");
    let pool = lab.open();
    let snapshots = pool.require_snapshots().unwrap();
    let spec = SnapshotSpec::new(snapshot("s"), volume("old"));
    let _ = snapshots.ensure_snapshot(&spec).unwrap();
    let path = lab.pool.join("snapshots/s.meta");
    let good = fs::read(&path).unwrap();
    for (what, bad, kind) in damages(&good) {
        fs::write(&path, &bad).unwrap();
        let listed = snapshots.list_snapshots(None).unwrap();
        assert!(listed.len() == 1 && failed(&listed[0].health), "{what}: {listed:?}");
        let names = ["snapshot s"];
        refused(snapshots.ensure_snapshot(&spec), kind, &names);
        refused(snapshots.remove_snapshot(&snapshot("s")), kind, &names);
        refused(snapshots.roll_back(&volume("old"), &snapshot("s")), kind, &names);
        let source = VolumeSource::Snapshot(snapshot("s"));
        let restore = VolumeSpec::new(volume("new"), SIZE).from_source(source);
        refused(pool.ensure_volume(&restore), kind, &names);
        refused(pool.publish(&PublishSpec::new(snapshot("s"))), kind, &names);
        lab.holds(&old(), 2);
        assert_eq!(fs::read(&path).unwrap(), bad, "{what}");
        fs::write(&path, &good).unwrap();
        lab.intact();
    }
}

/// With the pool's own record damaged the pool is shown as failed and left alone.
fn check_damaged_pool(lab: &Lab, held: &dyn Pool, what: &str, kind: ErrorKind) {
    let backend = lab.pool.backend(Arc::new(Unchecked));
    let listed = backend.list_pools().unwrap();
    assert!(listed.len() == 1 && failed(&listed[0].health), "{what}: {listed:?}");
    let names = ["pool"];
    refused(backend.open_pool(&lab.pool.id()), kind, &names);
    refused(backend.ensure_pool(&lab.pool.spec()), kind, &names);
    refused(backend.remove_pool(&lab.pool.id()), kind, &names);
    let other = lab.pool.beside("other", lab.pool.location());
    refused(backend.ensure_pool(&other.spec()), kind, &names);
    // One who has it open makes nothing new in it.
    refused(held.info(), kind, &names);
    refused(held.ensure_volume(&VolumeSpec::new(volume("new"), SIZE)), kind, &names);
}

#[test]
fn a_damaged_record_of_a_pool_loses_no_volume() {
    let lab = Lab::new("damaged-pool");
    let held = lab.open();
    let path = lab.pool.join("pool.meta");
    let good = fs::read(&path).unwrap();
    for (what, bad, kind) in damages(&good) {
        fs::write(&path, &bad).unwrap();
        check_damaged_pool(&lab, held.as_ref(), what, kind);
        assert_eq!(fs::read(&path).unwrap(), bad, "{what}");
        fs::write(&path, &good).unwrap();
        lab.intact();
    }
    fs::remove_file(&path).unwrap();
    let backend = lab.pool.backend(Arc::new(Unchecked));
    for error in [
        backend.open_pool(&lab.pool.id()).map(drop).unwrap_err(),
        backend.ensure_pool(&lab.pool.spec()).map(drop).unwrap_err(),
        backend.remove_pool(&lab.pool.id()).map(drop).unwrap_err(),
    ] {
        refused::<()>(Err(error), ErrorKind::Refused, &["pool", "pool.meta"]);
    }
    fs::write(&path, &good).unwrap();
    lab.intact();
}

#[test]
fn a_damaged_registration_loses_no_pool() {
    let lab = Lab::new("damaged-registration");
    let path = lab.scratch.join("state/file/pools/pool");
    let good = fs::read(&path).unwrap();
    let backend = lab.pool.backend(Arc::new(Unchecked));
    for (what, bad, kind) in damages(&good) {
        fs::write(&path, &bad).unwrap();
        let listed = backend.list_pools().unwrap();
        assert!(listed.len() == 1 && failed(&listed[0].health), "{what}: {listed:?}");
        let error = refused(backend.open_pool(&lab.pool.id()), kind, &["pool"]);
        assert!(error.remedy().unwrap().contains(path.to_str().unwrap()));
        refused(backend.ensure_pool(&lab.pool.spec()), kind, &["pool"]);
        refused(backend.remove_pool(&lab.pool.id()), kind, &["pool"]);
        // The remedy it names: without it the pool is taken as it is.
        remove(&path);
        assert!(!backend.ensure_pool(&lab.pool.spec()).unwrap().changed(), "{what}");
        lab.intact();
    }
}

fn remove(path: &Path) {
    fs::remove_file(path).unwrap();
}
