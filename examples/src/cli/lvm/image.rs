//! Files that hold images of devices; for reading only.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;

use open_local_core::host::{BlockIo, DeviceAccess, DeviceHandle, Devices, SystemDevices};
use open_local_core::{Bytes, DeviceNumber};

/// An image.
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

impl DeviceHandle for Image {
    /// Tells one image from another; it is no device of the kernel, whose majors are not 0.
    fn number(&self) -> io::Result<DeviceNumber> {
        let low = self.0.metadata()?.ino() & u64::from(u32::MAX);
        Ok(DeviceNumber::new(0, u32::try_from(low).unwrap_or(u32::MAX)))
    }

    fn block_size(&self) -> io::Result<Bytes> {
        Ok(Bytes::new(512))
    }

    fn is_read_only(&self) -> io::Result<bool> {
        Ok(true)
    }

    fn drop_cache(&self) -> io::Result<()> {
        Ok(())
    }
}

/// The machine's block devices, and images that can be looked at.
#[derive(Debug, Default)]
pub(super) struct WithImages(SystemDevices);

impl Devices for WithImages {
    fn open(&self, path: &Path, access: DeviceAccess) -> io::Result<Box<dyn DeviceHandle>> {
        match self.0.open(path, access) {
            Err(error)
                if error.raw_os_error() == Some(libc::ENOTBLK)
                    && !access.writes()
                    && !access.claims() =>
            {
                Ok(Box::new(Image::open(path)?))
            }
            other => other,
        }
    }

    fn writers(&self, number: DeviceNumber) -> io::Result<Vec<String>> {
        self.0.writers(number)
    }
}
