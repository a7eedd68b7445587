//! The conformance suite on the `file` backend with real loop devices, on the three host file
//! systems it is made for.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::io;
use std::sync::Arc;

use open_local_core::conformance::{self, Fixture, PoolWish, SCRIPT_VARIABLE};
use open_local_core::fs::{Filesystems, HostFilesystems};
use open_local_core::host::{
    BlockIo, Checkpoints, Files, Invocation, OpenMode, SystemFiles, Unchecked,
};
use open_local_core::{Attachment, Backend, Bytes, CopyMethod, Error, Op, Pool, Result};
use open_local_tests::{PoolFolder, Scratch, child};

/// A pool on a small disk of its own.
#[derive(Debug)]
struct Disk {
    name: String,
    pool: PoolFolder,
    filesystems: HostFilesystems,
    _scratch: Scratch,
}

impl Disk {
    fn new(kind: &str) -> Self {
        let scratch = Scratch::new(&format!("conformance-{kind}"));
        // Sparse. The smallest XFS is 300 MiB; the suite's pool has 256 MiB.
        let mount = scratch.disk("disk", Bytes::from_mib(768).unwrap(), kind);
        let pool = PoolFolder::new(scratch.path(), &mount.join("pool"));
        Self {
            name: format!("file on {kind}"),
            filesystems: pool.filesystems(Arc::new(Unchecked)),
            pool,
            _scratch: scratch,
        }
    }

    fn clear(&self) -> Result<()> {
        let failed = |e| Error::from_io(Op::Conformance, &self.pool.id(), "can't clear it", e);
        self.pool.clear().map_err(failed)
    }
}

impl Fixture for Disk {
    fn name(&self) -> &str {
        &self.name
    }

    fn fresh(&self, wish: &PoolWish) -> Result<Arc<dyn Pool>> {
        self.clear()?;
        let spec = self.pool.spec().with_capacity(wish.capacity);
        let spec = spec.with_reserve(wish.reserve).with_overcommit(wish.overcommit);
        let backend = self.pool.backend(Arc::new(Unchecked));
        let _ = backend.ensure_pool(&spec)?;
        backend.open_pool(&spec.id)
    }

    fn reopen(&self, checkpoints: Arc<dyn Checkpoints>) -> Result<Arc<dyn Pool>> {
        // Opening sweeps; the checkpoints are meant for the calls that follow.
        drop(self.pool.open()?);
        self.pool.backend(checkpoints).open_pool(&self.pool.id())
    }

    fn open(&self, device: &Attachment) -> io::Result<Box<dyn BlockIo>> {
        let mode = if device.read_only { OpenMode::Read } else { OpenMode::ReadWrite };
        // The kernel forgets what it has cached of a device at its last close, so that every
        // opening reads what the device holds.
        let file = SystemFiles.open(&device.device, mode)?;
        Ok(Box::new(Node(file)))
    }

    fn leaks(&self) -> Result<Vec<String>> {
        self.pool.leaks()
    }

    fn second_process(&self) -> Option<Invocation> {
        let mut program = child::one_test("worker");
        program.environment.extend(self.pool.for_child());
        Some(program)
    }

    fn filesystems(&self) -> Option<&dyn Filesystems> {
        Some(&self.filesystems)
    }

    fn dispose(&self) -> Result<()> {
        self.clear()
    }
}

/// An open device node.
#[derive(Debug)]
struct Node(Box<dyn open_local_core::host::FileIo>);

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
    let (Ok(script), Some(pool)) = (std::env::var(SCRIPT_VARIABLE), PoolFolder::from_parent())
    else {
        return;
    };
    let backend = pool.backend(conformance::worker_checkpoints());
    let open = backend.open_pool(&pool.id()).unwrap();
    conformance::run_worker(open.as_ref(), &script, &mut io::stdout()).unwrap();
}

/// Runs every case; none may be left out.
fn check(kind: &str, copies: CopyMethod) {
    let disk = Disk::new(kind);
    let can = disk.fresh(&PoolWish::default()).unwrap().capabilities();
    assert_eq!(can.clones, copies, "how {kind} copies");
    let report = conformance::run(&disk, "");
    println!("{report}");
    report.assert_passed().unwrap();
}

#[test]
fn the_suite_passes_on_ext4() {
    check("ext4", CopyMethod::FullCopy);
}

#[test]
fn the_suite_passes_on_xfs() {
    check("xfs", CopyMethod::Shared);
}

#[test]
fn the_suite_passes_on_btrfs() {
    check("btrfs", CopyMethod::Shared);
}
