//! Growth, as the controller sees it.

use crate::errors::{Answer, Status};
use crate::proto::{ControllerExpandVolumeRequest, ControllerExpandVolumeResponse};
use crate::rpc::Rpc;
use crate::service::Driver;

impl Driver {
    /// `ControllerExpandVolume`.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` so far.
    pub fn controller_expand_volume(
        &self,
        _request: &ControllerExpandVolumeRequest,
    ) -> Answer<ControllerExpandVolumeResponse> {
        Err(Status::not_served(Rpc::ControllerExpandVolume))
    }
}
