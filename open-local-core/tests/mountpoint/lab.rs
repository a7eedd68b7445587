//! A simulated machine with mounts and a pool of the `mountpoint` backend.

#![allow(dead_code, unreachable_pub, reason = "each test uses its own part")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use open_local_core::host::{FileKind, Files, Host, OpenMode};
use open_local_core::mountpoint::MountpointBackend;
use open_local_core::sim::{SimDisks, SimFiles, SimFolders, sim_host};
use open_local_core::{
    Backend, Bytes, Health, Phase, Pool, PoolExt, PoolId, PoolSpec, Result, Uuid, VolumeId,
    VolumeSpec,
};

pub const MIB: u64 = 1 << 20;

/// Each disk's name, size and where it is mounted: a volume's, a free one's, one no pool knows.
pub const MOUNTS: [(&str, u64, &str); 3] =
    [("sda", MIB, "/mnt/a"), ("sdb", 2 * MIB, "/mnt/b"), ("sdx", MIB, "/srv/x")];

pub fn volume(name: &str) -> VolumeId {
    VolumeId::new(name).unwrap()
}

pub fn pool_id() -> PoolId {
    PoolId::new("p").unwrap()
}

pub struct Lab {
    pub files: Arc<SimFiles>,
    pub disks: SimDisks,
    pub folders: SimFolders,
    processes: AtomicU64,
}

impl Lab {
    /// Mounted disks without files, and no pool.
    pub fn empty(seed: u64) -> Self {
        let files = Arc::new(SimFiles::new(seed));
        files.add_folder("/var/lib").unwrap();
        files.add_folder("/mnt/no-mount").unwrap();
        let disks = SimDisks::new(&files).unwrap();
        let folders = SimFolders::new(&files, &disks).unwrap();
        for (n, (name, size, target)) in (1..).zip(MOUNTS) {
            disks.add(name, Bytes::new(size), Some(&format!("naa.{name}"))).unwrap();
            folders.format(name, Uuid::from_bytes([n; 16])).unwrap();
            folders.mount(name, target).unwrap();
        }
        Self { files, disks, folders, processes: AtomicU64::new(seed << 32) }
    }

    /// A machine in the same state, with its own luck.
    pub fn fork(&self, seed: u64) -> Self {
        let files = Arc::new(self.files.fork(seed));
        let disks = self.disks.fork(&files);
        let folders = self.folders.fork(&files, &disks);
        Self { files, disks, folders, processes: AtomicU64::new(seed << 32) }
    }

    pub fn host(&self) -> Host {
        sim_host(Arc::clone(&self.files), self.processes.fetch_add(1, Ordering::SeqCst))
    }

    pub fn backend(&self) -> MountpointBackend {
        let (disks, folders) = (Arc::new(self.disks.clone()), Arc::new(self.folders.clone()));
        MountpointBackend::new(self.host(), disks, folders)
    }

    pub fn spec() -> PoolSpec {
        PoolSpec::new(pool_id()).at("/mnt")
    }

    /// A pool of what is mounted below `/mnt`, with the volume `old` on the first.
    pub fn filled(seed: u64) -> Self {
        let lab = Self::empty(seed);
        let _ = lab.backend().ensure_pool(&Self::spec()).unwrap();
        let pool = lab.open().unwrap();
        let _ = pool.maintain_all().unwrap();
        let _ = pool.ensure_volume(&VolumeSpec::new(volume("old"), Bytes::new(4096))).unwrap();
        lab.put("/mnt/a/file", "data");
        lab.put("/mnt/a/.hidden", "data");
        lab.folder("/mnt/a/empty");
        lab.put("/mnt/a/deep/er/still/file", "data");
        lab.link("/mnt/a/deep/link", "/srv/x/precious");
        lab.link("/mnt/a/out", "/srv/x");
        lab.put("/srv/x/precious", "not ours");
        lab
    }

    pub fn open(&self) -> Result<Arc<dyn Pool>> {
        self.backend().open_pool(&pool_id())
    }

    fn real(&self, path: &str) -> PathBuf {
        self.folders.real(Path::new(path))
    }

    pub fn folder(&self, path: &str) {
        self.files.add_folder(self.real(path)).unwrap();
    }

    pub fn put(&self, path: &str, text: &str) {
        let real = self.real(path);
        self.files.add_folder(real.parent().unwrap()).unwrap();
        self.files.add_file(real, text.as_bytes()).unwrap();
    }

    pub fn link(&self, path: &str, to: &str) {
        self.files.add_symlink(self.real(path), to).unwrap();
    }

    pub fn has(&self, path: &str) -> bool {
        self.files.stat(&self.real(path)).is_ok()
    }

    /// Every path on a disk with the text of files.
    pub fn content(&self, disk: &str) -> Vec<String> {
        let top = Path::new("/content").join(disk);
        let paths = self.files.paths();
        let mut lines: Vec<String> = Vec::new();
        for path in paths.iter().filter(|p| p.starts_with(&top) && **p != top) {
            let name = path.strip_prefix(&top).unwrap().display().to_string();
            if name == ".open-local-place" {
                lines.push(name);
                continue;
            }
            let kind = self.files.stat(path).unwrap().kind;
            let text = (kind == FileKind::File).then(|| {
                let file = self.files.open(path, OpenMode::Read).unwrap();
                let mut bytes = vec![0; file.size().unwrap().to_usize().unwrap()];
                file.read_at(0, &mut bytes).unwrap();
                String::from_utf8(bytes).unwrap()
            });
            lines.push(format!("{name} {kind:?} {text:?}"));
        }
        lines
    }

    /// What the pools show, our records, and what is on every disk.
    pub fn state(&self) -> String {
        let mut lines = Vec::new();
        for info in self.backend().list_pools().unwrap() {
            lines.push(format!("pool {} {:?} {}", info.id(), info.capacity, info.health));
            if matches!(info.health, Health::Failed(_)) {
                continue;
            }
            let pool = self.backend().open_pool(info.id()).unwrap();
            for info in pool.volumes().unwrap() {
                let at = info.attachment.map(|at| at.device);
                let name = if info.phase == Phase::Ready { info.id.as_str() } else { "erasing" };
                let (size, phase, health) = (info.size, info.phase, info.health);
                lines.push(format!("{name} {size} {phase} {at:?} {health}"));
            }
        }
        for (name, ..) in MOUNTS {
            lines.push(format!("{name}: {:?}", self.content(name)));
        }
        let ours = |p: &&PathBuf| {
            p.starts_with("/var/lib/open-local")
                && !p.ends_with("lock")
                && !p.ends_with(".lock")
                && p.parent().is_some_and(|above| !above.ends_with("locks"))
        };
        let name = |p: &PathBuf| match p.parent() {
            Some(above) if above.ends_with("places") => above.join("PLACE").display().to_string(),
            _ => p.display().to_string(),
        };
        let paths = self.files.paths();
        let mut names: Vec<String> = paths.iter().filter(ours).map(name).collect();
        names.sort();
        lines.extend(names);
        lines.join("\n")
    }
}
