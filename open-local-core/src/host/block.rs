//! Reading and writing a block device, or anything that looks like one.

use std::fmt::Debug;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use crate::units::Bytes;

/// A device that is read and written at offsets.
pub trait BlockIo: Debug + Send + Sync {
    /// Fills `buf` from `offset`.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] beyond the end; other errors as the device gives them.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()>;

    /// Writes all of `data` at `offset`.
    ///
    /// # Errors
    /// As the device gives them; how much was written is unknown then.
    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()>;

    /// Makes everything written so far survive a power cut.
    ///
    /// # Errors
    /// As the device gives them; what survives is unknown then.
    fn flush(&self) -> io::Result<()>;

    /// The size.
    ///
    /// # Errors
    /// As the device gives them.
    fn size(&self) -> io::Result<Bytes>;
}

/// A shared device; the same for all who hold it.
impl<T: BlockIo + ?Sized> BlockIo for Arc<T> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        (**self).read_at(offset, buf)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        (**self).write_at(offset, data)
    }

    fn flush(&self) -> io::Result<()> {
        (**self).flush()
    }

    fn size(&self) -> io::Result<Bytes> {
        (**self).size()
    }
}

/// A device that refuses writes with `EPERM`, as the kernel does for one set read-only.
#[derive(Debug)]
pub struct ReadOnly<T>(pub T);

impl<T: BlockIo> BlockIo for ReadOnly<T> {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_at(offset, buf)
    }

    fn write_at(&self, _offset: u64, _data: &[u8]) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(libc::EPERM))
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn size(&self) -> io::Result<Bytes> {
        self.0.size()
    }
}

/// A block device in memory, for tests and examples.
#[derive(Debug, Default)]
pub struct MemoryBlock(Mutex<Vec<u8>>);

impl MemoryBlock {
    /// A device with this content.
    #[must_use]
    pub fn new(content: Vec<u8>) -> Self {
        Self(Mutex::new(content))
    }

    /// A copy of the content.
    #[must_use]
    pub fn content(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn range(offset: u64, len: usize) -> Option<std::ops::Range<usize>> {
    let start = usize::try_from(offset).ok()?;
    Some(start..start.checked_add(len)?)
}

impl BlockIo for MemoryBlock {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let content = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let part = range(offset, buf.len()).and_then(|r| content.get(r));
        buf.copy_from_slice(part.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut content = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let part = range(offset, data.len()).and_then(|r| content.get_mut(r));
        part.ok_or_else(|| io::Error::from_raw_os_error(libc::ENOSPC))?.copy_from_slice(data);
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn size(&self) -> io::Result<Bytes> {
        let len = self.0.lock().unwrap_or_else(PoisonError::into_inner).len();
        Ok(Bytes::new(u64::try_from(len).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_has_an_end() {
        let block = MemoryBlock::new(vec![0; 8]);
        block.write_at(4, b"abcd").unwrap();
        assert!(block.write_at(5, b"abcd").is_err());
        let mut buf = [0; 4];
        block.read_at(4, &mut buf).unwrap();
        assert_eq!(&buf, b"abcd");
        assert!(block.read_at(u64::MAX, &mut buf).is_err());
    }
}
