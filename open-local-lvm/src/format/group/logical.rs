//! A volume of a group.

use open_local_core::Extents;

use super::segment::Segment;
use super::words::{AllocationPolicy, Words, flag, status};
use crate::format::id::LvmId;
use crate::format::text::{Entry, Value};

/// A volume, visible or hidden.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogicalVolume {
    /// Its name.
    pub name: String,
    /// Its UUID.
    pub id: LvmId,
    /// `READ`, `WRITE`, `VISIBLE`, ...: see [`status`].
    pub status: Words,
    /// See [`super::flag`].
    pub flags: Words,
    /// Tags.
    pub tags: Vec<String>,
    /// When it was made, in seconds since 1970.
    pub creation_time: Option<i64>,
    /// The name of the host that made it.
    pub creation_host: Option<Value>,
    /// Arguments of the lock manager.
    pub lock_args: Option<String>,
    /// Where new extents are taken from; `None` is `inherit`.
    pub allocation_policy: Option<AllocationPolicy>,
    /// Name of a metadata profile.
    pub profile: Option<String>,
    /// Read-ahead in sectors; `None` is automatic.
    pub read_ahead: Option<i64>,
    /// Fixed major number.
    pub major: Option<i64>,
    /// Fixed minor number.
    pub minor: Option<i64>,
    /// Its parts, in the order of their first extents.
    pub segments: Vec<Segment>,
    /// Unknown entries.
    pub unknown: Vec<Entry>,
}

impl LogicalVolume {
    /// Its size: the sum of its segments, or `None` beyond 64 bits.
    #[must_use]
    pub fn extents(&self) -> Option<Extents> {
        let counts = self.segments.iter().map(|segment| segment.extent_count.get());
        counts.into_iter().try_fold(0u64, u64::checked_add).map(Extents::new)
    }

    /// Whether it is a volume for users and not a part of another.
    #[must_use]
    pub fn is_visible(&self) -> bool {
        self.status.has(status::VISIBLE)
    }

    /// Whether it may be written: see [`super::VolumeGroup::is_writable`].
    #[must_use]
    pub fn is_writable(&self) -> bool {
        self.status.has(status::WRITE) || self.flags.has(flag::WRITE_LOCKED)
    }
}

/// A removed thin volume that is remembered in a chain of snapshots; kept, never made here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoricalVolume {
    /// Its name inside the text.
    pub key: String,
    /// Its entries.
    pub entries: Vec<Entry>,
}
