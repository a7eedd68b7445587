//! Plans for volumes: making and growing them. Pure.

use super::removal::removal;
use super::{Facts, Seen, conflict, fill, other_tags, out_of_space, refuse_stray, usable};
use crate::error::{Error, ErrorKind, Op, Result};
use crate::file::record::{ObjectRecord, Stage};
use crate::file::room::Room;
use crate::file::steps::{Step, Target, Work};
use crate::spec::{Provisioning, Source, VolumeSource, VolumeSpec};
use crate::token::FormatToken;
use crate::units::Bytes;

/// Checks an existing volume against the specification.
fn same_volume(record: &ObjectRecord, spec: &VolumeSpec) -> Result<()> {
    let op = Op::EnsureVolume;
    let differs = |field, has: &dyn ToString, wanted: &dyn ToString| {
        Err(conflict(op, &record.key, field, &has.to_string(), &wanted.to_string()))
    };
    if !spec.size.accepts(record.requested, record.usable_size()) {
        return differs("size", &record.usable_size(), &spec.size.required());
    }
    if spec.provisioning.is_some_and(|wanted| wanted != record.provisioning) {
        let wanted = spec.provisioning.map_or("", Provisioning::as_str);
        return differs("provisioning", &record.provisioning, &wanted);
    }
    if spec.source != record.origin {
        let text =
            |s: &Option<VolumeSource>| s.as_ref().map_or("nothing".into(), |s| s.to_string());
        return differs("source", &text(&record.origin), &text(&spec.source));
    }
    if spec.tags != record.tags {
        return Err(other_tags(op, &record.key, &record.tags, &spec.tags));
    }
    Ok(())
}

/// Where the making of a volume starts.
struct Beginning {
    /// What has to go first.
    steps: Vec<Step>,
    /// The record of an earlier call that was cut.
    record: Option<ObjectRecord>,
    /// How much of the content that call made for good.
    start: Bytes,
}

/// Judges what is there already; `None` if it is all there.
fn begin(
    spec: &VolumeSpec,
    key: &Source,
    seen: &Seen,
    source: Option<&ObjectRecord>,
    facts: &Facts,
) -> Result<Option<Beginning>> {
    let op = Op::EnsureVolume;
    let mut beginning = Beginning { steps: Vec::new(), record: None, start: Bytes::ZERO };
    let Some(record) = &seen.record else {
        refuse_stray(op, key, seen)?;
        return Ok(Some(beginning));
    };
    if record.stage == Stage::Removing {
        beginning.steps = removal(key, seen);
        return Ok(Some(beginning));
    }
    same_volume(record, spec)?;
    let Stage::Filling { done } = record.stage else {
        usable(op, key, seen)?;
        return Ok(None);
    };
    // Only what can't have changed since is taken up where it stopped: another snapshot of the
    // same name is another content.
    let fixed = source.is_some_and(|s| !s.writable && record.made_from == Some(s.uuid));
    let whole = seen.image.is_some_and(|image| image.size == record.size);
    if fixed && !facts.reflink && !done.is_zero() && whole {
        beginning.start = done;
    } else if seen.image.is_some() {
        beginning.steps.push(Step::Drop(Target::Image(key.clone())));
    }
    beginning.record = Some(record.clone());
    Ok(Some(beginning))
}

/// The steps that make a volume exist; `None` if it does already.
pub(in crate::file) fn ensure_volume(
    spec: &VolumeSpec,
    size: Bytes,
    seen: &Seen,
    source: Option<(&Source, &Seen)>,
    room: &Room,
    facts: &Facts,
) -> Result<Option<Work>> {
    let op = Op::EnsureVolume;
    spec.refuse_unknown_parameters(&[])?;
    let key = Source::Volume(spec.id.clone());
    let recorded = source.and_then(|(_, seen)| seen.record.as_ref());
    let Some(beginning) = begin(spec, &key, seen, recorded, facts)? else {
        return Ok(None);
    };
    let source_record = source.map(|(key, seen)| usable(op, key, seen)).transpose()?;
    if let Some(of) = source_record.filter(|of| of.usable_size() > size) {
        let of = of.usable_size();
        let why = format!("the size {size} is smaller than its source's {of}");
        return Err(Error::new(ErrorKind::InvalidArgument, op, &key, why)
            .with_remedy("ask for at least the source's size"));
    }
    let record = match beginning.record {
        // Its size is promised already, and stays: the limit may allow others. What is taken over
        // from the source is that of now, as the content is.
        Some(record) => match source_record {
            Some(of) => inherit(record, of),
            None => record,
        },
        None => {
            let record = new_volume(spec, size, source_record, facts);
            let available = room.available(record.provisioning);
            if size > available {
                return Err(out_of_space(op, &key, size, available, room));
            }
            record
        }
    };
    let mut steps = beginning.steps;
    let promising = steps.len().saturating_add(1);
    let filling = record.with_stage(Stage::Filling { done: beginning.start });
    steps.push(Step::Record(Box::new(filling.clone())));
    steps.extend(making(&filling, beginning.start, source, facts)?);
    steps.push(Step::Record(Box::new(record.with_stage(Stage::Ready))));
    let undo = vec![Step::Drop(Target::Image(key.clone())), Step::Forget(key.clone())];
    Ok(Some(Work::new(op, &key, steps).promising(promising).undone_by(undo)))
}

/// The steps that make a volume's image, from `start` on.
fn making(
    record: &ObjectRecord,
    start: Bytes,
    source: Option<(&Source, &Seen)>,
    facts: &Facts,
) -> Result<Vec<Step>> {
    let target = Target::Image(record.key.clone());
    let thick = record.provisioning == Provisioning::Thick;
    let make = Step::Make { target: target.clone(), size: record.size, thick };
    let Some(from) = source else {
        return Ok(vec![make]);
    };
    let mut steps = Vec::new();
    if !facts.reflink && start.is_zero() {
        steps.push(make);
    }
    steps.extend(fill(Op::EnsureVolume, from, &target, Some(record), start, facts)?);
    if facts.reflink {
        steps.push(Step::Extend { target, size: record.size, thick });
    }
    Ok(steps)
}

/// What a volume has of its source beside the content.
fn inherit(record: ObjectRecord, source: &ObjectRecord) -> ObjectRecord {
    ObjectRecord {
        made_from: Some(source.uuid),
        block_size: source.block_size,
        token: source.token,
        ..record
    }
}

fn new_volume(
    spec: &VolumeSpec,
    size: Bytes,
    source: Option<&ObjectRecord>,
    facts: &Facts,
) -> ObjectRecord {
    let record = ObjectRecord {
        key: Source::Volume(spec.id.clone()),
        uuid: facts.uuid,
        size,
        requested: spec.size.required(),
        provisioning: spec.provisioning.unwrap_or(Provisioning::Thin),
        writable: true,
        origin: spec.source.clone(),
        made_from: None,
        created: facts.now,
        block_size: facts.block_size,
        tags: spec.tags.clone(),
        group: None,
        token: FormatToken::Unused,
        stage: Stage::Ready,
    };
    match source {
        Some(source) => inherit(record, source),
        None => record,
    }
}

/// The steps that make a volume larger; `None` if it is large enough.
pub(in crate::file) fn grow(
    key: &Source,
    size: Bytes,
    seen: &Seen,
    room: &Room,
) -> Result<Option<Work>> {
    let op = Op::GrowVolume;
    let record = usable(op, key, seen)?;
    let unfinished = matches!(record.stage, Stage::Growing { .. });
    if size <= record.usable_size() && !unfinished {
        return Ok(None);
    }
    let goal = if size > record.size { size } else { record.size };
    let from = record.usable_size();
    let extra = goal.saturating_sub(record.size);
    let available = room.available(record.provisioning);
    if extra > available {
        return Err(out_of_space(op, key, extra, available, room));
    }
    let growing = ObjectRecord { size: goal, ..record.with_stage(Stage::Growing { from }) };
    let thick = record.provisioning == Provisioning::Thick;
    let mut steps = vec![
        Step::Record(Box::new(growing.clone())),
        Step::Extend { target: Target::Image(key.clone()), size: goal, thick },
    ];
    steps.extend(seen.device.clone().map(Step::Resize));
    steps.push(Step::Record(Box::new(growing.with_stage(Stage::Ready))));
    let undo = undo_growth(key, record, seen);
    Ok(Some(Work::new(op, key, steps).promising(1).undone_by(undo)))
}

/// The steps that take a growth back; none once users of the device have seen the larger size.
pub(super) fn undo_growth(key: &Source, record: &ObjectRecord, seen: &Seen) -> Vec<Step> {
    let size = record.usable_size();
    if seen.device.as_ref().is_some_and(|device| device.size > size) {
        return Vec::new();
    }
    let old = ObjectRecord { size, ..record.with_stage(Stage::Ready) };
    let key = key.clone();
    // Only what this growth or its cut beginning added is taken back: an image that is larger than
    // its record says, as after the record was restored from an old copy, may hold data there.
    let now = seen.image.map_or(size, |image| image.size);
    let unfinished = matches!(record.stage, Stage::Growing { .. });
    let added = unfinished && now <= record.size;
    let size = if added { size } else { size.max(now) };
    vec![Step::Shrink { key, size }, Step::Record(Box::new(old))]
}
