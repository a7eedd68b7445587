//! Snapshots of several volumes at one moment.

use std::collections::BTreeSet;

use open_local_core::{GroupSnapshotInfo, GroupSnapshotSpec, Phase, Tags, VolumeId};

use super::answers::{snapshot_of, timestamp};
use super::snapshots::require_room;
use crate::errors::{Answer, Code, Status};
use crate::names::{NAME_TAG, member_of_group};
use crate::proto::group_controller_service_capability::{Rpc as Word, Type, rpc};
use crate::proto::{
    CreateVolumeGroupSnapshotRequest, CreateVolumeGroupSnapshotResponse,
    DeleteVolumeGroupSnapshotRequest, DeleteVolumeGroupSnapshotResponse,
    GetVolumeGroupSnapshotRequest, GetVolumeGroupSnapshotResponse,
    GroupControllerGetCapabilitiesRequest, GroupControllerGetCapabilitiesResponse,
    GroupControllerServiceCapability, VolumeGroupSnapshot,
};
use crate::request::{CreateGroup, NamedGroup};
use crate::rpc::Rpc;
use crate::service::{Driver, PoolEntry};

impl Driver {
    /// What this node can do with groups.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` in the central mode.
    pub fn group_controller_get_capabilities(
        &self,
        _: &GroupControllerGetCapabilitiesRequest,
    ) -> Answer<GroupControllerGetCapabilitiesResponse> {
        self.on_node(Rpc::GroupControllerGetCapabilities)?;
        let kind = rpc::Type::CreateDeleteGetVolumeGroupSnapshot;
        let all = self.has_groups().then(|| GroupControllerServiceCapability {
            r#type: Some(Type::Rpc(Word { r#type: kind.into() })),
        });
        Ok(GroupControllerGetCapabilitiesResponse { capabilities: all.into_iter().collect() })
    }

    /// Makes sure there are snapshots of several volumes of one pool, of one moment.
    ///
    /// # Idempotency
    /// The same request again answers the same snapshots with their first content.
    ///
    /// # Errors
    /// `NOT_FOUND` for a missing volume; `ALREADY_EXISTS` if the name stands for a group of other
    /// volumes; `FAILED_PRECONDITION` for volumes of several pools, or of a pool without groups;
    /// `RESOURCE_EXHAUSTED`; `ABORTED` if a volume can't be held still just now.
    pub fn create_volume_group_snapshot(
        &self,
        request: &CreateVolumeGroupSnapshotRequest,
    ) -> Answer<CreateVolumeGroupSnapshotResponse> {
        let rpc = Rpc::CreateVolumeGroupSnapshot;
        self.on_node(rpc)?;
        let request = CreateGroup::read(request)?;
        let id = &request.wanted.id;
        let _turn = self.inflight.begin("group snapshot", id)?;
        let (entry, spec) = match self.pools.group(id)? {
            Some(found) => {
                compare(&request, &found.object)?;
                if found.object.phase == Phase::Ready {
                    let group_snapshot = Some(message(&found.object));
                    return Ok(CreateVolumeGroupSnapshotResponse { group_snapshot });
                }
                let members = ids(&request)?;
                let mut spec = specification(&request, &members, found.object.writable)?;
                spec.tags.clone_from(&found.object.tags);
                (found.entry, spec)
            }
            None => {
                let (entry, members) = self.members(&request)?;
                let writable =
                    !request.class.read_only && entry.pool.capabilities().writable_snapshots;
                let spec = specification(&request, &members, writable)?;
                (entry, spec)
            }
        };
        let Some(groups) = entry.pool.group_snapshots() else {
            let message = format!("pool {} has no group snapshots", entry.name);
            return Err(Status::new(Code::FailedPrecondition, message));
        };
        let made = groups.ensure_group_snapshot(&spec);
        let made = made.map_err(|e| {
            let volumes: Vec<VolumeId> =
                spec.members.iter().map(|(_, volume)| volume.clone()).collect();
            self.refused_snapshot(rpc, &entry, &volumes, &request.class, &e)
        })?;
        tracing::info!(group = %id, pool = %entry.name, "group snapshot made");
        let group_snapshot = Some(message(&made.into_inner()));
        Ok(CreateVolumeGroupSnapshotResponse { group_snapshot })
    }

    /// The one pool of all volumes of a group, and their ids.
    fn members(&self, request: &CreateGroup) -> Answer<(PoolEntry, Vec<VolumeId>)> {
        let mut pool: Option<PoolEntry> = None;
        let (mut ids, mut sizes) = (Vec::new(), Vec::new());
        for volume in &request.volumes {
            let found = self.existing(volume)?;
            self.refuse_inline(&found.entry, &found.object)?;
            if let Some(first) = pool.as_ref().filter(|first| first.name != found.entry.name) {
                let message = format!(
                    "the volumes are in pools {} and {}; a group is of one pool",
                    first.name, found.entry.name
                );
                return Err(Status::new(Code::FailedPrecondition, message));
            }
            ids.push(found.object.id);
            sizes.push(found.object.size);
            pool = Some(found.entry);
        }
        let pool = pool.ok_or_else(|| Status::invalid("source_volume_ids", "is missing"))?;
        require_room(Rpc::CreateVolumeGroupSnapshot, &pool, &request.class, &sizes)?;
        Ok((pool, ids))
    }

    /// Removes a group snapshot with its snapshots.
    ///
    /// # Idempotency
    /// A group that no pool has is gone, if every pool could be read that this node has served.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` if the snapshots named are not those of the group;
    /// `FAILED_PRECONDITION` while one is in use; `UNAVAILABLE` if a pool can't be read, or one
    /// that was served is not served now.
    pub fn delete_volume_group_snapshot(
        &self,
        request: &DeleteVolumeGroupSnapshotRequest,
    ) -> Answer<DeleteVolumeGroupSnapshotResponse> {
        let rpc = Rpc::DeleteVolumeGroupSnapshot;
        self.on_node(rpc)?;
        let request = NamedGroup::delete(request)?;
        let Some(id) = &request.group.id else {
            return Ok(DeleteVolumeGroupSnapshotResponse {});
        };
        let _turn = self.inflight.begin("group snapshot", id)?;
        if let Some(found) = self.pools.group(id)?
            && let Some(groups) = found.entry.pool.group_snapshots()
        {
            // While it is being made or unmade, members are missing.
            if found.object.phase == Phase::Ready {
                same_members(&request, &found.object)?;
            }
            let removed = groups.remove_group_snapshot(id);
            let _ = removed.map_err(|e| Status::of(rpc, &e))?;
            tracing::info!(group = %id, pool = %found.entry.name, "group snapshot removed");
            return Ok(DeleteVolumeGroupSnapshotResponse {});
        }
        self.refuse_unserved(rpc, &format!("group snapshot {id}"))?;
        Ok(DeleteVolumeGroupSnapshotResponse {})
    }

    /// One group snapshot.
    ///
    /// # Errors
    /// `NOT_FOUND`; `INVALID_ARGUMENT` if the snapshots named are not those of the group;
    /// `UNAVAILABLE` if a pool can't be read.
    pub fn get_volume_group_snapshot(
        &self,
        request: &GetVolumeGroupSnapshotRequest,
    ) -> Answer<GetVolumeGroupSnapshotResponse> {
        self.on_node(Rpc::GetVolumeGroupSnapshot)?;
        let request = NamedGroup::get(request)?;
        let found = match &request.group.id {
            Some(id) => self.pools.group(id)?,
            None => None,
        };
        let found = found.ok_or_else(|| {
            let shown = open_local_core::Subject::value(&request.group.text);
            Status::not_found(format!("there is no group snapshot {shown} on this node"))
        })?;
        same_members(&request, &found.object)?;
        Ok(GetVolumeGroupSnapshotResponse { group_snapshot: Some(message(&found.object)) })
    }

    /// Whether any pool makes snapshots of several volumes at one moment.
    pub(in crate::service) fn has_groups(&self) -> bool {
        self.pools.iter().any(|entry| entry.pool.group_snapshots().is_some())
    }
}

fn ids(request: &CreateGroup) -> Answer<Vec<VolumeId>> {
    let missing = |text: &str| {
        Status::not_found(format!("there is no volume {}", open_local_core::Subject::value(text)))
    };
    let ids = request.volumes.iter();
    ids.map(|volume| volume.id.clone().ok_or_else(|| missing(&volume.text))).collect()
}

fn specification(
    request: &CreateGroup,
    members: &[VolumeId],
    writable: bool,
) -> Answer<GroupSnapshotSpec> {
    let mut spec = GroupSnapshotSpec::new(request.wanted.id.clone());
    for volume in members {
        let snapshot = member_of_group(&request.wanted.name, volume.as_str())?;
        spec = spec.with_member(snapshot, volume.clone());
    }
    spec.writable = writable;
    if request.wanted.name != request.wanted.id.as_str() {
        spec.tags = Tags::from([(NAME_TAG.to_owned(), request.wanted.name.clone())]);
    }
    if !request.class.freeze {
        spec = spec.with_parameter("freeze", "false");
    }
    Ok(spec)
}

/// Refuses another group of the same name, naming what differs.
fn compare(request: &CreateGroup, group: &GroupSnapshotInfo) -> Answer<()> {
    let differs = |what: &str| {
        let message = format!("group snapshot {} is there and differs: {what}", group.id);
        Err(Status::new(Code::AlreadyExists, message))
    };
    if group.tags.get(NAME_TAG).is_some_and(|name| *name != request.wanted.name) {
        return differs("its name is another one");
    }
    let asked: BTreeSet<&str> = request.volumes.iter().map(|one| one.text.as_str()).collect();
    let there: BTreeSet<&str> = group.pairs().map(|(_, volume)| volume.as_str()).collect();
    let complete = group.phase == Phase::Ready;
    if complete && asked != there || !there.is_subset(&asked) {
        return differs("it is of other volumes");
    }
    Ok(())
}

/// Refuses a list of snapshots that is not the group's.
fn same_members(request: &NamedGroup, group: &GroupSnapshotInfo) -> Answer<()> {
    if request.snapshots.is_empty() {
        return Ok(());
    }
    let asked: BTreeSet<&str> = request.snapshots.iter().map(|one| one.text.as_str()).collect();
    let there: BTreeSet<&str> = group.pairs().map(|(snapshot, _)| snapshot.as_str()).collect();
    if asked != there {
        let what = format!("are not those of group snapshot {}", group.id);
        return Err(Status::invalid("snapshot_ids", what));
    }
    Ok(())
}

fn message(group: &GroupSnapshotInfo) -> VolumeGroupSnapshot {
    VolumeGroupSnapshot {
        group_snapshot_id: group.id.to_string(),
        snapshots: group.members.iter().map(snapshot_of).collect(),
        creation_time: Some(timestamp(group.created)),
        ready_to_use: group.phase == Phase::Ready,
    }
}
