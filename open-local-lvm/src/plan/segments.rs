//! Segments from placements, joined with what a volume has.

use open_local_core::{Error, Extents, Sectors};

use super::sizes::bounded;
use crate::alloc::Placement;
use crate::format::group::{
    Area, LogicalVolume, Segment, SegmentKind, StripedSegment, VolumeGroup,
};

/// Adds extents at the end of a volume; a segment that goes on right behind the last one with
/// the same stripes becomes part of it.
pub(super) fn append(
    group: &VolumeGroup,
    volume: &mut LogicalVolume,
    placements: &[Placement],
    stripe_size: Option<Sectors>,
) -> Result<(), Error> {
    let size = volume.segments.iter().map(|segment| segment.extent_count.get()).sum();
    let mut next = bounded(size, &volume.name)?.get();
    for placement in placements {
        let stripes = u64::try_from(placement.places.len()).unwrap_or(u64::MAX);
        let count = placement.count.get().saturating_mul(stripes);
        let end = bounded(next.saturating_add(count), &volume.name)?.get();
        let areas = placement.places.iter().filter_map(|place| {
            let pv = group.physical_by_id(&place.pv)?.key.clone();
            Some(Area::Physical { pv, start: place.start })
        });
        let areas = areas.collect();
        let striped = StripedSegment { stripe_size, areas };
        match volume.segments.last_mut() {
            Some(last) if continues(last, &striped) => {
                last.extent_count = last.extent_count.saturating_add(Extents::new(count));
            }
            _ => {
                let (start, count) = (Extents::new(next), Extents::new(count));
                volume.segments.push(Segment::striped(start, count, striped));
            }
        }
        next = end;
    }
    Ok(())
}

/// Whether a segment goes on right behind another with the same stripes.
fn continues(last: &Segment, next: &StripedSegment) -> bool {
    let SegmentKind::Striped(striped) = &last.kind else {
        return false;
    };
    let stripes = u64::try_from(striped.areas.len()).unwrap_or(u64::MAX).max(1);
    let each = last.extent_count.get() / stripes;
    let same = striped.areas.len() == next.areas.len()
        && (stripes == 1 || striped.stripe_size == next.stripe_size)
        && last.tags.is_empty()
        && last.unknown.is_empty()
        && last.segment_type.flags.is_empty();
    same && striped.areas.iter().zip(&next.areas).all(|pair| match pair {
        (Area::Physical { pv, start }, Area::Physical { pv: other, start: behind }) => {
            pv == other && start.get().checked_add(each) == Some(behind.get())
        }
        _ => false,
    })
}

/// Cuts a volume down to so many extents, rounded up to whole stripes where it ends.
pub(super) fn truncate(volume: &mut LogicalVolume, to: Extents) {
    volume.segments.retain(|segment| segment.start_extent < to);
    let Some(last) = volume.segments.last_mut() else {
        return;
    };
    let stripes = u64::try_from(last.areas().len()).unwrap_or(u64::MAX).max(1);
    let keep = to.saturating_sub(last.start_extent).get().next_multiple_of(stripes);
    last.extent_count = last.extent_count.min(Extents::new(keep));
}
