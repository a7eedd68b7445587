//! The [`GroupSnapshots`] trait: snapshots of several volumes at one moment.

use std::fmt::Debug;

use crate::error::Result;
use crate::ids::GroupSnapshotId;
use crate::info::GroupSnapshotInfo;
use crate::outcome::{Ensured, Removed};
use crate::spec::GroupSnapshotSpec;

/// Group snapshots of one pool.
///
/// A group snapshot keeps several volumes as they all were at one moment: what one of them held
/// before a write to another one is there, if that write is. Its members are ordinary snapshots,
/// listed, published and restored as all are; [`crate::SnapshotInfo::group`] names their group. A
/// member is not removed alone: `Snapshots::remove_snapshot` answers `Busy` and names the group.
///
/// All or nothing: a member is not ready before its group is, and an interrupted call is finished
/// or undone by the next one.
///
/// Feature `snapshot`.
pub trait GroupSnapshots: Debug + Send + Sync {
    /// Makes sure the group snapshot exists.
    ///
    /// # Idempotency
    /// The same specification again, its members in any order, answers [`Ensured::Unchanged`] with
    /// the content of the first time, also if a volume has gone since. Made again after an
    /// interruption it is taken anew, as a whole.
    ///
    /// # Errors
    /// `Conflict` naming the field if the name stands for other members, another mode or other
    /// tags, or the name of a member for a snapshot that is none of this group;
    /// `InvalidArgument` as [`GroupSnapshotSpec::validate`], `NotFound` for a missing volume,
    /// `Busy` if a published volume can't be held still, `OutOfSpace`. Nothing is made then.
    fn ensure_group_snapshot(&self, spec: &GroupSnapshotSpec)
    -> Result<Ensured<GroupSnapshotInfo>>;

    /// One group snapshot as it is now.
    ///
    /// # Errors
    /// `NotFound` if there is none of this name.
    fn group_snapshot(&self, id: &GroupSnapshotId) -> Result<GroupSnapshotInfo>;

    /// All group snapshots, sorted by name.
    ///
    /// # Errors
    /// `Corrupt` if the pool's state can't be read; one damaged group is listed with its health,
    /// not an error.
    fn list_group_snapshots(&self) -> Result<Vec<GroupSnapshotInfo>>;

    /// Removes the group snapshot with all its members. Volumes made from them stay.
    ///
    /// # Idempotency
    /// An unknown group snapshot answers [`Removed::WasAbsent`].
    ///
    /// # Errors
    /// `Busy` while a member is published or being copied from; all of it stays.
    fn remove_group_snapshot(&self, id: &GroupSnapshotId) -> Result<Removed<GroupSnapshotInfo>>;
}
