//! Reading and writing a device past the page cache.

use std::fs;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// No logical block is larger.
const ALIGNMENT: usize = 4096;

/// Bytes that begin at an address which direct I/O takes.
#[derive(Debug)]
struct Aligned {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
}

impl Aligned {
    fn new(length: usize) -> Self {
        let bytes = vec![0; length.saturating_add(ALIGNMENT)];
        let start = bytes.as_ptr().align_offset(ALIGNMENT);
        Self { bytes, start, length }
    }

    fn get_mut(&mut self) -> &mut [u8] {
        let end = self.start.saturating_add(self.length);
        self.bytes.get_mut(self.start..end).unwrap_or_default()
    }
}

/// A device opened with `O_DIRECT`: offsets and lengths are whole logical blocks.
#[derive(Debug)]
pub struct Direct(fs::File);

impl Direct {
    /// Opens a device for reading and writing.
    ///
    /// # Errors
    /// As the operating system gives them.
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut options = fs::OpenOptions::new();
        options.read(true).write(true).custom_flags(nix::libc::O_DIRECT);
        options.open(path).map(Self)
    }

    /// Fills a range with a byte; answered when the device has it, perhaps only in its cache.
    ///
    /// # Errors
    /// As the device gives them.
    pub fn fill(&self, offset: u64, length: usize, byte: u8) -> io::Result<()> {
        let mut data = Aligned::new(length);
        data.get_mut().fill(byte);
        self.0.write_all_at(data.get_mut(), offset)
    }

    /// Reads a range from the device.
    ///
    /// # Errors
    /// As the device gives them.
    pub fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut data = Aligned::new(length);
        self.0.read_exact_at(data.get_mut(), offset)?;
        Ok(data.get_mut().to_vec())
    }

    /// Makes what was written durable.
    ///
    /// # Errors
    /// As the device gives them.
    pub fn flush(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}
