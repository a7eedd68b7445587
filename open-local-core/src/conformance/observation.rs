//! Everything a pool shows, in a form that can be compared between two runs.

#[cfg(feature = "snapshot")]
use std::time::SystemTime;

use super::case::Checked;
use super::lab::Lab;
use crate::device::DeviceNumber;
use crate::info::{Attachment, VolumeInfo};
use crate::units::Bytes;

/// What a pool shows, without what may differ from run to run: device nodes, times, bytes really
/// taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Observation {
    volumes: Vec<VolumeInfo>,
    #[cfg(feature = "snapshot")]
    snapshots: Vec<crate::SnapshotInfo>,
    #[cfg(feature = "snapshot")]
    groups: Vec<crate::GroupSnapshotInfo>,
    total: Bytes,
    promised: Bytes,
    available: Bytes,
    largest: Bytes,
}

fn anywhere(attachment: Attachment) -> Attachment {
    let read_only = attachment.read_only;
    Attachment::new(attachment.source, "", DeviceNumber::new(0, 0), attachment.block_size)
        .with_read_only(read_only)
}

impl Observation {
    pub(crate) fn of(lab: &Lab<'_>) -> Checked<Self> {
        let mut volumes = lab.pool().volumes()?;
        for volume in &mut volumes {
            volume.allocated = None;
            volume.attachment = volume.attachment.take().map(anywhere);
        }
        let room = lab.capacity()?;
        Ok(Self {
            volumes,
            #[cfg(feature = "snapshot")]
            snapshots: snapshots(lab)?,
            #[cfg(feature = "snapshot")]
            groups: groups(lab)?,
            total: room.total,
            promised: room.promised,
            available: room.available,
            largest: room.largest,
        })
    }
}

#[cfg(feature = "snapshot")]
fn snapshots(lab: &Lab<'_>) -> Checked<Vec<crate::SnapshotInfo>> {
    let Some(snapshots) = lab.pool().snapshots() else {
        return Ok(Vec::new());
    };
    let list = snapshots.list_snapshots(None)?;
    Ok(list.into_iter().map(timeless).collect())
}

#[cfg(feature = "snapshot")]
fn timeless(mut snapshot: crate::SnapshotInfo) -> crate::SnapshotInfo {
    snapshot.allocated = None;
    snapshot.created = SystemTime::UNIX_EPOCH;
    snapshot.attachment = snapshot.attachment.take().map(anywhere);
    snapshot
}

#[cfg(feature = "snapshot")]
fn groups(lab: &Lab<'_>) -> Checked<Vec<crate::GroupSnapshotInfo>> {
    let Some(groups) = lab.pool().group_snapshots() else {
        return Ok(Vec::new());
    };
    let mut list = groups.list_group_snapshots()?;
    for group in &mut list {
        group.created = SystemTime::UNIX_EPOCH;
        group.members = std::mem::take(&mut group.members).into_iter().map(timeless).collect();
    }
    Ok(list)
}
