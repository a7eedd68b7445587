//! What no caller and no device should give, and what comes of it.

use open_local_core::host::Files;
use open_local_core::sim::LoggedDisks;
use open_local_core::{Bytes, ErrorKind};
use open_local_lvm::exec::PvOptions;
use open_local_lvm::format::group::VolumeGroup;
use open_local_lvm::format::text::Entry;
use std::path::Path;
use std::time::Duration;

use crate::lab::{Lab, NAME, group, id, path, tagged};

#[test]
fn names_that_differ_only_by_case_are_two_groups() {
    let lab = Lab::blank(2);
    lab.make_pvs();
    let session = lab.session();
    let pvs = session.physical_volumes().unwrap();
    let upper = NAME.to_uppercase();
    session.create_group(&group(&pvs[..1], 1), "create").unwrap();
    let mut other = group(&pvs[1..], 1);
    other.id = id(2);
    other.name.clone_from(&upper);
    session.create_group(&other, "create").unwrap();
    assert_eq!(session.groups().unwrap(), [upper.as_str(), NAME]);
    // Neither lock keeps the other out.
    let locked = session.lock(NAME).unwrap();
    session.change(&upper, "tag", |old| Ok(tagged(old, "x"))).unwrap();
    assert!(locked.group().tags.is_empty());
    locked.release();
    assert_eq!(session.group(&upper).unwrap().metadata.group.tags, ["x"]);
    assert!(session.group(NAME).unwrap().metadata.group.tags.is_empty());
    // Volumes of a group too.
    session
        .change(NAME, "add", |old| {
            let mut new = old.clone();
            let mut twin = crate::lab::volume(1);
            twin.name = "LV0".to_owned();
            new.logical_volumes.push(twin);
            Ok(new)
        })
        .unwrap();
    let read = lab.read();
    assert!(read.logical("lv0").is_some() && read.logical("LV0").is_some());
}

#[test]
fn a_text_of_16_mib_is_written_and_read() {
    let disks = LoggedDisks::new();
    disks.add(path(0), Bytes::new(64 << 20), Bytes::new(512));
    let lab = Lab::on(disks);
    let session = lab.session();
    let options = PvOptions::default().with_metadata_size(Bytes::new(40 << 20));
    session.create_pv(&path(0), &options).unwrap();
    session.create_group(&group(&session.physical_volumes().unwrap(), 2), "create").unwrap();
    let grow = |old: &VolumeGroup, length: usize| {
        let mut new = old.clone();
        new.unknown.push(Entry::value("of_a_later_version", "x".repeat(length)));
        Ok(new)
    };
    assert!(session.change(NAME, "grow", |old| grow(old, 16 << 20)).unwrap().changed);
    session.change(NAME, "tag", |old| Ok(tagged(old, "x"))).unwrap();
    let read = lab.read();
    assert_eq!((read.tags.len(), read.seqno), (1, 3));
    assert!(read.unknown == grow(&group(&[], 0), 16 << 20).unwrap().unknown);
    // So much more is more than the area holds: nothing is written.
    lab.disks.record();
    let error = session.change(NAME, "grow", |old| grow(old, 5 << 20)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfSpace);
    assert!(lab.disks.log().is_empty());
}

#[test]
fn a_lock_that_is_held_beyond_the_deadline_is_an_error_and_nothing_is_written() {
    let mut lab = Lab::with_group(1, 1);
    lab.settings.lock_wait = Duration::from_secs(5);
    let session = lab.session();
    lab.disks.record();
    let file = "/run/lock/lvm/V_vg";
    let held = lab.files.try_lock(Path::new(file)).unwrap().unwrap();
    let start = lab.host.clock.monotonic();
    let error = session.change(NAME, "tag", |old| Ok(tagged(old, "x"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Busy);
    assert!(error.to_string().contains(file), "{error}");
    assert_eq!(lab.host.clock.monotonic() - start, Duration::from_secs(5));
    assert!(lab.disks.log().is_empty());
    drop(held);
    session.change(NAME, "tag", |old| Ok(tagged(old, "x"))).unwrap();
}

#[test]
fn words_that_lvm2_would_not_read_are_refused_before_anything_is_written() {
    let lab = Lab::with_group(1, 2);
    let session = lab.session();
    lab.disks.record();
    type Spoil = fn(&mut VolumeGroup);
    let cases: [(&str, Spoil); 10] = [
        ("more volumes than the group allows", |g| g.max_lv = 1),
        ("a tag with a blank", |g| g.tags.push("a b".to_owned())),
        ("a tag with a quote", |g| g.logical_volumes[0].tags.push("\"".to_owned())),
        ("a tag of 1024 characters", |g| g.tags.push("t".repeat(1024))),
        ("a name of 128 characters", |g| g.logical_volumes[0].name = "n".repeat(128)),
        ("a reserved name", |g| g.logical_volumes[0].name = "x_tmeta".to_owned()),
        ("a name with a slash", |g| g.logical_volumes[0].name = "a/b".to_owned()),
        ("one name twice", |g| g.logical_volumes[0].name = "lv1".to_owned()),
        ("extents beyond the end", |g| {
            g.logical_volumes[0].segments[0].extent_count = open_local_core::Extents::new(1000);
        }),
        ("no segment", |g| g.logical_volumes[0].segments.clear()),
    ];
    for (what, spoil) in cases {
        let spoiled = |old: &VolumeGroup| {
            let mut new = old.clone();
            spoil(&mut new);
            Ok(new)
        };
        let error = session.change(NAME, "spoil", spoiled).unwrap_err();
        let known = [ErrorKind::Refused, ErrorKind::Corrupt, ErrorKind::InvalidArgument];
        assert!(known.contains(&error.kind()), "{what}: {error}");
        assert!(lab.disks.log().is_empty(), "{what}");
    }
    let blank = Lab::blank(1);
    blank.make_pvs();
    let session = blank.session();
    let mut long = group(&session.physical_volumes().unwrap(), 0);
    long.name = "n".repeat(128);
    assert!(session.create_group(&long, "create").is_err());
    assert!(session.groups().unwrap().is_empty());
}
