//! What `vgs` shows.

use open_local_core::{Bytes, Extents};

use super::attributes::policy_letter;
use super::logical::is_shown;
use super::physical::{allocated, free_for_text, smallest, tags};
use super::roles::Roles;
use super::row::{Report, Row};
use crate::format::group::{AllocationPolicy, SegmentKind, VolumeGroup, flag, status};
use crate::scan::{MetadataArea, Scan, ScannedGroup};

/// Groups: one row each, by name.
#[must_use]
pub fn volume_groups(scan: &Scan) -> Report {
    Report { name: "vg", rows: scan.groups.iter().map(|group| row(scan, group)).collect() }
}

fn row(scan: &Scan, scanned: &ScannedGroup) -> Row {
    let group = scanned.group();
    let extents: u64 =
        group.physical_volumes.iter().fold(0, |sum: u64, pv| sum.saturating_add(pv.pe_count.get()));
    let used = allocated(group).values().fold(0, |sum: u64, count| sum.saturating_add(*count));
    let free = extents.saturating_sub(used);
    let size = |extents: u64| group.size_of(Extents::new(extents)).unwrap_or(Bytes::MAX);
    let roles = Roles::of(group);
    let shown = group.logical_volumes.iter().filter(|lv| is_shown(&roles, lv)).count();
    let snapshots = group.logical_volumes.iter().flat_map(|lv| &lv.segments);
    let snapshots =
        snapshots.filter(|segment| matches!(segment.kind, SegmentKind::Snapshot { .. })).count();
    let absent = scanned.physical(scan).filter(|(pv, dev)| dev.is_none() || pv.is_missing());
    let missing = absent.count();
    let mut row = Row::default();
    row.push("vg_name", group.name.as_str());
    row.push("pv_count", group.physical_volumes.len());
    row.push("lv_count", shown);
    row.push("snap_count", snapshots);
    row.push("vg_attr", attributes(group, missing > 0));
    row.push("vg_size", size(extents));
    row.push("vg_free", size(free));
    row.push("vg_fmt", "lvm2");
    row.push("vg_uuid", group.id.to_string());
    row.push("vg_tags", tags(&group.tags));
    row.push("vg_seqno", u64::from(group.seqno));
    row.push("vg_extent_size", group.extent_size.to_bytes().unwrap_or(Bytes::MAX));
    row.push("vg_extent_count", extents);
    row.push("vg_free_count", free);
    row.push("max_lv", u64::from(group.max_lv));
    row.push("max_pv", u64::from(group.max_pv));
    row.push("vg_missing_pv_count", missing);
    row.push("vg_systemid", group.system_id.clone().unwrap_or_default());
    row.push("vg_lock_type", group.lock_type.clone().unwrap_or_default());
    row.push("vg_lock_args", group.lock_args.clone().unwrap_or_default());
    row.push("vg_profile", group.profile.clone().unwrap_or_default());
    words(&mut row, group, missing > 0);
    areas(&mut row, scan, scanned);
    row
}

fn policy(group: &VolumeGroup) -> AllocationPolicy {
    group.allocation_policy.clone().unwrap_or(AllocationPolicy::Normal)
}

fn attributes(group: &VolumeGroup, partial: bool) -> String {
    let letter = |set: bool, letter: char| if set { letter } else { '-' };
    let managed = group.lock_type.as_deref().is_some_and(|kind| kind != "none");
    let last = if group.status.has(status::CLUSTERED) { 'c' } else { letter(managed, 's') };
    let letters = [
        if group.is_writable() { 'w' } else { 'r' },
        letter(group.status.has(status::RESIZEABLE), 'z'),
        letter(group.is_exported(), 'x'),
        letter(partial, 'p'),
        policy_letter(&policy(group)),
        last,
    ];
    letters.iter().collect()
}

fn words(row: &mut Row, group: &VolumeGroup, partial: bool) {
    let word = |set: bool, word: &'static str| if set { word } else { "" };
    let managed = group.lock_type.as_deref().is_some_and(|kind| kind != "none");
    let copies = group.metadata_copies.filter(|copies| *copies != 0);
    row.push("vg_permissions", if group.is_writable() { "writeable" } else { "read-only" });
    row.push("vg_extendable", word(group.status.has(status::RESIZEABLE), "extendable"));
    row.push("vg_exported", word(group.is_exported(), "exported"));
    row.push("vg_autoactivation", word(!group.flags.has(flag::NOAUTOACTIVATE), "enabled"));
    row.push("vg_partial", word(partial, "partial"));
    row.push("vg_allocation_policy", policy(group).to_string());
    row.push("vg_clustered", word(group.status.has(status::CLUSTERED), "clustered"));
    row.push("vg_shared", word(managed, "shared"));
    match copies {
        Some(copies) => row.push("vg_mda_copies", u64::from(copies)),
        None => row.push("vg_mda_copies", "unmanaged"),
    }
}

fn areas(row: &mut Row, scan: &Scan, scanned: &ScannedGroup) {
    let devices = scanned.physical(scan).filter_map(|(_, device)| device);
    let areas: Vec<&MetadataArea> = devices.flat_map(|device| &device.areas).collect();
    let in_use = areas.iter().filter(|area| !area.is_ignored()).count();
    row.push("vg_mda_count", areas.len());
    row.push("vg_mda_used_count", in_use);
    row.push("vg_mda_size", smallest(areas.iter().copied(), |area| Some(area.place.size)));
    row.push("vg_mda_free", smallest(areas, free_for_text));
}
