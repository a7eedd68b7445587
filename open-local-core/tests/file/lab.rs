//! A simulated machine with a pool of the `file` backend.

#![allow(dead_code, unreachable_pub, reason = "each test uses its own part")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use open_local_core::file::{FileBackend, FileOptions};
use open_local_core::host::Loops;
use open_local_core::sim::{SimFiles, SimLoops, sim_host};
use open_local_core::{
    Backend, Bytes, ErrorKind, FormatToken, GroupSnapshotSpec, Health, Phase, Pool, PoolId,
    PoolSpec, PublishSpec, Result, SnapshotId, SnapshotSpec, Source, VolumeId, VolumeSpec,
};

pub const POOL: &str = "/srv/pool";
pub const SIZE: Bytes = Bytes::new(64 << 10);
/// Within the small volumes, so that resuming a copy is tried too.
const MARK: Bytes = Bytes::new(16 << 10);

pub fn volume(name: &str) -> VolumeId {
    VolumeId::new(name).unwrap()
}

pub fn snapshot(name: &str) -> SnapshotId {
    SnapshotId::new(name).unwrap()
}

pub fn pool_id() -> PoolId {
    PoolId::new("p").unwrap()
}

pub struct Lab {
    pub files: Arc<SimFiles>,
    pub loops: SimLoops,
    /// Processes so far: each has its own luck.
    processes: AtomicU64,
    /// How far apart the marks of a copy are.
    pub copy_mark: Bytes,
}

impl Lab {
    pub fn empty(reflink: bool, seed: u64) -> Self {
        let files = Arc::new(SimFiles::new(seed));
        files.set_reflink(reflink);
        files.add_folder("/srv").unwrap();
        files.add_folder("/var/lib").unwrap();
        let loops = SimLoops::new(&files).unwrap();
        let processes = AtomicU64::new(seed << 32);
        Self { files, loops, processes, copy_mark: MARK }
    }

    /// A machine in the same state, with its own luck.
    pub fn fork(&self, seed: u64) -> Self {
        let files = Arc::new(self.files.fork(seed));
        let loops = SimLoops::new(&files).unwrap();
        let processes = AtomicU64::new(seed << 32);
        Self { files, loops, processes, copy_mark: self.copy_mark }
    }

    pub fn backend(&self) -> FileBackend {
        let mut options = FileOptions::default();
        options.copy_mark = self.copy_mark;
        let host = sim_host(Arc::clone(&self.files), self.processes.fetch_add(1, Ordering::SeqCst));
        FileBackend::new(host, Arc::new(self.loops.clone())).with_options(options)
    }

    /// A pool with a volume of ones, a snapshot of it, and then a volume of twos.
    pub fn filled(reflink: bool, seed: u64) -> Self {
        let lab = Self::empty(reflink, seed);
        let _ = lab.backend().ensure_pool(&PoolSpec::new(pool_id()).at(POOL)).unwrap();
        let pool = lab.open().unwrap();
        let shares = pool.capabilities().clones == open_local_core::CopyMethod::Shared;
        assert_eq!(shares, reflink, "the pool finds out what its folder can do");
        let _ = pool.ensure_volume(&VolumeSpec::new(volume("old"), SIZE)).unwrap();
        lab.write(pool.as_ref(), &volume("old").into(), 1);
        let spec = SnapshotSpec::new(snapshot("ones"), volume("old"));
        let _ = pool.snapshots().unwrap().ensure_snapshot(&spec).unwrap();
        lab.write(pool.as_ref(), &volume("old").into(), 2);
        let token = pool.format_tokens().unwrap();
        token.set_format_token(&volume("old"), FormatToken::Spent).unwrap();
        lab
    }

    /// The same with a second volume, of threes, and a group snapshot of both.
    pub fn grouped(reflink: bool, seed: u64) -> Self {
        let lab = Self::filled(reflink, seed);
        let pool = lab.open().unwrap();
        let _ = pool.ensure_volume(&VolumeSpec::new(volume("side"), SIZE)).unwrap();
        lab.write(pool.as_ref(), &volume("side").into(), 3);
        let group = GroupSnapshotSpec::new("before".parse().unwrap())
            .with_member(snapshot("before-side"), volume("side"))
            .with_member(snapshot("before-old"), volume("old"));
        let _ = pool.group_snapshots().unwrap().ensure_group_snapshot(&group).unwrap();
        lab
    }

    pub fn open(&self) -> Result<Arc<dyn Pool>> {
        self.backend().open_pool(&pool_id())
    }

    pub fn write(&self, pool: &dyn Pool, source: &Source, byte: u8) {
        let at = pool.publish(&PublishSpec::new(source.clone())).unwrap().into_inner();
        let device = self.loops.open(at.number).unwrap();
        device.write_at(0, &vec![byte; usize::try_from(SIZE.get()).unwrap()]).unwrap();
        device.flush().unwrap();
        drop(device);
        let _ = pool.unpublish(source).unwrap();
    }

    /// The bytes an object begins with; `None` if there is no such object.
    pub fn read(&self, pool: &dyn Pool, source: &Source) -> Option<Vec<u8>> {
        let attached = match pool.publish(&PublishSpec::new(source.clone()).read_only()) {
            Ok(at) => at.into_inner(),
            Err(e) if e.kind() == ErrorKind::NotFound => return None,
            Err(e) if e.kind() == ErrorKind::Conflict => {
                // Published for writing by the change that was cut.
                pool.publish(&PublishSpec::new(source.clone())).unwrap().into_inner()
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
    pub fn state(&self) -> String {
        let pool = self.open().unwrap();
        let mut lines = Vec::new();
        let volumes = pool.volumes().unwrap();
        for info in &volumes {
            assert_eq!(info.health, Health::Healthy, "{info:?}");
            let token = (info.phase == Phase::Ready)
                .then(|| pool.format_tokens().unwrap().format_token(&info.id).unwrap());
            let content = self.read(pool.as_ref(), &info.id.clone().into()).map(|b| summary(&b));
            let published = info.attachment.is_some();
            lines.push(format!(
                "{} {} {} {token:?} {content:?} {published}",
                info.id, info.size, info.provisioning
            ));
        }
        for info in pool.snapshots().unwrap().list_snapshots(None).unwrap() {
            assert_eq!(info.health, Health::Healthy, "{info:?}");
            let content = self.read(pool.as_ref(), &info.id.clone().into()).map(|b| summary(&b));
            lines.push(format!("{} of {} {} {content:?}", info.id, info.volume, info.size));
        }
        for info in pool.group_snapshots().unwrap().list_group_snapshots().unwrap() {
            assert_eq!(info.health, Health::Healthy, "{info:?}");
            let pairs: Vec<String> = info.pairs().map(|(s, v)| format!("{s} of {v}")).collect();
            lines.push(format!("{} {} {pairs:?}", info.id, info.phase));
        }
        // A lock file too many or too few means nothing.
        let is_lock = |path: &Path| {
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            let kinds = ["volume-", "snapshot-", "group-"];
            let object = kinds.iter().any(|kind| name.starts_with(kind));
            name == "lock"
                || name == ".lock"
                || (path.parent().is_some_and(|p| p.ends_with("locks")) && object)
        };
        let paths = self.files.paths();
        lines.extend(paths.iter().filter(|p| !is_lock(p)).map(|p| p.display().to_string()));
        lines.push(format!("{} devices", self.loops.list().unwrap().len()));
        lines.join("\n")
    }
}

/// Content as runs of equal bytes.
pub fn summary(bytes: &[u8]) -> String {
    let runs = bytes.chunk_by(|a, b| a == b);
    runs.map(|run| format!("{}x{}", run.len(), run.first().unwrap())).collect::<Vec<_>>().join(" ")
}
