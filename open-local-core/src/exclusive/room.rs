//! What a pool of whole places has room for. Pure.

use super::planner::Member;
use super::record::Stage;
use crate::info::Capacity;
use crate::units::Bytes;

/// The figures: only a free place that can be claimed now is available, and the largest volume is
/// the largest such place. What is being erased counts as used.
pub(crate) fn capacity(members: &[Member]) -> Capacity {
    let (mut total, mut used, mut promised) = (Bytes::ZERO, Bytes::ZERO, Bytes::ZERO);
    let (mut available, mut largest) = (Bytes::ZERO, Bytes::ZERO);
    for member in members {
        let size = member.record.size;
        total = total.saturating_add(size);
        match &member.record.stage {
            Stage::Free { .. } if member.unfit().is_none() => {
                available = available.saturating_add(size);
                largest = largest.max(size);
            }
            Stage::Free { .. } => {}
            Stage::Claimed(_) => {
                promised = promised.saturating_add(size);
                used = used.saturating_add(size);
            }
            Stage::Erasing { .. } => used = used.saturating_add(size),
        }
    }
    Capacity::new(total, used, promised, Bytes::ZERO).with_available(available, largest)
}
