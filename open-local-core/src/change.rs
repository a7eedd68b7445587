//! Changes and the plans that carry them out.
//!
//! Every mutation is observe → plan → execute → observe. The plan is a pure function of what was
//! observed and what is wanted, so it can be printed before anything is done (`--dry-run`),
//! logged, and cut after every step by a test.

use std::fmt;

use crate::error::Subject;
use crate::ids::{GroupSnapshotId, SnapshotId, VolumeId};
use crate::spec::{GroupSnapshotSpec, PublishSpec, SnapshotSpec, Source, VolumeSpec};
use crate::units::Bytes;

/// A change of one pool, as data.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// [`crate::Pool::ensure_volume`].
    EnsureVolume(VolumeSpec),
    /// [`crate::Pool::grow_volume`].
    GrowVolume(VolumeId, Bytes),
    /// [`crate::Pool::publish`].
    Publish(PublishSpec),
    /// [`crate::Pool::unpublish`].
    Unpublish(Source),
    /// [`crate::Pool::remove_volume`].
    RemoveVolume(VolumeId),
    /// `Snapshots::ensure_snapshot`.
    EnsureSnapshot(SnapshotSpec),
    /// `Snapshots::roll_back`.
    RollBack(VolumeId, SnapshotId),
    /// `Snapshots::remove_snapshot`.
    RemoveSnapshot(SnapshotId),
    /// `GroupSnapshots::ensure_group_snapshot`.
    EnsureGroupSnapshot(GroupSnapshotSpec),
    /// `GroupSnapshots::remove_group_snapshot`.
    RemoveGroupSnapshot(GroupSnapshotId),
}

impl Change {
    /// What the change is about.
    #[must_use]
    pub fn subject(&self) -> Subject {
        match self {
            Self::EnsureVolume(spec) => Subject::from(&spec.id),
            Self::GrowVolume(id, _) | Self::RemoveVolume(id) | Self::RollBack(id, _) => {
                Subject::from(id)
            }
            Self::Publish(spec) => Subject::from(&spec.source),
            Self::Unpublish(source) => Subject::from(source),
            Self::EnsureSnapshot(spec) => Subject::from(&spec.id),
            Self::RemoveSnapshot(id) => Subject::from(id),
            Self::EnsureGroupSnapshot(spec) => Subject::from(&spec.id),
            Self::RemoveGroupSnapshot(id) => Subject::from(id),
        }
    }
}

/// The steps a backend would take, in order; none if the state is as wanted already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    subject: Subject,
    steps: Vec<String>,
}

impl Plan {
    /// A plan from steps that say in a few words what each does and to what.
    #[must_use]
    pub fn new(subject: Subject, steps: impl IntoIterator<Item = impl fmt::Display>) -> Self {
        Self { subject, steps: steps.into_iter().map(|step| step.to_string()).collect() }
    }

    /// What is changed.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The steps, in order.
    #[must_use]
    pub fn steps(&self) -> &[String] {
        &self.steps
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.steps.is_empty() {
            return write!(f, "{}: nothing to do", self.subject);
        }
        write!(f, "{}:", self.subject)?;
        for (number, step) in (1..).zip(&self.steps) {
            write!(f, "\n  {number}. {step}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_about_what_it_changes() {
        let (volume, snapshot): (VolumeId, SnapshotId) =
            ("v".parse().unwrap(), "s".parse().unwrap());
        let of_volume = [
            Change::EnsureVolume(VolumeSpec::new(volume.clone(), Bytes::MIB)),
            Change::GrowVolume(volume.clone(), Bytes::MIB),
            Change::Publish(PublishSpec::new(volume.clone())),
            Change::Unpublish(volume.clone().into()),
            Change::RemoveVolume(volume.clone()),
            Change::RollBack(volume.clone(), snapshot.clone()),
        ];
        for change in of_volume {
            assert_eq!(change.subject().to_string(), "volume v", "{change:?}");
        }
        let of_snapshot = [
            Change::EnsureSnapshot(SnapshotSpec::new(snapshot.clone(), volume)),
            Change::RemoveSnapshot(snapshot.clone()),
            Change::Publish(PublishSpec::new(snapshot.clone())),
            Change::Unpublish(snapshot.into()),
        ];
        for change in of_snapshot {
            assert_eq!(change.subject().to_string(), "snapshot s", "{change:?}");
        }
        let group: GroupSnapshotId = "g".parse().unwrap();
        let of_group = [
            Change::EnsureGroupSnapshot(GroupSnapshotSpec::new(group.clone())),
            Change::RemoveGroupSnapshot(group),
        ];
        for change in of_group {
            assert_eq!(change.subject().to_string(), "group snapshot g", "{change:?}");
        }
    }

    #[test]
    fn a_plan_prints_its_steps_in_order_and_numbered() {
        let plan = Plan::new(Subject::Host, ["first", "second"]);
        assert_eq!(plan.to_string(), "this host:\n  1. first\n  2. second");
        let nothing = Plan::new(Subject::Host, Vec::<String>::new());
        assert_eq!(nothing.to_string(), "this host: nothing to do");
        assert!(nothing.is_empty() && !plan.is_empty());
    }
}
