//! Requests about snapshots of several volumes at one moment.

use std::collections::BTreeSet;

use crate::errors::{Answer, Status};
use crate::names::{GroupHandle, SnapshotHandle, VolumeHandle, WantedGroup};
use crate::parameters::SnapshotClass;
use crate::proto;

/// Most volumes of one group.
const MAX_MEMBERS: usize = 64;

/// A group snapshot that should exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateGroup {
    /// Its name and id.
    pub wanted: WantedGroup,
    /// The volumes, sorted, each once.
    pub volumes: Vec<VolumeHandle>,
    /// What its class asks for.
    pub class: SnapshotClass,
}

impl CreateGroup {
    /// Checks a request.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming the field or key; a volume that is named twice is one.
    pub fn read(message: &proto::CreateVolumeGroupSnapshotRequest) -> Answer<Self> {
        let wanted = WantedGroup::new("name", &message.name)?;
        let field = "source_volume_ids";
        if message.source_volume_ids.is_empty() {
            return Err(Status::invalid(field, "is missing"));
        }
        crate::parameters::refuse_copies(&message.secrets)?;
        let volumes = unique(field, &message.source_volume_ids, VolumeHandle::new)?;
        let class = SnapshotClass::read("parameters", &message.parameters)?;
        Ok(Self { wanted, volumes, class })
    }
}

/// A group snapshot that is spoken of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedGroup {
    /// Which.
    pub group: GroupHandle,
    /// The snapshots the orchestrator takes it for, sorted, each once; none if it does not say.
    pub snapshots: Vec<SnapshotHandle>,
}

impl NamedGroup {
    /// Checks a request to remove it.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming the field.
    pub fn delete(message: &proto::DeleteVolumeGroupSnapshotRequest) -> Answer<Self> {
        Self::read(&message.group_snapshot_id, &message.snapshot_ids)
    }

    /// Checks a question about it.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` naming the field.
    pub fn get(message: &proto::GetVolumeGroupSnapshotRequest) -> Answer<Self> {
        Self::read(&message.group_snapshot_id, &message.snapshot_ids)
    }

    fn read(group: &str, snapshots: &[String]) -> Answer<Self> {
        Ok(Self {
            group: GroupHandle::new("group_snapshot_id", group)?,
            snapshots: unique("snapshot_ids", snapshots, SnapshotHandle::new)?,
        })
    }
}

fn unique<T: Ord>(
    field: &str,
    texts: &[String],
    read: impl Fn(&str, &str) -> Answer<T>,
) -> Answer<Vec<T>> {
    if texts.len() > MAX_MEMBERS {
        let what = format!("has {} entries, more than {MAX_MEMBERS}", texts.len());
        return Err(Status::invalid(field, what));
    }
    let numbered = texts.iter().enumerate();
    let all: BTreeSet<T> =
        numbered.map(|(at, text)| read(&format!("{field}[{at}]"), text)).collect::<Answer<_>>()?;
    if all.len() != texts.len() {
        return Err(Status::invalid(field, "names something twice"));
    }
    Ok(all.into_iter().collect())
}
