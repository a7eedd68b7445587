//! Open files and held locks.

use std::io;

use super::content::BLOCK;
use super::machine::{Machine, Shared};
use super::tree::{Body, Key, errno};
use crate::host::{BlockIo, FileIo, FileLock, FileStat};
use crate::units::Bytes;

/// A node a process holds open; closed on drop unless the process died before.
#[derive(Debug)]
pub(super) struct Open {
    shared: Shared,
    key: Key,
    process: u64,
}

impl Open {
    /// Call it with the machine that `shared` locks.
    pub(super) fn new(shared: &Shared, machine: &mut Machine, key: Key) -> io::Result<Self> {
        machine.open(key)?;
        Ok(Self { shared: shared.clone(), key, process: machine.process() })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.shared.lock().close(self.key, self.process);
    }
}

#[derive(Debug)]
pub(super) struct SimFile {
    pub(super) open: Open,
    pub(super) writable: bool,
}

impl SimFile {
    pub(super) const fn key(&self) -> Key {
        self.open.key
    }

    fn look<T>(&self, act: impl FnOnce(&Machine, Key) -> io::Result<T>) -> io::Result<T> {
        self.open.shared.look(|machine| {
            machine.check_process(self.open.process)?;
            act(machine, self.open.key)
        })
    }
}

impl BlockIo for SimFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.look(|machine, key| {
            if buf.is_empty() {
                return Ok(());
            }
            if i64::try_from(offset).is_err() {
                return Err(errno(libc::EINVAL));
            }
            machine.tree.content(key)?.read(offset, buf)
        })
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if data.is_empty() {
            return self.look(|_, _| Ok(()));
        }
        self.open.shared.change(|machine, pass| {
            machine.check_process(self.open.process)?;
            if i64::try_from(offset).is_err() {
                return Err(errno(libc::EINVAL));
            }
            if !self.writable {
                return Err(errno(libc::EBADF));
            }
            machine.write(self.open.key, offset, data, pass)
        })
    }

    fn flush(&self) -> io::Result<()> {
        self.open.shared.change(|machine, pass| {
            machine.check_process(self.open.process)?;
            if pass.applies() {
                machine.flush(self.open.key)?;
            }
            Ok(())
        })
    }

    fn size(&self) -> io::Result<Bytes> {
        self.stat().map(|stat| stat.size)
    }
}

impl FileIo for SimFile {
    fn set_len(&self, size: Bytes) -> io::Result<()> {
        self.open.shared.change(|machine, pass| {
            machine.check_process(self.open.process)?;
            if i64::try_from(size.get()).is_err() {
                return Err(io::ErrorKind::InvalidInput.into());
            }
            if !self.writable {
                return Err(errno(libc::EINVAL));
            }
            machine.check_writable()?;
            if pass.applies() {
                machine.tree.content_mut(self.open.key)?.0.set_len(size.get())?;
            }
            Ok(())
        })
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.open.shared.change(|machine, pass| {
            machine.check_process(self.open.process)?;
            if i64::try_from(offset).is_err() || i64::try_from(len).is_err() {
                return Err(errno(libc::EFBIG));
            }
            if len == 0 {
                return Err(errno(libc::EINVAL));
            }
            if !self.writable {
                return Err(errno(libc::EBADF));
            }
            machine.check_writable()?;
            let part = pass.steps(len.div_ceil(BLOCK)).saturating_mul(BLOCK).min(len);
            if part == 0 {
                return Ok(());
            }
            let (content, room) = machine.tree.content_mut(self.open.key)?;
            content.allocate(room, offset, part)
        })
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<(u64, u64)>> {
        self.look(|machine, key| {
            if i64::try_from(offset).is_err() {
                return Err(errno(libc::EFBIG));
            }
            Ok(machine.tree.content(key)?.next_data(offset))
        })
    }

    fn stat(&self) -> io::Result<FileStat> {
        self.look(|machine, key| machine.tree.describe(key))
    }
}

/// A lock of a node, released on drop unless the process died before.
#[derive(Debug)]
pub(super) struct SimLock(Open);

impl FileLock for SimLock {}

impl SimLock {
    /// Locks a file; `None` if it is locked. Call it with the machine that `shared` locks.
    pub(super) fn take(
        shared: &Shared,
        machine: &mut Machine,
        key: Key,
        beside_others: bool,
    ) -> io::Result<Option<Self>> {
        let node = machine.tree.node_mut(key)?;
        match node.body {
            Body::File(_) if beside_others && node.locks >= 0 => node.locks += 1,
            Body::File(_) if !beside_others && node.locks == 0 => node.locks = -1,
            Body::File(_) => return Ok(None),
            Body::Folder(_) => return Err(errno(libc::EISDIR)),
            Body::Link(_) => return Err(errno(libc::ELOOP)),
            Body::Device(_) => return Err(errno(libc::ENXIO)),
        }
        Open::new(shared, machine, key).map(|open| Some(Self(open)))
    }
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut machine = self.0.shared.lock();
        if machine.process() == self.0.process
            && let Ok(node) = machine.tree.node_mut(self.0.key)
        {
            // One reader less, or the writer.
            node.locks -= node.locks.signum();
        }
    }
}
