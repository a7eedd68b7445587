//! Folders with mounts over simulated files and disks.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disks::SimDisks;
use super::files::SimFiles;
use crate::device::DeviceNumber;
use crate::host::{
    FileKind, FileStat, Files, FolderHandle, Folders, FsSpace, OpenMode, read_small,
};
use crate::token::Uuid;
use crate::units::Bytes;

/// `f_type` of ext4 (Linux 6.18, `linux/magic.h`).
const EXT4_MAGIC: u64 = 0xEF53;

#[derive(Debug, Clone)]
struct Mount {
    id: u64,
    number: DeviceNumber,
    disk: String,
    target: PathBuf,
    /// Where the files are what is mounted.
    backing: PathBuf,
    size: Bytes,
}

#[derive(Debug, Clone, Default)]
struct Table {
    mounts: Vec<Mount>,
    /// Mounts so far.
    count: u64,
    immutable: BTreeSet<PathBuf>,
}

/// The folders of the machine whose files and disks are given.
///
/// What is on a mounted disk is a folder under `/content`, so that it is there again when the disk
/// is mounted somewhere else, and so that each change of it may be the last one or be lost.
#[derive(Debug, Clone)]
pub struct SimFolders {
    files: Arc<SimFiles>,
    disks: SimDisks,
    table: Arc<Mutex<Table>>,
}

fn os(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

impl SimFolders {
    /// No mounts yet.
    ///
    /// # Errors
    /// `ENOTDIR` if something is in the way of `/content`.
    pub fn new(files: &Arc<SimFiles>, disks: &SimDisks) -> io::Result<Self> {
        files.add_folder("/content")?;
        Ok(Self { files: Arc::clone(files), disks: disks.clone(), table: Arc::default() })
    }

    /// The same mounts for a machine that was copied.
    #[must_use]
    pub fn fork(&self, files: &Arc<SimFiles>, disks: &SimDisks) -> Self {
        let table = Arc::new(Mutex::new(self.table().clone()));
        Self { files: Arc::clone(files), disks: disks.clone(), table }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a file system on a disk; the UUID is all there is of it on the disk itself.
    ///
    /// # Errors
    /// `ENODEV` if there is no such disk.
    pub fn format(&self, disk: &str, uuid: Uuid) -> io::Result<()> {
        let content = self.disks.content(disk, OpenMode::ReadWrite)?;
        // The magic number, the UUID and a feature that only ext4 has (extents).
        content.write_at(1024 + 0x38, &[0x53, 0xEF])?;
        content.write_at(1024 + 0x60, &[0x40, 0, 0, 0])?;
        content.write_at(1024 + 0x68, uuid.as_bytes())?;
        content.flush()?;
        self.files.add_folder(Path::new("/content").join(disk).join("lost+found"))
    }

    /// Mounts a disk that was formatted.
    ///
    /// # Errors
    /// `ENODEV` if there is no such disk, `ENOTDIR` if the target is no folder.
    pub fn mount(&self, disk: &str, target: &str) -> io::Result<()> {
        self.add(disk, Path::new("/content").join(disk), target)
    }

    /// Makes a folder visible at another place too, as `mount --bind` does.
    ///
    /// # Errors
    /// `EINVAL` if it lies on no mount, `ENOTDIR` if the target is no folder.
    pub fn bind(&self, from: &str, target: &str) -> io::Result<()> {
        let (mount, backing) = self.resolve(Path::new(from));
        let mount = mount.ok_or_else(|| os(libc::EINVAL))?;
        self.add(&mount.disk, backing, target)
    }

    fn add(&self, disk: &str, backing: PathBuf, target: &str) -> io::Result<()> {
        self.files.add_folder(self.resolve(Path::new(target)).1)?;
        let path = Path::new("/dev").join(disk);
        let stat = self.files.stat(&path)?;
        let number = stat.stands_for.ok_or_else(|| os(libc::ENODEV))?;
        let size = self.disks.content(disk, OpenMode::Read)?.size()?;
        let mut table = self.table();
        table.count += 1;
        let id = table.count;
        let (disk, target) = (disk.to_owned(), PathBuf::from(target));
        table.mounts.push(Mount { id, number, disk, target, backing, size });
        drop(table);
        self.show()
    }

    /// Unmounts what was mounted last at a target.
    ///
    /// # Errors
    /// `EINVAL` if nothing is mounted there.
    pub fn unmount(&self, target: &str) -> io::Result<()> {
        let mut table = self.table();
        let last = table.mounts.iter().rposition(|m| m.target == Path::new(target));
        table.mounts.remove(last.ok_or_else(|| os(libc::EINVAL))?);
        drop(table);
        self.show()
    }

    /// Lets the removal of a path fail with `EPERM`, or not.
    pub fn set_immutable(&self, path: &str, on: bool) {
        let real = self.resolve(Path::new(path)).1;
        let mut table = self.table();
        if on {
            table.immutable.insert(real)
        } else {
            table.immutable.remove(&real)
        };
    }

    /// Where a path leads to in the simulated files.
    #[must_use]
    pub fn real(&self, path: &Path) -> PathBuf {
        self.resolve(path).1
    }

    /// Writes the mount table as the kernel shows it.
    fn show(&self) -> io::Result<()> {
        let table = self.table().clone();
        let line = |m: &Mount| {
            let top = Path::new("/content").join(&m.disk);
            let root = m.backing.strip_prefix(&top).unwrap_or(&m.backing);
            let root = Path::new("/").join(root);
            let (id, number, disk) = (m.id, m.number, &m.disk);
            let (root, target) = (root.display(), m.target.display());
            format!("{id} 0 {number} {root} {target} rw - ext4 /dev/{disk} rw\n")
        };
        let text: String = table.mounts.iter().map(line).collect();
        self.files.add_file("/proc/self/mountinfo", text.as_bytes())
    }

    /// The mount a path lies on, and where it is in the simulated files.
    fn resolve(&self, path: &Path) -> (Option<Mount>, PathBuf) {
        let table = self.table();
        let above = table.mounts.iter().filter(|m| path.starts_with(&m.target));
        let Some(mount) = above.max_by_key(|m| (m.target.components().count(), m.id)) else {
            return (None, path.to_path_buf());
        };
        let rest = path.strip_prefix(&mount.target).unwrap_or(path);
        (Some(mount.clone()), mount.backing.join(rest))
    }

    fn folder(&self, path: &Path) -> io::Result<SimFolder> {
        let (mount, real) = self.resolve(path);
        match self.files.stat(&real)?.kind {
            FileKind::Directory => {}
            FileKind::Symlink => return Err(os(libc::ELOOP)),
            _ => return Err(os(libc::ENOTDIR)),
        }
        Ok(SimFolder { folders: self.clone(), path: path.to_path_buf(), mount, real })
    }
}

impl Folders for SimFolders {
    fn open(&self, path: &Path) -> io::Result<Box<dyn FolderHandle>> {
        Ok(Box::new(self.folder(path)?))
    }
}

/// An open folder.
#[derive(Debug)]
struct SimFolder {
    folders: SimFolders,
    path: PathBuf,
    mount: Option<Mount>,
    real: PathBuf,
}

impl SimFolder {
    fn files(&self) -> &SimFiles {
        &self.folders.files
    }

    fn described(&self, stat: FileStat) -> FileStat {
        match &self.mount {
            Some(mount) => FileStat { device: mount.number, ..stat },
            None => stat,
        }
    }

    /// The real path of a name that may be removed.
    fn removable(&self, name: &OsStr) -> io::Result<PathBuf> {
        let (path, real) = (self.path.join(name), self.real.join(name));
        let table = self.folders.table();
        if table.immutable.contains(&real) {
            return Err(os(libc::EPERM));
        }
        if table.mounts.iter().any(|m| m.target == path) {
            return Err(os(libc::EBUSY));
        }
        Ok(real)
    }
}

impl FolderHandle for SimFolder {
    fn mount_id(&self) -> io::Result<u64> {
        Ok(self.mount.as_ref().map_or(0, |mount| mount.id))
    }

    fn stat(&self) -> io::Result<FileStat> {
        self.files().stat(&self.real).map(|stat| self.described(stat))
    }

    fn list(&self, most: usize) -> io::Result<Vec<OsString>> {
        let mut names = self.files().list(&self.real)?;
        names.truncate(most);
        Ok(names)
    }

    fn stat_at(&self, name: &OsStr) -> io::Result<FileStat> {
        self.files().stat(&self.real.join(name)).map(|stat| self.described(stat))
    }

    fn open_folder(&self, name: &OsStr) -> io::Result<Box<dyn FolderHandle>> {
        Ok(Box::new(self.folders.folder(&self.path.join(name))?))
    }

    fn remove_file(&self, name: &OsStr) -> io::Result<()> {
        self.files().remove_file(&self.removable(name)?)
    }

    fn remove_folder(&self, name: &OsStr) -> io::Result<()> {
        self.files().remove_dir(&self.removable(name)?)
    }

    fn lift(&self, names: &[OsString], to: &OsStr) -> io::Result<()> {
        let from = names.iter().fold(self.real.clone(), |path, name| path.join(name));
        let to = self.real.join(to);
        if self.files().stat(&to).is_ok() {
            return Err(os(libc::EEXIST));
        }
        self.files().rename(&from, &to)
    }

    fn read_file(&self, name: &OsStr, limit: usize) -> io::Result<Vec<u8>> {
        read_small(self.files(), &self.real.join(name), limit)
    }

    fn write_file(&self, name: &OsStr, content: &[u8]) -> io::Result<()> {
        let mut new = name.to_owned();
        new.push(".new");
        let (new, path) = (self.real.join(new), self.real.join(name));
        match self.files().remove_file(&new) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let file = self.files().create_new(&new)?;
        file.write_at(0, content)?;
        file.flush()?;
        drop(file);
        self.files().rename(&new, &path)?;
        self.files().sync_dir(&self.real)
    }

    fn sync(&self) -> io::Result<()> {
        // What was removed was removed for good once the names at the top are.
        self.files().sync_dir(&self.real)
    }

    fn space(&self) -> io::Result<FsSpace> {
        let total = self.mount.as_ref().map_or(Bytes::GIB, |mount| mount.size);
        Ok(FsSpace { total, available: total, magic: EXT4_MAGIC, read_only: false })
    }
}
