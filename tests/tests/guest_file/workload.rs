//! What a pool is made to do while its disk fails, and what must be there afterwards.

use std::path::Path;

use open_local_core::host::{Files, Loops, OpenMode, SystemFiles, SystemLoops};
use open_local_core::{
    Bytes, Error, ErrorKind, Phase, Pool, PoolExt, PublishSpec, Result, SnapshotId, SnapshotSpec,
    Source, VolumeId, VolumeSource, VolumeSpec,
};
use open_local_tests::PoolFolder;
use open_local_tests::scratch::run;

const SIZE: Bytes = Bytes::new(1 << 20);
/// Turns of the workload: each makes a volume, fills it, takes a snapshot, clones it, and removes
/// what an earlier turn made.
const TURNS: u8 = 2;

fn volume(name: &str, turn: u8) -> VolumeId {
    VolumeId::new(format!("{name}-{turn}")).unwrap()
}

fn snapshot(turn: u8) -> SnapshotId {
    SnapshotId::new(format!("snap-{turn}")).unwrap()
}

/// One call of the workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
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
pub(crate) fn calls() -> Vec<(Act, u8)> {
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

/// Makes one call.
pub(crate) fn act(pool: &dyn Pool, (act, turn): (Act, u8)) -> Result<()> {
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
        Error::new(ErrorKind::Io, op, subject, error.to_string()).with_remedy("none: a test's own")
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

/// Whether an error says that the disk failed: no fault of what was asked for, and nobody knows
/// how far it came.
pub(crate) fn is_of_disk(error: &Error) -> bool {
    let kinds = [ErrorKind::Io, ErrorKind::Indeterminate, ErrorKind::RollbackFailed];
    kinds.contains(&error.kind())
}

/// Detaches the pool's loop devices, as the end of the machine would.
pub(crate) fn detach_all(folder: &PoolFolder) {
    let loops = SystemLoops::default();
    let ours = folder.devices();
    for device in loops.list().unwrap().iter().filter(|d| ours.contains(&d.path)) {
        loops.detach(device).unwrap();
    }
}

/// Makes the calls until one fails; how many succeeded.
pub(crate) fn work(folder: &PoolFolder, calls: &[(Act, u8)]) -> usize {
    let Ok(pool) = folder.open() else { return 0 };
    for (done, call) in calls.iter().enumerate() {
        if let Err(error) = act(pool.as_ref(), *call) {
            println!("{call:?}: {}", error.report());
            assert!(is_of_disk(&error), "{:?}: {}", error.kind(), error.report());
            return done;
        }
    }
    calls.len()
}

/// Fails unless everything answered for is there and nothing else is half there.
pub(crate) fn check(folder: &PoolFolder, calls: &[(Act, u8)], done: usize, context: &str) {
    let pool = folder.open().unwrap_or_else(|e| panic!("{context}: {}", e.report()));
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
    let leaks = folder.leaks().unwrap();
    assert!(leaks.is_empty(), "{context}: {leaks:?}");
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

/// Fails unless the file system of a disk is whole.
pub(crate) fn is_clean(kind: &str, device: &Path) {
    match kind {
        "ext4" => run("e2fsck", &["-fn".as_ref(), device.as_os_str()]),
        _ => run("xfs_repair", &["-n".as_ref(), device.as_os_str()]),
    };
}
