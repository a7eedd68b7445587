//! Areas of segments, as `devices` and `seg_pe_ranges` show them.

use super::roles::names;
use crate::format::group::{Area, CarriedSegment, Segment, SegmentKind};
use crate::format::text::Value;

/// A part of a segment: the key of a physical volume or the name of a volume, and its first
/// extent there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stripe<'a> {
    pub(super) name: &'a str,
    pub(super) start: u64,
    pub(super) physical: bool,
}

/// The areas of a segment, and how many extents each has.
pub(super) fn stripes(segment: &Segment) -> (Vec<Stripe<'_>>, u64) {
    let count = segment.extent_count.get();
    let logical = |name| Stripe { name, start: 0, physical: false };
    match &segment.kind {
        SegmentKind::Striped(striped) => {
            let areas = striped.areas.iter().map(|area| match area {
                Area::Physical { pv, start } => {
                    Stripe { name: pv, start: start.get(), physical: true }
                }
                Area::Logical { lv, start } => {
                    Stripe { name: lv, start: start.get(), physical: false }
                }
            });
            let areas: Vec<_> = areas.collect();
            let each = divided(count, areas.len());
            (areas, each)
        }
        SegmentKind::ThinPool(pool) => (vec![logical(&pool.data)], count),
        SegmentKind::Carried(carried) => {
            carried_stripes(carried, &segment.segment_type.name, count)
        }
        SegmentKind::Thin(_) | SegmentKind::Snapshot { .. } => (Vec::new(), count),
    }
}

fn divided(count: u64, parts: usize) -> u64 {
    count.div_ceil(u64::try_from(parts).unwrap_or(u64::MAX).max(1))
}

fn carried_stripes<'a>(
    carried: &'a CarriedSegment,
    name: &str,
    count: u64,
) -> (Vec<Stripe<'a>>, u64) {
    let logical = |name| Stripe { name, start: 0, physical: false };
    let one = |key: &str| names(carried, key).take(1).map(logical).collect::<Vec<_>>();
    match name {
        "cache" | "writecache" | "integrity" => (one("origin"), count),
        "cache-pool" | "vdo-pool" => (one("data"), count),
        "vdo" => (one("vdo_pool"), count),
        "mirror" => (pairs(carried, "mirrors"), count),
        _ => {
            let images = names(carried, "raids").skip(1).step_by(2);
            let images: Vec<_> = images.chain(names(carried, "raid0_lvs")).map(logical).collect();
            let each = divided(count, data_stripes(name, images.len(), carried));
            (images, each)
        }
    }
}

/// Images of a raid volume that hold data of their own.
fn data_stripes(name: &str, images: usize, carried: &CarriedSegment) -> usize {
    let copies = carried.value("data_copies").and_then(Value::as_integer).unwrap_or(2);
    let copies = usize::try_from(copies).unwrap_or(2).max(1);
    match name.as_bytes() {
        b"raid1" => 1,
        b"raid10" | b"raid10_near" => images.checked_div(copies).unwrap_or(1),
        [b'r', b'a', b'i', b'd', b'4' | b'5', ..] => images.saturating_sub(1),
        [b'r', b'a', b'i', b'd', b'6', ..] => images.saturating_sub(2),
        _ => images,
    }
    .max(1)
}

/// The hidden volumes with the metadata of a raid volume.
pub(super) fn metadata_stripes(segment: &Segment) -> Vec<Stripe<'_>> {
    let SegmentKind::Carried(carried) = &segment.kind else {
        return Vec::new();
    };
    let metadata = names(carried, "raids").step_by(2);
    metadata.map(|name| Stripe { name, start: 0, physical: false }).collect()
}

fn pairs<'a>(carried: &'a CarriedSegment, key: &str) -> Vec<Stripe<'a>> {
    let items = carried.value(key).map(Value::items).unwrap_or_default();
    let pairs = items.chunks_exact(2).filter_map(|pair| match pair {
        [Value::Text(name), Value::Integer(start)] => {
            Some(Stripe { name, start: u64::try_from(*start).ok()?, physical: false })
        }
        _ => None,
    });
    pairs.collect()
}
