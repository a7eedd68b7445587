//! Requests about snapshots.

use crate::errors::Answer;
use crate::names::{SnapshotHandle, VolumeHandle, WantedSnapshot};
use crate::parameters::SnapshotClass;
use crate::proto;

use super::listing::Page;

/// A snapshot that should exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateSnapshot {
    /// Its name and id.
    pub wanted: WantedSnapshot,
    /// Of which volume.
    pub volume: VolumeHandle,
    /// What its class asks for.
    pub class: SnapshotClass,
}

impl CreateSnapshot {
    /// Checks a request.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming the field or key; secrets of a copy in S3 are refused.
    pub fn read(message: &proto::CreateSnapshotRequest) -> Answer<Self> {
        let wanted = WantedSnapshot::new("name", &message.name)?;
        let volume = VolumeHandle::new("source_volume_id", &message.source_volume_id)?;
        crate::parameters::refuse_copies(&message.secrets)?;
        let class = SnapshotClass::read("parameters", &message.parameters)?;
        Ok(Self { wanted, volume, class })
    }
}

/// A snapshot that should go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteSnapshot {
    /// Which.
    pub snapshot: SnapshotHandle,
}

impl DeleteSnapshot {
    /// Checks a request.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming the field.
    pub fn read(message: &proto::DeleteSnapshotRequest) -> Answer<Self> {
        Ok(Self { snapshot: SnapshotHandle::new("snapshot_id", &message.snapshot_id)? })
    }
}

/// Snapshots that are asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListSnapshots {
    /// Which part of the list.
    pub page: Page,
    /// Only those of this volume.
    pub of: Option<VolumeHandle>,
    /// Only this one.
    pub only: Option<SnapshotHandle>,
}

impl ListSnapshots {
    /// Checks a request.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming the field, `ABORTED` for an unknown token.
    pub fn read(message: &proto::ListSnapshotsRequest) -> Answer<Self> {
        let (volume, snapshot) = (&message.source_volume_id, &message.snapshot_id);
        let of = (!volume.is_empty()).then(|| VolumeHandle::new("source_volume_id", volume));
        let only = (!snapshot.is_empty()).then(|| SnapshotHandle::new("snapshot_id", snapshot));
        Ok(Self {
            page: Page::read(message.max_entries, &message.starting_token)?,
            of: of.transpose()?,
            only: only.transpose()?,
        })
    }
}
