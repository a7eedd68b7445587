//! A group and the text around it.

use open_local_core::{Bytes, ExtentSize, Extents, Sectors};

use super::logical::{HistoricalVolume, LogicalVolume};
use super::physical::PhysicalVolume;
use super::volumes::Volumes;
use super::words::{AllocationPolicy, Words, flag, status};
use crate::format::id::LvmId;
use crate::format::text::{Entry, Value};

/// A whole metadata text: the group, and who wrote it when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// The group.
    pub group: VolumeGroup,
    /// The lines beside the group.
    pub provenance: Provenance,
}

/// The lines beside the group; a reader needs `contents` and `version`, the rest is for people.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Provenance {
    /// What wrote it: the command line of a tool.
    pub description: Option<Value>,
    /// The name of the host that wrote it.
    pub creation_host: Option<Value>,
    /// When, in seconds since 1970.
    pub creation_time: Option<i64>,
    /// Unknown entries.
    pub unknown: Vec<Entry>,
}

/// A group of volumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeGroup {
    /// Its name.
    pub name: String,
    /// Its UUID.
    pub id: LvmId,
    /// Raised by one with each commit; the highest is the newest.
    pub seqno: u32,
    /// The format's name, `lvm2` where it is written.
    pub format: Option<String>,
    /// `READ`, `WRITE`, `RESIZEABLE`, `EXPORTED`, ...: see [`status`].
    pub status: Words,
    /// See [`super::flag`].
    pub flags: Words,
    /// Tags.
    pub tags: Vec<String>,
    /// The host it belongs to; other hosts keep off.
    pub system_id: Option<String>,
    /// `none`, `sanlock`, `dlm`, ...: who arbitrates between hosts.
    pub lock_type: Option<String>,
    /// Arguments for that.
    pub lock_args: Option<String>,
    /// Extent size; a power of two in nearly all groups, but not in all.
    pub extent_size: Sectors,
    /// Most volumes, 0 for no limit.
    pub max_lv: u32,
    /// Most physical volumes, 0 for no limit.
    pub max_pv: u32,
    /// Where new extents are taken from; `None` is `normal`.
    pub allocation_policy: Option<AllocationPolicy>,
    /// Name of a metadata profile.
    pub profile: Option<String>,
    /// How many metadata areas are to be in use; 0 for all.
    pub metadata_copies: Option<u32>,
    /// Physical volumes, in the order of the text.
    pub physical_volumes: Vec<PhysicalVolume>,
    /// Volumes, hidden ones too, in the order of the text.
    pub logical_volumes: Volumes,
    /// Removed thin volumes that are remembered.
    pub historical_volumes: Vec<HistoricalVolume>,
    /// Unknown entries.
    pub unknown: Vec<Entry>,
}

impl VolumeGroup {
    /// A physical volume by its key (`pv0`).
    #[must_use]
    pub fn physical(&self, key: &str) -> Option<&PhysicalVolume> {
        self.physical_volumes.iter().find(|pv| pv.key == key)
    }

    /// A physical volume by its UUID.
    #[must_use]
    pub fn physical_by_id(&self, id: &LvmId) -> Option<&PhysicalVolume> {
        self.physical_volumes.iter().find(|pv| pv.id == *id)
    }

    /// A volume by its name.
    #[must_use]
    pub fn logical(&self, name: &str) -> Option<&LogicalVolume> {
        self.logical_volumes.iter().find(|lv| lv.name == name)
    }

    /// A volume by its name, to be changed.
    pub fn logical_mut(&mut self, name: &str) -> Option<&mut LogicalVolume> {
        let at = self.logical_volumes.iter().position(|lv| lv.name == name)?;
        self.logical_volumes.get_mut(at)
    }

    /// Whether another version says the same, under whatever sequence number.
    #[must_use]
    pub fn is_same_but_for_seqno(&self, other: &Self) -> bool {
        // Volumes that were not changed are shared and compared as such.
        self.is_same_but_for_volumes(other) && self.logical_volumes == other.logical_volumes
    }

    /// Whether all but the volumes and the sequence number is the same.
    pub(crate) fn is_same_but_for_volumes(&self, other: &Self) -> bool {
        let Self {
            name,
            id,
            seqno: _,
            format,
            status,
            flags,
            tags,
            system_id,
            lock_type,
            lock_args,
            extent_size,
            max_lv,
            max_pv,
            allocation_policy,
            profile,
            metadata_copies,
            physical_volumes,
            logical_volumes: _,
            historical_volumes,
            unknown,
        } = self;
        *name == other.name
            && *id == other.id
            && *format == other.format
            && *status == other.status
            && *flags == other.flags
            && *tags == other.tags
            && *system_id == other.system_id
            && *lock_type == other.lock_type
            && *lock_args == other.lock_args
            && *extent_size == other.extent_size
            && *max_lv == other.max_lv
            && *max_pv == other.max_pv
            && *allocation_policy == other.allocation_policy
            && *profile == other.profile
            && *metadata_copies == other.metadata_copies
            && *physical_volumes == other.physical_volumes
            && *historical_volumes == other.historical_volumes
            && *unknown == other.unknown
    }

    /// All but the volumes and the sequence number.
    pub(crate) fn without_volumes(&self) -> Self {
        Self {
            name: self.name.clone(),
            id: self.id,
            seqno: 0,
            format: self.format.clone(),
            status: self.status.clone(),
            flags: self.flags.clone(),
            tags: self.tags.clone(),
            system_id: self.system_id.clone(),
            lock_type: self.lock_type.clone(),
            lock_args: self.lock_args.clone(),
            extent_size: self.extent_size,
            max_lv: self.max_lv,
            max_pv: self.max_pv,
            allocation_policy: self.allocation_policy.clone(),
            profile: self.profile.clone(),
            metadata_copies: self.metadata_copies,
            physical_volumes: self.physical_volumes.clone(),
            logical_volumes: Volumes::new(),
            historical_volumes: self.historical_volumes.clone(),
            unknown: self.unknown.clone(),
        }
    }

    /// The extent size, unless it is zero or beyond 64 bits of bytes.
    #[must_use]
    pub fn extent_bytes(&self) -> Option<ExtentSize> {
        self.extent_size.to_bytes().and_then(ExtentSize::new)
    }

    /// The size of so many extents.
    #[must_use]
    pub fn size_of(&self, extents: Extents) -> Option<Bytes> {
        self.extent_bytes()?.to_bytes(extents)
    }

    /// Whether it is exported: prepared to move to another host.
    #[must_use]
    pub fn is_exported(&self) -> bool {
        self.status.has(status::EXPORTED)
    }

    /// Whether it may be written. A group that belongs to a host or is shared has the flag
    /// `WRITE_LOCKED` in the place of the status `WRITE`, and so have its volumes: versions of
    /// lvm2 that know nothing of that keep off (2.03.16, seen).
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.status.has(status::WRITE) || self.flags.has(flag::WRITE_LOCKED)
    }

    /// Whether several hosts use it through a lock manager.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        let managed = self.lock_type.as_deref().is_some_and(|kind| kind != "none");
        managed || self.status.has(status::SHARED) || self.status.has(status::CLUSTERED)
    }
}
