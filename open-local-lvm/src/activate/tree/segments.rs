//! Lines of linear and striped segments.

use open_local_core::{DeviceNumber, Extents, Result, Sectors};

use super::builder::Builder;
use super::refuse::{corrupt, no_device, unsupported};
use super::{Below, Line, Target};
use crate::format::group::{Area, LogicalVolume, Segment, SegmentKind, StripedSegment};

impl Builder<'_> {
    /// The table of a volume of linear and striped segments.
    pub(super) fn plain_table(&self, lv: &LogicalVolume) -> Result<Vec<Line>> {
        let mut next = 0u64;
        let mut table = Vec::with_capacity(lv.segments.len());
        for segment in &lv.segments {
            if segment.start_extent.get() != next || segment.extent_count.is_zero() {
                return Err(corrupt(self.group, &lv.name, "its segments leave gaps or overlap"));
            }
            next = next.saturating_add(segment.extent_count.get());
            table.push(self.plain_line(lv, segment)?);
        }
        if table.is_empty() {
            return Err(corrupt(self.group, &lv.name, "it has no segments"));
        }
        Ok(table)
    }

    /// So many extents in sectors.
    pub(super) fn sectors(&self, lv: &LogicalVolume, extents: Extents) -> Result<Sectors> {
        let sectors = self.group.extent_size.checked_mul(extents.get());
        sectors.ok_or_else(|| corrupt(self.group, &lv.name, "its size is beyond 64 bits"))
    }

    fn plain_line(&self, lv: &LogicalVolume, segment: &Segment) -> Result<Line> {
        let SegmentKind::Striped(striped) = &segment.kind else {
            let what = format!("it has a segment of type {}", segment.segment_type);
            return Err(unsupported(self.group, &lv.name, &what));
        };
        if !segment.segment_type.flags.is_empty() {
            let what = format!("it has a segment of type {}", segment.segment_type);
            return Err(unsupported(self.group, &lv.name, &what));
        }
        Ok(Line {
            start: self.sectors(lv, segment.start_extent)?,
            length: self.sectors(lv, segment.extent_count)?,
            target: self.stripes(lv, segment, striped)?,
        })
    }

    fn stripes(
        &self,
        lv: &LogicalVolume,
        segment: &Segment,
        striped: &StripedSegment,
    ) -> Result<Target> {
        let count = u64::try_from(striped.areas.len()).unwrap_or(u64::MAX);
        let extents = segment.extent_count.get();
        let each =
            extents.checked_div(count).filter(|each| each.checked_mul(count) == Some(extents));
        let each = each.ok_or_else(|| {
            corrupt(self.group, &lv.name, "the extents of a segment do not divide by its stripes")
        })?;
        let areas = striped.areas.iter().map(|area| self.area(lv, area, each));
        let mut areas = areas.collect::<Result<Vec<_>>>()?;
        if areas.len() == 1
            && let Some((number, start)) = areas.pop()
        {
            return Ok(Target::Linear { below: Below::Device(number), start });
        }
        let stripe_size = striped.stripe_size.filter(|size| !size.is_zero());
        let stripe_size = stripe_size
            .ok_or_else(|| corrupt(self.group, &lv.name, "a striped segment has no stripe size"))?;
        let areas = areas.into_iter().map(|(number, start)| (Below::Device(number), start));
        Ok(Target::Striped { stripe_size, areas: areas.collect() })
    }

    /// Where an area of so many extents lies: device and first sector.
    fn area(
        &self,
        lv: &LogicalVolume,
        area: &Area,
        extents: u64,
    ) -> Result<(DeviceNumber, Sectors)> {
        let Area::Physical { pv: key, start } = area else {
            return Err(unsupported(self.group, &lv.name, "it lies on another volume"));
        };
        let bad = |what: &str| corrupt(self.group, &lv.name, format!("{what} {key}"));
        let pv = self.group.physical(key).ok_or_else(|| bad("there is no physical volume"))?;
        let end = start.get().checked_add(extents);
        if end.is_none_or(|end| end > pv.pe_count.get()) {
            return Err(bad("a segment lies beyond the end of the physical volume"));
        }
        let offset = self.sectors(lv, *start)?.checked_add(pv.pe_start);
        let offset = offset.ok_or_else(|| bad("an offset is beyond 64 bits on"))?;
        let number = self.devices.get(&pv.id).filter(|_| !pv.is_missing());
        let missing = || no_device(self.group, &lv.name, &format!("{} ({key})", pv.id));
        Ok((*number.ok_or_else(missing)?, offset))
    }
}
