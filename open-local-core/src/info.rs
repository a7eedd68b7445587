//! What is observed: pools, volumes, snapshots and attachments as they are now.

mod group;

use std::path::PathBuf;
use std::time::SystemTime;

use crate::device::DeviceNumber;
use crate::ids::{GroupSnapshotId, PoolId, SnapshotId, VolumeId};
use crate::spec::{PoolSpec, Provisioning, Source, Tags, VolumeSource};
use crate::units::{Bytes, Ratio};

pub use group::GroupSnapshotInfo;

/// The room of a pool.
///
/// `total` = what the pool may use; `used` = really taken, including work in flight and volumes
/// being erased; `promised` = virtual sizes of volumes and writable snapshots; `available` = what
/// may still be promised; `largest` = the largest volume that would be granted now.
///
/// A pool of thin and thick volumes has two answers to the last two: [`Self::available_for`] and
/// [`Self::largest_for`] give the one that counts.
///
/// ```
/// use open_local_core::{Bytes, Capacity, Provisioning};
/// let (total, none, left) = (Bytes::GIB, Bytes::ZERO, Bytes::MIB);
/// let room = Capacity::new(total, none, none, none)
///     .with_available(total, total)
///     .with_thick(left, left);
/// assert_eq!(room.largest_for(Provisioning::Thin), total);
/// assert_eq!(room.largest_for(Provisioning::Thick), left);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Capacity {
    /// All the pool may use.
    pub total: Bytes,
    /// Really taken.
    pub used: Bytes,
    /// Promised to volumes and writable snapshots.
    pub promised: Bytes,
    /// Kept free of promises.
    pub reserved: Bytes,
    /// What may still be promised, to thin volumes where the pool has both kinds.
    pub available: Bytes,
    /// The largest volume that would be granted now, a thin one where the pool has both kinds.
    pub largest: Bytes,
    /// What may still be promised to thick volumes, where the pool has both kinds.
    pub available_thick: Option<Bytes>,
    /// The largest thick volume that would be granted now, where the pool has both kinds.
    pub largest_thick: Option<Bytes>,
}

impl Capacity {
    /// Figures from their parts.
    #[must_use]
    pub const fn new(total: Bytes, used: Bytes, promised: Bytes, reserved: Bytes) -> Self {
        Self {
            total,
            used,
            promised,
            reserved,
            available: Bytes::ZERO,
            largest: Bytes::ZERO,
            available_thick: None,
            largest_thick: None,
        }
    }

    /// Sets what may still be promised, and the largest volume that would be granted.
    #[must_use]
    pub const fn with_available(mut self, available: Bytes, largest: Bytes) -> Self {
        self.available = available;
        self.largest = largest;
        self
    }

    /// Sets the same two figures for thick volumes; a pool of thin and thick ones must.
    #[must_use]
    pub const fn with_thick(mut self, available: Bytes, largest: Bytes) -> Self {
        self.available_thick = Some(available);
        self.largest_thick = Some(largest);
        self
    }

    /// What may still be promised to volumes of this kind, if the pool makes them at all.
    #[must_use]
    pub fn available_for(&self, provisioning: Provisioning) -> Bytes {
        match provisioning {
            Provisioning::Thin => self.available,
            Provisioning::Thick => self.available_thick.unwrap_or(self.available),
        }
    }

    /// The largest volume of this kind that would be granted now, if the pool makes them at all.
    #[must_use]
    pub fn largest_for(&self, provisioning: Provisioning) -> Bytes {
        match provisioning {
            Provisioning::Thin => self.largest,
            Provisioning::Thick => self.largest_thick.unwrap_or(self.largest),
        }
    }

    /// The part of the room really taken.
    #[must_use]
    pub fn used_ratio(&self) -> Ratio {
        Ratio::of(self.used, self.total)
    }
}

/// Whether an object can be relied on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Health {
    /// Nothing is known to be wrong.
    Healthy,
    /// Usable, but something needs attention; the text says what and what to do.
    Degraded(String),
    /// Not usable; the text says why and what to do.
    Failed(String),
}

impl std::fmt::Display for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Healthy => f.write_str("healthy"),
            Self::Degraded(why) => write!(f, "degraded: {why}"),
            Self::Failed(why) => write!(f, "failed: {why}"),
        }
    }
}

/// How far the making or unmaking of an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// It can be used.
    Ready,
    /// Its content is being copied from its source; the ratio is done. It can't be used yet.
    Filling(Ratio),
    /// It is being erased; the ratio is done. Its room counts as used.
    Erasing(Ratio),
}

impl std::fmt::Display for Phase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Ready => f.write_str("ready"),
            Self::Filling(done) => write!(f, "filling {done}"),
            Self::Erasing(done) => write!(f, "erasing {done}"),
        }
    }
}

/// What one piece of upkeep did, and what is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Upkeep {
    /// Bytes worked through by this call.
    pub done: Bytes,
    /// Bytes still to be worked through, by this or by another process; zero once nothing is left.
    pub left: Bytes,
}

impl Upkeep {
    /// So much done, so much left.
    #[must_use]
    pub const fn new(done: Bytes, left: Bytes) -> Self {
        Self { done, left }
    }
}

/// A pool as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolInfo {
    /// The name of the backend it belongs to.
    pub backend: String,
    /// The specification it was made with.
    pub spec: PoolSpec,
    /// Its room.
    pub capacity: Capacity,
    /// Whether it can be relied on.
    pub health: Health,
    /// Facts a person wants to see, such as the host file system; sorted by name. `uuid` is that of
    /// the pool, where it has one: another pool of the same name has another.
    pub details: std::collections::BTreeMap<String, String>,
}

impl PoolInfo {
    /// A healthy pool without details; set the other fields as they are.
    #[must_use]
    pub fn new(backend: impl Into<String>, spec: PoolSpec, capacity: Capacity) -> Self {
        Self {
            backend: backend.into(),
            spec,
            capacity,
            health: Health::Healthy,
            details: std::collections::BTreeMap::new(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &PoolId {
        &self.spec.id
    }
}

/// What is handed out by publishing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum AttachmentKind {
    /// A block device: path and number are those of its node.
    #[default]
    Block,
    /// A directory that is a mount point: the path is the directory, the number that of the file
    /// system mounted there.
    Directory,
}

impl AttachmentKind {
    /// The lower-case word for tables and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Directory => "directory",
        }
    }
}

/// A volume or snapshot attached to this host: as a block device, or as a directory where
/// [`crate::Capabilities::block`] says no.
///
/// It always has a path and a number, since file systems and I/O limits need them. What a backend
/// exports in other ways, such as a socket for a virtual machine, is no attachment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Attachment {
    /// What is attached.
    pub source: Source,
    /// What it is attached as.
    pub kind: AttachmentKind,
    /// The device node, or the directory.
    pub device: PathBuf,
    /// The device number.
    pub number: DeviceNumber,
    /// Whether the device refuses writes.
    pub read_only: bool,
    /// The device's logical block size.
    pub block_size: Bytes,
    /// What tells the device from a later one of the same number, where that is known: loop
    /// devices and their numbers are used again (`diskseq`, Linux 5.15 and newer).
    pub sequence: Option<u64>,
}

impl Attachment {
    /// An attachment from its parts.
    #[must_use]
    pub fn new(
        source: impl Into<Source>,
        device: impl Into<PathBuf>,
        number: DeviceNumber,
        block_size: Bytes,
    ) -> Self {
        Self {
            source: source.into(),
            kind: AttachmentKind::Block,
            device: device.into(),
            number,
            read_only: false,
            block_size,
            sequence: None,
        }
    }

    /// The same as something else than a block device.
    #[must_use]
    pub fn with_kind(mut self, kind: AttachmentKind) -> Self {
        self.kind = kind;
        self
    }

    /// The same with the device's sequence number.
    #[must_use]
    pub fn with_sequence(mut self, sequence: Option<u64>) -> Self {
        self.sequence = sequence;
        self
    }

    /// The same, refusing writes or not.
    #[must_use]
    pub fn with_read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }
}

/// A volume as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct VolumeInfo {
    /// Its name.
    pub id: VolumeId,
    /// The size of its device.
    pub size: Bytes,
    /// The size that was asked for when it was made.
    pub requested: Bytes,
    /// Bytes it really takes, where that is known. Shared bytes count for each who shares them.
    pub allocated: Option<Bytes>,
    /// How its room is promised.
    pub provisioning: Provisioning,
    /// Where its first content came from.
    pub source: Option<VolumeSource>,
    /// The caller's tags.
    pub tags: Tags,
    /// How far its making or unmaking is.
    pub phase: Phase,
    /// Its block device, if it is published.
    pub attachment: Option<Attachment>,
    /// Whether it can be relied on.
    pub health: Health,
}

impl VolumeInfo {
    /// A ready, healthy, unpublished, empty volume; set the other fields as they are.
    #[must_use]
    pub fn new(id: VolumeId, size: Bytes, provisioning: Provisioning) -> Self {
        Self {
            id,
            size,
            requested: size,
            allocated: None,
            provisioning,
            source: None,
            tags: Tags::new(),
            phase: Phase::Ready,
            attachment: None,
            health: Health::Healthy,
        }
    }
}

/// A snapshot as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotInfo {
    /// Its name.
    pub id: SnapshotId,
    /// The volume whose content it keeps; that volume may be gone by now.
    pub volume: VolumeId,
    /// The size of that volume when it was taken.
    pub size: Bytes,
    /// Whether it can be written once published.
    pub writable: bool,
    /// When it was taken.
    pub created: SystemTime,
    /// Bytes it really takes, where that is known. Shared bytes count for each who shares them.
    pub allocated: Option<Bytes>,
    /// The caller's tags.
    pub tags: Tags,
    /// The group snapshot it is a member of, with which alone it can be removed.
    pub group: Option<GroupSnapshotId>,
    /// How far its making or unmaking is.
    pub phase: Phase,
    /// Its block device, if it is published.
    pub attachment: Option<Attachment>,
    /// Whether it can be relied on.
    pub health: Health,
}

impl SnapshotInfo {
    /// A ready, healthy, unpublished, read-only snapshot; set the other fields as they are.
    #[must_use]
    pub fn new(id: SnapshotId, volume: VolumeId, size: Bytes, created: SystemTime) -> Self {
        Self {
            id,
            volume,
            size,
            writable: false,
            created,
            allocated: None,
            tags: Tags::new(),
            group: None,
            phase: Phase::Ready,
            attachment: None,
            health: Health::Healthy,
        }
    }
}
