//! Files of the machine this process runs on.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::{
    DirBuilderExt, FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt,
};
use std::path::{Path, PathBuf};

use nix::fcntl::{FallocateFlags, Flock, FlockArg, fallocate};
use nix::sys::stat::{Mode, SFlag, mknod};
use nix::unistd::{Whence, lseek64};

use super::{
    Access, BlockIo, FileIo, FileKind, FileLock, FileStat, Files, FsSpace, OpenMode, ioctl,
};
use crate::device::DeviceNumber;
use crate::units::{Bytes, Sectors};

/// The machine's files.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemFiles;

/// An open file of the machine.
#[derive(Debug)]
struct SystemFile(fs::File);

#[derive(Debug)]
struct HeldLock(#[expect(dead_code, reason = "held for its Drop, which unlocks")] Flock<fs::File>);

impl FileLock for HeldLock {}

fn signed(offset: u64) -> io::Result<i64> {
    i64::try_from(offset).map_err(|_| io::Error::from_raw_os_error(libc::EFBIG))
}

fn describe(meta: &fs::Metadata) -> FileStat {
    let kind = meta.file_type();
    let kind = if kind.is_file() {
        FileKind::File
    } else if kind.is_dir() {
        FileKind::Directory
    } else if kind.is_symlink() {
        FileKind::Symlink
    } else if kind.is_block_device() {
        FileKind::BlockDevice
    } else {
        FileKind::Other
    };
    FileStat {
        kind,
        size: Bytes::new(meta.size()),
        allocated: Sectors::new(meta.blocks()).to_bytes().unwrap_or(Bytes::MAX),
        device: DeviceNumber::from_dev_t(meta.dev()),
        inode: meta.ino(),
        stands_for: (kind == FileKind::BlockDevice).then(|| DeviceNumber::from_dev_t(meta.rdev())),
    }
}

pub(super) fn space_of(stat: &nix::sys::statfs::Statfs) -> FsSpace {
    let block = u64::try_from(stat.block_size()).unwrap_or(0);
    let bytes = |blocks: u64| Bytes::new(blocks.saturating_mul(block));
    FsSpace {
        total: bytes(stat.blocks()),
        available: bytes(stat.blocks_available()),
        magic: u64::try_from(stat.filesystem_type().0).unwrap_or(0),
        read_only: stat.flags().contains(nix::sys::statvfs::FsFlags::ST_RDONLY),
    }
}

impl BlockIo for SystemFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buf, offset)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }

    fn flush(&self) -> io::Result<()> {
        self.0.sync_all()
    }

    fn size(&self) -> io::Result<Bytes> {
        let meta = self.0.metadata()?;
        if meta.file_type().is_block_device() {
            return ioctl::device_size(&self.0).map(Bytes::new);
        }
        Ok(Bytes::new(meta.len()))
    }
}

impl FileIo for SystemFile {
    fn set_len(&self, size: Bytes) -> io::Result<()> {
        self.0.set_len(size.get())
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        fallocate(&self.0, FallocateFlags::empty(), signed(offset)?, signed(len)?)?;
        Ok(())
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<(u64, u64)>> {
        let start = match lseek64(&self.0, signed(offset)?, Whence::SeekData) {
            Ok(start) => start,
            Err(nix::Error::ENXIO) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let end = lseek64(&self.0, start, Whence::SeekHole)?;
        Ok(Some((u64::try_from(start).unwrap_or(0), u64::try_from(end).unwrap_or(0))))
    }

    fn read_some(&self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn stat(&self) -> io::Result<FileStat> {
        self.0.metadata().map(|meta| describe(&meta))
    }
}

impl Files for SystemFiles {
    fn stat(&self, path: &Path) -> io::Result<FileStat> {
        fs::symlink_metadata(path).map(|meta| describe(&meta))
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let mut names = fs::read_dir(folder)?
            .map(|entry| entry.map(|e| e.file_name()))
            .collect::<io::Result<Vec<_>>>()?;
        names.sort();
        Ok(names)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::DirBuilder::new().mode(0o700).create(path)
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileIo>> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        options.custom_flags(libc::O_NOFOLLOW);
        Ok(Box::new(SystemFile(options.open(path)?)))
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn FileIo>> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(mode == OpenMode::ReadWrite).custom_flags(libc::O_NOFOLLOW);
        Ok(Box::new(SystemFile(options.open(path)?)))
    }

    fn reflink(&self, source: &Path, target: &Path) -> io::Result<()> {
        let from = fs::OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(source)?;
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        let to = options.custom_flags(libc::O_NOFOLLOW).open(target)?;
        ioctl::clone_file(&from, &to).inspect_err(|_| {
            // Ours and empty: made three lines above with create_new.
            let _ = fs::remove_file(target);
        })
    }

    fn hard_link(&self, source: &Path, target: &Path) -> io::Result<()> {
        // Links are not followed: link(2).
        fs::hard_link(source, target)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        fs::File::open(folder)?.sync_all()
    }

    fn space(&self, folder: &Path) -> io::Result<FsSpace> {
        Ok(space_of(&nix::sys::statfs::statfs(folder)?))
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn FileLock>>> {
        lock(path, FlockArg::LockExclusiveNonblock)
    }

    fn try_lock_shared(&self, path: &Path) -> io::Result<Option<Box<dyn FileLock>>> {
        lock(path, FlockArg::LockSharedNonblock)
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        fs::read_link(path)
    }

    fn make_link(&self, target: &Path, path: &Path) -> io::Result<()> {
        std::os::unix::fs::symlink(target, path)
    }

    fn make_device_node(
        &self,
        path: &Path,
        number: DeviceNumber,
        access: Access,
    ) -> io::Result<()> {
        // Nobody may use it before it has its owner.
        mknod(path, SFlag::S_IFBLK, Mode::empty(), number.to_dev_t())?;
        give(path, access)
    }

    fn create_dir_for(&self, path: &Path, access: Access) -> io::Result<()> {
        self.create_dir(path)?;
        give(path, access)
    }
}

/// Gives what this process has just made its owner and its mode; the mask does not count.
fn give(path: &Path, access: Access) -> io::Result<()> {
    std::os::unix::fs::lchown(path, Some(access.owner), Some(access.group))?;
    fs::set_permissions(path, fs::Permissions::from_mode(access.mode))
}

fn lock(path: &Path, kind: FlockArg) -> io::Result<Option<Box<dyn FileLock>>> {
    let mut options = fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = options.custom_flags(libc::O_NOFOLLOW).open(path)?;
    let lock = match Flock::lock(file, kind) {
        Ok(lock) => lock,
        Err((_, nix::Error::EWOULDBLOCK)) => return Ok(None),
        Err((_, error)) => return Err(error.into()),
    };
    // A holder may have removed the file between our open and our lock: then this lock guards
    // nothing that others see, and the caller has to try again.
    let same = fs::symlink_metadata(path)
        .and_then(|now| Ok((now, lock.metadata()?)))
        .is_ok_and(|(now, held)| now.dev() == held.dev() && now.ino() == held.ino());
    Ok(same.then(|| -> Box<dyn FileLock> { Box::new(HeldLock(lock)) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_excludes_a_second_holder_until_it_is_dropped() {
        let path = std::env::temp_dir().join(format!("open-local-lock-{}", std::process::id()));
        let held = SystemFiles.try_lock(&path).unwrap();
        assert!(held.is_some());
        assert!(SystemFiles.try_lock(&path).unwrap().is_none());
        drop(held);
        assert!(SystemFiles.try_lock(&path).unwrap().is_some());
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn shared_locks_go_together_and_keep_an_exclusive_one_out() {
        let path = std::env::temp_dir().join(format!("open-local-shared-{}", std::process::id()));
        let readers = [(); 2].map(|()| SystemFiles.try_lock_shared(&path).unwrap().unwrap());
        assert!(SystemFiles.try_lock(&path).unwrap().is_none());
        drop(readers);
        let writer = SystemFiles.try_lock(&path).unwrap().unwrap();
        assert!(SystemFiles.try_lock_shared(&path).unwrap().is_none());
        drop(writer);
        assert!(SystemFiles.try_lock_shared(&path).unwrap().is_some());
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_lock_file_that_its_holders_remove_never_has_two_holders() {
        use std::sync::atomic::{AtomicU32, Ordering};
        let path = std::env::temp_dir().join(format!("open-local-idle-{}", std::process::id()));
        let inside = AtomicU32::new(0);
        let work = |thread: u32| {
            let mut held = 0;
            // Every thread opens the file anew, which counts as another process to the kernel.
            for _ in 0..1_000_000 {
                let Some(lock) = SystemFiles.try_lock(&path).unwrap() else {
                    std::thread::yield_now();
                    continue;
                };
                assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two holders");
                std::thread::yield_now();
                inside.fetch_sub(1, Ordering::SeqCst);
                if !(held + thread).is_multiple_of(3) {
                    fs::remove_file(&path).unwrap();
                }
                drop(lock);
                held += 1;
                if held == 100 {
                    return;
                }
            }
            panic!("held {held} times only");
        };
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let work = &work;
                scope.spawn(move || work(thread));
            }
        });
        let _ = fs::remove_file(&path);
    }

    #[test]
    fn small_files_of_unknown_size_are_read_whole() {
        let stat = crate::host::read_small(&SystemFiles, Path::new("/proc/self/stat"), 4096);
        assert!(stat.unwrap().ends_with(b"\n"));
        let maps = crate::host::read_small(&SystemFiles, Path::new("/proc/self/maps"), 10);
        assert_eq!(maps.unwrap_err().raw_os_error(), Some(libc::EFBIG));
    }

    #[test]
    fn links_are_not_followed() {
        let link = std::env::temp_dir().join(format!("open-local-link-{}", std::process::id()));
        std::os::unix::fs::symlink("/etc/hostname", &link).unwrap();
        assert_eq!(SystemFiles.stat(&link).unwrap().kind, FileKind::Symlink);
        assert!(SystemFiles.open(&link, OpenMode::Read).is_err());
        assert!(SystemFiles.try_lock(&link).is_err());
        fs::remove_file(&link).unwrap();
    }
}
