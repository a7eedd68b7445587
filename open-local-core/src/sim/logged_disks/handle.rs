//! Open simulated disks.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Disk, DiskEvent, LoggedDisks, World};
use crate::device::DeviceNumber;
use crate::host::{BlockIo, DeviceAccess, DeviceHandle, Devices, OpenMode};
use crate::units::Bytes;

#[derive(Debug)]
struct Handle {
    disks: LoggedDisks,
    path: PathBuf,
    number: DeviceNumber,
    access: DeviceAccess,
    _claim: Option<Arc<()>>,
}

fn errno(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

impl Devices for LoggedDisks {
    fn open(&self, path: &Path, access: DeviceAccess) -> io::Result<Box<dyn DeviceHandle>> {
        let mut world = self.world();
        let disk = world.disks.get_mut(path).filter(|disk| !disk.faults.gone);
        let disk = disk.ok_or_else(|| errno(libc::ENOENT))?;
        let claim = access.claims();
        if claim && disk.claim.strong_count() > 0 {
            return Err(errno(libc::EBUSY));
        }
        let claim = claim.then(|| Arc::new(()));
        if let Some(claim) = &claim {
            disk.claim = Arc::downgrade(claim);
        }
        let (disks, path) = (self.clone(), path.to_path_buf());
        Ok(Box::new(Handle { disks, path, number: disk.number, access, _claim: claim }))
    }
}

impl Handle {
    fn disk<'a>(&self, world: &'a mut World) -> io::Result<&'a mut Disk> {
        let disk = world.disks.get_mut(&self.path).filter(|disk| disk.number == self.number);
        disk.filter(|disk| !disk.faults.gone).ok_or_else(|| errno(libc::EIO))
    }
}

/// Counts down; the error once it is due.
fn due(plan: &mut Option<(u64, i32, bool)>) -> io::Result<()> {
    let Some((left, number, always)) = plan else {
        return Ok(());
    };
    *left = left.saturating_sub(1);
    if *left > 0 {
        return Ok(());
    }
    let error = errno(*number);
    if !*always {
        *plan = None;
    }
    Err(error)
}

impl BlockIo for Handle {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let mut world = self.disks.world();
        let disk = self.disk(&mut world)?;
        if !disk.image.holds(offset, buf.len()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        disk.image.read(offset, buf);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut world = self.disks.world();
        let disk = self.disk(&mut world)?;
        match self.access {
            DeviceAccess::Look | DeviceAccess::Alone | DeviceAccess::Direct(OpenMode::Read) => {
                return Err(errno(libc::EBADF));
            }
            DeviceAccess::Direct(OpenMode::ReadWrite) => {
                let len = u64::try_from(data.len()).map_err(io::Error::other)?;
                let whole = |number: u64| number.is_multiple_of(disk.block.get());
                if !whole(offset) || !whole(len) {
                    return Err(errno(libc::EINVAL));
                }
            }
            DeviceAccess::Claim => {}
        }
        if !disk.image.holds(offset, data.len()) {
            return Err(errno(libc::ENOSPC));
        }
        due(&mut disk.faults.write)?;
        if !disk.faults.loses_writes {
            disk.image.write(offset, data);
        }
        if world.recording {
            let (disk, data) = (self.path.clone(), data.to_vec());
            world.log.push(DiskEvent::Write { disk, offset, data });
        }
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let mut world = self.disks.world();
        let disk = self.disk(&mut world)?;
        if let Some((left, number)) = &mut disk.faults.flush {
            *left = left.saturating_sub(1);
            if *left == 0 {
                let error = errno(*number);
                disk.faults.flush = None;
                return Err(error);
            }
        }
        if world.recording {
            let disk = self.path.clone();
            world.log.push(DiskEvent::Flush { disk });
        }
        Ok(())
    }

    fn size(&self) -> io::Result<Bytes> {
        let mut world = self.disks.world();
        Ok(Bytes::new(self.disk(&mut world)?.image.size()))
    }
}

impl DeviceHandle for Handle {
    fn number(&self) -> io::Result<DeviceNumber> {
        self.disk(&mut self.disks.world()).map(|disk| disk.number)
    }

    fn block_size(&self) -> io::Result<Bytes> {
        self.disk(&mut self.disks.world()).map(|disk| disk.block)
    }

    fn is_read_only(&self) -> io::Result<bool> {
        self.disk(&mut self.disks.world()).map(|_| false)
    }

    fn drop_cache(&self) -> io::Result<()> {
        Ok(())
    }
}
