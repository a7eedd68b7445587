//! The calls of the interface by name.

use std::fmt;

macro_rules! rpcs {
    ($($(#[$doc:meta])* $variant:ident => $service:literal,)*) => {
        /// A call of the Container Storage Interface.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "each value is named after the call it stands for")]
        pub enum Rpc {
            $($(#[$doc])* $variant,)*
        }

        impl Rpc {
            /// Every call, by service.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The call's name as the interface writes it.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($variant),)*
                }
            }

            /// The service it belongs to.
            #[must_use]
            pub const fn service(self) -> &'static str {
                match self {
                    $(Self::$variant => $service,)*
                }
            }
        }
    };
}

rpcs! {
    GetPluginInfo => "Identity",
    GetPluginCapabilities => "Identity",
    Probe => "Identity",
    CreateVolume => "Controller",
    DeleteVolume => "Controller",
    ControllerPublishVolume => "Controller",
    ControllerUnpublishVolume => "Controller",
    ValidateVolumeCapabilities => "Controller",
    ListVolumes => "Controller",
    GetCapacity => "Controller",
    ControllerGetCapabilities => "Controller",
    CreateSnapshot => "Controller",
    DeleteSnapshot => "Controller",
    ListSnapshots => "Controller",
    GetSnapshot => "Controller",
    ControllerExpandVolume => "Controller",
    ControllerGetVolume => "Controller",
    ControllerModifyVolume => "Controller",
    GroupControllerGetCapabilities => "GroupController",
    CreateVolumeGroupSnapshot => "GroupController",
    DeleteVolumeGroupSnapshot => "GroupController",
    GetVolumeGroupSnapshot => "GroupController",
    NodeStageVolume => "Node",
    NodeUnstageVolume => "Node",
    NodePublishVolume => "Node",
    NodeUnpublishVolume => "Node",
    NodeGetVolumeStats => "Node",
    NodeExpandVolume => "Node",
    NodeGetCapabilities => "Node",
    NodeGetInfo => "Node",
}

impl fmt::Display for Rpc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
