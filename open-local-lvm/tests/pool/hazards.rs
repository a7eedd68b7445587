//! What is not ours, what is damaged, what is full.

use std::sync::Arc;

use open_local_core::host::{Checkpoints, DeviceAccess, Devices, OpenMode, Unchecked};
use open_local_core::{
    Backend, Bytes, Error, ErrorKind, FormatToken, Health, Op, Pool, PoolExt, PoolSpec,
    PublishSpec, Result, SnapshotSpec, Source, Subject, VolumeId, VolumeSource, VolumeSpec,
};
use open_local_lvm::dm::{DeviceMapper, DmId, SuspendFlags, Udev};
use open_local_lvm::format::group::{SegmentKind, VolumeGroup};
use open_local_lvm::pool::LvmBackend;

use crate::lab::{Lab, id, mib};

const KIB: u64 = 1 << 10;

fn vol(name: &str) -> VolumeId {
    name.parse().unwrap()
}

fn live(lab: &Lab) -> LvmBackend {
    lab.live(Arc::new(Unchecked))
}

fn thin(lab: &Lab) -> Arc<dyn Pool> {
    let spec = Lab::spec(&["sda"])
        .with_parameter("mode", "thin")
        .with_parameter("extent-size", "64KiB")
        .with_parameter("data-size", "4MiB");
    let _ = live(lab).ensure_pool(&spec).unwrap();
    live(lab).open_pool(&id()).unwrap()
}

/// The device of the thin pool that volumes use.
fn pool_device(lab: &Lab) -> DmId {
    let devices = lab.dm.list().unwrap();
    let uuid = |number| lab.dm.info(&DmId::Number(number)).unwrap().unwrap().uuid;
    let mut numbers = devices.into_iter().map(|device| device.number);
    DmId::Number(numbers.find(|number| uuid(*number).ends_with("-tpool")).unwrap())
}

#[test]
fn what_is_not_ours_is_neither_used_nor_removed_until_it_is_tagged() {
    let lab = Lab::new(&[64]);
    let backend = live(&lab);
    let _ = backend.ensure_pool(&Lab::spec(&["sda"])).unwrap();
    let pool = backend.open_pool(&id()).unwrap();
    let _ = pool.ensure_volume(&VolumeSpec::new(vol("theirs"), mib(4))).unwrap();
    // As if somebody else had made it.
    lab.change("vg", |group| group.logical_mut("theirs").unwrap().tags.clear());
    assert!(pool.volumes().unwrap().is_empty());
    assert!(!pool.remove_volume(&vol("theirs")).unwrap().changed());
    let publish = pool.publish(&PublishSpec::new(vol("theirs"))).unwrap_err();
    assert_eq!(publish.kind(), ErrorKind::NotFound);
    let again = pool.ensure_volume(&VolumeSpec::new(vol("theirs"), mib(4))).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Conflict);
    assert!(again.remedy().unwrap().contains("open-local/volume"));

    let mark = "open-local/volume".to_owned();
    lab.change("vg", |group| group.logical_mut("theirs").unwrap().tags.push(mark.clone()));
    let spec = VolumeSpec::new(vol("theirs"), mib(4));
    assert!(!pool.ensure_volume(&spec).unwrap().changed());
    // Whoever made it may have a file system on it.
    let token = pool.require_format_tokens().unwrap().format_token(&vol("theirs"));
    assert_eq!(token.unwrap(), FormatToken::Spent);
    assert!(pool.remove_volume(&vol("theirs")).unwrap().changed());
}

#[test]
fn a_group_of_others_is_used_only_on_order() {
    let lab = Lab::new(&[64]);
    let backend = live(&lab);
    let spec = Lab::spec(&["sda"]);
    let _ = backend.ensure_pool(&spec).unwrap();
    let pool = backend.open_pool(&id()).unwrap();
    let _ = pool.ensure_volume(&VolumeSpec::new(vol("local-1"), mib(4))).unwrap();
    let _ = pool.ensure_volume(&VolumeSpec::new(vol("other"), mib(4))).unwrap();
    lab.change("vg", |group| {
        group.tags.clear();
        for name in ["local-1", "other"] {
            group.logical_mut(name).unwrap().tags.clear();
        }
    });
    lab.files.add_folder("/var/lib/open-local/lvm/pools").unwrap();
    let fresh = lab.fork(3);
    let other = PoolSpec::new("mine".parse().unwrap())
        .with_parameter("devices", "/dev/sda")
        .with_parameter("group", "vg");
    let refused = live(&fresh).ensure_pool(&other).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Refused);
    assert!(refused.remedy().unwrap().contains("adopt=yes"));
    let order = other.with_parameter("adopt", "yes").with_parameter("adopt-volumes", "local-");
    let _ = live(&fresh).ensure_pool(&order).unwrap();
    let pool = live(&fresh).open_pool(&order.id).unwrap();
    let names: Vec<String> =
        pool.volumes().unwrap().iter().map(|volume| volume.id.to_string()).collect();
    assert_eq!(names, ["local-1"]);
    // Nothing of theirs goes with the pool.
    assert!(pool.remove_volume(&vol("local-1")).unwrap().changed());
    let _ = pool.maintain_all().unwrap();
    assert!(live(&fresh).remove_pool(&order.id).unwrap().changed());
    assert!(fresh.group().logical("other").is_some());
}

#[test]
fn a_pool_that_must_be_checked_is_refused_with_the_remedy() {
    let lab = Lab::new(&[64]);
    let pool = thin(&lab);
    let _ = pool.ensure_volume(&VolumeSpec::new(vol("old"), Bytes::new(256 * KIB))).unwrap();
    lab.dm.set_needs_check(&pool_device(&lab)).unwrap();
    let spec = VolumeSpec::new(vol("new"), Bytes::new(256 * KIB));
    let refused = [
        pool.ensure_volume(&spec).map(drop),
        pool.remove_volume(&vol("old")).map(drop),
        pool.grow_volume(&vol("old"), mib(1)).map(drop),
    ];
    for answer in refused {
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{}", error.report());
        let remedy = error.remedy().unwrap();
        assert!(
            remedy.contains("clear-needs-check-flag") && remedy.contains("vg/pool"),
            "{remedy}"
        );
    }
    let health = pool.info().unwrap().health;
    assert!(matches!(&health, Health::Failed(why) if why.contains("clear-needs-check-flag")));
    assert_eq!(pool.volumes().unwrap().len(), 1);
    // After a reboot it is not made active again, and can be opened and read all the same.
    lab.files.reboot();
    lab.dm.reboot();
    let pool = live(&lab).open_pool(&id()).unwrap();
    assert_eq!(pool.volumes().unwrap().len(), 1);
    let error = pool.ensure_volume(&spec).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{}", error.report());
    assert!(error.remedy().unwrap().contains("clear-needs-check-flag"), "{error:?}");
}

#[test]
fn a_pool_that_is_used_up_promises_nothing_until_it_is_extended() {
    let lab = Lab::new(&[64]);
    let pool = thin(&lab);
    let _ = pool.ensure_volume(&VolumeSpec::new(vol("old"), mib(4))).unwrap();
    let thin = pool.thin().unwrap();
    let double = open_local_core::Ratio::from_percent(200);
    thin.set_thin_policy(&thin.thin_policy().unwrap().with_overcommit(double)).unwrap();
    assert_eq!(pool.info().unwrap().capacity.available, mib(4));
    let device = pool.publish(&PublishSpec::new(vol("old"))).unwrap().into_inner();
    let access = DeviceAccess::Direct(OpenMode::ReadWrite);
    let io = lab.dm.open(&device.device, access).unwrap();
    io.write_at(0, &vec![7; 13 << 18]).unwrap();
    io.flush().unwrap();
    drop(io);
    // 13/16 are above 80 %.
    assert_eq!(pool.info().unwrap().capacity.available, Bytes::ZERO);
    let spec = VolumeSpec::new(vol("new"), Bytes::new(64 * KIB));
    assert_eq!(pool.ensure_volume(&spec).unwrap_err().kind(), ErrorKind::OutOfSpace);
    let snapshot = SnapshotSpec::new("s".parse().unwrap(), vol("old"));
    let taken = pool.require_snapshots().unwrap().ensure_snapshot(&snapshot);
    assert_eq!(taken.unwrap_err().kind(), ErrorKind::OutOfSpace);
    assert!(live(&lab).extend_thin_pool(&id(), Some(mib(8)), None).unwrap().changed());
    assert!(!live(&lab).extend_thin_pool(&id(), Some(mib(8)), None).unwrap().changed());
    let _ = pool.ensure_volume(&spec).unwrap();
    let _ = pool.require_snapshots().unwrap().ensure_snapshot(&snapshot).unwrap();
    assert!(lab.leaks().is_empty(), "{:?}", lab.leaks());
}

#[test]
fn a_pool_that_disagrees_with_its_group_is_read_and_let_go_and_not_changed() {
    let lab = Lab::new(&[64]);
    let pool = thin(&lab);
    let _ = pool.ensure_volume(&VolumeSpec::new(vol("old"), mib(1))).unwrap();
    let older = |group: &mut VolumeGroup| {
        let pool = group.logical_mut("pool").unwrap();
        for segment in &mut pool.segments {
            if let SegmentKind::ThinPool(pool) = &mut segment.kind {
                pool.transaction_id += 5;
                pool.messages.clear();
            }
        }
    };
    let _ = pool.publish(&PublishSpec::new(vol("old"))).unwrap();
    let wrong = lab.fork(1);
    wrong.change("vg", older);
    // What is there is read, what is active used and taken away.
    let pool = live(&wrong).open_pool(&id()).unwrap();
    assert_eq!(pool.volumes().unwrap().len(), 1);
    assert!(
        matches!(&pool.info().unwrap().health, Health::Failed(why) if why.contains("transaction"))
    );
    assert!(!pool.publish(&PublishSpec::new(vol("old"))).unwrap().changed());
    // Each change is refused with the remedy.
    let snapshot = SnapshotSpec::new("s".parse().unwrap(), vol("old"));
    let refused = [
        pool.ensure_volume(&VolumeSpec::new(vol("new"), mib(1))).map(drop),
        pool.grow_volume(&vol("old"), mib(2)).map(drop),
        pool.remove_volume(&vol("old")).map(drop),
        pool.require_snapshots().unwrap().ensure_snapshot(&snapshot).map(drop),
        live(&wrong).extend_thin_pool(&id(), Some(mib(6)), None).map(drop),
    ];
    for answer in refused {
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{}", error.report());
        assert!(error.report().to_string().contains("transaction"), "{}", error.report());
        assert!(error.remedy().is_some_and(|remedy| remedy.contains("metadata")), "{error:?}");
    }
    let key = open_local_core::Source::Volume(vol("old"));
    assert!(pool.unpublish(&key).unwrap().changed());
    assert!(!pool.unpublish(&key).unwrap().changed());
    // To activate it would be to guess.
    let error = pool.publish(&PublishSpec::new(vol("old"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{}", error.report());
    assert_eq!(live(&wrong).open_pool(&id()).unwrap().volumes().unwrap().len(), 1);
    assert!(wrong.dm.suspended().is_empty());
}

#[test]
fn a_disk_that_is_away_is_an_error_and_nothing_is_made_in_its_place() {
    let lab = Lab::new(&[64, 64]);
    let backend = live(&lab);
    let spec = Lab::spec(&["sda", "sdb"]);
    let _ = backend.ensure_pool(&spec).unwrap();
    let before = lab.group();
    lab.disks.unplug("sdb").unwrap();
    assert!(live(&lab).open_pool(&id()).is_err());
    assert!(live(&lab).ensure_pool(&spec).is_err());
    let listed = live(&lab).list_pools().unwrap();
    assert!(matches!(listed[0].health, Health::Failed(_)), "{:?}", listed[0].health);
    lab.disks.plug("sdb").unwrap();
    assert_eq!(lab.group(), before);
    assert!(!live(&lab).ensure_pool(&spec).unwrap().changed());
}

#[test]
fn a_thick_pool_makes_no_copies_and_says_so() {
    let lab = Lab::new(&[64]);
    let backend = live(&lab);
    let _ = backend.ensure_pool(&Lab::spec(&["sda"])).unwrap();
    let pool = backend.open_pool(&id()).unwrap();
    let _ = pool.ensure_volume(&VolumeSpec::new(vol("a"), mib(4))).unwrap();
    let copy = VolumeSpec::new(vol("b"), mib(4)).from_source(VolumeSource::Volume(vol("a")));
    assert_eq!(pool.ensure_volume(&copy).unwrap_err().kind(), ErrorKind::Unsupported);
    assert!(pool.snapshots().is_none() && pool.thin().is_none());
}

#[test]
fn the_largest_striped_volume_that_is_shown_is_granted_and_no_larger() {
    let lab = Lab::new(&[64, 96, 40]);
    let spec = Lab::spec(&["sda", "sdb", "sdc"]).with_parameter("stripes", "2");
    let backend = live(&lab);
    let _ = backend.ensure_pool(&spec).unwrap();
    let pool = backend.open_pool(&id()).unwrap();
    let room = pool.info().unwrap().capacity;
    // 44, 76 and 20 MiB are free in whole extents: two devices at a time.
    assert_eq!(room.available, mib(140));
    assert!(room.largest < room.available && room.largest >= mib(88), "{room:?}");
    let more = VolumeSpec::new(vol("more"), room.largest.checked_add(mib(8)).unwrap());
    assert_eq!(pool.ensure_volume(&more).unwrap_err().kind(), ErrorKind::OutOfSpace);
    let most = pool.ensure_volume(&VolumeSpec::new(vol("most"), room.largest)).unwrap();
    assert_eq!(most.get().size, room.largest);
}

/// Kills a call before a step.
#[derive(Debug)]
struct KilledBefore(&'static str);

impl Checkpoints for KilledBefore {
    fn before(&self, op: Op, subject: &Subject, step: &str) -> Result<()> {
        if step != self.0 {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Indeterminate, op, subject.clone(), "killed"))
    }
}

#[test]
fn a_pool_that_must_be_checked_is_told_nothing_and_can_be_read_and_let_go() {
    let lab = Lab::new(&[64]);
    let pool = thin(&lab);
    let _ = pool.ensure_volume(&VolumeSpec::new(vol("old"), mib(1))).unwrap();
    let _ = pool.publish(&PublishSpec::new(vol("old"))).unwrap();
    let spec = VolumeSpec::new(vol("new"), mib(1));
    let killed = lab.live(Arc::new(KilledBefore("create_thin 2")));
    assert!(killed.open_pool(&id()).unwrap().ensure_volume(&spec).is_err());
    lab.dm.set_needs_check(&pool_device(&lab)).unwrap();
    let told = lab.dm.log().len();
    let pool = live(&lab).open_pool(&id()).unwrap();
    assert!(matches!(pool.info().unwrap().health, Health::Failed(_)));
    assert!(!pool.volumes().unwrap().is_empty());
    assert!(!pool.publish(&PublishSpec::new(vol("old"))).unwrap().changed());
    let refused = [
        pool.ensure_volume(&VolumeSpec::new(vol("other"), mib(1))).map(drop),
        pool.remove_volume(&vol("old")).map(drop),
        live(&lab).extend_thin_pool(&id(), Some(mib(8)), None).map(drop),
    ];
    for answer in refused {
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{}", error.report());
        assert!(error.remedy().unwrap().contains("clear-needs-check-flag"), "{error:?}");
    }
    assert!(pool.unpublish(&Source::Volume(vol("old"))).unwrap().changed());
    let log = lab.dm.log();
    assert!(log[told..].iter().all(|line| !line.contains("create_thin")), "{:?}", &log[told..]);
}

#[test]
fn the_health_of_a_pool_is_the_worst_of_what_is_wrong_and_names_all_of_it() {
    let lab = Lab::new(&[64, 64]);
    let spec = Lab::spec(&["sda", "sdb"]).with_parameter("mode", "thin");
    let _ = live(&lab).ensure_pool(&spec.with_parameter("data-size", "4MiB")).unwrap();
    let pool = live(&lab).open_pool(&id()).unwrap();
    let disk = lab.disks.of_kernel();
    let access = DeviceAccess::Direct(OpenMode::ReadWrite);
    let io = disk.open("/dev/sdb".as_ref(), access).unwrap();
    io.write_at(4096, &[0; 512]).unwrap();
    io.flush().unwrap();
    drop(io);
    let degraded = pool.info().unwrap().health;
    let Health::Degraded(found) = &degraded else { panic!("{degraded}") };
    lab.dm.set_needs_check(&pool_device(&lab)).unwrap();
    let failed = pool.info().unwrap().health;
    let Health::Failed(why) = &failed else { panic!("{failed}") };
    assert!(why.contains(found) && why.contains("must be checked"), "{why}");
}

#[test]
fn what_an_older_text_does_not_know_is_not_said_to_be_unpublished() {
    for mode in ["thick", "thin"] {
        let lab = Lab::new(&[64]);
        let spec = Lab::spec(&["sda"]).with_parameter("mode", mode);
        let _ = live(&lab).ensure_pool(&spec).unwrap();
        let pool = live(&lab).open_pool(&id()).unwrap();
        let key = Source::Volume(vol("new"));
        assert!(!pool.unpublish(&key).unwrap().changed());
        let _ = pool.ensure_volume(&VolumeSpec::new(vol("new"), mib(4))).unwrap();
        let group = lab.group();
        let volume = group.logical("new").unwrap().id.to_plain();
        lab.change("vg", |group| {
            group.logical_volumes.retain(|lv| lv.name != "new");
            for segment in group.logical_volumes.iter_mut().flat_map(|lv| &mut lv.segments) {
                if let SegmentKind::ThinPool(pool) = &mut segment.kind {
                    pool.transaction_id -= 1;
                    pool.messages.clear();
                }
            }
        });
        // A thin pool counts what was made in it; of thick volumes only their devices are known.
        assert_eq!(pool.unpublish(&key).is_err(), mode == "thin");
        let device = DmId::name("vg-new");
        let uuid = format!("LVM-{}{volume}", group.id.to_plain());
        let _ = lab.dm.create("vg-new", &uuid).unwrap();
        let disk = lab.disks.number_of("/dev/sda".as_ref()).unwrap();
        let table = format!("0 8192 linear {disk} 20480").parse().unwrap();
        let _ = lab.dm.load(&device, &table, false).unwrap();
        lab.dm.resume(&device, SuspendFlags::QUICK, Udev::NO_UDEV).unwrap();
        let error = pool.unpublish(&key).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{mode}: {}", error.report());
        assert!(lab.dm.info(&device).unwrap().is_some());
    }
}
