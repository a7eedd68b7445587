//! The [`Files`] calls on the simulated machine.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use super::SimFiles;
use super::handle::{Open, SimFile, SimLock};
use super::machine::Machine;
use super::tree::{Body, Folder, Key, errno, no_nul};
use crate::device::DeviceNumber;
use crate::host::{Access, FileIo, FileLock, FileStat, Files, FsSpace, OpenMode};
use crate::units::Bytes;

/// The place of a new file, if it may be made.
fn free_place(machine: &Machine, path: &Path) -> io::Result<super::tree::Place> {
    let place = machine.tree.place(path, libc::EEXIST)?;
    if machine.tree.at(&place)?.is_some() {
        return Err(errno(libc::EEXIST));
    }
    machine.check_writable()?;
    Ok(place)
}

impl SimFiles {
    fn opened(&self, machine: &mut Machine, key: Key, writable: bool) -> io::Result<SimFile> {
        let open = Open::new(&self.shared, machine, key)?;
        Ok(SimFile { open, writable })
    }

    fn make_new(&self, path: &Path) -> io::Result<SimFile> {
        self.shared.change(|machine, pass| {
            let place = free_place(machine, path)?;
            if !pass.applies() {
                return Err(errno(libc::EINTR));
            }
            let key = machine.make_file(place)?;
            if pass != super::faults::Pass::Whole {
                return Err(errno(libc::EINTR));
            }
            self.opened(machine, key, true)
        })
    }
}

impl SimFiles {
    fn make_at(&self, path: &Path, body: Body) -> io::Result<()> {
        self.shared.change(|machine, pass| {
            let place = free_place(machine, path)?;
            if pass.applies() {
                machine.tree.make(place, body)?;
            }
            Ok(())
        })
    }
}

impl Files for SimFiles {
    fn stat(&self, path: &Path) -> io::Result<FileStat> {
        self.shared.look(|machine| {
            machine.faults.before_path(path)?;
            machine.tree.describe(machine.tree.find(path, false)?)
        })
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        self.shared.look(|machine| {
            machine.faults.before_path(folder)?;
            let folder = machine.tree.folder(machine.tree.find(folder, true)?)?;
            Ok(folder.now.keys().cloned().collect())
        })
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.shared.change(|machine, pass| {
            let place = free_place(machine, path)?;
            if pass.applies() {
                machine.tree.make(place, Body::Folder(Folder::default()))?;
            }
            Ok(())
        })
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileIo>> {
        Ok(Box::new(self.make_new(path)?))
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn FileIo>> {
        let writable = mode == OpenMode::ReadWrite;
        let mut machine = self.shared.lock();
        machine.faults.before_look()?;
        machine.faults.before_path(path)?;
        let key = machine.tree.find(path, false)?;
        match &machine.tree.node(key)?.body {
            Body::File(_) if writable => machine.check_writable()?,
            Body::Folder(_) if writable => return Err(errno(libc::EISDIR)),
            Body::File(_) | Body::Folder(_) => {}
            Body::Link(_) => return Err(errno(libc::ELOOP)),
            #[cfg(feature = "file")]
            Body::Device(number) => {
                let number = *number;
                return crate::sim::loops::open_node(&self.shared, &mut machine, number, writable);
            }
            #[cfg(not(feature = "file"))]
            Body::Device(_) => return Err(errno(libc::ENXIO)),
        }
        Ok(Box::new(self.opened(&mut machine, key, writable)?))
    }

    fn reflink(&self, source: &Path, target: &Path) -> io::Result<()> {
        // Two system calls, and a kill between them leaves an empty file.
        self.shared.look(|machine| {
            let key = machine.tree.find(source, false)?;
            match machine.tree.node(key)?.body {
                Body::Link(_) => Err(errno(libc::ELOOP)),
                _ => Ok(()),
            }
        })?;
        let to = self.make_new(target)?;
        let cloned = self.shared.change(|machine, pass| {
            let from = machine.tree.find(source, false)?;
            let shared = machine.tree.content(from)?.share();
            if !machine.reflink {
                return Err(errno(libc::EOPNOTSUPP));
            }
            if pass.applies() {
                *machine.tree.content_mut(to.key())?.0 = shared;
            }
            Ok(())
        });
        cloned.inspect_err(|_| {
            let mut machine = self.shared.lock();
            if machine.faults.killed {
                return;
            }
            if let Ok(place) = machine.tree.place(target, libc::EISDIR) {
                let _ = machine.tree.unlink(place);
            }
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.shared.change(|machine, pass| {
            no_nul(from)?;
            no_nul(to)?;
            machine.tree.parent(from)?;
            machine.tree.parent(to)?;
            let from = machine.tree.place(from, libc::EBUSY)?;
            let to = machine.tree.place(to, libc::EBUSY)?;
            machine.check_writable()?;
            if pass.applies() {
                machine.tree.rename(from, to)?;
            }
            Ok(())
        })
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.shared.change(|machine, pass| {
            let place = machine.tree.place(path, libc::EISDIR)?;
            machine.check_writable()?;
            if pass.applies() {
                machine.tree.unlink(place)?;
            }
            Ok(())
        })
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.shared.change(|machine, pass| {
            let dots = if path.parent().is_none() { libc::EBUSY } else { libc::ENOTEMPTY };
            let place = machine.tree.place(path, dots)?;
            machine.check_writable()?;
            if pass.applies() {
                machine.tree.unlink_folder(place)?;
            }
            Ok(())
        })
    }

    fn sync_dir(&self, folder: &Path) -> io::Result<()> {
        self.shared.change(|machine, pass| {
            let key = machine.tree.find(folder, true)?;
            if pass.applies() {
                match machine.tree.node(key)?.body {
                    Body::Folder(_) => machine.tree.sync_folder(key),
                    _ => machine.flush(key)?,
                }
            }
            Ok(())
        })
    }

    fn space(&self, folder: &Path) -> io::Result<FsSpace> {
        self.shared.look(|machine| {
            no_nul(folder).map_err(|_| errno(libc::EINVAL))?;
            machine.tree.find(folder, true)?;
            Ok(FsSpace {
                total: Bytes::new(machine.tree.room.total()),
                available: Bytes::new(machine.tree.room.available()),
                magic: machine.magic,
                read_only: machine.read_only,
            })
        })
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        self.shared.look(|machine| {
            machine.faults.before_path(path)?;
            match &machine.tree.node(machine.tree.find(path, false)?)?.body {
                Body::Link(target) => Ok(target.clone()),
                _ => Err(errno(libc::EINVAL)),
            }
        })
    }

    fn make_link(&self, target: &Path, path: &Path) -> io::Result<()> {
        no_nul(target)?;
        self.make_at(path, Body::Link(target.to_path_buf()))
    }

    fn make_device_node(
        &self,
        path: &Path,
        number: DeviceNumber,
        _access: Access,
    ) -> io::Result<()> {
        self.make_at(path, Body::Device(number))
    }

    fn create_dir_for(&self, path: &Path, _access: Access) -> io::Result<()> {
        self.create_dir(path)
    }

    fn try_lock(&self, path: &Path) -> io::Result<Option<Box<dyn FileLock>>> {
        self.lock(path, false)
    }

    fn try_lock_shared(&self, path: &Path) -> io::Result<Option<Box<dyn FileLock>>> {
        self.lock(path, true)
    }
}

impl SimFiles {
    fn lock(&self, path: &Path, beside_others: bool) -> io::Result<Option<Box<dyn FileLock>>> {
        let existing = |machine: &Machine| {
            let place = machine.tree.place(path, libc::EISDIR)?;
            machine.tree.at(&place)
        };
        let is_there = self.shared.look(|machine| Ok(existing(machine)?.is_some()))?;
        // Kept until the lock is held: its drop locks the machine, and without it the number of a
        // file that somebody else removes meanwhile would be free.
        let made = if is_there {
            None
        } else {
            match self.make_new(path) {
                Err(error) if error.raw_os_error() == Some(libc::EEXIST) => None,
                made => Some(made?),
            }
        };
        let mut machine = self.shared.lock();
        machine.faults.before_look()?;
        machine.check_writable()?;
        let lock = match existing(&machine)? {
            Some(key) => SimLock::take(&self.shared, &mut machine, key, beside_others)?,
            None => None,
        };
        drop(machine);
        drop(made);
        Ok(lock.map(|lock| -> Box<dyn FileLock> { Box::new(lock) }))
    }
}
