//! What a pool has promised.

use open_local_core::{Bytes, Error, ErrorKind, Extents};

use super::messages::pool;
use super::part::thin_of;
use crate::format::group::{LogicalVolume, VolumeGroup};
use crate::plan::draft::about;

/// Virtual sizes of the volumes of a pool, whoever made them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Promised {
    /// Of volumes that are no snapshots.
    pub volumes: Bytes,
    /// Of snapshots that may be written.
    pub writable_snapshots: Bytes,
    /// Of snapshots that may only be read: they take no more room than they have, and are no
    /// promise.
    pub read_only_snapshots: Bytes,
}

impl Promised {
    /// The promises of a pool, with every volume that has an origin as a snapshot.
    ///
    /// # Errors
    /// `NotFound` and `Conflict` if there is no such pool; `Corrupt` for sizes beyond 64 bits.
    pub fn of(group: &VolumeGroup, pool: &str) -> Result<Self, Error> {
        Self::with(group, pool, |lv| thin_of(lv).is_some_and(|thin| thin.origin.is_some()))
    }

    /// The same; `is_snapshot` tells snapshots, also those whose origin is gone.
    ///
    /// # Errors
    /// As [`Promised::of`].
    pub fn with(
        group: &VolumeGroup,
        name: &str,
        is_snapshot: impl Fn(&LogicalVolume) -> bool,
    ) -> Result<Self, Error> {
        pool(group, name)?;
        let mut promised = Self::default();
        for lv in &group.logical_volumes {
            if thin_of(lv).is_none_or(|thin| thin.thin_pool != name) {
                continue;
            }
            let sum = match (is_snapshot(lv), lv.is_writable()) {
                (false, _) => &mut promised.volumes,
                (true, true) => &mut promised.writable_snapshots,
                (true, false) => &mut promised.read_only_snapshots,
            };
            let size = group.size_of(lv.extents().unwrap_or(Extents::MAX));
            *sum = size.and_then(|size| sum.checked_add(size)).ok_or_else(|| {
                about(ErrorKind::Corrupt, name, "its volumes have more bytes than 64 bits count")
            })?;
        }
        Ok(promised)
    }

    /// What counts against the pool's room: volumes and writable snapshots.
    #[must_use]
    pub fn total(&self) -> Bytes {
        self.volumes.saturating_add(self.writable_snapshots)
    }
}
