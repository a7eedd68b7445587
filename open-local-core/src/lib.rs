// The page's example needs `sim`: without it the page is shown, but the example is not run.
#![cfg_attr(
    any(not(doctest), feature = "sim"),
    doc = include_str!("../README.md")
)]

pub mod error;
pub mod host;
pub mod plan;
pub mod state;
pub mod units;

#[cfg(feature = "tokio")]
pub mod adapter;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "file")]
pub mod file;
#[cfg(feature = "fs")]
pub mod fs;
#[cfg(feature = "inventory")]
pub mod inventory;
#[cfg(feature = "mountpoint")]
pub mod mountpoint;
#[cfg(feature = "raw")]
pub mod raw;
#[cfg(feature = "sim")]
pub mod sim;
#[cfg(feature = "throttle")]
pub mod throttle;

mod backend;
mod capability;
mod change;
mod device;
#[cfg(feature = "raw")]
mod exclusive;
mod ids;
mod info;
mod outcome;
mod pool;
mod registry;
mod spec;
#[cfg(any(feature = "file", feature = "raw", feature = "sim"))]
mod tags;
mod token;

#[cfg(feature = "snapshot")]
mod group_snapshot;
#[cfg(feature = "snapshot")]
mod snapshot;
#[cfg(feature = "thin")]
mod thin;

pub use backend::Backend;
pub use capability::{Capabilities, CopyMethod};
pub use change::{Change, Plan};
pub use device::DeviceNumber;
pub use error::{Error, ErrorKind, Op, Report, Result, Subject};
#[cfg(feature = "snapshot")]
pub use group_snapshot::GroupSnapshots;
pub use ids::{GroupSnapshotId, MAX_ID_LEN, PoolId, SnapshotId, VolumeId};
pub use info::{
    Attachment, AttachmentKind, Capacity, GroupSnapshotInfo, Health, Phase, PoolInfo, SnapshotInfo,
    Upkeep, VolumeInfo,
};
pub use outcome::{Ensured, Grown, Removed};
pub use pool::{Pool, PoolExt};
pub use registry::Registry;
#[cfg(feature = "snapshot")]
pub use snapshot::Snapshots;
pub use spec::{
    GroupSnapshotSpec, MAX_GROUP_MEMBERS, MAX_PARAMETER_KEY, MAX_PARAMETER_VALUE, MAX_PARAMETERS,
    MAX_TAG_KEY, MAX_TAG_VALUE, MAX_TAGS, Parameters, PoolSpec, Provisioning, PublishSpec,
    SizeRange, SnapshotSpec, Source, Tags, VolumeSource, VolumeSpec,
};
#[cfg(feature = "thin")]
pub use thin::{FullPolicy, ThinPolicy, ThinProvisioning, ThinUsage};
pub use token::{FormatToken, FormatTokens, FsKind, Uuid};
pub use units::{Bytes, BytesPerSec, ExtentSize, Extents, Iops, Ratio, SECTOR_SIZE, Sectors};
