//! Group snapshots: the trait, and taking the steps that concern a whole group.

use super::apply::{Context, snapshot_request};
use super::content::Content;
use super::observe;
use super::pool::{SimPool, ensured};
use super::room::{self, Request};
use super::state::{GroupState, PoolState, SnapshotState, Stage, World};
use super::step::Step;
use crate::change::Change;
use crate::error::{Error, ErrorKind, Op, Result};
use crate::group_snapshot::GroupSnapshots;
use crate::ids::{GroupSnapshotId, SnapshotId, VolumeId};
use crate::info::GroupSnapshotInfo;
use crate::outcome::{Ensured, Removed};
use crate::spec::{GroupSnapshotSpec, SnapshotSpec, Source};
use crate::units::Bytes;

impl GroupSnapshots for SimPool {
    fn ensure_group_snapshot(
        &self,
        spec: &GroupSnapshotSpec,
    ) -> Result<Ensured<GroupSnapshotInfo>> {
        let op = Op::EnsureGroupSnapshot;
        let see = |world: &World| observe::group(world, op, &self.id, &spec.id);
        self.ensure(&Change::EnsureGroupSnapshot(spec.clone()), see).map(ensured)
    }

    fn group_snapshot(&self, id: &GroupSnapshotId) -> Result<GroupSnapshotInfo> {
        let world = self.executor.machine.world();
        observe::group(&world, Op::InspectGroupSnapshot, &self.id, id)
    }

    fn list_group_snapshots(&self) -> Result<Vec<GroupSnapshotInfo>> {
        let world = self.executor.machine.world();
        observe::groups(&world, Op::ListGroupSnapshots, &self.id)
    }

    fn remove_group_snapshot(&self, id: &GroupSnapshotId) -> Result<Removed<GroupSnapshotInfo>> {
        let op = Op::RemoveGroupSnapshot;
        let see = |world: &World| observe::group(world, op, &self.id, id);
        self.remove(&Change::RemoveGroupSnapshot(id.clone()), see)
    }
}

/// What all members of a group ask of the pool together.
pub(super) fn request(pool: &PoolState, op: Op, spec: &GroupSnapshotSpec) -> Result<Request> {
    let mut all = Request { promise: Bytes::ZERO, take: Bytes::ZERO };
    for (snapshot, id) in &spec.members {
        let volume = pool.volume(op, id)?;
        let cost = volume.content.as_ref().map_or(Bytes::ZERO, Content::cost_of_copy);
        let mut one = SnapshotSpec::new(snapshot.clone(), id.clone());
        one.writable = spec.writable;
        let one = snapshot_request(&one, volume.size, cost);
        all.promise = all.promise.saturating_add(one.promise);
        all.take = all.take.saturating_add(one.take);
    }
    Ok(all)
}

impl World {
    /// Takes a step of a group wholly, or answers an error and changes nothing.
    pub(super) fn apply_to_group(&mut self, cx: Context<'_>, step: &Step) -> Result<()> {
        match step {
            Step::RecordGroup(spec) => self.record_group(cx, spec),
            Step::FillGroup(id) => self.fill_group(cx, id),
            Step::FinishGroup(id) => self.set_group_stage(cx, id, Stage::Ready),
            Step::MarkGroupErasing(id) => self.set_group_stage(cx, id, Stage::Erasing),
            Step::ForgetGroup(id) => {
                let pool = self.pool_mut(cx.op, cx.pool)?;
                let members = pool.groups.remove(id).map_or(Vec::new(), |group| group.members);
                for (snapshot, _) in &members {
                    pool.snapshots.remove(snapshot);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn record_group(&mut self, cx: Context<'_>, spec: &GroupSnapshotSpec) -> Result<()> {
        let pool = self.pool(cx.op, cx.pool)?;
        room::admit(self, pool, request(pool, cx.op, spec)?, cx.op, &spec.id)?;
        let members = spec.sorted();
        let mut states = Vec::new();
        for (snapshot, id) in &members {
            let volume = pool.volume(cx.op, id)?;
            let state = SnapshotState {
                volume: id.clone(),
                size: volume.size,
                writable: spec.writable,
                created: cx.now,
                tags: spec.tags.clone(),
                group: Some(spec.id.clone()),
                stage: Stage::Making,
                token: volume.token,
                content: None,
            };
            states.push((snapshot.clone(), state));
        }
        let group = GroupState {
            members,
            writable: spec.writable,
            created: cx.now,
            tags: spec.tags.clone(),
            stage: Stage::Making,
        };
        let pool = self.pool_mut(cx.op, cx.pool)?;
        pool.snapshots.extend(states);
        pool.groups.insert(spec.id.clone(), group);
        Ok(())
    }

    /// Gives all members the content of their volumes as they are now: one moment for all.
    fn fill_group(&mut self, cx: Context<'_>, id: &GroupSnapshotId) -> Result<()> {
        let pool = self.pool(cx.op, cx.pool)?;
        let members = pool.group(cx.op, id)?.members.clone();
        // All are judged before the first is filled: a group is filled wholly or not at all.
        let (promise, cost) = self.group_needs(cx, &members)?;
        if !promise.is_zero() {
            let request = Request { promise, take: Bytes::ZERO };
            room::admit(self, pool, request, cx.op, id)?;
        }
        let free = room::free(self, pool);
        if cost > free {
            let message = format!("copying its volumes needs {cost}, but only {free} is left");
            return Err(Error::new(ErrorKind::OutOfSpace, cx.op, id, message)
                .with_remedy("remove something and repeat the call"));
        }
        for (snapshot, _) in &members {
            self.fill(cx, &Source::Snapshot(snapshot.clone()))?;
        }
        if let Some(group) = self.pool_mut(cx.op, cx.pool)?.groups.get_mut(id) {
            group.created = cx.now;
        }
        Ok(())
    }

    /// What the members need that was not promised when they were recorded, and what copying takes.
    fn group_needs(
        &self,
        cx: Context<'_>,
        members: &[(SnapshotId, VolumeId)],
    ) -> Result<(Bytes, Bytes)> {
        let pool = self.pool(cx.op, cx.pool)?;
        let (mut promise, mut cost) = (Bytes::ZERO, Bytes::ZERO);
        for (snapshot, id) in members {
            let (there, volume) = (pool.snapshot(cx.op, snapshot)?, pool.volume(cx.op, id)?);
            let Some(content) = &volume.content else {
                return Err(super::plan::not_ready(cx.op, &Source::Volume(id.clone())));
            };
            if there.writable {
                promise = promise.saturating_add(volume.size.saturating_sub(there.size));
            }
            cost = cost.saturating_add(content.cost_of_copy());
        }
        Ok((promise, cost))
    }

    fn set_group_stage(&mut self, cx: Context<'_>, id: &GroupSnapshotId, to: Stage) -> Result<()> {
        let pool = self.pool_mut(cx.op, cx.pool)?;
        let Some(group) = pool.groups.get_mut(id) else {
            return Err(super::state::missing(cx.op, id));
        };
        group.stage = to;
        for (snapshot, _) in &group.members {
            if let Some(member) = pool.snapshots.get_mut(snapshot) {
                member.stage = to;
            }
        }
        Ok(())
    }
}
