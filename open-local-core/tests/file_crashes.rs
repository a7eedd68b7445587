//! Every write of every change of the `file` backend, cut: by a kill, by a power cut, by an error.
//!
//! For each change the mutating calls it makes are counted. Then, for every one of them, the
//! machine is set up anew, the change is cut in that call, a new process opens the pool, and the
//! same call is made again. Nothing that was there before may be touched, and the end must be the
//! same as without the cut.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

use std::path::Path;
use std::sync::Arc;

use open_local_core::file::{FileBackend, FileOptions};
use open_local_core::host::Loops;
use open_local_core::sim::{SimFiles, SimLoops, sim_host};
use open_local_core::{
    Backend, Bytes, ErrorKind, FormatToken, Health, Phase, Pool, PoolId, PoolSpec, Provisioning,
    PublishSpec, Result, SnapshotId, SnapshotSpec, Source, VolumeId, VolumeSource, VolumeSpec,
};

const POOL: &str = "/srv/pool";
const SIZE: Bytes = Bytes::new(64 << 10);

fn volume(name: &str) -> VolumeId {
    VolumeId::new(name).unwrap()
}

fn snapshot(name: &str) -> SnapshotId {
    SnapshotId::new(name).unwrap()
}

fn pool_id() -> PoolId {
    PoolId::new("p").unwrap()
}

struct Lab {
    files: Arc<SimFiles>,
    loops: SimLoops,
}

impl Lab {
    fn empty(reflink: bool, seed: u64) -> Self {
        let files = Arc::new(SimFiles::new(seed));
        files.set_reflink(reflink);
        files.add_folder("/srv").unwrap();
        files.add_folder("/var/lib").unwrap();
        let loops = SimLoops::new(&files).unwrap();
        Self { files, loops }
    }

    /// A machine in the same state, with its own luck.
    fn fork(&self, seed: u64) -> Self {
        let files = Arc::new(self.files.fork(seed));
        let loops = SimLoops::new(&files).unwrap();
        Self { files, loops }
    }

    fn backend(&self) -> FileBackend {
        let mut options = FileOptions::default();
        // Marks fall within the small volumes, so that resuming a copy is tried too.
        options.copy_mark = Bytes::new(16 << 10);
        let host = sim_host(Arc::clone(&self.files), 5);
        FileBackend::new(host, Arc::new(self.loops.clone())).with_options(options)
    }

    /// A pool with a volume of ones, a snapshot of it, and then a volume of twos.
    fn filled(reflink: bool, seed: u64) -> Self {
        let lab = Self::empty(reflink, seed);
        let _ = lab
            .backend()
            .ensure_pool(&PoolSpec::new(pool_id()).at(POOL))
            .unwrap();
        let pool = lab.open().unwrap();
        let shares = pool.capabilities().clones == open_local_core::CopyMethod::Shared;
        assert_eq!(shares, reflink, "the pool finds out what its folder can do");
        let _ = pool
            .ensure_volume(&VolumeSpec::new(volume("old"), SIZE))
            .unwrap();
        lab.write(pool.as_ref(), &volume("old").into(), 1);
        let spec = SnapshotSpec::new(snapshot("ones"), volume("old"));
        let _ = pool.snapshots().unwrap().ensure_snapshot(&spec).unwrap();
        lab.write(pool.as_ref(), &volume("old").into(), 2);
        let token = pool.format_tokens().unwrap();
        token
            .set_format_token(&volume("old"), FormatToken::Spent)
            .unwrap();
        lab
    }

    fn open(&self) -> Result<Arc<dyn Pool>> {
        self.backend().open_pool(&pool_id())
    }

    fn write(&self, pool: &dyn Pool, source: &Source, byte: u8) {
        let at = pool
            .publish(&PublishSpec::new(source.clone()))
            .unwrap()
            .into_inner();
        let device = self.loops.open(at.number).unwrap();
        device
            .write_at(0, &vec![byte; usize::try_from(SIZE.get()).unwrap()])
            .unwrap();
        device.flush().unwrap();
        drop(device);
        let _ = pool.unpublish(source).unwrap();
    }

    /// The bytes an object begins with; `None` if there is no such object.
    fn read(&self, pool: &dyn Pool, source: &Source) -> Option<Vec<u8>> {
        let attached = match pool.publish(&PublishSpec::new(source.clone()).read_only()) {
            Ok(at) => at.into_inner(),
            Err(e) if e.kind() == ErrorKind::NotFound => return None,
            Err(e) if e.kind() == ErrorKind::Conflict => {
                // Published for writing by the change that was cut.
                pool.publish(&PublishSpec::new(source.clone()))
                    .unwrap()
                    .into_inner()
            }
            Err(e) => panic!("{}", e.report()),
        };
        let device = self.loops.open(attached.number).unwrap();
        let size = usize::try_from(device.size().unwrap().get()).unwrap();
        let mut bytes = vec![0; size];
        device.read_at(0, &mut bytes).unwrap();
        drop(device);
        if attached.read_only {
            let _ = pool.unpublish(source).unwrap();
        }
        Some(bytes)
    }

    /// What the pool shows: every object with size, token, phase and content, and every file.
    fn state(&self) -> String {
        let pool = self.open().unwrap();
        let mut lines = Vec::new();
        let volumes = pool.volumes().unwrap();
        for info in &volumes {
            assert_eq!(info.health, Health::Healthy, "{info:?}");
            let token = (info.phase == Phase::Ready).then(|| {
                pool.format_tokens()
                    .unwrap()
                    .format_token(&info.id)
                    .unwrap()
            });
            let content = self
                .read(pool.as_ref(), &info.id.clone().into())
                .map(|b| summary(&b));
            let published = info.attachment.is_some();
            lines.push(format!(
                "{} {} {} {token:?} {content:?} {published}",
                info.id, info.size, info.provisioning
            ));
        }
        for info in pool.snapshots().unwrap().list_snapshots(None).unwrap() {
            assert_eq!(info.health, Health::Healthy, "{info:?}");
            let content = self
                .read(pool.as_ref(), &info.id.clone().into())
                .map(|b| summary(&b));
            lines.push(format!(
                "{} of {} {} {content:?}",
                info.id, info.volume, info.size
            ));
        }
        // A lock file too many or too few means nothing.
        let is_lock = |path: &Path| {
            let name = path
                .file_name()
                .and_then(|n| n.to_str())
                .unwrap_or_default();
            let object = name.starts_with("volume-") || name.starts_with("snapshot-");
            name == "lock"
                || name == ".lock"
                || (path.parent().is_some_and(|p| p.ends_with("locks")) && object)
        };
        let paths = self.files.paths();
        lines.extend(
            paths
                .iter()
                .filter(|p| !is_lock(p))
                .map(|p| p.display().to_string()),
        );
        lines.push(format!("{} devices", self.loops.list().unwrap().len()));
        lines.join("\n")
    }
}

/// Content as runs of equal bytes.
fn summary(bytes: &[u8]) -> String {
    let runs = bytes.chunk_by(|a, b| a == b);
    runs.map(|run| format!("{}x{}", run.len(), run.first().unwrap()))
        .collect::<Vec<_>>()
        .join(" ")
}

type Change = fn(&FileBackend) -> Result<()>;

fn on_pool(backend: &FileBackend, change: impl FnOnce(&dyn Pool) -> Result<()>) -> Result<()> {
    change(backend.open_pool(&pool_id())?.as_ref())
}

fn changes() -> Vec<(&'static str, Change)> {
    vec![
        ("ensure_volume", |b| {
            on_pool(b, |p| {
                p.ensure_volume(&VolumeSpec::new(volume("new"), SIZE))
                    .map(drop)
            })
        }),
        ("ensure_thick_volume", |b| {
            let spec = VolumeSpec::new(volume("new"), SIZE).with_provisioning(Provisioning::Thick);
            on_pool(b, |p| p.ensure_volume(&spec).map(drop))
        }),
        ("restore", |b| {
            let spec = VolumeSpec::new(volume("new"), SIZE.checked_mul(2).unwrap())
                .from_source(VolumeSource::Snapshot(snapshot("ones")));
            on_pool(b, |p| p.ensure_volume(&spec).map(drop))
        }),
        ("clone", |b| {
            let spec = VolumeSpec::new(volume("new"), SIZE)
                .from_source(VolumeSource::Volume(volume("old")));
            on_pool(b, |p| p.ensure_volume(&spec).map(drop))
        }),
        ("grow", |b| {
            on_pool(b, |p| {
                p.grow_volume(&volume("old"), SIZE.checked_mul(3).unwrap())
                    .map(drop)
            })
        }),
        ("publish", |b| {
            on_pool(b, |p| p.publish(&PublishSpec::new(volume("old"))).map(drop))
        }),
        ("ensure_snapshot", |b| {
            let spec = SnapshotSpec::new(snapshot("twos"), volume("old"));
            on_pool(b, |p| {
                p.snapshots().unwrap().ensure_snapshot(&spec).map(drop)
            })
        }),
        ("roll_back", |b| {
            on_pool(b, |p| {
                p.snapshots()
                    .unwrap()
                    .roll_back(&volume("old"), &snapshot("ones"))
                    .map(drop)
            })
        }),
        ("remove_snapshot", |b| {
            on_pool(b, |p| {
                p.snapshots()
                    .unwrap()
                    .remove_snapshot(&snapshot("ones"))
                    .map(drop)
            })
        }),
        ("remove_volume", |b| {
            on_pool(b, |p| p.remove_volume(&volume("old")).map(drop))
        }),
        ("ensure_pool", |b| {
            let spec = PoolSpec::new(PoolId::new("q").unwrap()).at("/srv/second");
            let _ = b.ensure_pool(&spec)?;
            b.open_pool(&spec.id).map(drop)
        }),
        ("remove_pool", |b| {
            let id = PoolId::new("q").unwrap();
            match b.ensure_pool(&PoolSpec::new(id.clone()).at("/srv/second")) {
                // Its removal was cut and is taken up below.
                Err(e) if e.kind() == ErrorKind::Busy => {}
                other => drop(other?),
            }
            b.remove_pool(&id).map(drop)
        }),
    ]
}

/// What happens in the n-th call.
#[derive(Debug, Clone, Copy)]
enum Cut {
    Kill,
    Power(u64),
    Error(i32),
}

/// What must hold before the call is repeated: nothing of the old volume is lost.
fn check_untouched(lab: &Lab, name: &str, context: &str) {
    let pool = lab
        .open()
        .unwrap_or_else(|e| panic!("{context}: {}", e.report()));
    let old = lab
        .read(pool.as_ref(), &volume("old").into())
        .map(|bytes| summary(&bytes));
    let whole = SIZE.get();
    let expected: &[Option<String>] = match name {
        "remove_volume" => &[None, Some(format!("{whole}x2"))],
        "roll_back" => &[Some(format!("{whole}x1")), Some(format!("{whole}x2"))],
        "grow" => &[
            Some(format!("{whole}x2")),
            Some(format!("{whole}x2 {}x0", 2 * whole)),
        ],
        _ => &[Some(format!("{whole}x2"))],
    };
    if name == "remove_volume" && old.is_none() {
        return;
    }
    assert!(
        expected.contains(&old),
        "{context}: the old volume is {old:?}"
    );
    let ones = lab
        .read(pool.as_ref(), &snapshot("ones").into())
        .map(|bytes| summary(&bytes));
    let kept = ones == Some(format!("{whole}x1"));
    assert!(
        kept || (name == "remove_snapshot" && ones.is_none()),
        "{context}: {ones:?}"
    );
    for info in pool.volumes().unwrap() {
        assert!(
            !matches!(info.health, Health::Failed(_)),
            "{context}: {info:?}"
        );
        if info.id == volume("new") && info.phase == Phase::Ready {
            let new = lab
                .read(pool.as_ref(), &info.id.into())
                .map(|bytes| summary(&bytes))
                .unwrap();
            let half = match name {
                "restore" => format!("{whole}x1 {whole}x0"),
                "clone" => format!("{whole}x2"),
                _ => format!("{whole}x0"),
            };
            assert_eq!(new, half, "{context}: half-made content is shown as ready");
        }
    }
}

/// What there is after a change that was not cut.
struct Wanted {
    running: String,
    rebooted: String,
}

fn try_cut(name: &str, change: Change, start: &Lab, n: u64, cut: Cut, wanted: &Wanted) -> bool {
    let context = format!("{name}, {cut:?} in call {n}");
    let lab = start.fork(n);
    match cut {
        Cut::Error(errno) => lab.files.fail_at(n, errno),
        _ => lab.files.kill_at(n),
    }
    let answer = change(&lab.backend());
    let reached = match cut {
        Cut::Error(_) => answer.is_err(),
        _ => lab.files.is_killed(),
    };
    match cut {
        Cut::Kill => lab.files.revive(),
        Cut::Power(seed) => lab.files.power_cut(seed),
        Cut::Error(_) => lab.files.fail_at(u64::MAX, libc_eio()),
    }
    check_untouched(&lab, name, &context);
    let again = change(&lab.backend());
    again.unwrap_or_else(|e| panic!("{context}: again: {}", e.report()));
    assert_eq!(lab.state(), wanted.running, "{context}");
    if !matches!(cut, Cut::Power(_)) {
        // What was answered is on the disk, also what the cut call had made but not flushed.
        lab.files.power_cut(0);
        let after = lab.state();
        // Temporary files of a write are nobody's once it has ended.
        let kept = after.lines().filter(|line| !line.contains("/."));
        let kept: Vec<&str> = kept.collect();
        assert_eq!(
            kept.join("\n"),
            wanted.rebooted,
            "{context}, then a power cut"
        );
    }
    reached
}

const fn libc_eio() -> i32 {
    5
}

fn enumerate(cuts: &[Cut]) {
    let mut tried = 0;
    for reflink in [true, false] {
        let start = Lab::filled(reflink, 0);
        for (name, change) in changes() {
            let lab = start.fork(0);
            let before = lab.files.operations();
            change(&lab.backend()).unwrap_or_else(|e| panic!("{name}: {}", e.report()));
            let calls = lab.files.operations() - before;
            assert!(calls > 0, "{name} changes nothing");
            let running = lab.state();
            lab.files.reboot();
            let rebooted = lab.state();
            let wanted = Wanted { running, rebooted };
            for n in 1..=calls {
                for cut in cuts {
                    tried += 1;
                    let reached = try_cut(name, change, &start, n, *cut, &wanted);
                    assert!(
                        reached || matches!(cut, Cut::Error(_)),
                        "{name}: call {n} not reached"
                    );
                }
            }
        }
    }
    println!("{tried} cuts");
    assert!(tried > 100, "only {tried} cuts");
}

#[test]
fn a_kill_in_any_call_is_finished_by_the_same_call() {
    enumerate(&[Cut::Kill]);
}

#[test]
fn a_power_cut_in_any_call_is_finished_by_the_same_call() {
    let seeds: Vec<Cut> = (0..4).map(Cut::Power).collect();
    enumerate(&seeds);
}

#[test]
fn an_error_in_any_call_loses_nothing() {
    enumerate(&[Cut::Error(5), Cut::Error(28)]);
}

#[test]
fn a_pool_whose_folder_is_away_is_neither_remade_nor_forgotten() {
    let lab = Lab::filled(true, 0);
    // As when the disk is not mounted: the folder is there and empty.
    let elsewhere = Lab::empty(true, 0);
    elsewhere.files.add_folder(POOL).unwrap();
    for path in lab
        .files
        .paths()
        .iter()
        .filter(|p| p.starts_with("/var/lib/open-local"))
    {
        use open_local_core::host::{FileKind, Files, OpenMode};
        if lab.files.stat(path).unwrap().kind == FileKind::Directory {
            let _ = elsewhere.files.add_folder(path);
            continue;
        }
        let file = lab.files.open(path, OpenMode::Read).unwrap();
        let mut bytes = vec![0; file.size().unwrap().to_usize().unwrap()];
        file.read_at(0, &mut bytes).unwrap();
        elsewhere.files.add_file(path, &bytes).unwrap();
    }
    let backend = elsewhere.backend();
    let spec = PoolSpec::new(pool_id()).at(POOL);
    for error in [
        backend.open_pool(&pool_id()).map(drop).unwrap_err(),
        backend.ensure_pool(&spec).map(drop).unwrap_err(),
        backend.remove_pool(&pool_id()).map(drop).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{}", error.report());
        assert!(
            error.remedy().is_some_and(|r| r.contains("mount")),
            "{}",
            error.report()
        );
    }
    assert!(
        !elsewhere
            .files
            .paths()
            .iter()
            .any(|p| p.starts_with(Path::new(POOL).join("volumes")))
    );
}
