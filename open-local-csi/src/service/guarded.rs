//! A pool behind its lane: looks end, changes are bounded.

use std::sync::Arc;

use open_local_core::{
    Attachment, Bytes, Capabilities, Change, Ensured, Error, ErrorKind, FormatToken, FormatTokens,
    GroupSnapshotId, GroupSnapshotInfo, GroupSnapshotSpec, GroupSnapshots, Grown, Op, Plan, Pool,
    PoolInfo, PublishSpec, Removed, Result, SnapshotId, SnapshotInfo, SnapshotSpec, Snapshots,
    Source, ThinPolicy, ThinProvisioning, ThinUsage, Upkeep, VolumeId, VolumeInfo, VolumeSpec,
};

use super::lane::{Lane, Work};

/// A pool that hangs for nobody but those who change it.
#[derive(Debug)]
pub(super) struct Guarded {
    pub(super) pool: Arc<dyn Pool>,
    pub(super) lane: Arc<Lane>,
}

impl Guarded {
    fn look<T: Send + 'static>(
        &self,
        op: Op,
        look: impl FnOnce(&dyn Pool) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let pool = Arc::clone(&self.pool);
        self.lane.look(op, move || look(pool.as_ref()))
    }

    fn change<T>(&self, op: Op, change: impl FnOnce(&dyn Pool) -> Result<T>) -> Result<T> {
        let _place = self.lane.enter(op, Work::Change)?;
        change(self.pool.as_ref())
    }
}

/// What can't be: a pool that has something lacks it the next time.
fn lacks(op: Op, what: &str) -> Error {
    let subject = open_local_core::Subject::Host;
    Error::new(ErrorKind::Unsupported, op, subject, format!("the pool has no {what} now"))
}

fn snapshots(pool: &dyn Pool, op: Op) -> Result<&dyn Snapshots> {
    pool.snapshots().ok_or_else(|| lacks(op, "snapshots"))
}

fn groups(pool: &dyn Pool, op: Op) -> Result<&dyn GroupSnapshots> {
    pool.group_snapshots().ok_or_else(|| lacks(op, "group snapshots"))
}

fn thin(pool: &dyn Pool, op: Op) -> Result<&dyn ThinProvisioning> {
    pool.thin().ok_or_else(|| lacks(op, "thin volumes"))
}

fn tokens(pool: &dyn Pool) -> Result<&dyn FormatTokens> {
    pool.format_tokens().ok_or_else(|| lacks(Op::FormatToken, "format tokens"))
}

impl Pool for Guarded {
    fn info(&self) -> Result<PoolInfo> {
        self.look(Op::InspectPool, |pool| pool.info())
    }

    fn capabilities(&self) -> Capabilities {
        self.pool.capabilities()
    }

    fn volume(&self, id: &VolumeId) -> Result<VolumeInfo> {
        let id = id.clone();
        self.look(Op::InspectVolume, move |pool| pool.volume(&id))
    }

    fn volumes(&self) -> Result<Vec<VolumeInfo>> {
        self.look(Op::ListVolumes, |pool| pool.volumes())
    }

    fn ensure_volume(&self, spec: &VolumeSpec) -> Result<Ensured<VolumeInfo>> {
        self.change(Op::EnsureVolume, |pool| pool.ensure_volume(spec))
    }

    fn grow_volume(&self, id: &VolumeId, size: Bytes) -> Result<Grown<VolumeInfo>> {
        self.change(Op::GrowVolume, |pool| pool.grow_volume(id, size))
    }

    fn publish(&self, spec: &PublishSpec) -> Result<Ensured<Attachment>> {
        self.change(Op::Publish, |pool| pool.publish(spec))
    }

    fn unpublish(&self, source: &Source) -> Result<Removed<Attachment>> {
        self.change(Op::Unpublish, |pool| pool.unpublish(source))
    }

    fn remove_volume(&self, id: &VolumeId) -> Result<Removed<VolumeInfo>> {
        self.change(Op::RemoveVolume, |pool| pool.remove_volume(id))
    }

    fn plan(&self, change: &Change) -> Result<Plan> {
        let change = change.clone();
        self.look(Op::InspectPool, move |pool| pool.plan(&change))
    }

    fn maintain(&self, budget: Bytes) -> Result<Upkeep> {
        self.change(Op::RemoveVolume, |pool| pool.maintain(budget))
    }

    fn format_tokens(&self) -> Option<&dyn FormatTokens> {
        self.pool.format_tokens().map(|_| self as &dyn FormatTokens)
    }

    fn snapshots(&self) -> Option<&dyn Snapshots> {
        self.pool.snapshots().map(|_| self as &dyn Snapshots)
    }

    fn group_snapshots(&self) -> Option<&dyn GroupSnapshots> {
        self.pool.group_snapshots().map(|_| self as &dyn GroupSnapshots)
    }

    fn thin(&self) -> Option<&dyn ThinProvisioning> {
        self.pool.thin().map(|_| self as &dyn ThinProvisioning)
    }
}

impl FormatTokens for Guarded {
    fn format_token(&self, volume: &VolumeId) -> Result<FormatToken> {
        let volume = volume.clone();
        self.look(Op::FormatToken, move |pool| tokens(pool)?.format_token(&volume))
    }

    fn set_format_token(&self, volume: &VolumeId, token: FormatToken) -> Result<()> {
        self.change(Op::FormatToken, |pool| tokens(pool)?.set_format_token(volume, token))
    }

    fn allow_format(&self, volume: &VolumeId) -> Result<()> {
        self.change(Op::FormatToken, |pool| tokens(pool)?.allow_format(volume))
    }
}

impl Snapshots for Guarded {
    fn ensure_snapshot(&self, spec: &SnapshotSpec) -> Result<Ensured<SnapshotInfo>> {
        let op = Op::EnsureSnapshot;
        self.change(op, |pool| snapshots(pool, op)?.ensure_snapshot(spec))
    }

    fn snapshot(&self, id: &SnapshotId) -> Result<SnapshotInfo> {
        let (op, id) = (Op::InspectSnapshot, id.clone());
        self.look(op, move |pool| snapshots(pool, op)?.snapshot(&id))
    }

    fn list_snapshots(&self, of: Option<&VolumeId>) -> Result<Vec<SnapshotInfo>> {
        let (op, of) = (Op::ListSnapshots, of.cloned());
        self.look(op, move |pool| snapshots(pool, op)?.list_snapshots(of.as_ref()))
    }

    fn roll_back(&self, volume: &VolumeId, snapshot: &SnapshotId) -> Result<VolumeInfo> {
        let op = Op::RollBack;
        self.change(op, |pool| snapshots(pool, op)?.roll_back(volume, snapshot))
    }

    fn remove_snapshot(&self, id: &SnapshotId) -> Result<Removed<SnapshotInfo>> {
        let op = Op::RemoveSnapshot;
        self.change(op, |pool| snapshots(pool, op)?.remove_snapshot(id))
    }
}

impl GroupSnapshots for Guarded {
    fn ensure_group_snapshot(
        &self,
        spec: &GroupSnapshotSpec,
    ) -> Result<Ensured<GroupSnapshotInfo>> {
        let op = Op::EnsureGroupSnapshot;
        self.change(op, |pool| groups(pool, op)?.ensure_group_snapshot(spec))
    }

    fn group_snapshot(&self, id: &GroupSnapshotId) -> Result<GroupSnapshotInfo> {
        let (op, id) = (Op::InspectSnapshot, id.clone());
        self.look(op, move |pool| groups(pool, op)?.group_snapshot(&id))
    }

    fn list_group_snapshots(&self) -> Result<Vec<GroupSnapshotInfo>> {
        let op = Op::ListSnapshots;
        self.look(op, move |pool| groups(pool, op)?.list_group_snapshots())
    }

    fn remove_group_snapshot(&self, id: &GroupSnapshotId) -> Result<Removed<GroupSnapshotInfo>> {
        let op = Op::RemoveSnapshot;
        self.change(op, |pool| groups(pool, op)?.remove_group_snapshot(id))
    }
}

impl ThinProvisioning for Guarded {
    fn thin_usage(&self) -> Result<ThinUsage> {
        let op = Op::InspectPool;
        self.look(op, move |pool| thin(pool, op)?.thin_usage())
    }

    fn thin_policy(&self) -> Result<ThinPolicy> {
        let op = Op::InspectPool;
        self.look(op, move |pool| thin(pool, op)?.thin_policy())
    }

    fn set_thin_policy(&self, policy: &ThinPolicy) -> Result<()> {
        let op = Op::InspectPool;
        self.change(op, |pool| thin(pool, op)?.set_thin_policy(policy))
    }
}
