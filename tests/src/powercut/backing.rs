//! What survives: memory for tests, a sparse file for guests.

use std::fmt::Debug;
use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use nix::fcntl::{FallocateFlags, fallocate};

/// Storage for what has been flushed.
///
/// Nothing is synchronised to the host's disk: the power that goes off is the guest's.
pub trait Backing: Debug + Send {
    /// Fills `buf` from `offset`.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;

    /// Writes all of `data` at `offset`.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Makes a range read as zeroes.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn zero_at(&mut self, offset: u64, length: u64) -> io::Result<()>;

    /// Its size in bytes.
    fn size(&self) -> u64;
}

/// A backing in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemoryBacking(Vec<u8>);

impl MemoryBacking {
    /// All zeroes.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self(vec![0; size])
    }

    fn range(&self, offset: u64, length: u64) -> io::Result<std::ops::Range<usize>> {
        let start = usize::try_from(offset).ok();
        let range = start.zip(usize::try_from(length).ok());
        let range = range.and_then(|(start, length)| Some(start..start.checked_add(length)?));
        range.filter(|r| r.end <= self.0.len()).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

fn length(data: &[u8]) -> u64 {
    u64::try_from(data.len()).unwrap_or(u64::MAX)
}

impl Backing for MemoryBacking {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let range = self.range(offset, length(buf))?;
        buf.copy_from_slice(self.0.get(range).unwrap_or_default());
        Ok(())
    }

    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        let range = self.range(offset, length(data))?;
        self.0.get_mut(range).unwrap_or_default().copy_from_slice(data);
        Ok(())
    }

    fn zero_at(&mut self, offset: u64, length: u64) -> io::Result<()> {
        let range = self.range(offset, length)?;
        self.0.get_mut(range).unwrap_or_default().fill(0);
        Ok(())
    }

    fn size(&self) -> u64 {
        length(&self.0)
    }
}

/// A backing in a sparse file.
#[derive(Debug)]
pub struct FileBacking {
    file: fs::File,
    size: u64,
}

impl FileBacking {
    /// Opens a file, or makes it; one that is there keeps its content and must have this size.
    ///
    /// # Errors
    /// `InvalidInput` if the file has another size; others as the operating system gives them.
    pub fn open(path: &Path, size: u64) -> io::Result<Self> {
        let mut options = fs::OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(path)?;
        let found = file.metadata()?.len();
        if found == 0 {
            file.set_len(size)?;
        } else if found != size {
            let said = format!("{} has {found} bytes, not {size}", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidInput, said));
        }
        Ok(Self { file, size })
    }
}

impl Backing for FileBacking {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)
    }

    fn write_at(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, offset)
    }

    fn zero_at(&mut self, offset: u64, length: u64) -> io::Result<()> {
        let signed = |n: u64| i64::try_from(n).map_err(|_| io::ErrorKind::InvalidInput);
        let hole = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        Ok(fallocate(&self.file, hole, signed(offset)?, signed(length)?)?)
    }

    fn size(&self) -> u64 {
        self.size
    }
}
