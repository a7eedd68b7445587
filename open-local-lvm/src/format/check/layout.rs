//! Extents: inside their physical volumes, without overlap, in order, with counts that agree.

use std::collections::HashMap;

use super::{FindingKind, Findings, Object};
use crate::format::group::{
    LogicalVolume, PhysicalArea, PhysicalVolume, Segment, SegmentKind, VolumeGroup,
};

pub(super) fn check(group: &VolumeGroup, findings: &mut Findings) {
    for pv in &group.physical_volumes {
        device_size(group, pv, findings);
    }
    group.logical_volumes.iter().for_each(|lv| volume(lv, findings));
    areas(group, findings);
}

/// The segments of one volume, but not where they lie.
pub(super) fn volume(lv: &LogicalVolume, findings: &mut Findings) {
    order(lv, findings);
    for (number, segment) in (1..).zip(&lv.segments) {
        stripes(segment, &|| Object::Segment(lv.name.clone(), number), findings);
    }
}

fn device_size(group: &VolumeGroup, pv: &PhysicalVolume, findings: &mut Findings) {
    let Some(device) = pv.dev_size.map(|size| size.get()).filter(|size| *size != 0) else {
        return;
    };
    let extents = pv.pe_count.get().checked_mul(group.extent_size.get());
    let end = extents.and_then(|size| size.checked_add(pv.pe_start.get()));
    if end.is_none_or(|end| end > device) {
        let message = format!(
            "{} from sector {} need more than the device's {device} sectors",
            pv.pe_count,
            pv.pe_start.get(),
        );
        findings.add(FindingKind::BeyondDevice, Object::Physical(pv.key.clone()), message);
    }
}

/// Segments follow each other without gap.
fn order(lv: &LogicalVolume, findings: &mut Findings) {
    if lv.segments.is_empty() {
        findings.add(FindingKind::Empty, Object::Logical(lv.name.clone()), "has no segment");
    }
    let mut expected = 0;
    for (number, segment) in (1..).zip(&lv.segments) {
        let object = || Object::Segment(lv.name.clone(), number);
        let (start, count) = (segment.start_extent.get(), segment.extent_count.get());
        if start != expected {
            let message = format!("begins at extent {start}, not at {expected}");
            findings.add(FindingKind::SegmentOrder, object(), message);
        }
        if count == 0 {
            findings.add(FindingKind::Empty, object(), "has no extents");
        }
        expected = start.saturating_add(count);
    }
}

/// The extents divide by the stripes, and several stripes have a size.
fn stripes(segment: &Segment, object: &dyn Fn() -> Object, findings: &mut Findings) {
    let SegmentKind::Striped(striped) = &segment.kind else {
        return;
    };
    let stripes = u64::try_from(striped.areas.len()).unwrap_or(u64::MAX);
    if stripes == 0 {
        findings.add(FindingKind::Empty, object(), "has no stripes");
        return;
    }
    if !segment.extent_count.get().is_multiple_of(stripes) {
        let message = format!("{} over {stripes} stripes", segment.extent_count);
        findings.add(FindingKind::WrongSize, object(), message);
    }
    let size = striped.stripe_size.map_or(0, |size| size.get());
    if stripes > 1 && !size.is_power_of_two() {
        let message = format!("has {stripes} stripes of {size} sectors");
        findings.add(FindingKind::WrongSize, object(), message);
    }
}

/// Every area lies inside its physical volume and none on another.
fn areas(group: &VolumeGroup, findings: &mut Findings) {
    let sizes: HashMap<&str, u64> =
        group.physical_volumes.iter().map(|pv| (pv.key.as_str(), pv.pe_count.get())).collect();
    let mut used = group.physical_areas();
    let object = |area: &PhysicalArea<'_>| {
        Object::Segment(area.lv.to_owned(), area.segment.saturating_add(1))
    };
    let end = |area: &PhysicalArea<'_>| area.start.get().saturating_add(area.count.get());
    for area in &used {
        let size = sizes.get(area.pv).copied().unwrap_or(0);
        if end(area) > size {
            let message = format!(
                "uses {} from {} of {}, which has {size}",
                area.count,
                area.start.get(),
                area.pv
            );
            findings.add(FindingKind::BeyondEnd, object(area), message);
        }
    }
    used.sort_by_key(|area| (area.pv, area.start));
    let mut reaching: Option<PhysicalArea<'_>> = None;
    for area in used.into_iter().filter(|area| !area.count.is_zero()) {
        if let Some(before) = reaching.filter(|before| before.pv == area.pv) {
            if end(&before) > area.start.get() {
                let message = format!(
                    "uses extent {} of {}, which {} uses too",
                    area.start.get(),
                    area.pv,
                    object(&before)
                );
                findings.add(FindingKind::Overlap, object(&area), message);
            }
            if end(&before) >= end(&area) {
                continue;
            }
        }
        reaching = Some(area);
    }
}
