//! What this node is and can do.

use crate::errors::{Answer, Status};
use crate::proto::{
    NodeGetCapabilitiesRequest, NodeGetCapabilitiesResponse, NodeGetInfoRequest,
    NodeGetInfoResponse,
};
use crate::rpc::Rpc;
use crate::service::Driver;

impl Driver {
    /// `NodeGetCapabilities`.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` so far.
    pub fn node_get_capabilities(
        &self,
        _request: &NodeGetCapabilitiesRequest,
    ) -> Answer<NodeGetCapabilitiesResponse> {
        Err(Status::not_served(Rpc::NodeGetCapabilities))
    }

    /// `NodeGetInfo`.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` so far.
    pub fn node_get_info(&self, _request: &NodeGetInfoRequest) -> Answer<NodeGetInfoResponse> {
        Err(Status::not_served(Rpc::NodeGetInfo))
    }
}
