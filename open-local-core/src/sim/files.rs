//! Files in memory whose every write can fail, be the last, or be lost to a power cut.
//!
//! [`SimFiles`] implements [`crate::host::Files`] with the results and error numbers of Linux. It
//! keeps apart what a process sees and what a disk would hold: [`crate::host::BlockIo::flush`]
//! makes the content of a file durable, [`crate::host::Files::sync_dir`] the names in a folder,
//! and [`SimFiles::power_cut`] loses or tears the rest by a seed.
//!
//! ```
//! use open_local_core::host::Files;
//! use open_local_core::sim::SimFiles;
//! use std::path::Path;
//!
//! let files = SimFiles::new(7);
//! files.add_folder("/pool")?;
//! let file = files.create_new(Path::new("/pool/a"))?;
//! file.write_at(0, b"not flushed")?;
//! files.power_cut(0);
//! assert!(files.stat(Path::new("/pool/a")).is_err());
//! # Ok::<(), std::io::Error>(())
//! ```

mod calls;
mod content;
mod durable;
mod faults;
mod handle;
mod host;
mod kernel;
mod machine;
mod random;
mod room;
mod tree;

#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};

use crate::device::DeviceNumber;
use crate::units::Bytes;

use machine::Machine;
use room::Room;
use tree::{Body, Tree};

pub use host::sim_host;
#[cfg(not(feature = "file"))]
use machine::Shared;
#[cfg(feature = "file")]
pub(in crate::sim) use {
    faults::Pass,
    machine::{Machine as SimMachine, Shared},
    tree::{Key, errno},
};

/// `f_type` of ext4 (Linux 6.18, `linux/magic.h`).
const EXT4_MAGIC: u64 = 0xEF53;
/// The size of the simulated file system unless it is set: 1 GiB.
const TOTAL: Bytes = Bytes::GIB;

/// The files of a machine in memory.
///
/// Clones are the same machine. Paths start at `/`, whether they say so or not. Until told
/// otherwise it is an ext4 of 1 GiB without reflink; blocks are 4 KiB, and room is counted once
/// for all files that share a block. Inode numbers are reused at once, as ext4 does it. Setters
/// and tests' own calls (`add_…`, `set_…`) never fail by a planned fault and are not counted.
#[derive(Debug, Clone)]
pub struct SimFiles {
    pub(in crate::sim) shared: Shared,
}

impl SimFiles {
    /// A machine with nothing but `/`. The seed decides how far the last call of a killed process
    /// gets.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let device = DeviceNumber::new(259, 1);
        let tree = Tree::new(device, Room::new(TOTAL.get()));
        Self { shared: Shared::new(Machine::new(tree, seed, EXT4_MAGIC)) }
    }

    /// A copy of the machine as it is now, with a new process, a seed of its own, no planned faults
    /// and the count of calls at zero: arrange once, then try many cuts.
    #[must_use]
    pub fn fork(&self, seed: u64) -> Self {
        Self { shared: Shared::new(self.shared.lock().copied(seed)) }
    }

    /// Sets the size of the file system; what is taken stays taken.
    pub fn set_total(&self, total: Bytes) {
        self.shared.lock().tree.room.set_total(total.get());
    }

    /// Whether files can share blocks.
    pub fn set_reflink(&self, on: bool) {
        self.shared.lock().reflink = on;
    }

    /// Whether every change fails with `EROFS`.
    pub fn set_read_only(&self, on: bool) {
        self.shared.lock().read_only = on;
    }

    /// Sets the kind of file system, as `statfs` names it (`f_type`).
    pub fn set_magic(&self, magic: u64) {
        self.shared.lock().magic = magic;
    }

    /// Sets the device that holds the files (`st_dev`), as a reboot may.
    pub fn set_device(&self, device: DeviceNumber) {
        self.shared.lock().tree.device = device;
    }

    /// Bytes taken by all files, each shared block counted once.
    #[must_use]
    pub fn used(&self) -> Bytes {
        Bytes::new(self.shared.lock().tree.room.used())
    }

    /// Every path there is but `/` and device nodes, sorted: what a test compares to find something
    /// left behind.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        let machine = self.shared.lock();
        let mut todo = vec![(tree::ROOT, PathBuf::from("/"))];
        let mut paths = Vec::new();
        while let Some((key, path)) = todo.pop() {
            if let Ok(folder) = machine.tree.folder(key) {
                let inside = folder.now.iter().map(|(name, k)| (*k, path.join(name)));
                todo.extend(inside);
            }
            let node = machine.tree.node(key).map(|node| &node.body);
            if key != tree::ROOT && !matches!(node, Ok(Body::Device(_))) {
                paths.push(path);
            }
        }
        paths.sort();
        paths
    }

    /// Makes a folder and all above it, durable at once.
    ///
    /// # Errors
    /// `ENOTDIR` if one of them is something else.
    pub fn add_folder(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.shared.lock().arrange_folder(path.as_ref()).map(|_| ())
    }

    /// Makes a file with this content in place of what was there, durable at once.
    ///
    /// # Errors
    /// `ENOENT` for a missing folder, `EISDIR` in place of a folder, `ENOSPC`.
    pub fn add_file(&self, path: impl AsRef<Path>, content: &[u8]) -> io::Result<()> {
        let mut machine = self.shared.lock();
        let key = machine.arrange(path.as_ref(), Body::File(content::Content::default()))?;
        let (file, room) = machine.tree.content_mut(key)?;
        file.write(room, 0, content)?;
        file.flush();
        Ok(())
    }

    /// Makes a symbolic link in place of what was there, durable at once.
    ///
    /// # Errors
    /// `ENOENT` for a missing folder, `EISDIR` in place of a folder.
    pub fn add_symlink(&self, path: impl AsRef<Path>, target: impl AsRef<Path>) -> io::Result<()> {
        let body = Body::Link(target.as_ref().to_path_buf());
        self.shared.lock().arrange(path.as_ref(), body).map(|_| ())
    }

    /// Makes a node of a block device in place of what was there, durable at once.
    ///
    /// # Errors
    /// `ENOENT` for a missing folder, `EISDIR` in place of a folder.
    pub fn add_device(&self, path: impl AsRef<Path>, number: DeviceNumber) -> io::Result<()> {
        let body = Body::Device(number);
        self.shared.lock().arrange(path.as_ref(), body).map(|_| ())
    }

    /// Changing calls so far: what made, wrote, flushed, renamed or removed something or tried to,
    /// and what attached, detached, resized or flushed a loop device.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.shared.lock().faults.operations
    }

    /// Lets the n-th changing call from here (1 is the next) fail with this error number, having
    /// changed nothing. A new plan replaces this one.
    pub fn fail_at(&self, n: u64, errno: i32) {
        self.shared.lock().faults.fail_at(n, errno, true);
    }

    /// As [`Self::fail_at`], and so does every changing call after it until [`Self::revive`].
    pub fn fail_from(&self, n: u64, errno: i32) {
        self.shared.lock().faults.fail_at(n, errno, false);
    }

    /// Lets every look at this path, listing and opening fail with this error number, as a damaged
    /// disk does; `None` mends it.
    pub fn set_unreadable(&self, path: impl AsRef<Path>, errno: Option<i32>) {
        let mut machine = self.shared.lock();
        machine.faults.set_unreadable(path.as_ref(), errno);
    }

    /// Kills the process in its n-th changing call from here (1 is the next): that call is done
    /// wholly, in part or not at all, by the seed; then every call fails until [`Self::revive`].
    pub fn kill_at(&self, n: u64) {
        self.shared.lock().faults.kill_at(n);
    }

    /// Kills the process now: what it has open is closed, its locks are free, every call fails
    /// until [`Self::revive`]. What it wrote is still there.
    pub fn kill(&self) {
        self.shared.lock().kill();
    }

    /// Whether the process is dead.
    #[must_use]
    pub fn is_killed(&self) -> bool {
        self.shared.lock().faults.killed
    }

    /// Starts a new process without planned faults. What an earlier one had open stays unusable.
    pub fn revive(&self) {
        self.shared.lock().revive();
    }

    /// Cuts the power and starts again, without planned faults and loop devices. What was flushed
    /// is there. Of the rest, seed 0 loses everything and seed 1 nothing; any other decides for
    /// each change of a folder whether it is kept, for each file whether its content is the old,
    /// the new or mixed sector by sector, and what its length is.
    pub fn power_cut(&self, seed: u64) {
        self.shared.lock().power_cut(seed);
    }

    /// Shuts down in good order and starts again: everything is durable, nothing is open, no loop
    /// device is attached.
    pub fn reboot(&self) {
        let mut machine = self.shared.lock();
        machine.tree.sync_all();
        machine.power_cut(1);
    }
}
