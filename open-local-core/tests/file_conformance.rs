//! The conformance suite on the `file` backend over a simulated machine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use open_local_core::conformance::{self, Fixture, PoolWish};
use open_local_core::file::FileBackend;
use open_local_core::host::{BlockIo, Checkpoints, Loops, SystemClock, Unchecked};
use open_local_core::sim::{SimFiles, SimLoops, sim_host};
use open_local_core::{Attachment, Backend, Bytes, Pool, PoolId, PoolSpec, Result};

const POOL: &str = "/srv/pool";

#[derive(Debug)]
struct SimFolder {
    reflink: bool,
    machine: Mutex<(Arc<SimFiles>, SimLoops)>,
}

fn machine(reflink: bool) -> (Arc<SimFiles>, SimLoops) {
    let files = Arc::new(SimFiles::new(7));
    files.set_reflink(reflink);
    files.set_total(Bytes::GIB);
    files.add_folder("/srv").unwrap();
    files.add_folder("/var/lib").unwrap();
    let loops = SimLoops::new(&files).unwrap();
    (files, loops)
}

impl SimFolder {
    fn new(reflink: bool) -> Self {
        Self { reflink, machine: Mutex::new(machine(reflink)) }
    }

    fn backend(&self, checkpoints: Arc<dyn Checkpoints>) -> FileBackend {
        let (files, loops) = self.machine.lock().unwrap().clone();
        let mut host = sim_host(files, 3).with_checkpoints(checkpoints);
        // Threads really wait for each other here, which takes real time.
        host.clock = Arc::new(SystemClock);
        FileBackend::new(host, Arc::new(loops))
    }
}

fn id() -> PoolId {
    PoolId::new("conformance").unwrap()
}

impl Fixture for SimFolder {
    fn name(&self) -> &str {
        if self.reflink { "file (simulated, shared blocks)" } else { "file (simulated, copies)" }
    }

    fn fresh(&self, wish: &PoolWish) -> Result<Arc<dyn Pool>> {
        *self.machine.lock().unwrap() = machine(self.reflink);
        let spec = PoolSpec::new(id())
            .at(POOL)
            .with_capacity(wish.capacity)
            .with_reserve(wish.reserve)
            .with_overcommit(wish.overcommit);
        let backend = self.backend(Arc::new(Unchecked));
        let _ = backend.ensure_pool(&spec)?;
        backend.open_pool(&id())
    }

    fn reopen(&self, checkpoints: Arc<dyn Checkpoints>) -> Result<Arc<dyn Pool>> {
        // Opening sweeps; the checkpoints are meant for the calls that follow.
        self.backend(Arc::new(Unchecked)).open_pool(&id())?;
        self.backend(checkpoints).open_pool(&id())
    }

    fn open(&self, device: &Attachment) -> io::Result<Box<dyn BlockIo>> {
        self.machine.lock().unwrap().1.open(device.number)
    }

    fn leaks(&self) -> Result<Vec<String>> {
        let (files, loops) = self.machine.lock().unwrap().clone();
        let pool = self.backend(Arc::new(Unchecked)).open_pool(&id())?;
        let volumes = pool.volumes()?;
        let snapshots = pool.snapshots().map_or(Ok(Vec::new()), |s| s.list_snapshots(None))?;
        let groups = pool.group_snapshots().map_or(Ok(Vec::new()), |g| g.list_group_snapshots())?;
        let known: Vec<String> = volumes
            .iter()
            .map(|v| ("volume", "volumes", v.id.to_string()))
            .chain(snapshots.iter().map(|s| ("snapshot", "snapshots", s.id.to_string())))
            .flat_map(|(kind, folder, id)| {
                [
                    format!("locks/{kind}-{id}"),
                    format!("{folder}/{id}.meta"),
                    format!("{folder}/{id}.img"),
                ]
            })
            .chain(groups.iter().flat_map(|g| {
                [format!("locks/group-{}", g.id), format!("snapshots/{}.group", g.id)]
            }))
            .chain(["", "locks", "volumes", "snapshots", "pool.meta", "lock"].map(String::from))
            .collect();
        let stray = files
            .paths()
            .into_iter()
            .filter_map(|path| path.strip_prefix(POOL).ok().map(Path::to_path_buf))
            .filter(|path| !known.iter().any(|k| Path::new(k) == path))
            .map(|path| format!("file {}", path.display()));
        let attached: Vec<_> = volumes
            .iter()
            .filter_map(|v| v.attachment.as_ref())
            .chain(snapshots.iter().filter_map(|s| s.attachment.as_ref()))
            .map(|a| a.number)
            .collect();
        let devices = loops.list().unwrap();
        let devices = devices.iter().filter(|d| !attached.contains(&d.number));
        Ok(stray.chain(devices.map(|d| format!("device {}", d.path.display()))).collect())
    }
}

/// Cases that a machine in memory can't run: it has neither processes nor file systems. Tier 1
/// runs them on real devices.
const NOT_HERE: [&str; 2] = ["format_once/*", "processes/*"];

fn check(reflink: bool) {
    let report = conformance::run(&SimFolder::new(reflink), "");
    println!("{report}");
    report.assert_passed_without(&NOT_HERE).unwrap();
}

#[test]
fn the_suite_passes_where_blocks_are_shared() {
    check(true);
}

#[test]
fn the_suite_passes_where_bytes_are_copied() {
    check(false);
}
