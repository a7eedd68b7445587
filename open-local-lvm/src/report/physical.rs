//! What `pvs` shows.

use std::collections::HashMap;

use open_local_core::{Bytes, Extents};

use super::row::{Report, Row};
use crate::format::check::FindingKind;
use crate::format::group::{PhysicalVolume, VolumeGroup, status};
use crate::scan::{MetadataArea, Scan, ScannedDevice, ScannedGroup};

/// How lvm2 calls a physical volume it does not find.
pub(super) const UNKNOWN: &str = "[unknown]";

/// Physical volumes: one row each, by device, the missing ones first as lvm2 has them.
#[must_use]
pub fn physical_volumes(scan: &Scan) -> Report {
    let mut rows = Vec::new();
    for group in &scan.groups {
        let used = allocated(group.group());
        for (pv, device) in group.physical(scan) {
            let used = used.get(pv.key.as_str()).copied().unwrap_or(0);
            let name = device.map_or_else(|| UNKNOWN.to_owned(), ScannedDevice::name);
            rows.push((name, member(group, pv, device, used)));
        }
    }
    rows.extend(scan.free_devices().map(|device| (device.name(), free(device))));
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    Report { name: "pv", rows: rows.into_iter().map(|(_, row)| row).collect() }
}

/// Extents in use, by physical volume.
pub(super) fn allocated(group: &VolumeGroup) -> HashMap<&str, u64> {
    let mut used: HashMap<&str, u64> = HashMap::new();
    for area in group.physical_areas() {
        let count = used.entry(area.pv).or_default();
        *count = count.saturating_add(area.count.get());
    }
    used
}

/// Sorted, as the tools do.
pub(super) fn tags(tags: &[String]) -> String {
    let mut tags: Vec<&str> = tags.iter().map(String::as_str).collect();
    tags.sort_unstable();
    tags.join(",")
}

/// The smallest of the areas, which bounds the group.
pub(super) fn smallest<'a>(
    areas: impl IntoIterator<Item = &'a MetadataArea>,
    of: impl Fn(&MetadataArea) -> Option<u64>,
) -> Bytes {
    Bytes::new(areas.into_iter().filter_map(of).min().unwrap_or(0))
}

/// Room in an area; one that is set aside has none.
pub(super) fn free_for_text(area: &MetadataArea) -> Option<u64> {
    if area.is_ignored() { None } else { area.free() }
}

fn areas(row: &mut Row, device: Option<&ScannedDevice>) {
    let areas = device.map_or(&[][..], |device| &device.areas);
    let in_use = areas.iter().filter(|area| !area.is_ignored()).count();
    row.push("pv_mda_count", areas.len());
    row.push("pv_mda_used_count", in_use);
    row.push("pv_mda_size", smallest(areas, |area| Some(area.place.size)));
    row.push("pv_mda_free", smallest(areas, free_for_text));
}

fn member(
    group: &ScannedGroup,
    pv: &PhysicalVolume,
    device: Option<&ScannedDevice>,
    used: u64,
) -> Row {
    let view = group.group();
    let size = |extents: u64| view.size_of(Extents::new(extents)).unwrap_or(Bytes::MAX);
    let bytes = |sectors: open_local_core::Sectors| sectors.to_bytes().unwrap_or(Bytes::MAX);
    let exported = view.is_exported() || pv.status.has(status::EXPORTED);
    let missing = device.is_none() || pv.is_missing();
    let free = pv.pe_count.get().saturating_sub(used);
    let doubled = device.is_some_and(|device| {
        device.findings.iter().any(|finding| finding.kind == FindingKind::DuplicatePhysical)
    });
    let mut row = Row::default();
    row.push("pv_name", device.map_or_else(|| UNKNOWN.to_owned(), ScannedDevice::name));
    row.push("vg_name", view.name.as_str());
    row.push("pv_fmt", "lvm2");
    let letter = |set: bool, letter: char| if set { letter } else { '-' };
    let first = match pv.is_allocatable() {
        _ if doubled => 'd',
        true => 'a',
        false => 'u',
    };
    let attributes = [first, letter(exported, 'x'), letter(missing, 'm')];
    row.push("pv_attr", attributes.iter().collect::<String>());
    row.push("pv_size", size(pv.pe_count.get()));
    row.push("pv_free", size(free));
    row.push("pv_used", size(used));
    row.push("pv_uuid", pv.id.to_string());
    row.push("dev_size", device.map_or(Bytes::ZERO, |device| device.size));
    row.push("pe_start", bytes(pv.pe_start));
    row.push("pv_pe_count", pv.pe_count.get());
    row.push("pv_pe_alloc_count", used);
    row.push("pv_tags", tags(&pv.tags));
    areas(&mut row, device);
    row.push("pv_ba_start", pv.ba_start.map_or(Bytes::ZERO, bytes));
    row.push("pv_ba_size", pv.ba_size.map_or(Bytes::ZERO, bytes));
    row.push("pv_allocatable", if pv.is_allocatable() { "allocatable" } else { "" });
    row.push("pv_exported", if exported { "exported" } else { "" });
    row.push("pv_missing", if missing { "missing" } else { "" });
    row.push("pv_in_use", "used");
    row.push("pv_duplicate", if doubled { "duplicate" } else { "" });
    row
}

/// A physical volume without a group.
fn free(device: &ScannedDevice) -> Row {
    let header = device.label.as_ref().map(|label| &label.header);
    let extension = header.and_then(|header| header.extension.as_ref());
    let used = extension.is_some_and(|extension| extension.is_used());
    let start = header.and_then(|header| header.data_start()).unwrap_or(0);
    let boot = extension.and_then(|extension| extension.bootloader_areas.first());
    let size = header.map_or(0, |header| header.device_size);
    let mut row = Row::default();
    row.push("pv_name", device.name());
    row.push("vg_name", "");
    row.push("pv_fmt", "lvm2");
    row.push("pv_attr", if used { "u--" } else { "---" });
    // Without a group there are no extents: the whole device counts (2.03.16).
    row.push("pv_size", Bytes::new(size));
    row.push("pv_free", Bytes::new(size));
    row.push("pv_used", Bytes::ZERO);
    row.push("pv_uuid", device.id().map(|id| id.to_string()));
    row.push("dev_size", device.size);
    row.push("pe_start", Bytes::new(start));
    row.push("pv_pe_count", 0u64);
    row.push("pv_pe_alloc_count", 0u64);
    row.push("pv_tags", "");
    areas(&mut row, Some(device));
    row.push("pv_ba_start", Bytes::new(boot.map_or(0, |area| area.offset)));
    row.push("pv_ba_size", Bytes::new(boot.map_or(0, |area| area.size)));
    row.push("pv_allocatable", "");
    row.push("pv_exported", "");
    row.push("pv_missing", "");
    row.push("pv_in_use", if used { "used" } else { "" });
    row.push("pv_duplicate", "");
    row
}
