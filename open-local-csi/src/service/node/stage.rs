//! A volume is mounted once on its node.

use crate::errors::{Answer, Status};
use crate::proto::{
    NodeStageVolumeRequest, NodeStageVolumeResponse, NodeUnstageVolumeRequest,
    NodeUnstageVolumeResponse,
};
use crate::rpc::Rpc;
use crate::service::Driver;

impl Driver {
    /// `NodeStageVolume`.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` so far.
    pub fn node_stage_volume(
        &self,
        _request: &NodeStageVolumeRequest,
    ) -> Answer<NodeStageVolumeResponse> {
        Err(Status::not_served(Rpc::NodeStageVolume))
    }

    /// `NodeUnstageVolume`.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` so far.
    pub fn node_unstage_volume(
        &self,
        _request: &NodeUnstageVolumeRequest,
    ) -> Answer<NodeUnstageVolumeResponse> {
        Err(Status::not_served(Rpc::NodeUnstageVolume))
    }
}
