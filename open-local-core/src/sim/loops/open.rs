//! Reading and writing a loop device.

use std::io;
use std::sync::{Arc, Weak};

use super::super::files::{Pass, Shared, SimMachine, errno};
use super::{Attached, LOOP_MAJOR};
use crate::device::DeviceNumber;
use crate::host::{BlockIo, FileIo, FileKind, FileStat};
use crate::units::Bytes;

/// An open loop device.
#[derive(Debug)]
pub(super) struct SimLoop {
    shared: Shared,
    index: u32,
    process: u64,
    writable: bool,
    /// Alive while the device is open.
    opener: Arc<()>,
}

/// Opens the device node of a loop device.
pub(in crate::sim) fn open_node(
    shared: &Shared,
    machine: &mut SimMachine,
    number: DeviceNumber,
    writable: bool,
) -> io::Result<Box<dyn FileIo>> {
    let device = SimLoop::open(shared, machine, number, writable)?;
    if writable && machine.loops.get(device.index)?.device.read_only {
        return Err(errno(libc::EACCES));
    }
    Ok(Box::new(device))
}

impl SimLoop {
    pub(super) fn open(
        shared: &Shared,
        machine: &mut SimMachine,
        number: DeviceNumber,
        writable: bool,
    ) -> io::Result<Self> {
        if number.major() != LOOP_MAJOR {
            return Err(errno(libc::ENXIO));
        }
        let opener = Arc::new(());
        let process = machine.process();
        let attached = machine.loops.get_mut(number.minor())?;
        attached.openers.retain(|(_, opener)| opener.strong_count() > 0);
        attached.openers.push((process, Arc::downgrade(&opener)));
        Ok(Self { shared: shared.clone(), index: number.minor(), process, writable, opener })
    }

    /// What this descriptor is open on; `ENXIO` once the device was detached or stolen.
    fn attached<'a>(&self, machine: &'a SimMachine) -> io::Result<&'a Attached> {
        machine.check_process(self.process)?;
        let attached = machine.loops.get(self.index)?;
        let mine = |(_, opener): &(u64, Weak<()>)| opener.as_ptr() == Arc::as_ptr(&self.opener);
        if attached.openers.iter().any(mine) { Ok(attached) } else { Err(errno(libc::ENXIO)) }
    }
}

fn fits(offset: u64, len: usize, size: Bytes) -> bool {
    let len = u64::try_from(len).unwrap_or(u64::MAX);
    offset.checked_add(len).is_some_and(|end| end <= size.get())
}

impl BlockIo for SimLoop {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.shared.look(|machine| {
            let attached = self.attached(machine)?;
            if !fits(offset, buf.len(), attached.device.size) {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let file = machine.file(attached.key)?;
            if !fits(offset, buf.len(), file.size) {
                return Err(errno(libc::EIO));
            }
            machine.read(attached.key, offset, buf)
        })
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.shared.change(|machine, pass: Pass| {
            let attached = self.attached(machine)?;
            if !self.writable {
                return Err(errno(libc::EBADF));
            }
            if attached.device.read_only {
                return Err(errno(libc::EPERM));
            }
            if !fits(offset, data.len(), attached.device.size) {
                return Err(errno(libc::ENOSPC));
            }
            let key = attached.key;
            machine.write(key, offset, data, pass)
        })
    }

    fn flush(&self) -> io::Result<()> {
        self.shared.change(|machine, pass| {
            let key = self.attached(machine)?.key;
            if pass.applies() {
                machine.flush(key)?;
            }
            Ok(())
        })
    }

    fn size(&self) -> io::Result<Bytes> {
        self.shared.look(|machine| Ok(self.attached(machine)?.device.size))
    }
}

impl FileIo for SimLoop {
    fn set_len(&self, _size: Bytes) -> io::Result<()> {
        Err(errno(libc::EINVAL))
    }

    fn allocate(&self, _offset: u64, _len: u64) -> io::Result<()> {
        Err(errno(libc::EOPNOTSUPP))
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<(u64, u64)>> {
        let size = self.size()?.get();
        Ok((offset < size).then_some((offset, size)))
    }

    fn stat(&self) -> io::Result<FileStat> {
        self.shared.look(|machine| {
            let device = &self.attached(machine)?.device;
            machine.node_of(&device.path).map(|stat| FileStat {
                kind: FileKind::BlockDevice,
                stands_for: Some(device.number),
                ..stat
            })
        })
    }
}
