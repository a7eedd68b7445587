//! A file that holds the image of a device.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use open_local_core::Bytes;
use open_local_core::host::BlockIo;

/// An image, for reading only.
#[derive(Debug)]
pub(super) struct Image(File);

impl Image {
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::Error::from_raw_os_error(libc::ENOTBLK));
        }
        File::open(path).map(Self)
    }
}

impl BlockIo for Image {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buf, offset)
    }

    fn write_at(&self, _offset: u64, _data: &[u8]) -> io::Result<()> {
        Err(io::Error::from_raw_os_error(libc::EPERM))
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn size(&self) -> io::Result<Bytes> {
        self.0.metadata().map(|metadata| Bytes::new(metadata.len()))
    }
}
