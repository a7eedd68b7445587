//! Every state a cut-off or failed commit leaves: found, told, repaired.

use open_local_core::ErrorKind;
use open_local_lvm::exec::Choice;
use open_local_lvm::format::check::FindingKind;
use open_local_lvm::format::mda::MdaHeader;

use crate::lab::{Lab, NAME, group, path, same, tagged};

const AREA: u64 = 4096;

fn kinds(lab: &Lab) -> Vec<FindingKind> {
    lab.session().group(NAME).unwrap().findings.iter().map(|finding| finding.kind).collect()
}

fn header(lab: &Lab, disk: usize) -> MdaHeader {
    let content = lab.disks.content(path(disk));
    let sector: [u8; 512] = content[4096..4608].try_into().unwrap();
    MdaHeader::parse(&sector, AREA).unwrap()
}

/// Two disks, the second of which missed the last commit.
fn stale() -> Lab {
    let lab = Lab::with_group(2, 1);
    lab.disks.fail_writes_from(path(1), 3, 5);
    lab.session().change(NAME, "tag", |old| Ok(tagged(old, "x"))).unwrap();
    lab.disks.mend();
    lab
}

/// By the next commit and by a repair, from the same state.
fn both_ways(lab: &Lab, wanted: &[FindingKind]) {
    let found = kinds(lab);
    for kind in wanted {
        assert!(found.contains(kind), "{kind} not in {found:?}");
    }
    let before = lab.read();
    let other = Lab::on(lab.disks.fork());
    let done = other.session().change(NAME, "next", |old| Ok(tagged(old, "next"))).unwrap();
    assert!(done.degraded.is_empty());
    assert_eq!(kinds(&other), []);
    assert!(same(&other.read(), &tagged(&before, "next")));
    let other = Lab::on(lab.disks.fork());
    assert!(other.session().repair(NAME, Choice::Refuse).unwrap().changed);
    assert_eq!(kinds(&other), []);
    assert!(same(&other.read(), &before));
    // Nothing to do a second time.
    assert!(!other.session().repair(NAME, Choice::Refuse).unwrap().changed);
}

#[test]
fn an_announcement_that_was_left() {
    let lab = Lab::with_group(2, 1);
    let session = lab.session();
    let old = lab.read();
    let mut locked = session.lock(NAME).unwrap();
    drop(locked.prepare(&tagged(&old, "x"), "tag").unwrap());
    drop(locked);
    assert!(header(&lab, 0).precommitted.is_set() && header(&lab, 1).precommitted.is_set());
    assert_eq!(lab.read(), old);
    both_ways(&lab, &[FindingKind::Precommitted]);
}

#[test]
fn an_area_that_missed_a_commit() {
    let lab = stale();
    assert_eq!(lab.read().tags, ["x"], "the higher number counts");
    both_ways(&lab, &[FindingKind::StaleArea, FindingKind::Precommitted]);
}

#[test]
fn a_header_that_is_damaged() {
    let lab = Lab::with_group(2, 1);
    lab.disks.overwrite(path(1), AREA + 60, &[0xff]);
    both_ways(&lab, &[FindingKind::DamagedHeader]);
}

#[test]
fn a_text_that_is_damaged() {
    let lab = Lab::with_group(2, 1);
    let place = AREA + header(&lab, 0).committed.offset;
    lab.disks.overwrite(path(0), place + 40, &[0xff]);
    both_ways(&lab, &[FindingKind::DamagedText]);
}

#[test]
fn an_area_that_is_empty() {
    let lab = Lab::with_group(2, 1);
    let blank = MdaHeader::empty(AREA, header(&lab, 1).size).encode();
    lab.disks.overwrite(path(1), AREA, &blank);
    both_ways(&lab, &[FindingKind::StaleArea]);
}

#[test]
fn headers_that_are_all_damaged_are_an_error_that_names_a_device_and_a_way_out() {
    let lab = Lab::with_group(2, 1);
    for disk in 0..2 {
        lab.disks.overwrite(path(disk), AREA + 60, &[0xff]);
    }
    let error = lab.session().group(NAME).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let text = error.report().to_string();
    assert!(text.contains("/dev/sd0") && text.contains("vgcfgrestore"), "{text}");
}

#[test]
fn a_label_that_is_damaged_makes_the_group_partial() {
    let lab = Lab::with_group(2, 1);
    lab.disks.overwrite(path(1), 512 + 100, &[0xff]);
    let found = kinds(&lab);
    for kind in [FindingKind::DamagedLabel, FindingKind::AbsentPhysical] {
        assert!(found.contains(&kind), "{kind} not in {found:?}");
    }
    let error = lab.session().change(NAME, "tag", |old| Ok(tagged(old, "x"))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
}

#[test]
fn different_texts_with_one_number_need_a_choice() {
    let lab = Lab::with_group(2, 1);
    // What two hosts without common locks do: each commits to the disk the other has lost.
    let half = |keep: usize, tag: &str| {
        let half = Lab::on(lab.disks.fork());
        half.disks.fail_writes_from(path(1 - keep), 3, 5);
        half.session().change(NAME, "tag", |old| Ok(tagged(old, tag))).unwrap();
        half.disks.content(path(keep))
    };
    let (a, b) = (half(0, "a"), half(1, "b"));
    lab.disks.overwrite(path(0), 0, &a);
    lab.disks.overwrite(path(1), 0, &b);
    assert!(kinds(&lab).contains(&FindingKind::InconsistentAreas), "{:?}", kinds(&lab));
    lab.disks.record();
    for error in [
        lab.session().change(NAME, "tag", |old| Ok(tagged(old, "x"))).unwrap_err(),
        lab.session().repair(NAME, Choice::Refuse).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Refused);
        assert!(error.remedy().unwrap().contains("choose"), "{error:?}");
    }
    assert!(lab.disks.log().is_empty());
    for (disk, tag) in [(0, "a"), (1, "b")] {
        let lab = Lab::on(lab.disks.fork());
        lab.session().repair(NAME, Choice::Of(&path(disk))).unwrap();
        assert_eq!(lab.read().tags, [tag]);
        assert_eq!(kinds(&lab), []);
    }
    let error = lab.session().repair(NAME, Choice::Of("/dev/none".as_ref())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn a_physical_volume_that_left_while_it_was_away_is_freed() {
    let lab = Lab::with_group(2, 1);
    let before = lab.disks.content(path(1));
    lab.session()
        .change_members(NAME, "reduce", |old| {
            let mut new = old.clone();
            new.physical_volumes.retain(|pv| pv.key == "pv0");
            Ok(new)
        })
        .unwrap();
    lab.disks.overwrite(path(1), 0, &before);
    let session = lab.session();
    assert_eq!(kinds(&lab), [FindingKind::NotInGroup]);
    assert!(session.physical_volumes().unwrap()[1].taken.is_some());
    session.repair(NAME, Choice::Refuse).unwrap();
    assert_eq!(kinds(&lab), []);
    let pvs = session.physical_volumes().unwrap();
    assert!(pvs[1].taken.is_none() && pvs[1].group.is_none());
    let _ = group(&pvs, 0);
}
