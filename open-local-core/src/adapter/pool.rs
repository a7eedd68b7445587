//! Pools for asynchronous programs.

use std::sync::Arc;
use std::time::Duration;

use super::call::{self, Name};
use super::lanes::{Lane, Lanes};
use crate::capability::Capabilities;
use crate::change::{Change, Plan};
use crate::error::{Op, Result, Subject};
use crate::ids::{PoolId, VolumeId};
use crate::info::{Attachment, PoolInfo, Upkeep, VolumeInfo};
use crate::outcome::{Ensured, Grown, Removed};
use crate::pool::{Pool, PoolExt};
use crate::spec::{PublishSpec, Source, VolumeSpec};
use crate::token::FormatToken;
use crate::units::Bytes;

#[cfg(feature = "thin")]
use crate::thin::{ThinPolicy, ThinProvisioning, ThinUsage};
#[cfg(feature = "snapshot")]
use crate::{ids::SnapshotId, info::SnapshotInfo, spec::SnapshotSpec};

/// A pool whose calls run on a bounded pool of blocking threads; see the
/// [module](crate::adapter) for what that promises.
///
/// Cheap to clone; clones share the bounds, also with other handles of the same pool. Each
/// method's errors are those of the trait's method of the same name and those of [`Self::call`].
#[derive(Debug, Clone)]
pub struct AsyncPool {
    pool: Arc<dyn Pool>,
    id: PoolId,
    lanes: Arc<Lanes>,
    lane: Arc<Lane>,
    deadline: Duration,
}

impl AsyncPool {
    pub(super) const fn new(
        pool: Arc<dyn Pool>,
        id: PoolId,
        lanes: Arc<Lanes>,
        lane: Arc<Lane>,
        deadline: Duration,
    ) -> Self {
        Self { pool, id, lanes, lane, deadline }
    }

    /// The same with another deadline for each call.
    #[must_use]
    pub const fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> &PoolId {
        &self.id
    }

    /// The pool itself, for calls from threads that may block.
    #[must_use]
    pub fn inner(&self) -> &Arc<dyn Pool> {
        &self.pool
    }

    /// Runs any work on the pool within the bounds; `op` and `subject` name it in errors.
    ///
    /// # Errors
    /// Those of the work; [`crate::ErrorKind::Busy`] if too many wait or the adapter is being shut
    /// down, [`crate::ErrorKind::Timeout`] if it had not started by its deadline,
    /// [`crate::ErrorKind::Indeterminate`] if it had, or if it panicked;
    /// [`crate::ErrorKind::Unsupported`] outside of a tokio runtime.
    pub async fn call<T, F>(&self, op: Op, subject: impl Into<Subject>, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Pool) -> Result<T> + Send + 'static,
    {
        let name = Name { op, subject: subject.into() };
        let (lanes, lane) = (Arc::clone(&self.lanes), Arc::clone(&self.lane));
        let pool = Arc::clone(&self.pool);
        call::run(lanes, lane, name, self.deadline, move || work(pool.as_ref())).await
    }

    /// [`Pool::info`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn info(&self) -> Result<PoolInfo> {
        self.call(Op::InspectPool, &self.id, move |p| p.info()).await
    }

    /// [`Pool::capabilities`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn capabilities(&self) -> Result<Capabilities> {
        self.call(Op::InspectPool, &self.id, move |p| Ok(p.capabilities())).await
    }

    /// [`Pool::volume`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn volume(&self, id: VolumeId) -> Result<VolumeInfo> {
        self.call(Op::InspectVolume, &id.clone(), move |p| p.volume(&id)).await
    }

    /// [`PoolExt::find_volume`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn find_volume(&self, id: VolumeId) -> Result<Option<VolumeInfo>> {
        self.call(Op::InspectVolume, &id.clone(), move |p| p.find_volume(&id)).await
    }

    /// [`Pool::volumes`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn volumes(&self) -> Result<Vec<VolumeInfo>> {
        self.call(Op::ListVolumes, &self.id, move |p| p.volumes()).await
    }

    /// [`Pool::ensure_volume`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn ensure_volume(&self, spec: VolumeSpec) -> Result<Ensured<VolumeInfo>> {
        self.call(Op::EnsureVolume, &spec.id.clone(), move |p| p.ensure_volume(&spec)).await
    }

    /// [`Pool::grow_volume`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn grow_volume(&self, id: VolumeId, size: Bytes) -> Result<Grown<VolumeInfo>> {
        self.call(Op::GrowVolume, &id.clone(), move |p| p.grow_volume(&id, size)).await
    }

    /// [`Pool::publish`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn publish(&self, spec: PublishSpec) -> Result<Ensured<Attachment>> {
        self.call(Op::Publish, &spec.source.clone(), move |p| p.publish(&spec)).await
    }

    /// [`Pool::unpublish`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn unpublish(&self, source: Source) -> Result<Removed<Attachment>> {
        self.call(Op::Unpublish, &source.clone(), move |p| p.unpublish(&source)).await
    }

    /// [`Pool::remove_volume`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn remove_volume(&self, id: VolumeId) -> Result<Removed<VolumeInfo>> {
        self.call(Op::RemoveVolume, &id.clone(), move |p| p.remove_volume(&id)).await
    }

    /// [`Pool::maintain`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn maintain(&self, budget: Bytes) -> Result<Upkeep> {
        self.call(Op::Maintain, &self.id, move |p| p.maintain(budget)).await
    }

    /// [`Pool::plan`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn plan(&self, change: Change) -> Result<Plan> {
        self.call(Op::PlanChange, change.subject(), move |p| p.plan(&change)).await
    }

    /// [`crate::FormatTokens::format_token`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn format_token(&self, volume: VolumeId) -> Result<FormatToken> {
        self.call(Op::FormatToken, &volume.clone(), move |p| {
            p.require_format_tokens()?.format_token(&volume)
        })
        .await
    }

    /// [`crate::FormatTokens::set_format_token`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn set_format_token(&self, volume: VolumeId, token: FormatToken) -> Result<()> {
        self.call(Op::FormatToken, &volume.clone(), move |p| {
            p.require_format_tokens()?.set_format_token(&volume, token)
        })
        .await
    }

    /// [`crate::FormatTokens::allow_format`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn allow_format(&self, volume: VolumeId) -> Result<()> {
        self.call(Op::AllowFormat, &volume.clone(), move |p| {
            p.require_format_tokens()?.allow_format(&volume)
        })
        .await
    }
}

#[cfg(feature = "snapshot")]
impl AsyncPool {
    /// [`crate::Snapshots::ensure_snapshot`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn ensure_snapshot(&self, spec: SnapshotSpec) -> Result<Ensured<SnapshotInfo>> {
        self.call(Op::EnsureSnapshot, &spec.id.clone(), move |p| {
            p.require_snapshots()?.ensure_snapshot(&spec)
        })
        .await
    }

    /// [`crate::Snapshots::snapshot`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn snapshot(&self, id: SnapshotId) -> Result<SnapshotInfo> {
        self.call(Op::InspectSnapshot, &id.clone(), move |p| p.require_snapshots()?.snapshot(&id))
            .await
    }

    /// [`crate::Snapshots::list_snapshots`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn list_snapshots(&self, of: Option<VolumeId>) -> Result<Vec<SnapshotInfo>> {
        self.call(Op::ListSnapshots, &self.id, move |p| {
            p.require_snapshots()?.list_snapshots(of.as_ref())
        })
        .await
    }

    /// [`crate::Snapshots::roll_back`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn roll_back(&self, volume: VolumeId, snapshot: SnapshotId) -> Result<VolumeInfo> {
        self.call(Op::RollBack, &volume.clone(), move |p| {
            p.require_snapshots()?.roll_back(&volume, &snapshot)
        })
        .await
    }

    /// [`crate::Snapshots::remove_snapshot`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn remove_snapshot(&self, id: SnapshotId) -> Result<Removed<SnapshotInfo>> {
        self.call(Op::RemoveSnapshot, &id.clone(), move |p| {
            p.require_snapshots()?.remove_snapshot(&id)
        })
        .await
    }
}

#[cfg(feature = "thin")]
fn thin(pool: &dyn Pool, op: Op) -> Result<&dyn ThinProvisioning> {
    let thin = pool.thin();
    thin.ok_or_else(|| pool.lacks(op, "thin provisioning"))
}

#[cfg(feature = "thin")]
impl AsyncPool {
    /// [`ThinProvisioning::thin_usage`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn thin_usage(&self) -> Result<ThinUsage> {
        self.call(Op::ThinUsage, &self.id, move |p| thin(p, Op::ThinUsage)?.thin_usage()).await
    }

    /// [`ThinProvisioning::thin_policy`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn thin_policy(&self) -> Result<ThinPolicy> {
        self.call(Op::ThinUsage, &self.id, move |p| thin(p, Op::ThinUsage)?.thin_policy()).await
    }

    /// [`ThinProvisioning::set_thin_policy`].
    ///
    /// # Errors
    /// As for the type.
    pub async fn set_thin_policy(&self, policy: ThinPolicy) -> Result<()> {
        self.call(Op::SetThinPolicy, &self.id, move |p| {
            thin(p, Op::SetThinPolicy)?.set_thin_policy(&policy)
        })
        .await
    }
}
