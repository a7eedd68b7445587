//! What is in the way, and how it is named.

use std::path::Path;
use std::sync::{Arc, Mutex};

use open_local_core::host::{DeviceAccess, Invocation, Output, ProgramRunner};
use open_local_core::{DeviceNumber, ErrorKind, Sectors};
use open_local_lvm::activate::names::Layer;
use open_local_lvm::activate::{ActivateOptions, Activator, Goal, PoolCheck, UdevMode};
use open_local_lvm::dm::{DeviceMapper, DmId, SuspendFlags, Udev};
use open_local_lvm::format::group::{Area, SegmentKind, status};

use super::lab::{ALL, Lab, goals};

/// A device of somebody else with a table of one sector.
fn foreign(lab: &Lab, name: &str, uuid: &str) {
    lab.dm.create(name, uuid).unwrap();
    let id = DmId::name(name);
    lab.dm.load(&id, &"0 1 zero".parse().unwrap(), false).unwrap();
    lab.dm.resume(&id, SuspendFlags::QUICK, Udev::NO_UDEV).unwrap();
}

#[test]
fn a_name_that_somebody_else_has_is_a_conflict_and_stays() {
    for uuid in ["", "CRYPT-LUKS2-abc"] {
        let lab = Lab::new();
        foreign(&lab, "vg-t1", uuid);
        let error = lab.activator().activate(&lab.group, &lab.pvs, &goals(&["t1"])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
        assert!(error.remedy().unwrap().contains("vg-t1"));
        assert!(uuid.is_empty() || error.message().contains(uuid), "{error}");
        assert_eq!(lab.names(), ["vg-t1"], "something was made before it was seen");
        lab.activator().deactivate_all(&lab.group).unwrap();
        assert_eq!(lab.names(), ["vg-t1"], "somebody else's was removed");
    }
}

#[test]
fn a_device_that_maps_elsewhere_is_not_given_another_table() {
    let lab = Lab::new();
    let activator = lab.activator();
    activator.activate(&lab.group, &lab.pvs, &goals(&["ro"])).unwrap();
    let mut group = lab.group.clone();
    let SegmentKind::Striped(striped) = &mut group.logical_mut("ro").unwrap().segments[0].kind
    else {
        panic!()
    };
    striped.areas[0] =
        Area::Physical { pv: "pv1".to_owned(), start: open_local_core::Extents::new(200) };
    let error = activator.activate(&group, &lab.pvs, &goals(&["ro"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    activator.deactivate(&group, &["ro"]).unwrap();
    activator.activate(&group, &lab.pvs, &goals(&["ro"])).unwrap();
}

#[test]
fn a_device_in_use_is_busy_and_named_with_who_uses_it() {
    let lab = Lab::new();
    let activator = lab.activator();
    activator.activate(&lab.group, &lab.pvs, &goals(&ALL)).unwrap();
    let number = lab.dm.number(&DmId::name("vg-t1")).unwrap();
    let open = lab.dm.open_number(number, DeviceAccess::Look).unwrap();
    lab.files.add_folder("/proc/self").unwrap();
    let mounts = format!("30 1 {number} / /data rw - ext4 /dev/vg/t1 rw\n");
    lab.files.add_file("/proc/self/mountinfo", mounts.as_bytes()).unwrap();
    let before = lab.shown();
    for error in [
        activator.deactivate(&lab.group, &["t1"]).unwrap_err(),
        activator.deactivate_all(&lab.group).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
        assert!(error.to_string().contains("vg-t1"), "{error}");
        assert!(error.message().contains("the mount at /data"), "{error}");
    }
    assert_eq!(lab.shown(), before, "something was removed");
    drop(open);
    activator.deactivate_all(&lab.group).unwrap();
}

#[test]
fn pools_that_are_damaged_or_disagree_are_refused_and_leave_nothing() {
    let lab = Lab::new();
    let text = |from: &str| {
        let mut group = lab.group.clone();
        let SegmentKind::ThinPool(pool) = &mut group.logical_mut("pool").unwrap().segments[0].kind
        else {
            panic!()
        };
        pool.transaction_id = if from == "older" { 1 } else { 4 };
        group
    };
    for which in ["older", "newer"] {
        let group = text(which);
        let error = lab.activator().activate(&group, &lab.pvs, &goals(&["t1"])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert!(error.message().contains("transaction 2"), "{error}");
        assert_eq!((lab.names(), lab.dev()), (vec![], vec![]));
    }
    lab.activator().activate(&lab.group, &lab.pvs, &goals(&["t1"])).unwrap();
    lab.dm.set_needs_check(&lab.id("pool", Layer::ThinPool)).unwrap();
    let error = lab.activator().activate(&lab.group, &lab.pvs, &goals(&["x1"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert!(error.remedy().unwrap().contains("--clear-needs-check-flag"), "{error}");
    assert!(!lab.names().contains(&"vg-x1".to_owned()));
    // What runs may be taken down, so that it can be repaired.
    lab.activator().deactivate_all(&lab.group).unwrap();
    assert_eq!(lab.names(), Vec::<String>::new());
}

#[test]
fn a_volume_its_pool_has_not_heard_of_waits_for_the_change_to_be_finished() {
    let lab = Lab::blank();
    let pool = lab.id("pool", Layer::ThinPool);
    let young = super::lab::before_first_thin();
    lab.activator().activate(&young, &lab.pvs, &[Goal::PoolBelow("pool")]).unwrap();
    for message in ["create_thin 1", "set_transaction_id 0 1"] {
        lab.dm.message(&pool, Sectors::new(0), message).unwrap();
    }
    let done = lab.activator().activate(&lab.group, &lab.pvs, &goals(&["t1"])).unwrap();
    assert!(done.warnings.iter().any(|warning| warning.contains("cut off")), "{done:?}");
    let error = lab.activator().activate(&lab.group, &lab.pvs, &goals(&["s1"])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert!(error.message().contains("not been told"), "{error}");
    for message in ["create_snap 2 1", "set_transaction_id 1 2"] {
        lab.dm.message(&pool, Sectors::new(0), message).unwrap();
    }
    lab.activator().activate(&lab.group, &lab.pvs, &goals(&["s1"])).unwrap();
}

#[test]
fn groups_that_others_may_use_are_refused() {
    let lab = Lab::new();
    let refused = |change: fn(&mut open_local_lvm::format::group::VolumeGroup)| {
        let mut group = lab.group.clone();
        change(&mut group);
        lab.activator().activate(&group, &lab.pvs, &goals(&["str"])).unwrap_err()
    };
    for error in [
        refused(|group| group.status.add(status::EXPORTED)),
        refused(|group| group.lock_type = Some("sanlock".to_owned())),
        refused(|group| group.system_id = Some("other".to_owned())),
    ] {
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert!(error.remedy().is_some());
    }
    assert_eq!(lab.names(), Vec::<String>::new());
}

#[test]
fn a_node_that_is_somebody_elses_is_left_and_named() {
    let lab = Lab::new();
    lab.files.add_device("/dev/mapper/vg-str", DeviceNumber::new(8, 0)).unwrap();
    lab.files.add_device("/dev/mapper/vg-ro", DeviceNumber::new(254, 77)).unwrap();
    let activator = lab.activator();
    let done = activator.activate(&lab.group, &lab.pvs, &goals(&["str", "ro"])).unwrap();
    assert_eq!(done.warnings.len(), 1, "{:?}", done.warnings);
    assert!(done.warnings[0].contains("/dev/mapper/vg-str is somebody else's"));
    assert_eq!(done.devices[0].node, Path::new("/dev/dm-0"));
    let dev = lab.dev();
    assert!(dev.contains(&"/dev/mapper/vg-ro -> vg-ro".to_owned()), "{dev:?}");
    let gone = activator.deactivate_all(&lab.group).unwrap();
    assert_eq!(gone.warnings.len(), 1, "{:?}", gone.warnings);
    // Also where nothing of the group is active, and what a former device left goes.
    lab.files.add_device("/dev/mapper/vg-ro", DeviceNumber::new(254, 77)).unwrap();
    assert_eq!(activator.deactivate(&lab.group, &["str", "ro"]).unwrap().warnings.len(), 1);
    assert_eq!(lab.host.files.list(Path::new("/dev/mapper")).unwrap(), ["vg-str"]);
    let node = lab.host.files.stat(Path::new("/dev/mapper/vg-str")).unwrap();
    assert_eq!(node.stands_for, Some(DeviceNumber::new(8, 0)));
}

#[test]
fn minor_numbers_above_255_are_numbers_like_others() {
    let lab = Lab::new();
    for number in 0..300 {
        lab.dm.create(&format!("other-{number}x"), "").unwrap();
    }
    let done = lab.activator().activate(&lab.group, &lab.pvs, &goals(&["t1"])).unwrap();
    assert_eq!(done.devices[0].node, Path::new("/dev/dm-303"));
    assert!(lab.dev().contains(&"/dev/mapper/vg-t1 -> vg-t1".to_owned()));
}

/// A `thin_check` that answers with this exit code, and what it was called with.
#[derive(Debug)]
struct ThinCheck(i32, Mutex<Vec<Invocation>>);

impl ProgramRunner for ThinCheck {
    fn run(&self, invocation: &Invocation) -> open_local_core::Result<Output> {
        self.1.lock().unwrap().push(invocation.clone());
        let mut output = Output::default();
        output.code = Some(self.0);
        output.stderr = b"bad checksum in superblock".to_vec();
        Ok(output)
    }
}

#[test]
fn a_pool_is_checked_before_it_is_used_and_one_that_fails_leaves_nothing() {
    for (code, good) in [(0, true), (1, false)] {
        let lab = Lab::new();
        lab.files.add_folder("/usr/sbin").unwrap();
        lab.files.add_file("/usr/sbin/thin_check", b"").unwrap();
        let program = Arc::new(ThinCheck(code, Mutex::new(Vec::new())));
        let mut host = lab.host.clone();
        host.programs = program.clone();
        let options = ActivateOptions::new(UdevMode::Absent).with_pool_check(PoolCheck::as_lvm2());
        let activator = Activator::new(host, Arc::new(lab.dm.clone()), options);
        let done = activator.activate(&lab.group, &lab.pvs, &goals(&["t1"]));
        let calls = program.1.lock().unwrap().clone();
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].arguments, ["-q", "--clear-needs-check-flag", "/dev/dm-0"]);
        if good {
            activator.activate(&lab.group, &lab.pvs, &goals(&["x1"])).unwrap();
            assert_eq!(program.1.lock().unwrap().len(), 1, "an active pool is not checked");
            continue;
        }
        let error = done.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert!(error.message().contains("bad checksum"), "{error}");
        assert_eq!((lab.names(), lab.dev()), (vec![], vec![]));
    }
}
