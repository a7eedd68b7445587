//! Folders of the machine this process runs on.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag, RenameFlags, openat, renameat2};
use nix::sys::stat::{Mode, fstatat};
use nix::unistd::{UnlinkatFlags, syncfs, unlinkat};

use super::{FileKind, FileStat, FolderHandle, Folders, FsSpace, system_files};
use crate::device::DeviceNumber;
use crate::units::{Bytes, Sectors};

/// The machine's folders.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemFolders;

#[derive(Debug)]
struct SystemFolder(OwnedFd);

fn folder_flags() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC
}

/// A name is one component: anything else could lead out of the folder.
fn single(name: &OsStr) -> io::Result<&OsStr> {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes.contains(&b'/') || bytes == b"." || bytes == b".." {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    Ok(name)
}

fn describe(stat: &nix::sys::stat::FileStat) -> FileStat {
    let kind = match stat.st_mode & libc::S_IFMT {
        libc::S_IFREG => FileKind::File,
        libc::S_IFDIR => FileKind::Directory,
        libc::S_IFLNK => FileKind::Symlink,
        libc::S_IFBLK => FileKind::BlockDevice,
        _ => FileKind::Other,
    };
    let number = |n: i64| u64::try_from(n).unwrap_or(0);
    FileStat {
        kind,
        size: Bytes::new(number(stat.st_size)),
        allocated: Sectors::new(number(stat.st_blocks)).to_bytes().unwrap_or(Bytes::MAX),
        device: DeviceNumber::from_dev_t(stat.st_dev),
        inode: stat.st_ino,
        stands_for: (kind == FileKind::BlockDevice).then(|| DeviceNumber::from_dev_t(stat.st_rdev)),
    }
}

impl SystemFolder {
    fn open_at(&self, name: &OsStr) -> io::Result<Self> {
        Ok(Self(openat(&self.0, single(name)?, folder_flags(), Mode::empty())?))
    }

    /// The folder the names lead to, one inside the other, without leaving this mount.
    fn inner(&self, names: &[OsString]) -> io::Result<Option<Self>> {
        let mount = self.mount_id()?;
        let mut inner: Option<Self> = None;
        for name in names {
            let next = inner.as_ref().unwrap_or(self).open_at(name)?;
            if next.mount_id()? != mount {
                return Err(io::Error::from_raw_os_error(libc::EXDEV));
            }
            inner = Some(next);
        }
        Ok(inner)
    }

    fn file(&self, name: &OsStr, flags: OFlag) -> io::Result<File> {
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        Ok(File::from(openat(&self.0, single(name)?, flags, mode)?))
    }
}

impl Folders for SystemFolders {
    fn open(&self, path: &Path) -> io::Result<Box<dyn FolderHandle>> {
        let fd = nix::fcntl::open(path, folder_flags(), Mode::empty())?;
        Ok(Box::new(SystemFolder(fd)))
    }
}

impl FolderHandle for SystemFolder {
    fn mount_id(&self) -> io::Result<u64> {
        // proc_pid_fdinfo(5); Linux 3.15 and newer.
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", self.0.as_raw_fd()))?;
        let id = info.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok());
        id.ok_or_else(|| io::Error::from_raw_os_error(libc::ENOSYS))
    }

    fn stat(&self) -> io::Result<FileStat> {
        Ok(describe(&nix::sys::stat::fstat(&self.0)?))
    }

    fn list(&self, most: usize) -> io::Result<Vec<OsString>> {
        // A descriptor of its own: the place in a listing belongs to the open file.
        let again = openat(&self.0, ".", folder_flags(), Mode::empty())?;
        let mut names = Vec::new();
        for entry in Dir::from_fd(again)?.iter() {
            let entry = entry?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                names.push(OsStr::from_bytes(name).to_owned());
            }
            if names.len() >= most {
                break;
            }
        }
        names.sort();
        Ok(names)
    }

    fn stat_at(&self, name: &OsStr) -> io::Result<FileStat> {
        let flags = AtFlags::AT_SYMLINK_NOFOLLOW;
        Ok(describe(&fstatat(&self.0, single(name)?, flags)?))
    }

    fn open_folder(&self, name: &OsStr) -> io::Result<Box<dyn FolderHandle>> {
        Ok(Box::new(self.open_at(name)?))
    }

    fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.0, single(name)?, UnlinkatFlags::NoRemoveDir)?)
    }

    fn remove_folder(&self, name: &OsStr) -> io::Result<()> {
        Ok(unlinkat(&self.0, single(name)?, UnlinkatFlags::RemoveDir)?)
    }

    fn lift(&self, names: &[OsString], to: &OsStr) -> io::Result<()> {
        let (last, above) =
            names.split_last().ok_or_else(|| io::Error::from_raw_os_error(libc::EINVAL))?;
        let from = self.inner(above)?;
        let from = from.as_ref().map_or(self.0.as_fd(), |folder| folder.0.as_fd());
        let flags = RenameFlags::RENAME_NOREPLACE;
        Ok(renameat2(from, single(last)?, &self.0, single(to)?, flags)?)
    }

    fn read_file(&self, name: &OsStr, limit: usize) -> io::Result<Vec<u8>> {
        let file = self.file(name, OFlag::O_RDONLY)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let mut content = Vec::new();
        let most = u64::try_from(limit).unwrap_or(u64::MAX);
        file.take(most.saturating_add(1)).read_to_end(&mut content)?;
        if content.len() > limit {
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        }
        Ok(content)
    }

    fn write_file(&self, name: &OsStr, content: &[u8]) -> io::Result<()> {
        let mut new = name.to_owned();
        new.push(".new");
        match self.remove_file(&new) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = self.file(&new, OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL)?;
        file.write_all(content)?;
        file.sync_all()?;
        renameat2(&self.0, single(&new)?, &self.0, single(name)?, RenameFlags::empty())?;
        Ok(nix::unistd::fsync(&self.0)?)
    }

    fn sync(&self) -> io::Result<()> {
        Ok(syncfs(&self.0)?)
    }

    fn space(&self) -> io::Result<FsSpace> {
        Ok(system_files::space_of(&nix::sys::statfs::fstatfs(&self.0)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_lead_out_of_a_folder_and_links_are_not_followed() {
        let top = std::env::temp_dir().join(format!("open-local-folder-{}", std::process::id()));
        let inner = top.join("inner");
        std::fs::create_dir_all(&inner).unwrap();
        std::fs::write(top.join("precious"), "p").unwrap();
        std::os::unix::fs::symlink(&top, inner.join("link")).unwrap();
        let folder = SystemFolders.open(&inner).unwrap();
        for name in ["..", ".", "", "../precious", "link/precious"] {
            assert!(folder.remove_file(OsStr::new(name)).is_err(), "{name}");
            assert!(folder.stat_at(OsStr::new(name)).is_err(), "{name}");
        }
        assert!(folder.open_folder(OsStr::new("link")).is_err());
        assert!(SystemFolders.open(&inner.join("link")).is_err());
        assert_eq!(folder.stat_at(OsStr::new("link")).unwrap().kind, FileKind::Symlink);
        folder.remove_file(OsStr::new("link")).unwrap();
        assert_eq!(folder.list(9).unwrap(), Vec::<OsString>::new());
        assert!(top.join("precious").exists());
        std::fs::remove_dir_all(&top).unwrap();
    }

    #[test]
    fn what_lies_deep_is_lifted_and_nothing_is_replaced() {
        let top = std::env::temp_dir().join(format!("open-local-lift-{}", std::process::id()));
        std::fs::create_dir_all(top.join("a/b/c")).unwrap();
        std::fs::create_dir_all(top.join("taken")).unwrap();
        let folder = SystemFolders.open(&top).unwrap();
        let names: Vec<OsString> = ["a", "b", "c"].map(OsString::from).into();
        assert!(folder.lift(&names, OsStr::new("taken")).is_err());
        folder.lift(&names, OsStr::new("free")).unwrap();
        assert_eq!(folder.list(9).unwrap(), ["a", "free", "taken"]);
        folder.write_file(OsStr::new("mark"), b"text").unwrap();
        assert_eq!(folder.read_file(OsStr::new("mark"), 4).unwrap(), b"text");
        assert!(folder.read_file(OsStr::new("mark"), 3).is_err());
        std::fs::remove_dir_all(&top).unwrap();
    }
}
