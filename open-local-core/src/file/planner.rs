//! From what is observed and what is wanted to the steps in between. Pure.

use std::time::SystemTime;

use super::record::{ObjectRecord, Stage};
use super::room::Room;
use super::steps::{Step, Target, Work};
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{FileStat, LoopDevice};
use crate::info::Attachment;
use crate::spec::{Provisioning, PublishSpec, SnapshotSpec, Source, VolumeSource, VolumeSpec};
use crate::token::{FormatToken, Uuid};
use crate::units::Bytes;

/// Sizes are multiples of this: the block size of the usual host file systems.
pub(super) const GRANULARITY: Bytes = Bytes::new(4096);

/// What is seen of one object.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) record: Option<ObjectRecord>,
    pub(super) image: Option<FileStat>,
    pub(super) spare: bool,
    /// Its loop device, matched by tag, device and inode.
    pub(super) device: Option<LoopDevice>,
}

/// Facts of the pool that plans depend on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    /// Whether images can share blocks.
    pub(super) reflink: bool,
    /// The logical block size of new volumes.
    pub(super) block_size: Bytes,
    /// Whether file systems on published devices can be frozen.
    pub(super) can_freeze: bool,
    pub(super) now: SystemTime,
    pub(super) uuid: Uuid,
}

/// The key of a volume's source.
pub(super) fn source_key(source: &VolumeSource) -> Source {
    match source {
        VolumeSource::Snapshot(id) => Source::Snapshot(id.clone()),
        VolumeSource::Volume(id) => Source::Volume(id.clone()),
    }
}

/// The attachment a loop device stands for.
pub(super) fn attachment(key: &Source, device: &LoopDevice) -> Attachment {
    Attachment::new(key.clone(), &device.path, device.number, device.block_size)
        .with_read_only(device.read_only)
}

fn conflict(op: Op, key: &Source, field: &str, has: &str, wanted: &str) -> Error {
    Error::new(
        ErrorKind::Conflict,
        op,
        key,
        format!("its {field} is {has}, not {wanted}"),
    )
    .with_remedy("choose another name, or ask for what exists")
}

fn busy(op: Op, key: &Source, why: impl Into<String>, remedy: &str) -> Error {
    Error::new(ErrorKind::Busy, op, key, why).with_remedy(remedy)
}

fn damaged(op: Op, key: &Source, why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, op, key, why)
        .with_remedy("restore its image from a copy, or remove it and make it anew")
}

/// The object as it must be before it is used: recorded, ready, and with its whole image.
pub(super) fn usable<'a>(op: Op, key: &Source, seen: &'a Seen) -> Result<&'a ObjectRecord> {
    let record = seen.record.as_ref().ok_or_else(|| {
        Error::new(
            ErrorKind::NotFound,
            op,
            key,
            "there is none of this name in the pool",
        )
        .with_remedy("list what there is with: open-local volume list, open-local snapshot list")
    })?;
    match record.stage {
        Stage::Filling { done } => {
            return Err(busy(
                op,
                key,
                format!(
                    "its content is not complete: {done} of {} are copied",
                    record.size
                ),
                "repeat the call that makes it, or remove it",
            ));
        }
        Stage::Removing => {
            return Err(busy(
                op,
                key,
                "it is being removed",
                "repeat the call that removes it",
            ));
        }
        Stage::Ready | Stage::Growing { .. } => {}
    }
    match &seen.image {
        None => Err(damaged(op, key, "its image is missing")),
        Some(image) if image.size < record.usable_size() => Err(damaged(
            op,
            key,
            format!("its image has {} of {}", image.size, record.usable_size()),
        )),
        Some(_) => Ok(record),
    }
}

fn out_of_space(op: Op, key: &Source, wanted: Bytes, available: Bytes, room: &Room) -> Error {
    let why = if room.is_stopped() {
        format!(
            "{wanted} are wanted, but the pool is used up to its stop mark {}",
            room.stop_at
        )
    } else {
        format!("{wanted} are wanted and {available} can be promised")
    };
    Error::new(ErrorKind::OutOfSpace, op, key, why)
        .with_remedy("remove what is not needed, or raise the pool's capacity or overcommit ratio")
}

/// Holding a source still: nothing to do unless somebody may write to it now.
fn hold(op: Op, key: &Source, seen: &Seen, facts: &Facts) -> Result<(Vec<Step>, Vec<Step>)> {
    match &seen.device {
        Some(device) if !device.read_only => {
            if !facts.can_freeze {
                return Err(busy(
                    op,
                    key,
                    format!(
                        "it is published as {} and can't be frozen here",
                        device.path.display()
                    ),
                    "unpublish it first",
                ));
            }
            let held = Step::Hold(attachment(key, device));
            Ok((vec![held, Step::Flush(device.clone())], vec![Step::Release]))
        }
        _ => Ok((Vec::new(), Vec::new())),
    }
}

/// The steps that give a new image a source's content.
fn fill(
    op: Op,
    from: (&Source, &Seen),
    to: &Target,
    marks: Option<&ObjectRecord>,
    start: Bytes,
    facts: &Facts,
) -> Result<Vec<Step>> {
    let (mut steps, after) = hold(op, from.0, from.1, facts)?;
    if facts.reflink {
        steps.push(Step::Share {
            from: from.0.clone(),
            to: to.clone(),
        });
    } else {
        steps.push(Step::Copy {
            from: from.0.clone(),
            to: to.clone(),
            start,
            record: marks.cloned().map(Box::new),
        });
    }
    steps.extend(after);
    Ok(steps)
}

/// Checks an existing volume against the specification.
fn same_volume(record: &ObjectRecord, spec: &VolumeSpec) -> Result<()> {
    let op = Op::EnsureVolume;
    let differs = |field, has: &dyn ToString, wanted: &dyn ToString| {
        Err(conflict(
            op,
            &record.key,
            field,
            &has.to_string(),
            &wanted.to_string(),
        ))
    };
    if !spec.size.accepts(record.requested, record.usable_size()) {
        return differs("size", &record.usable_size(), &spec.size.required());
    }
    if spec
        .provisioning
        .is_some_and(|wanted| wanted != record.provisioning)
    {
        let wanted = spec.provisioning.map_or("", Provisioning::as_str);
        return differs("provisioning", &record.provisioning, &wanted);
    }
    if spec.source != record.origin {
        let text =
            |s: &Option<VolumeSource>| s.as_ref().map_or("nothing".into(), |s| s.to_string());
        return differs("source", &text(&record.origin), &text(&spec.source));
    }
    if spec.tags != record.tags {
        let text = |tags: &crate::spec::Tags| {
            let pairs: Vec<String> = tags.iter().map(|(k, v)| format!("{k}={v}")).collect();
            format!("[{}]", pairs.join(" "))
        };
        return differs("tags", &text(&record.tags), &text(&spec.tags));
    }
    Ok(())
}

/// The steps that make a volume exist; `None` if it does already.
pub(super) fn ensure_volume(
    spec: &VolumeSpec,
    size: Bytes,
    seen: &Seen,
    source: Option<(&Source, &Seen)>,
    room: &Room,
    facts: &Facts,
) -> Result<Option<Work>> {
    let op = Op::EnsureVolume;
    let key = Source::Volume(spec.id.clone());
    let mut steps = Vec::new();
    let mut start = Bytes::ZERO;
    let record = match &seen.record {
        Some(record) if record.stage == Stage::Removing => {
            steps.extend(removal(&key, seen));
            None
        }
        Some(record) => {
            same_volume(record, spec)?;
            match record.stage {
                Stage::Filling { done } => {
                    // Only what can't have changed since is taken up where it stopped.
                    let fixed = source
                        .and_then(|(_, s)| s.record.as_ref())
                        .is_some_and(|s| !s.writable);
                    if fixed && !facts.reflink && !done.is_zero() && seen.image.is_some() {
                        start = done;
                    } else if seen.image.is_some() {
                        steps.push(Step::Drop(Target::Image(key.clone())));
                    }
                    Some(record.clone())
                }
                _ => {
                    usable(op, &key, seen)?;
                    return Ok(None);
                }
            }
        }
        None => {
            refuse_stray(op, &key, seen)?;
            None
        }
    };
    let source_record = source
        .map(|(key, seen)| usable(op, key, seen))
        .transpose()?;
    if let Some(of) = source_record.filter(|of| of.usable_size() > size) {
        return Err(Error::new(
            ErrorKind::InvalidArgument,
            op,
            &key,
            format!(
                "the size {size} is smaller than its source's {}",
                of.usable_size()
            ),
        )
        .with_remedy("ask for at least the source's size"));
    }
    let known = record.is_some();
    let record = record.unwrap_or_else(|| new_volume(spec, size, source_record, facts));
    if !known {
        let available = room.available(record.provisioning);
        if size > available {
            return Err(out_of_space(op, &key, size, available, room));
        }
    }
    // A size recorded by the first call stays: the limit may allow others.
    let size = record.size;
    let image = Target::Image(key.clone());
    let thick = record.provisioning == Provisioning::Thick;
    let filling = record.with_stage(Stage::Filling { done: start });
    let promising = steps.len().saturating_add(1);
    steps.push(Step::Record(Box::new(filling.clone())));
    match source {
        None => steps.push(Step::Make {
            target: image.clone(),
            size,
            thick,
        }),
        Some(from) => {
            if !facts.reflink && start.is_zero() {
                steps.push(Step::Make {
                    target: image.clone(),
                    size,
                    thick,
                });
            }
            steps.extend(fill(op, from, &image, Some(&filling), start, facts)?);
            if facts.reflink {
                steps.push(Step::Extend {
                    target: image.clone(),
                    size,
                    thick,
                });
            }
        }
    }
    steps.push(Step::Record(Box::new(record.with_stage(Stage::Ready))));
    let undo = vec![Step::Drop(image), Step::Forget(key.clone())];
    Ok(Some(
        Work::new(op, &key, steps)
            .promising(promising)
            .undone_by(undo),
    ))
}

/// A file in the image's place without a record is somebody's: it is neither used nor removed.
fn refuse_stray(op: Op, key: &Source, seen: &Seen) -> Result<()> {
    if seen.image.is_none() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Refused,
        op,
        key,
        "a file without a record is in its image's place",
    )
    .with_remedy("look at the file and move it out of the pool's folder"))
}

fn new_volume(
    spec: &VolumeSpec,
    size: Bytes,
    source: Option<&ObjectRecord>,
    facts: &Facts,
) -> ObjectRecord {
    ObjectRecord {
        key: Source::Volume(spec.id.clone()),
        uuid: facts.uuid,
        size,
        requested: spec.size.required(),
        provisioning: spec.provisioning.unwrap_or(Provisioning::Thin),
        writable: true,
        origin: spec.source.clone(),
        created: facts.now,
        block_size: source.map_or(facts.block_size, |s| s.block_size),
        tags: spec.tags.clone(),
        token: source.map_or(FormatToken::Unused, |s| s.token),
        stage: Stage::Ready,
    }
}

/// The steps that make a volume larger; `None` if it is large enough.
pub(super) fn grow(key: &Source, size: Bytes, seen: &Seen, room: &Room) -> Result<Option<Work>> {
    let op = Op::GrowVolume;
    let record = usable(op, key, seen)?;
    let unfinished = matches!(record.stage, Stage::Growing { .. });
    if size <= record.usable_size() && !unfinished {
        return Ok(None);
    }
    let goal = if size > record.size {
        size
    } else {
        record.size
    };
    let from = record.usable_size();
    let extra = goal.saturating_sub(record.size);
    let available = room.available(record.provisioning);
    if extra > available {
        return Err(out_of_space(op, key, extra, available, room));
    }
    let growing = ObjectRecord {
        size: goal,
        ..record.with_stage(Stage::Growing { from })
    };
    let thick = record.provisioning == Provisioning::Thick;
    let mut steps = vec![
        Step::Record(Box::new(growing.clone())),
        Step::Extend {
            target: Target::Image(key.clone()),
            size: goal,
            thick,
        },
    ];
    let old = ObjectRecord {
        size: from,
        ..record.with_stage(Stage::Ready)
    };
    let mut undo = vec![
        Step::Shrink {
            key: key.clone(),
            size: from,
        },
        Step::Record(Box::new(old)),
    ];
    if let Some(device) = &seen.device {
        steps.push(Step::Resize(device.clone()));
        if device.size > from {
            // The larger size was seen by users of the device already: there is no way back.
            undo.clear();
        }
    }
    steps.push(Step::Record(Box::new(growing.with_stage(Stage::Ready))));
    Ok(Some(Work::new(op, key, steps).promising(1).undone_by(undo)))
}

/// The steps that attach an object; `None` if it is attached in this mode.
pub(super) fn publish(spec: &PublishSpec, seen: &Seen) -> Result<Option<Work>> {
    let op = Op::Publish;
    let key = &spec.source;
    let record = usable(op, key, seen)?;
    if !record.writable && !spec.read_only {
        return Err(conflict(op, key, "mode", "read-only", "read-write")
            .with_remedy("publish it read-only, or make a volume from it"));
    }
    match &seen.device {
        Some(device) if device.read_only != spec.read_only => {
            let mode = |read_only| if read_only { "read-only" } else { "read-write" };
            Err(conflict(
                op,
                key,
                "mode",
                mode(device.read_only),
                mode(spec.read_only),
            )
            .with_remedy("unpublish it first"))
        }
        Some(_) => Ok(None),
        None => {
            let attach = Step::Attach {
                record: Box::new(record.clone()),
                read_only: spec.read_only,
            };
            Ok(Some(Work::new(op, key, vec![attach])))
        }
    }
}

/// The steps that detach an object; `None` if it is not attached.
pub(super) fn unpublish(key: &Source, seen: &Seen) -> Option<Work> {
    let device = seen.device.clone()?;
    Some(Work::new(Op::Unpublish, key, vec![Step::Detach(device)]))
}

fn removal(key: &Source, seen: &Seen) -> Vec<Step> {
    let mut steps = Vec::new();
    if seen.spare {
        steps.push(Step::Drop(Target::Spare(key.clone())));
    }
    if seen.image.is_some() {
        steps.push(Step::Drop(Target::Image(key.clone())));
    }
    steps.push(Step::Forget(key.clone()));
    steps
}

/// The steps that remove an object; `None` if there is none.
pub(super) fn remove(op: Op, key: &Source, seen: &Seen) -> Result<Option<Work>> {
    let Some(record) = &seen.record else {
        return Ok(None);
    };
    if let Some(device) = &seen.device {
        return Err(busy(
            op,
            key,
            format!("it is published as {}", device.path.display()),
            "unpublish it first",
        ));
    }
    let mut steps = vec![Step::Record(Box::new(record.with_stage(Stage::Removing)))];
    if record.stage == Stage::Removing {
        steps.clear();
    }
    steps.extend(removal(key, seen));
    Ok(Some(Work::new(op, key, steps)))
}

/// The steps that make a snapshot exist; `None` if it does already.
pub(super) fn ensure_snapshot(
    spec: &SnapshotSpec,
    seen: &Seen,
    volume: &Seen,
    room: &Room,
    facts: &Facts,
) -> Result<Option<Work>> {
    let op = Op::EnsureSnapshot;
    let key = Source::Snapshot(spec.id.clone());
    let volume_key = Source::Volume(spec.volume.clone());
    let mut steps = Vec::new();
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
    let record = ObjectRecord {
        key: key.clone(),
        uuid: facts.uuid,
        size,
        requested: size,
        provisioning: Provisioning::Thin,
        writable: spec.writable,
        origin: Some(VolumeSource::Volume(spec.volume.clone())),
        created: facts.now,
        block_size: of.block_size,
        tags: spec.tags.clone(),
        token: of.token,
        stage: Stage::Filling { done: Bytes::ZERO },
    };
    let image = Target::Image(key.clone());
    if seen.record.is_none() {
        check_snapshot_room(&record, volume, room, facts)?;
    }
    let promising = steps.len().saturating_add(1);
    steps.push(Step::Record(Box::new(record.clone())));
    if !facts.reflink {
        steps.push(Step::Make {
            target: image.clone(),
            size,
            thick: false,
        });
    }
    // No progress is marked: the volume may change before a second try, which starts anew.
    steps.extend(fill(
        op,
        (&volume_key, volume),
        &image,
        None,
        Bytes::ZERO,
        facts,
    )?);
    steps.push(Step::Record(Box::new(record.with_stage(Stage::Ready))));
    let undo = vec![Step::Drop(image), Step::Forget(key.clone())];
    Ok(Some(
        Work::new(op, &key, steps)
            .promising(promising)
            .undone_by(undo),
    ))
}

fn same_snapshot(record: &ObjectRecord, spec: &SnapshotSpec) -> Result<()> {
    let op = Op::EnsureSnapshot;
    let wanted = VolumeSource::Volume(spec.volume.clone());
    if record.origin.as_ref() != Some(&wanted) {
        let has = record
            .origin
            .as_ref()
            .map_or("unknown".into(), ToString::to_string);
        return Err(conflict(
            op,
            &record.key,
            "volume",
            &has,
            &wanted.to_string(),
        ));
    }
    if record.writable != spec.writable {
        let mode = |writable| if writable { "writable" } else { "read-only" };
        return Err(conflict(
            op,
            &record.key,
            "mode",
            mode(record.writable),
            mode(spec.writable),
        ));
    }
    if record.tags != spec.tags {
        return Err(conflict(
            op,
            &record.key,
            "tags",
            "different",
            "those asked for",
        ));
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
        return Err(out_of_space(
            op,
            &record.key,
            copied,
            room.copy_available(),
            room,
        ));
    }
    let available = room.thin_available();
    if record.is_promised() && record.size > available {
        return Err(out_of_space(op, &record.key, record.size, available, room));
    }
    Ok(())
}

/// The steps that give a volume the content of its snapshot.
pub(super) fn roll_back(
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
        let has = from
            .origin
            .as_ref()
            .map_or("nothing".into(), ToString::to_string);
        return Err(conflict(op, snapshot_key, "volume", &has, &key.to_string())
            .with_remedy("name a snapshot of this volume"));
    }
    for (key, seen) in [(key, seen), (snapshot_key, snapshot)] {
        if let Some(device) = seen
            .device
            .as_ref()
            .filter(|d| !d.read_only || key == &record.key)
        {
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
        steps.push(Step::Make {
            target: spare.clone(),
            size: record.size,
            thick,
        });
    }
    steps.extend(fill(
        op,
        (snapshot_key, snapshot),
        &spare,
        None,
        Bytes::ZERO,
        facts,
    )?);
    if facts.reflink {
        steps.push(Step::Extend {
            target: spare.clone(),
            size: record.size,
            thick,
        });
    }
    // The token follows the content. Spent comes first: in between, formatting is refused.
    if record.token != from.token && record.token != FormatToken::Spent {
        steps.push(Step::Record(Box::new(
            record.with_token(FormatToken::Spent),
        )));
    }
    steps.push(Step::Swap(key.clone()));
    let ready = record.with_stage(Stage::Ready).with_token(from.token);
    if *record != ready {
        steps.push(Step::Record(Box::new(ready)));
    }
    Ok(Work::new(op, key, steps).undone_by(vec![Step::Drop(spare)]))
}

/// The steps that finish or undo what a killed call left and nobody may ever repeat.
pub(super) fn recover(key: &Source, seen: &Seen) -> Option<Work> {
    let record = seen.record.as_ref()?;
    let mut steps = Vec::new();
    if seen.spare {
        steps.push(Step::Drop(Target::Spare(key.clone())));
    }
    match record.stage {
        Stage::Removing => steps = removal(key, seen),
        Stage::Growing { .. } => {
            usable(Op::Recover, key, seen).ok()?;
            let thick = record.provisioning == Provisioning::Thick;
            let target = Target::Image(key.clone());
            steps.push(Step::Extend {
                target,
                size: record.size,
                thick,
            });
            steps.extend(seen.device.clone().map(Step::Resize));
            steps.push(Step::Record(Box::new(record.with_stage(Stage::Ready))));
        }
        Stage::Ready | Stage::Filling { .. } => {}
    }
    (!steps.is_empty()).then(|| Work::new(Op::Recover, key, steps))
}

/// The subject of a snapshot or volume key.
pub(super) fn subject(key: &Source) -> Subject {
    Subject::from(key)
}
