//! Snapshots of several volumes at one moment.

use crate::errors::{Answer, Status};
use crate::proto::{
    CreateVolumeGroupSnapshotRequest, CreateVolumeGroupSnapshotResponse,
    DeleteVolumeGroupSnapshotRequest, DeleteVolumeGroupSnapshotResponse,
    GetVolumeGroupSnapshotRequest, GetVolumeGroupSnapshotResponse,
    GroupControllerGetCapabilitiesRequest, GroupControllerGetCapabilitiesResponse,
};
use crate::rpc::Rpc;
use crate::service::Driver;

impl Driver {
    /// `GroupControllerGetCapabilities`.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` so far.
    pub fn group_controller_get_capabilities(
        &self,
        _request: &GroupControllerGetCapabilitiesRequest,
    ) -> Answer<GroupControllerGetCapabilitiesResponse> {
        Err(Status::not_served(Rpc::GroupControllerGetCapabilities))
    }

    /// `CreateVolumeGroupSnapshot`.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` so far.
    pub fn create_volume_group_snapshot(
        &self,
        _request: &CreateVolumeGroupSnapshotRequest,
    ) -> Answer<CreateVolumeGroupSnapshotResponse> {
        Err(Status::not_served(Rpc::CreateVolumeGroupSnapshot))
    }

    /// `DeleteVolumeGroupSnapshot`.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` so far.
    pub fn delete_volume_group_snapshot(
        &self,
        _request: &DeleteVolumeGroupSnapshotRequest,
    ) -> Answer<DeleteVolumeGroupSnapshotResponse> {
        Err(Status::not_served(Rpc::DeleteVolumeGroupSnapshot))
    }

    /// `GetVolumeGroupSnapshot`.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` so far.
    pub fn get_volume_group_snapshot(
        &self,
        _request: &GetVolumeGroupSnapshotRequest,
    ) -> Answer<GetVolumeGroupSnapshotResponse> {
        Err(Status::not_served(Rpc::GetVolumeGroupSnapshot))
    }

    /// Whether any pool makes snapshots of several volumes at one moment.
    pub(crate) fn has_groups(&self) -> bool {
        false
    }
}
