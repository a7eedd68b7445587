//! Changes of volumes and their devices.

use super::groups::forget_untaken;
use super::{View, conflict, erase, not_ready, other_tags, refuse_in_use};
use crate::error::{Error, ErrorKind, Op, Result};
use crate::ids::VolumeId;
use crate::sim::content::BLOCK;
use crate::sim::room::{self, Request};
use crate::sim::state::{Stage, VolumeState, source_of};
use crate::sim::step::Step;
use crate::spec::{Provisioning, PublishSpec, SizeRange, Source, VolumeSource, VolumeSpec};
use crate::token::FormatToken;
use crate::units::Bytes;

pub(super) fn ensure(view: View<'_>, spec: &VolumeSpec) -> Result<Vec<Step>> {
    let op = Op::EnsureVolume;
    let size = spec.validate(BLOCK)?;
    spec.refuse_unknown_parameters(&[])?;
    let provisioning = spec.provisioning.unwrap_or(Provisioning::Thin);
    let this = Source::Volume(spec.id.clone());
    let mut steps = Vec::new();
    match view.pool.volumes.get(&spec.id) {
        Some(there) if there.stage == Stage::Erasing => {
            steps = erase(view.pool, &this, there.stage);
        }
        Some(there) => {
            same(there, spec, provisioning)?;
            if there.stage == Stage::Making {
                if let (None, Some(source)) = (&there.content, &there.source) {
                    source_fits(view, spec, source, there.size)?;
                    steps.push(Step::Fill(this.clone()));
                }
                steps.push(Step::Finish(this));
            }
            return Ok(steps);
        }
        None => {}
    }
    if let Some(source) = &spec.source {
        source_fits(view, spec, source, size)?;
    }
    // What is still being erased leaves its room first; the first step asks again.
    if steps.is_empty() {
        let request = Request::volume(size, provisioning);
        room::admit(view.world, view.pool, request, op, &spec.id)?;
    }
    steps.push(Step::RecordVolume { spec: spec.clone(), size, provisioning });
    if spec.source.is_some() {
        steps.push(Step::Fill(this.clone()));
    }
    steps.push(Step::Finish(this));
    Ok(steps)
}

fn same(there: &VolumeState, spec: &VolumeSpec, provisioning: Provisioning) -> Result<()> {
    let differs =
        |field: &str, a: String, b: String| Err(conflict(Op::EnsureVolume, &spec.id, field, a, b));
    let name = |source: &Option<VolumeSource>| {
        source.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string)
    };
    if !spec.size.accepts(there.requested, there.size) {
        let wanted = spec.size.required();
        return differs("size", there.size.to_string(), wanted.to_string());
    }
    if there.provisioning != provisioning {
        let (a, b) = (there.provisioning.to_string(), provisioning.to_string());
        return differs("provisioning", a, b);
    }
    if there.source != spec.source {
        return differs("source", name(&there.source), name(&spec.source));
    }
    if there.tags != spec.tags {
        let (op, id) = (Op::EnsureVolume, &spec.id);
        return Err(other_tags(op, id, &there.tags, &spec.tags));
    }
    Ok(())
}

/// Whether a copy of this size can be made of the source now.
fn source_fits(
    view: View<'_>,
    spec: &VolumeSpec,
    source: &VolumeSource,
    size: Bytes,
) -> Result<()> {
    let op = Op::EnsureVolume;
    let source = source_of(source);
    let least = view.pool.size_of(op, &source)?;
    let rolling = match &source {
        Source::Volume(id) => view.pool.volume(op, id)?.rolling_back.is_some(),
        Source::Snapshot(_) => false,
    };
    if rolling || view.pool.stage_of(op, &source)? != Stage::Ready {
        return Err(not_ready(op, &source));
    }
    if size < least {
        let message = format!("the size {size} is less than the {least} of its source, {source}");
        return Err(Error::new(ErrorKind::InvalidArgument, op, &spec.id, message)
            .with_remedy(format!("ask for at least {least}")));
    }
    Ok(())
}

fn ready<'a>(view: View<'a>, op: Op, id: &VolumeId) -> Result<&'a VolumeState> {
    let volume = view.pool.volume(op, id)?;
    if volume.stage != Stage::Ready || volume.rolling_back.is_some() {
        return Err(not_ready(op, &Source::Volume(id.clone())));
    }
    Ok(volume)
}

pub(super) fn grow(view: View<'_>, id: &VolumeId, size: Bytes) -> Result<Vec<Step>> {
    let op = Op::GrowVolume;
    let volume = ready(view, op, id)?;
    let wanted = SizeRange::new(size).resolve(BLOCK, op, id)?;
    let this = Source::Volume(id.clone());
    let to = wanted.max(volume.size);
    let mut steps = Vec::new();
    if to > volume.size {
        // A copy in the making was granted for the size of its source as it was.
        view.refuse_copied_from(op, &this)?;
        if volume.promised != to {
            let more = to.saturating_sub(volume.promised);
            let request = Request::volume(more, volume.provisioning);
            if !more.is_zero() {
                room::admit(view.world, view.pool, request, op, id)?;
            }
            steps.push(Step::Promise { volume: id.clone(), to });
        }
        steps.push(Step::Resize { volume: id.clone(), to });
    }
    if let Some(device) = view.device(&this).filter(|device| device.size != to) {
        steps.push(Step::ShowSize { index: device.attachment.number.minor(), to });
    }
    Ok(steps)
}

pub(super) fn publish(view: View<'_>, spec: &PublishSpec) -> Result<Vec<Step>> {
    let op = Op::Publish;
    match &spec.source {
        Source::Volume(id) => {
            ready(view, op, id)?;
        }
        Source::Snapshot(id) => {
            let snapshot = view.pool.snapshot(op, id)?;
            if snapshot.stage != Stage::Ready {
                return Err(not_ready(op, &spec.source));
            }
            if !snapshot.writable && !spec.read_only {
                return Err(Error::new(
                    ErrorKind::Conflict,
                    op,
                    id,
                    "it is a read-only snapshot, asked for in the mode for writing",
                )
                .with_remedy("publish it read-only, or make a volume from it"));
            }
        }
    }
    let Some(device) = view.device(&spec.source) else {
        return Ok(vec![Step::Attach {
            source: spec.source.clone(),
            index: view.world.free_index(),
            read_only: spec.read_only,
        }]);
    };
    let there = device.attachment.read_only;
    if there != spec.read_only {
        let mode = |read_only| if read_only { "read-only" } else { "read-write" };
        let message = format!("it is published {}, not {}", mode(there), mode(spec.read_only));
        return Err(Error::new(ErrorKind::Conflict, op, &spec.source, message)
            .with_remedy("unpublish it first"));
    }
    Ok(Vec::new())
}

pub(super) fn unpublish(view: View<'_>, source: &Source) -> Result<Vec<Step>> {
    let Some(device) = view.device(source) else {
        return Ok(Vec::new());
    };
    refuse_in_use(view.world, Op::Unpublish, source, device)?;
    Ok(vec![Step::Detach { source: source.clone(), index: device.attachment.number.minor() }])
}

pub(super) fn remove(view: View<'_>, id: &VolumeId) -> Result<Vec<Step>> {
    let op = Op::RemoveVolume;
    let Some(volume) = view.pool.volumes.get(id) else {
        return Ok(Vec::new());
    };
    let this = Source::Volume(id.clone());
    view.refuse_published(op, &this)?;
    view.refuse_copied_from(op, &this)?;
    // Snapshots that were recorded but never taken have nothing to outlive their volume with.
    let untaken = view.pool.snapshots.iter().filter(|(_, snapshot)| {
        let alone = snapshot.volume == *id && snapshot.group.is_none();
        alone && snapshot.stage == Stage::Making && snapshot.content.is_none()
    });
    let mut steps: Vec<Step> =
        untaken.map(|(snapshot, _)| Step::Forget(Source::Snapshot(snapshot.clone()))).collect();
    steps.extend(forget_untaken(view.pool, id));
    steps.extend(erase(view.pool, &this, volume.stage));
    Ok(steps)
}

/// The steps that write a format token.
pub(in crate::sim) fn set_token(
    view: View<'_>,
    id: &VolumeId,
    token: FormatToken,
) -> Result<Vec<Step>> {
    let op = Op::FormatToken;
    let there = view.pool.volume(op, id)?.token;
    if there == token {
        return Ok(Vec::new());
    }
    if there == FormatToken::Spent {
        return Err(Error::new(
            ErrorKind::Refused,
            op,
            id,
            "its format token is spent and is not given back",
        )
        .with_remedy("if what it holds may be destroyed, order: volume allow-format"));
    }
    Ok(vec![Step::SetToken(id.clone(), token)])
}

/// The steps that allow a format again.
pub(in crate::sim) fn allow_format(view: View<'_>, id: &VolumeId) -> Result<Vec<Step>> {
    let op = Op::AllowFormat;
    let there = view.pool.volume(op, id)?.token;
    view.refuse_published(op, &Source::Volume(id.clone()))?;
    Ok(match there {
        FormatToken::Unused => Vec::new(),
        _ => vec![Step::SetToken(id.clone(), FormatToken::Unused)],
    })
}
