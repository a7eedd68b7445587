//! The conformance suite on loop devices.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use nix::fcntl::{FallocateFlags, fallocate};
use open_local_core::conformance::{self, Fixture, PoolWish, SCRIPT_VARIABLE};
use open_local_core::fs::{Filesystems, HostFilesystems};
use open_local_core::host::{
    BlockIo, Checkpoints, DeviceAccess, DeviceHandle, Devices, Invocation, SystemDevices,
    SystemMounts, Unchecked,
};
use open_local_core::{Attachment, Backend, Bytes, Health, Pool, PoolExt, Result};
use open_local_tests::child;

use super::rack::{Rack, backend_in, from_parent, mib, pool_id};

/// Places of each size in MiB, small ones for the races.
const PLACES: [(usize, u64); 2] = [(26, 2), (8, 20)];

/// Devices that are in a pool, erased; what that looks like on disk is kept and put back.
#[derive(Debug)]
struct Erased {
    rack: Rack,
    filesystems: HostFilesystems,
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

impl Erased {
    fn new() -> Self {
        let sizes: Vec<Bytes> =
            PLACES.iter().flat_map(|(count, size)| vec![mib(*size); *count]).collect();
        let rack = Rack::new("raw-conformance", &sizes);
        let backend = rack.backend(Arc::new(Unchecked));
        let _ = backend.ensure_pool(&rack.spec(0..sizes.len())).unwrap();
        let _ = rack.open().unwrap().maintain_all().unwrap();
        copy(&rack.own().join("state"), &rack.own().join("erased"));
        let host = rack.scratch.host();
        let filesystems = HostFilesystems::new(host, Arc::new(SystemMounts));
        Self { rack, filesystems }
    }
}

impl Fixture for Erased {
    fn name(&self) -> &str {
        "raw on loop devices"
    }

    fn fresh(&self, _wish: &PoolWish) -> Result<Arc<dyn Pool>> {
        for device in &self.rack.devices {
            let look = SystemDevices.open(device.path(), DeviceAccess::Look).unwrap();
            look.set_read_only(false).unwrap();
            // In the file below, which is faster than through the device.
            let file = fs::OpenOptions::new().write(true).open(&device.file).unwrap();
            if file.metadata().unwrap().blocks() > 0 {
                let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE;
                let mode = hole | FallocateFlags::FALLOC_FL_KEEP_SIZE;
                let size = i64::try_from(device.device.size.get()).unwrap();
                fallocate(&file, mode, 0, size).unwrap();
                look.drop_cache().unwrap();
            }
        }
        let own = self.rack.own();
        fs::remove_dir_all(own.join("state")).unwrap();
        copy(&own.join("erased"), &own.join("state"));
        self.rack.open()
    }

    fn reopen(&self, checkpoints: Arc<dyn Checkpoints>) -> Result<Arc<dyn Pool>> {
        self.rack.backend(checkpoints).open_pool(&pool_id())
    }

    fn open(&self, device: &Attachment) -> io::Result<Box<dyn BlockIo>> {
        // Claimed, as a mount does it: only that keeps a device of the host in use. One that
        // refuses writes can be claimed as well, and says so at the first write.
        Ok(Box::new(Claimed(SystemDevices.open(&device.device, DeviceAccess::Claim)?)))
    }

    fn leaks(&self) -> Result<Vec<String>> {
        let info = self.rack.open()?.info()?;
        let mut leaks = Vec::new();
        if info.health != Health::Healthy {
            leaks.push(info.health.to_string());
        }
        let places = info.details.keys().filter(|key| key.starts_with("place ")).count();
        if places != self.rack.devices.len() {
            leaks.push(format!("{places} places"));
        }
        Ok(leaks)
    }

    fn second_process(&self) -> Option<Invocation> {
        let mut program = child::one_test("conformance::worker");
        program.environment.extend(self.rack.for_child());
        Some(program)
    }

    fn filesystems(&self) -> Option<&dyn Filesystems> {
        Some(&self.filesystems)
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

/// What a second process does; nothing unless the suite started it.
#[test]
fn worker() {
    let (Ok(script), Some(own)) = (std::env::var(SCRIPT_VARIABLE), from_parent()) else {
        return;
    };
    let backend = backend_in(&own, conformance::worker_checkpoints());
    let open = backend.open_pool(&pool_id()).unwrap();
    conformance::run_worker(open.as_ref(), &script, &mut io::stdout()).unwrap();
}

#[test]
fn the_suite_passes_on_loop_devices() {
    let report = conformance::run(&Erased::new(), "");
    println!("{report}");
    report.assert_passed().unwrap();
}
