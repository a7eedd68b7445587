//! Making, finding and removing volumes.

use crate::errors::{Answer, Status};
use crate::proto::{
    ControllerGetVolumeRequest, ControllerGetVolumeResponse, CreateVolumeRequest,
    CreateVolumeResponse, DeleteVolumeRequest, DeleteVolumeResponse, ListVolumesRequest,
    ListVolumesResponse, ValidateVolumeCapabilitiesRequest, ValidateVolumeCapabilitiesResponse,
};
use crate::rpc::Rpc;
use crate::service::Driver;

impl Driver {
    /// `CreateVolume`.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` so far.
    pub fn create_volume(&self, _request: &CreateVolumeRequest) -> Answer<CreateVolumeResponse> {
        Err(Status::not_served(Rpc::CreateVolume))
    }

    /// `DeleteVolume`.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` so far.
    pub fn delete_volume(&self, _request: &DeleteVolumeRequest) -> Answer<DeleteVolumeResponse> {
        Err(Status::not_served(Rpc::DeleteVolume))
    }

    /// `ValidateVolumeCapabilities`.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` so far.
    pub fn validate_volume_capabilities(
        &self,
        _request: &ValidateVolumeCapabilitiesRequest,
    ) -> Answer<ValidateVolumeCapabilitiesResponse> {
        Err(Status::not_served(Rpc::ValidateVolumeCapabilities))
    }

    /// `ListVolumes`.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` so far.
    pub fn list_volumes(&self, _request: &ListVolumesRequest) -> Answer<ListVolumesResponse> {
        Err(Status::not_served(Rpc::ListVolumes))
    }

    /// `ControllerGetVolume`.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` so far.
    pub fn controller_get_volume(
        &self,
        _request: &ControllerGetVolumeRequest,
    ) -> Answer<ControllerGetVolumeResponse> {
        Err(Status::not_served(Rpc::ControllerGetVolume))
    }
}
