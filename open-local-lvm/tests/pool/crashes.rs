//! Every change of a pool, cut in every call that changes something: a write, a flush, a call of
//! the kernel, a message to a thin pool. The process is killed, or the power goes; a new process
//! opens the pool and makes the same call again, and the end is the same as without the cut.
//!
//! A run cuts every fifth call, and every one if `OPEN_LOCAL_SOAK` is set.
//! The table of what was cut where and what a new process found is written beside the other
//! temporary files of the tests.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::{Arc, Mutex};

use open_local_core::host::{BlockIo, Checkpoints, DeviceAccess, Devices, OpenMode, Unchecked};
use open_local_core::{
    Backend, Bytes, FormatToken, FullPolicy, Op, Pool, PoolExt, PoolSpec, PublishSpec, Ratio,
    Result, SnapshotSpec, Source, Subject, VolumeSource, VolumeSpec,
};
use open_local_lvm::pool::LvmBackend;

use crate::lab::{Lab, id, mib};

/// A volume of a few extents.
const SIZE: Bytes = Bytes::new(256 << 10);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Thick,
    Thin,
}

struct Change {
    name: &'static str,
    kind: Kind,
    /// What the machine has to have before.
    prepare: fn(&Lab),
    act: fn(&LvmBackend) -> Result<()>,
}

fn spec(kind: Kind) -> PoolSpec {
    let spec = PoolSpec::new(id())
        .with_parameter("devices", "/dev/sda")
        .with_parameter("extent-size", "64KiB");
    match kind {
        Kind::Thick => spec,
        Kind::Thin => spec
            .with_parameter("mode", "thin")
            .with_parameter("data-size", "4MiB")
            .with_parameter("metadata-size", "2MiB"),
    }
}

fn pool(backend: &LvmBackend) -> Result<Arc<dyn Pool>> {
    backend.open_pool(&id())
}

fn stamp(lab: &Lab, pool: &dyn Pool, key: &Source, byte: u8) {
    let device = pool.publish(&PublishSpec::new(key.clone())).unwrap().into_inner();
    let access = DeviceAccess::Direct(OpenMode::ReadWrite);
    let io = lab.dm.open(&device.device, access).unwrap();
    io.write_at(0, &vec![byte; usize::try_from(SIZE.get()).unwrap()]).unwrap();
    io.flush().unwrap();
    drop(io);
    assert!(pool.unpublish(key).unwrap().changed());
}

fn volume(name: &str) -> Source {
    Source::Volume(name.parse().unwrap())
}

/// A pool with a volume that holds ones, and where there are snapshots one of it, of zeroes.
fn start(kind: Kind) -> Lab {
    let lab = Lab::new(&[40, 40]);
    let backend = lab.live(Arc::new(Unchecked));
    let _ = backend.ensure_pool(&spec(kind)).unwrap();
    let pool = pool(&backend).unwrap();
    let _ = pool.ensure_volume(&VolumeSpec::new("old".parse().unwrap(), SIZE)).unwrap();
    stamp(&lab, pool.as_ref(), &volume("old"), 2);
    if kind == Kind::Thin {
        let spec = SnapshotSpec::new("twos".parse().unwrap(), "old".parse().unwrap());
        let _ = pool.require_snapshots().unwrap().ensure_snapshot(&spec).unwrap();
        stamp(&lab, pool.as_ref(), &volume("old"), 1);
    }
    lab
}

fn publish_old(lab: &Lab) {
    let pool = pool(&lab.live(Arc::new(Unchecked))).unwrap();
    let _ = pool.publish(&PublishSpec::new(volume("old"))).unwrap();
}

fn nothing(_: &Lab) {}

fn double() -> Bytes {
    SIZE.checked_mul(2).unwrap()
}

fn thick_and_thin() -> Vec<Change> {
    let both = |name, prepare: fn(&Lab), act: fn(&LvmBackend) -> Result<()>| {
        [Kind::Thick, Kind::Thin].map(|kind| Change { name, kind, prepare, act })
    };
    let mut all = Vec::new();
    all.extend(both("create volume", nothing, |b| {
        let spec = VolumeSpec::new("new".parse()?, SIZE).with_tag("k", "v");
        pool(b)?.ensure_volume(&spec).map(drop)
    }));
    all.extend(both("grow volume", nothing, |b| {
        pool(b)?.grow_volume(&"old".parse()?, double()).map(drop)
    }));
    all.extend(both("grow published volume", publish_old, |b| {
        pool(b)?.grow_volume(&"old".parse()?, double()).map(drop)
    }));
    all.extend(both("publish", nothing, |b| {
        pool(b)?.publish(&PublishSpec::new(volume("old"))).map(drop)
    }));
    all.extend(both("publish read-only", nothing, |b| {
        pool(b)?.publish(&PublishSpec::new(volume("old")).read_only()).map(drop)
    }));
    all.extend(both("unpublish", publish_old, |b| pool(b)?.unpublish(&volume("old")).map(drop)));
    all.extend(both("remove volume", nothing, |b| {
        let _ = pool(b)?.remove_volume(&"old".parse()?)?;
        pool(b)?.maintain_all().map(drop)
    }));
    all.extend(both("set format token", nothing, |b| {
        let pool = pool(b)?;
        pool.require_format_tokens()?.set_format_token(&"old".parse()?, FormatToken::Spent)
    }));
    all.extend(both("make second pool", nothing, |b| {
        let spec = PoolSpec::new("second".parse()?)
            .with_parameter("devices", "/dev/sdb")
            .with_parameter("extent-size", "64KiB");
        b.ensure_pool(&spec).map(drop)
    }));
    all
}

fn thin_only() -> Vec<Change> {
    let one = |name, prepare: fn(&Lab), act: fn(&LvmBackend) -> Result<()>| Change {
        name,
        kind: Kind::Thin,
        prepare,
        act,
    };
    let take = |b: &LvmBackend| -> Result<()> {
        let spec = SnapshotSpec::new("new".parse()?, "old".parse()?);
        pool(b)?.require_snapshots()?.ensure_snapshot(&spec).map(drop)
    };
    vec![
        one("snapshot", nothing, take),
        one("snapshot of published volume", publish_old, take),
        one("writable snapshot", nothing, |b| {
            let spec = SnapshotSpec::new("new".parse()?, "old".parse()?).writable();
            pool(b)?.require_snapshots()?.ensure_snapshot(&spec).map(drop)
        }),
        one("clone to larger", nothing, |b| {
            let source = VolumeSource::Volume("old".parse()?);
            let spec = VolumeSpec::new("new".parse()?, double()).from_source(source);
            pool(b)?.ensure_volume(&spec).map(drop)
        }),
        one("restore to larger", nothing, |b| {
            let source = VolumeSource::Snapshot("twos".parse()?);
            let spec = VolumeSpec::new("new".parse()?, double()).from_source(source);
            pool(b)?.ensure_volume(&spec).map(drop)
        }),
        one("roll back", nothing, |b| {
            let pool = pool(b)?;
            pool.require_snapshots()?.roll_back(&"old".parse()?, &"twos".parse()?).map(drop)
        }),
        one("remove snapshot", nothing, |b| {
            pool(b)?.require_snapshots()?.remove_snapshot(&"twos".parse()?).map(drop)
        }),
        one("extend pool data", nothing, |b| {
            b.extend_thin_pool(&id(), Some(mib(6)), None).map(drop)
        }),
        one("extend pool metadata", publish_old, |b| {
            b.extend_thin_pool(&id(), None, Some(mib(3))).map(drop)
        }),
        one("set policy", nothing, |b| {
            let pool = pool(b)?;
            let Some(thin) = pool.thin() else { return Ok(()) };
            let policy = thin.thin_policy()?.with_overcommit(Ratio::from_percent(150));
            thin.set_thin_policy(&policy.with_when_full(FullPolicy::Queue))
        }),
        one("make second thin pool", nothing, |b| {
            let spec = PoolSpec::new("second".parse()?)
                .with_parameter("devices", "/dev/sdb")
                .with_parameter("mode", "thin")
                .with_parameter("data-size", "4MiB")
                .with_parameter("metadata-size", "2MiB")
                .with_parameter("extent-size", "64KiB");
            b.ensure_pool(&spec).map(drop)
        }),
    ]
}

/// The first and the last byte of each half megabyte, run by run.
fn summary(io: &dyn BlockIo) -> String {
    let size = usize::try_from(io.size().unwrap().get()).unwrap();
    let mut bytes = vec![0; size];
    io.read_at(0, &mut bytes).unwrap();
    let mut text = String::new();
    for run in bytes.chunk_by(|a, b| a == b) {
        let _ = write!(text, "{}x{} ", run.len() >> 10, run[0]);
    }
    text
}

/// Everything a caller can see, with contents; what differs from run to run is left out.
fn observe(lab: &Lab) -> BTreeMap<String, String> {
    let backend = lab.live(Arc::new(Unchecked));
    let mut seen = BTreeMap::new();
    let pool = pool(&backend).unwrap();
    for info in backend.list_pools().unwrap() {
        let mut details = info.details.clone();
        details.retain(|key, _| !["transaction-id", "group-uuid", "uuid"].contains(&key.as_str()));
        let mut room = info.capacity;
        // Blocks of metadata follow the order in which things were made.
        room.used = Bytes::ZERO;
        details.remove("metadata-used");
        // What a cut call left in a thin pool is never deleted on suspicion.
        details.remove("unknown-devices");
        seen.insert(
            format!("pool {}", info.id()),
            format!("{room:?} {:?} {details:?}", info.health),
        );
    }
    let tokens = pool.require_format_tokens().unwrap();
    let mut keys = Vec::new();
    for mut volume in pool.volumes().unwrap() {
        let mode = volume.attachment.take().map(|a| a.read_only);
        let token = tokens.format_token(&volume.id).ok();
        seen.insert(format!("volume {}", volume.id), format!("{volume:?} {mode:?} {token:?}"));
        // What is being erased can't be asked for.
        if let Ok(id) = volume.id.as_str().parse() {
            keys.push((Source::Volume(id), mode));
        }
    }
    if let Some(snapshots) = pool.snapshots() {
        for mut snapshot in snapshots.list_snapshots(None).unwrap() {
            snapshot.created = std::time::UNIX_EPOCH;
            let mode = snapshot.attachment.take().map(|a| a.read_only);
            seen.insert(format!("snapshot {}", snapshot.id), format!("{snapshot:?} {mode:?}"));
            keys.push((Source::Snapshot(snapshot.id), mode));
        }
    }
    for (key, mode) in keys {
        let read_only = mode.unwrap_or(true);
        let mut spec = PublishSpec::new(key.clone());
        spec.read_only = read_only;
        let device = pool.publish(&spec).unwrap().into_inner();
        let io = lab.dm.open(&device.device, DeviceAccess::Direct(OpenMode::Read)).unwrap();
        seen.insert(format!("content of {key}"), summary(io.as_ref()));
        drop(io);
        if mode.is_none() {
            let _ = pool.unpublish(&key).unwrap();
        }
    }
    seen
}

/// The step that was announced last.
#[derive(Debug, Default)]
struct Announced(Mutex<String>);

impl Checkpoints for Announced {
    fn before(&self, _: Op, _: &Subject, step: &str) -> Result<()> {
        *self.0.lock().unwrap() = step.to_owned();
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    Kill,
    Power,
}

/// What one cut led to.
struct Outcome {
    step: String,
    found: &'static str,
}

struct Wanted {
    before: BTreeMap<String, String>,
    after: BTreeMap<String, String>,
    rebooted: BTreeMap<String, String>,
}

/// Cuts a change in its n-th call; `None` once it has fewer.
fn try_cut(change: &Change, lab: &Lab, wanted: &Wanted, n: u64, cut: Cut) -> Option<Outcome> {
    let context = format!("{:?} {}, {cut:?} in call {n}", change.kind, change.name);
    let lab = lab.fork(n);
    let announced = Arc::new(Announced::default());
    lab.files.kill_at(n);
    let answer = (change.act)(&lab.live(announced.clone()));
    let step = announced.0.lock().unwrap().clone();
    if !lab.files.is_killed() {
        answer.unwrap_or_else(|error| panic!("{context}: {}", error.report()));
        return None;
    }
    let context = format!("{context} ({step})");
    let wanted_after = match cut {
        Cut::Kill => {
            lab.files.revive();
            &wanted.after
        }
        Cut::Power => {
            lab.dm.reboot();
            lab.files.power_cut(n);
            &wanted.rebooted
        }
    };
    let backend = lab.live(Arc::new(Unchecked));
    let opened = backend.open_pool(&id());
    opened.unwrap_or_else(|error| panic!("{context}: {}", error.report()));
    let found = observe(&lab);
    let found = match cut {
        Cut::Kill if found == wanted.before => "undone",
        Cut::Kill if found == wanted.after => "finished",
        Cut::Kill => "to be repeated",
        Cut::Power => "-",
    };
    (change.act)(&backend).unwrap_or_else(|error| panic!("{context}: {}", error.report()));
    let after = observe(&lab);
    assert_eq!(&after, wanted_after, "{context}");
    let leaks = lab.leaks();
    assert!(leaks.is_empty(), "{context}: {leaks:?}");
    Some(Outcome { step, found })
}

fn wanted(change: &Change, lab: &Lab) -> Wanted {
    let before = observe(&lab.fork(1));
    let uncut = lab.fork(1);
    let backend = uncut.live(Arc::new(Unchecked));
    (change.act)(&backend).unwrap_or_else(|e| panic!("{}: {}", change.name, e.report()));
    let after = observe(&uncut);
    let leaks = uncut.leaks();
    assert!(leaks.is_empty(), "{}: {leaks:?}", change.name);
    // After a power cut nothing is published but what the call itself publishes.
    let rebooted = lab.fork(1);
    rebooted.dm.reboot();
    rebooted.files.reboot();
    (change.act)(&rebooted.live(Arc::new(Unchecked))).unwrap();
    let rebooted = observe(&rebooted);
    Wanted { before, after, rebooted }
}

/// One operation alone, while something is being looked for.
fn wants(name: &str) -> bool {
    std::env::var("OPEN_LOCAL_OPERATION").is_ok_and(|only| only != name)
}

fn every(changes: &[Change], file: &str) {
    let mut table = String::from(
        "| Operation | Cut in call | After the step was announced | A new process finds it |\n|---|---|---|---|\n",
    );
    let (mut states, mut turn) = (0, 0u64);
    let stride = if std::env::var_os("OPEN_LOCAL_SOAK").is_some() { 1 } else { 5 };
    let mut starts: BTreeMap<bool, Lab> = BTreeMap::new();
    for change in changes.iter().filter(|change| !wants(change.name)) {
        let lab = starts.entry(change.kind == Kind::Thin).or_insert_with(|| start(change.kind));
        let lab = lab.fork(1);
        (change.prepare)(&lab);
        let wanted = wanted(change, &lab);
        for cut in [Cut::Kill, Cut::Power] {
            // In turns, so that all calls are cut by some operation or other.
            turn += 1;
            for n in (1u64..).filter(|n| *n <= 2 || (n + turn).is_multiple_of(stride)) {
                let Some(outcome) = try_cut(change, &lab, &wanted, n, cut) else {
                    assert!(n > 1, "{} changes nothing", change.name);
                    break;
                };
                states += 1;
                if cut == Cut::Kill {
                    let kind = format!("{:?}", change.kind).to_lowercase();
                    let (name, step, found) = (change.name, outcome.step, outcome.found);
                    let _ = writeln!(table, "| {kind} {name} | {n} | {step} | {found} |");
                }
            }
        }
    }
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(file);
    std::fs::write(&path, table).unwrap();
    // Past the capture of what tests print: whoever runs them is to know where it is.
    let _ = writeln!(
        std::io::stderr(),
        "{states} states after kills and power cuts; the table is {}",
        path.display()
    );
    let alone = std::env::var("OPEN_LOCAL_OPERATION").is_ok();
    assert!(alone || states > 60, "only {states} states");
}

#[test]
fn a_cut_in_any_call_of_any_change_is_finished_by_the_same_call() {
    every(&thick_and_thin(), "lvm-crashes.md");
}

#[test]
fn a_cut_in_any_call_of_thin_changes_is_finished_by_the_same_call() {
    every(&thin_only(), "lvm-thin-crashes.md");
}
