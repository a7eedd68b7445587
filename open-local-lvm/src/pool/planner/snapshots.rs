//! Plans for snapshots. Pure.

use open_local_core::{
    Bytes, Error, ErrorKind, Op, Result, SnapshotId, SnapshotSpec, Source, VolumeId,
};

use super::super::names;
use super::super::objects::Object;
use super::super::steps::Work;
use super::super::tags::{Kind, Label, State};
use super::super::tokens::token_of;
use super::draft::Facts;
use super::{Seen, busy, conflict, other_tags, thin};

/// The volume a snapshot is of, by name and by UUID.
fn volume_of(object: &Object) -> Option<(&VolumeId, Option<&str>)> {
    match &object.label.kind {
        Kind::Snapshot { of, of_uuid, .. } => Some((of, of_uuid.as_deref())),
        Kind::Volume { .. } => None,
    }
}

/// Whether a snapshot is of this very volume, and not of an earlier one of the name.
pub(in crate::pool) fn is_of(snapshot: &Object, volume: &Object) -> bool {
    let of = volume_of(snapshot).and_then(|(_, uuid)| uuid);
    of.is_none_or(|uuid| uuid == volume.uuid.to_plain())
}

/// The steps that make a snapshot exist; `None` if it does already.
pub(in crate::pool) fn ensure_snapshot(
    seen: &Seen<'_>,
    facts: &Facts,
    spec: &SnapshotSpec,
) -> Result<Option<Work>> {
    let op = Op::EnsureSnapshot;
    let key = Source::Snapshot(spec.id.clone());
    spec.validate()?;
    spec.refuse_unknown_parameters(&[])?;
    if let Some(object) = seen.find(op, &key)? {
        same_snapshot(&object, spec)?;
        let now = seen.look(op, &Source::Volume(spec.volume.clone()))?;
        if now.is_some_and(|volume| !is_of(&object, &volume)) {
            let why = format!("it is a snapshot of an earlier volume of the name {}", spec.volume);
            return Err(Error::new(ErrorKind::Conflict, op, &key, why)
                .with_remedy("choose another name for the snapshot"));
        }
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
            token: Some(token_of(&of)),
        },
        requested: Some(of.size),
        made: u64::try_from(facts.time).ok(),
        state: State::Ready,
        tags: spec.tags.clone(),
    };
    let name = names::snapshot_name(&seen.group().name, &spec.id);
    thin::snapshot(seen, facts, &key, &of, (name, label), spec.writable).map(Some)
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

/// The steps that give a volume the content of its snapshot.
pub(in crate::pool) fn roll_back(
    seen: &Seen<'_>,
    facts: &Facts,
    volume: &VolumeId,
    snapshot: &SnapshotId,
) -> Result<Work> {
    let op = Op::RollBack;
    let (key, of) = (Source::Volume(volume.clone()), Source::Snapshot(snapshot.clone()));
    let object = seen.usable(op, &key)?;
    let from = seen.usable(op, &of)?;
    let name = volume_of(&from).map(|(name, _)| name);
    if name != Some(volume) {
        let has = name.map_or("unknown", VolumeId::as_str);
        return Err(conflict(op, &of, "volume", has, volume.as_str())
            .with_remedy("name a snapshot of this volume"));
    }
    if !is_of(&from, &object) {
        return Err(conflict(op, &of, "volume", &format!("an earlier {volume}"), volume.as_str())
            .with_remedy("make a new volume from the snapshot"));
    }
    if from.size > object.size {
        let (has, wanted) = (object.size.to_string(), from.size.to_string());
        return Err(conflict(op, &key, "size", &has, &wanted)
            .with_remedy("grow the volume to the snapshot's size first"));
    }
    if let Some(device) = seen.device(&object) {
        let why = format!("it is published as {}", device.node.display());
        return Err(busy(op, &key, why, "unmount and unpublish it first"));
    }
    thin::roll_back(seen, facts, &key, &object, &from)
}
