//! The state all parts of the simulated machine share.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::content::Content;
use super::faults::{Faults, Pass, killed};
use super::random::Fate;
use super::tree::{Body, Folder, Key, Place, Tree, errno};

#[cfg(feature = "file")]
use crate::sim::loops::LoopTable;

/// Everything the machine consists of.
#[derive(Debug)]
pub(in crate::sim) struct Machine {
    pub(super) tree: Tree,
    pub(super) faults: Faults,
    pub(super) reflink: bool,
    pub(super) read_only: bool,
    pub(super) magic: u64,
    #[cfg(feature = "file")]
    pub(in crate::sim) loops: LoopTable,
}

/// A machine that handles keep a hold of.
#[derive(Debug, Clone)]
pub(in crate::sim) struct Shared(Arc<Mutex<Machine>>);

impl Shared {
    pub(super) fn new(machine: Machine) -> Self {
        Self(Arc::new(Mutex::new(machine)))
    }

    /// Without asking for faults: for a test that arranges or inspects.
    pub(in crate::sim) fn lock(&self) -> MutexGuard<'_, Machine> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call of the living process that changes nothing.
    pub(in crate::sim) fn look<T>(
        &self,
        act: impl FnOnce(&Machine) -> io::Result<T>,
    ) -> io::Result<T> {
        let machine = self.lock();
        machine.faults.before_look()?;
        act(&machine)
    }

    /// A call of the living process that changes something, and may fail or be its last.
    pub(in crate::sim) fn change<T>(
        &self,
        act: impl FnOnce(&mut Machine, Pass) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut machine = self.lock();
        match machine.faults.before_change()? {
            Pass::Whole => act(&mut machine, Pass::Whole),
            torn => {
                // Whatever it answers, nobody is there to hear it.
                let _ = act(&mut machine, torn);
                machine.bury_process();
                Err(killed())
            }
        }
    }
}

impl Machine {
    pub(super) const fn new(tree: Tree, seed: u64, magic: u64) -> Self {
        Self {
            tree,
            faults: Faults::new(seed),
            reflink: false,
            read_only: false,
            magic,
            #[cfg(feature = "file")]
            loops: LoopTable::new(),
        }
    }

    /// A copy with a new process and a seed of its own.
    pub(super) fn copied(&self, seed: u64) -> Self {
        let mut copy = Self {
            tree: self.tree.copied(),
            faults: Faults::new(seed),
            #[cfg(feature = "file")]
            loops: self.loops.copied(),
            ..*self
        };
        copy.bury_process();
        copy
    }

    /// The process that lives now.
    pub(in crate::sim) const fn process(&self) -> u64 {
        self.faults.process
    }

    /// Whether what this process opened is still open.
    pub(in crate::sim) fn check_process(&self, process: u64) -> io::Result<()> {
        if process == self.faults.process { Ok(()) } else { Err(killed()) }
    }

    pub(super) fn check_writable(&self) -> io::Result<()> {
        if self.read_only { Err(errno(libc::EROFS)) } else { Ok(()) }
    }

    /// Closes what the process had open and releases its locks.
    pub(super) fn bury_process(&mut self) {
        let mut closed = Vec::new();
        for (key, node) in &mut self.tree.nodes {
            if node.opens > 0 {
                closed.push(*key);
            }
            (node.opens, node.locks) = (0, 0);
        }
        closed.into_iter().for_each(|key| self.tree.settle(key));
    }

    pub(super) fn kill(&mut self) {
        self.faults.killed = true;
        self.bury_process();
    }

    pub(super) fn revive(&mut self) {
        self.bury_process();
        self.faults.revive();
    }

    pub(super) fn power_cut(&mut self, seed: u64) {
        self.revive();
        #[cfg(feature = "file")]
        self.loops.clear();
        self.tree.cut(&mut Fate::from_seed(seed));
    }

    /// Holds a node for a descriptor of the living process.
    pub(in crate::sim) fn open(&mut self, key: Key) -> io::Result<()> {
        self.tree.node_mut(key)?.opens += 1;
        Ok(())
    }

    /// Ends what [`Self::open`] began, unless the process is gone and with it all it had open.
    pub(in crate::sim) fn close(&mut self, key: Key, process: u64) {
        if process != self.faults.process || self.faults.killed {
            return;
        }
        if let Ok(node) = self.tree.node_mut(key) {
            node.opens = node.opens.saturating_sub(1);
            self.tree.settle(key);
        }
    }

    pub(super) fn make_file(&mut self, place: Place) -> io::Result<Key> {
        self.tree.make(place, Body::File(Content::default()))
    }

    /// For tests: the folder and all above it, durable at once.
    pub(super) fn arrange_folder(&mut self, path: &Path) -> io::Result<Key> {
        if let Ok(key) = self.tree.find(path, true) {
            self.tree.folder(key)?;
            return Ok(key);
        }
        if let Some(parent) = path.parent() {
            self.arrange_folder(parent)?;
        }
        self.arrange(path, Body::Folder(Folder::default()))
    }

    /// For tests: something at a path in place of what was there, durable at once.
    pub(super) fn arrange(&mut self, path: &Path, body: Body) -> io::Result<Key> {
        let place = self.tree.place(path, libc::EEXIST)?;
        if self.tree.at(&place)?.is_some() {
            self.tree.unlink(place.clone())?;
        }
        let folder = place.0;
        let key = self.tree.make(place, body)?;
        self.tree.sync_folder(folder);
        Ok(key)
    }
}

// The parts of the tree that loop devices need.
#[cfg(feature = "file")]
impl Machine {
    pub(in crate::sim) fn find_file(&self, path: &Path) -> io::Result<Key> {
        let key = self.tree.find(path, false)?;
        match self.tree.node(key)?.body {
            Body::File(_) => Ok(key),
            Body::Folder(_) => Err(errno(libc::EISDIR)),
            Body::Link(_) => Err(errno(libc::ELOOP)),
            Body::Device(_) => Err(errno(libc::EINVAL)),
        }
    }

    pub(in crate::sim) fn file(&self, key: Key) -> io::Result<crate::host::FileStat> {
        self.tree.describe(key)
    }

    pub(in crate::sim) fn is_read_only(&self) -> bool {
        self.read_only
    }

    pub(in crate::sim) fn check_alive(&self) -> io::Result<()> {
        self.faults.before_look()
    }

    /// A device node, durable at once, as the kernel makes them.
    pub(in crate::sim) fn add_node(
        &mut self,
        path: &Path,
        number: crate::device::DeviceNumber,
    ) -> io::Result<()> {
        if let Some(folder) = path.parent() {
            self.arrange_folder(folder)?;
        }
        self.arrange(path, Body::Device(number)).map(|_| ())
    }

    pub(in crate::sim) fn node_of(&self, path: &Path) -> io::Result<crate::host::FileStat> {
        self.tree.describe(self.tree.find(path, false)?)
    }

    pub(in crate::sim) fn pin(&mut self, key: Key) -> io::Result<()> {
        self.tree.node_mut(key)?.pins += 1;
        Ok(())
    }

    pub(in crate::sim) fn unpin(&mut self, key: Key) {
        if let Ok(node) = self.tree.node_mut(key) {
            node.pins = node.pins.saturating_sub(1);
            self.tree.settle(key);
        }
    }

    pub(in crate::sim) fn read(&self, key: Key, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.tree.content(key)?.read(offset, buf)
    }
}

/// Bytes of a disk sector, the unit in which a killed write ends.
const SECTOR: u64 = 512;

impl Machine {
    /// Writes; of a torn one, the sectors up to some point.
    pub(in crate::sim) fn write(
        &mut self,
        key: Key,
        offset: u64,
        data: &[u8],
        pass: Pass,
    ) -> io::Result<()> {
        self.check_writable()?;
        let len = u64::try_from(data.len()).unwrap_or(u64::MAX);
        let sectors = (offset % SECTOR).saturating_add(len).div_ceil(SECTOR);
        let done = pass.steps(sectors).saturating_mul(SECTOR);
        let done = done.saturating_sub(offset % SECTOR).min(len);
        let part = usize::try_from(done).ok().and_then(|end| data.get(..end));
        let (content, room) = self.tree.content_mut(key)?;
        content.write(room, offset, part.unwrap_or(data))
    }

    pub(in crate::sim) fn flush(&mut self, key: Key) -> io::Result<()> {
        if let Body::File(content) = &mut self.tree.node_mut(key)?.body {
            content.flush();
        }
        Ok(())
    }
}
