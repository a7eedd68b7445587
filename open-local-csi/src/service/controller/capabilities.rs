//! What the controller can do.

use crate::errors::{Answer, Status};
use crate::proto::{
    ControllerGetCapabilitiesRequest, ControllerGetCapabilitiesResponse,
    ControllerPublishVolumeRequest, ControllerPublishVolumeResponse,
    ControllerUnpublishVolumeRequest, ControllerUnpublishVolumeResponse,
};
use crate::rpc::Rpc;
use crate::service::Driver;

impl Driver {
    /// `ControllerGetCapabilities`.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` so far.
    pub fn controller_get_capabilities(
        &self,
        _request: &ControllerGetCapabilitiesRequest,
    ) -> Answer<ControllerGetCapabilitiesResponse> {
        Err(Status::not_served(Rpc::ControllerGetCapabilities))
    }

    /// `ControllerPublishVolume`.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` so far.
    pub fn controller_publish_volume(
        &self,
        _request: &ControllerPublishVolumeRequest,
    ) -> Answer<ControllerPublishVolumeResponse> {
        Err(Status::not_served(Rpc::ControllerPublishVolume))
    }

    /// `ControllerUnpublishVolume`.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` so far.
    pub fn controller_unpublish_volume(
        &self,
        _request: &ControllerUnpublishVolumeRequest,
    ) -> Answer<ControllerUnpublishVolumeResponse> {
        Err(Status::not_served(Rpc::ControllerUnpublishVolume))
    }
}
