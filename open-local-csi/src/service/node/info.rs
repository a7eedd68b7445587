//! What this node is and can do.

use crate::errors::Answer;
use crate::proto::node_service_capability::{Rpc as Word, Type, rpc};
use crate::proto::{
    NodeGetCapabilitiesRequest, NodeGetCapabilitiesResponse, NodeGetInfoRequest,
    NodeGetInfoResponse, NodeServiceCapability,
};
use crate::rpc::Rpc;
use crate::service::Driver;

/// All of them but the mount group, which would switch off the kubelet's own change of owners.
const ABILITIES: [rpc::Type; 5] = [
    rpc::Type::StageUnstageVolume,
    rpc::Type::GetVolumeStats,
    rpc::Type::ExpandVolume,
    rpc::Type::VolumeCondition,
    rpc::Type::SingleNodeMultiWriter,
];

impl Driver {
    /// What this node can do.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` in the central mode.
    pub fn node_get_capabilities(
        &self,
        _: &NodeGetCapabilitiesRequest,
    ) -> Answer<NodeGetCapabilitiesResponse> {
        self.on_node(Rpc::NodeGetCapabilities)?;
        let capability = |kind: rpc::Type| NodeServiceCapability {
            r#type: Some(Type::Rpc(Word { r#type: kind.into() })),
        };
        Ok(NodeGetCapabilitiesResponse {
            capabilities: ABILITIES.into_iter().map(capability).collect(),
        })
    }

    /// Its name, its place, and how many volumes it takes.
    ///
    /// # Errors
    /// `UNIMPLEMENTED` in the central mode.
    pub fn node_get_info(&self, _: &NodeGetInfoRequest) -> Answer<NodeGetInfoResponse> {
        self.on_node(Rpc::NodeGetInfo)?;
        Ok(NodeGetInfoResponse {
            node_id: self.config.node.clone(),
            max_volumes_per_node: i64::from(self.config.max_volumes),
            accessible_topology: Some(self.config.topology.message()),
        })
    }
}
