//! Status words, flags and types.

use super::{FindingKind, Findings, Object};
use crate::format::group::{LogicalVolume, Segment, VolumeGroup, Words, flag, status};

/// Flags lvm2 2.03.16 knows; it ignores others.
const FLAGS: [&str; 6] = [
    flag::WRITE_LOCKED,
    flag::NOAUTOACTIVATE,
    flag::ACTIVATION_SKIP,
    flag::ERROR_WHEN_FULL,
    flag::CACHE_VOL,
    flag::MISSING,
];

/// Flags of segment types that lvm2 2.03.16 knows.
const TYPE_FLAGS: [&str; 8] = [
    "CACHE_USES_CACHEVOL",
    "CROP_METADATA",
    "METADATA_FORMAT",
    "REMOVE_AFTER_RESHAPE",
    "RESHAPE",
    "RESHAPE_DATA_OFFSET",
    "RESHAPE_DELTA_DISKS_MINUS",
    "RESHAPE_DELTA_DISKS_PLUS",
];

/// Types that are changed here or carried unchanged; raid levels have a rule of their own.
const TYPES: [&str; 14] = [
    "striped",
    "linear",
    "thin-pool",
    "thin",
    "snapshot",
    "mirror",
    "cache",
    "cache-pool",
    "writecache",
    "vdo",
    "vdo-pool",
    "error",
    "zero",
    "integrity",
];

pub(super) fn check(group: &VolumeGroup, findings: &mut Findings) {
    let object = || Object::Group(group.name.clone());
    unknown(&group.status, &status::OF_GROUPS, &object, findings);
    flags(&group.flags, &object, findings);
    if group.is_exported() {
        findings.add(FindingKind::Exported, object(), "is exported");
    }
    if group.is_shared() {
        let kind = group.lock_type.as_deref().unwrap_or("a cluster");
        findings.add(FindingKind::Shared, object(), format!("is shared through {kind}"));
    }
    if !group.is_writable() || !group.status.has(status::RESIZEABLE) {
        let message = "is not to be changed: its status lacks WRITE or RESIZEABLE";
        findings.add(FindingKind::NotWritable, object(), message);
    }
    if group.status.has(status::PVMOVE) {
        findings.add(FindingKind::Converting, object(), "extents are being moved");
    }
    for pv in &group.physical_volumes {
        let object = || Object::Physical(pv.key.clone());
        unknown(&pv.status, &status::OF_PHYSICAL, &object, findings);
        flags(&pv.flags, &object, findings);
        if pv.is_missing() {
            let message = format!("{} is marked as missing", pv.id);
            findings.add(FindingKind::MissingPhysical, object(), message);
        }
    }
    group.logical_volumes.iter().for_each(|lv| volume(lv, findings));
}

/// Those of one volume.
pub(super) fn volume(lv: &LogicalVolume, findings: &mut Findings) {
    let object = || Object::Logical(lv.name.clone());
    unknown(&lv.status, &status::OF_LOGICAL, &object, findings);
    flags(&lv.flags, &object, findings);
    if lv.status.has(status::PVMOVE) || lv.status.has(status::LOCKED) {
        findings.add(FindingKind::Converting, object(), "is being moved or converted");
    }
    for (number, segment) in (1..).zip(&lv.segments) {
        segment_type(segment, &|| Object::Segment(lv.name.clone(), number), findings);
    }
}

fn unknown(words: &Words, known: &[&str], object: &dyn Fn() -> Object, findings: &mut Findings) {
    for word in words.iter().filter(|word| !known.contains(word)) {
        let message = format!("has the unknown status {}", shown(word));
        findings.add(FindingKind::UnknownStatus, object(), message);
    }
}

fn flags(words: &Words, object: &dyn Fn() -> Object, findings: &mut Findings) {
    for word in words.iter().filter(|word| !FLAGS.contains(word)) {
        let message = format!("has the unknown flag {}", shown(word));
        findings.add(FindingKind::UnknownFlag, object(), message);
    }
}

fn segment_type(segment: &Segment, object: &dyn Fn() -> Object, findings: &mut Findings) {
    let kind = &segment.segment_type;
    let raid = kind.name.strip_prefix("raid");
    let raid = raid.is_some_and(|level| level.starts_with(|first: char| first.is_ascii_digit()));
    if !raid && !TYPES.contains(&kind.name.as_str()) {
        let message = format!("is of the unknown type {}", shown(&kind.name));
        findings.add(FindingKind::UnknownSegmentType, object(), message);
    }
    for flag in kind.flags.iter().filter(|flag| !TYPE_FLAGS.contains(&flag.as_str())) {
        let message = format!("its type has the unknown flag {}", shown(flag));
        findings.add(FindingKind::UnknownSegmentFlag, object(), message);
    }
}

/// A word of the text for a message: escaped and cut.
fn shown(word: &str) -> String {
    let mut shown: String = word.chars().take(64).flat_map(char::escape_debug).collect();
    if word.chars().nth(64).is_some() {
        shown.push('…');
    }
    shown
}
