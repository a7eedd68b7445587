//! Crashes of simulated disks, copied to loop devices: the tools see the old or the new version
//! and go on from there, and so do we from what they wrote.

use std::sync::Arc;

use open_local_core::Bytes;
use open_local_core::host::Host;
use open_local_core::sim::{Crash, LoggedDisks};
use open_local_lvm::exec::{PvOptions, Session, Settings};
use open_local_tests::{LvmTools, Scratch};

use crate::work::{group, mib, overwrite, physical, seen_by_tools, session, tagged};

const MIB: u64 = 1 << 20;
/// Small, so that copying them is cheap; lvm2 leaves out devices below 2 MiB.
const SIZE: u64 = 16;
/// States handed to the tools for each kind of commit.
const SAMPLE: usize = 12;

/// Disks of which each is a physical volume, the first two in a group.
fn disks(tools: &LvmTools, scratch: &Scratch) -> (LoggedDisks, Session) {
    let disks = LoggedDisks::new();
    for device in tools.devices() {
        disks.add(device, Bytes::new(SIZE * MIB), Bytes::new(512));
    }
    let folder = scratch.join("sim");
    let mut settings = Settings::default();
    settings.archive = None;
    settings.backup_folder = None;
    settings.lock_folder = folder.clone();
    settings.hints_folder = folder.join("none");
    let seam = Arc::new(disks.clone());
    let session = Session::open(&Host::system(), seam, settings, tools.devices()).unwrap();
    let options = PvOptions::default().with_metadata_size(Bytes::new(4096));
    for device in tools.devices() {
        session.create_pv(device, &options).unwrap();
    }
    let pvs = session.physical_volumes().unwrap();
    session.create_group(&group("vg", &pvs[..2]), "create").unwrap();
    session.change("vg", "tag", |old| Ok(tagged(old, "old"))).unwrap();
    (disks, session)
}

fn sample(disks: &LoggedDisks) -> Vec<Crash> {
    let cuts = 0..=disks.log().len();
    let all: Vec<Crash> = cuts.flat_map(|cut| disks.crashes(cut, 4)).collect();
    let step = all.len().div_ceil(SAMPLE).max(1);
    // From the end, so that the finished commit is among them.
    all.into_iter().rev().step_by(step).collect()
}

fn copy(disks: &LoggedDisks, tools: &LvmTools) {
    for device in tools.devices() {
        overwrite(device, 0, &disks.content(device));
    }
}

fn run(name: &str, act: impl Fn(&Session)) {
    let scratch = Scratch::new(name);
    let tools = LvmTools::new(&scratch, &mib(&[SIZE, SIZE, SIZE]));
    let (disks, native) = disks(&tools, &scratch);
    let old = native.group("vg").unwrap().metadata.group.clone();
    disks.record();
    act(&native);
    let new = native.group("vg").unwrap().metadata.group.clone();
    assert_eq!(new.seqno, old.seqno + 1);
    let (mut olds, mut news) = (0, 0);
    for crash in sample(&disks) {
        copy(&disks.after(&crash), &tools);
        let (seqno, tags) = seen_by_tools(&tools, "vg");
        let group = if seqno == new.seqno { &new } else { &old };
        let mut wanted = group.tags.clone();
        wanted.sort();
        assert_eq!((seqno, tags), (group.seqno, wanted), "{name}: {crash}");
        match seqno == new.seqno {
            true => news += 1,
            false => olds += 1,
        }
        // The tools go on, and we from there.
        tools.run("vgchange", &["-qq", "--addtag", "next", "vg"]);
        let native = session(&tools);
        let view = native.group("vg").unwrap();
        assert_eq!(view.metadata.group.seqno, seqno + 1, "{name}: {crash}");
        native.change("vg", "tag", |old| Ok(tagged(old, "last"))).unwrap();
        native.repair("vg", open_local_lvm::exec::Choice::Refuse).unwrap();
        tools.run("vgck", &["vg"]);
        assert_eq!(seen_by_tools(&tools, "vg").0, seqno + 2);
    }
    println!("{name}: the tools saw the old version {olds} times and the new one {news} times");
    assert!(olds > 0 && news > 0);
}

#[test]
fn a_change() {
    run("lvm-crash-change", |native| {
        native.change("vg", "tag", |old| Ok(tagged(old, "new"))).unwrap();
    });
}

#[test]
fn a_physical_volume_that_joins() {
    run("lvm-crash-extend", |native| {
        let pvs = native.physical_volumes().unwrap();
        native
            .change_members("vg", "extend", |old| {
                let mut new = old.clone();
                new.physical_volumes.push(physical(&pvs[2], 2));
                Ok(new)
            })
            .unwrap();
    });
}

#[test]
fn a_physical_volume_that_leaves() {
    run("lvm-crash-reduce", |native| {
        native
            .change_members("vg", "reduce", |old| {
                let mut new = old.clone();
                new.physical_volumes.truncate(1);
                Ok(new)
            })
            .unwrap();
    });
}
