//! The state of a simulated machine: what a disk keeps, and what a reboot forgets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use super::content::{Content, Room};
use crate::error::{Error, ErrorKind, Op, Result, Subject};
use crate::ids::{GroupSnapshotId, PoolId, SnapshotId, VolumeId};
use crate::info::Attachment;
use crate::spec::{PoolSpec, Provisioning, Source, Tags, VolumeSource};
use crate::thin::ThinPolicy;
use crate::token::FormatToken;
use crate::units::Bytes;

/// How far the making or unmaking of an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Making,
    Ready,
    Erasing,
}

#[derive(Debug)]
pub(super) struct VolumeState {
    pub(super) requested: Bytes,
    pub(super) size: Bytes,
    /// At least the size; more between the two halves of a growth.
    pub(super) promised: Bytes,
    pub(super) provisioning: Provisioning,
    pub(super) source: Option<VolumeSource>,
    pub(super) tags: Tags,
    pub(super) stage: Stage,
    pub(super) token: FormatToken,
    /// `None` until it is filled and once it is erased.
    pub(super) content: Option<Content>,
    /// The snapshot it is being rolled back to.
    pub(super) rolling_back: Option<SnapshotId>,
}

#[derive(Debug)]
pub(super) struct SnapshotState {
    pub(super) volume: VolumeId,
    pub(super) size: Bytes,
    pub(super) writable: bool,
    pub(super) created: SystemTime,
    pub(super) tags: Tags,
    /// The group it is a member of, whose stages it shares.
    pub(super) group: Option<GroupSnapshotId>,
    pub(super) stage: Stage,
    /// The volume's token when the snapshot was taken; copies inherit it.
    pub(super) token: FormatToken,
    /// `None` until it is taken and once it is erased.
    pub(super) content: Option<Content>,
}

/// What several snapshots have in common that are taken at one moment.
#[derive(Debug)]
pub(super) struct GroupState {
    /// Sorted by name.
    pub(super) members: Vec<(SnapshotId, VolumeId)>,
    pub(super) writable: bool,
    pub(super) created: SystemTime,
    pub(super) tags: Tags,
    pub(super) stage: Stage,
}

#[derive(Debug)]
pub(super) struct PoolState {
    pub(super) spec: PoolSpec,
    pub(super) stage: Stage,
    pub(super) policy: ThinPolicy,
    pub(super) room: Arc<Room>,
    pub(super) volumes: BTreeMap<VolumeId, VolumeState>,
    pub(super) snapshots: BTreeMap<SnapshotId, SnapshotState>,
    pub(super) groups: BTreeMap<GroupSnapshotId, GroupState>,
}

/// A made-up block device; a reboot forgets it.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) pool: PoolId,
    pub(super) attachment: Attachment,
    /// Its size as its users see it, which follows the volume's.
    pub(super) size: Bytes,
    /// Tells it from an earlier device of the same number.
    pub(super) generation: u64,
    /// Held by everybody who has the device open.
    pub(super) open: Arc<()>,
}

impl Device {
    pub(super) fn is_open(&self) -> bool {
        Arc::strong_count(&self.open) > 1
    }
}

/// All of a machine.
#[derive(Debug)]
pub(super) struct World {
    /// The room of its one disk, which all pools share.
    pub(super) disk: Bytes,
    pub(super) pools: BTreeMap<PoolId, PoolState>,
    pub(super) devices: BTreeMap<u32, Device>,
    pub(super) generations: u64,
    /// How often the programs on it were started again.
    pub(super) restarts: u64,
    #[cfg(feature = "fs")]
    pub(super) mounts: Vec<super::mounts::Mount>,
    #[cfg(feature = "throttle")]
    pub(super) limits: super::throttle::Limits,
}

pub(super) fn missing(op: Op, subject: impl Into<Subject>) -> Error {
    Error::new(ErrorKind::NotFound, op, subject, "there is none of this name")
        .with_remedy("list what there is and check the name")
}

impl World {
    pub(super) fn new(disk: Bytes) -> Self {
        Self {
            disk,
            pools: BTreeMap::new(),
            devices: BTreeMap::new(),
            generations: 0,
            restarts: 0,
            #[cfg(feature = "fs")]
            mounts: Vec::new(),
            #[cfg(feature = "throttle")]
            limits: super::throttle::Limits::default(),
        }
    }

    /// Forgets what a reboot forgets.
    pub(super) fn forget_volatile(&mut self) {
        self.devices.clear();
        #[cfg(feature = "fs")]
        self.mounts.clear();
        #[cfg(feature = "throttle")]
        self.limits.forget_volatile();
    }

    pub(super) fn pool(&self, op: Op, id: &PoolId) -> Result<&PoolState> {
        self.pools.get(id).ok_or_else(|| missing(op, id))
    }

    pub(super) fn pool_mut(&mut self, op: Op, id: &PoolId) -> Result<&mut PoolState> {
        self.pools.get_mut(id).ok_or_else(|| missing(op, id))
    }

    /// The device a volume or snapshot is attached as.
    pub(super) fn device_of(&self, pool: &PoolId, source: &Source) -> Option<&Device> {
        self.devices
            .values()
            .find(|device| device.pool == *pool && device.attachment.source == *source)
    }

    /// Whether a file system on the device is mounted, or the device is bound somewhere.
    pub(super) fn is_mounted(&self, device: &Device) -> bool {
        #[cfg(feature = "fs")]
        return self.mounts.iter().any(|mount| mount.device == device.attachment.device);
        #[cfg(not(feature = "fs"))]
        return {
            let _ = device;
            false
        };
    }

    /// The lowest device number that is free.
    pub(super) fn free_index(&self) -> u32 {
        (0..u32::MAX).find(|index| !self.devices.contains_key(index)).unwrap_or(u32::MAX)
    }
}

impl PoolState {
    pub(super) fn new(spec: PoolSpec) -> Self {
        let policy = ThinPolicy::default().with_overcommit(spec.overcommit);
        Self {
            spec,
            stage: Stage::Making,
            policy,
            room: Arc::new(Room::default()),
            volumes: BTreeMap::new(),
            snapshots: BTreeMap::new(),
            groups: BTreeMap::new(),
        }
    }

    pub(super) fn volume(&self, op: Op, id: &VolumeId) -> Result<&VolumeState> {
        self.volumes.get(id).ok_or_else(|| missing(op, id))
    }

    pub(super) fn volume_mut(&mut self, op: Op, id: &VolumeId) -> Result<&mut VolumeState> {
        self.volumes.get_mut(id).ok_or_else(|| missing(op, id))
    }

    pub(super) fn snapshot(&self, op: Op, id: &SnapshotId) -> Result<&SnapshotState> {
        self.snapshots.get(id).ok_or_else(|| missing(op, id))
    }

    pub(super) fn snapshot_mut(&mut self, op: Op, id: &SnapshotId) -> Result<&mut SnapshotState> {
        self.snapshots.get_mut(id).ok_or_else(|| missing(op, id))
    }

    pub(super) fn group(&self, op: Op, id: &GroupSnapshotId) -> Result<&GroupState> {
        self.groups.get(id).ok_or_else(|| missing(op, id))
    }

    pub(super) fn stage_of(&self, op: Op, source: &Source) -> Result<Stage> {
        match source {
            Source::Volume(id) => self.volume(op, id).map(|v| v.stage),
            Source::Snapshot(id) => self.snapshot(op, id).map(|s| s.stage),
        }
    }

    pub(super) fn size_of(&self, op: Op, source: &Source) -> Result<Bytes> {
        match source {
            Source::Volume(id) => self.volume(op, id).map(|v| v.size),
            Source::Snapshot(id) => self.snapshot(op, id).map(|s| s.size),
        }
    }

    pub(super) fn content(&self, source: &Source) -> Option<&Content> {
        match source {
            Source::Volume(id) => self.volumes.get(id)?.content.as_ref(),
            Source::Snapshot(id) => self.snapshots.get(id)?.content.as_ref(),
        }
    }

    pub(super) fn content_mut(&mut self, source: &Source) -> Option<&mut Content> {
        match source {
            Source::Volume(id) => self.volumes.get_mut(id)?.content.as_mut(),
            Source::Snapshot(id) => self.snapshots.get_mut(id)?.content.as_mut(),
        }
    }
}

/// The published form of a copy's source.
pub(super) fn source_of(source: &VolumeSource) -> Source {
    match source {
        VolumeSource::Volume(id) => Source::Volume(id.clone()),
        VolumeSource::Snapshot(id) => Source::Snapshot(id.clone()),
    }
}
