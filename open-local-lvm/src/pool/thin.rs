//! Thin pools: their figures and policy.

use open_local_core::{
    Change, Error, ErrorKind, Health, Op, Result, ThinPolicy, ThinProvisioning, ThinUsage,
};
use open_local_core::{
    Ensured, Removed, SnapshotId, SnapshotInfo, SnapshotSpec, Snapshots, VolumeId, VolumeInfo,
};

use super::group::{GroupPool, Turn, View};
use super::live::Live;
use super::objects::Object;
use super::steps::Work;
use crate::format::group::VolumeGroup;

impl GroupPool {
    pub(super) fn usage(
        &self,
        _group: &VolumeGroup,
        _objects: &[Object],
        _live: &Live,
    ) -> Result<ThinUsage> {
        Ok(ThinUsage::default())
    }
    pub(super) fn policy(&self, _group: &VolumeGroup) -> ThinPolicy {
        ThinPolicy::default().with_overcommit(self.spec.overcommit)
    }
    pub(super) fn pool_details(&self, _view: &View) -> Vec<(&'static str, String)> {
        Vec::new()
    }
    pub(super) fn pool_health(&self, _view: &View) -> Health {
        Health::Healthy
    }
    pub(super) fn planned_snapshot(
        &self,
        _turn: &Turn<'_>,
        _change: &Change,
    ) -> Result<Option<Work>> {
        Err(Error::new(
            ErrorKind::Unsupported,
            Op::PlanChange,
            self.id(),
            "this pool has no snapshots",
        )
        .with_remedy("take a pool with mode=thin"))
    }
    fn none<T>(&self) -> Result<T> {
        Err(Error::new(
            ErrorKind::Unsupported,
            Op::PlanChange,
            self.id(),
            "this pool has no snapshots",
        )
        .with_remedy("take a pool with mode=thin"))
    }
}

impl ThinProvisioning for GroupPool {
    fn thin_usage(&self) -> Result<ThinUsage> {
        self.none()
    }
    fn thin_policy(&self) -> Result<ThinPolicy> {
        self.none()
    }
    fn set_thin_policy(&self, _policy: &ThinPolicy) -> Result<()> {
        self.none()
    }
}

impl Snapshots for GroupPool {
    fn ensure_snapshot(&self, _spec: &SnapshotSpec) -> Result<Ensured<SnapshotInfo>> {
        self.none()
    }
    fn snapshot(&self, _id: &SnapshotId) -> Result<SnapshotInfo> {
        self.none()
    }
    fn list_snapshots(&self, _of: Option<&VolumeId>) -> Result<Vec<SnapshotInfo>> {
        self.none()
    }
    fn roll_back(&self, _volume: &VolumeId, _snapshot: &SnapshotId) -> Result<VolumeInfo> {
        self.none()
    }
    fn remove_snapshot(&self, _id: &SnapshotId) -> Result<Removed<SnapshotInfo>> {
        self.none()
    }
}

impl GroupPool {
    /// Brings up what the pool needs to be of use, after finishing what cut calls left.
    pub(super) fn start(&self, op: Op) -> Result<()> {
        self.change(op, |_| Ok(()))
    }

    pub(super) fn make_thin_pool(&self, _op: Op) -> Result<()> {
        Ok(())
    }

    pub(super) fn remove_thin_pool(&self, _op: Op) -> Result<()> {
        Ok(())
    }
}
