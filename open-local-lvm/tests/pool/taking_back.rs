//! Pools whose making fails or is killed: nothing of ours stays in a group of others that was not
//! there, and what others made is never changed to fit.

use std::sync::Arc;
use std::time::Duration;

use open_local_core::host::{StopAt, Unchecked};
use open_local_core::sim::sim_host;
use open_local_core::{Backend, ErrorKind, FullPolicy, Health, PoolSpec};
use open_local_lvm::activate::{ActivateOptions, UdevMode};
use open_local_lvm::dm::sim::SimUdev;
use open_local_lvm::dm::{DeviceMapper, DmId};
use open_local_lvm::exec::{PvOptions, Session};
use open_local_lvm::format::group::VolumeGroup;
use open_local_lvm::pool::LvmBackend;

use crate::adopting::{TEXT, foreign, order};
use crate::lab::{Lab, id, settings};

const EIO: i32 = 5;

fn live(lab: &Lab) -> LvmBackend {
    lab.live(Arc::new(Unchecked))
}

/// Nothing of ours is in the group of others, and the host knows no pool.
fn is_untouched(lab: &Lab, context: &str) {
    let group = lab.group();
    assert!(group.tags.is_empty(), "{context}: {:?}", group.tags);
    for lv in &group.logical_volumes {
        assert!(lv.tags.is_empty(), "{context}: {} has {:?}", lv.name, lv.tags);
    }
    assert_eq!(names(&group), ["pool", "theirs", "lvol0_pmspare", "pool_tmeta", "pool_tdata"]);
    assert!(live(lab).list_pools().unwrap().is_empty(), "{context}");
}

fn names(group: &VolumeGroup) -> Vec<&str> {
    group.logical_volumes.iter().map(|lv| lv.name.as_str()).collect()
}

#[test]
fn an_adoption_that_fails_at_the_kernel_leaves_no_mark() {
    // The layers of the pool, its message, the count.
    for (n, part) in [(1, "load"), (3, "load"), (1, "message"), (2, "message")] {
        let lab = foreign(TEXT);
        lab.dm.fail_at(n, part, EIO);
        let error = live(&lab).ensure_pool(&order()).unwrap_err();
        lab.dm.fail_at(0, "", 0);
        let context = format!("{part} {n}: {}", error.report());
        is_untouched(&lab, &context);
        assert!(live(&lab).ensure_pool(&order()).unwrap().changed(), "{context}");
        assert!(live(&lab).remove_pool(&id()).unwrap().changed(), "{context}");
        is_untouched(&lab, &context);
    }
}

#[test]
fn an_adoption_that_fails_after_the_pool_is_marked_takes_its_marks_back() {
    let lab = foreign(TEXT);
    lab.dm.set_udev(SimUdev::Answers);
    let backend = || {
        let host = sim_host(lab.files.clone(), 77);
        let options = ActivateOptions::new(UdevMode::Wait(Duration::from_secs(60)));
        LvmBackend::new(host, Arc::new(lab.disks.clone()), settings())
            .with_device_mapper(Arc::new(lab.dm.clone()), options)
    };
    lab.dm.fail_at(1, "create open-local-udev-test", EIO);
    let error = backend().ensure_pool(&order()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{}", error.report());
    lab.dm.fail_at(0, "", 0);
    is_untouched(&lab, "udev");
    // Marks that were there before are no business of the call that fails.
    lab.change("vg", |group| {
        group.tags.push("open-local/group".to_owned());
        let marks = ["open-local/pool=vg", "theirs"].map(str::to_owned);
        group.logical_mut("pool").unwrap().tags.extend(marks);
    });
    let before = lab.group();
    lab.dm.fail_at(1, "create open-local-udev-test", EIO);
    assert!(backend().ensure_pool(&order()).is_err());
    lab.dm.fail_at(0, "", 0);
    assert!(lab.group().is_same_but_for_seqno(&before));
    assert!(backend().list_pools().unwrap().is_empty());
}

#[test]
fn a_thin_pool_whose_making_fails_in_a_group_of_others_is_not_there() {
    let mine = order().with_parameter("thin-pool", "mine").with_parameter("data-size", "8MiB");
    let too_large = order().with_parameter("thin-pool", "mine").with_parameter("data-size", "1GiB");
    let lab = foreign(TEXT);
    let error = live(&lab).ensure_pool(&too_large).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfSpace, "{}", error.report());
    is_untouched(&lab, "no room");
    for part in ["create", "load", "resume"] {
        for n in 1..=3 {
            let lab = lab.fork(n);
            lab.dm.fail_at(n, part, EIO);
            let error = live(&lab).ensure_pool(&mine).unwrap_err();
            lab.dm.fail_at(0, "", 0);
            let context = format!("{part} {n}: {}", error.report());
            is_untouched(&lab, &context);
            assert_eq!(lab.dm.list().unwrap().len(), 0, "{context}");
            assert!(live(&lab).ensure_pool(&mine).unwrap().changed(), "{context}");
        }
    }
}

#[test]
fn a_pool_whose_making_fails_on_blank_disks_leaves_them_blank() {
    let lab = Lab::new(&[64, 64]);
    let paths = ["/dev/sda".into(), "/dev/sdb".into()];
    let session = || {
        let (host, disks) = (lab.host(Arc::new(Unchecked)), Arc::new(lab.disks.clone()));
        Session::open(&host, disks, settings(), &paths).unwrap()
    };
    // One of them was a physical volume before.
    session().create_pv(&paths[1], &PvOptions::default()).unwrap();
    let spec = Lab::spec(&["sda", "sdb"]).with_parameter("mode", "thin");
    lab.dm.fail_at(2, "load", EIO);
    let error = live(&lab).ensure_pool(&spec).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{}", error.report());
    lab.dm.fail_at(0, "", 0);
    assert!(lab.groups().is_empty() && live(&lab).list_pools().unwrap().is_empty());
    let left = session().physical_volumes().unwrap();
    assert_eq!(left.iter().map(|view| &view.path).collect::<Vec<_>>(), [&paths[1]]);
    assert!(live(&lab).ensure_pool(&spec).unwrap().changed());
}

#[test]
fn an_adoption_that_is_killed_is_finished_by_a_repeat_and_undone_by_a_removal() {
    let start = foreign(TEXT);
    let mut cuts = 0;
    for step in 1..40 {
        let lab = start.fork(step);
        let stop = Arc::new(StopAt::new(step));
        let answer = lab.live(stop.clone()).ensure_pool(&order());
        if !stop.reached() {
            assert!(answer.unwrap().changed());
            break;
        }
        assert_eq!(answer.unwrap_err().kind(), ErrorKind::Indeterminate, "step {step}");
        cuts += 1;
        let other = lab.fork(step);
        let _ = live(&other).remove_pool(&id()).unwrap();
        is_untouched(&other, &format!("step {step}"));
        let _ = live(&lab).ensure_pool(&order()).unwrap();
        let pool = live(&lab).open_pool(&id()).unwrap();
        assert_eq!(pool.info().unwrap().health, Health::Healthy);
        assert!(live(&lab).remove_pool(&id()).unwrap().changed());
        is_untouched(&lab, &format!("step {step}, finished"));
    }
    assert!((5..40).contains(&cuts), "{cuts} cuts");
}

#[test]
fn a_thin_pool_that_is_not_as_asked_for_is_refused_with_the_way_out() {
    let lab = foreign(TEXT);
    // It has 4 MiB of data and 2 MiB of metadata, chunks of 64 KiB, and waits when it is full.
    let refused = [
        ("when-full", "error", ["is queue, not error", "--errorwhenfull y vg/pool"]),
        ("data-size", "5MiB", ["4MiB for data", "lvextend -L 5242880b vg/pool"]),
        ("metadata-size", "3MiB", ["2MiB for metadata", "--poolmetadatasize 3145728b vg/pool"]),
        ("chunk", "128KiB", ["64KiB, not 128KiB", "chunk out"]),
        ("extent-size", "4MiB", ["64KiB, not 4MiB", "extent-size out"]),
    ];
    for (key, value, [why, remedy]) in refused {
        let error = live(&lab).ensure_pool(&order().with_parameter(key, value)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{key}: {}", error.report());
        assert!(error.message().contains(why), "{key}: {error}");
        assert!(error.remedy().unwrap().contains(remedy), "{key}: {error:?}");
        is_untouched(&lab, key);
    }
    let fits = [("when-full", "queue"), ("data-size", "4MiB"), ("metadata-size", "1MiB")];
    let spec = fits.iter().fold(order(), |spec, (key, value)| spec.with_parameter(*key, *value));
    assert!(live(&lab).ensure_pool(&spec).unwrap().changed());
    assert!(!live(&lab).ensure_pool(&spec).unwrap().changed());
    let pool = live(&lab).open_pool(&id()).unwrap();
    assert_eq!(pool.thin().unwrap().thin_policy().unwrap().when_full, FullPolicy::Queue);
}

#[test]
fn an_adopted_thin_pool_is_let_go_of_in_whatever_state_it_is() {
    let lab = foreign(TEXT);
    let _ = live(&lab).ensure_pool(&order()).unwrap();
    let pool = lab.group().logical("pool").unwrap().id.to_plain();
    let device = DmId::uuid(format!("LVM-{}{pool}-tpool", lab.group().id.to_plain()));
    lab.dm.set_needs_check(&device).unwrap();
    lab.files.reboot();
    lab.dm.reboot();
    assert!(live(&lab).remove_pool(&id()).unwrap().changed());
    is_untouched(&lab, "needs a check");
}

#[test]
fn two_pools_that_began_in_one_place_never_have_it_both() {
    // The first is killed before its mark is there, and the second comes in between.
    let named = |name: &str| {
        PoolSpec::new(name.parse().unwrap())
            .with_parameter("devices", "/dev/sda")
            .with_parameter("group", "vg")
            .with_parameter("adopt", "yes")
    };
    for thin in [false, true] {
        let spec = |name: &str| match thin {
            true => named(name).with_parameter("mode", "thin"),
            false => named(name),
        };
        let lab = foreign(TEXT);
        let killed = lab.live(Arc::new(StopAt::new(2))).ensure_pool(&spec("first")).unwrap_err();
        assert_eq!(killed.kind(), ErrorKind::Indeterminate, "{}", killed.report());
        assert!(live(&lab).ensure_pool(&spec("second")).unwrap().changed());
        let before = lab.group();
        let error = live(&lab).ensure_pool(&spec("first")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{}", error.report());
        assert!(error.report().to_string().contains("pool second"), "{}", error.report());
        assert!(lab.group().is_same_but_for_seqno(&before));
        let _ = live(&lab).remove_pool(&spec("first").id).unwrap();
        assert!(live(&lab).remove_pool(&spec("second").id).unwrap().changed());
        is_untouched(&lab, if thin { "thin" } else { "thick" });
    }
}
