//! The steps of changes, as data.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use open_local_core::{Bytes, Op, Subject};

use super::tags::Label;
use crate::format::group::VolumeGroup;

/// One step. Each leaves a state from which the next call finishes or undoes the whole.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Write zeroes over a part of a volume that has no device.
    Zero {
        /// The version of the group in which the volume is.
        group: Arc<VolumeGroup>,
        /// Its name there.
        volume: String,
        /// Bytes of it.
        range: Range<u64>,
    },
    /// Let a new version of the group count.
    Commit {
        group: Arc<VolumeGroup>,
        /// A word for the text.
        what: &'static str,
        /// What it does, for people.
        says: String,
    },
    /// Make the device of a volume, and those below it.
    Activate { volume: String, read_only: bool },
    /// Make the devices of a thin pool that its volumes need.
    ActivatePool { pool: String },
    /// Remove the device of a volume.
    Deactivate { volume: String },
    /// Remove the devices of a thin pool.
    DeactivatePool { pool: String },
    /// Put the table in force that the group has for a volume.
    Reload { volume: String },
    /// The same for a thin pool and its parts.
    ReloadPool { pool: String },
    /// Send a thin pool the messages the group has for it; volumes that are copied are held
    /// meanwhile.
    Settle {
        pool: String,
        /// Whether a call before this one may have sent some of them.
        again: bool,
    },
    /// Give up what a thin pool refused to make.
    Abandon { pool: String, volume: String, back_to: Option<Former> },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero { volume, range, .. } => {
                let len = Bytes::new(range.end.saturating_sub(range.start));
                write!(f, "zero {len} of {volume} from {}", Bytes::new(range.start))
            }
            Self::Commit { says, .. } => write!(f, "commit to the group: {says}"),
            Self::Activate { volume, read_only } => {
                let mode = if *read_only { ", read-only" } else { "" };
                write!(f, "make the device of {volume}{mode}")
            }
            Self::ActivatePool { pool } => write!(f, "make the devices of the thin pool {pool}"),
            Self::Deactivate { volume } => write!(f, "remove the device of {volume}"),
            Self::DeactivatePool { pool } => {
                write!(f, "remove the devices of the thin pool {pool}")
            }
            Self::Reload { volume } => write!(f, "give the device of {volume} its new table"),
            Self::ReloadPool { pool } => {
                write!(f, "give the devices of the thin pool {pool} their new tables")
            }
            Self::Settle { pool, .. } => write!(f, "tell the thin pool {pool} what the group says"),
            Self::Abandon { volume, .. } => write!(f, "give up {volume}, which was refused"),
        }
    }
}

/// What a volume was before it was rolled back.
#[derive(Debug, Clone)]
pub(super) struct Former {
    /// Its device in the thin pool.
    pub(super) device: u32,
    /// What its tags said.
    pub(super) label: Box<Label>,
}

/// The steps of one change.
#[derive(Debug, Clone)]
pub(super) struct Work {
    pub(super) op: Op,
    pub(super) subject: Subject,
    pub(super) steps: Vec<Step>,
    /// What takes everything back if a step fails (but not if it is cut).
    pub(super) undo: Vec<Step>,
    /// The device of a thin pool that it makes: it must not be there before.
    pub(super) device: Option<u32>,
}

impl Work {
    pub(super) fn new(op: Op, subject: impl Into<Subject>, steps: Vec<Step>) -> Self {
        Self { op, subject: subject.into(), steps, undo: Vec::new(), device: None }
    }
}
