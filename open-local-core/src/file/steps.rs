//! The steps that changes of a pool are made of, as data.

use std::fmt;

use super::group_record::{GroupRecord, GroupStage};
use super::record::{ObjectRecord, Stage};
use crate::error::{Op, Subject};
use crate::host::LoopDevice;
use crate::ids::GroupSnapshotId;
use crate::info::Attachment;
use crate::spec::Source;
use crate::units::Bytes;

/// Which file of an object a step is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// Its content.
    Image(Source),
    /// Its next content, while it is rolled back.
    Spare(Source),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(key) => write!(f, "the image of {key}"),
            Self::Spare(key) => write!(f, "the spare image of {key}"),
        }
    }
}

/// One step. Each leaves a state on disk from which the whole can be finished or undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// Store the object's record durably.
    Record(Box<ObjectRecord>),
    /// Make an empty image that reads as zeroes.
    Make { target: Target, size: Bytes, thick: bool },
    /// Freeze the file systems on a published device, until [`Step::Release`].
    Hold(Attachment),
    /// Write back what is cached of a published device.
    Flush(LoopDevice),
    /// Make an image that shares the first `size` bytes of another: what lies behind them is of a
    /// growth that was cut.
    Share { from: Source, to: Target, size: Bytes },
    /// Copy an image from `start` up to `size`, marking progress in the record where there is one.
    Copy { from: Source, to: Target, start: Bytes, size: Bytes, record: Option<Box<ObjectRecord>> },
    /// Thaw what [`Step::Hold`] froze.
    Release,
    /// Make an image longer and, for a thick volume, take all its room.
    Extend { target: Target, size: Bytes, thick: bool },
    /// Take back an extension that nobody has seen yet.
    Shrink { key: Source, size: Bytes },
    /// Attach the image as a block device.
    Attach { record: Box<ObjectRecord>, read_only: bool },
    /// Detach the block device.
    Detach(LoopDevice),
    /// Make the block device as large as its image.
    Resize(LoopDevice),
    /// Put the spare image in the place of the image.
    Swap(Source),
    /// Remove an image.
    Drop(Target),
    /// Remove the object's record.
    Forget(Source),
    /// Store the group's record durably. Recorded as ready, all its members are from then on.
    RecordGroup(Box<GroupRecord>),
    /// Remove the group's record.
    ForgetGroup(GroupSnapshotId),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(record) => {
                let stage = match record.stage {
                    Stage::Ready => "ready",
                    Stage::Filling { .. } => "being filled",
                    Stage::Growing { .. } => "growing",
                    Stage::Removing => "being removed",
                };
                write!(f, "record {} of {} as {stage}", record.key, record.size)
            }
            Self::Make { target, size, thick } => {
                let how = if *thick { "taking all its room" } else { "sparse" };
                write!(f, "make {target}, {size}, {how}")
            }
            Self::Hold(at) => write!(f, "freeze the file systems on {}", at.device.display()),
            Self::Flush(device) => write!(f, "flush {}", device.path.display()),
            Self::Share { from, to, .. } => write!(f, "share the blocks of {from} with {to}"),
            Self::Copy { from, to, start, .. } if start.is_zero() => {
                write!(f, "copy the content of {from} to {to}")
            }
            Self::Copy { from, to, start, .. } => {
                write!(f, "copy the content of {from} to {to}, from {start} on")
            }
            Self::Release => f.write_str("thaw the file systems"),
            Self::Extend { target, size, thick: false } => write!(f, "extend {target} to {size}"),
            Self::Extend { target, size, thick: true } => {
                write!(f, "extend {target} to {size}, taking all its room")
            }
            Self::Shrink { key, size } => write!(f, "cut the image of {key} back to {size}"),
            Self::Attach { record, read_only } => {
                let mode = if *read_only { "read-only" } else { "read-write" };
                write!(f, "attach {} {mode} as a loop device", record.key)
            }
            Self::Detach(device) => write!(f, "detach {}", device.path.display()),
            Self::Resize(device) => write!(f, "resize {}", device.path.display()),
            Self::Swap(key) => write!(f, "put the spare image of {key} in place"),
            Self::Drop(target) => write!(f, "remove {target}"),
            Self::Forget(key) => write!(f, "remove the record of {key}"),
            Self::RecordGroup(record) => {
                let stage = match record.stage {
                    GroupStage::Filling => "being filled",
                    GroupStage::Ready => "ready, with all its members",
                    GroupStage::Removing => "being removed",
                };
                write!(f, "record group snapshot {} as {stage}", record.id)
            }
            Self::ForgetGroup(id) => write!(f, "remove the record of group snapshot {id}"),
        }
    }
}

/// The steps of one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Work {
    pub(super) op: Op,
    pub(super) subject: Subject,
    pub(super) steps: Vec<Step>,
    /// How many of the first steps are taken while the pool's room is locked: those that promise.
    pub(super) promising: usize,
    /// What takes everything back if a step fails (but not if it is cut).
    pub(super) undo: Vec<Step>,
}

impl Work {
    pub(super) fn new(op: Op, subject: impl Into<Subject>, steps: Vec<Step>) -> Self {
        Self { op, subject: subject.into(), steps, promising: 0, undo: Vec::new() }
    }

    pub(super) fn promising(mut self, steps: usize) -> Self {
        self.promising = steps;
        self
    }

    pub(super) fn undone_by(mut self, undo: Vec<Step>) -> Self {
        self.undo = undo;
        self
    }
}
