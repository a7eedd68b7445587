//! Which extents of which physical volume a group uses, and for what.

use std::cell::LazyCell;
use std::collections::HashSet;

use open_local_core::Extents;

use super::segment::{Area, CarriedSegment, SegmentKind};
use super::volume_group::VolumeGroup;
use crate::format::text::Value;

/// Extents of a physical volume that a segment uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhysicalArea<'a> {
    /// The key of the physical volume in the text; it may name none.
    pub pv: &'a str,
    /// The first extent.
    pub start: Extents,
    /// How many.
    pub count: Extents,
    /// The volume.
    pub lv: &'a str,
    /// The index of the segment in the volume, from 0.
    pub segment: usize,
    /// The index of the area in the segment, from 0.
    pub area: usize,
}

impl VolumeGroup {
    /// All extents in use, in the order of the text.
    ///
    /// Carried segments count too: a `mirror` uses as many extents of each area as it has itself.
    /// Of other carried types only lists of `stripes` name physical volumes (lvm2 2.03.16).
    #[must_use]
    pub fn physical_areas<'a>(&'a self) -> Vec<PhysicalArea<'a>> {
        let mut used = Vec::with_capacity(self.logical_volumes.len());
        // Most groups have no segment that asks for them.
        let keys: LazyCell<HashSet<&str>, _> =
            LazyCell::new(|| self.physical_volumes.iter().map(|pv| pv.key.as_str()).collect());
        for lv in &self.logical_volumes {
            for (segment, part) in lv.segments.iter().enumerate() {
                let area = |(area, place, count)| {
                    let (pv, start): (&'a str, Extents) = place?;
                    let count = Extents::new(count);
                    Some(PhysicalArea { pv, start, count, lv: lv.name.as_str(), segment, area })
                };
                let whole = part.extent_count.get();
                match &part.kind {
                    SegmentKind::Striped(striped) => {
                        let stripes = u64::try_from(striped.areas.len()).unwrap_or(u64::MAX);
                        // A count that does not divide is reported by the checks; it is rounded
                        // up here so that no extent in use counts as free.
                        let each = whole.div_ceil(stripes.max(1));
                        let places = striped.areas.iter().map(borrowed).enumerate();
                        used.extend(places.filter_map(|(at, place)| area((at, place, each))));
                    }
                    SegmentKind::Carried(carried) => {
                        let places = carried_areas(&keys, carried).into_iter().enumerate();
                        used.extend(places.filter_map(|(at, place)| area((at, place, whole))));
                    }
                    _ => {}
                }
            }
        }
        used
    }
}

type Place<'a> = Option<(&'a str, Extents)>;

fn borrowed(area: &Area) -> Place<'_> {
    match area {
        Area::Physical { pv, start } => Some((pv, *start)),
        Area::Logical { .. } => None,
    }
}

/// Physical volumes that lists of a carried segment name, with their first extents.
fn carried_areas<'a>(keys: &HashSet<&str>, carried: &'a CarriedSegment) -> Vec<Place<'a>> {
    let lists = ["mirrors", "stripes"].into_iter().filter_map(|key| carried.value(key));
    let mut places = Vec::new();
    for list in lists {
        for pair in list.items().chunks_exact(2) {
            let [Value::Text(name), Value::Integer(start)] = pair else {
                continue;
            };
            let start = u64::try_from(*start).unwrap_or(u64::MAX);
            let known = keys.contains(name.as_str());
            places.push(known.then_some((name.as_str(), Extents::new(start))));
        }
    }
    places
}
