//! Devices that fail, lie or vanish in the middle of a change.

use open_local_core::ErrorKind;
use open_local_core::host::Files;
use open_local_core::sim::DiskEvent;
use open_local_lvm::exec::Choice;
use open_local_lvm::format::check::{FindingKind, Severity};
use std::path::Path;

use crate::lab::{Lab, NAME, path, same, tagged};

const EIO: i32 = 5;

fn count_writes(lab: &Lab) -> usize {
    lab.disks.record();
    let session = lab.session();
    session.change(NAME, "count", |old| Ok(tagged(old, "count"))).unwrap();
    let writes =
        |event: &&DiskEvent| matches!(event, DiskEvent::Write { disk, .. } if *disk == path(1));
    lab.disks.log().iter().filter(writes).count()
}

#[test]
fn an_error_before_the_new_version_counts_leaves_the_old_one() {
    let lab = Lab::with_group(2, 2);
    assert_eq!(count_writes(&lab), 3, "text, announcement, commit");
    let old = lab.read();
    for n in [1, 2] {
        let session = lab.session();
        lab.disks.fail_write(path(1), n, EIO);
        let error = session.change(NAME, "tag", |old| Ok(tagged(old, "x"))).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "write {n}: {error:?}");
        assert!(error.report().to_string().contains("/dev/sd1"), "{}", error.report());
        lab.disks.mend();
        let view = session.group(NAME).unwrap();
        assert_eq!(view.metadata.group, old);
        assert!(view.findings.is_empty(), "{:?}", view.findings);
    }
    // The text; the second flush is that of the header that lets it count.
    let session = lab.session();
    lab.disks.fail_flush(path(1), 1, EIO);
    let error = session.change(NAME, "tag", |old| Ok(tagged(old, "x"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error:?}");
    lab.disks.mend();
    assert_eq!(session.group(NAME).unwrap().metadata.group, old);
}

#[test]
fn a_disk_that_fails_for_good_does_not_keep_the_old_version_from_counting() {
    let lab = Lab::with_group(2, 1);
    let old = lab.read();
    let session = lab.session();
    // The announcement can't be taken back either.
    lab.disks.fail_writes_from(path(1), 2, EIO);
    let error = session.change(NAME, "tag", |old| Ok(tagged(old, "x"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    lab.disks.mend();
    assert_eq!(session.group(NAME).unwrap().metadata.group, old);
    session.change(NAME, "tag", |old| Ok(tagged(old, "x"))).unwrap();
    assert!(session.group(NAME).unwrap().findings.is_empty());
}

#[test]
fn a_commit_that_one_disk_misses_counts_and_says_so() {
    let lab = Lab::with_group(2, 1);
    let old = lab.read();
    type Fail = fn(&Lab);
    let fail: [(&str, Fail); 2] = [
        ("write", |lab| lab.disks.fail_writes_from(path(1), 3, EIO)),
        ("flush", |lab| lab.disks.fail_flush(path(1), 2, EIO)),
    ];
    for (round, (what, fail)) in fail.into_iter().enumerate() {
        let session = lab.session();
        fail(&lab);
        let done = session.change(NAME, "tag", |old| Ok(tagged(old, what))).unwrap();
        assert_eq!(done.degraded.len(), 1, "{what}");
        assert_eq!(done.degraded[0].device, path(1));
        lab.disks.mend();
        assert_eq!(lab.read().tags.len(), round + 1);
        let next = lab.session().change(NAME, "next", |old| {
            let mut new = old.clone();
            new.max_lv += 1;
            Ok(new)
        });
        assert!(next.unwrap().degraded.is_empty());
        assert!(session.group(NAME).unwrap().findings.is_empty());
    }
    assert_eq!(lab.read().seqno, old.seqno + 4);
}

#[test]
fn a_commit_that_no_disk_is_known_to_have_is_in_doubt() {
    let lab = Lab::with_group(2, 1);
    let old = lab.read();
    let session = lab.session();
    for index in 0..2 {
        lab.disks.fail_writes_from(path(index), 3, EIO);
    }
    let error = session.change(NAME, "tag", |old| Ok(tagged(old, "x"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Indeterminate);
    lab.disks.mend();
    assert_eq!(session.group(NAME).unwrap().metadata.group, old);
    session.change(NAME, "tag", |old| Ok(tagged(old, "x"))).unwrap();
}

#[test]
fn a_disk_that_loses_writes_is_found_by_reading_back() {
    let lab = Lab::with_group(2, 1);
    let session = lab.session();
    lab.disks.set_loses_writes(path(1), true);
    let done = session.change(NAME, "tag", |old| Ok(tagged(old, "x"))).unwrap();
    assert_eq!(done.degraded.len(), 1);
    assert!(done.degraded[0].why.contains("reads back"), "{}", done.degraded[0].why);
    lab.disks.mend();

    let lab = Lab::with_group(1, 1);
    let old = lab.read();
    lab.disks.set_loses_writes(path(0), true);
    let error = lab.session().change(NAME, "tag", |old| Ok(tagged(old, "x"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Indeterminate);
    assert_eq!(lab.read(), old);
}

#[test]
fn a_disk_that_vanishes_is_an_error_and_its_return_is_repaired() {
    let lab = Lab::with_group(2, 1);
    let session = lab.session();
    lab.disks.set_gone(path(1), true);
    let error = session.change(NAME, "tag", |old| Ok(tagged(old, "x"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "a partial group");
    assert!(error.report().to_string().contains("absent-physical"), "{}", error.report());
    lab.disks.set_gone(path(1), false);
    session.change(NAME, "tag", |old| Ok(tagged(old, "x"))).unwrap();

    // Gone between the announcement and the commit.
    let mut locked = session.lock(NAME).unwrap();
    let new = tagged(locked.group(), "y");
    let prepared = locked.prepare(&new, "tag").unwrap();
    lab.disks.set_gone(path(1), true);
    let done = prepared.commit().unwrap();
    assert_eq!(done.degraded.len(), 1);
    locked.release();
    lab.disks.set_gone(path(1), false);
    let view = session.group(NAME).unwrap();
    assert_eq!(view.metadata.group.tags, ["x", "y"]);
    assert!(view.findings.iter().any(|f| f.kind == FindingKind::StaleArea), "{:?}", view.findings);
    let repaired = session.repair(NAME, Choice::Refuse).unwrap();
    assert!(repaired.changed && same(&repaired.metadata.group, &view.metadata.group));
    assert!(session.group(NAME).unwrap().findings.is_empty());
    assert!(!session.repair(NAME, Choice::Refuse).unwrap().changed);
}

#[test]
fn an_archive_that_fails_stops_the_change_before_anything_is_written() {
    let lab = Lab::with_group(1, 1);
    let old = lab.read();
    lab.disks.record();
    lab.files.add_file("/etc/lvm/archive", b"in the way").unwrap();
    let error = lab.session().change(NAME, "tag", |old| Ok(tagged(old, "x"))).unwrap_err();
    assert!(error.report().to_string().contains("archive"), "{}", error.report());
    assert!(lab.disks.log().is_empty());
    assert_eq!(lab.read(), old);
    let mut without = Lab::on(lab.disks.fork());
    without.settings.archive = None;
    without.session().change(NAME, "tag", |old| Ok(tagged(old, "x"))).unwrap();
    assert!(without.files.stat(Path::new("/etc/lvm/archive")).is_err());
}

#[test]
fn a_backup_that_fails_is_told_and_the_change_stands() {
    let lab = Lab::with_group(1, 1);
    let mut other = Lab::on(lab.disks.fork());
    other.settings.backup_folder = Some("/etc/lvm/nowhere/at/all".into());
    let done = other.session().change(NAME, "tag", |old| Ok(tagged(old, "x"))).unwrap();
    assert!(done.backup.unwrap().contains("/etc/lvm/nowhere"));
    assert_eq!(other.read().tags, ["x"]);
}

#[test]
fn a_text_that_does_not_fit_is_refused_before_anything_is_written() {
    let lab = Lab::with_group(2, 1);
    let old = lab.read();
    let session = lab.session();
    let big = |old: &open_local_lvm::format::group::VolumeGroup, tags: usize| {
        let mut new = old.clone();
        new.tags = (0..tags).map(|n| format!("{n}-{}", "x".repeat(1000))).collect();
        Ok(new)
    };
    lab.disks.record();
    let error = session.change(NAME, "big", |old| big(old, 530)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OutOfSpace);
    assert!(lab.disks.log().is_empty());
    assert!(lab.files.stat(Path::new("/etc/lvm/archive")).is_err(), "nor was it archived");
    assert_eq!(lab.read(), old);
    // The longest that fits goes round and round without touching the one that counts.
    for _ in 0..5 {
        session.change(NAME, "big", |old| big(old, 513)).unwrap();
        session.change(NAME, "small", |old| big(old, 1)).unwrap();
        session.change(NAME, "big", |old| big(old, 512)).unwrap();
    }
    let view = lab.session().group(NAME).unwrap();
    assert!(view.findings.iter().all(|f| f.severity() == Severity::Note), "{:?}", view.findings);
}
