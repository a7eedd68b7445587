//! The life of a group without accidents.

use open_local_core::host::{CountSteps, Files, StopAt};
use open_local_core::{Bytes, ErrorKind, Sectors};
use open_local_lvm::exec::{Choice, PvOptions, Request, Session, read_backup};
use open_local_lvm::format::group::Metadata;
use open_local_lvm::format::text::{Item, parse};
use std::path::Path;
use std::sync::Arc;

use crate::lab::{Lab, NAME, group, path, physical, same, tagged};

#[test]
fn a_group_is_made_grown_renamed_and_removed() {
    let lab = Lab::blank(3);
    lab.make_pvs();
    let session = lab.session();
    let pvs = session.physical_volumes().unwrap();
    assert!(pvs.iter().all(|pv| pv.taken.is_none() && pv.data_start == Bytes::MIB));
    let made = session.create_group(&group(&pvs[..2], 3), "vgcreate").unwrap();
    assert_eq!((made.metadata.group.seqno, made.degraded.len(), made.backup), (1, 0, None));
    assert_eq!(session.groups().unwrap(), [NAME]);
    let again = session.create_group(&made.metadata.group, "vgcreate").unwrap();
    assert!(!again.changed);

    let grown = session
        .change_members(NAME, "vgextend", |old| {
            let mut new = old.clone();
            new.physical_volumes.push(physical(&pvs[2], 2));
            Ok(new)
        })
        .unwrap();
    assert_eq!(grown.metadata.group.physical_volumes.len(), 3);
    let view = session.group(NAME).unwrap();
    assert!(view.findings.is_empty(), "{:?}", view.findings);
    assert_eq!(view.devices, [Some(path(0)), Some(path(1)), Some(path(2))]);

    let shrunk = session
        .change_members(NAME, "vgreduce", |old| {
            let mut new = old.clone();
            new.physical_volumes.retain(|pv| pv.key != "pv1");
            Ok(new)
        })
        .unwrap();
    assert_eq!(shrunk.metadata.group.physical_volumes.len(), 2);
    let pvs = session.physical_volumes().unwrap();
    let groups: Vec<_> = pvs.iter().map(|pv| pv.group.as_deref()).collect();
    assert_eq!(groups, [Some(NAME), None, Some(NAME)]);
    assert!(pvs[1].taken.is_none());

    let renamed = session.rename_group(NAME, "other", "vgrename").unwrap();
    assert_eq!(session.groups().unwrap(), ["other"]);
    assert_eq!(session.group(NAME).unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(session.remove_group("other", "x").unwrap_err().kind(), ErrorKind::Refused);
    session
        .change("other", "lvremove", |old| {
            let mut new = old.clone();
            new.logical_volumes.clear();
            Ok(new)
        })
        .unwrap();
    session.remove_group("other", "vgremove").unwrap();
    assert!(session.groups().unwrap().is_empty());
    assert!(session.physical_volumes().unwrap().iter().all(|pv| pv.taken.is_none()));
    assert_eq!(renamed.metadata.group.seqno, 4);
    for index in 0..3 {
        session.remove_pv(&path(index)).unwrap();
    }
    assert!(session.physical_volumes().unwrap().is_empty());
    let left: Vec<_> = lab.files.list(Path::new("/run/lock/lvm")).unwrap();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn every_version_is_archived_before_and_kept_after() {
    let lab = Lab::with_group(1, 2);
    let session = lab.session();
    for round in 0..15 {
        session.change(NAME, "tag", |old| Ok(tagged(old, &format!("t{round}")))).unwrap();
    }
    let names = lab.files.list(Path::new("/etc/lvm/archive")).unwrap();
    let names: Vec<_> = names.iter().map(|name| name.to_str().unwrap()).collect();
    assert_eq!(names.len(), 15);
    for (number, name) in names.iter().enumerate() {
        assert!(name.starts_with(&format!("vg_{number:05}-")), "{name}");
        let file = Path::new("/etc/lvm/archive").join(name);
        let archived: Metadata = read_backup(&lab.host, &file).unwrap();
        assert_eq!(archived.group.tags.len(), number);
    }
    let backup = read_backup(&lab.host, Path::new("/etc/lvm/backup/vg")).unwrap();
    assert_eq!(backup.group, lab.read());
    let text = open_local_core::host::read_small(
        lab.files.as_ref(),
        Path::new("/etc/lvm/backup/vg"),
        1 << 20,
    );
    let tree = parse(&text.unwrap()).unwrap();
    // The group comes last, as lvm2 has it in files.
    assert!(matches!(tree.entries().last().unwrap().item, Item::Section(_)));
    assert_eq!(
        tree.value("description").unwrap().as_str(),
        Some("Created *after* executing 'tag'")
    );

    // Of those older than 30 days the last ten stay.
    lab.host.clock.sleep(std::time::Duration::from_secs(31 * 24 * 3600));
    session.change(NAME, "tag", |old| Ok(tagged(old, "late"))).unwrap();
    let names = lab.files.list(Path::new("/etc/lvm/archive")).unwrap();
    assert_eq!(names.len(), 10);
    assert!(names.last().unwrap().to_str().unwrap().starts_with("vg_00015-"));
}

#[test]
fn requests_share_one_commit_and_each_has_its_own_answer() {
    let lab = Lab::with_group(2, 1);
    let session = lab.session();
    let before = lab.read().seqno;
    let requests: Vec<Request<'_>> = vec![
        Box::new(|old| Ok(tagged(old, "a"))),
        Box::new(|_| {
            let subject = open_local_core::Subject::value("b");
            Err(open_local_core::Error::new(
                ErrorKind::OutOfSpace,
                open_local_core::Op::PlanChange,
                subject,
                "no room",
            ))
        }),
        Box::new(|old| {
            assert_eq!(old.tags, ["a"]);
            Ok(tagged(old, "c"))
        }),
    ];
    let answers = session.change_together(NAME, "many", requests).unwrap();
    let kinds: Vec<_> = answers.iter().map(|a| a.as_ref().err().map(|e| e.kind())).collect();
    assert_eq!(kinds, [None, Some(ErrorKind::OutOfSpace), None]);
    let now = lab.read();
    assert_eq!((now.seqno, now.tags), (before + 1, vec!["a".to_owned(), "c".to_owned()]));
}

#[test]
fn a_version_planned_from_an_older_one_is_a_conflict() {
    let lab = Lab::with_group(1, 1);
    let (mine, theirs) = (lab.session(), lab.session());
    let old = mine.group(NAME).unwrap().metadata.group.clone();
    theirs.change(NAME, "tag", |old| Ok(tagged(old, "theirs"))).unwrap();
    let error = mine.commit(&old, &tagged(&old, "mine"), "tag").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let now = mine.group(NAME).unwrap().metadata.group.clone();
    mine.commit(&now, &tagged(&now, "mine"), "tag").unwrap();
    assert_eq!(lab.read().tags, ["theirs", "mine"]);
}

#[test]
fn a_version_that_is_prepared_counts_only_once_it_is_committed() {
    let lab = Lab::with_group(2, 1);
    let session = lab.session();
    let old = lab.read();
    let mut locked = session.lock(NAME).unwrap();
    let prepared = locked.prepare(&tagged(&old, "x"), "tag").unwrap();
    assert_eq!(prepared.group().seqno, old.seqno + 1);
    prepared.revert().unwrap();
    assert_eq!(*locked.group(), old);
    assert!(locked.view().findings.is_empty());
    let committed = locked.prepare(&tagged(&old, "y"), "tag").unwrap().commit().unwrap();
    assert_eq!(committed.metadata.group.tags, ["y"]);
    locked.release();
    assert_eq!(lab.read().tags, ["y"]);
}

#[test]
fn a_session_that_is_kept_sees_what_others_changed_and_reads_texts_once() {
    let lab = Lab::with_group(2, 3);
    let session = lab.session();
    let first = session.group(NAME).unwrap().metadata;
    let same = session.group(NAME).unwrap().metadata;
    assert!(Arc::ptr_eq(&first, &same));
    lab.session().change(NAME, "tag", |old| Ok(tagged(old, "x"))).unwrap();
    assert_eq!(session.group(NAME).unwrap().metadata.group.tags, ["x"]);
}

#[test]
fn a_label_follows_the_size_of_its_device() {
    let lab = Lab::with_group(1, 0);
    let bigger = Bytes::MIB.checked_mul(5).unwrap();
    let content = lab.disks.content(path(0));
    lab.disks.add(path(0), bigger, Bytes::new(512));
    lab.disks.overwrite(path(0), 0, &content);
    let session = lab.session();
    session
        .change_members(NAME, "pvresize", |old| {
            let mut new = old.clone();
            new.physical_volumes[0].dev_size = Some(Sectors::new(bigger.get() / 512));
            Ok(new)
        })
        .unwrap();
    let content = lab.disks.content(path(0));
    assert_eq!(content[512 + 64..512 + 72], bigger.get().to_le_bytes());
}

#[test]
fn only_signatures_that_are_named_are_destroyed() {
    let lab = Lab::blank(1);
    lab.disks.overwrite(path(0), 0, b"LUKS\xba\xbe\x00\x01");
    let session = lab.session();
    let options = PvOptions::default().with_metadata_size(Bytes::new(4096));
    let error = session.create_pv(&path(0), &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
    assert!(error.to_string().contains("LUKS"), "{error}");
    let name = open_local_core::raw::signatures(&open_local_core::host::MemoryBlock::new(
        lab.disks.content(path(0)),
    ))
    .unwrap()[0]
        .name;
    session.create_pv(&path(0), &options.clone().destroying(name)).unwrap();
    let id = session.physical_volumes().unwrap()[0].id;
    assert_eq!(session.create_pv(&path(0), &options).unwrap(), id, "it is one already");
}

type Change = fn(&Session) -> open_local_core::Result<()>;

/// Calls that may be repeated until they succeed.
fn changes() -> [(&'static str, Change); 5] {
    [
        ("tag", |session| {
            session
                .change(NAME, "tag", |old| {
                    Ok(if old.tags.is_empty() { tagged(old, "x") } else { old.clone() })
                })
                .map(|_| ())
        }),
        ("extend", |session| {
            let pvs = session.physical_volumes()?;
            session
                .change_members(NAME, "vgextend", |old| {
                    let mut new = old.clone();
                    if new.physical_volumes.len() == 2 {
                        new.physical_volumes.push(physical(&pvs[2], 2));
                    }
                    Ok(new)
                })
                .map(|_| ())
        }),
        ("reduce", |session| {
            session
                .change_members(NAME, "vgreduce", |old| {
                    let mut new = old.clone();
                    new.physical_volumes.retain(|pv| pv.key != "pv1");
                    Ok(new)
                })
                .and_then(|_| session.repair(NAME, Choice::Refuse))
                .map(|_| ())
        }),
        ("remove", |session| match session.remove_group(NAME, "vgremove") {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            answer => answer,
        }),
        ("rename", |session| match session.rename_group(NAME, "new", "vgrename") {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                session.repair("new", Choice::Refuse).map(|_| ())
            }
            answer => answer.map(|_| ()),
        }),
    ]
}

/// Cut before every step, then called again.
#[test]
fn every_change_is_finished_after_a_cut_between_its_steps() {
    let prepared = || {
        let lab = Lab::blank(3);
        lab.make_pvs();
        let session = lab.session();
        let pvs = session.physical_volumes().unwrap();
        session.create_group(&group(&pvs[..2], 0), "create").unwrap();
        lab
    };
    for (name, change) in changes() {
        let whole = prepared();
        let steps = Arc::new(CountSteps::default());
        change(&whole.session_with(steps.clone())).unwrap();
        let wanted = whole.session().groups().unwrap();
        assert!(steps.steps() > 5, "{name}");
        for at in 1..=steps.steps() {
            let lab = prepared();
            let stop = Arc::new(StopAt::new(at));
            let error = change(&lab.session_with(stop)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Indeterminate, "{name} {at}: {error:?}");
            change(&lab.session()).unwrap_or_else(|e| panic!("{name} {at}: {}", e.report()));
            let session = lab.session();
            assert_eq!(session.groups().unwrap(), wanted, "{name} {at}");
            if let [only] = wanted.as_slice() {
                let (is, should) = (session.group(only), whole.session().group(only));
                let (is, should) = (is.unwrap(), should.unwrap());
                assert!(same(&is.metadata.group, &should.metadata.group), "{name} {at}");
                assert!(is.findings.is_empty(), "{name} {at}: {:?}", is.findings);
            }
        }
    }
}

#[test]
fn a_volume_the_kernel_has_as_a_device_keeps_its_name_and_its_extents() {
    let lab = Lab::with_group(1, 2);
    let session = lab.session();
    let old = lab.read();
    let active = &old.logical_volumes[0];
    let uuid = [b"LVM-".as_slice(), old.id.as_raw(), active.id.as_raw()].concat();
    lab.files.add_folder("/sys/block/dm-3/dm").unwrap();
    lab.files.add_file("/sys/block/dm-3/dm/uuid", &uuid).unwrap();

    let mut without = old.clone();
    without.logical_volumes.remove(0);
    let mut renamed = old.clone();
    renamed.logical_volumes[0].name = "other".to_owned();
    for new in [&without, &renamed] {
        let error = session.commit(&old, new, "change").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy);
        assert!(error.report().to_string().contains("dm-3"), "{}", error.report());
    }
    assert_eq!(session.rename_group(NAME, "new", "vgrename").unwrap_err().kind(), ErrorKind::Busy);
    assert_eq!(lab.read(), old);

    // What is not active may go, and what is active may change otherwise.
    let mut fewer = tagged(&old, "kept");
    fewer.logical_volumes.remove(1);
    assert!(session.commit(&old, &fewer, "change").unwrap().changed);
}
