//! Who the plugin is and what it has.

use super::Driver;
use super::config::Mode;
use crate::errors::Answer;
use crate::proto::plugin_capability::{Service, Type, VolumeExpansion, service, volume_expansion};
use crate::proto::{
    GetPluginCapabilitiesRequest, GetPluginCapabilitiesResponse, GetPluginInfoRequest,
    GetPluginInfoResponse, PluginCapability, ProbeRequest, ProbeResponse,
};

impl Driver {
    /// Its name and version.
    ///
    /// # Errors
    /// None.
    pub fn get_plugin_info(&self, _: &GetPluginInfoRequest) -> Answer<GetPluginInfoResponse> {
        Ok(GetPluginInfoResponse {
            name: self.config.driver_name.clone(),
            vendor_version: self.config.version.clone(),
            manifest: Default::default(),
        })
    }

    /// The services there are.
    ///
    /// # Errors
    /// None.
    pub fn get_plugin_capabilities(
        &self,
        _: &GetPluginCapabilitiesRequest,
    ) -> Answer<GetPluginCapabilitiesResponse> {
        let service = |kind: service::Type| Type::Service(Service { r#type: kind.into() });
        let mut types = vec![
            service(service::Type::ControllerService),
            service(service::Type::VolumeAccessibilityConstraints),
            Type::VolumeExpansion(VolumeExpansion {
                r#type: volume_expansion::Type::Online.into(),
            }),
        ];
        if self.config.mode == Mode::Node && self.has_groups() {
            types.push(service(service::Type::GroupControllerService));
        }
        let capabilities = types.into_iter().map(|kind| PluginCapability { r#type: Some(kind) });
        Ok(GetPluginCapabilitiesResponse { capabilities: capabilities.collect() })
    }

    /// Whether it can work. Each pool is known from its start; one that fails later does not
    /// keep the others from working.
    ///
    /// # Errors
    /// None.
    pub fn probe(&self, _: &ProbeRequest) -> Answer<ProbeResponse> {
        Ok(ProbeResponse { ready: Some(true) })
    }
}
