//! A machine without files.

use std::ffi::OsString;
use std::io;
use std::path::Path;

use crate::host::{FileIo, FileLock, FileStat, Files, FsSpace, OpenMode};

/// Holds no files; every call answers `ENOSYS`.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct NoFiles;

fn refuse<T>() -> io::Result<T> {
    Err(io::Error::from_raw_os_error(libc::ENOSYS))
}

impl Files for NoFiles {
    fn stat(&self, _path: &Path) -> io::Result<FileStat> {
        refuse()
    }

    fn list(&self, _folder: &Path) -> io::Result<Vec<OsString>> {
        refuse()
    }

    fn create_dir(&self, _path: &Path) -> io::Result<()> {
        refuse()
    }

    fn create_new(&self, _path: &Path) -> io::Result<Box<dyn FileIo>> {
        refuse()
    }

    fn open(&self, _path: &Path, _mode: OpenMode) -> io::Result<Box<dyn FileIo>> {
        refuse()
    }

    fn reflink(&self, _source: &Path, _target: &Path) -> io::Result<()> {
        refuse()
    }

    fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        refuse()
    }

    fn remove_file(&self, _path: &Path) -> io::Result<()> {
        refuse()
    }

    fn remove_dir(&self, _path: &Path) -> io::Result<()> {
        refuse()
    }

    fn sync_dir(&self, _folder: &Path) -> io::Result<()> {
        refuse()
    }

    fn space(&self, _folder: &Path) -> io::Result<FsSpace> {
        refuse()
    }

    fn try_lock(&self, _path: &Path) -> io::Result<Option<Box<dyn FileLock>>> {
        refuse()
    }
}
