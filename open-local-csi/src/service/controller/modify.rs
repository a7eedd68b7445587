//! Limits that change.

use crate::errors::{Answer, Status};
use crate::proto::{ControllerModifyVolumeRequest, ControllerModifyVolumeResponse};
use crate::rpc::Rpc;
use crate::service::Driver;

impl Driver {
    /// `ControllerModifyVolume`.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` so far.
    pub fn controller_modify_volume(
        &self,
        _request: &ControllerModifyVolumeRequest,
    ) -> Answer<ControllerModifyVolumeResponse> {
        Err(Status::not_served(Rpc::ControllerModifyVolume))
    }
}
