//! A volume becomes visible to a pod.

use crate::errors::{Answer, Status};
use crate::proto::{
    NodePublishVolumeRequest, NodePublishVolumeResponse, NodeUnpublishVolumeRequest,
    NodeUnpublishVolumeResponse,
};
use crate::rpc::Rpc;
use crate::service::Driver;

impl Driver {
    /// `NodePublishVolume`.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` so far.
    pub fn node_publish_volume(
        &self,
        _request: &NodePublishVolumeRequest,
    ) -> Answer<NodePublishVolumeResponse> {
        Err(Status::not_served(Rpc::NodePublishVolume))
    }

    /// `NodeUnpublishVolume`.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` so far.
    pub fn node_unpublish_volume(
        &self,
        _request: &NodeUnpublishVolumeRequest,
    ) -> Answer<NodeUnpublishVolumeResponse> {
        Err(Status::not_served(Rpc::NodeUnpublishVolume))
    }
}
