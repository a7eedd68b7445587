//! A simulated machine with disks and a pool of the `raw` backend.

#![allow(dead_code, unreachable_pub, reason = "each test uses its own part")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use open_local_core::host::OpenMode;
use open_local_core::raw::{RawBackend, RawOptions};
use open_local_core::sim::{SimDisks, SimFiles, sim_host};
use open_local_core::{
    Backend, Bytes, FormatToken, Health, Phase, Pool, PoolExt, PoolId, PoolSpec, Result, VolumeId,
    VolumeSpec,
};

/// What sizes are counted in: small, since every byte is looked at after every cut.
pub const UNIT: u64 = 64 << 10;
/// Within the small disks, so that resuming an erasure is tried too.
const MARK: Bytes = Bytes::new(UNIT);

/// Each disk's name, size and content: a volume's, a free one's, one that no pool knows.
pub const DISKS: [(&str, u64); 4] =
    [("sda", 3 * UNIT), ("sdb", 3 * UNIT), ("sdc", 6 * UNIT), ("sdx", 3 * UNIT)];

pub fn volume(name: &str) -> VolumeId {
    VolumeId::new(name).unwrap()
}

pub fn pool_id() -> PoolId {
    PoolId::new("p").unwrap()
}

pub fn wwid(name: &str) -> String {
    format!("naa.{name}")
}

pub struct Lab {
    pub files: Arc<SimFiles>,
    pub disks: SimDisks,
    /// Processes so far: each has its own luck.
    processes: AtomicU64,
}

impl Lab {
    /// Disks full of sevens, and no pool.
    pub fn empty(seed: u64) -> Self {
        let files = Arc::new(SimFiles::new(seed));
        files.add_folder("/var/lib").unwrap();
        let disks = SimDisks::new(&files).unwrap();
        for (name, size) in DISKS {
            disks.add(name, Bytes::new(size), Some(&wwid(name))).unwrap();
        }
        let lab = Self { files, disks, processes: AtomicU64::new(seed << 32) };
        for (name, size) in DISKS {
            lab.fill(name, 0, size, 7);
        }
        lab
    }

    /// A machine in the same state, with its own luck.
    pub fn fork(&self, seed: u64) -> Self {
        let files = Arc::new(self.files.fork(seed));
        let disks = self.disks.fork(&files);
        Self { files, disks, processes: AtomicU64::new(seed << 32) }
    }

    pub fn fill(&self, name: &str, from: u64, to: u64, byte: u8) {
        let content = self.disks.content(name, OpenMode::ReadWrite).unwrap();
        content.write_at(from, &vec![byte; usize::try_from(to - from).unwrap()]).unwrap();
        content.flush().unwrap();
    }

    pub fn host(&self) -> open_local_core::host::Host {
        sim_host(Arc::clone(&self.files), self.processes.fetch_add(1, Ordering::SeqCst))
    }

    pub fn backend(&self) -> RawBackend {
        self.backend_on(self.host())
    }

    pub fn backend_on(&self, host: open_local_core::host::Host) -> RawBackend {
        let mut options = RawOptions::default();
        options.erase_mark = MARK;
        RawBackend::new(host, Arc::new(self.disks.clone())).with_options(options)
    }

    pub fn spec(names: &[&str]) -> PoolSpec {
        let paths: Vec<String> = names.iter().map(|name| format!("/dev/{name}")).collect();
        PoolSpec::new(pool_id()).with_parameter("devices", paths.join(","))
    }

    /// A pool of three disks, the volume `old` of fives on the first, the others erased.
    pub fn filled(seed: u64, erase: &str) -> Self {
        let lab = Self::empty(seed);
        let spec = Self::spec(&["sda", "sdb", "sdc"]).with_parameter("erase", erase);
        let _ = lab.backend().ensure_pool(&spec).unwrap();
        let pool = lab.open().unwrap();
        let _ = pool.maintain_all().unwrap();
        let _ = pool.ensure_volume(&VolumeSpec::new(volume("old"), Bytes::new(UNIT))).unwrap();
        lab.fill("sda", 0, 3 * UNIT, 5);
        pool.format_tokens().unwrap().set_format_token(&volume("old"), FormatToken::Spent).unwrap();
        lab
    }

    pub fn open(&self) -> Result<Arc<dyn Pool>> {
        self.backend().open_pool(&pool_id())
    }

    /// Content of a disk as runs of equal bytes.
    pub fn content(&self, name: &str) -> String {
        let file = self.disks.content(name, OpenMode::Read).unwrap();
        let mut bytes = vec![0; file.size().unwrap().to_usize().unwrap()];
        file.read_at(0, &mut bytes).unwrap();
        // Sector by sector, which is much faster than byte by byte where tests are not optimised.
        let mut runs: Vec<(usize, u8)> = Vec::new();
        let mut add = |len: usize, byte: u8| match runs.last_mut() {
            Some((sum, last)) if *last == byte => *sum += len,
            _ => runs.push((len, byte)),
        };
        for sector in bytes.chunks(512) {
            if sector == &vec![sector[0]; sector.len()][..] {
                add(sector.len(), sector[0]);
            } else {
                sector.iter().for_each(|byte| add(1, *byte));
            }
        }
        runs.iter().map(|(len, byte)| format!("{len}x{byte}")).collect::<Vec<_>>().join(" ")
    }

    /// What the pools show, every file of ours and what is on every disk.
    pub fn state(&self) -> String {
        let mut lines = Vec::new();
        for info in self.backend().list_pools().unwrap() {
            lines.push(format!("pool {} {:?} {}", info.id(), info.capacity, info.health));
            if matches!(info.health, Health::Failed(_)) {
                continue;
            }
            let pool = self.backend().open_pool(info.id()).unwrap();
            for info in pool.volumes().unwrap() {
                let token = (info.phase == Phase::Ready)
                    .then(|| pool.format_tokens().unwrap().format_token(&info.id).unwrap());
                let at = info.attachment.map(|at| (at.device, at.read_only));
                let name = if info.phase == Phase::Ready { info.id.as_str() } else { "erasing" };
                let (size, phase, health) = (info.size, info.phase, info.health);
                lines.push(format!("{name} {size} {phase} {token:?} {at:?} {health}"));
            }
        }
        lines.extend(DISKS.map(|(name, _)| format!("{name}: {}", self.content(name))));
        // Records are named by chance; a lock file too many or too few means nothing.
        let ours = |p: &&std::path::PathBuf| {
            p.starts_with("/var/lib/open-local")
                && !p.ends_with("lock")
                && !p.ends_with(".lock")
                && p.parent()
                    .is_some_and(|above| above != Path::new("locks") && !above.ends_with("locks"))
        };
        let name = |p: &std::path::PathBuf| match p.parent() {
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
