//! The steps that changes of a pool are made of, as data.

use std::fmt;

use super::kind::{Allowed, Sighting};
use super::record::{PlaceRecord, Stage};
use crate::error::{Op, Subject};
use crate::units::Bytes;

/// One step. Each leaves a state on disk from which the whole can be finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// Prove that the place is the one that is meant, unused, and holds nothing but what may be.
    Prove { place: Box<PlaceRecord>, at: Sighting, allowed: Allowed },
    /// Prove that nobody uses the place.
    Idle { place: Box<PlaceRecord>, at: Sighting },
    /// Leave our mark on the place.
    Mark { place: Box<PlaceRecord>, at: Sighting },
    /// Take our mark away.
    Unmark { place: Box<PlaceRecord>, at: Sighting },
    /// Store the place's record durably.
    Record(Box<PlaceRecord>),
    /// Refuse writes, or let them pass.
    ReadOnly { place: Box<PlaceRecord>, at: Sighting, on: bool },
    /// Make sure that what was added to the place reads as zeroes.
    Blank { place: Box<PlaceRecord>, at: Sighting, to: Bytes },
    /// Remove the place's record.
    Forget(Box<PlaceRecord>),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prove { at, allowed, .. } => {
                let path = at.path.display();
                write!(f, "prove that {path} is the one that is meant and used by nobody")?;
                match allowed {
                    Allowed::Named(names) if !names.is_empty() => {
                        write!(f, ", and holds nothing but {}", names.join(", "))
                    }
                    Allowed::Left(left) if !left.is_empty() => {
                        write!(f, ", and holds nothing but {left}")
                    }
                    _ => f.write_str(", and holds nothing"),
                }
            }
            Self::Idle { at, .. } => write!(f, "see that nobody uses {}", at.path.display()),
            Self::Mark { at, .. } => write!(f, "leave our mark on {}", at.path.display()),
            Self::Unmark { at, .. } => write!(f, "take our mark off {}", at.path.display()),
            Self::Record(place) => {
                write!(f, "record {} of {} as ", place.path.display(), place.size)?;
                match &place.stage {
                    Stage::Free { .. } => f.write_str("free"),
                    Stage::Claimed(claim) => {
                        let published = match claim.published {
                            None => "",
                            Some(false) => ", published",
                            Some(true) => ", published read-only",
                        };
                        write!(f, "that of volume {}{published}", claim.volume)
                    }
                    Stage::Erasing { erasure, .. } => write!(f, "being erased: {erasure}"),
                }
            }
            Self::ReadOnly { at, on: true, .. } => {
                write!(f, "let {} refuse writes", at.path.display())
            }
            Self::ReadOnly { at, on: false, .. } => {
                write!(f, "let {} take writes", at.path.display())
            }
            Self::Blank { place, at, to } => {
                let path = at.path.display();
                write!(f, "see that {path} reads as zeroes from {} to {to}", place.size)
            }
            Self::Forget(place) => write!(f, "remove the record of {}", place.path.display()),
        }
    }
}

/// The steps of one change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Work {
    pub(crate) op: Op,
    pub(crate) subject: Subject,
    pub(crate) steps: Vec<Step>,
    /// What takes everything back if a step fails (but not if it is cut).
    pub(crate) undo: Vec<Step>,
}

impl Work {
    pub(crate) fn new(op: Op, subject: impl Into<Subject>, steps: Vec<Step>) -> Self {
        Self { op, subject: subject.into(), steps, undo: Vec::new() }
    }

    pub(crate) fn undone_by(mut self, undo: Vec<Step>) -> Self {
        self.undo = undo;
        self
    }
}
