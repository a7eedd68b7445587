//! A physical volume as the group sees it.

use open_local_core::{Extents, Sectors};

use super::words::{Words, status};
use crate::format::id::LvmId;
use crate::format::text::{Entry, Value};

/// A physical volume of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhysicalVolume {
    /// Its name inside the text, `pv0`, `pv1`, ...; may differ in the next text.
    pub key: String,
    /// Its UUID: the only thing that finds it.
    pub id: LvmId,
    /// Where it was when the text was written: a hint.
    pub device: Option<Value>,
    /// Kind of [`Self::device_id`], where lvm2 has a devices file.
    pub device_id_type: Option<Value>,
    /// Identity of the device, where lvm2 has a devices file.
    pub device_id: Option<Value>,
    /// `ALLOCATABLE`, `EXPORTED`, `MISSING`.
    pub status: Words,
    /// Flags.
    pub flags: Words,
    /// Tags.
    pub tags: Vec<String>,
    /// Size of the device.
    pub dev_size: Option<Sectors>,
    /// Where the first extent begins.
    pub pe_start: Sectors,
    /// Extents in all.
    pub pe_count: Extents,
    /// Where the boot-loader area begins.
    pub ba_start: Option<Sectors>,
    /// Its size.
    pub ba_size: Option<Sectors>,
    /// Unknown entries.
    pub unknown: Vec<Entry>,
}

impl PhysicalVolume {
    /// Whether new extents may be taken from it.
    #[must_use]
    pub fn is_allocatable(&self) -> bool {
        self.status.has(status::ALLOCATABLE)
    }

    /// Whether the group has noted that it is gone.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.status.has(status::MISSING) || self.flags.has(super::words::flag::MISSING)
    }
}
