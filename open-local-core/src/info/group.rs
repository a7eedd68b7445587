//! Group snapshots as they are.

use std::time::SystemTime;

use super::{Health, Phase, SnapshotInfo};
use crate::ids::{GroupSnapshotId, SnapshotId, VolumeId};
use crate::spec::Tags;

/// Snapshots of several volumes, taken at one moment, as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupSnapshotInfo {
    /// Its name.
    pub id: GroupSnapshotId,
    /// Its members, sorted by name: those that are there. While it is not ready some may be
    /// missing, and none is ready.
    pub members: Vec<SnapshotInfo>,
    /// Whether its members can be written once published.
    pub writable: bool,
    /// When it was taken.
    pub created: SystemTime,
    /// The caller's tags.
    pub tags: Tags,
    /// How far its making or unmaking is.
    pub phase: Phase,
    /// Whether it can be relied on.
    pub health: Health,
}

impl GroupSnapshotInfo {
    /// A ready, healthy, read-only group snapshot without members; set the other fields as they
    /// are.
    #[must_use]
    pub fn new(id: GroupSnapshotId, created: SystemTime) -> Self {
        Self {
            id,
            members: Vec::new(),
            writable: false,
            created,
            tags: Tags::new(),
            phase: Phase::Ready,
            health: Health::Healthy,
        }
    }

    /// The names of its members and of the volumes they are of, as the specification has them.
    pub fn pairs(&self) -> impl Iterator<Item = (&SnapshotId, &VolumeId)> {
        self.members.iter().map(|member| (&member.id, &member.volume))
    }
}
