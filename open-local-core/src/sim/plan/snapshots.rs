//! Changes of snapshots.

use super::groups::refuse_member;
use super::{View, conflict, erase, not_ready, other_tags};
use crate::error::{Error, ErrorKind, Op, Result};
use crate::ids::{SnapshotId, VolumeId};
use crate::sim::apply::snapshot_request;
use crate::sim::content::Content;
use crate::sim::room;
use crate::sim::state::{SnapshotState, Stage};
use crate::sim::step::Step;
use crate::spec::{SnapshotSpec, Source};
use crate::units::Bytes;

pub(super) fn ensure(view: View<'_>, spec: &SnapshotSpec) -> Result<Vec<Step>> {
    let op = Op::EnsureSnapshot;
    spec.validate()?;
    spec.refuse_unknown_parameters(&[])?;
    let this = Source::Snapshot(spec.id.clone());
    let mut steps = Vec::new();
    match view.pool.snapshots.get(&spec.id) {
        // What becomes of a member is decided by its group alone.
        Some(there) if there.group.is_some() && there.stage != Stage::Ready => {
            refuse_member(op, &spec.id, there)?;
        }
        Some(there) if there.stage == Stage::Erasing => {
            steps = erase(view.pool, &this, there.stage);
        }
        Some(there) => {
            same(there, spec)?;
            if there.stage == Stage::Making {
                if there.content.is_none() {
                    source_size(view, spec)?;
                    steps.push(Step::Fill(this.clone()));
                }
                steps.push(Step::Finish(this));
            }
            return Ok(steps);
        }
        None => {}
    }
    let (size, cost) = source_size(view, spec)?;
    // What is still being erased leaves its room first; the first step asks again.
    if steps.is_empty() {
        let request = snapshot_request(spec, size, cost);
        room::admit(view.world, view.pool, request, op, &spec.id)?;
    }
    steps.push(Step::RecordSnapshot { spec: spec.clone(), size });
    steps.push(Step::Fill(this.clone()));
    steps.push(Step::Finish(this));
    Ok(steps)
}

/// The size of the volume a snapshot is taken of, and the room its blocks need.
fn source_size(view: View<'_>, spec: &SnapshotSpec) -> Result<(Bytes, Bytes)> {
    let volume = view.pool.volume(Op::EnsureSnapshot, &spec.volume)?;
    if volume.stage != Stage::Ready || volume.rolling_back.is_some() {
        let source = Source::Volume(spec.volume.clone());
        return Err(not_ready(Op::EnsureSnapshot, &source));
    }
    let cost = volume.content.as_ref().map_or(Bytes::ZERO, Content::cost_of_copy);
    Ok((volume.size, cost))
}

fn same(there: &SnapshotState, spec: &SnapshotSpec) -> Result<()> {
    let op = Op::EnsureSnapshot;
    if there.volume != spec.volume {
        return Err(conflict(op, &spec.id, "volume", &there.volume, &spec.volume));
    }
    if there.writable != spec.writable {
        let (a, b) = (there.writable, spec.writable);
        return Err(conflict(op, &spec.id, "writable", a, b));
    }
    if there.tags != spec.tags {
        return Err(other_tags(op, &spec.id, &there.tags, &spec.tags));
    }
    Ok(())
}

pub(super) fn roll_back(
    view: View<'_>,
    volume: &VolumeId,
    snapshot: &SnapshotId,
) -> Result<Vec<Step>> {
    let op = Op::RollBack;
    let to = view.pool.volume(op, volume)?;
    let from = view.pool.snapshot(op, snapshot)?;
    let this = Source::Volume(volume.clone());
    if from.volume != *volume {
        return Err(Error::new(
            ErrorKind::Conflict,
            op,
            volume,
            format!("snapshot {snapshot} is of another volume: {}", from.volume),
        )
        .with_remedy("name a snapshot of this volume, or make a volume from that snapshot"));
    }
    if from.size > to.size {
        // The snapshot is of an earlier volume of this name.
        return Err(Error::new(
            ErrorKind::Conflict,
            op,
            volume,
            format!(
                "snapshot {snapshot} has another size: {}, more than the volume's {}",
                from.size, to.size
            ),
        )
        .with_remedy("grow the volume first, or make a volume from that snapshot"));
    }
    if to.stage != Stage::Ready {
        return Err(not_ready(op, &this));
    }
    if from.stage != Stage::Ready {
        return Err(not_ready(op, &Source::Snapshot(snapshot.clone())));
    }
    view.refuse_published(op, &this)?;
    view.refuse_copied_from(op, &this)?;
    Ok(vec![
        Step::IntendRollBack(volume.clone(), snapshot.clone()),
        Step::ReplaceBlocks(volume.clone(), snapshot.clone()),
        Step::FinishRollBack(volume.clone()),
    ])
}

pub(super) fn remove(view: View<'_>, id: &SnapshotId) -> Result<Vec<Step>> {
    let op = Op::RemoveSnapshot;
    let Some(snapshot) = view.pool.snapshots.get(id) else {
        return Ok(Vec::new());
    };
    refuse_member(op, id, snapshot)?;
    let this = Source::Snapshot(id.clone());
    view.refuse_published(op, &this)?;
    view.refuse_copied_from(op, &this)?;
    Ok(erase(view.pool, &this, snapshot.stage))
}
