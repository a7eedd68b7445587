//! A disk that gets full while something is made on it.
//!
//! The pool is asked while there is room, and the room is taken right before one of the steps, as
//! another program on the same disk would.

use open_local_core::host::{Files, OpenMode, SystemFiles};
use open_local_core::{
    Bytes, ErrorKind, Pool, PoolExt, Provisioning, PublishSpec, Result, SnapshotSpec, VolumeSource,
    VolumeSpec,
};

use crate::lab::{Lab, SIZE, old, refused, snapshot, volume};

const LARGE: Bytes = Bytes::new(16 << 20);

/// The call fails with the disk full, everything that existed keeps working, and once there is
/// room again the same call succeeds.
fn full_during(lab: &Lab, step: &'static str, name: &str, act: fn(&dyn Pool) -> Result<()>) {
    let fault = lab.fill_before(step);
    let pool = lab.open_with(&fault);
    let error = refused(act(pool.as_ref()), ErrorKind::OutOfSpace, &[name]);
    assert!(fault.happened(), "no step is called {step:?}");
    assert!(error.remedy().unwrap().contains("room"), "{:?}", error.remedy());
    still_works(lab);
    lab.free_disk();
    lab.intact();
    act(lab.open().as_ref()).unwrap_or_else(|e| panic!("{}", e.report()));
    lab.intact();
}

/// On a full disk a volume is published, read, overwritten in place where the host's file system
/// can, and unpublished.
fn still_works(lab: &Lab) {
    let pool = lab.open();
    lab.intact();
    if pool.info().unwrap().details["host-file-system"] == "btrfs" {
        return;
    }
    lab.fill(pool.as_ref(), &old(), 7);
    lab.holds(&old(), 7);
    lab.fill(pool.as_ref(), &old(), 2);
    lab.intact();
}

fn thick(pool: &dyn Pool) -> Result<()> {
    let spec = VolumeSpec::new(volume("new"), LARGE).with_provisioning(Provisioning::Thick);
    pool.ensure_volume(&spec).map(drop)
}

fn thin(pool: &dyn Pool) -> Result<()> {
    pool.ensure_volume(&VolumeSpec::new(volume("new"), SIZE)).map(drop)
}

fn clone(pool: &dyn Pool) -> Result<()> {
    let source = VolumeSource::Volume(volume("old"));
    pool.ensure_volume(&VolumeSpec::new(volume("new"), SIZE).from_source(source)).map(drop)
}

fn take(pool: &dyn Pool) -> Result<()> {
    let spec = SnapshotSpec::new(snapshot("s"), volume("old"));
    pool.require_snapshots()?.ensure_snapshot(&spec).map(drop)
}

fn back(pool: &dyn Pool) -> Result<()> {
    let snapshots = pool.require_snapshots()?;
    snapshots.roll_back(&volume("old"), &snapshot("s")).map(drop)
}

#[test]
fn full_while_a_thick_volume_takes_its_room() {
    for kind in ["ext4", "xfs", "btrfs"] {
        let lab = Lab::on(kind, 320, &format!("full-thick-{kind}"));
        full_during(&lab, "taking all its room", "volume new", thick);
    }
}

#[test]
fn full_while_a_clone_is_copied() {
    let lab = Lab::new("full-clone");
    full_during(&lab, "copy the content", "volume new", clone);
}

#[test]
fn full_while_a_snapshot_is_copied() {
    let lab = Lab::new("full-snapshot");
    full_during(&lab, "copy the content", "snapshot s", take);
}

#[test]
fn full_while_a_volume_goes_back() {
    let lab = Lab::new("full-roll-back");
    take(lab.open().as_ref()).unwrap();
    full_during(&lab, "copy the content", "volume old", back);
}

#[test]
fn full_while_the_first_record_is_written() {
    for kind in ["ext4", "xfs", "btrfs"] {
        let lab = Lab::on(kind, 320, &format!("full-record-{kind}"));
        full_during(&lab, "record volume new", "volume new", thin);
    }
}

#[test]
fn full_while_the_last_record_is_written() {
    let lab = Lab::new("full-last-record");
    full_during(&lab, "as ready", "volume new", thin);
}

#[test]
fn full_while_a_snapshot_is_recorded() {
    let lab = Lab::new("full-snapshot-record");
    full_during(&lab, "record snapshot s", "snapshot s", take);
}

#[test]
fn full_while_a_volume_grows() {
    let lab = Lab::new("full-growth");
    let grow = |pool: &dyn Pool| pool.grow_volume(&volume("old"), LARGE).map(drop);
    let fault = lab.fill_before("as growing");
    let error =
        refused(grow(lab.open_with(&fault).as_ref()), ErrorKind::OutOfSpace, &["volume old"]);
    assert!(error.remedy().unwrap().contains("room"), "{:?}", error.remedy());
    assert_eq!(lab.old().size, SIZE);
    still_works(&lab);
    lab.free_disk();
    lab.intact();
    grow(lab.open().as_ref()).unwrap();
    assert_eq!(lab.old().size, LARGE);
}

#[test]
fn full_while_a_thick_volume_grows() {
    let lab = Lab::new("full-thick-growth");
    let pool = lab.open();
    let spec = VolumeSpec::new(volume("thick"), SIZE).with_provisioning(Provisioning::Thick);
    let _ = pool.ensure_volume(&spec).unwrap();
    let source = volume("thick").into();
    lab.fill(pool.as_ref(), &source, 5);
    let fault = lab.fill_before("extend the image");
    let grown = lab.open_with(&fault).grow_volume(&volume("thick"), LARGE);
    // There is no room to take the growth back either: it stays begun, and nothing is lost.
    let error = refused(grown, ErrorKind::RollbackFailed, &["volume thick"]);
    assert!(fault.happened() && error.rollback().is_some());
    assert_eq!(lab.open().volume(&volume("thick")).unwrap().size, SIZE);
    lab.holds(&source, 5);
    still_works(&lab);
    lab.free_disk();
    let grown = lab.open().grow_volume(&volume("thick"), LARGE).unwrap();
    assert_eq!(grown.get().size, LARGE);
    lab.intact();
}

#[test]
fn full_while_the_growth_of_a_published_volume_is_recorded() {
    let lab = Lab::new("full-online-growth");
    let at = lab.open().publish(&PublishSpec::new(old())).unwrap().into_inner();
    let fault = lab.fill_before("as ready");
    let pool = lab.open_with(&fault);
    let grown = pool.grow_volume(&volume("old"), LARGE);
    refused(grown, ErrorKind::OutOfSpace, &["volume old", "record"]);
    assert!(fault.happened());
    // Whoever has the device open has seen it grow: it never gets shorter again.
    let device = SystemFiles.open(&at.device, OpenMode::Read).unwrap();
    assert_eq!(device.size().unwrap(), LARGE);
    let mut last = [1; 4096];
    device.read_at(LARGE.get() - 4096, &mut last).unwrap();
    assert_eq!(last, [0; 4096]);
    drop(device);
    lab.free_disk();
    assert_eq!(pool.grow_volume(&volume("old"), LARGE).unwrap().get().size, LARGE);
    assert!(pool.unpublish(&old()).unwrap().changed());
}

#[test]
fn what_fills_the_disk_can_be_removed() {
    for kind in ["ext4", "xfs", "btrfs"] {
        let lab = Lab::on(kind, 320, &format!("full-removal-{kind}"));
        take(lab.open().as_ref()).unwrap();
        lab.fill_disk();
        let pool = lab.open();
        let snapshots = pool.require_snapshots().unwrap();
        let gone = snapshots.remove_snapshot(&snapshot("s"));
        assert!(gone.unwrap_or_else(|e| panic!("{kind}: {}", e.report())).changed());
        lab.fill_disk();
        let gone = pool.remove_volume(&volume("old"));
        assert!(gone.unwrap_or_else(|e| panic!("{kind}: {}", e.report())).changed());
        assert!(pool.volumes().unwrap().is_empty());
        let leaks = lab.pool.leaks().unwrap();
        assert!(leaks.is_empty(), "{kind}: {leaks:?}");
        lab.free_disk();
        thin(pool.as_ref()).unwrap();
    }
}

#[test]
fn a_full_disk_still_detaches() {
    let lab = Lab::new("full-unpublish");
    let _ = lab.open().publish(&PublishSpec::new(old())).unwrap();
    lab.fill_disk();
    assert!(lab.open().unpublish(&old()).unwrap().changed());
    still_works(&lab);
    lab.free_disk();
    lab.intact();
}
