//! Group snapshots of the `file` backend: how volumes are held still together, and what becomes of
//! a group when something stands in the way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "file/lab.rs"]
mod lab;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lab::{Lab, POOL, pool_id, snapshot, summary, volume};
use open_local_core::file::FileBackend;
use open_local_core::host::{Checkpoints, Clock, Files, Frozen, Quiescer, StopAt};
use open_local_core::sim::sim_host;
use open_local_core::{
    Attachment, Backend, Error, ErrorKind, GroupSnapshotId, GroupSnapshotSpec, GroupSnapshots,
    Health, Op, Phase, Pool, PublishSpec, Result, Subject,
};

const BOTH: [bool; 2] = [true, false];
const EIO: i32 = 5;

fn group(name: &str) -> GroupSnapshotId {
    name.parse().unwrap()
}

fn spec() -> GroupSnapshotSpec {
    GroupSnapshotSpec::new(group("g"))
        .with_member(snapshot("g-side"), volume("side"))
        .with_member(snapshot("g-old"), volume("old"))
}

fn groups(pool: &dyn Pool) -> &dyn GroupSnapshots {
    pool.group_snapshots().unwrap()
}

/// What happened, in order.
#[derive(Debug, Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn add(&self, line: impl Into<String>) {
        self.0.lock().unwrap().push(line.into());
    }

    fn position(&self, part: &str) -> Option<usize> {
        self.0.lock().unwrap().iter().position(|line| line.contains(part))
    }

    fn last(&self, part: &str) -> Option<usize> {
        self.0.lock().unwrap().iter().rposition(|line| line.contains(part))
    }
}

impl Checkpoints for Log {
    fn before(&self, _op: Op, _subject: &Subject, step: &str) -> Result<()> {
        self.add(step);
        Ok(())
    }
}

/// Freezes in ten seconds each, and as told.
#[derive(Debug)]
struct Slow {
    log: Log,
    clock: Arc<dyn Clock>,
    frozen: Mutex<Vec<String>>,
    waits: Mutex<Vec<Duration>>,
    /// After so many, freezing fails.
    most: usize,
    /// Whether somebody else thaws the first of them meanwhile.
    meddled: bool,
}

impl Quiescer for Slow {
    fn freeze_device(&self, at: &Attachment, deadline: Duration) -> Result<Frozen> {
        let mut frozen = self.frozen.lock().unwrap();
        if frozen.len() >= self.most {
            return Err(Error::new(ErrorKind::Busy, Op::Freeze, Subject::Host, "not mounted"));
        }
        self.clock.sleep(Duration::from_secs(10));
        self.waits.lock().unwrap().push(deadline);
        let intent = at.source.to_string();
        frozen.push(intent.clone());
        self.log.add(format!("frozen {intent}"));
        Ok(Frozen { intent, targets: Vec::new() })
    }

    fn thaw(&self, frozen: &Frozen) -> Result<bool> {
        let mut all = self.frozen.lock().unwrap();
        all.retain(|one| *one != frozen.intent);
        self.log.add(format!("thawed {}", frozen.intent));
        Ok(!(self.meddled && frozen.intent == "volume old"))
    }

    fn sweep(&self) -> Result<Vec<PathBuf>> {
        Ok(Vec::new())
    }
}

/// A pool with both volumes published, that freezes in this way.
fn published(lab: &Lab, most: usize, meddled: bool) -> (Arc<dyn Pool>, Arc<Slow>) {
    let log = Log::default();
    let host = sim_host(Arc::clone(&lab.files), 99).with_checkpoints(Arc::new(log.clone()));
    let slow = Arc::new(Slow {
        log,
        clock: Arc::clone(&host.clock),
        frozen: Mutex::default(),
        waits: Mutex::default(),
        most,
        meddled,
    });
    let backend = FileBackend::new(host, Arc::new(lab.loops.clone()));
    let backend = backend.with_quiescer(Arc::clone(&slow) as _);
    let pool = backend.open_pool(&pool_id()).unwrap();
    for name in ["old", "side"] {
        let _ = pool.publish(&PublishSpec::new(volume(name))).unwrap();
    }
    (pool, slow)
}

fn nothing_is_left(pool: &dyn Pool, slow: &Slow) {
    assert!(slow.frozen.lock().unwrap().is_empty(), "left frozen");
    assert_eq!(groups(pool).group_snapshot(&group("g")).unwrap_err().kind(), ErrorKind::NotFound);
    let left = pool.snapshots().unwrap().list_snapshots(None).unwrap();
    let members = left.iter().filter(|info| info.id.as_str().starts_with("g-"));
    assert_eq!(members.count(), 0, "{left:?}");
    assert_eq!(pool.info().unwrap().health, Health::Healthy);
}

#[test]
fn all_volumes_are_frozen_in_order_before_the_first_is_copied_and_thawed_after_the_last() {
    for reflink in BOTH {
        let lab = Lab::grouped(reflink, 0);
        let (pool, slow) = published(&lab, 2, false);
        let made = groups(pool.as_ref()).ensure_group_snapshot(&spec()).unwrap();
        assert_eq!(made.get().phase, Phase::Ready);
        let copy = if reflink { "share the blocks" } else { "copy the content" };
        let order = [
            slow.log.position("frozen volume old"),
            slow.log.position("frozen volume side"),
            slow.log.position(copy),
            slow.log.last(copy),
            slow.log.position("thawed volume"),
            slow.log.position("record group snapshot g as ready"),
        ];
        assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{:?}", slow.log);
        let waits = slow.waits.lock().unwrap().clone();
        let [first, second] = waits.as_slice() else { panic!("{waits:?}") };
        assert!(*second <= first.saturating_sub(Duration::from_secs(10)), "{waits:?}");
        assert!(slow.frozen.lock().unwrap().is_empty());
    }
}

#[test]
fn what_cannot_be_frozen_together_is_not_taken() {
    for (most, meddled) in [(0, false), (1, false), (2, true)] {
        for reflink in BOTH {
            let lab = Lab::grouped(reflink, 0);
            let (pool, slow) = published(&lab, most, meddled);
            let answer = groups(pool.as_ref()).ensure_group_snapshot(&spec());
            assert_eq!(answer.unwrap_err().kind(), ErrorKind::Busy, "{most} {meddled}");
            nothing_is_left(pool.as_ref(), &slow);
        }
    }
}

/// Kills in the n-th step of taking back what failed.
#[derive(Debug)]
struct CutUndo {
    left: Mutex<Option<usize>>,
    at: usize,
}

impl Checkpoints for CutUndo {
    fn before(&self, op: Op, subject: &Subject, step: &str) -> Result<()> {
        let mut left = self.left.lock().unwrap();
        if step.contains("as being removed") && left.is_none() {
            *left = Some(self.at);
        }
        match left.as_mut() {
            Some(0) => Err(Error::new(ErrorKind::Indeterminate, op, subject.clone(), "cut")),
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}

#[test]
fn what_is_taken_back_and_cut_in_that_is_taken_back_by_opening_the_pool() {
    let mut cuts = 0;
    for at in 0..10 {
        let lab = Lab::grouped(false, 0);
        let (pool, slow) = published(&lab, 0, false);
        let cut = CutUndo { left: Mutex::default(), at };
        let host = sim_host(Arc::clone(&lab.files), 97).with_checkpoints(Arc::new(cut));
        let other = FileBackend::new(host, Arc::new(lab.loops.clone()));
        let other = other.with_quiescer(Arc::clone(&slow) as _).open_pool(&pool_id()).unwrap();
        let answer = groups(other.as_ref()).ensure_group_snapshot(&spec()).unwrap_err();
        if answer.kind() == ErrorKind::Busy {
            break;
        }
        cuts += 1;
        drop(lab.open().unwrap());
        if at > 0 {
            nothing_is_left(pool.as_ref(), &slow);
        }
    }
    assert!((5..10).contains(&cuts), "{cuts} cuts");
}

#[test]
fn a_removal_that_was_cut_is_finished_by_the_call_that_takes_it_anew() {
    for cut in 2..12 {
        let lab = Lab::grouped(true, 0);
        let pool = lab.open().unwrap();
        let _ = groups(pool.as_ref()).ensure_group_snapshot(&spec()).unwrap();
        let host =
            sim_host(Arc::clone(&lab.files), 98).with_checkpoints(Arc::new(StopAt::new(cut)));
        let other = FileBackend::new(host, Arc::new(lab.loops.clone()));
        let other = other.open_pool(&pool_id()).unwrap();
        let answer = groups(other.as_ref()).remove_group_snapshot(&group("g"));
        if answer.is_ok() {
            assert!(cut > 4, "it took {cut} steps");
            return;
        }
        let changed = spec().writable();
        let made = groups(pool.as_ref()).ensure_group_snapshot(&changed).unwrap();
        assert!(made.changed() && made.get().writable, "{cut}");
        let held = lab.read(pool.as_ref(), &snapshot("g-side").into()).unwrap();
        assert!(summary(&held).ends_with("x3"), "{cut}: {}", summary(&held));
    }
    panic!("a removal has more steps than were cut");
}

#[test]
fn a_group_whose_record_is_damaged_holds_its_members_and_one_that_is_gone_does_not() {
    let lab = Lab::grouped(true, 0);
    let pool = lab.open().unwrap();
    let record = Path::new(POOL).join("snapshots").join("before.group");
    let remove = |name: &str| pool.snapshots().unwrap().remove_snapshot(&snapshot(name));
    let broken = lab.fork(1);
    broken.files.remove_file(&record).unwrap();
    broken.files.add_file(&record, b"nonsense").unwrap();
    let damaged = broken.open().unwrap();
    let listed = groups(damaged.as_ref()).list_group_snapshots().unwrap();
    assert!(matches!(listed.as_slice(), [one] if matches!(one.health, Health::Failed(_))));
    assert!(matches!(damaged.info().unwrap().health, Health::Degraded(_)));
    let snapshots = damaged.snapshots().unwrap();
    let alone = snapshots.remove_snapshot(&snapshot("before-old")).unwrap_err();
    assert_eq!(alone.kind(), ErrorKind::Busy);
    // Members that were ready are so whatever became of the record of their group.
    assert!(broken.read(damaged.as_ref(), &snapshot("before-old").into()).is_some());

    assert_eq!(remove("before-old").unwrap_err().kind(), ErrorKind::Busy);
    lab.files.remove_file(&record).unwrap();
    assert!(remove("before-old").unwrap().changed());
}

#[test]
fn a_group_record_that_cannot_be_read_is_not_taken_for_absent() {
    let lab = Lab::grouped(true, 0);
    let pool = lab.open().unwrap();
    let record = Path::new(POOL).join("snapshots").join("before.group");
    lab.files.set_unreadable(&record, Some(EIO));
    let answer = groups(pool.as_ref()).remove_group_snapshot(&group("before"));
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::Io);
    let again = GroupSnapshotSpec::new(group("before"));
    let again = again.with_member(snapshot("g-old"), volume("old"));
    let answer = groups(pool.as_ref()).ensure_group_snapshot(&again);
    assert_eq!(answer.unwrap_err().kind(), ErrorKind::Io);
    lab.files.set_unreadable(&record, None);
    let seen = groups(pool.as_ref()).group_snapshot(&group("before")).unwrap();
    assert_eq!((seen.members.len(), seen.phase), (2, Phase::Ready));
}
