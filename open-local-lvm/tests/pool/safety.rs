//! What may be lost is kept: blocks that others show, content while a thin pool is told, groups
//! of other pools.

use std::sync::{Arc, Mutex};

use open_local_core::host::{Checkpoints, DeviceAccess, Devices, OpenMode, Progress, Unchecked};
use open_local_core::{
    Backend, Bytes, Error, ErrorKind, FormatToken, Op, Pool, PoolExt, PoolSpec, PublishSpec,
    Result, SnapshotId, SnapshotSpec, Source, Subject, VolumeId, VolumeSpec,
};
use open_local_lvm::activate::{ActivateOptions, UdevMode};
use open_local_lvm::dm::{DeviceMapper, DmId, SuspendFlags, Udev};
use open_local_lvm::format::group::{SegmentKind, SnapshotStore, VolumeGroup, status};
use open_local_lvm::format::id::LvmId;
use open_local_lvm::pool::LvmBackend;

use crate::lab::{Lab, id, mib, settings};

const EIO: i32 = 5;
const EBUSY: i32 = 16;

fn vol(name: &str) -> VolumeId {
    name.parse().unwrap()
}

fn live(lab: &Lab) -> LvmBackend {
    lab.live(Arc::new(Unchecked))
}

fn open(lab: &Lab) -> Arc<dyn Pool> {
    live(lab).open_pool(&id()).unwrap()
}

fn thick() -> Lab {
    let lab = Lab::new(&[64]);
    let _ = live(&lab).ensure_pool(&Lab::spec(&["sda"])).unwrap();
    lab
}

/// Makes a volume the origin of a copy-on-write snapshot that another program took.
fn take_snapshot(group: &mut VolumeGroup, origin: &str, store: &str) {
    let mut link = group.logical(store).unwrap().clone();
    let cow = group.logical_mut(store).unwrap();
    cow.tags.clear();
    cow.status.remove(status::VISIBLE);
    link.name = "snapshot0".to_owned();
    link.id = LvmId::from_random([9; 32]);
    link.tags.clear();
    let segment = &mut link.segments[0];
    segment.segment_type.name = "snapshot".to_owned();
    segment.kind = SegmentKind::Snapshot {
        chunk_size: open_local_core::Sectors::new(8),
        origin: origin.to_owned(),
        store: SnapshotStore::Cow(store.to_owned()),
    };
    group.logical_volumes.push(link);
}

#[test]
fn a_volume_that_others_copy_from_is_not_given_up() {
    let lab = thick();
    let pool = open(&lab);
    for name in ["old", "cow"] {
        let _ = pool.ensure_volume(&VolumeSpec::new(vol(name), mib(4))).unwrap();
    }
    lab.change("vg", |group| take_snapshot(group, "old", "cow"));
    let error = pool.remove_volume(&vol("old")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{}", error.report());
    assert!(error.to_string().contains("snapshot0"), "{error}");
    assert!(lab.group().logical("old").is_some());
}

#[test]
fn what_others_copy_from_by_now_is_not_erased() {
    let lab = thick();
    let pool = open(&lab);
    for name in ["old", "cow"] {
        let _ = pool.ensure_volume(&VolumeSpec::new(vol(name), mib(4))).unwrap();
    }
    assert!(pool.remove_volume(&vol("old")).unwrap().changed());
    lab.change("vg", |group| {
        let erasing = group.logical_volumes.iter().find(|lv| lv.name.starts_with("ol.e."));
        let name = erasing.unwrap().name.clone();
        take_snapshot(group, &name, "cow");
    });
    let error = pool.maintain_all().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy, "{}", error.report());
    let group = lab.group();
    assert!(group.logical_volumes.iter().any(|lv| lv.name.starts_with("ol.e.")));
}

/// Takes the mark of a volume that is erased away right before a piece of it is.
#[derive(Debug)]
struct Rescue(Mutex<Option<Lab>>);

impl Checkpoints for Rescue {
    fn before(&self, _: Op, _: &Subject, step: &str) -> Result<()> {
        if step.starts_with("zero from")
            && let Some(lab) = self.0.lock().unwrap().take()
        {
            lab.change("vg", |group| {
                for lv in &mut group.logical_volumes {
                    lv.tags.retain(|tag| !tag.contains("state="));
                }
            });
        }
        Ok(())
    }
}

#[test]
fn what_is_no_longer_given_up_is_neither_erased_nor_removed() {
    let lab = thick();
    let pool = open(&lab);
    let _ = pool.ensure_volume(&VolumeSpec::new(vol("old"), mib(4))).unwrap();
    assert!(pool.remove_volume(&vol("old")).unwrap().changed());
    let rescue = Arc::new(Rescue(Mutex::new(Some(lab.clone()))));
    let _ = lab.live(rescue.clone()).open_pool(&id()).unwrap().maintain(Bytes::MAX).unwrap();
    assert!(rescue.0.lock().unwrap().is_none());
    assert_eq!(lab.group().logical_volumes.len(), 1);
}

/// Activates the volume that is erased once all of it is zeroed.
#[derive(Debug)]
struct Activates(Lab);

impl Progress for Activates {
    fn advanced(&self, _: Op, _: &Subject, done: Bytes, total: Bytes) {
        if done != total {
            return;
        }
        let group = self.0.group();
        let lv = &group.logical_volumes[0];
        let uuid = format!("LVM-{}{}", group.id.to_plain(), lv.id.to_plain());
        let device = DmId::name("vg-theirs");
        let _ = self.0.dm.create("vg-theirs", &uuid).unwrap();
        let table =
            format!("0 8192 linear {} 2048", self.0.disks.number_of("/dev/sda".as_ref()).unwrap());
        let _ = self.0.dm.load(&device, &table.parse().unwrap(), false).unwrap();
        self.0.dm.resume(&device, SuspendFlags::QUICK, Udev::NO_UDEV).unwrap();
    }
}

#[test]
fn an_erased_volume_that_somebody_activated_keeps_its_extents() {
    let lab = thick();
    let pool = open(&lab);
    let _ = pool.ensure_volume(&VolumeSpec::new(vol("old"), mib(4))).unwrap();
    assert!(pool.remove_volume(&vol("old")).unwrap().changed());
    let mut host = lab.host(Arc::new(Unchecked));
    host.progress = Arc::new(Activates(lab.clone()));
    let options = ActivateOptions::new(UdevMode::Absent);
    let backend = LvmBackend::new(host, Arc::new(lab.disks.clone()), settings())
        .with_device_mapper(Arc::new(lab.dm.clone()), options);
    let error = backend.open_pool(&id()).unwrap().maintain(Bytes::MAX).unwrap_err();
    assert!(error.report().to_string().contains("activated"), "{}", error.report());
    assert_eq!(error.kind(), ErrorKind::Busy, "{}", error.report());
    assert_eq!(lab.group().logical_volumes.len(), 1);
    lab.dm.remove(&DmId::name("vg-theirs"), Udev::NO_UDEV).unwrap();
    let _ = open(&lab).maintain_all().unwrap();
    assert!(lab.group().logical_volumes.is_empty());
}

/// A thin pool with a volume of ones, used by somebody, and its snapshot of twos, not used yet.
fn thin() -> Lab {
    let lab = Lab::new(&[64]);
    let spec = Lab::spec(&["sda"])
        .with_parameter("mode", "thin")
        .with_parameter("extent-size", "64KiB")
        .with_parameter("data-size", "4MiB");
    let _ = live(&lab).ensure_pool(&spec).unwrap();
    let pool = open(&lab);
    let _ = pool.ensure_volume(&VolumeSpec::new(vol("old"), mib(1))).unwrap();
    stamp(&lab, 2);
    let snapshot = SnapshotSpec::new(twos(), vol("old"));
    let _ = pool.require_snapshots().unwrap().ensure_snapshot(&snapshot).unwrap();
    stamp(&lab, 1);
    let tokens = pool.require_format_tokens().unwrap();
    tokens.set_format_token(&vol("old"), FormatToken::Spent).unwrap();
    lab
}

fn twos() -> SnapshotId {
    "twos".parse().unwrap()
}

fn stamp(lab: &Lab, byte: u8) {
    let key = Source::Volume(vol("old"));
    let device = open(lab).publish(&PublishSpec::new(key.clone())).unwrap().into_inner();
    let access = DeviceAccess::Direct(OpenMode::ReadWrite);
    let io = lab.dm.open(&device.device, access).unwrap();
    io.write_at(0, &vec![byte; 1 << 20]).unwrap();
    io.flush().unwrap();
    drop(io);
    assert!(open(lab).unpublish(&key).unwrap().changed());
}

/// What the volume begins with, and its token.
fn content(lab: &Lab) -> (u8, FormatToken) {
    let pool = open(lab);
    let key = Source::Volume(vol("old"));
    let device = pool.publish(&PublishSpec::new(key.clone())).unwrap().into_inner();
    let io = lab.dm.open(&device.device, DeviceAccess::Direct(OpenMode::Read)).unwrap();
    let mut bytes = vec![0; 4096];
    io.read_at(0, &mut bytes).unwrap();
    drop(io);
    assert!(pool.unpublish(&key).unwrap().changed());
    let tokens = pool.require_format_tokens().unwrap();
    (bytes[0], tokens.format_token(&vol("old")).unwrap())
}

fn roll_back(lab: &Lab) -> Result<()> {
    open(lab).require_snapshots()?.roll_back(&vol("old"), &twos()).map(drop)
}

#[test]
fn a_roll_back_that_fails_leaves_the_old_content_or_is_finished_by_the_next_call() {
    let start = thin();
    let old = (1, FormatToken::Spent);
    let rolled_back = {
        let lab = start.fork(1);
        roll_back(&lab).unwrap();
        content(&lab)
    };
    assert_eq!(rolled_back.0, 2);
    assert_ne!(rolled_back.1, old.1);
    // Whether the number is free, the copy, the deletion of the old device, the count.
    let cases = [
        (1, EIO, ErrorKind::Io, old),
        (2, EIO, ErrorKind::Io, old),
        (3, EBUSY, ErrorKind::Busy, old),
        (3, EIO, ErrorKind::Indeterminate, rolled_back),
        (4, EIO, ErrorKind::Indeterminate, rolled_back),
    ];
    for (n, errno, kind, wanted) in cases {
        let lab = start.fork(n);
        lab.dm.fail_at(n, "message", errno);
        let error = roll_back(&lab).unwrap_err();
        assert_eq!(error.kind(), kind, "{n} {errno}: {}", error.report());
        lab.dm.fail_at(0, "", 0);
        assert_eq!(content(&lab), wanted, "{n} {errno}");
        roll_back(&lab).unwrap();
        assert_eq!(content(&lab), rolled_back, "{n} {errno}");
        assert!(lab.leaks().is_empty(), "{n} {errno}: {:?}", lab.leaks());
    }
}

#[test]
fn a_volume_whose_making_fails_is_not_there_and_can_be_made_again() {
    let start = thin();
    let spec = VolumeSpec::new(vol("new"), mib(1));
    for n in [1, 2, 3] {
        let lab = start.fork(n);
        lab.dm.fail_at(n, "message", EIO);
        let error = open(&lab).ensure_volume(&spec).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{n}: {}", error.report());
        assert!(!error.report().to_string().contains("roll"), "{n}: {}", error.report());
        lab.dm.fail_at(0, "", 0);
        assert_eq!(open(&lab).volumes().unwrap().len(), 1, "{n}");
        assert!(open(&lab).ensure_volume(&spec).unwrap().changed(), "{n}");
        assert_eq!(content(&lab), (1, FormatToken::Spent));
        assert!(lab.leaks().is_empty(), "{n}: {:?}", lab.leaks());
    }
}

#[test]
fn a_snapshot_of_an_earlier_volume_of_the_name_is_not_this_ones() {
    let lab = thin();
    let pool = open(&lab);
    let snapshots = pool.require_snapshots().unwrap();
    assert_eq!(snapshots.list_snapshots(Some(&vol("old"))).unwrap().len(), 1);
    assert!(pool.remove_volume(&vol("old")).unwrap().changed());
    assert_eq!(snapshots.list_snapshots(Some(&vol("old"))).unwrap().len(), 1);
    let _ = pool.ensure_volume(&VolumeSpec::new(vol("old"), mib(1))).unwrap();
    let taken = snapshots.ensure_snapshot(&SnapshotSpec::new(twos(), vol("old"))).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::Conflict, "{}", taken.report());
    assert!(taken.to_string().contains("earlier volume"), "{taken}");
    assert!(snapshots.list_snapshots(Some(&vol("old"))).unwrap().is_empty());
    assert_eq!(snapshots.list_snapshots(None).unwrap().len(), 1);
}

fn named(name: &str, group: &str, devices: &str) -> PoolSpec {
    PoolSpec::new(name.parse().unwrap())
        .with_parameter("group", group)
        .with_parameter("devices", devices)
        .with_parameter("extent-size", "64KiB")
}

fn thin_in(name: &str, group: &str, devices: &str) -> PoolSpec {
    named(name, group, devices)
        .with_parameter("mode", "thin")
        .with_parameter("thin-pool", name)
        .with_parameter("data-size", "4MiB")
        .with_parameter("metadata-size", "2MiB")
}

/// Cuts a call before the first step of which the text begins so.
#[derive(Debug)]
struct Cut(&'static str);

impl Checkpoints for Cut {
    fn before(&self, op: Op, subject: &Subject, step: &str) -> Result<()> {
        if !step.starts_with(self.0) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Indeterminate, op, subject.clone(), "cut"))
    }
}

#[test]
fn a_group_goes_with_the_last_of_its_pools() {
    let lab = Lab::new(&[64]);
    let (one, two) = (thin_in("one", "vg", "/dev/sda"), thin_in("two", "vg", "/dev/sda"));
    let _ = live(&lab).ensure_pool(&one).unwrap();
    let cut = lab.live(Arc::new(Cut("zero"))).ensure_pool(&two).unwrap_err();
    assert_eq!(cut.kind(), ErrorKind::Indeterminate, "{}", cut.report());
    // The second has nothing in the group yet, and is made in it all the same.
    let group = lab.group().id;
    assert!(live(&lab).remove_pool(&one.id).unwrap().changed());
    assert_eq!(lab.group().id, group);
    assert!(live(&lab).ensure_pool(&two).unwrap().changed());
    assert_eq!(lab.group().id, group);
    assert!(live(&lab).remove_pool(&two.id).unwrap().changed());
    assert!(lab.groups().is_empty());
    assert!(live(&lab).list_pools().unwrap().is_empty());
}

#[test]
fn a_removal_that_is_cut_after_the_group_went_is_finished() {
    let lab = thick();
    let cut = lab.live(Arc::new(Cut("forget the pool"))).remove_pool(&id()).unwrap_err();
    assert_eq!(cut.kind(), ErrorKind::Indeterminate, "{}", cut.report());
    assert!(lab.groups().is_empty());
    assert!(live(&lab).remove_pool(&id()).unwrap().changed());
    assert!(live(&lab).list_pools().unwrap().is_empty());
}

#[test]
fn a_pool_whose_group_is_away_is_not_removed() {
    let lab = Lab::new(&[64, 64]);
    let _ = live(&lab).ensure_pool(&Lab::spec(&["sda"])).unwrap();
    let _ = open(&lab).ensure_volume(&VolumeSpec::new(vol("old"), mib(4))).unwrap();
    lab.disks.swap("sda", "sdb").unwrap();
    let error = live(&lab).remove_pool(&id()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{}", error.report());
    assert!(error.remedy().unwrap().contains("devices="), "{error:?}");
    lab.disks.swap("sda", "sdb").unwrap();
    assert_eq!(open(&lab).volumes().unwrap().len(), 1);
}

#[test]
fn devices_on_which_the_group_is_not_are_not_taken_for_its_own() {
    let lab = Lab::new(&[64, 64]);
    let _ = live(&lab).ensure_pool(&Lab::spec(&["sda"])).unwrap();
    let error = live(&lab).ensure_pool(&Lab::spec(&["sdb"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{}", error.report());
    assert!(error.remedy().unwrap().contains("/dev/sda"), "{error:?}");
    let _ = open(&lab).info().unwrap();
    // It is there by another name.
    lab.disks.swap("sda", "sdb").unwrap();
    assert!(!live(&lab).ensure_pool(&Lab::spec(&["sdb"])).unwrap().changed());
    let _ = open(&lab).info().unwrap();
}

#[test]
fn thick_volumes_and_a_thin_pool_do_not_share_a_group() {
    let thick_in = |name| named(name, "vg", "/dev/sda");
    let thin_in = |name| thin_in(name, "vg", "/dev/sda");
    for (first, second) in [(thick_in("a"), thin_in("b")), (thin_in("a"), thick_in("b"))] {
        let lab = Lab::new(&[64]);
        let _ = live(&lab).ensure_pool(&first).unwrap();
        let error = live(&lab).ensure_pool(&second).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{}", error.report());
        assert!(error.remedy().unwrap().contains("group of its own"), "{error:?}");
        assert_eq!(live(&lab).list_pools().unwrap().len(), 1);
    }
}
