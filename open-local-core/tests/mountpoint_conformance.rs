//! The conformance suite on the `mountpoint` backend over simulated mounts.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use open_local_core::conformance::{self, Fixture, PoolWish};
use open_local_core::host::{BlockIo, Checkpoints, Files, OpenMode, SystemClock, Unchecked};
use open_local_core::mountpoint::MountpointBackend;
use open_local_core::sim::{SimDisks, SimFiles, SimFolders, sim_host};
use open_local_core::{
    Attachment, AttachmentKind, Backend, Bytes, Health, Pool, PoolExt, PoolId, PoolSpec, Result,
    Uuid,
};

fn id() -> PoolId {
    PoolId::new("conformance").unwrap()
}

/// Places of each size, small ones for the races.
const PLACES: [(u64, u64); 2] = [(26, 2), (8, 20)];

type Machine = (Arc<SimFiles>, SimDisks, SimFolders);

#[derive(Debug)]
struct SimShelf {
    /// A machine whose mount points are in a pool.
    ready: Machine,
    now: Mutex<Machine>,
}

fn backend(machine: &Machine, checkpoints: Arc<dyn Checkpoints>) -> MountpointBackend {
    let (files, disks, folders) = machine;
    let mut host = sim_host(Arc::clone(files), 3).with_checkpoints(checkpoints);
    // Threads really wait for each other here, which takes real time.
    host.clock = Arc::new(SystemClock);
    MountpointBackend::new(host, Arc::new(disks.clone()), Arc::new(folders.clone()))
}

impl SimShelf {
    fn new() -> Self {
        let files = Arc::new(SimFiles::new(7));
        files.add_folder("/var/lib").unwrap();
        let disks = SimDisks::new(&files).unwrap();
        let folders = SimFolders::new(&files, &disks).unwrap();
        let sizes = PLACES.iter().flat_map(|(count, mib)| (0..*count).map(|_| *mib));
        for (n, mib) in (0u8..).zip(sizes) {
            let name = format!("sd{n:02}");
            disks.add(&name, Bytes::from_mib(mib).unwrap(), Some(&format!("naa.{n}"))).unwrap();
            folders.format(&name, Uuid::from_bytes([n + 1; 16])).unwrap();
            folders.mount(&name, &format!("/mnt/{name}")).unwrap();
        }
        let machine = (files, disks, folders);
        let shelf = backend(&machine, Arc::new(Unchecked));
        let _ = shelf.ensure_pool(&PoolSpec::new(id()).at("/mnt")).unwrap();
        let _ = shelf.open_pool(&id()).unwrap().maintain_all().unwrap();
        let now = Mutex::new(machine.clone());
        Self { ready: machine, now }
    }

    fn backend(&self, checkpoints: Arc<dyn Checkpoints>) -> MountpointBackend {
        backend(&self.now.lock().unwrap(), checkpoints)
    }
}

impl Fixture for SimShelf {
    fn name(&self) -> &str {
        "mountpoint (simulated)"
    }

    fn fresh(&self, _wish: &PoolWish) -> Result<Arc<dyn Pool>> {
        let files = Arc::new(self.ready.0.fork(7));
        let disks = self.ready.1.fork(&files);
        let folders = self.ready.2.fork(&files, &disks);
        *self.now.lock().unwrap() = (files, disks, folders);
        self.backend(Arc::new(Unchecked)).open_pool(&id())
    }

    fn reopen(&self, checkpoints: Arc<dyn Checkpoints>) -> Result<Arc<dyn Pool>> {
        self.backend(checkpoints).open_pool(&id())
    }

    fn open(&self, at: &Attachment) -> io::Result<Box<dyn BlockIo>> {
        assert_eq!(at.kind, AttachmentKind::Directory);
        let (files, _, folders) = self.now.lock().unwrap().clone();
        let path = folders.real(&at.device).join("content");
        Ok(Box::new(InFile { files, path }))
    }

    fn leaks(&self) -> Result<Vec<String>> {
        let info = self.backend(Arc::new(Unchecked)).open_pool(&id())?.info()?;
        let mut leaks = Vec::new();
        if info.health != Health::Healthy {
            leaks.push(info.health.to_string());
        }
        let count: u64 = PLACES.iter().map(|(count, _)| count).sum();
        let places = info.details.keys().filter(|key| key.starts_with("place ")).count();
        if u64::try_from(places).unwrap() != count {
            leaks.push(format!("{places} places"));
        }
        let paths = self.now.lock().unwrap().0.paths();
        let half = paths.iter().filter(|p| p.extension().is_some_and(|e| e == "new"));
        leaks.extend(half.map(|p| p.display().to_string()));
        Ok(leaks)
    }
}

/// A file in the directory, made when it is first written.
#[derive(Debug)]
struct InFile {
    files: Arc<SimFiles>,
    path: PathBuf,
}

impl BlockIo for InFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        buf.fill(0);
        let file = match self.files.open(&self.path, OpenMode::Read) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        let left = file.size()?.get().saturating_sub(offset);
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        file.read_at(offset, &mut buf[..len])
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let file = match self.files.create_new(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                self.files.open(&self.path, OpenMode::ReadWrite)?
            }
            other => other?,
        };
        file.write_at(offset, data)
    }

    fn flush(&self) -> io::Result<()> {
        match self.files.open(&self.path, OpenMode::ReadWrite) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?.flush()?,
        }
        self.files.sync_dir(self.path.parent().unwrap())
    }

    fn size(&self) -> io::Result<Bytes> {
        self.files.stat(&self.path).map(|stat| stat.size)
    }
}

/// Cases that a machine in memory can't run: it has no processes, and directories carry no file
/// systems. Tier 1 runs the former.
const NOT_HERE: [&str; 1] = ["processes/*"];

#[test]
fn the_suite_passes_on_simulated_mounts() {
    let report = conformance::run(&SimShelf::new(), "");
    println!("{report}");
    report.assert_passed_without(&NOT_HERE).unwrap();
}
