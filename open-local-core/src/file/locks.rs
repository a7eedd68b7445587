//! Who may change what: a lock a pool and a lock an object, each with a deadline.
//!
//! A group snapshot is locked first, then objects in the order of their names, then the pool: no two callers can wait
//! for each other. Locks end with their process.

use super::pool::FilePool;
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{FileLock, poll_until};
use crate::spec::Source;

impl FilePool {
    /// Locks the pool's room.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] once the deadline has passed.
    pub(super) fn lock_room(&self, op: Op) -> Result<Box<dyn FileLock>> {
        let path = self.layout.pool_lock();
        self.lock(op, &Subject::from(&self.id), &path)?.ok_or_else(|| {
            Error::new(
                ErrorKind::Busy,
                op,
                &self.id,
                format!(
                    "another process has kept the pool locked for {:?}",
                    self.options.lock_wait
                ),
            )
            .with_remedy(format!("try again; find the holder with: fuser {}", path.display()))
        })
    }

    /// Runs `work` with these objects locked; what a lock leaves of an object that is not there
    /// is removed afterwards.
    ///
    /// # Errors
    /// [`ErrorKind::Busy`] once the deadline has passed, and whatever `work` gives.
    pub(super) fn with_objects<T>(
        &self,
        op: Op,
        keys: &[&Source],
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let mut keys = keys.to_vec();
        keys.sort();
        keys.dedup();
        let mut held = Vec::new();
        for key in &keys {
            let path = self.layout.object_lock(key);
            let lock = self.lock(op, &Subject::from(*key), &path)?.ok_or_else(|| {
                Error::new(ErrorKind::Busy, op, *key, "another call is at work on it")
                    .with_remedy("try again when that call has ended")
            })?;
            held.push(lock);
        }
        self.settle(op, &keys)?;
        let answer = work();
        let cut = matches!(&answer, Err(e) if e.kind() == ErrorKind::Indeterminate);
        for key in keys.iter().filter(|_| !cut) {
            self.drop_idle_lock(key);
        }
        drop(held);
        answer
    }

    /// Makes sure that what is about to be seen is this pool's and is on the disk: whoever held
    /// the locks before may have been killed, or have failed, between a change and its flush, and
    /// nothing may be built on a state that a power cut takes back.
    pub(super) fn settle(&self, op: Op, keys: &[&Source]) -> Result<()> {
        self.pool_record(op)?;
        let mut folders: Vec<_> = keys.iter().map(|key| self.layout.folder_of(key)).collect();
        folders.dedup();
        folders.iter().try_for_each(|folder| self.settle_folder(op, folder))
    }

    /// Flushes one of the pool's folders.
    pub(super) fn settle_folder(&self, op: Op, folder: &std::path::Path) -> Result<()> {
        self.host.files.sync_dir(folder).map_err(|e| {
            Error::from_io(op, &self.id, format!("can't flush {}", folder.display()), e)
                .with_remedy("check that the pool's disk is mounted and healthy")
        })
    }

    /// Removes the lock file of an object that is not there; the caller holds the lock.
    pub(super) fn drop_idle_lock(&self, key: &Source) {
        if self.host.files.stat(&self.layout.record(key)).is_err() {
            // A lock file too many does no harm; the next sweep tries again.
            let _ = self.host.files.remove_file(&self.layout.object_lock(key));
        }
    }

    /// Locks an object if nobody else has it now.
    pub(super) fn try_lock_object(&self, key: &Source) -> Option<Box<dyn FileLock>> {
        self.host.files.try_lock(&self.layout.object_lock(key)).ok().flatten()
    }

    pub(super) fn lock(
        &self,
        op: Op,
        subject: &Subject,
        path: &std::path::Path,
    ) -> Result<Option<Box<dyn FileLock>>> {
        poll_until(self.host.clock.as_ref(), self.options.lock_wait, || {
            self.host.files.try_lock(path).map_err(|e| {
                Error::from_io(op, subject.clone(), format!("can't lock {}", path.display()), e)
                    .with_remedy("check that the pool's folder is mounted and writable")
            })
        })
    }
}
