//! Numbers of devices in a pool.

use std::collections::BTreeSet;

use open_local_core::{Error, ErrorKind};

use crate::format::group::{SegmentKind, ThinMessage, ThinPoolSegment, VolumeGroup};
use crate::plan::draft::about;

/// Device numbers have 24 bits (kernel 6.1, `MAX_DEV_ID`).
pub(super) const LAST_DEVICE: u32 = (1 << 24) - 1;

/// A number no volume of the pool has and no message of it deletes: as lvm2, the one after the
/// highest; where that is the last there is, the lowest that is free.
///
/// # Errors
/// `OutOfSpace` if there is none.
pub(super) fn next(group: &VolumeGroup, name: &str, pool: &ThinPoolSegment) -> Result<u32, Error> {
    next_without(group, name, pool, &BTreeSet::new())
}

/// The same, and none of these.
///
/// # Errors
/// As [`next`].
pub(super) fn next_without(
    group: &VolumeGroup,
    name: &str,
    pool: &ThinPoolSegment,
    taken: &BTreeSet<u32>,
) -> Result<u32, Error> {
    let segments = group.logical_volumes.iter().flat_map(|lv| &lv.segments);
    let volumes = segments.filter_map(|segment| match &segment.kind {
        SegmentKind::Thin(thin) if thin.thin_pool == name => Some(thin.device_id),
        _ => None,
    });
    let deleted = pool.messages.iter().filter_map(|message| match message {
        ThinMessage::Delete { device_id } => Some(*device_id),
        _ => None,
    });
    free(volumes.chain(deleted).chain(taken.iter().copied()), LAST_DEVICE).ok_or_else(|| {
        let message = format!("all its {LAST_DEVICE} device numbers are in use");
        about(ErrorKind::OutOfSpace, name, message).with_remedy("use another pool")
    })
}

fn free(used: impl Iterator<Item = u32>, last: u32) -> Option<u32> {
    let used: BTreeSet<u32> = used.collect();
    let after = used.last().map_or(Some(1), |highest| highest.checked_add(1));
    after.filter(|id| *id <= last).or_else(|| (1..=last).find(|id| !used.contains(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_after_the_highest_then_the_lowest_free_one_then_none() {
        assert_eq!(free([].into_iter(), 5), Some(1));
        assert_eq!(free([3, 1].into_iter(), 5), Some(4));
        assert_eq!(free([5, 1, 2].into_iter(), 5), Some(3));
        assert_eq!(free([1, 2, 3, 4, 5].into_iter(), 5), None);
        assert_eq!(free([u32::MAX].into_iter(), 5), Some(1));
    }
}
