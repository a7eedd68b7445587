//! Folders that are held open: what is done in one is done in that one, whatever its path leads to
//! meanwhile.

use std::ffi::{OsStr, OsString};
use std::fmt::Debug;
use std::io;
use std::path::Path;

use super::{FileStat, FsSpace};

/// An open folder. Names are single components; no call follows a link.
pub trait FolderHandle: Debug + Send + Sync {
    /// The id of the mount it was reached by, as the mount table has it.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn mount_id(&self) -> io::Result<u64>;

    /// What is known of the folder.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn stat(&self) -> io::Result<FileStat>;

    /// At most so many of the names in it, sorted; all, if they are fewer.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn list(&self, most: usize) -> io::Result<Vec<OsString>>;

    /// What is known of a name in it.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn stat_at(&self, name: &OsStr) -> io::Result<FileStat>;

    /// Opens a folder in it. Where something is mounted on it, what is mounted is opened: the
    /// caller compares [`Self::mount_id`].
    ///
    /// # Errors
    /// `ENOTDIR` or `ELOOP` for anything else, others as the operating system gives them.
    fn open_folder(&self, name: &OsStr) -> io::Result<Box<dyn FolderHandle>>;

    /// Removes a name that is no folder.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn remove_file(&self, name: &OsStr) -> io::Result<()>;

    /// Removes an empty folder.
    ///
    /// # Errors
    /// `ENOTEMPTY`, `EBUSY` where something is mounted, others as the operating system gives them.
    fn remove_folder(&self, name: &OsStr) -> io::Result<()>;

    /// Moves what the names lead to, one inside the other, up into this folder under a name that
    /// nothing has.
    ///
    /// # Errors
    /// `EEXIST`, `EXDEV` where a mount is in the way, others as the operating system gives them.
    fn lift(&self, names: &[OsString], to: &OsStr) -> io::Result<()>;

    /// All of a small file.
    ///
    /// # Errors
    /// `EFBIG` if there is more than `limit`, `ELOOP` for a link, `EINVAL` for anything else that
    /// is no file, others as the operating system gives them.
    fn read_file(&self, name: &OsStr, limit: usize) -> io::Result<Vec<u8>>;

    /// Writes a small file so that it survives a power cut; replaces an older one in one step.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn write_file(&self, name: &OsStr, content: &[u8]) -> io::Result<()>;

    /// Makes all of its file system survive a power cut.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn sync(&self) -> io::Result<()>;

    /// The room of its file system.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn space(&self) -> io::Result<FsSpace>;
}

/// Folders by their paths.
pub trait Folders: Debug + Send + Sync {
    /// Opens a folder; a link in the last component is not followed.
    ///
    /// # Errors
    /// `ENOTDIR` or `ELOOP` for anything else, others as the operating system gives them.
    fn open(&self, path: &Path) -> io::Result<Box<dyn FolderHandle>>;
}
