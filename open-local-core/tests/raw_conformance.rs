//! The conformance suite on the `raw` backend over simulated disks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::io;
use std::sync::{Arc, Mutex};

use open_local_core::conformance::{self, Fixture, PoolWish};
use open_local_core::host::{
    BlockIo, Checkpoints, DeviceAccess, DeviceHandle, Devices, SystemClock, Unchecked,
};
use open_local_core::raw::RawBackend;
use open_local_core::sim::{SimDisks, SimFiles, sim_host};
use open_local_core::{
    Attachment, Backend, Bytes, Health, Pool, PoolExt, PoolId, PoolSpec, Result,
};

fn id() -> PoolId {
    PoolId::new("conformance").unwrap()
}

/// Places of each size, small ones for the races.
const PLACES: [(u64, u64); 2] = [(26, 2), (8, 20)];

type Machine = (Arc<SimFiles>, SimDisks);

#[derive(Debug)]
struct SimRack {
    /// A machine whose disks are erased and in a pool.
    ready: Machine,
    now: Mutex<Machine>,
}

fn backend(machine: &Machine, checkpoints: Arc<dyn Checkpoints>) -> RawBackend {
    let (files, disks) = machine;
    let mut host = sim_host(Arc::clone(files), 3).with_checkpoints(checkpoints);
    // Threads really wait for each other here, which takes real time.
    host.clock = Arc::new(SystemClock);
    RawBackend::new(host, Arc::new(disks.clone()))
}

impl SimRack {
    fn new() -> Self {
        let files = Arc::new(SimFiles::new(7));
        files.add_folder("/var/lib").unwrap();
        let disks = SimDisks::new(&files).unwrap();
        let sizes = PLACES.iter().flat_map(|(count, mib)| (0..*count).map(|_| *mib));
        let mut names = Vec::new();
        for (n, mib) in sizes.enumerate() {
            let name = format!("sd{n:02}");
            disks.add(&name, Bytes::from_mib(mib).unwrap(), Some(&format!("naa.5{n:03}"))).unwrap();
            names.push(format!("/dev/{name}"));
        }
        let machine = (files, disks);
        let spec = PoolSpec::new(id()).with_parameter("devices", names.join(","));
        let raw = backend(&machine, Arc::new(Unchecked));
        let _ = raw.ensure_pool(&spec).unwrap();
        let _ = raw.open_pool(&id()).unwrap().maintain_all().unwrap();
        let now = Mutex::new(machine.clone());
        Self { ready: machine, now }
    }

    fn backend(&self, checkpoints: Arc<dyn Checkpoints>) -> RawBackend {
        backend(&self.now.lock().unwrap(), checkpoints)
    }
}

impl Fixture for SimRack {
    fn name(&self) -> &str {
        "raw (simulated)"
    }

    fn fresh(&self, _wish: &PoolWish) -> Result<Arc<dyn Pool>> {
        let files = Arc::new(self.ready.0.fork(7));
        let disks = self.ready.1.fork(&files);
        *self.now.lock().unwrap() = (files, disks);
        self.backend(Arc::new(Unchecked)).open_pool(&id())
    }

    fn reopen(&self, checkpoints: Arc<dyn Checkpoints>) -> Result<Arc<dyn Pool>> {
        self.backend(checkpoints).open_pool(&id())
    }

    fn open(&self, device: &Attachment) -> io::Result<Box<dyn BlockIo>> {
        let disks = self.now.lock().unwrap().1.clone();
        // Claimed, as a mount does it: only that keeps a device of the host in use. One that
        // refuses writes is claimed too, and says so at the first write.
        Ok(Box::new(Claimed(disks.open(&device.device, DeviceAccess::Claim)?)))
    }

    fn leaks(&self) -> Result<Vec<String>> {
        let pool = self.backend(Arc::new(Unchecked)).open_pool(&id())?;
        let info = pool.info()?;
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

#[derive(Debug)]
struct Claimed(Box<dyn DeviceHandle>);

impl BlockIo for Claimed {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_at(offset, data)
    }

    fn flush(&self) -> io::Result<()> {
        self.0.flush()
    }

    fn size(&self) -> io::Result<Bytes> {
        self.0.size()
    }
}

/// Cases that a machine in memory can't run: it has neither processes nor file systems. Tier 1
/// runs them on real devices.
const NOT_HERE: [&str; 2] = ["format_once/*", "processes/*"];

#[test]
fn the_suite_passes_on_simulated_disks() {
    let report = conformance::run(&SimRack::new(), "");
    println!("{report}");
    report.assert_passed_without(&NOT_HERE).unwrap();
}
