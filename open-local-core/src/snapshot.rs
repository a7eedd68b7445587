//! The [`Snapshots`] trait: point-in-time copies of volumes of one pool.

use std::fmt::Debug;

use crate::error::Result;
use crate::ids::{SnapshotId, VolumeId};
use crate::info::{SnapshotInfo, VolumeInfo};
use crate::outcome::{Ensured, Removed};
use crate::spec::SnapshotSpec;

/// Snapshots of volumes of one pool.
///
/// A restore or a clone is [`crate::Pool::ensure_volume`] with a source; a snapshot is attached
/// with [`crate::Pool::publish`]. A snapshot outlives its volume where
/// [`crate::Capabilities::snapshots_outlive`] says so, and else holds it.
///
/// Feature `snapshot`.
pub trait Snapshots: Debug + Send + Sync {
    /// Makes sure the snapshot exists.
    ///
    /// # Idempotency
    /// The same specification again answers [`Ensured::Unchanged`] with the content as it was
    /// when the snapshot was first taken, also if the volume has gone since.
    ///
    /// # Errors
    /// `Conflict` if the name stands for a snapshot of another volume or mode, `NotFound` for a
    /// missing volume, `Busy` if a published volume can't be held still, `OutOfSpace`.
    fn ensure_snapshot(&self, spec: &SnapshotSpec) -> Result<Ensured<SnapshotInfo>>;

    /// One snapshot as it is now.
    ///
    /// # Errors
    /// `NotFound` if there is none of this name.
    fn snapshot(&self, id: &SnapshotId) -> Result<SnapshotInfo>;

    /// All snapshots, sorted by name; those of one volume where one is named.
    ///
    /// # Errors
    /// `Corrupt` if the pool's state can't be read.
    fn list_snapshots(&self, of: Option<&VolumeId>) -> Result<Vec<SnapshotInfo>>;

    /// Gives the volume the content of its snapshot. A volume that has grown keeps its size;
    /// what lies beyond the snapshot reads as zeroes.
    ///
    /// # Idempotency
    /// Made again after an interruption it finishes; made again after success it discards what
    /// was written since.
    ///
    /// # Errors
    /// `Busy` while the volume is published, `NotFound`, `Conflict` if the snapshot is of another
    /// volume, `OutOfSpace`.
    fn roll_back(&self, volume: &VolumeId, snapshot: &SnapshotId) -> Result<VolumeInfo>;

    /// Removes the snapshot. Volumes made from it stay.
    ///
    /// # Idempotency
    /// An unknown snapshot answers [`Removed::WasAbsent`].
    ///
    /// # Errors
    /// `Busy` while it is published or being copied from.
    fn remove_snapshot(&self, id: &SnapshotId) -> Result<Removed<SnapshotInfo>>;
}
