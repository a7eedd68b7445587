//! Group snapshots as wholes: locks, members, and finishing a removal that was cut.

use super::group_record::{GroupRecord, GroupStage};
use super::planner::{self, Seen};
use super::pool::FilePool;
use crate::error::{Op, Result};
use crate::host::FileLock;
use crate::ids::GroupSnapshotId;
use crate::spec::Source;

impl FilePool {
    /// Removes the lock file of a group that is not there; the caller holds the lock.
    pub(super) fn drop_idle_group_lock(&self, id: &GroupSnapshotId) {
        if self.host.files.stat(&self.layout.group(id)).is_err() {
            // A lock file too many does no harm; the next sweep tries again.
            let _ = self.host.files.remove_file(&self.layout.group_lock(id));
        }
    }

    /// Locks a group if nobody else has it now.
    pub(super) fn try_lock_group(&self, id: &GroupSnapshotId) -> Option<Box<dyn FileLock>> {
        self.host.files.try_lock(&self.layout.group_lock(id)).ok().flatten()
    }

    /// The keys of a group's members.
    pub(super) fn member_keys(group: &GroupRecord) -> Vec<Source> {
        group.members.iter().map(|(id, _)| Source::Snapshot(id.clone())).collect()
    }

    /// What is seen of these objects.
    ///
    /// # Errors
    /// As [`Self::see`].
    pub(super) fn see_all(&self, op: Op, keys: &[Source]) -> Result<Vec<(Source, Seen)>> {
        keys.iter().map(|key| Ok((key.clone(), self.see(op, key)?))).collect()
    }

    /// Finishes the removal of a group that was cut, where nobody is at work on it.
    pub(super) fn mend_group(&self, id: &GroupSnapshotId) -> Result<()> {
        let op = Op::Recover;
        let Some(_lock) = self.try_lock_group(id) else {
            return Ok(());
        };
        if let Some(group) = self.load_group(op, id)?
            && group.stage == GroupStage::Removing
        {
            let keys = Self::member_keys(&group);
            let locks = keys.iter().map(|key| self.try_lock_object(key));
            let Some(_locks) = locks.collect::<Option<Vec<_>>>() else {
                return Ok(());
            };
            let work = planner::remove_group(op, &group, &self.see_all(op, &keys)?)?;
            self.carry_out(&work, None)?;
            keys.iter().for_each(|key| self.drop_idle_lock(key));
        }
        self.drop_idle_group_lock(id);
        Ok(())
    }
}
