//! Thin pools that get more room: by the call that makes them, with larger sizes.

use std::sync::Arc;

use open_local_core::host::{StopAt, Unchecked};
use open_local_core::{Backend, ErrorKind, Health, PoolSpec, PublishSpec, VolumeId, VolumeSpec};
use open_local_lvm::dm::{DeviceMapper, DmId, SuspendFlags, Udev};
use open_local_lvm::pool::LvmBackend;

use crate::lab::{Lab, id, mib};

fn vol(name: &str) -> VolumeId {
    name.parse().unwrap()
}

fn live(lab: &Lab) -> LvmBackend {
    lab.live(Arc::new(Unchecked))
}

fn plain() -> PoolSpec {
    Lab::spec(&["sda"]).with_parameter("mode", "thin").with_parameter("extent-size", "64KiB")
}

fn sized(data: &str, metadata: &str) -> PoolSpec {
    plain().with_parameter("data-size", data).with_parameter("metadata-size", metadata)
}

fn made(spec: &PoolSpec) -> Lab {
    let lab = Lab::new(&[64]);
    let _ = live(&lab).ensure_pool(spec).unwrap();
    lab
}

/// Sizes of data and metadata in the group, in MiB.
fn sizes(lab: &Lab) -> (u64, u64) {
    let group = lab.group();
    let size = |name: &str| group.size_of(group.logical(name).unwrap().extents().unwrap()).unwrap();
    (size("pool_tdata").get() >> 20, size("pool_tmeta").get() >> 20)
}

/// The device of the thin pool that volumes use.
fn layer(lab: &Lab) -> DmId {
    let pool = lab.group().logical("pool").unwrap().id.to_plain();
    DmId::uuid(format!("LVM-{}{pool}-tpool", lab.group().id.to_plain()))
}

#[test]
fn the_call_that_makes_a_pool_makes_it_larger() {
    let lab = made(&sized("4MiB", "2MiB"));
    let pool = live(&lab).open_pool(&id()).unwrap();
    let _ = pool.ensure_volume(&VolumeSpec::new(vol("old"), mib(1))).unwrap();
    let _ = pool.publish(&PublishSpec::new(vol("old"))).unwrap();
    for (data, metadata, wanted) in
        [("8MiB", "2MiB", (8, 2)), ("8MiB", "3MiB", (8, 3)), ("12MiB", "4MiB", (12, 4))]
    {
        let spec = sized(data, metadata);
        assert!(live(&lab).ensure_pool(&spec).unwrap().changed(), "{wanted:?}");
        assert_eq!(sizes(&lab), wanted);
        assert!(!live(&lab).ensure_pool(&spec).unwrap().changed(), "{wanted:?}");
    }
    assert_eq!(live(&lab).open_pool(&id()).unwrap().info().unwrap().capacity.available, mib(11));
    // Less than it was asked to have, or nothing said: that is another pool.
    for other in [sized("8MiB", "4MiB"), sized("12MiB", "3MiB"), plain()] {
        let error = live(&lab).ensure_pool(&other).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{}", error.report());
    }
    // More than there is changes nothing, and nothing is known of it.
    let error = live(&lab).ensure_pool(&sized("1GiB", "4MiB")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfSpace, "{}", error.report());
    assert!(!live(&lab).ensure_pool(&sized("12MiB", "4MiB")).unwrap().changed());
    assert!(lab.leaks().is_empty(), "{:?}", lab.leaks());
}

#[test]
fn a_pool_of_all_the_room_is_not_made_smaller_by_naming_a_size() {
    let lab = made(&plain());
    let (data, _) = sizes(&lab);
    let error = live(&lab).ensure_pool(&plain().with_parameter("data-size", "4MiB")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{}", error.report());
    assert!(error.message().contains("data-size"), "{error}");
    assert_eq!(sizes(&lab).0, data);
    assert!(!live(&lab).ensure_pool(&plain()).unwrap().changed());
}

#[test]
fn growth_that_is_killed_is_finished_by_the_same_call() {
    let start = made(&sized("4MiB", "2MiB"));
    let larger = sized("8MiB", "3MiB");
    let mut cuts = 0;
    for step in 1..60 {
        let lab = start.fork(step);
        let stop = Arc::new(StopAt::new(step));
        let answer = lab.live(stop.clone()).ensure_pool(&larger);
        if !stop.reached() {
            assert!(answer.unwrap().changed());
            break;
        }
        assert!(answer.is_err(), "step {step}");
        cuts += 1;
        let _ = live(&lab).ensure_pool(&larger).unwrap();
        assert_eq!(sizes(&lab), (8, 3), "step {step}");
        assert!(!live(&lab).ensure_pool(&larger).unwrap().changed(), "step {step}");
        assert!(lab.leaks().is_empty(), "step {step}: {:?}", lab.leaks());
    }
    assert!((3..60).contains(&cuts), "{cuts} cuts");
}

#[test]
fn a_pool_that_is_read_only_is_told_nothing() {
    let lab = made(&sized("4MiB", "2MiB"));
    let pool = live(&lab).open_pool(&id()).unwrap();
    let _ = pool.ensure_volume(&VolumeSpec::new(vol("old"), mib(1))).unwrap();
    let _ = pool.publish(&PublishSpec::new(vol("old"))).unwrap();
    // Killed before the pool was told of a volume that the group has.
    let spec = VolumeSpec::new(vol("new"), mib(1));
    let steps = (1..60).find(|step| {
        let other = lab.fork(*step);
        let killed = other.live(Arc::new(StopAt::new(*step))).open_pool(&id());
        let _ = killed.and_then(|pool| pool.ensure_volume(&spec).map(drop));
        other.group().logical("new").is_some()
    });
    let stop = Arc::new(StopAt::new(steps.unwrap()));
    let killed = lab.live(stop).open_pool(&id()).unwrap().ensure_volume(&spec);
    assert!(killed.is_err() && lab.group().logical("new").is_some());
    let table = lab.dm.table(&layer(&lab)).unwrap().to_string();
    let table = table.trim_end().replace("1 error_if_no_space", "2 read_only error_if_no_space");
    assert!(table.contains("read_only"), "{table}");
    lab.dm.load(&layer(&lab), &table.parse().unwrap(), false).unwrap();
    lab.dm.resume(&layer(&lab), SuspendFlags::QUICK, Udev::NO_UDEV).unwrap();
    let told = lab.dm.log().len();
    let pool = live(&lab).open_pool(&id()).unwrap();
    let health = pool.info().unwrap().health;
    assert!(matches!(&health, Health::Failed(why) if why.contains("read-only")), "{health}");
    for answer in [
        pool.ensure_volume(&VolumeSpec::new(vol("other"), mib(1))).map(drop),
        pool.remove_volume(&vol("old")).map(drop),
        live(&lab).ensure_pool(&sized("8MiB", "2MiB")).map(drop),
        live(&lab).ensure_pool(&sized("4MiB", "3MiB")).map(drop),
    ] {
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{}", error.report());
        assert!(error.remedy().unwrap().contains("lvconvert --repair vg/pool"), "{error:?}");
    }
    let log = lab.dm.log();
    let sent: Vec<_> = log[told..].iter().filter(|line| line.starts_with("message")).collect();
    assert!(sent.is_empty(), "{sent:?}");
}
