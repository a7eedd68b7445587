//! What an orchestrator asks, and what it hears.

use std::fmt;

use open_local_csi::Code;
use open_local_csi::proto::{Snapshot, Volume, VolumeGroupSnapshot};

/// Where the content of a volume comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    Volume(String),
    Snapshot(String),
}

/// A call. Names are ids here, and sizes are MiB.
#[derive(Clone, PartialEq)]
pub(crate) enum Call {
    Create {
        name: String,
        mib: i64,
        from: Option<Origin>,
    },
    Delete {
        id: String,
    },
    Stage {
        volume: Volume,
        /// As a device, and not as a file system.
        block: bool,
    },
    Unstage {
        id: String,
    },
    Publish {
        volume: Volume,
        target: u64,
        block: bool,
        /// Whether no other target may be.
        single: bool,
    },
    Unpublish {
        id: String,
        target: u64,
    },
    Expand {
        id: String,
        mib: i64,
    },
    ExpandOnNode {
        id: String,
        target: u64,
        mib: i64,
    },
    Snapshot {
        name: String,
        of: String,
    },
    DeleteSnapshot {
        id: String,
    },
    /// A snapshot of several volumes at one moment.
    Group {
        name: String,
        of: Vec<String>,
    },
    DeleteGroup {
        id: String,
    },
    /// A volume that is made for a pod, at a target.
    Inline {
        id: String,
        target: u64,
    },
    EndInline {
        id: String,
        target: u64,
    },
    Modify {
        id: String,
        iops: u64,
    },
    Volumes,
    Snapshots,
    /// A request that can't be right, of several.
    Nonsense {
        which: u64,
    },
}

/// Different requests that can't be right.
pub(crate) const NONSENSE: u64 = 8;

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { name, mib, from } => write!(f, "create {name} of {mib} from {from:?}"),
            Self::Delete { id } => write!(f, "delete {id}"),
            Self::Stage { volume, block } => {
                write!(f, "stage {}{}", volume.volume_id, if *block { " as a device" } else { "" })
            }
            Self::Unstage { id } => write!(f, "unstage {id}"),
            Self::Publish { volume, target, block, single } => {
                let id = &volume.volume_id;
                write!(f, "publish {id} at {target}, device {block}, alone {single}")
            }
            Self::Unpublish { id, target } => write!(f, "unpublish {id} at {target}"),
            Self::Expand { id, mib } => write!(f, "expand {id} to {mib}"),
            Self::ExpandOnNode { id, target, mib } => {
                write!(f, "expand {id} at {target} to {mib}")
            }
            Self::Snapshot { name, of } => write!(f, "snapshot {name} of {of}"),
            Self::DeleteSnapshot { id } => write!(f, "delete snapshot {id}"),
            Self::Group { name, of } => write!(f, "group {name} of {of:?}"),
            Self::DeleteGroup { id } => write!(f, "delete group {id}"),
            Self::Inline { id, target } => write!(f, "inline {id} at {target}"),
            Self::EndInline { id, target } => write!(f, "end inline {id} at {target}"),
            Self::Modify { id, iops } => write!(f, "limit {id} to {iops}"),
            Self::Volumes => f.write_str("list volumes"),
            Self::Snapshots => f.write_str("list snapshots"),
            Self::Nonsense { which } => write!(f, "nonsense {which}"),
        }
    }
}

/// What is answered.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reply {
    Nothing,
    Volume(Volume),
    Snapshot(Snapshot),
    Group(VolumeGroupSnapshot),
    Size(i64),
    /// Ids and sizes, in bytes.
    Volumes(Vec<(String, i64)>),
    /// Ids and volumes.
    Snapshots(Vec<(String, String)>),
}

/// What became of a call.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    Told(Result<Reply, (Code, String)>),
    /// Nobody knows: the plugin died in its midst, or the answer got lost.
    Lost,
}

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Nothing,
    /// The plugin dies before this step, or after so many parts of the usual time.
    Cut(u64),
    /// The caller goes away.
    Dropped,
    /// It comes twice at the same moment.
    Twice,
}
