//! One simulated pool: volumes, snapshots, thin policy, format tokens.

use super::backend::{CAPABILITIES, Executor};
use super::observe;
use super::plan::{self, View};
use super::room;
use super::state::World;
use super::step::Step;
use crate::capability::Capabilities;
use crate::change::{Change, Plan};
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::group_snapshot::GroupSnapshots;
use crate::ids::{PoolId, SnapshotId, VolumeId};
use crate::info::{Attachment, PoolInfo, SnapshotInfo, VolumeInfo};
use crate::outcome::{Ensured, Grown, Removed};
use crate::pool::Pool;
use crate::snapshot::Snapshots;
use crate::spec::{PublishSpec, SnapshotSpec, Source, VolumeSpec};
use crate::thin::{ThinPolicy, ThinProvisioning, ThinUsage};
use crate::token::{FormatToken, FormatTokens};
use crate::units::{Bytes, Ratio};

/// An open pool of a simulated machine.
#[derive(Debug)]
pub(super) struct SimPool {
    pub(super) executor: Executor,
    pub(super) id: PoolId,
}

impl SimPool {
    pub(super) const fn new(executor: Executor, id: PoolId) -> Self {
        Self { executor, id }
    }

    /// Plans and takes a change; answers whether anything was to do, and what `observe` sees.
    fn change<T>(
        &self,
        op: Op,
        subject: &Subject,
        plan: impl FnOnce(View<'_>) -> Result<Vec<Step>>,
        observe: impl FnOnce(&World) -> Result<T>,
    ) -> Result<(bool, T)> {
        let _turn = self.executor.machine.turn();
        let steps = plan(View::new(&self.executor.machine.world(), op, &self.id)?)?;
        let changed = self.executor.run(op, &self.id, subject, &steps)?;
        let seen = observe(&self.executor.machine.world())?;
        Ok((changed, seen))
    }

    pub(super) fn ensure<T>(
        &self,
        change: &Change,
        observe: impl FnOnce(&World) -> Result<T>,
    ) -> Result<(bool, T)> {
        let op = plan::op_of(change);
        let subject = change.subject();
        self.change(op, &subject, |view| plan::plan(view, change), observe)
    }

    /// Takes a change that removes something, answered as it was before.
    pub(super) fn remove<T>(
        &self,
        change: &Change,
        observe: impl FnOnce(&World) -> Result<T>,
    ) -> Result<Removed<T>> {
        let mut before = None;
        let plan = |view: View<'_>| {
            let steps = plan::plan(view, change)?;
            if !steps.is_empty() {
                before = Some(observe(view.world)?);
            }
            Ok(steps)
        };
        let op = plan::op_of(change);
        self.change(op, &change.subject(), plan, |_| Ok(()))?;
        Ok(before.map_or(Removed::WasAbsent, Removed::Removed))
    }

    fn attachment(&self, world: &World, op: Op, source: &Source) -> Result<Attachment> {
        let device = world.device_of(&self.id, source);
        device.map(|d| d.attachment.clone()).ok_or_else(|| {
            Error::new(ErrorKind::Indeterminate, op, source, "its device vanished")
                .with_remedy("repeat the call")
        })
    }
}

pub(super) fn ensured<T>((changed, object): (bool, T)) -> Ensured<T> {
    match changed {
        true => Ensured::Created(object),
        false => Ensured::Unchanged(object),
    }
}

impl Pool for SimPool {
    fn info(&self) -> Result<PoolInfo> {
        observe::pool(&self.executor.machine.world(), Op::InspectPool, &self.id)
    }

    fn capabilities(&self) -> Capabilities {
        CAPABILITIES
    }

    fn volume(&self, id: &VolumeId) -> Result<VolumeInfo> {
        let world = self.executor.machine.world();
        observe::volume(&world, Op::InspectVolume, &self.id, id)
    }

    fn volumes(&self) -> Result<Vec<VolumeInfo>> {
        observe::volumes(&self.executor.machine.world(), Op::ListVolumes, &self.id)
    }

    fn ensure_volume(&self, spec: &VolumeSpec) -> Result<Ensured<VolumeInfo>> {
        let see = |world: &World| observe::volume(world, Op::EnsureVolume, &self.id, &spec.id);
        self.ensure(&Change::EnsureVolume(spec.clone()), see).map(ensured)
    }

    fn grow_volume(&self, id: &VolumeId, size: Bytes) -> Result<Grown<VolumeInfo>> {
        let see = |world: &World| observe::volume(world, Op::GrowVolume, &self.id, id);
        let (changed, volume) = self.ensure(&Change::GrowVolume(id.clone(), size), see)?;
        Ok(match changed {
            true => Grown::Grew(volume),
            false => Grown::AlreadyLarge(volume),
        })
    }

    fn publish(&self, spec: &PublishSpec) -> Result<Ensured<Attachment>> {
        let see = |world: &World| self.attachment(world, Op::Publish, &spec.source);
        self.ensure(&Change::Publish(spec.clone()), see).map(ensured)
    }

    fn unpublish(&self, source: &Source) -> Result<Removed<Attachment>> {
        let see = |world: &World| self.attachment(world, Op::Unpublish, source);
        self.remove(&Change::Unpublish(source.clone()), see)
    }

    fn remove_volume(&self, id: &VolumeId) -> Result<Removed<VolumeInfo>> {
        let see = |world: &World| observe::volume(world, Op::RemoveVolume, &self.id, id);
        self.remove(&Change::RemoveVolume(id.clone()), see)
    }

    fn plan(&self, change: &Change) -> Result<Plan> {
        let world = self.executor.machine.world();
        let view = View::new(&world, plan::op_of(change), &self.id)?;
        Ok(Plan::new(change.subject(), plan::plan(view, change)?))
    }

    fn format_tokens(&self) -> Option<&dyn FormatTokens> {
        Some(self)
    }

    fn snapshots(&self) -> Option<&dyn Snapshots> {
        Some(self)
    }

    fn group_snapshots(&self) -> Option<&dyn GroupSnapshots> {
        Some(self)
    }

    fn thin(&self) -> Option<&dyn ThinProvisioning> {
        Some(self)
    }
}

impl Snapshots for SimPool {
    fn ensure_snapshot(&self, spec: &SnapshotSpec) -> Result<Ensured<SnapshotInfo>> {
        let see = |world: &World| observe::snapshot(world, Op::EnsureSnapshot, &self.id, &spec.id);
        self.ensure(&Change::EnsureSnapshot(spec.clone()), see).map(ensured)
    }

    fn snapshot(&self, id: &SnapshotId) -> Result<SnapshotInfo> {
        let world = self.executor.machine.world();
        observe::snapshot(&world, Op::InspectSnapshot, &self.id, id)
    }

    fn list_snapshots(&self, of: Option<&VolumeId>) -> Result<Vec<SnapshotInfo>> {
        let world = self.executor.machine.world();
        observe::snapshots(&world, Op::ListSnapshots, &self.id, of)
    }

    fn roll_back(&self, volume: &VolumeId, snapshot: &SnapshotId) -> Result<VolumeInfo> {
        let see = |world: &World| observe::volume(world, Op::RollBack, &self.id, volume);
        let change = Change::RollBack(volume.clone(), snapshot.clone());
        self.ensure(&change, see).map(|(_, volume)| volume)
    }

    fn remove_snapshot(&self, id: &SnapshotId) -> Result<Removed<SnapshotInfo>> {
        let see = |world: &World| observe::snapshot(world, Op::RemoveSnapshot, &self.id, id);
        self.remove(&Change::RemoveSnapshot(id.clone()), see)
    }
}

impl ThinProvisioning for SimPool {
    fn thin_usage(&self) -> Result<ThinUsage> {
        let world = self.executor.machine.world();
        let pool = world.pool(Op::ThinUsage, &self.id)?;
        Ok(room::usage(&world, pool))
    }

    fn thin_policy(&self) -> Result<ThinPolicy> {
        let world = self.executor.machine.world();
        world.pool(Op::ThinUsage, &self.id).map(|pool| pool.policy)
    }

    fn set_thin_policy(&self, policy: &ThinPolicy) -> Result<()> {
        let op = Op::SetThinPolicy;
        let refuse = |message: String, remedy: &str| {
            Err(Error::new(ErrorKind::InvalidArgument, op, &self.id, message).with_remedy(remedy))
        };
        if policy.overcommit < Ratio::ONE {
            return refuse(
                format!("the overcommit ratio {} is below 1", policy.overcommit),
                "use 1 or more",
            );
        }
        if policy.stop_at == Ratio::ZERO || policy.stop_at > Ratio::ONE {
            return refuse(
                format!("the stop mark {} is not above 0 and up to 1", policy.stop_at),
                "use a ratio such as 80%",
            );
        }
        let plan = |view: View<'_>| match view.pool.policy == *policy {
            true => Ok(Vec::new()),
            false => Ok(vec![Step::SetPolicy(*policy)]),
        };
        let subject = Subject::from(&self.id);
        self.change(op, &subject, plan, |_| Ok(())).map(|_| ())
    }
}

impl FormatTokens for SimPool {
    fn format_token(&self, volume: &VolumeId) -> Result<FormatToken> {
        let world = self.executor.machine.world();
        let pool = world.pool(Op::FormatToken, &self.id)?;
        pool.volume(Op::FormatToken, volume).map(|v| v.token)
    }

    fn set_format_token(&self, volume: &VolumeId, token: FormatToken) -> Result<()> {
        let plan = |view: View<'_>| plan::set_token(view, volume, token);
        let subject = Subject::from(volume);
        self.change(Op::FormatToken, &subject, plan, |_| Ok(())).map(|_| ())
    }

    fn allow_format(&self, volume: &VolumeId) -> Result<()> {
        let plan = |view: View<'_>| plan::allow_format(view, volume);
        let subject = Subject::from(volume);
        self.change(Op::AllowFormat, &subject, plan, |_| Ok(())).map(|_| ())
    }
}
