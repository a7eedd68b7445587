//! The steps that changes are made of, each printable and atomic.

use std::fmt;

use crate::device::DeviceNumber;
use crate::ids::{GroupSnapshotId, PoolId, SnapshotId, VolumeId};
use crate::spec::{GroupSnapshotSpec, PoolSpec, Provisioning, SnapshotSpec, Source, VolumeSpec};
use crate::thin::ThinPolicy;
use crate::token::FormatToken;
use crate::units::Bytes;

/// The made-up driver number of simulated devices, from the range for local use (240 to 254 in
/// `Documentation/admin-guide/devices.txt`, Linux 6.18).
const MAJOR: u32 = 240;

/// The path of a simulated device.
pub(super) fn device_path(index: u32) -> String {
    format!("/dev/sim{index}")
}

/// The number of a simulated device.
pub(super) const fn device_number(index: u32) -> DeviceNumber {
    DeviceNumber::new(MAJOR, index)
}

/// One change of the machine's state that happens whole or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    RecordPool(PoolSpec),
    FinishPool(PoolId),
    MarkPoolRemoving(PoolId),
    ForgetPool(PoolId),
    RecordVolume { spec: VolumeSpec, size: Bytes, provisioning: Provisioning },
    Promise { volume: VolumeId, to: Bytes },
    Resize { volume: VolumeId, to: Bytes },
    ShowSize { index: u32, to: Bytes },
    RecordSnapshot { spec: SnapshotSpec, size: Bytes },
    Fill(Source),
    Finish(Source),
    Attach { source: Source, index: u32, read_only: bool },
    Detach { source: Source, index: u32 },
    MarkErasing(Source),
    DropBlocks(Source),
    Forget(Source),
    RecordGroup(GroupSnapshotSpec),
    FillGroup(GroupSnapshotId),
    FinishGroup(GroupSnapshotId),
    MarkGroupErasing(GroupSnapshotId),
    ForgetGroup(GroupSnapshotId),
    IntendRollBack(VolumeId, SnapshotId),
    ReplaceBlocks(VolumeId, SnapshotId),
    FinishRollBack(VolumeId),
    SetToken(VolumeId, FormatToken),
    SetPolicy(ThinPolicy),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RecordPool(spec) => write!(f, "record pool {}", spec.id),
            Self::FinishPool(id) => write!(f, "mark pool {id} ready"),
            Self::MarkPoolRemoving(id) => write!(f, "mark pool {id} as being removed"),
            Self::ForgetPool(id) => write!(f, "forget pool {id}"),
            Self::RecordVolume { spec, size, provisioning } => {
                write!(f, "record {provisioning} volume {} of {size}", spec.id)
            }
            Self::Promise { volume, to } => write!(f, "promise {to} to volume {volume}"),
            Self::Resize { volume, to } => write!(f, "resize volume {volume} to {to}"),
            Self::ShowSize { index, to } => {
                write!(f, "show {to} as the size of {}", device_path(*index))
            }
            Self::RecordSnapshot { spec, .. } => {
                write!(f, "record snapshot {} of volume {}", spec.id, spec.volume)
            }
            Self::Fill(source) => write!(f, "fill {source} with the blocks of its source"),
            Self::Finish(source) => write!(f, "mark {source} ready"),
            Self::Attach { source, index, read_only } => {
                let mode = if *read_only { ", read-only" } else { "" };
                write!(f, "attach {source} as {}{mode}", device_path(*index))
            }
            Self::Detach { source, index } => {
                write!(f, "detach {source} from {}", device_path(*index))
            }
            Self::MarkErasing(source) => write!(f, "mark {source} as being erased"),
            Self::DropBlocks(source) => write!(f, "drop the blocks of {source}"),
            Self::Forget(source) => write!(f, "forget {source}"),
            Self::RecordGroup(spec) => {
                write!(f, "record group snapshot {} of {} volumes", spec.id, spec.members.len())
            }
            Self::FillGroup(id) => {
                write!(
                    f,
                    "fill all members of group snapshot {id} with the blocks of their volumes"
                )
            }
            Self::FinishGroup(id) => write!(f, "mark group snapshot {id} and its members ready"),
            Self::MarkGroupErasing(id) => {
                write!(f, "mark group snapshot {id} and its members as being erased")
            }
            Self::ForgetGroup(id) => write!(f, "forget group snapshot {id} and its members"),
            Self::IntendRollBack(volume, snapshot) => {
                write!(f, "record that volume {volume} goes back to {snapshot}")
            }
            Self::ReplaceBlocks(volume, snapshot) => {
                write!(f, "give volume {volume} the blocks of snapshot {snapshot}")
            }
            Self::FinishRollBack(volume) => {
                write!(f, "record that volume {volume} is rolled back")
            }
            Self::SetToken(volume, token) => {
                write!(f, "set the format token of volume {volume} to {token:?}")
            }
            Self::SetPolicy(_) => f.write_str("record the thin policy"),
        }
    }
}
