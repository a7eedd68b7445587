//! What the machine's kernel does, which no process's death stops.
//!
//! For simulated parts of the kernel above the files, such as device-mapper.

#![cfg_attr(not(feature = "raw"), allow(dead_code, reason = "disks are part of that feature"))]

use std::io;
use std::path::{Path, PathBuf};

use super::SimFiles;
use super::faults::{Pass, killed};
use super::machine::{Machine, Shared};
use super::tree::{Body, Key, errno};
use crate::device::DeviceNumber;
use crate::host::{BlockIo, FileIo, FileStat};
use crate::units::Bytes;

impl SimFiles {
    /// A system call of the living process that changes something outside of the files: it is
    /// counted, and fails or is the last one, as planned. A killed process's call is done wholly
    /// or not at all, by the seed.
    ///
    /// # Errors
    /// The planned one, that of a dead process, and those of `act`.
    pub fn changing_call<T>(&self, act: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let pass = self.shared.lock().faults.before_change()?;
        if pass == Pass::Whole {
            return act();
        }
        if pass.applies() {
            // Nobody is there to hear the answer.
            let _ = act();
        }
        self.shared.lock().bury_process();
        Err(killed())
    }

    /// A system call of the living process that changes nothing.
    ///
    /// # Errors
    /// That of a dead process.
    pub fn looking_call(&self) -> io::Result<()> {
        self.shared.lock().faults.before_look()
    }

    /// The number of the device node a path leads to, links followed.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`, `ELOOP`; `ENOTBLK` for anything else than a node.
    pub fn device_at(&self, path: impl AsRef<Path>) -> io::Result<DeviceNumber> {
        let machine = self.shared.lock();
        let key = machine.tree.find(path.as_ref(), true)?;
        match machine.tree.node(key)?.body {
            Body::Device(number) => Ok(number),
            _ => Err(errno(libc::ENOTBLK)),
        }
    }

    /// A node of this device in a folder, links passed over.
    ///
    /// # Errors
    /// `ENOENT`, `ENOTDIR`; `ENXIO` if there is none.
    pub fn node_of_device(
        &self,
        folder: impl AsRef<Path>,
        number: DeviceNumber,
    ) -> io::Result<PathBuf> {
        let machine = self.shared.lock();
        let inside = machine.tree.folder(machine.tree.find(folder.as_ref(), true)?)?;
        let is_node = |key: &Key| {
            let node = machine.tree.node(*key);
            node.is_ok_and(|node| matches!(node.body, Body::Device(found) if found == number))
        };
        let found = inside.now.iter().find(|(_, key)| is_node(key));
        found.map(|(name, _)| folder.as_ref().join(name)).ok_or_else(|| errno(libc::ENXIO))
    }

    /// Takes away what a path names, durable at once; nothing is nothing to take away.
    ///
    /// # Errors
    /// `ENOTEMPTY` for a folder that holds something.
    pub fn take_away(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let mut machine = self.shared.lock();
        let Ok(place) = machine.tree.place(path.as_ref(), libc::EBUSY) else {
            return Ok(());
        };
        let Some(key) = machine.tree.at(&place)? else {
            return Ok(());
        };
        let folder = place.0;
        match machine.tree.node(key)?.body {
            Body::Folder(_) => machine.tree.unlink_folder(place)?,
            _ => machine.tree.unlink(place)?,
        }
        machine.tree.sync_folder(folder);
        Ok(())
    }

    /// A file as the kernel has it open.
    pub(in crate::sim) fn kernel_file(&self, path: &Path) -> io::Result<KernelFile> {
        let machine = self.shared.lock();
        let key = machine.tree.find(path, false)?;
        machine.tree.content(key)?;
        Ok(KernelFile { shared: self.shared.clone(), key })
    }
}

#[derive(Debug)]
pub(in crate::sim) struct KernelFile {
    shared: Shared,
    key: Key,
}

impl KernelFile {
    fn with<T>(&self, act: impl FnOnce(&mut Machine, Key) -> io::Result<T>) -> io::Result<T> {
        act(&mut self.shared.lock(), self.key)
    }
}

impl BlockIo for KernelFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.with(|machine, key| machine.tree.content(key)?.read(offset, buf))
    }

    fn write_at(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.with(|machine, key| machine.write(key, offset, data, Pass::Whole))
    }

    fn flush(&self) -> io::Result<()> {
        self.with(|machine, key| machine.flush(key))
    }

    fn size(&self) -> io::Result<Bytes> {
        self.stat().map(|stat| stat.size)
    }
}

impl FileIo for KernelFile {
    fn set_len(&self, size: Bytes) -> io::Result<()> {
        self.with(|machine, key| machine.tree.content_mut(key)?.0.set_len(size.get()))
    }

    fn allocate(&self, offset: u64, len: u64) -> io::Result<()> {
        self.with(|machine, key| {
            let (content, room) = machine.tree.content_mut(key)?;
            content.allocate(room, offset, len)
        })
    }

    fn next_data(&self, offset: u64) -> io::Result<Option<(u64, u64)>> {
        self.with(|machine, key| Ok(machine.tree.content(key)?.next_data(offset)))
    }

    fn stat(&self) -> io::Result<FileStat> {
        self.with(|machine, key| machine.tree.describe(key))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::host::Files;

    #[test]
    fn a_call_outside_the_files_is_counted_fails_and_may_be_the_last() {
        let files = SimFiles::new(3);
        let done = Cell::new(0);
        let act = || {
            done.set(done.get() + 1);
            Ok(())
        };
        files.changing_call(act).unwrap();
        assert_eq!((files.operations(), done.get()), (1, 1));
        files.fail_at(1, libc::EIO);
        let error = files.changing_call(act).unwrap_err();
        assert_eq!((error.raw_os_error(), done.get()), (Some(libc::EIO), 1));
        files.kill_at(1);
        assert!(files.changing_call(act).is_err() && files.is_killed());
        assert!(files.looking_call().is_err() && files.changing_call(act).is_err());
        files.revive();
        files.looking_call().unwrap();
    }

    #[test]
    fn the_kernel_writes_on_when_the_process_is_dead() {
        let files = SimFiles::new(3);
        files.add_file("/disk", b"old").unwrap();
        files.kill();
        let kernel = files.kernel_file(Path::new("/disk")).unwrap();
        kernel.write_at(0, b"new").unwrap();
        kernel.flush().unwrap();
        files.power_cut(0);
        let mut read = [0; 3];
        let file = files.open(Path::new("/disk"), crate::host::OpenMode::Read).unwrap();
        file.read_at(0, &mut read).unwrap();
        assert_eq!(&read, b"new");
    }

    #[test]
    fn nodes_are_found_behind_links_and_taken_away() {
        let files = SimFiles::new(3);
        files.add_folder("/dev/mapper").unwrap();
        files.add_device("/dev/dm-0", DeviceNumber::new(254, 0)).unwrap();
        files.add_symlink("/dev/mapper/a", "../dm-0").unwrap();
        assert_eq!(files.device_at("/dev/mapper/a").unwrap(), DeviceNumber::new(254, 0));
        let node = files.node_of_device("/dev", DeviceNumber::new(254, 0)).unwrap();
        assert_eq!(node, Path::new("/dev/dm-0"));
        files.take_away("/dev/mapper/a").unwrap();
        files.take_away("/dev/mapper/a").unwrap();
        files.take_away("/dev/mapper").unwrap();
        assert!(files.device_at("/dev/mapper/a").is_err());
        assert!(files.device_at("/dev").is_err());
    }
}
