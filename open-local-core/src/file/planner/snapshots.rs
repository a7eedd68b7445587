//! Plans for snapshots: taking them and going back to them. Pure.

use super::removal::{of_group, removal};
use super::{
    Facts, Seen, busy, conflict, fill, other_tags, out_of_space, refuse_other, refuse_stray,
    source_key, usable,
};
use crate::error::{Op, Result};
use crate::file::record::{ObjectRecord, Stage};
use crate::file::room::Room;
use crate::file::steps::{Step, Target, Work};
use crate::spec::{Provisioning, SnapshotSpec, Source, VolumeSource};
use crate::token::FormatToken;
use crate::units::Bytes;

/// The steps that make a snapshot exist; `None` if it does already.
pub(in crate::file) fn ensure_snapshot(
    spec: &SnapshotSpec,
    seen: &Seen,
    volume: &Seen,
    room: &Room,
    facts: &Facts,
) -> Result<Option<Work>> {
    let op = Op::EnsureSnapshot;
    spec.refuse_unknown_parameters(&[])?;
    let key = Source::Snapshot(spec.id.clone());
    let volume_key = Source::Volume(spec.volume.clone());
    let mut steps = Vec::new();
    let member = seen.record.as_ref().filter(|record| seen.grouped && record.stage != Stage::Ready);
    // What becomes of a member is decided by its group alone.
    if let Some(group) = member.and_then(|record| record.group.as_ref()) {
        return Err(of_group(op, &key, group));
    }
    match &seen.record {
        Some(record) if record.stage == Stage::Removing => steps.extend(removal(&key, seen)),
        Some(record) => {
            same_snapshot(record, spec)?;
            if !matches!(record.stage, Stage::Filling { .. }) {
                usable(op, &key, seen)?;
                return Ok(None);
            }
            if seen.image.is_some() {
                steps.push(Step::Drop(Target::Image(key.clone())));
            }
        }
        None => refuse_stray(op, &key, seen)?,
    }
    let of = usable(op, &volume_key, volume)?;
    let size = of.usable_size();
    let record = new_snapshot(spec, of, facts);
    let image = Target::Image(key.clone());
    if seen.record.is_none() {
        check_snapshot_room(&record, volume, room, facts)?;
    }
    let promising = steps.len().saturating_add(1);
    steps.push(Step::Record(Box::new(record.clone())));
    if !facts.reflink {
        steps.push(Step::Make { target: image.clone(), size, thick: false });
    }
    // No progress is marked: the volume may change before a second try, which starts anew.
    steps.extend(fill(op, (&volume_key, volume), &image, None, Bytes::ZERO, facts)?);
    steps.push(Step::Record(Box::new(record.with_stage(Stage::Ready))));
    let undo = vec![Step::Drop(image), Step::Forget(key.clone())];
    Ok(Some(Work::new(op, &key, steps).promising(promising).undone_by(undo)))
}

/// The record of a snapshot that is being taken of this volume.
pub(super) fn new_snapshot(spec: &SnapshotSpec, of: &ObjectRecord, facts: &Facts) -> ObjectRecord {
    let size = of.usable_size();
    ObjectRecord {
        key: Source::Snapshot(spec.id.clone()),
        uuid: facts.uuid,
        size,
        requested: size,
        provisioning: Provisioning::Thin,
        writable: spec.writable,
        origin: Some(VolumeSource::Volume(spec.volume.clone())),
        made_from: Some(of.uuid),
        created: facts.now,
        block_size: of.block_size,
        tags: spec.tags.clone(),
        group: None,
        token: of.token,
        stage: Stage::Filling { done: Bytes::ZERO },
    }
}

fn same_snapshot(record: &ObjectRecord, spec: &SnapshotSpec) -> Result<()> {
    let op = Op::EnsureSnapshot;
    let wanted = VolumeSource::Volume(spec.volume.clone());
    if record.origin.as_ref() != Some(&wanted) {
        let has = record.origin.as_ref().map_or("unknown".into(), ToString::to_string);
        return Err(conflict(op, &record.key, "volume", &has, &wanted.to_string()));
    }
    if record.writable != spec.writable {
        let mode = |writable| if writable { "writable" } else { "read-only" };
        return Err(conflict(op, &record.key, "mode", mode(record.writable), mode(spec.writable)));
    }
    if record.tags != spec.tags {
        return Err(other_tags(op, &record.key, &record.tags, &spec.tags));
    }
    Ok(())
}

fn check_snapshot_room(
    record: &ObjectRecord,
    volume: &Seen,
    room: &Room,
    facts: &Facts,
) -> Result<()> {
    let op = Op::EnsureSnapshot;
    let taken = volume.image.map_or(Bytes::ZERO, |image| image.allocated);
    let copied = if facts.reflink { Bytes::ZERO } else { taken };
    if room.is_stopped() || copied > room.copy_available() {
        return Err(out_of_space(op, &record.key, copied, room.copy_available(), room));
    }
    let available = room.thin_available();
    if record.is_promised() && record.size > available {
        return Err(out_of_space(op, &record.key, record.size, available, room));
    }
    Ok(())
}

/// Whether a snapshot is one of this very volume, and fits into it.
fn same_content(
    key: &Source,
    record: &ObjectRecord,
    snapshot_key: &Source,
    from: &ObjectRecord,
) -> Result<()> {
    let op = Op::RollBack;
    if from.made_from.is_some_and(|uuid| uuid != record.uuid) {
        let earlier = format!("an earlier {key}");
        return Err(conflict(op, snapshot_key, "volume", &earlier, &key.to_string())
            .with_remedy("make a new volume from the snapshot"));
    }
    let size = from.usable_size();
    if size > record.size {
        let has = record.size.to_string();
        return Err(conflict(op, key, "size", &has, &size.to_string())
            .with_remedy("grow the volume to the snapshot's size first"));
    }
    Ok(())
}

/// The steps that give a volume the content of its snapshot.
pub(in crate::file) fn roll_back(
    key: &Source,
    seen: &Seen,
    snapshot_key: &Source,
    snapshot: &Seen,
    room: &Room,
    facts: &Facts,
) -> Result<Work> {
    let op = Op::RollBack;
    let record = usable(op, key, seen)?;
    let from = usable(op, snapshot_key, snapshot)?;
    if from.origin.as_ref().map(source_key).as_ref() != Some(key) {
        let has = from.origin.as_ref().map_or("nothing".into(), ToString::to_string);
        return Err(conflict(op, snapshot_key, "volume", &has, &key.to_string())
            .with_remedy("name a snapshot of this volume"));
    }
    same_content(key, record, snapshot_key, from)?;
    refuse_other(op, key, seen)?;
    for (key, seen) in [(key, seen), (snapshot_key, snapshot)] {
        if let Some(device) = seen.device.as_ref().filter(|d| !d.read_only || key == &record.key) {
            return Err(busy(
                op,
                key,
                format!("it is published as {}", device.path.display()),
                "unmount and unpublish it first",
            ));
        }
    }
    let taken = snapshot.image.map_or(Bytes::ZERO, |image| image.allocated);
    if !facts.reflink && taken > room.copy_available() {
        return Err(out_of_space(op, key, taken, room.copy_available(), room));
    }
    let spare = Target::Spare(key.clone());
    let thick = record.provisioning == Provisioning::Thick;
    let mut steps = Vec::new();
    if seen.spare {
        steps.push(Step::Drop(spare.clone()));
    }
    if !facts.reflink {
        steps.push(Step::Make { target: spare.clone(), size: record.size, thick });
    }
    steps.extend(fill(op, (snapshot_key, snapshot), &spare, None, Bytes::ZERO, facts)?);
    if facts.reflink {
        steps.push(Step::Extend { target: spare.clone(), size: record.size, thick });
    }
    // The token follows the content. Spent comes first: in between, formatting is refused.
    if record.token != from.token && record.token != FormatToken::Spent {
        steps.push(Step::Record(Box::new(record.with_token(FormatToken::Spent))));
    }
    steps.push(Step::Swap(key.clone()));
    let ready = record.with_stage(Stage::Ready).with_token(from.token);
    if *record != ready {
        steps.push(Step::Record(Box::new(ready)));
    }
    Ok(Work::new(op, key, steps).undone_by(vec![Step::Drop(spare)]))
}
