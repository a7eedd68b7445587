//! Thin pools and their volumes, snapshots, areas inside volumes.

use std::collections::HashMap;

use open_local_core::Extents;

use super::{FindingKind, Findings, Object};
use crate::format::group::{
    Area, LogicalVolume, Segment, SegmentKind, ThinPoolSegment, ThinSegment, VolumeGroup,
};

/// Chunk sizes of a thin pool in sectors: 64 KiB to 1 GiB in steps of 64 KiB (kernel 6.1,
/// `drivers/md/dm-thin.c`).
const CHUNKS: std::ops::RangeInclusive<u64> = 128..=2_097_152;
/// Device numbers of a thin pool have 24 bits.
const LAST_DEVICE: u32 = (1 << 24) - 1;

type Volumes<'a> = HashMap<&'a str, &'a LogicalVolume>;

pub(super) fn check(group: &VolumeGroup, findings: &mut Findings) {
    let physical = |area: &Area| matches!(area, Area::Physical { .. });
    let plain = |segment: &Segment| {
        matches!(segment.kind, SegmentKind::Striped(_)) && segment.areas().iter().all(physical)
    };
    if group.logical_volumes.iter().flat_map(|lv| &lv.segments).all(plain) {
        spare(group, findings);
        return;
    }
    let volumes: Volumes<'_> =
        group.logical_volumes.iter().map(|lv| (lv.name.as_str(), lv)).collect();
    let mut devices = HashMap::new();
    for lv in &group.logical_volumes {
        for (number, segment) in (1..).zip(&lv.segments) {
            let object = || Object::Segment(lv.name.clone(), number);
            match &segment.kind {
                SegmentKind::Striped(_) => inside(&volumes, segment, &object, findings),
                SegmentKind::ThinPool(pool) => {
                    thin_pool(&volumes, lv, segment, pool, &object, findings);
                }
                SegmentKind::Thin(thin) => {
                    single(lv, &object, findings);
                    let number = (thin.thin_pool.as_str(), thin.device_id);
                    if let Some(other) = devices.insert(number, &lv.name) {
                        let message = format!("has device {} of {other}", thin.device_id);
                        findings.add(FindingKind::DuplicateDeviceId, object(), message);
                    }
                    thin_volume(&volumes, thin, &object, findings);
                }
                _ => {}
            }
        }
    }
    spare(group, findings);
}

fn extents(lv: &LogicalVolume) -> u64 {
    lv.extents().map_or(u64::MAX, Extents::get)
}

/// Areas in other volumes lie inside them.
fn inside(
    volumes: &Volumes<'_>,
    segment: &Segment,
    object: &dyn Fn() -> Object,
    findings: &mut Findings,
) {
    let stripes = u64::try_from(segment.areas().len()).unwrap_or(u64::MAX).max(1);
    let each = segment.extent_count.get().div_ceil(stripes);
    for area in segment.areas() {
        let Area::Logical { lv, start } = area else {
            continue;
        };
        let Some(size) = volumes.get(lv.as_str()).map(|lv| extents(lv)) else {
            continue;
        };
        if start.get().saturating_add(each) > size {
            let message = format!("uses {each} from {} of {lv}, which has {size}", start.get());
            findings.add(FindingKind::BeyondEnd, object(), message);
        }
    }
}

fn single(lv: &LogicalVolume, object: &dyn Fn() -> Object, findings: &mut Findings) {
    if lv.segments.len() > 1 {
        findings.add(FindingKind::SegmentOrder, object(), "is not the volume's only segment");
    }
}

fn thin_pool(
    volumes: &Volumes<'_>,
    lv: &LogicalVolume,
    segment: &Segment,
    pool: &ThinPoolSegment,
    object: &dyn Fn() -> Object,
    findings: &mut Findings,
) {
    single(lv, object, findings);
    let chunk = pool.chunk_size.get();
    if !CHUNKS.contains(&chunk) || !chunk.is_multiple_of(*CHUNKS.start()) {
        let message = format!("a chunk has {chunk} sectors");
        findings.add(FindingKind::WrongSize, object(), message);
    }
    if let Some(data) = volumes.get(pool.data.as_str()) {
        let size = extents(data);
        if size != segment.extent_count.get() {
            let message = format!("{} over data of {size}", segment.extent_count);
            findings.add(FindingKind::WrongSize, object(), message);
        }
    }
    for name in [&pool.data, &pool.metadata] {
        if volumes.get(name.as_str()).is_some_and(|part| part.is_visible()) {
            let message = format!("its part {name} is visible");
            findings.add(FindingKind::WrongSize, object(), message);
        }
    }
}

fn pool_of<'a>(volumes: &Volumes<'a>, thin: &ThinSegment) -> Option<&'a ThinPoolSegment> {
    let pool = volumes.get(thin.thin_pool.as_str())?;
    match &pool.segments.first()?.kind {
        SegmentKind::ThinPool(pool) => Some(pool),
        _ => None,
    }
}

fn thin_volume(
    volumes: &Volumes<'_>,
    thin: &ThinSegment,
    object: &dyn Fn() -> Object,
    findings: &mut Findings,
) {
    if thin.device_id > LAST_DEVICE {
        let message = format!("device {} has more than 24 bits", thin.device_id);
        findings.add(FindingKind::WrongSize, object(), message);
    }
    let Some(pool) = pool_of(volumes, thin) else {
        if volumes.contains_key(thin.thin_pool.as_str()) {
            let message = format!("{} is no thin pool", thin.thin_pool);
            findings.add(FindingKind::DanglingReference, object(), message);
        }
        return;
    };
    if thin.transaction_id > pool.transaction_id {
        let message = format!(
            "was made in transaction {}, the pool is at {}",
            thin.transaction_id, pool.transaction_id
        );
        findings.add(FindingKind::WrongSize, object(), message);
    }
}

/// The reserve for repairs holds the largest metadata of a pool.
fn spare(group: &VolumeGroup, findings: &mut Findings) {
    let spare = group.logical_volumes.iter().find(|lv| lv.name.ends_with("_pmspare"));
    let Some(spare) = spare else {
        return;
    };
    let metadata = group.logical_volumes.iter().filter(|lv| lv.name.ends_with("_tmeta"));
    let largest = metadata.map(extents).max().unwrap_or(0);
    if extents(spare) < largest {
        let message = format!("has {} extents, the largest metadata {largest}", extents(spare));
        findings.add(FindingKind::SmallSpare, Object::Logical(spare.name.clone()), message);
    }
}
