//! What is there, as the traits describe it.

use super::room;
use super::state::{GroupState, PoolState, SnapshotState, Stage, VolumeState, World};
use crate::error::{Op, Result};
use crate::ids::{GroupSnapshotId, PoolId, SnapshotId, VolumeId};
use crate::info::{
    Attachment, GroupSnapshotInfo, Health, Phase, PoolInfo, SnapshotInfo, VolumeInfo,
};
use crate::spec::{Provisioning, Source};
use crate::units::Ratio;

/// The backend's registered name.
pub(super) const NAME: &str = "sim";

fn phase(stage: Stage, has_content: bool) -> Phase {
    let half = |whole| if whole { Ratio::ONE } else { Ratio::ZERO };
    match stage {
        Stage::Ready => Phase::Ready,
        Stage::Making => Phase::Filling(half(has_content)),
        Stage::Erasing => Phase::Erasing(half(!has_content)),
    }
}

fn attachment(world: &World, pool: &PoolState, source: Source) -> Option<Attachment> {
    let device = world.device_of(&pool.spec.id, &source)?;
    Some(device.attachment.clone())
}

pub(super) fn pool(world: &World, op: Op, id: &PoolId) -> Result<PoolInfo> {
    let pool = world.pool(op, id)?;
    let capacity = room::capacity(world, pool);
    let mut info = PoolInfo::new(NAME, pool.spec.clone(), capacity);
    if pool.stage != Stage::Ready {
        info.health = Health::Degraded(
            "its making or removal was interrupted; repeat that call or open the pool".into(),
        );
    } else if room::is_stopped(world, pool) {
        info.health = Health::Degraded(format!(
            "{} of {} is taken and nothing new is granted; remove something",
            capacity.used, capacity.total
        ));
    }
    info.details.insert("disk".into(), format!("{} in memory", world.disk));
    Ok(info)
}

pub(super) fn volume(world: &World, op: Op, pool: &PoolId, id: &VolumeId) -> Result<VolumeInfo> {
    let pool = world.pool(op, pool)?;
    Ok(volume_info(world, pool, id, pool.volume(op, id)?))
}

pub(super) fn volumes(world: &World, op: Op, pool: &PoolId) -> Result<Vec<VolumeInfo>> {
    let pool = world.pool(op, pool)?;
    let all = pool.volumes.iter();
    Ok(all.map(|(id, v)| volume_info(world, pool, id, v)).collect())
}

fn volume_info(world: &World, pool: &PoolState, id: &VolumeId, v: &VolumeState) -> VolumeInfo {
    let mut info = VolumeInfo::new(id.clone(), v.size, v.provisioning);
    info.requested = v.requested;
    info.allocated = Some(match v.provisioning {
        Provisioning::Thick => v.promised,
        Provisioning::Thin => v.content.as_ref().map_or(crate::Bytes::ZERO, |c| c.allocated()),
    });
    info.source.clone_from(&v.source);
    info.tags.clone_from(&v.tags);
    info.phase = match v.rolling_back {
        // Between the two halves of a roll back nobody may rely on the content.
        Some(_) if v.stage == Stage::Ready => Phase::Filling(Ratio::ZERO),
        _ => phase(v.stage, v.content.is_some()),
    };
    info.attachment = attachment(world, pool, id.clone().into());
    info
}

pub(super) fn snapshot(
    world: &World,
    op: Op,
    pool: &PoolId,
    id: &SnapshotId,
) -> Result<SnapshotInfo> {
    let pool = world.pool(op, pool)?;
    Ok(snapshot_info(world, pool, id, pool.snapshot(op, id)?))
}

pub(super) fn snapshots(
    world: &World,
    op: Op,
    pool: &PoolId,
    of: Option<&VolumeId>,
) -> Result<Vec<SnapshotInfo>> {
    let pool = world.pool(op, pool)?;
    let all = pool.snapshots.iter();
    Ok(all
        .filter(|(_, s)| of.is_none_or(|volume| s.volume == *volume))
        .map(|(id, s)| snapshot_info(world, pool, id, s))
        .collect())
}

fn snapshot_info(
    world: &World,
    pool: &PoolState,
    id: &SnapshotId,
    s: &SnapshotState,
) -> SnapshotInfo {
    let mut info = SnapshotInfo::new(id.clone(), s.volume.clone(), s.size, s.created);
    info.writable = s.writable;
    info.allocated = s.content.as_ref().map(|c| c.allocated());
    info.tags.clone_from(&s.tags);
    info.group.clone_from(&s.group);
    info.phase = phase(s.stage, s.content.is_some());
    info.attachment = attachment(world, pool, id.clone().into());
    info
}

pub(super) fn group(
    world: &World,
    op: Op,
    pool: &PoolId,
    id: &GroupSnapshotId,
) -> Result<GroupSnapshotInfo> {
    let pool = world.pool(op, pool)?;
    Ok(group_info(world, pool, id, pool.group(op, id)?))
}

pub(super) fn groups(world: &World, op: Op, pool: &PoolId) -> Result<Vec<GroupSnapshotInfo>> {
    let pool = world.pool(op, pool)?;
    Ok(pool.groups.iter().map(|(id, g)| group_info(world, pool, id, g)).collect())
}

fn group_info(
    world: &World,
    pool: &PoolState,
    id: &GroupSnapshotId,
    g: &GroupState,
) -> GroupSnapshotInfo {
    let mut info = GroupSnapshotInfo::new(id.clone(), g.created);
    let members = g.members.iter();
    info.members = members
        .filter_map(|(id, _)| Some(snapshot_info(world, pool, id, pool.snapshots.get(id)?)))
        .collect();
    info.writable = g.writable;
    info.tags.clone_from(&g.tags);
    let filled = info.members.iter().any(|member| member.allocated.is_some());
    info.phase = phase(g.stage, filled);
    info
}
