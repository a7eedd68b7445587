//! The conformance suite on pools that the lvm2 tools change, with a real device-mapper.
//!
//! Each call of a pool runs the tools several times, which takes seconds on an emulated processor:
//! CI runs a part of the suite, all of it runs where `OPEN_LOCAL_TEST_ROUNDS` is set.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use open_local_core::conformance::{self, Fixture, PoolWish, SCRIPT_VARIABLE};
use open_local_core::fs::{Filesystems, HostFilesystems};
use open_local_core::host::{
    BlockIo, Checkpoints, DeviceAccess, Devices, FileIo, Files, Host, Invocation, OpenMode, Roots,
    SystemDevices, SystemFiles, SystemMounts, Unchecked,
};
use open_local_core::{Attachment, Backend, Bytes, Pool, PoolId, PoolSpec, Result};
use open_local_lvm::cli::{CliBackend, CliConfig};
use open_local_tests::dm::Disk;
use open_local_tests::guest::{require_modules, rounds};
use open_local_tests::{Scratch, child};

/// Where a second process finds our own folders.
const OWN: &str = "OPEN_LOCAL_TEST_LVM_OWN";

fn id() -> PoolId {
    "suite".parse().unwrap()
}

fn backend_in(own: &Path, checkpoints: Arc<dyn Checkpoints>) -> CliBackend {
    let roots = Roots::with_own_folders_under(own);
    let host = Host::system().with_roots(roots).with_checkpoints(checkpoints);
    let config = CliConfig::of_host(&host, &[]).unwrap();
    CliBackend::new(host, Arc::new(SystemDevices), config)
}

/// A pool on a disk of its own.
#[derive(Debug)]
struct Lab {
    name: &'static str,
    thin: bool,
    disk: PathBuf,
    filesystems: HostFilesystems,
    scratch: Scratch,
}

impl Lab {
    fn new(name: &'static str, thin: bool) -> Self {
        require_modules(&["dm_mod", "dm_thin_pool", "xfs", "btrfs"]);
        let scratch = Scratch::new(name);
        let filesystems = HostFilesystems::new(scratch.host(), Arc::new(SystemMounts));
        Self { name, thin, disk: Disk::by_serial(name).path(), filesystems, scratch }
    }

    fn tools(&self, arguments: &[&str]) -> bool {
        let config = format!("devices{{filter=[\"a|^{}$|\",\"r|.*|\"]}}", self.disk.display());
        let run = Invocation::new("/sbin/lvm").args(arguments).args(["--config", &config]);
        self.scratch.host().programs.run(&run).unwrap().success()
    }

    /// Takes away whatever there is, and makes the disk read as zeroes.
    fn clear(&self) {
        let group = id().to_string();
        if self.tools(&["vgs", &group]) {
            assert!(self.tools(&["vgchange", "-an", &group]), "a volume is in use");
            assert!(self.tools(&["vgremove", "-ff", "-y", &group]));
        }
        let state = self.scratch.host().roots.state.join("lvm");
        let _ = std::fs::remove_dir_all(state);
        let device = SystemDevices.open(&self.disk, DeviceAccess::Claim).unwrap();
        let size = device.size().unwrap();
        device.zero(0, size.get()).unwrap();
        device.flush().unwrap();
    }
}

impl Fixture for Lab {
    fn name(&self) -> &str {
        self.name
    }

    fn fresh(&self, wish: &PoolWish) -> Result<Arc<dyn Pool>> {
        self.clear();
        let spec = PoolSpec::new(id())
            .with_parameter("devices", self.disk.display().to_string())
            .with_capacity(wish.capacity)
            .with_reserve(wish.reserve)
            .with_overcommit(wish.overcommit);
        let spec = match self.thin {
            true => spec
                .with_parameter("mode", "thin")
                .with_parameter("data-size", wish.capacity.to_string()),
            false => spec,
        };
        let backend = backend_in(self.scratch.path(), Arc::new(Unchecked));
        let _ = backend.ensure_pool(&spec)?;
        backend.open_pool(&id())
    }

    fn reopen(&self, checkpoints: Arc<dyn Checkpoints>) -> Result<Arc<dyn Pool>> {
        // Opening recovers; the checkpoints are meant for the calls that follow.
        drop(backend_in(self.scratch.path(), Arc::new(Unchecked)).open_pool(&id())?);
        backend_in(self.scratch.path(), checkpoints).open_pool(&id())
    }

    fn open(&self, device: &Attachment) -> io::Result<Box<dyn BlockIo>> {
        let mode = if device.read_only { OpenMode::Read } else { OpenMode::ReadWrite };
        Ok(Box::new(Node(SystemFiles.open(&device.device, mode)?)))
    }

    fn leaks(&self) -> Result<Vec<String>> {
        let entries = std::fs::read_dir("/sys/block").unwrap().map(|entry| entry.unwrap().path());
        let suspended = |path: &PathBuf| {
            std::fs::read_to_string(path.join("dm/suspended")).is_ok_and(|text| text.trim() == "1")
        };
        let found = entries.filter(suspended);
        Ok(found.map(|path| format!("{} is suspended", path.display())).collect())
    }

    fn second_process(&self) -> Option<Invocation> {
        let mut program = child::one_test("worker");
        let own = self.scratch.path().as_os_str().to_owned();
        program.environment.push((OsString::from(OWN), own));
        Some(program)
    }

    fn filesystems(&self) -> Option<&dyn Filesystems> {
        Some(&self.filesystems)
    }

    fn dispose(&self) -> Result<()> {
        self.clear();
        Ok(())
    }
}

/// An open device node.
#[derive(Debug)]
struct Node(Box<dyn FileIo>);

impl BlockIo for Node {
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
    let (Ok(script), Some(own)) = (std::env::var(SCRIPT_VARIABLE), std::env::var_os(OWN)) else {
        return;
    };
    let backend = backend_in(Path::new(&own), conformance::worker_checkpoints());
    let open = backend.open_pool(&id()).unwrap();
    conformance::run_worker(open.as_ref(), &script, &mut io::stdout()).unwrap();
}

/// Runs the cases with these words in their names, or all of them.
fn check(lab: &Lab, few: &[&str]) {
    let chosen: &[&str] = if rounds(0) > 0 { &[""] } else { few };
    for filter in chosen {
        let report = conformance::run(lab, filter);
        println!("{report}");
        report.assert_passed().unwrap();
        assert!(!report.passed().is_empty(), "{filter}");
    }
}

#[test]
fn the_suite_passes_on_thick_volumes() {
    let few = ["volumes/device_is", "growth/online", "tokens/spent"];
    check(&Lab::new("thick", false), &few);
}

#[test]
fn the_suite_passes_on_thin_volumes() {
    let few = ["snapshots/of_a_published", "restores/larger", "thin/policy"];
    check(&Lab::new("thin", true), &few);
}
