//! The power goes at every write and every flush of every kind of commit, and what was not
//! flushed is dropped, torn between sectors or reordered: the old or the new version counts, and
//! the next commit works.

use std::collections::BTreeSet;

use open_local_core::ErrorKind;
use open_local_core::sim::LoggedDisks;
use open_local_lvm::exec::{Choice, Session};
use open_local_lvm::format::check::Severity;
use open_local_lvm::format::group::VolumeGroup;

use crate::lab::{Lab, NAME, group, path, physical, pv_options, same, tagged};

/// A kind of commit: what was there, and what is done.
pub(crate) struct Case<'c> {
    pub(crate) name: &'c str,
    pub(crate) lab: Lab,
    pub(crate) act: Box<dyn Fn(&Session) + 'c>,
    /// Mixtures by chance at each cut.
    pub(crate) mixes: u64,
    /// States of each cut, the plain ones first, from which is gone on; of the others a sample,
    /// since that takes ten times as long as reading.
    pub(crate) go_on: usize,
}

/// What a program that starts after the crash finds.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Group(Box<VolumeGroup>),
    NoGroup,
}

fn see(lab: &Lab, name: &str) -> Result<Seen, String> {
    match lab.session().group(name) {
        Ok(view) => Ok(Seen::Group(Box::new(view.metadata.group.clone()))),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Seen::NoGroup),
        Err(error) => Err(error.report().to_string()),
    }
}

fn crashed(disks: &LoggedDisks, crash: &open_local_core::sim::Crash) -> Lab {
    Lab::on(disks.after(crash))
}

/// Runs a case and cuts it everywhere; answers how many different states were checked.
pub(crate) fn enumerate(case: &Case<'_>, names: &[&str], next: &dyn Fn(&Lab, &str)) -> usize {
    let lab = &case.lab;
    let before: Vec<Seen> = names.iter().map(|name| see(lab, name).unwrap()).collect();
    lab.disks.record();
    (case.act)(&lab.session());
    let after: Vec<Seen> = names.iter().map(|name| see(lab, name).unwrap()).collect();
    assert_ne!(before, after, "{}: nothing happened", case.name);
    let events = lab.disks.log().len();
    let mut seen = BTreeSet::new();
    let mut both = [0usize; 2];
    for cut in 0..=events {
        let mut in_cut = 0;
        for crash in lab.disks.crashes(cut, case.mixes) {
            if !seen.insert(crash.fingerprint()) {
                continue;
            }
            let lab = crashed(&lab.disks, &crash);
            let what = format!("{}: {crash}", case.name);
            let found: Vec<Seen> = names
                .iter()
                .map(|name| see(&lab, name).unwrap_or_else(|e| panic!("{what}: {e}")))
                .collect();
            let is_new = found == after;
            assert!(is_new || found == before, "{what}: neither old nor new: {found:?}");
            both[usize::from(is_new)] += 1;
            in_cut += 1;
            if in_cut <= case.go_on || seen.len() % 32 == 0 {
                next(&lab, &what);
            }
        }
    }
    assert!(both.iter().all(|count| *count > 0), "{}: {both:?}", case.name);
    println!(
        "{}: {events} events, {} states, {} old, {} new",
        case.name,
        seen.len(),
        both[0],
        both[1]
    );
    seen.len()
}

/// One more tag on a group: afterwards every area is good.
pub(crate) fn commit_again(lab: &Lab, name: &str, what: &str) {
    let session = lab.session();
    let old = session.group(name).unwrap().metadata.group.clone();
    let done = session.change(name, "next", |old| Ok(tagged(old, "next")));
    let done = done.unwrap_or_else(|e| panic!("{what}: {}", e.report()));
    assert!(done.degraded.is_empty(), "{what}");
    let view = lab.session().group(name).unwrap();
    assert!(same(&view.metadata.group, &tagged(&old, "next")), "{what}");
    assert_eq!(view.metadata.group.seqno, old.seqno + 1, "{what}");
    let left: Vec<_> = view.findings.iter().filter(|f| f.severity() > Severity::Note).collect();
    assert!(left.is_empty(), "{what}: {left:?}");
}

pub(crate) fn tag(session: &Session) {
    session.change(NAME, "tag", |old| Ok(tagged(old, "new"))).unwrap();
}

#[test]
fn a_change_of_a_group() {
    let mut states = 0;
    for (disks, volumes, mixes) in [(1, 1, 40), (1, 18, 3000), (2, 4, 2000), (3, 2, 500)] {
        let lab = Lab::with_group(disks, volumes);
        let name = format!("tag, {disks} disks, {volumes} volumes");
        let case = Case { name: &name, lab, act: Box::new(tag), mixes, go_on: 8 };
        states += enumerate(&case, &[NAME], &|lab, what| commit_again(lab, NAME, what));
    }
    println!("{states} states of a change");
    assert!(states > 2500, "{states}");
}

#[test]
fn a_text_that_goes_over_the_end_of_the_ring() {
    let lab = Lab::with_group(1, 30);
    // As lvm2 leaves it: the next text begins right behind the last, and does not fit before the
    // end of the area.
    let session = lab.session();
    let mut wrapped = 0;
    for round in 0..200 {
        lab.disks.record();
        let fork = Lab::on(lab.disks.fork());
        session.change(NAME, "tag", |old| Ok(tagged(old, &format!("t{round}")))).unwrap();
        let writes = lab.disks.log();
        let offsets = writes.iter().filter_map(|event| match event {
            open_local_core::sim::DiskEvent::Write { offset, .. } => Some(*offset),
            _ => None,
        });
        let first = offsets.into_iter().next().unwrap();
        if first == 8192 && round > 0 {
            // The ring began anew: cut that commit everywhere.
            let case = Case {
                name: "ring begins anew",
                lab: fork,
                act: Box::new(tag),
                mixes: 100,
                go_on: 8,
            };
            let states = enumerate(&case, &[NAME], &|lab, what| commit_again(lab, NAME, what));
            assert!(states > 100);
            wrapped += 1;
            break;
        }
    }
    assert_eq!(wrapped, 1);
}

/// A crash in a commit after a crash in a commit: every `step`th state of the first, every state
/// of the second.
fn twice(disks: usize, mixes: u64, step: usize) -> usize {
    let lab = Lab::with_group(disks, 2);
    lab.disks.record();
    tag(&lab.session());
    let first: Vec<_> =
        (0..=lab.disks.log().len()).flat_map(|cut| lab.disks.crashes(cut, mixes)).collect();
    let mut states = 0;
    for crash in first.iter().step_by(step) {
        let lab = crashed(&lab.disks, crash);
        let second = |session: &Session| {
            session.change(NAME, "tag", |old| Ok(tagged(old, "second"))).unwrap();
        };
        let name = format!("after {crash}");
        let case = Case { name: &name, lab, act: Box::new(second), mixes, go_on: 1 };
        states += enumerate(&case, &[NAME], &|lab, what| commit_again(lab, NAME, what));
    }
    println!("{states} states of a commit after a crash on {disks} disks");
    states
}

#[test]
fn a_commit_over_what_an_earlier_crash_left() {
    assert!(twice(2, 30, 1) > 3000);
}

#[test]
fn a_commit_over_what_an_earlier_crash_left_on_more_disks() {
    assert!(twice(3, 30, 3) > 5000);
}

#[test]
fn a_long_text_on_two_disks() {
    let lab = Lab::with_group(2, 9);
    let case = Case { name: "long text", lab, act: Box::new(tag), mixes: 7000, go_on: 8 };
    let states = enumerate(&case, &[NAME], &|lab, what| commit_again(lab, NAME, what));
    assert!(states > 4000, "{states}");
}

#[test]
fn a_repair() {
    let lab = Lab::with_group(2, 2);
    // The header of the second disk is damaged.
    lab.disks.overwrite(path(1), 4096 + 100, &[1]);
    let repair = |session: &Session| {
        session.repair(NAME, Choice::Refuse).unwrap();
    };
    let case = Case { name: "repair", lab, act: Box::new(repair), mixes: 300, go_on: 8 };
    let states = enumerate(&case, &[NAME], &|lab, what| commit_again(lab, NAME, what));
    println!("{states} states of a repair");
}

#[test]
fn a_group_that_is_made() {
    let lab = Lab::blank(2);
    lab.make_pvs();
    let create = |session: &Session| {
        let pvs = session.physical_volumes().unwrap();
        session.create_group(&group(&pvs, 2), "create").unwrap();
    };
    let case = Case { name: "create group", lab, act: Box::new(create), mixes: 200, go_on: 8 };
    let states = enumerate(&case, &[NAME], &|lab, what| {
        let session = lab.session();
        let pvs = session.physical_volumes().unwrap();
        let made = session.create_group(&group(&pvs, 2), "create");
        made.unwrap_or_else(|e| panic!("{what}: {}", e.report()));
        commit_again(lab, NAME, what);
    });
    println!("{states} states of a group that is made");
}

#[test]
fn a_group_that_is_removed() {
    let lab = Lab::with_group(2, 0);
    let remove = |session: &Session| session.remove_group(NAME, "remove").unwrap();
    let case = Case { name: "remove group", lab, act: Box::new(remove), mixes: 200, go_on: 8 };
    let states = enumerate(&case, &[NAME], &|lab, what| {
        let session = lab.session();
        match session.remove_group(NAME, "remove") {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            answer => answer.unwrap_or_else(|e| panic!("{what}: {}", e.report())),
        }
        // Its disks are free for the next group.
        let pvs = session.physical_volumes().unwrap();
        session.create_group(&group(&pvs, 0), "create").unwrap();
        commit_again(lab, NAME, what);
    });
    println!("{states} states of a group that is removed");
}

#[test]
fn a_group_that_is_renamed() {
    let lab = Lab::with_group(2, 1);
    let rename = |session: &Session| {
        session.rename_group(NAME, "other", "rename").unwrap();
    };
    let case = Case { name: "rename group", lab, act: Box::new(rename), mixes: 300, go_on: 8 };
    let states = enumerate(&case, &[NAME, "other"], &|lab, what| {
        let names = lab.session().groups().unwrap();
        commit_again(lab, &names[0], what);
        assert_eq!(names.len(), 1, "{what}");
    });
    println!("{states} states of a group that is renamed");
}

#[test]
fn physical_volumes_that_join_and_leave() {
    let prepared = |members: usize| {
        let lab = Lab::blank(3);
        lab.make_pvs();
        let session = lab.session();
        let pvs = session.physical_volumes().unwrap();
        session.create_group(&group(&pvs[..members], 1), "create").unwrap();
        lab
    };
    let extend = |session: &Session| {
        let pvs = session.physical_volumes().unwrap();
        let plan = |old: &VolumeGroup| {
            let mut new = old.clone();
            if new.physical_volumes.len() == 2 {
                new.physical_volumes.push(physical(&pvs[2], 2));
            }
            Ok(new)
        };
        session.change_members(NAME, "extend", plan).unwrap();
    };
    let reduce = |session: &Session| {
        let plan = |old: &VolumeGroup| {
            let mut new = old.clone();
            new.physical_volumes.retain(|pv| pv.key != "pv1");
            Ok(new)
        };
        session.change_members(NAME, "reduce", plan).unwrap();
    };
    let mut states = 0;
    let case =
        Case { name: "extend", lab: prepared(2), act: Box::new(extend), mixes: 200, go_on: 8 };
    states += enumerate(&case, &[NAME], &|lab, what| {
        extend(&lab.session());
        assert_eq!(lab.read().physical_volumes.len(), 3, "{what}");
        commit_again(lab, NAME, what);
    });
    let case =
        Case { name: "reduce", lab: prepared(3), act: Box::new(reduce), mixes: 200, go_on: 8 };
    states += enumerate(&case, &[NAME], &|lab, what| {
        reduce(&lab.session());
        let session = lab.session();
        session.repair(NAME, Choice::Refuse).unwrap();
        let pvs = session.physical_volumes().unwrap();
        assert!(pvs[1].taken.is_none(), "{what}: {:?}", pvs[1].taken);
        commit_again(lab, NAME, what);
    });
    println!("{states} states of physical volumes that join and leave");
}

#[test]
fn a_physical_volume_that_is_made_or_removed() {
    let mut states = 0;
    let lab = Lab::blank(1);
    lab.disks.record();
    lab.make_pvs();
    let id = lab.session().physical_volumes().unwrap()[0].id;
    for cut in 0..=lab.disks.log().len() {
        for crash in lab.disks.crashes(cut, 20) {
            let lab = crashed(&lab.disks, &crash);
            let session = lab.session();
            let found = session.physical_volumes().unwrap();
            assert!(found.is_empty() || found[0].id == id, "{crash}");
            assert_eq!(session.create_pv(&path(0), &pv_options(0)).unwrap(), id, "{crash}");
            session.create_group(&group(&session.physical_volumes().unwrap(), 1), "x").unwrap();
            commit_again(&lab, NAME, "made");
            states += 1;
        }
    }
    lab.disks.record();
    lab.session().remove_pv(&path(0)).unwrap();
    for cut in 0..=lab.disks.log().len() {
        for crash in lab.disks.crashes(cut, 20) {
            let lab = crashed(&lab.disks, &crash);
            lab.session().remove_pv(&path(0)).unwrap();
            assert!(lab.session().physical_volumes().unwrap().is_empty(), "{crash}");
            states += 1;
        }
    }
    println!("{states} states of a physical volume");
    assert!(states > 12, "{states}");
}
