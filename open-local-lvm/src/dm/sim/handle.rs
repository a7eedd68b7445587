//! Open devices of the simulated device-mapper.

use std::io;
use std::path::Path;
use std::sync::Arc;

use open_local_core::host::{BlockIo, DeviceAccess, DeviceHandle, Devices};
use open_local_core::{Bytes, DeviceNumber, SECTOR_SIZE};

use super::SimDm;
use super::io::{bytes, length};
use super::kernel::{Kernel, minor_of, os};

#[derive(Debug)]
struct SimDmDevice {
    dm: SimDm,
    number: DeviceNumber,
    minor: u32,
    writable: bool,
    /// The device is open while this lives.
    _token: Arc<()>,
}

/// Opens a device by number; disks are opened below.
pub(super) fn open(
    dm: &SimDm,
    number: DeviceNumber,
    access: DeviceAccess,
) -> io::Result<Box<dyn DeviceHandle>> {
    dm.files.looking_call()?;
    let mut kernel = dm.kernel();
    let Some(minor) = minor_of(number) else {
        return kernel.open_disk(number, access);
    };
    let used = kernel.uses_of(number) > 0;
    let device = kernel.device_mut(minor).map_err(|_| os(libc::ENXIO))?;
    if access.claims() && (used || device.openers.is_claimed()) {
        return Err(os(libc::EBUSY));
    }
    let token = device.openers.add(access.claims());
    let writable = access.writes();
    drop(kernel);
    Ok(Box::new(SimDmDevice { dm: dm.clone(), number, minor, writable, _token: token }))
}

impl Devices for SimDm {
    fn open(&self, path: &Path, access: DeviceAccess) -> io::Result<Box<dyn DeviceHandle>> {
        match self.files.device_at(path) {
            Ok(number) if minor_of(number).is_some() => open(self, number, access),
            // A disk, by whatever its own world calls it.
            _ => self.disks.open(path, access),
        }
    }

    fn number_of(&self, path: &Path) -> io::Result<DeviceNumber> {
        match self.files.device_at(path) {
            Ok(number) => Ok(number),
            Err(_) => self.disks.number_of(path),
        }
    }
}

impl SimDmDevice {
    fn sectors(&self, kernel: &Kernel) -> io::Result<u64> {
        kernel.device(self.minor).map(super::device::Device::sectors)
    }

    /// Refuses what the kernel refuses before the device is asked.
    fn check_write(&self, kernel: &Kernel, offset: u64, len: u64) -> io::Result<()> {
        if !self.writable {
            return Err(os(libc::EBADF));
        }
        if kernel.device(self.minor)?.read_only {
            return Err(os(libc::EPERM));
        }
        let end = offset.checked_add(len).ok_or_else(|| os(libc::EINVAL))?;
        if end > bytes(self.sectors(kernel)?) { Err(os(libc::ENOSPC)) } else { Ok(()) }
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.dm.files.changing_call(|| {
            let mut kernel = self.dm.kernel();
            self.check_write(&kernel, offset, length(data))?;
            kernel.write(self.number, offset, data, 0)
        })
    }
}

impl BlockIo for SimDmDevice {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.dm.files.looking_call()?;
        let mut kernel = self.dm.kernel();
        let end = offset.checked_add(length(buf)).ok_or_else(|| os(libc::EINVAL))?;
        if end > bytes(self.sectors(&kernel)?) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        kernel.read(self.number, offset, buf, 0)
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.write(offset, data)
    }

    fn flush(&self) -> io::Result<()> {
        self.dm.files.changing_call(|| {
            let mut kernel = self.dm.kernel();
            if kernel.device(self.minor)?.live.is_none() {
                Ok(())
            } else {
                kernel.flush(self.number, 0)
            }
        })
    }

    fn size(&self) -> io::Result<Bytes> {
        self.dm.files.looking_call()?;
        Ok(Bytes::new(bytes(self.sectors(&self.dm.kernel())?)))
    }
}

impl DeviceHandle for SimDmDevice {
    fn number(&self) -> io::Result<DeviceNumber> {
        Ok(self.number)
    }

    fn block_size(&self) -> io::Result<Bytes> {
        Ok(SECTOR_SIZE)
    }

    fn is_read_only(&self) -> io::Result<bool> {
        Ok(self.dm.kernel().device(self.minor)?.read_only)
    }

    fn drop_cache(&self) -> io::Result<()> {
        self.dm.files.looking_call()
    }

    fn zero(&self, offset: u64, len: u64) -> io::Result<()> {
        // As the kernel does it where the device can't by itself: it writes zeroes.
        const PART: u64 = 1 << 20;
        let mut done = 0;
        while done < len {
            let part = PART.min(len - done);
            let zeroes = vec![0; super::io::size(part)?];
            self.write(offset.saturating_add(done), &zeroes)?;
            done = done.saturating_add(part);
        }
        Ok(())
    }

    fn set_read_only(&self, on: bool) -> io::Result<()> {
        self.dm.files.changing_call(|| {
            let mut kernel = self.dm.kernel();
            kernel.device_mut(self.minor)?.read_only = on;
            kernel.show(self.minor);
            Ok(())
        })
    }
}
