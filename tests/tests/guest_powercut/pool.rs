//! A pool of the `file` backend on a disk that loses power in the middle of its work.

use std::fs;
use std::path::{Path, PathBuf};

use open_local_core::host::{
    Files, Loops, MountCalls, OpenMode, SystemFiles, SystemLoops, SystemMounts,
};
use open_local_core::{
    Bytes, ErrorKind, Phase, Pool, PoolExt, PublishSpec, Result, SnapshotId, SnapshotSpec, Source,
    VolumeId, VolumeSource, VolumeSpec,
};
use open_local_tests::dm::NbdDisk;
use open_local_tests::guest::{require_modules, rounds};
use open_local_tests::scratch::run;
use open_local_tests::{PoolFolder, Scratch};

use crate::dice;

const DISK: u64 = 96 << 20;
const SIZE: Bytes = Bytes::new(1 << 20);
/// Turns of the workload: each makes a volume, fills it, takes a snapshot, clones it, and removes
/// what an earlier turn made.
const TURNS: u8 = 3;

fn volume(name: &str, turn: u8) -> VolumeId {
    VolumeId::new(format!("{name}-{turn}")).unwrap()
}

fn snapshot(turn: u8) -> SnapshotId {
    SnapshotId::new(format!("snap-{turn}")).unwrap()
}

/// One call of the workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Act {
    Make,
    Fill,
    Snapshot,
    Clone,
    Overwrite,
    RemoveSnapshot,
    RemoveClone,
    Remove,
}

/// What a turn consists of; removals are of the turn before.
const ACTS: [Act; 8] = [
    Act::Make,
    Act::Fill,
    Act::Snapshot,
    Act::Clone,
    Act::Overwrite,
    Act::RemoveSnapshot,
    Act::RemoveClone,
    Act::Remove,
];

/// All calls in order with the turn they are about.
fn calls() -> Vec<(Act, u8)> {
    let turns = (1..=TURNS).flat_map(|turn| ACTS.map(|act| (act, turn)));
    let about = turns.map(|(act, turn)| match act {
        Act::RemoveSnapshot | Act::RemoveClone | Act::Remove => (act, turn - 1),
        _ => (act, turn),
    });
    about.filter(|(_, turn)| *turn > 0).collect()
}

/// The content that a turn fills its volume with, and overwrites it with.
const fn first(turn: u8) -> u8 {
    turn * 2
}

const fn second(turn: u8) -> u8 {
    turn * 2 + 1
}

fn act(pool: &dyn Pool, (act, turn): (Act, u8)) -> Result<()> {
    let made = volume("vol", turn);
    let snapshots = pool.require_snapshots()?;
    match act {
        Act::Make => pool.ensure_volume(&VolumeSpec::new(made, SIZE)).map(drop),
        Act::Fill => fill(pool, &made.into(), first(turn)),
        Act::Overwrite => fill(pool, &made.into(), second(turn)),
        Act::Snapshot => {
            snapshots.ensure_snapshot(&SnapshotSpec::new(snapshot(turn), made)).map(drop)
        }
        Act::Clone => {
            let source = VolumeSource::Snapshot(snapshot(turn));
            let spec = VolumeSpec::new(volume("clone", turn), SIZE).from_source(source);
            pool.ensure_volume(&spec).map(drop)
        }
        Act::RemoveSnapshot => snapshots.remove_snapshot(&snapshot(turn)).map(drop),
        Act::RemoveClone => pool.remove_volume(&volume("clone", turn)).map(drop),
        Act::Remove => pool.remove_volume(&made).map(drop),
    }
}

/// Fills an object and flushes it, as a database would before it answers.
fn fill(pool: &dyn Pool, source: &Source, byte: u8) -> Result<()> {
    let at = pool.publish(&PublishSpec::new(source.clone()))?.into_inner();
    let failed = |error: std::io::Error| {
        let subject = open_local_core::Subject::Device(at.device.clone());
        let op = open_local_core::Op::Publish;
        open_local_core::Error::new(ErrorKind::Io, op, subject, error.to_string())
    };
    let write = || {
        let device = SystemFiles.open(&at.device, OpenMode::ReadWrite)?;
        device.write_at(0, &vec![byte; SIZE.to_usize().unwrap()])?;
        device.flush()
    };
    write().map_err(failed)?;
    pool.unpublish(source).map(drop)
}

/// The bytes in an object: the values it holds, each once.
fn values(pool: &dyn Pool, source: &Source) -> Vec<u8> {
    let spec = PublishSpec::new(source.clone()).read_only();
    let at = pool.publish(&spec).unwrap_or_else(|e| panic!("{}", e.report())).into_inner();
    let device = SystemFiles.open(&at.device, OpenMode::Read).unwrap();
    let mut bytes = vec![0; SIZE.to_usize().unwrap()];
    device.read_at(0, &mut bytes).unwrap();
    drop(device);
    let _ = pool.unpublish(source).unwrap();
    bytes.sort_unstable();
    bytes.dedup();
    bytes
}

/// A file with a new file system in it, which each round copies.
fn template(scratch: &Scratch, kind: &str, size: u64) -> PathBuf {
    let file = scratch.join("template");
    fs::File::create_new(&file).unwrap().set_len(size).unwrap();
    run(&format!("mkfs.{kind}"), &["-q".as_ref(), file.as_os_str()]);
    file
}

/// A pool on a file system on a disk that loses power.
struct Lab {
    scratch: Scratch,
    disk: NbdDisk,
    kind: &'static str,
    pool: PoolFolder,
}

impl Lab {
    fn new(kind: &'static str, template: &Path) -> Self {
        let scratch = Scratch::new(&format!("powercut-{kind}"));
        let copy = scratch.join("disk.power");
        run("cp", &["--sparse=always".as_ref(), template.as_os_str(), copy.as_os_str()]);
        let size = fs::metadata(&copy).unwrap().len();
        let disk = NbdDisk::attach(&scratch, "disk", size, 512).unwrap();
        let target = scratch.mount("mnt", disk.path(), kind).unwrap();
        let pool = PoolFolder::new(scratch.path(), &target.join("pool"));
        drop(pool.ensure().unwrap());
        Self { scratch, disk, kind, pool }
    }

    fn target(&self) -> PathBuf {
        self.scratch.join("mnt")
    }

    /// Makes the calls until one fails; how many succeeded.
    fn work(&self, calls: &[(Act, u8)]) -> usize {
        let Ok(pool) = self.pool.open() else { return 0 };
        for (done, call) in calls.iter().enumerate() {
            if let Err(error) = act(pool.as_ref(), *call) {
                println!("{call:?}: {}", error.report());
                // A cut is no fault of what was asked for, and nobody knows how far it came.
                let fit = matches!(error.kind(), ErrorKind::Io | ErrorKind::Indeterminate);
                assert!(fit, "{:?}: {}", error.kind(), error.report());
                return done;
            }
        }
        calls.len()
    }

    /// What a machine does when it goes down, as far as a kernel that lives on can.
    fn power_off(&mut self) {
        let loops = SystemLoops::default();
        let ours = self.pool.devices();
        for device in loops.list().unwrap().iter().filter(|d| ours.contains(&d.path)) {
            loops.detach(device).unwrap();
        }
        SystemMounts.unmount(&self.target(), false).unwrap();
        self.disk.detach().unwrap();
    }

    fn power_on(&mut self) {
        self.disk.power_on().unwrap();
        self.scratch.mount("mnt", self.disk.path(), self.kind).unwrap();
    }

    /// Fails unless everything answered for is there and nothing else is half there.
    fn check(&self, calls: &[(Act, u8)], done: usize, context: &str) {
        let pool = self.pool.open().unwrap_or_else(|e| panic!("{context}: {}", e.report()));
        let (made, under_way) = (&calls[..done], calls.get(done));
        let happened = |call: (Act, u8)| made.contains(&call);
        let doubtful = |call: (Act, u8)| under_way == Some(&call);
        for turn in 1..=TURNS {
            let mut fit = vec![0];
            for (step, byte) in [(Act::Fill, first(turn)), (Act::Overwrite, second(turn))] {
                if happened((step, turn)) {
                    fit.clear();
                }
                if happened((step, turn)) || doubtful((step, turn)) {
                    fit.push(byte);
                }
            }
            let objects: [(Source, Act, Act, &[u8]); 3] = [
                (volume("vol", turn).into(), Act::Make, Act::Remove, &fit),
                (snapshot(turn).into(), Act::Snapshot, Act::RemoveSnapshot, &[first(turn)]),
                (volume("clone", turn).into(), Act::Clone, Act::RemoveClone, &[first(turn)]),
            ];
            for (source, making, removal, fit) in objects {
                let is = is_there(pool.as_ref(), &source);
                let context = format!("{context}: {source}");
                if happened((making, turn)) && !happened((removal, turn)) {
                    assert!(is || doubtful((removal, turn)), "{context} is lost");
                } else {
                    assert!(!is || doubtful((making, turn)), "{context} came back");
                }
                if is {
                    let found = values(pool.as_ref(), &source);
                    let known = found.iter().all(|value| fit.contains(value));
                    assert!(known, "{context} holds {found:?}, not {fit:?}");
                }
            }
        }
        let leaks = self.pool.leaks().unwrap();
        assert!(leaks.is_empty(), "{context}: {leaks:?}");
    }
}

/// Whether an object is there, ready to be used.
fn is_there(pool: &dyn Pool, source: &Source) -> bool {
    let found = match source {
        Source::Volume(id) => pool.volume(id).map(|info| info.phase == Phase::Ready),
        Source::Snapshot(id) => {
            pool.require_snapshots().unwrap().snapshot(id).map(|info| info.phase == Phase::Ready)
        }
    };
    match found {
        Ok(ready) => ready,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::NotFound, "{}", error.report());
            false
        }
    }
}

fn is_clean(kind: &str, device: &Path) {
    match kind {
        "ext4" => run("e2fsck", &["-fn".as_ref(), device.as_os_str()]),
        _ => run("xfs_repair", &["-n".as_ref(), device.as_os_str()]),
    };
}

/// Cuts the power after some write of the workload, again and again.
fn cut_everywhere(kind: &'static str, size: u64, seeds: u64) {
    require_modules(&["loop", kind]);
    let scratch = Scratch::new(&format!("powercut-{kind}-template"));
    let template = template(&scratch, kind, size);
    let calls = calls();
    // Without a cut: how many writes there are.
    let lab = Lab::new(kind, &template);
    let begin = lab.disk.status().writes;
    assert_eq!(lab.work(&calls), calls.len());
    let writes = lab.disk.status().writes - begin;
    lab.check(&calls, calls.len(), "without a cut");
    drop(lab);
    let mut unfinished = 0;
    for seed in 0..seeds {
        let mut lab = Lab::new(kind, &template);
        let after = dice(seed).next_u64() % writes;
        lab.disk.cut_after(lab.disk.status().writes + after, seed);
        let done = lab.work(&calls);
        // What is written behind the last call may be more than the rest of the workload.
        let cut = lab.disk.cut(seed).unwrap();
        let context = format!("{kind}, seed {seed}: cut after {after} of {writes} writes, {cut:?}");
        println!("{context}: {done} of {} calls answered", calls.len());
        lab.power_off();
        lab.power_on();
        lab.check(&calls, done, &context);
        unfinished += u64::from(done < calls.len());
        // The same calls finish what was begun.
        assert_eq!(lab.work(&calls[done..]), calls.len() - done, "{context}");
        lab.check(&calls, calls.len(), &context);
        assert_eq!(lab.disk.status().written_back, 0, "{context}");
        SystemMounts.unmount(&lab.target(), false).unwrap();
        is_clean(kind, lab.disk.path());
        fs::remove_dir(lab.target()).unwrap();
    }
    assert!(unfinished * 2 > seeds, "{unfinished} of {seeds} cuts fell into the work");
}

#[test]
fn what_a_pool_answered_for_survives_where_bytes_are_copied() {
    cut_everywhere("ext4", DISK, rounds(3));
}

#[test]
fn what_a_pool_answered_for_survives_where_blocks_are_shared() {
    cut_everywhere("xfs", 320 << 20, rounds(3));
}
