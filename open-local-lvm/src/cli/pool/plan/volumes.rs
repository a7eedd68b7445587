//! Plans for volumes: making and growing them. Pure.

use open_local_core::{
    Bytes, Error, ErrorKind, FormatToken, Op, Provisioning, Result, Source, VolumeSource,
    VolumeSpec,
};

use super::super::CliPool;
use super::super::execute::{Step, Work};
use super::super::look::{Object, Seen};
use super::{by_name_only, ready, relabel};
use crate::cli::{Order, SnapshotRoom, Where};
use crate::plan::{Growth, NewVolume, Size};
use crate::pool::names;
use crate::pool::planner::{busy, conflict, other_tags};
use crate::pool::tags::{Kind, Label, State};

/// The parameters of a volume.
const PARAMETERS: [&str; 2] = ["stripes", "stripe-size"];

/// How volumes of a pool take room.
pub(in crate::cli::pool) fn provisioning(pool: &CliPool) -> Provisioning {
    if pool.thin_pool().is_some() { Provisioning::Thin } else { Provisioning::Thick }
}

fn source_of(object: &Object) -> Option<&VolumeSource> {
    match &object.label.kind {
        Kind::Volume { source, .. } => source.as_ref(),
        Kind::Snapshot { .. } => None,
    }
}

fn same_volume(pool: &CliPool, object: &Object, spec: &VolumeSpec) -> Result<()> {
    let (op, key) = (Op::EnsureVolume, Source::Volume(spec.id.clone()));
    if !spec.size.accepts(object.label.requested.unwrap_or(object.size), object.size) {
        let wanted = spec.size.required().to_string();
        return Err(conflict(op, &key, "size", &object.size.to_string(), &wanted));
    }
    let has = provisioning(pool);
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
fn new_label(pool: &CliPool, spec: &VolumeSpec, token: FormatToken) -> Label {
    Label {
        kind: Kind::Volume {
            // Also where it is the name: somebody may rename the volume.
            id: Some(spec.id.clone()),
            source: spec.source.clone(),
            token: Some(token),
        },
        requested: Some(spec.size.required()),
        made: pool.now(),
        state: State::Ready,
        tags: spec.tags.clone(),
    }
}

/// The steps that make a volume exist; `None` if it does already.
pub(in crate::cli::pool) fn ensure_volume(
    pool: &CliPool,
    seen: &Seen,
    spec: &VolumeSpec,
    size: Bytes,
) -> Result<Option<Work>> {
    let (op, key) = (Op::EnsureVolume, Source::Volume(spec.id.clone()));
    spec.refuse_unknown_parameters(&PARAMETERS)?;
    if let Some(object) = seen.find(op, &key)? {
        same_volume(pool, object, spec)?;
        return finish(pool, seen, object, &key, size);
    }
    let has = provisioning(pool);
    if spec.provisioning.is_some_and(|wanted| wanted != has) {
        let why = format!("this pool makes {has} volumes only");
        return Err(Error::new(ErrorKind::Unsupported, op, &key, why)
            .with_remedy("take a pool of the other mode: mode=thin or mode=thick"));
    }
    let work = match pool.thin_pool() {
        None => thick(pool, seen, spec, size),
        Some(thin_pool) => thin(pool, seen, thin_pool, spec, size),
    };
    work.map(Some)
}

/// Finishes a volume whose making was cut.
fn finish(
    pool: &CliPool,
    seen: &Seen,
    object: &Object,
    key: &Source,
    size: Bytes,
) -> Result<Option<Work>> {
    let (op, group) = (Op::EnsureVolume, &seen.group.name);
    if !matches!(object.label.state, State::Filling(_)) {
        return Ok(None);
    }
    let mut steps = Vec::new();
    if pool.thin_pool().is_none() {
        steps.push(Step::ZeroEnds(object.name.clone()));
    } else if object.size < size {
        let growth = Growth::new(&object.name, Size::AtLeast(size));
        steps.push(Step::Run(Order::extend_volume(group, &growth, &[])?));
    }
    let label = Label { state: State::Ready, ..object.label.clone() };
    steps.extend(relabel(group, object, &label)?.map(Step::Run));
    Ok(Some(Work::new(op, key, steps)))
}

fn thick(pool: &CliPool, seen: &Seen, spec: &VolumeSpec, size: Bytes) -> Result<Work> {
    let (op, key) = (Op::EnsureVolume, Source::Volume(spec.id.clone()));
    if let Some(source) = &spec.source {
        let there = seen.see(op, &Source::from(source.clone()))?.is_some();
        let kind = if there { ErrorKind::Unsupported } else { ErrorKind::NotFound };
        let why = format!("{source} can't be copied: thick pools make no clones");
        return Err(Error::new(kind, op, &spec.id, why).with_remedy("take a pool with mode=thin"));
    }
    seen.room.require(op, &key, size)?;
    let group = &seen.group.name;
    let name = names::volume_name(group, &spec.id);
    let stripes = spec.parameters.get("stripes").map_or(Ok(pool.orders.stripes), |text| {
        text.parse().ok().filter(|n| (1..=128).contains(n)).ok_or_else(|| {
            Error::new(
                ErrorKind::InvalidArgument,
                op,
                &spec.id,
                "the parameter stripes is not 1 to 128",
            )
            .with_remedy("choose another number")
        })
    })?;
    let stripe_size = spec.parameters.get("stripe-size").map(|text| text.parse()).transpose()?;
    let whole = new_label(pool, spec, FormatToken::Unused);
    let making = Label { state: State::Filling(Bytes::ZERO), ..whole.clone() };
    let mut new = NewVolume::new(&name, Size::AtLeast(size));
    (new.stripes, new.tags) = (stripes, making.write());
    new.stripe_size = stripe_size.or(pool.orders.stripe_size).filter(|_| stripes > 1);
    let create = Order::create_volume(group, &new, &Where::default())?.activated_by_name();
    let steps = vec![
        Step::Run(create),
        Step::ZeroEnds(name.clone()),
        ready(group, &name, &making, &whole)?,
    ];
    Ok(Work { undo: Some(Order::remove_volume(group, &name)?), ..Work::new(op, &key, steps) })
}

fn thin(
    pool: &CliPool,
    seen: &Seen,
    thin_pool: &str,
    spec: &VolumeSpec,
    size: Bytes,
) -> Result<Work> {
    let (op, key) = (Op::EnsureVolume, Source::Volume(spec.id.clone()));
    let group = &seen.group.name;
    let name = names::volume_name(group, &spec.id);
    let source = spec.source.clone().map(|source| seen.usable(op, &Source::from(source)));
    let source = source.transpose()?;
    if let Some(of) = source.filter(|of| of.size > size) {
        let why = format!("the size {size} is smaller than its source's {}", of.size);
        return Err(Error::new(ErrorKind::InvalidArgument, op, &key, why)
            .with_remedy("ask for at least the source's size"));
    }
    seen.room.require(op, &key, size)?;
    let token = source.map_or(FormatToken::Unused, Object::token);
    let whole = new_label(pool, spec, token);
    let Some(of) = source else {
        let mut new = NewVolume::new(&name, Size::AtLeast(size));
        new.tags = whole.write();
        let create = Step::Run(Order::create_thin(group, thin_pool, &new)?);
        return Ok(Work::new(op, &key, vec![create, by_name_only(group, &name)?]));
    };
    let shared = |label: &Label| {
        let room = SnapshotRoom::Shared;
        let order = Order::create_snapshot(group, &of.name, &name, room, &label.write(), false)?;
        Ok::<_, Error>(Step::Run(order))
    };
    if of.size == size {
        return Ok(Work::new(op, &key, vec![shared(&whole)?, by_name_only(group, &name)?]));
    }
    let making = Label { state: State::Filling(Bytes::ZERO), ..whole.clone() };
    let growth = Growth::new(&name, Size::AtLeast(size));
    let steps = vec![
        shared(&making)?,
        by_name_only(group, &name)?,
        Step::Run(Order::extend_volume(group, &growth, &[])?),
        ready(group, &name, &making, &whole)?,
    ];
    Ok(Work { undo: Some(Order::remove_volume(group, &name)?), ..Work::new(op, &key, steps) })
}

/// The steps that make a volume at least so large; `None` if it is.
pub(in crate::cli::pool) fn grow(seen: &Seen, key: &Source, size: Bytes) -> Result<Option<Work>> {
    let (op, group) = (Op::GrowVolume, &seen.group.name);
    let object = seen.usable(op, key)?;
    if object.size >= size {
        // What a cut call left: the group knows the new size, the device does not.
        let device = object.device.as_ref().and_then(|device| device.size);
        let behind = device.is_some_and(|device| device < object.size);
        let refresh = || Ok(Work::run(op, key, Order::refresh(group, &object.name)?));
        return behind.then(refresh).transpose();
    }
    if object.device.as_ref().is_some_and(|device| device.open.is_none()) {
        let why = "it has a device, and this program is told not to use device-mapper";
        return Err(busy(op, key, why, "unmount and unpublish it first"));
    }
    seen.room.require(op, key, size.saturating_sub(object.size))?;
    let growth = Growth::new(&object.name, Size::AtLeast(size));
    Ok(Some(Work::run(op, key, Order::extend_volume(group, &growth, &[])?)))
}
