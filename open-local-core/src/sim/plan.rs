//! From what is there and what is wanted to the steps between: pure functions.

mod groups;
mod pools;
mod recover;
mod snapshots;
mod volumes;

use super::state::{Device, PoolState, Stage, World};
use super::step::Step;
use crate::change::Change;
use crate::error::{Error, ErrorKind, Op, Result};
use crate::ids::PoolId;
use crate::spec::{Source, Tags, VolumeSource};
use crate::tags::differing_tags;

pub(super) use pools::{ensure_pool, recover_pool, remove_pool};
pub(super) use recover::recover;
pub(super) use volumes::{allow_format, set_token};

/// What was observed: a machine, and one pool of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    pub(super) world: &'a World,
    pub(super) id: &'a PoolId,
    pub(super) pool: &'a PoolState,
}

impl<'a> View<'a> {
    /// The view of a pool that can be worked with.
    pub(super) fn new(world: &'a World, op: Op, id: &'a PoolId) -> Result<Self> {
        let pool = world.pool(op, id)?;
        if pool.stage != Stage::Ready {
            return Err(Error::new(
                ErrorKind::Busy,
                op,
                id,
                "its making or removal was interrupted",
            )
            .with_remedy("repeat the interrupted call or open the pool again"));
        }
        Ok(Self { world, id, pool })
    }

    fn device(&self, source: &Source) -> Option<&'a Device> {
        self.world.device_of(self.id, source)
    }

    fn refuse_published(&self, op: Op, source: &Source) -> Result<()> {
        let Some(device) = self.device(source) else {
            return Ok(());
        };
        let message = format!("it is published as {}", device.attachment.device.display());
        Err(Error::new(ErrorKind::Busy, op, source, message).with_remedy("unpublish it first"))
    }

    /// Refuses while an interrupted copy still needs this content.
    fn refuse_copied_from(&self, op: Op, source: &Source) -> Result<()> {
        let copies = self.pool.volumes.iter().find(|(_, volume)| {
            let waits = volume.stage == Stage::Making && volume.content.is_none();
            match (source, &volume.source, &volume.rolling_back) {
                (Source::Volume(id), Some(VolumeSource::Volume(from)), _) => waits && from == id,
                (Source::Snapshot(id), from, back) => {
                    (waits && *from == Some(VolumeSource::Snapshot(id.clone())))
                        || back.as_ref() == Some(id)
                }
                _ => false,
            }
        });
        let Some((copy, _)) = copies else {
            return Ok(());
        };
        let message = format!("volume {copy} is being filled from it");
        Err(Error::new(ErrorKind::Busy, op, source, message)
            .with_remedy("repeat the interrupted call for that volume or open the pool again"))
    }
}

pub(super) fn not_ready(op: Op, source: &Source) -> Error {
    Error::new(ErrorKind::Busy, op, source, "it is being filled, rolled back or erased")
        .with_remedy("repeat the interrupted call or open the pool again")
}

/// Refuses while the device is open or mounted.
pub(super) fn refuse_in_use(world: &World, op: Op, source: &Source, device: &Device) -> Result<()> {
    let path = device.attachment.device.display();
    let (message, remedy) = if world.is_mounted(device) {
        (format!("{path} is mounted"), "unmount it first")
    } else if device.is_open() {
        (format!("{path} is open"), "close it first")
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::Busy, op, source, message).with_remedy(remedy))
}

/// The operation a change belongs to.
pub(super) fn op_of(change: &Change) -> Op {
    match change {
        Change::EnsureVolume(_) => Op::EnsureVolume,
        Change::GrowVolume(..) => Op::GrowVolume,
        Change::Publish(_) => Op::Publish,
        Change::Unpublish(_) => Op::Unpublish,
        Change::RemoveVolume(_) => Op::RemoveVolume,
        Change::EnsureSnapshot(_) => Op::EnsureSnapshot,
        Change::RollBack(..) => Op::RollBack,
        Change::RemoveSnapshot(_) => Op::RemoveSnapshot,
        Change::EnsureGroupSnapshot(_) => Op::EnsureGroupSnapshot,
        Change::RemoveGroupSnapshot(_) => Op::RemoveGroupSnapshot,
    }
}

/// The steps of a change; none if everything is as wanted.
pub(super) fn plan(view: View<'_>, change: &Change) -> Result<Vec<Step>> {
    match change {
        Change::EnsureVolume(spec) => volumes::ensure(view, spec),
        Change::GrowVolume(id, size) => volumes::grow(view, id, *size),
        Change::Publish(spec) => volumes::publish(view, spec),
        Change::Unpublish(source) => volumes::unpublish(view, source),
        Change::RemoveVolume(id) => volumes::remove(view, id),
        Change::EnsureSnapshot(spec) => snapshots::ensure(view, spec),
        Change::RollBack(volume, snapshot) => snapshots::roll_back(view, volume, snapshot),
        Change::RemoveSnapshot(id) => snapshots::remove(view, id),
        Change::EnsureGroupSnapshot(spec) => groups::ensure(view, spec),
        Change::RemoveGroupSnapshot(id) => groups::remove(view, id),
    }
}

/// The steps that finish a removal, however far it is.
fn erase(pool: &PoolState, source: &Source, stage: Stage) -> Vec<Step> {
    let mut steps = Vec::new();
    if stage != Stage::Erasing {
        steps.push(Step::MarkErasing(source.clone()));
    }
    if stage != Stage::Erasing || pool.content(source).is_some() {
        steps.push(Step::DropBlocks(source.clone()));
    }
    steps.push(Step::Forget(source.clone()));
    steps
}

/// The conflict of an object that exists with another value of a field.
fn conflict(
    op: Op,
    subject: impl Into<crate::Subject>,
    field: &str,
    there: impl std::fmt::Display,
    wanted: impl std::fmt::Display,
) -> Error {
    Error::new(
        ErrorKind::Conflict,
        op,
        subject,
        format!("it exists with another {field}: {there}, not {wanted}"),
    )
    .with_remedy("use another name, or ask for what is there")
}

/// The conflict of an object that exists with other tags.
fn other_tags(op: Op, subject: impl Into<crate::Subject>, there: &Tags, wanted: &Tags) -> Error {
    let message = format!("it exists with other tags: {}", differing_tags(there, wanted));
    Error::new(ErrorKind::Conflict, op, subject, message)
        .with_remedy("use another name, or ask for what is there")
}
