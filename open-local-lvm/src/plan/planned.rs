//! The plan and how it comes about.

use std::fmt;

use open_local_core::Error;

use super::context::Context;
use super::draft::Draft;
use super::guards;
use super::operation::Operation;
use super::step::Step;
use super::validate;
use crate::format::group::{Metadata, Provenance, VolumeGroup};
use crate::format::text::Value;

/// What is to be done to a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// The sequence number of the group it was made for; `None` for a new group. If the group
    /// has another one by now, the plan is void.
    pub made_for: Option<u32>,
    /// What is to be committed: the group with the next sequence number, or the old one if
    /// there is nothing to do.
    pub metadata: Metadata,
    /// What changes, in order; nothing to do if empty.
    pub steps: Vec<Step>,
    /// What the caller should know before it is done.
    pub warnings: Vec<String>,
}

impl Plan {
    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The group as it will be.
    #[must_use]
    pub const fn group(&self) -> &VolumeGroup {
        &self.metadata.group
    }

    /// What is to be committed as text, without the zero byte that ends it on a device.
    ///
    /// # Errors
    /// As [`Metadata::to_text`]; none for a plan that was not changed since it was made.
    pub fn text(&self) -> Result<Vec<u8>, Error> {
        self.metadata.to_text()
    }

    pub(super) fn finish(draft: Draft<'_>, before: Option<&Metadata>) -> Result<Self, Error> {
        let Draft { mut group, steps, warnings, context, transactions: _ } = draft;
        let made_for = before.map(|metadata| metadata.group.seqno);
        let provenance = match before {
            Some(metadata) if steps.is_empty() => metadata.provenance.clone(),
            _ => Provenance {
                description: Some(Value::from(context.description)),
                creation_host: Some(Value::from(context.host)),
                creation_time: Some(context.time),
                unknown: before.map(|m| m.provenance.unknown.clone()).unwrap_or_default(),
            },
        };
        if !steps.is_empty() {
            group.seqno = validate::next_seqno(&group)?;
        }
        let metadata = Metadata { group, provenance };
        let metadata = validate::proven(&metadata)?;
        Ok(Self { made_for, metadata, steps, warnings })
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "group {}:", self.metadata.group.name)?;
        if self.steps.is_empty() {
            write!(f, " nothing to do")?;
        }
        for (number, step) in (1..).zip(&self.steps) {
            write!(f, "\n  {number}. {step}")?;
        }
        self.warnings.iter().try_for_each(|warning| write!(f, "\n  warning: {warning}"))
    }
}

/// Plans changes of a group, one after the other, all for one commit.
///
/// Pure: the same group, operations and context give the same plan. One that can't be done makes
/// all of them void.
///
/// # Errors
/// - `Refused` for a group or volume that must not be changed, with the reason; `Corrupt` for a
///   group that is not whole; `Unsupported` for a type of volume that is carried.
/// - `InvalidArgument` for names, tags, sizes and stripes that are not possible.
/// - `NotFound` and `Conflict` for volumes and physical volumes that are not, or are already,
///   there; `Busy` for physical volumes in use; `OutOfSpace` where extents, or a limit of the
///   group, do not suffice.
pub fn plan(
    metadata: &Metadata,
    operations: &[Operation],
    context: &Context<'_>,
) -> Result<Plan, Error> {
    guards::group(&metadata.group, context)?;
    let group = metadata.group.clone();
    let mut draft = Draft::new(group, context);
    for operation in operations {
        draft.apply(operation)?;
    }
    draft.send()?;
    Plan::finish(draft, Some(metadata))
}
