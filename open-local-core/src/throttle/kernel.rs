//! Small text files of the kernel: cgroups, `/sys`, `/proc`.
//!
//! Their size is not known before they are read, one `write` is one order, and cgroups come and
//! go at any time; that is why they are not reached through [`crate::host::Files`].

use std::ffi::OsString;
use std::fmt::Debug;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A file of the kernel longer than this is not read.
const MAX_TEXT: u64 = 16 << 20;

/// More folders than this in one cgroup are not listed.
const MAX_FOLDERS: usize = 100_000;

/// Files of the kernel.
pub trait KernelFiles: Debug + Send + Sync {
    /// All of a file.
    ///
    /// # Errors
    /// As the operating system gives them: `ENOENT` for what is not there, `ENODEV` for the file
    /// of a cgroup that has just been removed.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Writes `text` to an existing file in one call.
    ///
    /// # Errors
    /// As the kernel answers the order.
    fn write(&self, path: &Path, text: &[u8]) -> io::Result<()>;

    /// The folders in a folder, sorted; links are none.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn folders(&self, folder: &Path) -> io::Result<Vec<OsString>>;

    /// Whether there is something at this path.
    ///
    /// # Errors
    /// As the operating system gives them; that nothing is there is no error.
    fn exists(&self, path: &Path) -> io::Result<bool>;
}

/// The kernel this process runs on.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemKernelFiles;

/// Whether an error says that the thing is not there, or no longer.
pub(super) fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV | libc::ENOTDIR))
}

impl KernelFiles for SystemKernelFiles {
    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let file = fs::File::open(path)?;
        let mut text = Vec::new();
        file.take(MAX_TEXT.saturating_add(1)).read_to_end(&mut text)?;
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > MAX_TEXT {
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        }
        Ok(text)
    }

    fn write(&self, path: &Path, text: &[u8]) -> io::Result<()> {
        let mut file =
            fs::OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW).open(path)?;
        // Not write_all: a second call would be a second order.
        if file.write(text)? != text.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok(())
    }

    fn folders(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => names.push(entry.file_name()),
                Err(error) if !is_gone(&error) => return Err(error),
                _ => {}
            }
            if names.len() > MAX_FOLDERS {
                return Err(io::Error::from_raw_os_error(libc::E2BIG));
            }
        }
        names.sort();
        Ok(names)
    }

    fn exists(&self, path: &Path) -> io::Result<bool> {
        match fs::symlink_metadata(path) {
            Ok(_) => Ok(true),
            Err(error) if is_gone(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_without_a_size_are_read_whole() {
        let files = SystemKernelFiles;
        let mountinfo = files.read(Path::new("/proc/self/mountinfo")).unwrap();
        assert!(mountinfo.ends_with(b"\n"));
        let missing = Path::new("/proc/self/no-such-file");
        assert!(is_gone(&files.read(missing).unwrap_err()));
        assert!(!files.exists(missing).unwrap());
        assert!(!files.exists(&missing.join("below")).unwrap());
        let below = files.folders(Path::new("/proc/self")).unwrap();
        assert!(below.contains(&OsString::from("fd")));
        assert!(!below.contains(&OsString::from("cwd")), "links are no folders");
    }
}
