//! Open block devices: what the kernel says of one, and claiming it.

use std::fmt::Debug;
use std::fs;
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use super::{BlockIo, ioctl};
use crate::device::DeviceNumber;
use crate::units::Bytes;

/// How a device is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeviceAccess {
    /// For reading, beside whoever else uses it.
    Look,
    /// For reading and writing, and only if nobody has claimed it: no mount, swap area, device
    /// mapper, raid or program that opened it the same way (`O_EXCL`, open(2)).
    Claim,
}

/// An open block device.
pub trait DeviceHandle: BlockIo {
    /// Its number; unlike the path it can't become another device while this is open.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn number(&self) -> io::Result<DeviceNumber>;

    /// Its logical block size.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn block_size(&self) -> io::Result<Bytes>;

    /// Whether it refuses writes.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn is_read_only(&self) -> io::Result<bool>;

    /// Writes back and forgets what the host has cached of it, so that the next read asks the
    /// device.
    ///
    /// # Errors
    /// As the operating system gives them.
    fn drop_cache(&self) -> io::Result<()>;
}

/// Block devices by their nodes.
pub trait Devices: Debug + Send + Sync {
    /// Opens a device; links are followed, since `/dev/disk` and `/dev/mapper` are made of them.
    ///
    /// # Errors
    /// `ENOTBLK` for anything but a block device, `EBUSY` for a claim on a device in use, others
    /// as the operating system gives them.
    fn open(&self, path: &Path, access: DeviceAccess) -> io::Result<Box<dyn DeviceHandle>>;
}

/// The machine's block devices.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemDevices;

#[derive(Debug)]
struct SystemDevice(fs::File);

impl Devices for SystemDevices {
    fn open(&self, path: &Path, access: DeviceAccess) -> io::Result<Box<dyn DeviceHandle>> {
        let not_a_device = || io::Error::from_raw_os_error(libc::ENOTBLK);
        // Looked at before it is opened: opening a pipe or a tape has effects of its own.
        if !fs::metadata(path)?.file_type().is_block_device() {
            return Err(not_a_device());
        }
        let mut options = fs::OpenOptions::new();
        options.read(true);
        if access == DeviceAccess::Claim {
            options.write(true).custom_flags(libc::O_EXCL);
        }
        let file = options.open(path)?;
        if !file.metadata()?.file_type().is_block_device() {
            return Err(not_a_device());
        }
        Ok(Box::new(SystemDevice(file)))
    }
}

impl BlockIo for SystemDevice {
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
        ioctl::device_size(&self.0).map(Bytes::new)
    }
}

impl DeviceHandle for SystemDevice {
    fn number(&self) -> io::Result<DeviceNumber> {
        Ok(DeviceNumber::from_dev_t(self.0.metadata()?.rdev()))
    }

    fn block_size(&self) -> io::Result<Bytes> {
        ioctl::device_block_size(&self.0).map(Bytes::new)
    }

    fn is_read_only(&self) -> io::Result<bool> {
        ioctl::device_read_only(&self.0)
    }

    fn drop_cache(&self) -> io::Result<()> {
        ioctl::device_flush_cache(&self.0)
    }
}
