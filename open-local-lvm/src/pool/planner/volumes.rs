//! Plans for volumes: making and growing them. Pure.

use std::sync::Arc;

use open_local_core::{
    Bytes, Error, ErrorKind, FormatToken, Op, Provisioning, Result, Source, VolumeSource,
    VolumeSpec,
};

use super::super::names;
use super::super::objects::Object;
use super::super::orders::Mode;
use super::super::steps::{Step, Work};
use super::super::tags::{Kind, Label, State};
use super::draft::{Draft, Facts};
use super::{Seen, conflict, other_tags};
use crate::plan::{Growth, NewVolume, Operation, Size};

/// So much of both ends of a new volume is zeroed: all places where the usual file systems, raids,
/// swap areas and volume managers leave their marks lie there (the last ones are the labels of
/// ZFS, two of 256 KiB at each end).
const ENDS: u64 = 512 << 10;

/// What is zeroed in one step where all of a volume is.
const PIECE: u64 = 1 << 30;

/// The parameters of a volume.
const PARAMETERS: [&str; 2] = ["stripes", "stripe-size"];

/// Where the first content of a volume of ours came from.
fn source_of(object: &Object) -> Option<&VolumeSource> {
    match &object.label.kind {
        Kind::Volume { source, .. } => source.as_ref(),
        Kind::Snapshot { .. } => None,
    }
}

/// How volumes of a pool take room.
pub(in crate::pool) const fn provisioning(mode: &Mode) -> Provisioning {
    match mode {
        Mode::Thick => Provisioning::Thick,
        Mode::Thin { .. } => Provisioning::Thin,
    }
}

fn same_volume(seen: &Seen<'_>, object: &Object, spec: &VolumeSpec) -> Result<()> {
    let (op, key) = (Op::EnsureVolume, Source::Volume(spec.id.clone()));
    if !spec.size.accepts(object.label.requested.unwrap_or(object.size), object.size) {
        let wanted = spec.size.required().to_string();
        return Err(conflict(op, &key, "size", &object.size.to_string(), &wanted));
    }
    let has = provisioning(&seen.orders.mode);
    if let Some(wanted) = spec.provisioning.filter(|wanted| *wanted != has) {
        return Err(conflict(op, &key, "provisioning", has.as_str(), wanted.as_str()));
    }
    if spec.source.as_ref() != source_of(object) {
        let text = |source: Option<&VolumeSource>| {
            source.map_or_else(|| "nothing".to_owned(), ToString::to_string)
        };
        let (has, wanted) = (text(source_of(object)), text(spec.source.as_ref()));
        return Err(conflict(op, &key, "source", &has, &wanted));
    }
    if spec.tags != object.label.tags {
        return Err(other_tags(op, &key, &object.label.tags, &spec.tags));
    }
    Ok(())
}

/// What a new volume says of itself.
pub(super) fn new_label(spec: &VolumeSpec, token: FormatToken, facts: &Facts) -> Label {
    Label {
        kind: Kind::Volume {
            // Also where it is the name: somebody may rename the volume.
            id: Some(spec.id.clone()),
            source: spec.source.clone(),
            token: Some(token),
        },
        requested: Some(spec.size.required()),
        made: u64::try_from(facts.time).ok(),
        state: State::Ready,
        tags: spec.tags.clone(),
    }
}

/// The steps that make a volume exist; `None` if it does already.
pub(in crate::pool) fn ensure_volume(
    seen: &Seen<'_>,
    facts: &Facts,
    spec: &VolumeSpec,
    size: Bytes,
) -> Result<Option<Work>> {
    let op = Op::EnsureVolume;
    let key = Source::Volume(spec.id.clone());
    spec.refuse_unknown_parameters(&PARAMETERS)?;
    if let Some(object) = seen.find(op, &key)? {
        same_volume(seen, &object, spec)?;
        return Ok(None);
    }
    let has = provisioning(&seen.orders.mode);
    if spec.provisioning.is_some_and(|wanted| wanted != has) {
        let why = format!("this pool makes {has} volumes only");
        return Err(Error::new(ErrorKind::Unsupported, op, &key, why)
            .with_remedy("take a pool of the other mode: mode=thin or mode=thick"));
    }
    match seen.orders.mode {
        Mode::Thick => thick(seen, facts, spec, size).map(Some),
        Mode::Thin { .. } => super::thin::make(seen, facts, spec, size).map(Some),
    }
}

fn thick(seen: &Seen<'_>, facts: &Facts, spec: &VolumeSpec, size: Bytes) -> Result<Work> {
    let op = Op::EnsureVolume;
    if let Some(source) = &spec.source {
        let key = Source::from(source.clone());
        let why = format!("{source} can't be copied: thick pools make no clones");
        let kind = if seen.look(op, &key)?.is_some() {
            ErrorKind::Unsupported
        } else {
            ErrorKind::NotFound
        };
        return Err(Error::new(kind, op, &spec.id, why).with_remedy("take a pool with mode=thin"));
    }
    seen.room.require(op, &Source::Volume(spec.id.clone()), size)?;
    let group = seen.group();
    let name = names::volume_name(&group.name, &spec.id);
    let number = |key: &str, default: u32| -> Result<u32> {
        spec.parameters.get(key).map_or(Ok(default), |text| {
            text.parse().ok().filter(|n| (1..=128).contains(n)).ok_or_else(|| {
                let why = format!("the parameter {key} is not 1 to 128");
                Error::new(ErrorKind::InvalidArgument, op, &spec.id, why)
                    .with_remedy("choose another number")
            })
        })
    };
    let stripe_size = spec.parameters.get("stripe-size").map(|text| text.parse()).transpose()?;
    let mut new = NewVolume::new(&name, Size::AtLeast(size));
    new.stripes = number("stripes", seen.orders.stripes)?;
    new.stripe_size = stripe_size.or(seen.orders.stripe_size).filter(|_| new.stripes > 1);
    new.tags = new_label(spec, FormatToken::Unused, facts).write();
    let mut draft = Draft::new(op, &spec.id, facts, seen.metadata);
    draft.apply(&[Operation::CreateVolume(new)])?;
    draft.mark_manual(&name);
    let made = Arc::new(draft.group().clone());
    let bytes = made.logical(&name).and_then(|lv| made.size_of(lv.extents()?));
    let bytes = bytes.map_or(size.get(), Bytes::get);
    // Before the volume is in the group its extents are nobody's: what is cut here leaves nothing.
    let ranges = if seen.orders.zero_all { pieces(0, bytes) } else { ends(bytes) };
    for range in ranges {
        draft.push(Step::Zero { group: Arc::clone(&made), volume: name.clone(), range });
    }
    draft.commit("create volume");
    Ok(draft.finish())
}

/// A range in pieces, so that whoever ends the program does not wait for all of it.
fn pieces(from: u64, to: u64) -> Vec<std::ops::Range<u64>> {
    let starts = std::iter::successors(Some(from), |at| at.checked_add(PIECE));
    let starts = starts.take_while(|at| *at < to);
    starts.map(|at| at..at.saturating_add(PIECE).min(to)).collect()
}

/// The parts of a new volume that are zeroed.
fn ends(size: u64) -> Vec<std::ops::Range<u64>> {
    if size <= ENDS.saturating_mul(2) {
        return std::iter::once(0..size).collect();
    }
    vec![0..ENDS, size.saturating_sub(ENDS)..size]
}

/// The steps that make a volume at least so large; `None` if it is.
pub(in crate::pool) fn grow(
    seen: &Seen<'_>,
    facts: &Facts,
    key: &Source,
    size: Bytes,
) -> Result<Option<Work>> {
    let op = Op::GrowVolume;
    let object = seen.usable(op, key)?;
    let device = seen.device(&object);
    let reload = Step::Reload { volume: object.name.clone() };
    if object.size >= size {
        // What a cut call left: the group knows the new size, the device does not.
        let behind = device.is_some_and(|device| device.size < object.size || device.half);
        return Ok(behind.then(|| Work::new(op, key, vec![reload])));
    }
    seen.room.require(op, key, size.saturating_sub(object.size))?;
    let mut draft = Draft::new(op, key, facts, seen.metadata);
    if object.thin.is_some() {
        seen.ready_pool(op, key)?;
    }
    draft.apply(&[Operation::Extend(Growth::new(&object.name, Size::AtLeast(size)))])?;
    if seen.orders.zero_all && object.thin.is_none() {
        // Until the commit what is added is nobody's.
        let grown = Arc::new(draft.group().clone());
        let to = grown.logical(&object.name).and_then(|lv| grown.size_of(lv.extents()?));
        for range in pieces(object.size.get(), to.unwrap_or(size).get()) {
            let (group, volume) = (Arc::clone(&grown), object.name.clone());
            draft.push(Step::Zero { group, volume, range });
        }
    }
    draft.commit("extend volume");
    if device.is_some() {
        draft.push(reload);
    }
    Ok(Some(draft.finish()))
}
