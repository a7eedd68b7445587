//! From what is observed and what is wanted to the steps in between. Pure.

mod access;
#[cfg(feature = "snapshot")]
mod groups;
mod removal;
#[cfg(feature = "snapshot")]
mod snapshots;
mod volumes;

pub(super) use access::{publish, unpublish};
#[cfg(feature = "snapshot")]
pub(super) use groups::{GroupMember, ensure_group};
pub(super) use removal::{recover, remove, remove_group};
#[cfg(feature = "snapshot")]
pub(super) use snapshots::{ensure_snapshot, roll_back};
pub(super) use volumes::{ensure_volume, grow};

use std::time::SystemTime;

use super::observe::image_fault;
use super::record::{ObjectRecord, Stage};
use super::room::Room;
use super::steps::{Step, Target};
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::host::{FileStat, LoopDevice};
use crate::info::Attachment;
use crate::spec::{Source, Tags, VolumeSource};
use crate::tags::differing_tags;
use crate::token::Uuid;
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
    /// A loop device that stands in the way and is not ours to touch.
    pub(super) other: Option<LoopDevice>,
    /// Whether the group snapshot it is a member of is there.
    pub(super) grouped: bool,
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
        .with_sequence(device.sequence)
}

fn conflict(op: Op, key: impl Into<Subject>, field: &str, has: &str, wanted: &str) -> Error {
    Error::new(ErrorKind::Conflict, op, key, format!("its {field} is {has}, not {wanted}"))
        .with_remedy("choose another name, or ask for what exists")
}

fn other_tags(op: Op, key: impl Into<Subject>, has: &Tags, wanted: &Tags) -> Error {
    let message = format!("its tags differ in {}", differing_tags(has, wanted));
    Error::new(ErrorKind::Conflict, op, key, message)
        .with_remedy("choose another name, or ask for what exists")
}

fn busy(op: Op, key: impl Into<Subject>, why: impl Into<String>, remedy: &str) -> Error {
    Error::new(ErrorKind::Busy, op, key, why).with_remedy(remedy)
}

fn damaged(op: Op, key: &Source, why: impl Into<String>) -> Error {
    Error::new(ErrorKind::Corrupt, op, key, why)
        .with_remedy("restore its image from a copy, or remove it and make it anew")
}

/// Nothing is done to an image that somebody else has attached, nor to a device that holds the last
/// of an image that is gone.
pub(super) fn refuse_other(op: Op, key: &Source, seen: &Seen) -> Result<()> {
    let Some(other) = &seen.other else {
        return Ok(());
    };
    let path = other.path.display();
    Err(match &seen.image {
        Some(_) => busy(
            op,
            key,
            format!("somebody else attached its image as {path}"),
            &format!("end its use and detach it: losetup -d {path}"),
        ),
        None => damaged(op, key, format!("its image is missing, but {path} may still hold it"))
            .with_remedy(format!(
                "copy what is needed from {path}, then detach it: losetup -d {path}"
            )),
    })
}

/// The object as it must be before it is used: recorded, ready, and with its whole image.
pub(super) fn usable<'a>(op: Op, key: &Source, seen: &'a Seen) -> Result<&'a ObjectRecord> {
    let record = seen.record.as_ref().ok_or_else(|| {
        Error::new(ErrorKind::NotFound, op, key, "there is none of this name in the pool")
            .with_remedy(
                "list what there is with: open-local volume list, open-local snapshot list",
            )
    })?;
    match record.stage {
        Stage::Filling { done } => {
            return Err(busy(
                op,
                key,
                format!("its content is not complete: {done} of {} are copied", record.size),
                "repeat the call that makes it, or remove it",
            ));
        }
        Stage::Removing => {
            return Err(busy(op, key, "it is being removed", "repeat the call that removes it"));
        }
        Stage::Ready | Stage::Growing { .. } => {}
    }
    match image_fault(record, seen.image.as_ref()) {
        Some(fault) => Err(damaged(op, key, fault)),
        None => Ok(record),
    }
}

fn out_of_space(
    op: Op,
    key: impl Into<Subject>,
    wanted: Bytes,
    available: Bytes,
    room: &Room,
) -> Error {
    let why = if room.is_stopped() {
        format!("{wanted} are wanted, but the pool is used up to its stop mark {}", room.stop_at)
    } else {
        format!("{wanted} are wanted and {available} can be promised")
    };
    Error::new(ErrorKind::OutOfSpace, op, key, why)
        .with_remedy("remove what is not needed, or raise the pool's capacity or overcommit ratio")
}

/// Holding a source still: nothing to do unless somebody may write to it now.
fn hold(op: Op, key: &Source, seen: &Seen, facts: &Facts) -> Result<(Vec<Step>, Vec<Step>)> {
    if seen.other.as_ref().is_some_and(|other| !other.read_only) {
        refuse_other(op, key, seen)?;
    }
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
    let size = usable(op, from.0, from.1)?.usable_size();
    let (mut steps, after) = hold(op, from.0, from.1, facts)?;
    steps.push(copying(from.0, to, marks, (start, size), facts));
    steps.extend(after);
    Ok(steps)
}

/// The step that gives a new image a source's content, whether or not that is held still.
fn copying(
    from: &Source,
    to: &Target,
    marks: Option<&ObjectRecord>,
    (start, size): (Bytes, Bytes),
    facts: &Facts,
) -> Step {
    let (from, to) = (from.clone(), to.clone());
    if facts.reflink {
        return Step::Share { from, to, size };
    }
    Step::Copy { from, to, start, size, record: marks.cloned().map(Box::new) }
}

/// A file in the image's place without a record is somebody's: it is neither used nor removed.
fn refuse_stray(op: Op, key: &Source, seen: &Seen) -> Result<()> {
    if seen.image.is_none() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Refused, op, key, "a file without a record is in its image's place")
        .with_remedy("look at the file and move it out of the pool's folder"))
}
