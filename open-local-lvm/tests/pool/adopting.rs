//! What others made or changed: thin pools of lvm2's, volumes that somebody renamed, room that
//! somebody used before.

use std::sync::Arc;

use open_local_core::host::{DeviceAccess, Devices, OpenMode, Unchecked};
use open_local_core::{
    Backend, ErrorKind, Extents, FormatToken, Health, Pool, PoolExt, PoolSpec, PublishSpec,
    Sectors, SnapshotSpec, Source, VolumeId, VolumeSpec,
};
use open_local_lvm::dm::{DeviceMapper, DmId};
use open_local_lvm::exec::{PvOptions, Session};
use open_local_lvm::format::group::{Metadata, SegmentKind, VolumeGroup};

use crate::lab::{Lab, id, mib, settings};

fn vol(name: &str) -> VolumeId {
    name.parse().unwrap()
}

fn open(lab: &Lab) -> Arc<dyn Pool> {
    lab.live(Arc::new(Unchecked)).open_pool(&id()).unwrap()
}

/// A group with a thin pool and a thin volume, in the words of lvm2 2.03.16
/// (`lvcreate -T -L 4m --poolmetadatasize 2m -V 1m vg/pool`).
pub(crate) const TEXT: &str = include_str!("../fixtures/lvm2-pool.vg");

/// A disk with that group, which no program of ours has seen.
pub(crate) fn foreign(text: &str) -> Lab {
    let lab = Lab::new(&[64]);
    let host = lab.host(Arc::new(Unchecked));
    let disks = Arc::new(lab.disks.clone());
    let paths = ["/dev/sda".into()];
    let session = Session::open(&host, disks, settings(), &paths).unwrap();
    session.create_pv(&paths[0], &PvOptions::default()).unwrap();
    let view = session.physical_volumes().unwrap().remove(0);
    let mut group = Metadata::parse(text.as_bytes()).unwrap().group;
    group.seqno = 0;
    let pv = &mut group.physical_volumes[0];
    pv.id = view.id;
    pv.dev_size = Some(Sectors::from_bytes_floor(view.device_size));
    pv.pe_start = Sectors::from_bytes_floor(view.data_start);
    let data = view.device_size.get() - view.data_start.get();
    pv.pe_count = Extents::new(data / (64 << 10));
    let _ = session.create_group(&group, "vgcreate, lvcreate").unwrap();
    lab
}

pub(crate) fn order() -> PoolSpec {
    Lab::spec(&["sda"]).with_parameter("mode", "thin").with_parameter("adopt", "yes")
}

#[test]
fn a_thin_pool_that_lvm2_made_is_adopted_on_order_and_what_is_in_it_stays() {
    let lab = foreign(TEXT);
    let backend = lab.live(Arc::new(Unchecked));
    let plain = Lab::spec(&["sda"]).with_parameter("mode", "thin");
    assert_eq!(backend.ensure_pool(&plain).unwrap_err().kind(), ErrorKind::Refused);
    let other_chunk = order().with_parameter("chunk", "128KiB");
    let refused = backend.ensure_pool(&other_chunk).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict, "{}", refused.report());
    assert!(backend.list_pools().unwrap().is_empty(), "nothing is known of what was refused");

    assert!(backend.ensure_pool(&order()).unwrap().changed());
    assert!(!backend.ensure_pool(&order()).unwrap().changed());
    let pool = open(&lab);
    let info = pool.info().unwrap();
    assert_eq!(info.health, Health::Healthy);
    // The virtual size of their volume is promised too.
    assert_eq!(info.capacity.available, mib(3));
    assert!(pool.volumes().unwrap().is_empty());
    let _ = pool.ensure_volume(&VolumeSpec::new(vol("new"), mib(1))).unwrap();
    let _ = pool.publish(&PublishSpec::new(vol("new"))).unwrap();
    assert!(pool.unpublish(&Source::Volume(vol("new"))).unwrap().changed());
    let group = lab.group();
    assert!(group.logical("theirs").unwrap().tags.is_empty());
    assert!(!pool.remove_volume(&vol("theirs")).unwrap().changed());
    assert!(pool.remove_volume(&vol("new")).unwrap().changed());
    // The thin pool is theirs: it stays, with what is in it, and loses our marks.
    assert!(lab.live(Arc::new(Unchecked)).remove_pool(&id()).unwrap().changed());
    let group = lab.group();
    assert!(group.logical("theirs").is_some());
    assert!(group.tags.is_empty(), "{:?}", group.tags);
    assert!(group.logical_volumes.iter().all(|lv| lv.tags.is_empty()));
    assert!(lab.live(Arc::new(Unchecked)).list_pools().unwrap().is_empty());
    let again = lab.live(Arc::new(Unchecked)).ensure_pool(&plain).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Refused, "{}", again.report());
}

#[test]
fn an_adopted_thin_pool_that_the_group_knows_no_volume_of_stays_too() {
    let lab = foreign(TEXT);
    lab.change("vg", |group| {
        group.logical_volumes.retain(|lv| lv.name != "theirs");
        for segment in group.logical_volumes.iter_mut().flat_map(|lv| &mut lv.segments) {
            if let SegmentKind::ThinPool(pool) = &mut segment.kind {
                pool.messages.clear();
                pool.transaction_id = 0;
            }
        }
    });
    let backend = lab.live(Arc::new(Unchecked));
    let _ = backend.ensure_pool(&order()).unwrap();
    assert!(backend.remove_pool(&id()).unwrap().changed());
    assert!(lab.group().logical("pool").unwrap().tags.is_empty());
}

#[test]
fn a_refused_removal_records_nothing() {
    let lab = Lab::new(&[64]);
    let spec = Lab::spec(&["sda"]).with_parameter("mode", "thin");
    let backend = lab.live(Arc::new(Unchecked));
    let _ = backend.ensure_pool(&spec).unwrap();
    let _ = open(&lab).ensure_volume(&VolumeSpec::new(vol("theirs"), mib(4))).unwrap();
    lab.change("vg", |group| group.logical_mut("theirs").unwrap().tags.clear());
    let refused = backend.remove_pool(&id()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Busy, "{}", refused.report());
    assert!(refused.to_string().contains("theirs"), "{refused}");
    assert_eq!(open(&lab).info().unwrap().health, Health::Healthy);
    assert!(!backend.ensure_pool(&spec).unwrap().changed());
}

#[test]
fn a_thin_pool_that_does_not_zero_new_blocks_is_not_adopted() {
    let lab = foreign(&TEXT.replace("zero_new_blocks = 1", "zero_new_blocks = 0"));
    let backend = lab.live(Arc::new(Unchecked));
    let refused = backend.ensure_pool(&order()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Refused, "{}", refused.report());
    assert!(refused.remedy().unwrap().contains("lvchange --zero y vg/pool"), "{refused:?}");
    assert!(lab.group().logical("pool").unwrap().tags.is_empty());
    assert!(lab.group().tags.is_empty());
}

#[test]
fn a_name_that_a_volume_of_another_type_has_is_a_conflict() {
    let lab = foreign(TEXT);
    let backend = lab.live(Arc::new(Unchecked));
    // A thin volume where a thin pool is asked for, adopted or not.
    for adopt in ["yes", "no"] {
        let spec = order().with_parameter("thin-pool", "theirs").with_parameter("adopt", adopt);
        let error = backend.ensure_pool(&spec).unwrap_err();
        let wanted = if adopt == "yes" { ErrorKind::Conflict } else { ErrorKind::Refused };
        assert_eq!(error.kind(), wanted, "{}", error.report());
    }
    // The parts of a pool can't be called so either.
    for (name, kind) in
        [("pool_tdata", ErrorKind::InvalidArgument), ("a b", ErrorKind::InvalidArgument)]
    {
        let error = backend.ensure_pool(&order().with_parameter("thin-pool", name)).unwrap_err();
        assert_eq!(error.kind(), kind, "{}", error.report());
    }
    // A volume of ours that would be called as theirs.
    let _ = backend.ensure_pool(&order()).unwrap();
    let error = open(&lab).ensure_volume(&VolumeSpec::new(vol("theirs"), mib(1))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{}", error.report());
    let error = open(&lab).ensure_volume(&VolumeSpec::new(vol("pool"), mib(1))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{}", error.report());
    let snapshot = SnapshotSpec::new("s".parse().unwrap(), vol("theirs"));
    let taken = open(&lab).require_snapshots().unwrap().ensure_snapshot(&snapshot).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::NotFound, "{}", taken.report());
}

#[test]
fn a_volume_that_somebody_renamed_is_found_by_its_tag() {
    for mode in ["thick", "thin"] {
        let lab = Lab::new(&[64]);
        let spec = Lab::spec(&["sda"]).with_parameter("mode", mode);
        let _ = lab.live(Arc::new(Unchecked)).ensure_pool(&spec).unwrap();
        let wanted = VolumeSpec::new(vol("old"), mib(4));
        let _ = open(&lab).ensure_volume(&wanted).unwrap();
        lab.change("vg", |group| {
            group.logical_mut("old").unwrap().name = "moved".to_owned();
            clear_messages(group);
        });
        let pool = open(&lab);
        assert!(!pool.ensure_volume(&wanted).unwrap().changed(), "{mode}");
        assert_eq!(pool.volumes().unwrap()[0].id, vol("old"));
        let tokens = pool.require_format_tokens().unwrap();
        tokens.set_format_token(&vol("old"), FormatToken::Spent).unwrap();
        let key = Source::Volume(vol("old"));
        let _ = pool.publish(&PublishSpec::new(key.clone())).unwrap();
        assert!(lab.dm.info(&DmId::name("vg-moved")).unwrap().is_some());
        assert!(pool.grow_volume(&vol("old"), mib(8)).unwrap().changed());
        assert!(pool.unpublish(&key).unwrap().changed());
        // Nobody is taken for it by the name it would have, nor it for another.
        assert!(pool.volume(&vol("moved")).is_err());
        let error = pool.ensure_volume(&VolumeSpec::new(vol("moved"), mib(4))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{}", error.report());
        // Two that say they are it, by tags that somebody copied.
        let _ = pool.ensure_volume(&VolumeSpec::new(vol("other"), mib(4))).unwrap();
        let both = lab.fork(1);
        both.change("vg", |group| {
            let tags = group.logical("moved").unwrap().tags.clone();
            group.logical_mut("other").unwrap().tags = tags;
        });
        all_conflict(&both, &wanted);
        // Nor is one of them it because it has the name.
        both.change("vg", |group| {
            group.logical_mut("other").unwrap().name = "old".to_owned();
            clear_messages(group);
        });
        all_conflict(&both, &wanted);
        assert!(both.group().logical("moved").is_some() && both.group().logical("old").is_some());
        assert!(pool.remove_volume(&vol("old")).unwrap().changed());
        let _ = pool.maintain_all().unwrap();
        assert!(lab.group().logical("moved").is_none());
    }
}

/// Messages name volumes.
fn clear_messages(group: &mut VolumeGroup) {
    for segment in group.logical_volumes.iter_mut().flat_map(|lv| &mut lv.segments) {
        if let SegmentKind::ThinPool(pool) = &mut segment.kind {
            pool.messages.clear();
        }
    }
}

/// Every call about a volume that two say they are answers so.
fn all_conflict(lab: &Lab, wanted: &VolumeSpec) {
    let pool = open(lab);
    let (id, key) = (&wanted.id, Source::Volume(wanted.id.clone()));
    let tokens = pool.require_format_tokens().unwrap();
    let mut answers = vec![
        pool.ensure_volume(wanted).map(drop),
        pool.volume(id).map(drop),
        pool.grow_volume(id, mib(16)).map(drop),
        pool.publish(&PublishSpec::new(key.clone())).map(drop),
        pool.unpublish(&key).map(drop),
        pool.remove_volume(id).map(drop),
        tokens.format_token(id).map(drop),
        tokens.set_format_token(id, FormatToken::Spent),
        tokens.allow_format(id),
    ];
    if let Some(snapshots) = pool.snapshots() {
        let spec = SnapshotSpec::new("s".parse().unwrap(), id.clone());
        answers.push(snapshots.ensure_snapshot(&spec).map(drop));
        answers.push(snapshots.list_snapshots(Some(id)).map(drop));
    }
    for (n, answer) in answers.into_iter().enumerate() {
        let error = answer.expect_err(&format!("call {n}"));
        assert_eq!(error.kind(), ErrorKind::Conflict, "call {n}: {}", error.report());
        assert!(error.to_string().contains("moved"), "call {n}: {error}");
    }
}

fn read(lab: &Lab, pool: &dyn Pool, name: &str) -> Vec<u8> {
    let key = Source::Volume(vol(name));
    let device = pool.publish(&PublishSpec::new(key.clone())).unwrap().into_inner();
    let io = lab.dm.open(&device.device, DeviceAccess::Direct(OpenMode::Read)).unwrap();
    let mut bytes = vec![0; usize::try_from(io.size().unwrap().get()).unwrap()];
    io.read_at(0, &mut bytes).unwrap();
    drop(io);
    assert!(pool.unpublish(&key).unwrap().changed());
    bytes
}

#[test]
fn what_was_on_the_disk_before_is_zeroed_at_the_ends_or_all_of_it() {
    for (zero, whole) in [("ends", false), ("all", true)] {
        let lab = Lab::new(&[64]);
        let spec = Lab::spec(&["sda"]).with_parameter("zero", zero);
        let _ = lab.live(Arc::new(Unchecked)).ensure_pool(&spec).unwrap();
        // Somebody used the room that is free now.
        let disk = lab.disks.of_kernel();
        let access = DeviceAccess::Direct(OpenMode::ReadWrite);
        let io = disk.open("/dev/sda".as_ref(), access).unwrap();
        io.write_at(17 << 20, &vec![7; 40 << 20]).unwrap();
        io.flush().unwrap();
        drop(io);
        let pool = open(&lab);
        let _ = pool.ensure_volume(&VolumeSpec::new(vol("new"), mib(4))).unwrap();
        assert!(pool.grow_volume(&vol("new"), mib(8)).unwrap().changed());
        let bytes = read(&lab, pool.as_ref(), "new");
        let ends = 512 << 10;
        assert!(bytes[..ends].iter().all(|byte| *byte == 0));
        assert!(bytes[(4 << 20) - ends..4 << 20].iter().all(|byte| *byte == 0));
        assert_eq!(bytes.iter().all(|byte| *byte == 0), whole, "{zero}");
        // The rest is as the documentation says.
        assert_eq!(bytes[1 << 20] == 7, !whole, "{zero}");
        assert_eq!(bytes.len(), 8 << 20);
    }
}

#[test]
fn zeroing_that_was_cut_begins_anew_and_nothing_of_before_is_seen() {
    let start = Lab::new(&[64]);
    let spec = Lab::spec(&["sda"]).with_parameter("zero", "all");
    let _ = start.live(Arc::new(Unchecked)).ensure_pool(&spec).unwrap();
    let disk = start.disks.of_kernel();
    let access = DeviceAccess::Direct(OpenMode::ReadWrite);
    let io = disk.open("/dev/sda".as_ref(), access).unwrap();
    io.write_at(17 << 20, &vec![7; 40 << 20]).unwrap();
    io.flush().unwrap();
    drop(io);
    let volume = VolumeSpec::new(vol("new"), mib(12));
    let mut cuts = 0;
    for call in 1..60 {
        let lab = start.fork(call);
        let pool = open(&lab);
        lab.files.kill_at(call);
        let answer = pool.ensure_volume(&volume).map(drop);
        if !lab.files.is_killed() {
            answer.unwrap();
            break;
        }
        lab.files.revive();
        cuts += 1;
        // Nothing of it is there until all of it is zeroed: the same call zeroes all of it.
        let _ = open(&lab).ensure_volume(&volume).unwrap();
        assert!(read(&lab, open(&lab).as_ref(), "new").iter().all(|byte| *byte == 0), "{call}");
        assert!(lab.leaks().is_empty(), "{call}: {:?}", lab.leaks());
    }
    assert!((3..60).contains(&cuts), "{cuts} cuts");
}
