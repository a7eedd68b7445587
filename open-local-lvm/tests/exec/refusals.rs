//! What is not done, and that it says why.

use std::sync::Arc;
use std::time::Duration;

use open_local_core::host::{DeviceAccess, Devices, Files};
use open_local_core::{Error, ErrorKind};
use open_local_lvm::exec::{Session, Settings};
use open_local_lvm::format::group::{Area, SegmentKind, VolumeGroup};
use std::path::Path;

use crate::lab::{Lab, NAME, group, path, physical, pv_options, tagged};

fn tag(lab: &Lab) -> Result<(), Error> {
    lab.session().change(NAME, "tag", |old| Ok(tagged(old, "x"))).map(|_| ())
}

/// A group whose text was written as it is, past all rules: by a session that takes it for its own.
fn forged(change: impl Fn(&mut VolumeGroup)) -> Lab {
    let lab = Lab::with_group(2, 1);
    let mut group = lab.read();
    change(&mut group);
    let metadata = open_local_lvm::format::group::Metadata {
        group,
        provenance: open_local_lvm::format::group::Provenance::default(),
    };
    use open_local_lvm::format::text::{Style, print};
    let mut text = print(&metadata.to_tree(), Style::Raw).unwrap();
    text.push(0);
    for disk in 0..2 {
        let mut header = open_local_lvm::format::mda::MdaHeader::empty(4096, (1 << 20) - 4096);
        header.committed.offset = 4096;
        header.committed.size = u64::try_from(text.len()).unwrap();
        header.committed.checksum = open_local_lvm::format::crc::crc(&text);
        lab.disks.overwrite(path(disk), 8192, &text);
        lab.disks.overwrite(path(disk), 4096, &header.encode());
    }
    lab
}

#[test]
fn groups_of_others_are_refused_with_the_reason() {
    type Change = fn(&mut VolumeGroup);
    let cases: [(&str, Change); 7] = [
        ("shared", |group| group.lock_type = Some("sanlock".to_owned())),
        ("shared", |group| group.status.add("CLUSTERED")),
        ("exported", |group| group.status.add("EXPORTED")),
        ("foreign", |group| group.system_id = Some("somebody".to_owned())),
        ("missing-physical", |group| group.physical_volumes[1].status.add("MISSING")),
        ("unknown-status", |group| group.status.add("WONDERFUL")),
        ("converting", |group| group.logical_volumes[0].status.add("LOCKED")),
    ];
    for (word, change) in cases {
        let lab = forged(change);
        lab.disks.record();
        let error = tag(&lab).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{word}: {error}");
        assert!(error.to_string().contains(word), "{word}: {error}");
        assert!(error.remedy().is_some());
        assert!(lab.disks.log().is_empty(), "{word}");
        // It is read all the same, with the reason as data.
        let view = lab.session().group(NAME).unwrap();
        assert!(view.findings.iter().any(|f| f.kind.as_str() == word), "{:?}", view.findings);
    }
    let mut mine = forged(|group| group.system_id = Some("me".to_owned()));
    mine.settings.system_id = Some("me".to_owned());
    tag(&mine).unwrap();
}

#[test]
fn a_partial_group_and_a_copied_disk_are_refused() {
    let lab = Lab::with_group(2, 1);
    let half = lab.session_on(&[path(0)]);
    let error = half.change(NAME, "tag", |old| Ok(tagged(old, "x"))).unwrap_err();
    assert!(error.to_string().contains("absent-physical"), "{error}");
    let blank = Lab::blank(3);
    for disk in 0..2 {
        blank.disks.overwrite(path(disk), 0, &lab.disks.content(path(disk)));
    }
    blank.disks.overwrite(path(2), 0, &lab.disks.content(path(1)));
    let error = tag(&blank).unwrap_err();
    assert!(error.to_string().contains("duplicate-physical"), "{error}");
    // One device by two names is one device.
    let twice = lab.session_on(&[path(0), path(1), path(0)]);
    assert_eq!(twice.devices().count(), 2);
}

#[test]
fn a_version_that_breaks_a_rule_is_not_written() {
    let lab = Lab::with_group(1, 2);
    lab.disks.record();
    let overlap = |old: &VolumeGroup| {
        let mut new = old.clone();
        let SegmentKind::Striped(segment) = &mut new.logical_volumes[0].segments[0].kind else {
            panic!("a linear volume");
        };
        segment.areas[0] =
            Area::Physical { pv: "pv0".to_owned(), start: open_local_core::Extents::new(1) };
        Ok(new)
    };
    let error = lab.session().change(NAME, "x", overlap).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("overlap"), "{error}");
    let other = |old: &VolumeGroup| Ok(VolumeGroup { name: "other".to_owned(), ..old.clone() });
    let error = lab.session().change(NAME, "x", other).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let fewer = |old: &VolumeGroup| {
        let mut new = old.clone();
        new.physical_volumes.clear();
        new.logical_volumes.clear();
        Ok(new)
    };
    assert!(lab.session().change(NAME, "x", fewer).is_err());
    // What can't be written as it is meant: a value that reads back as another.
    let odd = |old: &VolumeGroup| {
        let mut new = old.clone();
        new.tags.push("a\0b".to_owned());
        Ok(new)
    };
    assert!(lab.session().change(NAME, "x", odd).is_err());
    assert!(lab.disks.log().is_empty());
}

#[test]
fn where_there_is_a_devices_file_only_volumes_are_changed() {
    let mut lab = Lab::with_group(2, 0);
    lab.settings.devices_file = Some("/etc/lvm/devices/system.devices".into());
    let session = lab.session();
    let view = session.physical_volumes().unwrap();
    let errors = [
        session.create_pv(&path(0), &pv_options(0)).unwrap_err(),
        session.remove_pv(&path(0)).unwrap_err(),
        session.create_group(&group(&view, 0), "x").unwrap_err(),
        session.remove_group(NAME, "x").unwrap_err(),
        session.rename_group(NAME, "other", "x").unwrap_err(),
        session.change_members(NAME, "x", |old| Ok(old.clone())).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert!(error.to_string().contains("system.devices"), "{error}");
    }
    tag(&lab).unwrap();
}

#[test]
fn a_group_that_is_locked_is_busy_after_the_deadline() {
    let lab = Lab::with_group(1, 1);
    let file = Path::new("/run/lock/lvm/V_vg");
    let held = lab.files.try_lock(file).unwrap().unwrap();
    let start = lab.host.clock.monotonic();
    for error in [
        tag(&lab).unwrap_err(),
        lab.session().group(NAME).unwrap_err(),
        lab.session().remove_group(NAME, "x").unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.to_string().contains("/run/lock/lvm/V_vg"), "{error}");
    }
    assert_eq!(lab.host.clock.monotonic() - start, lab.settings.lock_wait * 3);
    drop(held);
    tag(&lab).unwrap();
    assert_eq!(lab.settings.lock_wait, Duration::from_secs(30));
}

#[test]
fn a_container_without_the_hosts_locks_may_read_only() {
    let lab = Lab::with_group(1, 1);
    let own = "1 0 0:50 / / rw - overlay overlay rw\n";
    lab.files.add_file("/proc/self/mountinfo", own.as_bytes()).unwrap();
    let open = |settings: Settings| {
        Session::open(&lab.host, Arc::new(lab.disks.clone()), settings, &lab.disks.paths())
    };
    let error = open(Settings::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    let mut told = Settings::default();
    told.lock_folder_is_hosts = true;
    open(told).unwrap();
    let reader = Session::open_read_only(
        &lab.host,
        Arc::new(lab.disks.clone()),
        Settings::default(),
        &lab.disks.paths(),
    )
    .unwrap();
    assert_eq!(reader.group(NAME).unwrap().metadata.group.name, NAME);
    let error = reader.change(NAME, "x", |old| Ok(tagged(old, "x"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
}

#[test]
fn physical_volumes_of_a_group_are_not_taken_again() {
    let lab = Lab::with_group(2, 1);
    let session = lab.session();
    let view = session.physical_volumes().unwrap();
    let mut other = group(&view[..1], 0);
    other.name = "other".to_owned();
    other.id = crate::lab::id(2);
    let error = session.create_group(&other, "x").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("belongs to the group vg"), "{error}");
    let mut same_name = group(&view, 0);
    same_name.id = crate::lab::id(2);
    assert_eq!(session.create_group(&same_name, "x").unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(session.remove_pv(&path(0)).unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(session.create_pv(&path(0), &pv_options(0)).unwrap_err().kind(), ErrorKind::Refused);
    let _ = physical(&view[0], 0);
}

#[test]
fn garbage_is_no_physical_volume() {
    let lab = Lab::blank(3);
    lab.disks.overwrite(path(0), 512, b"LABELONE");
    lab.disks.overwrite(path(1), 0, &[0xa5; 1 << 20]);
    let session = lab.session();
    assert!(session.groups().unwrap().is_empty());
    assert!(session.physical_volumes().unwrap().is_empty());
    let error = session.create_pv(Path::new("/dev/other"), &pv_options(0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    lab.disks.add("/dev/small", open_local_core::Bytes::MIB, open_local_core::Bytes::new(512));
    let session = lab.session();
    let error = session.create_pv(Path::new("/dev/small"), &pv_options(0)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

#[test]
fn a_device_that_somebody_uses_joins_no_group() {
    let lab = Lab::blank(2);
    lab.make_pvs();
    let session = lab.session();
    let view = session.physical_volumes().unwrap();
    let claim = || lab.disks.open(&path(1), DeviceAccess::Claim).unwrap();
    // Another program has it, then another device is made of it.
    let folder = format!("/sys/dev/block/{}/holders", claim().number().unwrap());
    let refused = |why: &str| {
        lab.disks.record();
        let error = session.create_group(&group(&view, 0), "create").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy, "{why}: {error}");
        assert!(lab.disks.log().is_empty(), "{why}");
        error.report().to_string()
    };
    let held = claim();
    refused("claimed");
    drop(held);
    lab.files.add_folder(format!("{folder}/dm-7")).unwrap();
    assert!(refused("held").contains("dm-7"));
    // Nor does it join one that is there.
    session.create_group(&group(&view[..1], 0), "create").unwrap();
    let join = || session.change_members(NAME, "extend", |_| Ok(group(&view, 0)));
    lab.disks.record();
    assert_eq!(join().unwrap_err().kind(), ErrorKind::Busy);
    assert!(lab.disks.log().is_empty());
    lab.files.remove_dir(Path::new(&format!("{folder}/dm-7"))).unwrap();
    let held = claim();
    lab.disks.record();
    assert_eq!(join().unwrap_err().kind(), ErrorKind::Busy);
    assert!(lab.disks.log().is_empty());
    drop(held);
    join().unwrap();
}
