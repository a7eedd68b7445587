//! Every change of the `file` backend, killed with SIGKILL before each of its steps, on real files,
//! loop devices and mounts.
//!
//! A child process makes the change and is killed before step n. The parent then opens the pool,
//! as the next start of a program would, looks whether anything old is lost or anything new is
//! half-made, makes the same call and compares with the outcome of a call that nobody cut.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod changes;

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use changes::{
    Before, CHANGES, Change, EXT4_SIZE, SIZE, XFS_SIZE, second, snapshot, target, volume,
};
use open_local_core::fs::{Filesystems, FormatSpec, MountSpec};
use open_local_core::host::{
    CountSteps, Files, Invocation, KillAt, MountCalls, OpenMode, SystemFiles, SystemMounts,
    Unchecked,
};
use open_local_core::{
    Backend, Bytes, Ensured, FormatToken, FsKind, Health, Phase, Pool, PoolExt, PublishSpec,
    SnapshotSpec, Source, VolumeSpec,
};
use open_local_tests::{PoolFolder, Scratch, child};

/// Environment variable that tells a child what to do, and before which step to die.
const TASK: &str = "OPEN_LOCAL_TEST_TASK";
/// A call with more steps is taken to be endless.
const MOST_STEPS: u64 = 60;
/// What has more runs of equal bytes holds a file system.
const MOST_RUNS: usize = 10;
/// A write that takes longer waits for a file system that is frozen.
const WRITE_WAIT: Duration = Duration::from_secs(10);

/// What a child does: the change it was told, counted or killed. Nothing for everybody else.
#[test]
fn worker() {
    let (Ok(task), Some(pool)) = (std::env::var(TASK), PoolFolder::from_parent()) else {
        return;
    };
    let (name, kill_at) = task.split_once(' ').unwrap();
    let change = CHANGES.iter().find(|change| change.name == name).unwrap();
    match kill_at.parse().unwrap() {
        0 => {
            let count = Arc::new(CountSteps::default());
            (change.act)(&pool, count.clone()).unwrap_or_else(|e| panic!("{}", e.report()));
            println!("steps {}", count.steps());
        }
        step => {
            let done = (change.act)(&pool, Arc::new(KillAt::new(step)));
            panic!("survived step {step}: {done:?}");
        }
    }
}

/// A pool on a small disk of its own.
struct Lab {
    pool: PoolFolder,
    scratch: Scratch,
}

impl Lab {
    fn new(kind: &str) -> Self {
        let scratch = Scratch::new(&format!("kill-{kind}"));
        let disk = scratch.disk("disk", Bytes::from_mib(1024).unwrap(), kind);
        fs::create_dir(scratch.join("mnt")).unwrap();
        let pool = PoolFolder::new(scratch.path(), &disk.join("pool"));
        Self { pool, scratch }
    }

    /// Throws away what there is and makes what a change finds.
    fn prepare(&self, before: Before) {
        // Left by a former round: not mounted at all is fine as well.
        let _ = SystemMounts.unmount(&target(&self.pool), false);
        second(&self.pool).clear().unwrap();
        self.pool.clear().unwrap();
        let pool = self.pool.ensure().unwrap();
        let old = Source::Volume(volume("old"));
        let _ = pool.ensure_volume(&VolumeSpec::new(volume("old"), SIZE)).unwrap();
        self.fill(pool.as_ref(), &old, 1);
        let ones = SnapshotSpec::new(snapshot("ones"), volume("old"));
        let _ = pool.require_snapshots().unwrap().ensure_snapshot(&ones).unwrap();
        self.fill(pool.as_ref(), &old, 2);
        match before {
            Before::Unpublished => {}
            Before::Published => drop(pool.publish(&PublishSpec::new(old)).unwrap()),
            Before::Mounted(kind) => self.mount(pool.as_ref(), kind),
            Before::Blank => {
                let spec = VolumeSpec::new(volume("blank"), EXT4_SIZE);
                let _ = pool.ensure_volume(&spec).unwrap();
                let _ = pool.publish(&PublishSpec::new(volume("blank"))).unwrap();
            }
            Before::SecondPool => drop(second(&self.pool).ensure().unwrap()),
        }
    }

    fn fill(&self, pool: &dyn Pool, source: &Source, byte: u8) {
        let at = pool.publish(&PublishSpec::new(source.clone())).unwrap().into_inner();
        let device = SystemFiles.open(&at.device, OpenMode::ReadWrite).unwrap();
        device.write_at(0, &vec![byte; SIZE.to_usize().unwrap()]).unwrap();
        device.flush().unwrap();
        drop(device);
        let _ = pool.unpublish(source).unwrap();
    }

    fn mount(&self, pool: &dyn Pool, kind: FsKind) {
        let size = if kind == FsKind::Xfs { XFS_SIZE } else { EXT4_SIZE };
        let _ = pool.ensure_volume(&VolumeSpec::new(volume("mounted"), size)).unwrap();
        let at = pool.publish(&PublishSpec::new(volume("mounted"))).unwrap().into_inner();
        let filesystems = self.pool.filesystems(Arc::new(Unchecked));
        let (tokens, id) = (pool.require_format_tokens().unwrap(), volume("mounted"));
        let spec = FormatSpec::new(kind);
        let _ = filesystems.ensure_formatted(tokens, &id, &at, &spec).unwrap();
        let spec = MountSpec::new(&at.device, target(&self.pool));
        let _ = filesystems.ensure_mounted(&spec).unwrap();
        fs::write(target(&self.pool).join("precious"), PRECIOUS).unwrap();
        nix::unistd::sync();
    }

    /// Runs the change in a child; answers its steps, or fails unless it was killed.
    fn child(&self, name: &str, kill_at: u64) -> Option<u64> {
        let task = [(TASK.into(), format!("{name} {kill_at}").into())];
        let environment = [self.pool.for_child().as_slice(), &task].concat();
        let ended = child::run(&child::one_test("worker"), &environment);
        if kill_at == 0 {
            assert!(ended.success(), "{name}: {}", ended.said);
            return ended.number_after("steps ");
        }
        let signal = ended.signal();
        assert_eq!(signal, Some(9), "{name}, killed before step {kill_at}: {ended:?}");
        None
    }

    /// The content of an object as runs of equal bytes, the first few of them; `None` if there is
    /// nothing to read.
    fn content(&self, pool: &dyn Pool, source: &Source) -> Option<String> {
        let published = pool.publish(&PublishSpec::new(source.clone()).read_only());
        let at = match published {
            Ok(at) => at,
            // Published for writing by the change.
            Err(_) => pool.publish(&PublishSpec::new(source.clone())).ok()?,
        };
        let device = SystemFiles.open(&at.get().device, OpenMode::Read).unwrap();
        let mut bytes = vec![0; device.size().unwrap().to_usize().unwrap()];
        device.read_at(0, &mut bytes).unwrap();
        drop(device);
        if let Ensured::Created(_) = at {
            let _ = pool.unpublish(source).unwrap();
        }
        let runs = bytes.chunk_by(|a, b| a == b).take(MOST_RUNS);
        let runs = runs.map(|run| format!("{}x{}", run.len(), run.first().unwrap()));
        Some(runs.collect::<Vec<_>>().join(" "))
    }

    /// Whether the mounted file system is frozen now.
    fn is_frozen(&self) -> bool {
        let target = target(&self.pool);
        match SystemMounts.freeze(&target) {
            Ok(()) => {
                SystemMounts.thaw(&target).unwrap();
                false
            }
            Err(e) => {
                assert_eq!(e.raw_os_error(), Some(16), "EBUSY");
                true
            }
        }
    }

    /// Writes to the mounted file system in a process that may hang, and reads what was there.
    fn check_mount(&self, context: &str) {
        let target = target(&self.pool);
        let touch = Invocation::new("/usr/bin/touch").arg(target.join("touched"));
        let ended = child::run(&touch.with_deadline(WRITE_WAIT), &[]);
        assert!(ended.success(), "{context}: writing to the mount: {ended:?}");
        let kept = fs::read(target.join("precious")).unwrap();
        assert_eq!(kept, PRECIOUS, "{context}");
    }

    /// What the pool shows: every object with size, token, phase, health and content.
    fn state(&self, pool: &dyn Pool) -> String {
        let mut lines = Vec::new();
        for info in pool.volumes().unwrap() {
            let tokens = pool.require_format_tokens().unwrap();
            let token = tokens.format_token(&info.id).map(|t| t == FormatToken::Spent);
            let content = self.plain(pool, &info.id.clone().into());
            lines.push(format!(
                "{} {} {} {} {} formatted {} published {} {content:?}",
                info.id,
                info.size,
                info.provisioning,
                info.phase,
                info.health,
                token.is_ok_and(|spent| spent),
                info.attachment.is_some()
            ));
        }
        let snapshots = pool.require_snapshots().unwrap().list_snapshots(None).unwrap();
        for info in snapshots {
            let content = self.plain(pool, &info.id.clone().into());
            lines.push(format!(
                "{} of {} {} {} {content:?}",
                info.id, info.volume, info.size, info.health
            ));
        }
        for info in self.pool.backend(Arc::new(Unchecked)).list_pools().unwrap() {
            lines.push(format!("pool {} {}", info.id(), info.health));
        }
        let beside = second(&self.pool).location().exists();
        lines.push(format!("second folder {beside}"));
        lines.join("\n")
    }

    /// The content of what holds no file system: times in one differ from run to run.
    fn plain(&self, pool: &dyn Pool, source: &Source) -> Option<String> {
        let content = self.content(pool, source)?;
        Some(content).filter(|text| text.split(' ').count() < MOST_RUNS)
    }

    /// What must hold after a kill, before the call is made again.
    fn check_untouched(&self, change: &Change, context: &str) {
        let pool = self.pool.open().unwrap_or_else(|e| panic!("{context}: {}", e.report()));
        if change.is_mounted() {
            assert!(!self.is_frozen(), "{context}: still frozen");
            self.check_mount(context);
        }
        let whole = SIZE.get();
        let old = self.content(pool.as_ref(), &volume("old").into());
        let fit = match (change.name, old.as_deref()) {
            ("remove_volume", None) => true,
            ("roll_back", Some(text)) => {
                [1, 2].iter().any(|byte| text == format!("{whole}x{byte}"))
            }
            (_, text) => text == Some(&format!("{whole}x2")),
        };
        assert!(fit, "{context}: the volume holds {old:?}");
        let ones = self.content(pool.as_ref(), &snapshot("ones").into());
        let kept = ones == Some(format!("{whole}x1"));
        let removed = change.name == "remove_snapshot" && ones.is_none();
        assert!(kept || removed, "{context}: the snapshot holds {ones:?}");
        for info in pool.volumes().unwrap() {
            assert_eq!(info.health, Health::Healthy, "{context}: {info:?}");
            if info.id == volume("new") && info.phase == Phase::Ready {
                let content = self.plain(pool.as_ref(), &info.id.into());
                let wanted = match change.name {
                    "restore" => Some(format!("{whole}x1 {whole}x0")),
                    "clone" => Some(format!("{whole}x2")),
                    "clone_mounted" => None,
                    _ => Some(format!("{whole}x0")),
                };
                assert_eq!(content, wanted, "{context}: half-made, but ready");
            }
        }
    }

    /// What a copy of the mounted volume must be: a clean file system with the file in it.
    fn check_copy(&self, copy: &Source, context: &str) {
        let pool = self.pool.open().unwrap();
        let spec = PublishSpec::new(copy.clone()).read_only();
        let at = pool.publish(&spec).unwrap().into_inner();
        let there = self.scratch.join("copy");
        let filesystems = self.pool.filesystems(Arc::new(Unchecked));
        let mounted = filesystems.ensure_mounted(&MountSpec::new(&at.device, &there).read_only());
        let _ = mounted.unwrap_or_else(|e| panic!("{context}: {}", e.report()));
        let kept = fs::read(there.join("precious")).unwrap();
        let _ = filesystems.ensure_unmounted(&there).unwrap();
        let _ = pool.unpublish(copy).unwrap();
        assert_eq!(kept, PRECIOUS, "{context}");
    }

    fn check_end(&self, change: &Change, context: &str) {
        match change.name {
            "snapshot_mounted" => self.check_copy(&snapshot("new").into(), context),
            "clone_mounted" => self.check_copy(&volume("new").into(), context),
            "grow_mounted" => {
                let filesystems = self.pool.filesystems(Arc::new(Unchecked));
                let usage = filesystems.usage(&target(&self.pool)).unwrap();
                assert!(usage.total > XFS_SIZE, "{context}: {usage:?}");
            }
            _ => {}
        }
        if change.is_mounted() {
            self.check_mount(context);
        }
        let leaks = self.pool.leaks().unwrap();
        assert!(leaks.is_empty(), "{context}: {leaks:?}");
    }

    /// Kills the change before every step; answers how often, and how often a file system was
    /// left frozen.
    fn kill_everywhere(&self, change: &Change) -> (u64, u64) {
        self.prepare(change.before);
        let steps = self.child(change.name, 0).unwrap();
        assert!((1..=MOST_STEPS).contains(&steps), "{}: {steps} steps", change.name);
        self.check_end(change, change.name);
        let wanted = self.state(self.pool.open().unwrap().as_ref());
        let mut frozen = 0;
        for step in 1..=steps {
            let context = format!("{}, killed before step {step} of {steps}", change.name);
            self.prepare(change.before);
            self.child(change.name, step);
            if change.is_mounted() && self.is_frozen() {
                frozen += 1;
            }
            self.check_untouched(change, &context);
            let again = (change.act)(&self.pool, Arc::new(Unchecked));
            again.unwrap_or_else(|e| panic!("{context}: again: {}", e.report()));
            self.check_end(change, &context);
            let state = self.state(self.pool.open().unwrap().as_ref());
            assert_eq!(state, wanted, "{context}");
        }
        (steps, frozen)
    }
}

const PRECIOUS: &[u8] = b"what nobody may lose";

fn kill_all(kind: &str) {
    let lab = Lab::new(kind);
    let mut total = 0;
    for change in CHANGES {
        let (kills, frozen) = lab.kill_everywhere(change);
        println!("{kind}: {}: {kills} kills, {frozen} left it frozen", change.name);
        let freezes = matches!(change.name, "snapshot_mounted" | "clone_mounted");
        assert_eq!(frozen > 0, freezes, "{}", change.name);
        total += kills;
    }
    println!("{kind}: {total} kills");
}

#[test]
fn a_killed_change_is_finished_by_the_same_call_where_bytes_are_copied() {
    kill_all("ext4");
}

#[test]
fn a_killed_change_is_finished_by_the_same_call_where_blocks_are_shared() {
    kill_all("xfs");
}
