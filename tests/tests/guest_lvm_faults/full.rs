//! Writers fill a thin pool while volumes are made, copied and grown on it.
//!
//! Whatever is refused is refused for want of room and says what to do, nothing waits for the
//! room that is missing, and with a larger pool everything goes on.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use open_local_core::conformance::Fixture;
use open_local_core::host::{Clock, SystemClock, Unchecked, poll_until};
use open_local_core::{
    Backend, Bytes, Error, ErrorKind, FullPolicy, Health, Pool, PoolExt, PublishSpec, Ratio,
    SnapshotSpec, VolumeSpec,
};
use open_local_lvm::activate::UdevMode;
use open_local_tests::Direct;
use open_local_tests::guest::rounds;

use crate::changes::{room, snapshot, volume};
use crate::rack::Rack;

/// Data of the pool, and the two volumes that are written to.
const DATA: Bytes = Bytes::new(32 << 20);
const SIZE: Bytes = Bytes::new(24 << 20);
const PIECE: u64 = 256 << 10;
/// Filling takes a few seconds, in an emulated guest too.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest a call on a full pool may take: it must not wait for the kernel's own deadline,
/// which is 60 s.
const PROMPT: Duration = Duration::from_secs(30);

/// Fills a device from its start; how far it came, and why not further.
fn write(node: PathBuf, byte: u8, from: u64) -> (u64, io::Result<()>) {
    let device = Direct::open(&node).unwrap();
    for start in (from..SIZE.get()).step_by(usize::try_from(PIECE).unwrap()) {
        if let Err(error) = device.fill(start, usize::try_from(PIECE).unwrap(), byte) {
            return (start, Err(error));
        }
    }
    (SIZE.get(), device.flush())
}

struct Lab {
    // Closed before the disk is taken away.
    pool: Arc<dyn Pool>,
    rack: Rack,
    nodes: [PathBuf; 2],
}

impl Lab {
    fn new(name: &str, when_full: &str) -> Self {
        let rack = Rack::new(name, true, UdevMode::Absent);
        // Room to grow lies beside the pool.
        let wish = room(Bytes::new(DATA.get() * 3));
        let spec = rack.renew(&wish).with_overcommit(Ratio::of(Bytes::new(8), Bytes::new(1)));
        let spec = spec.with_parameter("data-size", DATA.to_string());
        let spec = spec.with_parameter("when-full", when_full);
        let backend = rack.site.backend(Arc::new(Unchecked));
        let _ = backend.ensure_pool(&spec).unwrap();
        let pool = backend.open_pool(&spec.id).unwrap();
        let nodes = ["a", "b"].map(|name| {
            let _ = pool.ensure_volume(&VolumeSpec::new(volume(name), SIZE)).unwrap();
            let at = pool.publish(&PublishSpec::new(volume(name))).unwrap();
            at.get().device.clone()
        });
        Self { pool, rack, nodes }
    }

    fn is_full(&self) -> bool {
        matches!(self.pool.info().unwrap().health, Health::Degraded(why) if why.contains("no room"))
    }

    /// Makes, copies and grows while the pool fills up; how many calls were refused.
    fn work(&self) -> (u32, u32) {
        let (mut done, mut refused) = (0, 0);
        for turn in 0..1000 {
            let full = self.is_full();
            for (what, result) in self.turn(turn) {
                match result {
                    Ok(()) => {
                        assert!(!full || what == "grow", "{what} on a full pool");
                        done += 1;
                    }
                    Err(error) => {
                        is_for_room(what, &error);
                        refused += 1;
                    }
                }
            }
            if full {
                return (done, refused);
            }
        }
        panic!("the pool never was full");
    }

    fn turn(&self, turn: u64) -> Vec<(&'static str, Result<(), Error>)> {
        let name = format!("v{turn}");
        let snapshots = self.pool.require_snapshots().unwrap();
        let prompt = |what: &'static str, call: &dyn Fn() -> Result<(), Error>| {
            let start = SystemClock.monotonic();
            let result = call();
            let took = SystemClock.monotonic().saturating_sub(start);
            assert!(took < PROMPT, "{what} took {took:?}");
            (what, result)
        };
        let larger = SIZE.get() + (turn + 1) * (4 << 20);
        vec![
            prompt("create", &|| {
                self.pool.ensure_volume(&VolumeSpec::new(volume(&name), DATA)).map(drop)?;
                self.pool.remove_volume(&volume(&name)).map(drop)
            }),
            prompt("snapshot", &|| {
                let spec = SnapshotSpec::new(snapshot(&name), volume("a"));
                snapshots.ensure_snapshot(&spec).map(drop)?;
                snapshots.remove_snapshot(&snapshot(&name)).map(drop)
            }),
            prompt("grow", &|| self.pool.grow_volume(&volume("b"), Bytes::new(larger)).map(drop)),
        ]
    }

    /// The operator's remedy: the tools make the pool larger.
    fn more_room(&self) {
        self.rack.lvm("lvextend", &["-L", "+32m", &self.rack.thin_pool()]);
    }

    /// Everything works again, and nothing was left.
    fn goes_on(&self) {
        let pool = self.rack.reopen(Arc::new(Unchecked)).unwrap();
        assert_eq!(pool.info().unwrap().health, Health::Healthy);
        let mut policy = pool.thin().unwrap().thin_policy().unwrap();
        policy.stop_at = Ratio::ONE;
        pool.thin().unwrap().set_thin_policy(&policy).unwrap();
        let _ = pool.ensure_volume(&VolumeSpec::new(volume("more"), SIZE)).unwrap();
        let spec = SnapshotSpec::new(snapshot("more"), volume("a"));
        let _ = pool.snapshots().unwrap().ensure_snapshot(&spec).unwrap();
        self.rack.lvm("vgck", &["vg"]);
        assert_eq!(self.rack.leaks().unwrap(), Vec::<String>::new());
        for (node, byte) in self.nodes.iter().zip([1, 2]) {
            let device = Direct::open(node).unwrap();
            for start in (0..SIZE.get()).step_by(usize::try_from(PIECE).unwrap()) {
                let read = device.read(start, usize::try_from(PIECE).unwrap()).unwrap();
                assert!(read.iter().all(|found| *found == byte), "{} at {start}", node.display());
            }
        }
    }
}

fn is_for_room(what: &str, error: &Error) {
    assert_eq!(error.kind(), ErrorKind::OutOfSpace, "{what}: {}", error.report());
    assert!(error.remedy().is_some_and(|remedy| !remedy.is_empty()), "{what}: no remedy");
}

#[test]
fn writers_of_a_full_pool_wait_until_it_is_larger() {
    let lab = Lab::new("full-queue", "queue");
    assert_eq!(lab.pool.thin().unwrap().thin_policy().unwrap().when_full, FullPolicy::Queue);
    let [a, b] = lab.nodes.clone();
    let writers =
        [std::thread::spawn(move || write(a, 1, 0)), std::thread::spawn(move || write(b, 2, 0))];
    let (done, refused) = lab.work();
    println!("{done} calls done, {refused} refused");
    assert!(refused > 0, "nothing was refused");
    assert!(writers.iter().any(|writer| !writer.is_finished()), "nobody waits");
    lab.more_room();
    for writer in writers {
        let (end, result) = writer.join().unwrap();
        result.unwrap_or_else(|e| panic!("a write at {end} failed: {e}"));
    }
    lab.goes_on();
}

#[test]
fn writers_of_a_full_pool_fail_at_once_where_the_class_says_so() {
    let lab = Lab::new("full-error", "error");
    let [a, b] = lab.nodes.clone();
    let writers =
        [std::thread::spawn(move || write(a, 1, 0)), std::thread::spawn(move || write(b, 2, 0))];
    let ended = || Ok(writers.iter().all(|writer| writer.is_finished()).then_some(()));
    let ended = poll_until(&SystemClock, PATIENCE, ended).unwrap();
    assert!(ended.is_some(), "a writer of a full pool waits");
    let (done, refused) = lab.work();
    println!("{done} calls done, {refused} refused");
    let ends = writers.map(|writer| writer.join().unwrap());
    let failed = ends.iter().filter_map(|(_, result)| result.as_ref().err());
    let codes: Vec<Option<i32>> = failed.map(io::Error::raw_os_error).collect();
    assert!(!codes.is_empty() && codes.iter().all(|code| *code == Some(28)), "{codes:?}");
    lab.more_room();
    for (node, (byte, (end, _))) in lab.nodes.iter().zip([1, 2].into_iter().zip(ends)) {
        let (end, result) = write(node.clone(), byte, end.min(SIZE.get() - PIECE));
        result.unwrap_or_else(|e| panic!("a write at {end} failed on the larger pool: {e}"));
    }
    lab.goes_on();
}

/// The kernel's deadline: after it a queued write fails, and nobody waits for ever.
#[test]
fn a_writer_of_a_full_pool_waits_no_longer_than_the_deadline() {
    if rounds(1) == 1 {
        return;
    }
    let lab = Lab::new("full-deadline", "queue");
    let timeout = "/sys/module/dm_thin_pool/parameters/no_space_timeout";
    std::fs::write(timeout, "5").unwrap();
    let [a, b] = lab.nodes.clone();
    let writers =
        [std::thread::spawn(move || write(a, 1, 0)), std::thread::spawn(move || write(b, 2, 0))];
    let ended = || Ok(writers.iter().all(|writer| writer.is_finished()).then_some(()));
    let ended = poll_until(&SystemClock, PATIENCE, ended).unwrap();
    std::fs::write(timeout, "60").unwrap();
    assert!(ended.is_some(), "a writer waits on");
    let ends = writers.map(|writer| writer.join().unwrap());
    assert!(ends.iter().any(|(_, result)| result.is_err()));
    lab.more_room();
    let pool = lab.rack.reopen(Arc::new(Unchecked)).unwrap();
    assert_eq!(pool.info().unwrap().health, Health::Healthy);
}
