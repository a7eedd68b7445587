//! A file system fills its grown volume.

use crate::errors::{Answer, Status};
use crate::proto::{NodeExpandVolumeRequest, NodeExpandVolumeResponse};
use crate::rpc::Rpc;
use crate::service::Driver;

impl Driver {
    /// `NodeExpandVolume`.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` so far.
    pub fn node_expand_volume(
        &self,
        _request: &NodeExpandVolumeRequest,
    ) -> Answer<NodeExpandVolumeResponse> {
        Err(Status::not_served(Rpc::NodeExpandVolume))
    }
}
