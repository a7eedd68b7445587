//! The commands of `csi-client`, one a call of the interface.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use open_local_core::Bytes;
use open_local_csi::Rpc;

use super::way::Use;
use crate::cli::values::pair;

/// Secrets of a call.
#[derive(Debug, Clone, Args)]
pub struct Secrets {
    /// A secret as KEY=FILE: its value is what the file holds; may be repeated
    #[arg(long = "secret", value_name = "KEY=FILE", value_parser = pair)]
    pub secrets: Vec<(String, String)>,
}

/// What is handed from call to call with a volume.
#[derive(Debug, Clone, Args)]
pub struct Told {
    /// A pair of the context that CreateVolume answered; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub context: Vec<(String, String)>,
    /// The answer of `create --output json`, whose context is taken
    #[arg(long, value_name = "FILE", conflicts_with = "context")]
    pub context_from: Option<PathBuf>,
    /// A pair of the context that ControllerPublishVolume answered; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub publish_context: Vec<(String, String)>,
}

/// How a volume is used, with all that is handed to the calls that show it.
#[derive(Debug, Clone, Args)]
pub struct Handed {
    #[command(flatten)]
    pub(super) way: Use,
    #[command(flatten)]
    pub(super) told: Told,
    #[command(flatten)]
    pub(super) secrets: Secrets,
}

/// Arguments of `create`.
#[derive(Debug, Clone, Args)]
pub struct Create {
    /// The name to ask for; the answer has the id
    pub name: String,
    /// The least size
    #[arg(long, value_name = "SIZE")]
    pub size: Option<Bytes>,
    /// The most size
    #[arg(long, value_name = "SIZE")]
    pub limit: Option<Bytes>,
    /// How it is to be used
    #[command(flatten)]
    pub way: Use,
    /// A parameter, as of a StorageClass; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub parameter: Vec<(String, String)>,
    /// A mutable parameter, as of a VolumeAttributesClass; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub mutable: Vec<(String, String)>,
    /// Filled with the content of this snapshot
    #[arg(long, value_name = "SNAPSHOT", conflicts_with = "from_volume")]
    pub from_snapshot: Option<String>,
    /// Filled with the content of this volume
    #[arg(long, value_name = "VOLUME")]
    pub from_volume: Option<String>,
    /// A place it must be reachable from; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub topology: Vec<(String, String)>,
    #[command(flatten)]
    pub(super) secrets: Secrets,
}

/// Arguments of lists.
#[derive(Debug, Clone, Args)]
pub struct Page {
    /// Most entries of the answer; 0 is all
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub max_entries: u32,
    /// Where to go on: the token that the list before ended with
    #[arg(long, value_name = "TOKEN", default_value = "")]
    pub token: String,
}

/// Arguments of `node-expand`.
#[derive(Debug, Clone, Args)]
pub struct NodeExpand {
    /// The volume
    pub id: String,
    /// Where it is staged or published
    #[arg(long, value_name = "PATH")]
    pub path: String,
    /// The least size; all of the volume unless given
    #[arg(long, value_name = "SIZE")]
    pub size: Option<Bytes>,
    /// Where it is staged
    #[arg(long, value_name = "PATH", default_value = "")]
    pub staging: String,
    #[command(flatten)]
    pub(super) way: Use,
    #[command(flatten)]
    pub(super) secrets: Secrets,
}

/// Arguments of `stage`.
#[derive(Debug, Clone, Args)]
pub struct Stage {
    /// The volume
    pub id: String,
    /// Where; the folder must exist
    #[arg(long, value_name = "PATH")]
    pub staging: String,
    #[command(flatten)]
    pub(super) handed: Handed,
}

/// Arguments of `publish`.
#[derive(Debug, Clone, Args)]
pub struct Publish {
    /// The volume
    pub id: String,
    /// Where; only the folder above it must exist
    #[arg(long, value_name = "PATH")]
    pub target: String,
    /// Where it is staged
    #[arg(long, value_name = "PATH", default_value = "")]
    pub staging: String,
    /// For reading only
    #[arg(long)]
    pub read_only: bool,
    #[command(flatten)]
    pub(super) handed: Handed,
}

/// Arguments of `controller-publish`.
#[derive(Debug, Clone, Args)]
pub struct Attach {
    /// The volume
    pub id: String,
    /// The node
    #[arg(long, value_name = "NODE")]
    pub node: String,
    /// For reading only
    #[arg(long)]
    pub read_only: bool,
    #[command(flatten)]
    pub(super) handed: Handed,
}

/// A call.
#[derive(Debug, Clone, Subcommand)]
pub enum Call {
    /// Ask whether the driver is ready
    Probe,
    /// Name and version of the driver
    Info,
    /// Everything the driver says it can do, of all its services
    Capabilities,
    /// Name and place of the node, and how many volumes it takes
    NodeInfo,
    /// Make a volume
    Create(Box<Create>),
    /// Delete a volume
    Delete {
        /// The volume
        id: String,
        /// Secrets
        #[command(flatten)]
        secrets: Secrets,
    },
    /// List volumes
    List(Page),
    /// Show a volume and its condition
    Get {
        /// The volume
        id: String,
    },
    /// Ask whether a volume can be used in a way
    Validate {
        /// The volume
        id: String,
        /// The way
        #[command(flatten)]
        way: Use,
        /// A parameter it was made with; may be repeated
        #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
        parameter: Vec<(String, String)>,
    },
    /// Ask how much room there is
    Capacity {
        /// A parameter, as of a StorageClass; may be repeated
        #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
        parameter: Vec<(String, String)>,
        /// A place; may be repeated
        #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
        topology: Vec<(String, String)>,
    },
    /// Grow a volume, the controller's part
    Expand {
        /// The volume
        id: String,
        /// The least size
        #[arg(long, value_name = "SIZE")]
        size: Bytes,
        /// The most size
        #[arg(long, value_name = "SIZE")]
        limit: Option<Bytes>,
        /// Secrets
        #[command(flatten)]
        secrets: Secrets,
    },
    /// Grow a volume, the node's part: the file system
    NodeExpand(Box<NodeExpand>),
    /// Change mutable parameters, such as limits
    Modify {
        /// The volume
        id: String,
        /// A mutable parameter; may be repeated
        #[arg(long = "mutable", value_name = "KEY=VALUE", value_parser = pair, required = true)]
        mutable: Vec<(String, String)>,
        /// Secrets
        #[command(flatten)]
        secrets: Secrets,
    },
    /// Attach a volume to a node, where a driver does so
    ControllerPublish(Box<Attach>),
    /// Detach a volume from a node
    ControllerUnpublish {
        /// The volume
        id: String,
        /// The node
        #[arg(long, value_name = "NODE", default_value = "")]
        node: String,
        /// Secrets
        #[command(flatten)]
        secrets: Secrets,
    },
    /// Make a volume ready on this node
    Stage(Box<Stage>),
    /// Undo it
    Unstage {
        /// The volume
        id: String,
        /// Where it is staged
        #[arg(long, value_name = "PATH")]
        staging: String,
    },
    /// Show a volume at a place
    Publish(Box<Publish>),
    /// Undo it
    Unpublish {
        /// The volume
        id: String,
        /// The place
        #[arg(long, value_name = "PATH")]
        target: String,
    },
    /// Bytes and inodes of a volume, and its condition
    Stats {
        /// The volume
        id: String,
        /// Where it is published or staged
        #[arg(long, value_name = "PATH")]
        path: String,
    },
    /// Snapshots
    #[command(subcommand)]
    Snapshot(SnapshotCall),
    /// Snapshots of several volumes at one moment
    #[command(subcommand)]
    Group(GroupCall),
}

/// A call about snapshots.
#[derive(Debug, Clone, Subcommand)]
pub enum SnapshotCall {
    /// Take a snapshot
    Create {
        /// The name to ask for; the answer has the id
        name: String,
        /// The volume
        #[arg(long, value_name = "VOLUME")]
        volume: String,
        /// A parameter, as of a VolumeSnapshotClass; may be repeated
        #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
        parameter: Vec<(String, String)>,
        /// Secrets
        #[command(flatten)]
        secrets: Secrets,
    },
    /// Delete a snapshot
    Delete {
        /// The snapshot
        id: String,
        /// Secrets
        #[command(flatten)]
        secrets: Secrets,
    },
    /// List snapshots
    List {
        /// Only those of this volume
        #[arg(long, value_name = "VOLUME", default_value = "")]
        volume: String,
        /// Only this one
        #[arg(long, value_name = "SNAPSHOT", default_value = "")]
        id: String,
        /// Which part of the list
        #[command(flatten)]
        page: Page,
    },
    /// Show a snapshot
    Get {
        /// The snapshot
        id: String,
    },
}

/// A call about group snapshots.
#[derive(Debug, Clone, Subcommand)]
pub enum GroupCall {
    /// Take snapshots of several volumes
    Create {
        /// The name to ask for; the answer has the id
        name: String,
        /// A volume; may be repeated
        #[arg(long = "volume", value_name = "VOLUME", required = true)]
        volumes: Vec<String>,
        /// A parameter, as of a VolumeGroupSnapshotClass; may be repeated
        #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
        parameter: Vec<(String, String)>,
        /// Secrets
        #[command(flatten)]
        secrets: Secrets,
    },
    /// Delete a group snapshot with its members
    Delete {
        /// The group snapshot
        id: String,
        /// A member; may be repeated
        #[arg(long = "snapshot", value_name = "SNAPSHOT")]
        snapshots: Vec<String>,
        /// Secrets
        #[command(flatten)]
        secrets: Secrets,
    },
    /// Show a group snapshot
    Get {
        /// The group snapshot
        id: String,
        /// A member; may be repeated
        #[arg(long = "snapshot", value_name = "SNAPSHOT")]
        snapshots: Vec<String>,
    },
}

impl Call {
    /// What is called; of `capabilities` the first.
    #[must_use]
    pub const fn rpc(&self) -> Rpc {
        match self {
            Self::Probe => Rpc::Probe,
            Self::Info => Rpc::GetPluginInfo,
            Self::Capabilities => Rpc::GetPluginCapabilities,
            Self::NodeInfo => Rpc::NodeGetInfo,
            Self::Create(_) => Rpc::CreateVolume,
            Self::Delete { .. } => Rpc::DeleteVolume,
            Self::List(_) => Rpc::ListVolumes,
            Self::Get { .. } => Rpc::ControllerGetVolume,
            Self::Validate { .. } => Rpc::ValidateVolumeCapabilities,
            Self::Capacity { .. } => Rpc::GetCapacity,
            Self::Expand { .. } => Rpc::ControllerExpandVolume,
            Self::NodeExpand(_) => Rpc::NodeExpandVolume,
            Self::Modify { .. } => Rpc::ControllerModifyVolume,
            Self::ControllerPublish(_) => Rpc::ControllerPublishVolume,
            Self::ControllerUnpublish { .. } => Rpc::ControllerUnpublishVolume,
            Self::Stage(_) => Rpc::NodeStageVolume,
            Self::Unstage { .. } => Rpc::NodeUnstageVolume,
            Self::Publish(_) => Rpc::NodePublishVolume,
            Self::Unpublish { .. } => Rpc::NodeUnpublishVolume,
            Self::Stats { .. } => Rpc::NodeGetVolumeStats,
            Self::Snapshot(SnapshotCall::Create { .. }) => Rpc::CreateSnapshot,
            Self::Snapshot(SnapshotCall::Delete { .. }) => Rpc::DeleteSnapshot,
            Self::Snapshot(SnapshotCall::List { .. }) => Rpc::ListSnapshots,
            Self::Snapshot(SnapshotCall::Get { .. }) => Rpc::GetSnapshot,
            Self::Group(GroupCall::Create { .. }) => Rpc::CreateVolumeGroupSnapshot,
            Self::Group(GroupCall::Delete { .. }) => Rpc::DeleteVolumeGroupSnapshot,
            Self::Group(GroupCall::Get { .. }) => Rpc::GetVolumeGroupSnapshot,
        }
    }

    /// Whether it changes anything.
    #[must_use]
    pub const fn changes(&self) -> bool {
        !matches!(
            self.rpc(),
            Rpc::Probe
                | Rpc::GetPluginInfo
                | Rpc::GetPluginCapabilities
                | Rpc::NodeGetInfo
                | Rpc::ListVolumes
                | Rpc::ControllerGetVolume
                | Rpc::ValidateVolumeCapabilities
                | Rpc::GetCapacity
                | Rpc::NodeGetVolumeStats
                | Rpc::ListSnapshots
                | Rpc::GetSnapshot
                | Rpc::GetVolumeGroupSnapshot
        )
    }

    /// Whether it destroys data.
    #[must_use]
    pub const fn destroys(&self) -> bool {
        matches!(
            self.rpc(),
            Rpc::DeleteVolume | Rpc::DeleteSnapshot | Rpc::DeleteVolumeGroupSnapshot
        )
    }
}
