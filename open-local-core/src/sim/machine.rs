//! The machine: its seams, its memory, its reboots.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::clock::SimClock;
use super::device::SimBlock;
use super::faults::Switchable;
use super::files::SimFiles;
use super::programs::NoPrograms;
use super::rng::SimEntropy;
use super::state::World;
use crate::host::{BlockIo, Checkpoints, Host, Roots, Silent, Unchecked};
use crate::info::Attachment;
use crate::units::Bytes;

/// A computer in memory, with one disk that all its pools share.
///
/// Cheap to clone; clones are the same machine. Two machines with the same seed that are asked
/// the same things in the same order answer the same, to the last UUID and time stamp.
#[derive(Debug, Clone)]
pub struct Machine(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    seed: u64,
    clock: Arc<SimClock>,
    entropy: Arc<SimEntropy>,
    files: SimFiles,
    checkpoints: Arc<Switchable>,
    /// Held by whoever carries out a change, from its plan to its last step.
    turn: Mutex<()>,
    /// The same for file systems, whose changes may contain changes of a pool.
    #[cfg(feature = "fs")]
    fs_turn: Mutex<()>,
    world: Mutex<World>,
}

impl Machine {
    /// A machine with a disk of 1 TiB.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with_disk(seed, Bytes::new(1 << 40))
    }

    /// A machine with a disk of this size, which only what is written takes memory of.
    #[must_use]
    pub fn with_disk(seed: u64, disk: Bytes) -> Self {
        Self(Arc::new(Inner {
            seed,
            clock: Arc::new(SimClock::default()),
            entropy: Arc::new(SimEntropy::new(seed)),
            files: SimFiles::new(seed),
            checkpoints: Arc::new(Switchable::default()),
            turn: Mutex::new(()),
            #[cfg(feature = "fs")]
            fs_turn: Mutex::new(()),
            world: Mutex::new(World::new(disk)),
        }))
    }

    /// The seed all its randomness comes from.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.0.seed
    }

    /// Its clock, which a test can advance.
    #[must_use]
    pub fn clock(&self) -> &SimClock {
        &self.0.clock
    }

    /// Its files, on a file system of 1 GiB beside the disk of the pools.
    #[must_use]
    pub fn files(&self) -> &SimFiles {
        &self.0.files
    }

    /// Its seams, for backends and file systems. No program is installed.
    #[must_use]
    pub fn host(&self) -> Host {
        Host {
            files: Arc::new(self.0.files.clone()),
            programs: Arc::new(NoPrograms),
            clock: self.0.clock.clone(),
            entropy: self.0.entropy.clone(),
            checkpoints: self.0.checkpoints.clone(),
            progress: Arc::new(Silent),
            roots: Roots::system(),
        }
    }

    /// From now on these are called before every step, also by what is open already.
    pub fn arm(&self, checkpoints: Arc<dyn Checkpoints>) {
        self.0.checkpoints.set(checkpoints);
    }

    /// From now on every step passes.
    pub fn disarm(&self) {
        self.0.checkpoints.set(Arc::new(Unchecked));
    }

    /// Opens a published device. While it is open it can't be unpublished.
    ///
    /// # Errors
    /// `ENXIO` if it is not (or no longer) published. Of what is opened: `ENXIO` once a reboot has
    /// detached it, `EPERM` for writing a read-only device, `ENOSPC` for writing beyond the end
    /// and for a pool without room (at once, or after a virtual minute where the policy is to
    /// queue), [`io::ErrorKind::UnexpectedEof`] for reading beyond the end.
    pub fn open(&self, attachment: &Attachment) -> io::Result<Box<dyn BlockIo>> {
        Ok(Box::new(SimBlock::open(self, attachment)?))
    }

    /// Shuts down and starts again: nothing is attached, mounted or limited any more, open
    /// devices answer `ENXIO`, and faults are disarmed. What is on the disk stays.
    pub fn reboot(&self) {
        self.disarm();
        self.0.files.reboot();
        self.world().forget_volatile();
    }

    /// The power fails and comes back. As [`Self::reboot`], but files lose whatever was not
    /// flushed ([`SimFiles::power_cut`] with seed 0), and an operation cut between two steps stays
    /// half done until its call is repeated or its pool is opened. Devices of pools have no cache
    /// to lose: every write that was answered is on the disk.
    pub fn crash(&self) {
        self.disarm();
        self.0.files.power_cut(0);
        self.world().forget_volatile();
    }

    /// The programs that use the machine are killed and start again, the machine is not:
    /// attachments and mounts stay, files they had open are closed, faults are disarmed.
    pub fn restart(&self) {
        self.disarm();
        self.0.files.kill();
        self.0.files.revive();
        let mut world = self.world();
        world.restarts = world.restarts.wrapping_add(1);
    }

    /// Its state. Never held while a checkpoint is called.
    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.0.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to change file systems and mounts, one at a time. Taken before [`Self::turn`].
    #[cfg(feature = "fs")]
    pub(super) fn fs_turn(&self) -> MutexGuard<'_, ()> {
        let turn = self.0.fs_turn.lock();
        turn.unwrap_or_else(PoisonError::into_inner)
    }

    /// The right to carry out a change of a pool, one at a time.
    pub(super) fn turn(&self) -> MutexGuard<'_, ()> {
        self.0.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
