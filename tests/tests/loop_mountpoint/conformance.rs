//! The conformance suite on mounted loop devices.

use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use open_local_core::conformance::{self, Fixture, PoolWish, SCRIPT_VARIABLE};
use open_local_core::host::{BlockIo, Checkpoints, Invocation, Unchecked};
use open_local_core::{Attachment, Backend, Bytes, Health, Pool, PoolExt, Result};
use open_local_tests::child;

use super::shelf::{Shelf, backend_in, from_parent, mib, pool_id};

/// Disks of each size in MiB, small ones for the races; an ext4 has room for a little less.
const PLACES: [(usize, u64); 2] = [(26, 3), (8, 20)];

/// Mounts that are in a pool; what that looks like on disk is kept and put back.
#[derive(Debug)]
struct Cleared(Shelf);

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

impl Cleared {
    fn new() -> Self {
        let sizes: Vec<Bytes> =
            PLACES.iter().flat_map(|(count, size)| vec![mib(*size); *count]).collect();
        let shelf = Shelf::new("mountpoint-conformance", "ext4", &sizes);
        let backend = shelf.backend(Arc::new(Unchecked));
        let _ = backend.ensure_pool(&shelf.spec()).unwrap();
        let _ = shelf.open().unwrap().maintain_all().unwrap();
        copy(&shelf.own().join("state"), &shelf.own().join("cleared"));
        Self(shelf)
    }
}

impl Fixture for Cleared {
    fn name(&self) -> &str {
        "mountpoint on ext4"
    }

    fn fresh(&self, _wish: &PoolWish) -> Result<Arc<dyn Pool>> {
        for index in 0..self.0.disks.len() {
            let _ = fs::remove_file(self.0.at(index).join("content"));
        }
        let own = self.0.own();
        fs::remove_dir_all(own.join("state")).unwrap();
        copy(&own.join("cleared"), &own.join("state"));
        self.0.open()
    }

    fn reopen(&self, checkpoints: Arc<dyn Checkpoints>) -> Result<Arc<dyn Pool>> {
        self.0.backend(checkpoints).open_pool(&pool_id())
    }

    fn open(&self, at: &Attachment) -> io::Result<Box<dyn BlockIo>> {
        Ok(Box::new(InFile(at.device.join("content"))))
    }

    fn leaks(&self) -> Result<Vec<String>> {
        let info = self.0.open()?.info()?;
        let mut leaks = Vec::new();
        if info.health != Health::Healthy {
            leaks.push(info.health.to_string());
        }
        let places = info.details.keys().filter(|key| key.starts_with("place ")).count();
        if places != self.0.disks.len() {
            leaks.push(format!("{places} places"));
        }
        Ok(leaks)
    }

    fn second_process(&self) -> Option<Invocation> {
        let mut program = child::one_test("conformance::worker");
        program.environment.extend(self.0.for_child());
        Some(program)
    }
}

/// A file in the directory, made when it is first written.
#[derive(Debug)]
struct InFile(PathBuf);

impl BlockIo for InFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        buf.fill(0);
        let file = match fs::File::open(&self.0) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        let left = file.metadata()?.len().saturating_sub(offset);
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        file.read_exact_at(&mut buf[..len], offset)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut options = fs::OpenOptions::new();
        let file = options.create(true).truncate(false).write(true).open(&self.0)?;
        file.write_all_at(data, offset)
    }

    fn flush(&self) -> io::Result<()> {
        match fs::File::open(&self.0) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other?.sync_all(),
        }
    }

    fn size(&self) -> io::Result<Bytes> {
        fs::metadata(&self.0).map(|meta| Bytes::new(meta.len()))
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
fn the_suite_passes_on_mounts_of_ext4() {
    let report = conformance::run(&Cleared::new(), "");
    println!("{report}");
    report.assert_passed().unwrap();
}
