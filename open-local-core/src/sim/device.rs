//! Reading and writing a published device.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::machine::Machine;
use super::room;
use super::state::{Device, World};
use crate::host::{BlockIo, poll_until};
use crate::info::Attachment;
use crate::thin::FullPolicy;
use crate::units::Bytes;

/// How long a write waits for room where the policy says so, in virtual time.
const QUEUE: Duration = Duration::from_secs(60);

/// An open simulated device. While it lives the device is in use.
pub(super) struct SimBlock {
    machine: Machine,
    index: u32,
    generation: u64,
    _open: Arc<()>,
}

impl fmt::Debug for SimBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SimBlock({})", self.index)
    }
}

fn os_error(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

/// The last byte of a range, where there is one.
fn end(offset: u64, len: usize) -> Option<u64> {
    offset.checked_add(u64::try_from(len).ok()?)
}

impl SimBlock {
    pub(super) fn open(machine: &Machine, attachment: &Attachment) -> io::Result<Self> {
        let index = attachment.number.minor();
        let world = machine.world();
        let device = world
            .devices
            .get(&index)
            .filter(|device| device.attachment == *attachment)
            .ok_or_else(|| os_error(libc::ENXIO))?;
        Ok(Self {
            machine: machine.clone(),
            index,
            generation: device.generation,
            _open: device.open.clone(),
        })
    }

    fn device<'a>(&self, world: &'a World) -> io::Result<&'a Device> {
        world
            .devices
            .get(&self.index)
            .filter(|device| device.generation == self.generation)
            .ok_or_else(|| os_error(libc::ENXIO))
    }

    /// Writes if there is room; `false` if the writer has to wait for it.
    fn try_write(&self, offset: u64, data: &[u8]) -> io::Result<bool> {
        let mut world = self.machine.world();
        let device = self.device(&world)?;
        if device.attachment.read_only {
            return Err(os_error(libc::EPERM));
        }
        if end(offset, data.len()).is_none_or(|end| end > device.size.get()) {
            return Err(os_error(libc::ENOSPC));
        }
        let (id, source) = (device.pool.clone(), device.attachment.source.clone());
        let gone = || os_error(libc::EIO);
        let pool = world.pools.get(&id).ok_or_else(gone)?;
        let cost = pool.content(&source).ok_or_else(gone)?.cost_of_write(offset, data.len());
        if cost > room::free(&world, pool) {
            return match pool.policy.when_full {
                FullPolicy::Error => Err(os_error(libc::ENOSPC)),
                FullPolicy::Queue => Ok(false),
            };
        }
        let pool = world.pools.get_mut(&id).ok_or_else(gone)?;
        pool.content_mut(&source).ok_or_else(gone)?.write(offset, data);
        Ok(true)
    }
}

impl BlockIo for SimBlock {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let world = self.machine.world();
        let device = self.device(&world)?;
        if end(offset, buf.len()).is_none_or(|end| end > device.size.get()) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let pool = world.pools.get(&device.pool);
        pool.and_then(|pool| pool.content(&device.attachment.source))
            .ok_or_else(|| os_error(libc::EIO))?
            .read(offset, buf);
        Ok(())
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut outcome = Ok(());
        let written = poll_until(self.machine.clock(), QUEUE, || {
            Ok(match self.try_write(offset, data) {
                Ok(true) => Some(()),
                Ok(false) => None,
                Err(error) => {
                    outcome = Err(error);
                    Some(())
                }
            })
        });
        match written {
            Ok(Some(())) => outcome,
            _ => Err(os_error(libc::ENOSPC)),
        }
    }

    fn flush(&self) -> io::Result<()> {
        self.device(&self.machine.world()).map(|_| ())
    }

    fn size(&self) -> io::Result<Bytes> {
        self.device(&self.machine.world()).map(|device| device.size)
    }
}
