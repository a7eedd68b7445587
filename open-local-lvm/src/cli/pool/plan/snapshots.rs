//! Plans for snapshots of thin volumes. Pure.

use open_local_core::{Bytes, Op, Result, SnapshotId, SnapshotSpec, Source, VolumeId};

use super::super::CliPool;
use super::super::execute::{Step, Work};
use super::super::look::{Object, Seen};
use super::{ready, relabel};
use crate::cli::{Order, SnapshotRoom};
use crate::plan::{Growth, Size};
use crate::pool::names;
use crate::pool::planner::{busy, conflict, other_tags};
use crate::pool::tags::{Kind, Label, State};

/// The volume a snapshot is of, by name and by UUID.
fn volume_of(object: &Object) -> Option<(&VolumeId, Option<&str>)> {
    match &object.label.kind {
        Kind::Snapshot { of, of_uuid, .. } => Some((of, of_uuid.as_deref())),
        Kind::Volume { .. } => None,
    }
}

/// The steps that make a snapshot exist; `None` if it does already.
pub(in crate::cli::pool) fn ensure_snapshot(
    pool: &CliPool,
    seen: &Seen,
    spec: &SnapshotSpec,
) -> Result<Option<Work>> {
    let (op, key) = (Op::EnsureSnapshot, Source::Snapshot(spec.id.clone()));
    spec.validate()?;
    spec.refuse_unknown_parameters(&[])?;
    if let Some(object) = seen.find(op, &key)? {
        same_snapshot(object, spec)?;
        return Ok(None);
    }
    let of = seen.usable(op, &Source::Volume(spec.volume.clone()))?;
    let promised = if spec.writable { of.size } else { Bytes::ZERO };
    seen.room.require(op, &key, promised)?;
    let label = Label {
        kind: Kind::Snapshot {
            id: spec.id.clone(),
            of: spec.volume.clone(),
            of_uuid: Some(of.uuid.to_plain()),
            token: Some(of.token()),
        },
        requested: Some(of.size),
        made: pool.now(),
        state: State::Ready,
        tags: spec.tags.clone(),
    };
    let group = &seen.group.name;
    let name = names::snapshot_name(group, &spec.id);
    let tags = label.write();
    let room = SnapshotRoom::Shared;
    let order = Order::create_snapshot(group, &of.name, &name, room, &tags, !spec.writable)?;
    Ok(Some(Work::run(op, &key, order.activated_by_name())))
}

fn same_snapshot(object: &Object, spec: &SnapshotSpec) -> Result<()> {
    let (op, key) = (Op::EnsureSnapshot, Source::Snapshot(spec.id.clone()));
    if let Some((of, _)) = volume_of(object).filter(|(of, _)| **of != spec.volume) {
        return Err(conflict(op, &key, "volume", of.as_str(), spec.volume.as_str()));
    }
    if object.writable != spec.writable {
        let mode = |writable| if writable { "writable" } else { "read-only" };
        return Err(conflict(op, &key, "mode", mode(object.writable), mode(spec.writable)));
    }
    if object.label.tags != spec.tags {
        return Err(other_tags(op, &key, &object.label.tags, &spec.tags));
    }
    Ok(())
}

/// The steps that give a volume the content of its snapshot, and with it its token.
///
/// A snapshot of the snapshot is made, and takes the place of the volume once it is whole. It has
/// another UUID in the group, so snapshots of the volume are no longer told by the old one.
pub(in crate::cli::pool) fn roll_back(
    seen: &Seen,
    volume: &VolumeId,
    snapshot: &SnapshotId,
) -> Result<Work> {
    let (op, group) = (Op::RollBack, &seen.group.name);
    let (key, of) = (Source::Volume(volume.clone()), Source::Snapshot(snapshot.clone()));
    let (object, from) = (seen.usable(op, &key)?, seen.usable(op, &of)?);
    let (name, uuid) = volume_of(from).unzip();
    if name != Some(volume) {
        let has = name.map_or("unknown", VolumeId::as_str);
        return Err(conflict(op, &of, "volume", has, volume.as_str())
            .with_remedy("name a snapshot of this volume"));
    }
    if uuid.flatten().is_some_and(|uuid| uuid != object.uuid.to_plain()) {
        return Err(conflict(op, &of, "volume", &format!("an earlier {volume}"), volume.as_str())
            .with_remedy("make a new volume from the snapshot"));
    }
    if let Some(device) = &object.device {
        let why = format!("it is published as {}", device.node.display());
        return Err(busy(op, &key, why, "unmount and unpublish it first"));
    }
    let mut whole = object.label.clone();
    if let Kind::Volume { id, token, .. } = &mut whole.kind {
        (*id, *token) = (Some(volume.clone()), Some(from.token()));
    }
    let making = Label { state: State::Filling(Bytes::ZERO), ..whole.clone() };
    let next = names::rolling_name(&object.name);
    let (room, tags) = (SnapshotRoom::Shared, making.write());
    let make = Order::create_snapshot(group, &from.name, &next, room, &tags, false)?;
    let mut steps = vec![Step::Run(make.activated_by_name())];
    if from.size < object.size {
        let growth = Growth::new(&next, Size::AtLeast(object.size));
        steps.push(Step::Run(Order::extend_volume(group, &growth, &[])?));
    }
    for other in &seen.objects {
        let mut label = other.label.clone();
        let is_of = volume_of(other).is_some_and(|(of, _)| of == volume);
        if let (true, Kind::Snapshot { of_uuid, .. }) = (is_of, &mut label.kind) {
            of_uuid.take_if(|uuid| *uuid == object.uuid.to_plain());
        }
        steps.extend(relabel(group, other, &label)?.map(Step::Run));
    }
    steps.push(ready(group, &next, &making, &whole)?);
    steps.push(Step::Run(Order::remove_volume(group, &object.name)?));
    steps.push(Step::Run(Order::rename_volume(group, &next, &object.name)?));
    Ok(Work::new(op, &key, steps))
}
