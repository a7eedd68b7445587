//! A pool whose operations are logged.

use std::sync::Arc;

use open_local_core::{
    Attachment, Bytes, Capabilities, Change, Ensured, FormatToken, FormatTokens, GroupSnapshotId,
    GroupSnapshotInfo, GroupSnapshotSpec, GroupSnapshots, Grown, Op, Plan, Pool, PoolExt, PoolInfo,
    PublishSpec, Removed, Result, SnapshotId, SnapshotInfo, SnapshotSpec, Snapshots, Source,
    Subject, ThinProvisioning, Upkeep, VolumeId, VolumeInfo, VolumeSpec,
};

use super::{Done, Observer};
use crate::view::OutcomeWord;

/// Logs every change with its plan; reading passes through.
#[derive(Debug)]
pub struct ObservedPool {
    inner: Arc<dyn Pool>,
    observer: Arc<Observer>,
}

impl ObservedPool {
    /// Wraps a pool.
    #[must_use]
    pub fn new(inner: Arc<dyn Pool>, observer: Arc<Observer>) -> Self {
        Self { inner, observer }
    }

    fn change<T: OutcomeWord>(
        &self,
        op: Op,
        change: &Change,
        act: impl FnOnce(&dyn Pool) -> Result<T>,
    ) -> Result<T> {
        // A plan that can't be made is no reason not to try: the change itself says what is wrong.
        let plan = self.observer.tells_plans().then(|| self.inner.plan(change).ok()).flatten();
        self.observer.run(op, &change.subject(), plan.as_ref(), || act(self.inner.as_ref()))
    }
}

impl Pool for ObservedPool {
    fn info(&self) -> Result<PoolInfo> {
        self.inner.info()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    fn volume(&self, id: &VolumeId) -> Result<VolumeInfo> {
        self.inner.volume(id)
    }

    fn volumes(&self) -> Result<Vec<VolumeInfo>> {
        self.inner.volumes()
    }

    fn ensure_volume(&self, spec: &VolumeSpec) -> Result<Ensured<VolumeInfo>> {
        let change = Change::EnsureVolume(spec.clone());
        self.change(Op::EnsureVolume, &change, |p| p.ensure_volume(spec))
    }

    fn grow_volume(&self, id: &VolumeId, size: Bytes) -> Result<Grown<VolumeInfo>> {
        let change = Change::GrowVolume(id.clone(), size);
        self.change(Op::GrowVolume, &change, |p| p.grow_volume(id, size))
    }

    fn publish(&self, spec: &PublishSpec) -> Result<Ensured<Attachment>> {
        let change = Change::Publish(spec.clone());
        self.change(Op::Publish, &change, |p| p.publish(spec))
    }

    fn unpublish(&self, source: &Source) -> Result<Removed<Attachment>> {
        let change = Change::Unpublish(source.clone());
        self.change(Op::Unpublish, &change, |p| p.unpublish(source))
    }

    fn remove_volume(&self, id: &VolumeId) -> Result<Removed<VolumeInfo>> {
        let change = Change::RemoveVolume(id.clone());
        self.change(Op::RemoveVolume, &change, |p| p.remove_volume(id))
    }

    fn maintain(&self, budget: Bytes) -> Result<Upkeep> {
        // Logged only where something was done: it is called over and over.
        let upkeep = self.inner.maintain(Bytes::ZERO)?;
        if upkeep.left.is_zero() || budget.is_zero() {
            return Ok(upkeep);
        }
        let subject = self.inner.info().map_or(Subject::Host, |info| Subject::from(info.id()));
        self.observer
            .run(Op::Maintain, &subject, None, || self.inner.maintain(budget).map(Done))
            .map(|done| done.0)
    }

    fn plan(&self, change: &Change) -> Result<Plan> {
        self.inner.plan(change)
    }

    fn format_tokens(&self) -> Option<&dyn FormatTokens> {
        self.inner.format_tokens().map(|_| self as &dyn FormatTokens)
    }

    fn snapshots(&self) -> Option<&dyn Snapshots> {
        self.inner.snapshots().map(|_| self as &dyn Snapshots)
    }

    fn group_snapshots(&self) -> Option<&dyn GroupSnapshots> {
        self.inner.group_snapshots().map(|_| self as &dyn GroupSnapshots)
    }

    fn thin(&self) -> Option<&dyn ThinProvisioning> {
        self.inner.thin()
    }
}

impl Snapshots for ObservedPool {
    fn ensure_snapshot(&self, spec: &SnapshotSpec) -> Result<Ensured<SnapshotInfo>> {
        let change = Change::EnsureSnapshot(spec.clone());
        self.change(Op::EnsureSnapshot, &change, |p| p.require_snapshots()?.ensure_snapshot(spec))
    }

    fn snapshot(&self, id: &SnapshotId) -> Result<SnapshotInfo> {
        self.inner.require_snapshots()?.snapshot(id)
    }

    fn list_snapshots(&self, of: Option<&VolumeId>) -> Result<Vec<SnapshotInfo>> {
        self.inner.require_snapshots()?.list_snapshots(of)
    }

    fn roll_back(&self, volume: &VolumeId, snapshot: &SnapshotId) -> Result<VolumeInfo> {
        let change = Change::RollBack(volume.clone(), snapshot.clone());
        self.change(Op::RollBack, &change, |p| {
            p.require_snapshots()?.roll_back(volume, snapshot).map(Done)
        })
        .map(|done| done.0)
    }

    fn remove_snapshot(&self, id: &SnapshotId) -> Result<Removed<SnapshotInfo>> {
        let change = Change::RemoveSnapshot(id.clone());
        self.change(Op::RemoveSnapshot, &change, |p| p.require_snapshots()?.remove_snapshot(id))
    }
}

impl GroupSnapshots for ObservedPool {
    fn ensure_group_snapshot(
        &self,
        spec: &GroupSnapshotSpec,
    ) -> Result<Ensured<GroupSnapshotInfo>> {
        let change = Change::EnsureGroupSnapshot(spec.clone());
        self.change(Op::EnsureGroupSnapshot, &change, |p| {
            p.require_group_snapshots()?.ensure_group_snapshot(spec)
        })
    }

    fn group_snapshot(&self, id: &GroupSnapshotId) -> Result<GroupSnapshotInfo> {
        self.inner.require_group_snapshots()?.group_snapshot(id)
    }

    fn list_group_snapshots(&self) -> Result<Vec<GroupSnapshotInfo>> {
        self.inner.require_group_snapshots()?.list_group_snapshots()
    }

    fn remove_group_snapshot(&self, id: &GroupSnapshotId) -> Result<Removed<GroupSnapshotInfo>> {
        let change = Change::RemoveGroupSnapshot(id.clone());
        self.change(Op::RemoveGroupSnapshot, &change, |p| {
            p.require_group_snapshots()?.remove_group_snapshot(id)
        })
    }
}

impl FormatTokens for ObservedPool {
    fn format_token(&self, volume: &VolumeId) -> Result<FormatToken> {
        self.inner.require_format_tokens()?.format_token(volume)
    }

    fn set_format_token(&self, volume: &VolumeId, token: FormatToken) -> Result<()> {
        self.inner.require_format_tokens()?.set_format_token(volume, token)
    }

    fn allow_format(&self, volume: &VolumeId) -> Result<()> {
        self.observer
            .run(Op::AllowFormat, &Subject::from(volume), None, || {
                let tokens = self.inner.require_format_tokens()?;
                tokens.allow_format(volume).map(Done)
            })
            .map(|done| done.0)
    }
}
