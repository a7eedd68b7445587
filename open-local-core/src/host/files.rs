//! Files and folders, in as few calls as durable state and file-backed volumes need.

use std::ffi::OsString;
use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};

use super::BlockIo;
use crate::device::DeviceNumber;
use crate::units::Bytes;

/// What a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileKind {
    /// An ordinary file.
    File,
    /// A folder.
    Directory,
    /// A symbolic link; links are never followed.
    Symlink,
    /// A block device.
    BlockDevice,
    /// Anything else.
    Other,
}

/// What is known of a path without opening it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileStat {
    /// What it names.
    pub kind: FileKind,
    /// Its length.
    pub size: Bytes,
    /// Bytes really taken.
    pub allocated: Bytes,
    /// The device that holds it (`st_dev`).
    pub device: DeviceNumber,
    /// Its inode number on that device; reused after removal.
    pub inode: u64,
    /// For a device node: the device it stands for (`st_rdev`).
    pub stands_for: Option<DeviceNumber>,
}

/// The room of the file system that holds a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FsSpace {
    /// All of it.
    pub total: Bytes,
    /// What an unprivileged process may still take.
    pub available: Bytes,
    /// Its kind, as `statfs` names it (`f_type`).
    pub magic: u64,
    /// Whether it is mounted read-only.
    pub read_only: bool,
}

/// Who owns a new device node or folder, and who may use it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Access {
    /// Permission bits, whatever the process's mask is.
    pub mode: u32,
    /// The owner's number.
    pub owner: u32,
    /// The group's number.
    pub group: u32,
}

/// How a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OpenMode {
    /// For reading.
    Read,
    /// For reading and writing.
    ReadWrite,
}

/// An open file.
pub trait FileIo: BlockIo {
    /// Cuts or extends it; what is added reads as zeroes and takes no room.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn set_len(&self, size: Bytes) -> io::Result<()>;

    /// Takes room for a range, which reads as before; extends the file if needed.
    ///
    /// # Errors
    /// `ENOSPC` where there is not enough, `EOPNOTSUPP` where the file system can't.
    fn allocate(&self, offset: u64, len: u64) -> io::Result<()>;

    /// The first range at or after `offset` that may hold data: start and end.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn next_data(&self, offset: u64) -> io::Result<Option<(u64, u64)>>;

    /// Reads what there is at `offset`, at most as much as `buf` holds; answers how much, zero at
    /// the end. For files of `/proc` and `/sys`, whose size is not known before.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn read_some(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let left = self.size()?.get().saturating_sub(offset);
        let len = usize::try_from(left).unwrap_or(usize::MAX).min(buf.len());
        let (part, _) = buf.split_at_mut(len);
        self.read_at(offset, part)?;
        Ok(len)
    }

    /// What is known of the open file.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn stat(&self) -> io::Result<FileStat>;
}

/// A lock that is held until this value is dropped or the process ends.
pub trait FileLock: Debug + Send + Sync {}

/// Files and folders.
///
/// No call follows a symbolic link in the last component. What a call changed survives a power
/// cut only after [`BlockIo::flush`] of the file and [`Files::sync_dir`] of its folder.
pub trait Files: Debug + Send + Sync {
    /// What is known of a path.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn stat(&self, path: &Path) -> io::Result<FileStat>;

    /// The names in a folder, sorted.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>>;

    /// Makes a folder, readable by its owner only.
    ///
    /// # Errors
    /// As the operating system gives them, `EEXIST` among them.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes a file that must not exist yet, for reading and writing by its owner only.
    ///
    /// # Errors
    /// As the operating system gives them, `EEXIST` among them.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileIo>>;

    /// Opens an ordinary file.
    ///
    /// # Errors
    /// As the operating system gives them; `ELOOP` for a link.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn FileIo>>;

    /// Makes a new file that shares all blocks of `source`.
    ///
    /// # Errors
    /// `EOPNOTSUPP`, `EINVAL` or `EXDEV` where the file system can't share; nothing is left then.
    fn reflink(&self, source: &Path, target: &Path) -> io::Result<()>;

    /// Gives an ordinary file a second name in the same file system; `target` must not exist yet.
    ///
    /// # Errors
    /// `EOPNOTSUPP` where there are no second names, others as the operating system gives them.
    fn hard_link(&self, _source: &Path, _target: &Path) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP))
    }

    /// Renames; replaces an existing `to` in one step.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Removes an empty folder.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;

    /// Makes names made, changed and removed in a folder survive a power cut.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn sync_dir(&self, folder: &Path) -> io::Result<()>;

    /// The room of the file system that holds `folder`.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn space(&self, folder: &Path) -> io::Result<FsSpace>;

    /// Tries to lock a file against everybody else, making it if needed; `None` if it is held.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn FileLock>>>;

    /// Tries to lock a file beside others who do the same and against [`Self::try_lock`], making
    /// it if needed; `None` if that is held. What has no such locks takes the stronger one.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn try_lock_shared(&self, path: &Path) -> io::Result<Option<Box<dyn FileLock>>> {
        self.try_lock(path)
    }

    /// Where a symbolic link leads, as it was made.
    ///
    /// # Errors
    /// `EINVAL` for anything else, `EOPNOTSUPP` where there are none, others as the operating
    /// system gives them.
    fn read_link(&self, _path: &Path) -> io::Result<PathBuf> {
        Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP))
    }

    /// Makes a symbolic link.
    ///
    /// # Errors
    /// `EEXIST` if there is something, `EOPNOTSUPP` where there are none, others as the operating
    /// system gives them.
    fn make_link(&self, _target: &Path, _path: &Path) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP))
    }

    /// Makes the node of a block device.
    ///
    /// # Errors
    /// `EEXIST` if there is something, `EOPNOTSUPP` where there are none, others as the operating
    /// system gives them.
    fn make_device_node(
        &self,
        _path: &Path,
        _number: DeviceNumber,
        _access: Access,
    ) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP))
    }

    /// Makes a folder that not only its owner uses.
    ///
    /// # Errors
    /// As [`Self::create_dir`], and `EOPNOTSUPP` where there are no owners.
    fn create_dir_for(&self, _path: &Path, _access: Access) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(libc::EOPNOTSUPP))
    }
}

/// All of a small file, such as one of `/proc` or `/sys`.
///
/// # Errors
/// `EFBIG` if there is more than `limit`, others as the operating system gives them.
pub fn read_small(files: &dyn Files, path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let file = files.open(path, OpenMode::Read)?;
    let mut content = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let offset = u64::try_from(content.len()).unwrap_or(u64::MAX);
        let got = file.read_some(offset, &mut chunk)?;
        if got == 0 {
            return Ok(content);
        }
        content.extend_from_slice(chunk.get(..got).unwrap_or_default());
        if content.len() > limit {
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        }
    }
}
