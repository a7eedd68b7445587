//! The machine's files and loop devices, with a ledger.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::Arc;

use open_local_core::Bytes;
use open_local_core::host::{
    BlockIo, FileIo, FileLock, FileStat, Files, FsSpace, LoopDevice, LoopSpec, Loops, OpenMode,
};

use crate::ledger::Ledger;

/// Files whose calls are booked.
#[derive(Debug)]
pub(crate) struct WatchedFiles {
    inner: Arc<dyn Files>,
    ledger: Arc<Ledger>,
}

impl WatchedFiles {
    pub(crate) fn new(inner: Arc<dyn Files>, ledger: &Arc<Ledger>) -> Self {
        let ledger = Arc::clone(ledger);
        Self { inner, ledger }
    }

    fn wrap(&self, inner: Box<dyn FileIo>) -> Box<dyn FileIo> {
        let ledger = Arc::clone(&self.ledger);
        Box::new(WatchedFile { inner, ledger })
    }
}

impl Files for WatchedFiles {
    fn stat(&self, path: &Path) -> io::Result<FileStat> {
        self.ledger.book("read", || self.inner.stat(path))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        self.ledger.book("read", || self.inner.list(folder))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.ledger.book("change", || self.inner.create_dir(path))
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileIo>> {
        let made = self.ledger.book("change", || self.inner.create_new(path));
        made.map(|file| self.wrap(file))
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn FileIo>> {
        let opened = self.ledger.book("read", || self.inner.open(path, mode));
        opened.map(|file| self.wrap(file))
    }

    fn reflink(&self, source: &Path, target: &Path) -> io::Result<()> {
        self.ledger.book("change", || self.inner.reflink(source, target))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.ledger.book("change", || self.inner.rename(from, to))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.ledger.book("change", || self.inner.remove_file(path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.ledger.book("change", || self.inner.remove_dir(path))
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        self.ledger.book("flush folder", || self.inner.sync_dir(folder))
    }

    fn space(&self, folder: &Path) -> io::Result<FsSpace> {
        self.ledger.book("read", || self.inner.space(folder))
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn FileLock>>> {
        self.ledger.book("lock", || self.inner.try_lock(path))
    }
}

#[derive(Debug)]
struct WatchedFile {
    inner: Box<dyn FileIo>,
    ledger: Arc<Ledger>,
}

impl BlockIo for WatchedFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.ledger.book("read", || self.inner.read_at(offset, buf))
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.ledger.book("change", || self.inner.write_at(offset, data))
    }

    fn flush(&self) -> io::Result<()> {
        self.ledger.book("flush file", || self.inner.flush())
    }

    fn size(&self) -> io::Result<Bytes> {
        self.ledger.book("read", || self.inner.size())
    }
}

impl FileIo for WatchedFile {
    fn set_len(&self, size: Bytes) -> io::Result<()> {
        self.ledger.book("change", || self.inner.set_len(size))
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.ledger.book("change", || self.inner.allocate(offset, len))
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<(u64, u64)>> {
        self.ledger.book("read", || self.inner.next_data(offset))
    }

    fn stat(&self) -> io::Result<FileStat> {
        self.ledger.book("read", || self.inner.stat())
    }
}

/// Loop devices whose calls are booked.
#[derive(Debug)]
pub(crate) struct WatchedLoops {
    inner: Arc<dyn Loops>,
    ledger: Arc<Ledger>,
}

impl WatchedLoops {
    pub(crate) fn new(inner: Arc<dyn Loops>, ledger: &Arc<Ledger>) -> Self {
        let ledger = Arc::clone(ledger);
        Self { inner, ledger }
    }
}

impl Loops for WatchedLoops {
    fn list(&self) -> io::Result<Vec<LoopDevice>> {
        self.ledger.book("list loops", || self.inner.list())
    }

    fn attach(&self, spec: &LoopSpec<'_>) -> io::Result<LoopDevice> {
        self.ledger.book("loop", || self.inner.attach(spec))
    }

    fn detach(&self, device: &LoopDevice) -> io::Result<()> {
        self.ledger.book("loop", || self.inner.detach(device))
    }

    fn resize(&self, device: &LoopDevice) -> io::Result<Bytes> {
        self.ledger.book("loop", || self.inner.resize(device))
    }

    fn flush(&self, device: &LoopDevice) -> io::Result<()> {
        self.ledger.book("loop", || self.inner.flush(device))
    }
}
