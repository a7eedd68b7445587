//! Group snapshots for asynchronous programs.

use super::AsyncPool;
use crate::error::{Op, Result};
use crate::ids::GroupSnapshotId;
use crate::info::GroupSnapshotInfo;
use crate::outcome::{Ensured, Removed};
use crate::pool::PoolExt;
use crate::spec::GroupSnapshotSpec;

impl AsyncPool {
    /// [`crate::GroupSnapshots::ensure_group_snapshot`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn ensure_group_snapshot(
        &self,
        spec: GroupSnapshotSpec,
    ) -> Result<Ensured<GroupSnapshotInfo>> {
        self.call(Op::EnsureGroupSnapshot, &spec.id.clone(), move |p| {
            p.require_group_snapshots()?.ensure_group_snapshot(&spec)
        })
        .await
    }

    /// [`crate::GroupSnapshots::group_snapshot`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn group_snapshot(&self, id: GroupSnapshotId) -> Result<GroupSnapshotInfo> {
        self.call(Op::InspectGroupSnapshot, &id.clone(), move |p| {
            p.require_group_snapshots()?.group_snapshot(&id)
        })
        .await
    }

    /// [`crate::GroupSnapshots::list_group_snapshots`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn list_group_snapshots(&self) -> Result<Vec<GroupSnapshotInfo>> {
        self.call(Op::ListGroupSnapshots, self.id(), move |p| {
            p.require_group_snapshots()?.list_group_snapshots()
        })
        .await
    }

    /// [`crate::GroupSnapshots::remove_group_snapshot`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn remove_group_snapshot(
        &self,
        id: GroupSnapshotId,
    ) -> Result<Removed<GroupSnapshotInfo>> {
        self.call(Op::RemoveGroupSnapshot, &id.clone(), move |p| {
            p.require_group_snapshots()?.remove_group_snapshot(&id)
        })
        .await
    }
}
