//! What the controller can do, and what it has no part in.

use open_local_core::CopyMethod;

use crate::errors::{Answer, Status};
use crate::proto::controller_service_capability::{Rpc as Word, Type, rpc};
use crate::proto::{
    ControllerGetCapabilitiesRequest, ControllerGetCapabilitiesResponse,
    ControllerPublishVolumeRequest, ControllerPublishVolumeResponse, ControllerServiceCapability,
    ControllerUnpublishVolumeRequest, ControllerUnpublishVolumeResponse,
};
use crate::rpc::Rpc;
use crate::service::{Driver, Mode};

impl Driver {
    /// What the controller can do: what the pools can, and no more.
    ///
    /// # Errors
    /// None.
    pub fn controller_get_capabilities(
        &self,
        _: &ControllerGetCapabilitiesRequest,
    ) -> Answer<ControllerGetCapabilitiesResponse> {
        let types = match self.config.mode {
            Mode::Central => vec![rpc::Type::ExpandVolume, rpc::Type::ModifyVolume],
            Mode::Node => self.abilities(),
        };
        let capability = |kind: rpc::Type| ControllerServiceCapability {
            r#type: Some(Type::Rpc(Word { r#type: kind.into() })),
        };
        let capabilities = types.into_iter().map(capability).collect();
        Ok(ControllerGetCapabilitiesResponse { capabilities })
    }

    fn abilities(&self) -> Vec<rpc::Type> {
        let mut types = vec![
            rpc::Type::CreateDeleteVolume,
            rpc::Type::ListVolumes,
            rpc::Type::GetCapacity,
            rpc::Type::VolumeCondition,
            rpc::Type::GetVolume,
            rpc::Type::SingleNodeMultiWriter,
        ];
        let mut add = |can: bool, more: &[rpc::Type]| {
            if can {
                types.extend(more);
            }
        };
        let snapshots =
            [rpc::Type::CreateDeleteSnapshot, rpc::Type::ListSnapshots, rpc::Type::GetSnapshot];
        add(self.pools.has_snapshots(), &snapshots);
        add(self.pools.any(|can| can.clones != CopyMethod::None), &[rpc::Type::CloneVolume]);
        let grows = self.pools.any(|can| can.grow_offline || can.grow_online);
        add(grows, &[rpc::Type::ExpandVolume]);
        add(self.throttle.is_some(), &[rpc::Type::ModifyVolume]);
        types
    }

    /// Not claimed: a volume here needs nobody to attach it.
    ///
    /// # Errors
    /// `UNIMPLEMENTED`.
    pub fn controller_publish_volume(
        &self,
        _: &ControllerPublishVolumeRequest,
    ) -> Answer<ControllerPublishVolumeResponse> {
        Err(Status::not_served(Rpc::ControllerPublishVolume))
    }

    /// Not claimed: a volume here needs nobody to detach it.
    ///
    /// # Errors
    /// `UNIMPLEMENTED`.
    pub fn controller_unpublish_volume(
        &self,
        _: &ControllerUnpublishVolumeRequest,
    ) -> Answer<ControllerUnpublishVolumeResponse> {
        Err(Status::not_served(Rpc::ControllerUnpublishVolume))
    }

    /// Refuses what this process does not serve in its mode.
    pub(in crate::service) fn on_node(&self, rpc: Rpc) -> Answer<()> {
        match self.config.mode {
            Mode::Node => Ok(()),
            Mode::Central => Err(Status::not_served(rpc)),
        }
    }
}
