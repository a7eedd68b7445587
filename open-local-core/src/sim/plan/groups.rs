//! Changes of group snapshots.

use super::{View, conflict, not_ready, other_tags};
use crate::error::{Error, ErrorKind, Op, Result};
use crate::ids::{GroupSnapshotId, SnapshotId, VolumeId};
use crate::sim::groups::request;
use crate::sim::room;
use crate::sim::state::{GroupState, PoolState, SnapshotState, Stage};
use crate::sim::step::Step;
use crate::spec::{GroupSnapshotSpec, Source};

pub(super) fn ensure(view: View<'_>, spec: &GroupSnapshotSpec) -> Result<Vec<Step>> {
    let op = Op::EnsureGroupSnapshot;
    spec.validate()?;
    spec.refuse_unknown_parameters(&[])?;
    let id = &spec.id;
    let mut steps = Vec::new();
    match view.pool.groups.get(id) {
        Some(there) if there.stage == Stage::Erasing => steps = erase(view.pool, id, there),
        Some(there) => {
            same(there, spec)?;
            if there.stage == Stage::Making {
                if !is_filled(view.pool, there) {
                    refuse_unfit(view, spec)?;
                    steps.push(Step::FillGroup(id.clone()));
                }
                steps.push(Step::FinishGroup(id.clone()));
            }
            return Ok(steps);
        }
        None => {}
    }
    for (snapshot, _) in spec.sorted() {
        let Some(there) = view.pool.snapshots.get(&snapshot) else {
            continue;
        };
        if there.group.as_ref() != Some(id) {
            let has = there.group.as_ref().map_or("none".to_owned(), ToString::to_string);
            return Err(conflict(op, &snapshot, "group", has, id));
        }
    }
    refuse_unfit(view, spec)?;
    // What is still being erased leaves its room first; the first step asks again.
    if steps.is_empty() {
        room::admit(view.world, view.pool, request(view.pool, op, spec)?, op, id)?;
    }
    steps.push(Step::RecordGroup(spec.clone()));
    steps.push(Step::FillGroup(id.clone()));
    steps.push(Step::FinishGroup(id.clone()));
    Ok(steps)
}

/// Refuses unless each volume is there and whole.
fn refuse_unfit(view: View<'_>, spec: &GroupSnapshotSpec) -> Result<()> {
    for (_, id) in spec.sorted() {
        let volume = view.pool.volume(Op::EnsureGroupSnapshot, &id)?;
        if volume.stage != Stage::Ready || volume.rolling_back.is_some() {
            return Err(not_ready(Op::EnsureGroupSnapshot, &Source::Volume(id)));
        }
    }
    Ok(())
}

fn same(there: &GroupState, spec: &GroupSnapshotSpec) -> Result<()> {
    let op = Op::EnsureGroupSnapshot;
    let wanted = spec.sorted();
    if there.members != wanted {
        let words = |members: &[(SnapshotId, VolumeId)]| {
            let words: Vec<String> = members.iter().map(|(s, v)| format!("{s} of {v}")).collect();
            words.join(", ")
        };
        return Err(conflict(op, &spec.id, "members", words(&there.members), words(&wanted)));
    }
    if there.writable != spec.writable {
        return Err(conflict(op, &spec.id, "writable", there.writable, spec.writable));
    }
    if there.tags != spec.tags {
        return Err(other_tags(op, &spec.id, &there.tags, &spec.tags));
    }
    Ok(())
}

pub(super) fn remove(view: View<'_>, id: &GroupSnapshotId) -> Result<Vec<Step>> {
    let op = Op::RemoveGroupSnapshot;
    let Some(group) = view.pool.groups.get(id) else {
        return Ok(Vec::new());
    };
    for (snapshot, _) in &group.members {
        let source = Source::Snapshot(snapshot.clone());
        view.refuse_published(op, &source)?;
        view.refuse_copied_from(op, &source)?;
    }
    Ok(erase(view.pool, id, group))
}

/// The steps that finish a removal, however far it is.
fn erase(pool: &PoolState, id: &GroupSnapshotId, group: &GroupState) -> Vec<Step> {
    let mut steps = Vec::new();
    if group.stage != Stage::Erasing {
        steps.push(Step::MarkGroupErasing(id.clone()));
    }
    for (snapshot, _) in &group.members {
        let holds = |s: &SnapshotState| s.content.is_some();
        if pool.snapshots.get(snapshot).is_some_and(holds) {
            steps.push(Step::DropBlocks(Source::Snapshot(snapshot.clone())));
        }
    }
    steps.push(Step::ForgetGroup(id.clone()));
    steps
}

fn is_filled(pool: &PoolState, group: &GroupState) -> bool {
    let mut members = group.members.iter();
    members.all(|(id, _)| pool.snapshots.get(id).is_some_and(|s| s.content.is_some()))
}

/// The steps that finish or undo what an interrupted call left of a group.
pub(super) fn recover(pool: &PoolState, id: &GroupSnapshotId, group: &GroupState) -> Vec<Step> {
    match group.stage {
        Stage::Ready => Vec::new(),
        Stage::Making if is_filled(pool, group) => vec![Step::FinishGroup(id.clone())],
        // Its moment has passed.
        Stage::Making => vec![Step::ForgetGroup(id.clone())],
        Stage::Erasing => erase(pool, id, group),
    }
}

/// Groups that were recorded but never taken and want this volume: they have nothing to outlive it
/// with.
pub(super) fn forget_untaken(pool: &PoolState, volume: &VolumeId) -> Vec<Step> {
    let waits = |group: &GroupState| {
        group.stage == Stage::Making
            && !is_filled(pool, group)
            && group.members.iter().any(|(_, of)| of == volume)
    };
    let groups = pool.groups.iter().filter(|(_, group)| waits(group));
    groups.map(|(id, _)| Step::ForgetGroup(id.clone())).collect()
}

/// Refuses what may be done to a group only as a whole.
pub(super) fn refuse_member(op: Op, id: &SnapshotId, there: &SnapshotState) -> Result<()> {
    let Some(group) = &there.group else {
        return Ok(());
    };
    let message = format!("it is a member of group snapshot {group}");
    Err(Error::new(ErrorKind::Busy, op, id, message)
        .with_remedy("remove that group snapshot, or repeat the call that makes it"))
}
