//! Loop devices as disks, and a pool of them with a state folder of its own.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use open_local_core::host::{
    Checkpoints, DeviceAccess, DeviceHandle, Devices, Host, Roots, SystemDevices, Unchecked,
};
use open_local_core::raw::{RawBackend, RawOptions};
use open_local_core::{Backend, Bytes, Pool, PoolId, PoolSpec, Result};
use open_local_tests::{LoopFixture, Scratch};

/// Environment variable that tells a child process which folder holds our state.
const OWN: &str = "OPEN_LOCAL_TEST_OWN";

pub(crate) fn pool_id() -> PoolId {
    PoolId::new("pool").unwrap()
}

pub(crate) fn mib(count: u64) -> Bytes {
    Bytes::from_mib(count).unwrap()
}

/// The backend with locks and state below `own`; marks fall within small devices.
pub(crate) fn backend_in(own: &Path, checkpoints: Arc<dyn Checkpoints>) -> RawBackend {
    let host = Host::system().with_roots(Roots::with_own_folders_under(own));
    let mut options = RawOptions::default();
    options.erase_mark = mib(4);
    RawBackend::new(host.with_checkpoints(checkpoints), Arc::new(SystemDevices))
        .with_options(options)
}

/// The folder a parent process named, if this is a child process.
pub(crate) fn from_parent() -> Option<PathBuf> {
    std::env::var_os(OWN).map(PathBuf::from)
}

/// Loop devices of one test.
#[derive(Debug)]
pub(crate) struct Rack {
    pub(crate) devices: Vec<LoopFixture>,
    pub(crate) scratch: Scratch,
}

impl Rack {
    pub(crate) fn new(test: &str, sizes: &[Bytes]) -> Self {
        let scratch = Scratch::new(test);
        let attach = |(n, size): (usize, &Bytes)| scratch.loop_device(&format!("d{n:02}"), *size);
        let devices = sizes.iter().enumerate().map(attach).collect();
        Self { devices, scratch }
    }

    pub(crate) fn own(&self) -> &Path {
        self.scratch.path()
    }

    pub(crate) fn for_child(&self) -> [(OsString, OsString); 1] {
        [(OWN.into(), self.own().as_os_str().to_owned())]
    }

    pub(crate) fn backend(&self, checkpoints: Arc<dyn Checkpoints>) -> RawBackend {
        backend_in(self.own(), checkpoints)
    }

    pub(crate) fn path(&self, index: usize) -> &Path {
        self.devices[index].path()
    }

    /// A pool of the devices with these indices.
    pub(crate) fn spec(&self, indices: std::ops::Range<usize>) -> PoolSpec {
        let paths: Vec<String> =
            self.devices[indices].iter().map(|d| d.path().display().to_string()).collect();
        PoolSpec::new(pool_id()).with_parameter("devices", paths.join(","))
    }

    pub(crate) fn open(&self) -> Result<Arc<dyn Pool>> {
        self.backend(Arc::new(Unchecked)).open_pool(&pool_id())
    }

    /// A device opened for reading.
    pub(crate) fn look(&self, index: usize) -> Box<dyn DeviceHandle> {
        SystemDevices.open(self.path(index), DeviceAccess::Look).unwrap()
    }

    /// Writes one byte value over a whole device.
    pub(crate) fn fill(&self, index: usize, byte: u8) {
        let device = SystemDevices.open(self.path(index), DeviceAccess::Claim).unwrap();
        let size = device.size().unwrap().get();
        let block = vec![byte; 1 << 20];
        for at in (0..size).step_by(block.len()) {
            let len = block.len().min(usize::try_from(size - at).unwrap());
            device.write_at(at, &block[..len]).unwrap();
        }
        device.flush().unwrap();
    }

    /// The byte values a device holds, read from the device itself: each once, in order.
    pub(crate) fn values(&self, index: usize) -> Vec<u8> {
        let device = self.look(index);
        device.drop_cache().unwrap();
        let size = device.size().unwrap().get();
        let mut found = Vec::new();
        let mut block = vec![0; 1 << 20];
        for at in (0..size).step_by(1 << 20) {
            let len = block.len().min(usize::try_from(size - at).unwrap());
            device.read_at(at, &mut block[..len]).unwrap();
            for run in block[..len].chunk_by(|a, b| a == b) {
                if found.last() != Some(&run[0]) {
                    found.push(run[0]);
                }
            }
        }
        found
    }
}
