//! What `lvs -a` shows.

use std::collections::HashSet;

use open_local_core::{Bytes, Extents};

use super::attributes::{VolumeState, attributes};
use super::physical::{UNKNOWN, tags};
use super::roles::{Role, Roles, names};
use super::row::{Cell, Report, Row};
use crate::format::group::{
    AllocationPolicy, LogicalVolume, SegmentKind, VolumeGroup, flag, status,
};
use crate::format::text::Value;
use crate::scan::{Scan, ScannedDevice, ScannedGroup};

/// Volumes, hidden ones in brackets: one row each, by group and name. Nobody asks the kernel.
#[must_use]
pub fn logical_volumes(scan: &Scan) -> Report {
    logical_volumes_with(scan, &|_, _| VolumeState::Unknown)
}

/// The same with what the kernel says of each.
pub fn logical_volumes_with(
    scan: &Scan,
    state: &dyn Fn(&VolumeGroup, &LogicalVolume) -> VolumeState,
) -> Report {
    let mut rows = Vec::new();
    for group in &scan.groups {
        let roles = Roles::of(group.group());
        let partial = partial(scan, group, &roles);
        for lv in listed(&roles) {
            let state = state(group.group(), lv);
            let mut row = Row::default();
            row.push("lv_name", roles.shown(&lv.name));
            row.push("vg_name", group.group().name.as_str());
            let partial = partial.contains(lv.name.as_str());
            row.push("lv_attr", attributes(&roles, lv, state, partial));
            own(&mut row, group.group(), lv);
            related(&mut row, scan, group, &roles, lv);
            rows.push(row);
        }
    }
    Report { name: "lv", rows }
}

/// Whether `lvs` shows a volume without `-a`.
pub(super) fn is_shown(roles: &Roles<'_>, lv: &LogicalVolume) -> bool {
    !is_link(lv) && roles.is_visible(lv)
}

/// The volume that joins an origin and a snapshot; the tools never show it.
fn is_link(lv: &LogicalVolume) -> bool {
    matches!(lv.segments.first().map(|segment| &segment.kind), Some(SegmentKind::Snapshot { .. }))
}

/// The volumes that `lvs -a` shows, by name.
pub(super) fn listed<'a>(roles: &Roles<'a>) -> Vec<&'a LogicalVolume> {
    let all = roles.group.logical_volumes.iter().filter(|lv| !is_link(lv));
    let mut all: Vec<&LogicalVolume> = all.collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

pub(super) fn size(group: &VolumeGroup, lv: &LogicalVolume) -> Bytes {
    let extents = lv.extents().unwrap_or(Extents::MAX);
    group.size_of(extents).unwrap_or(Bytes::MAX)
}

/// Columns from the volume's own section.
fn own(row: &mut Row, group: &VolumeGroup, lv: &LogicalVolume) {
    let policy = lv.allocation_policy.clone().unwrap_or(AllocationPolicy::Inherit);
    let number = |number: Option<i64>| number.map_or_else(|| "-1".to_owned(), |n| n.to_string());
    let fixed = lv.status.has(status::FIXED_MINOR);
    row.push("lv_size", size(group, lv));
    row.push("lv_uuid", lv.id.to_string());
    row.push("lv_full_name", format!("{}/{}", group.name, lv.name));
    row.push("lv_dm_path", format!("/dev/mapper/{}-{}", doubled(&group.name), doubled(&lv.name)));
    row.push("lv_tags", tags(&lv.tags));
    row.push("seg_count", lv.segments.len());
    row.push("lv_allocation_policy", policy.to_string());
    row.push("lv_major", if fixed { number(lv.major) } else { "-1".to_owned() });
    row.push("lv_minor", if fixed { number(lv.minor) } else { "-1".to_owned() });
    let skip = lv.flags.has(flag::ACTIVATION_SKIP);
    row.push("lv_skip_activation", if skip { "skip activation" } else { "" });
    let automatic = !lv.flags.has(flag::NOAUTOACTIVATE);
    row.push("lv_autoactivation", if automatic { "enabled" } else { "" });
    row.push("lv_fixed_minor", if fixed { "fixed minor" } else { "" });
    row.push("lv_host", lv.creation_host.as_ref().and_then(Value::as_str));
    row.push("lv_profile", lv.profile.clone());
    row.push("lv_lockargs", lv.lock_args.clone());
}

/// A name in a device-mapper name: hyphens are doubled.
fn doubled(name: &str) -> String {
    name.replace('-', "--")
}

/// Columns that name other volumes, and those only the kernel could fill.
fn related(
    row: &mut Row,
    scan: &Scan,
    scanned: &ScannedGroup,
    roles: &Roles<'_>,
    lv: &LogicalVolume,
) {
    let relations = Relations::of(roles, lv);
    let shown = |name: Option<&str>| name.map(|name| roles.shown(name));
    let group = scanned.group();
    row.push("pool_lv", shown(relations.pool));
    row.push("origin", shown(relations.origin));
    let uuid = |name: Option<&str>| {
        let lv = name.and_then(|name| roles.volume(name));
        Cell::from(lv.map(|lv| lv.id.to_string()))
    };
    row.push("origin_uuid", uuid(relations.origin));
    row.push("pool_lv_uuid", uuid(relations.pool));
    let external = matches!(
        roles.kind(&lv.name),
        Some(SegmentKind::Thin(thin)) if thin.external_origin.is_some()
    );
    let origin_size = match roles.user(&lv.name, Role::Cow) {
        None if external => relations.origin.and_then(|name| roles.volume(name)),
        Some(_) => relations.origin.and_then(|name| roles.volume(name)),
        None => roles.has(&lv.name, Role::Origin).then_some(lv),
    };
    row.push("origin_size", origin_size.map(|lv| size(group, lv)));
    row.push("data_lv", shown(relations.data));
    row.push("metadata_lv", shown(relations.metadata));
    let metadata = relations.metadata.and_then(|name| roles.volume(name));
    row.push("lv_metadata_size", metadata.map(|lv| size(group, lv)));
    row.push("lv_parent", parent(roles, lv).map(|lv| roles.shown(&lv.name)));
    let is_pool = matches!(roles.kind(&lv.name), Some(SegmentKind::ThinPool(_)));
    let full = if lv.flags.has(flag::ERROR_WHEN_FULL) { "error" } else { "queue" };
    row.push("lv_when_full", is_pool.then_some(full));
    let path = roles.is_visible(lv) && !is_pool;
    row.push("lv_path", path.then(|| format!("/dev/{}/{}", group.name, lv.name)));
    row.push("mirror_log", shown(relations.log));
    row.push("move_pv", moved(scan, scanned, lv));
    for column in ["data_percent", "metadata_percent", "copy_percent", "convert_lv"] {
        row.push(column, "");
    }
}

/// The physical volume that is emptied by a move.
fn moved(scan: &Scan, scanned: &ScannedGroup, lv: &LogicalVolume) -> Option<String> {
    if !lv.status.has(status::PVMOVE) {
        return None;
    }
    let SegmentKind::Carried(carried) = &lv.segments.first()?.kind else {
        return None;
    };
    let key = names(carried, "mirrors").next()?;
    let (_, device) = scanned.physical(scan).find(|(pv, _)| pv.key == key)?;
    Some(device.map_or_else(|| UNKNOWN.to_owned(), ScannedDevice::name))
}

/// The volume a hidden one is a part of.
fn parent<'a>(roles: &Roles<'a>, lv: &LogicalVolume) -> Option<&'a LogicalVolume> {
    let roles_with_parents = [
        Role::ThinData,
        Role::PoolMetadata,
        Role::CacheData,
        Role::RaidImage,
        Role::RaidMetadata,
        Role::MirrorImage,
        Role::MirrorLog,
    ];
    roles_with_parents.into_iter().find_map(|role| roles.user(&lv.name, role))
}

/// The volumes a volume names.
#[derive(Debug, Default)]
struct Relations<'a> {
    pool: Option<&'a str>,
    origin: Option<&'a str>,
    data: Option<&'a str>,
    metadata: Option<&'a str>,
    log: Option<&'a str>,
}

impl<'a> Relations<'a> {
    fn of(roles: &Roles<'a>, lv: &'a LogicalVolume) -> Self {
        let mut relations = Self::default();
        if let Some(link) = roles.user(&lv.name, Role::Cow)
            && let Some(SegmentKind::Snapshot { origin, .. }) = roles.kind(&link.name)
        {
            relations.origin = Some(origin);
        }
        match lv.segments.first().map(|segment| &segment.kind) {
            Some(SegmentKind::Thin(thin)) => {
                relations.pool = Some(&thin.thin_pool);
                relations.origin = thin.external_origin.as_deref().or(thin.origin.as_deref());
            }
            Some(SegmentKind::ThinPool(pool)) => {
                relations.data = Some(&pool.data);
                relations.metadata = Some(&pool.metadata);
            }
            Some(SegmentKind::Carried(carried)) => {
                let first = |key| names(carried, key).next();
                relations.origin = first("origin");
                relations.pool =
                    ["cache_pool", "writecache", "vdo_pool"].into_iter().find_map(first);
                relations.data = first("data");
                relations.metadata = first("metadata");
                relations.log = first("mirror_log");
            }
            _ => {}
        }
        relations
    }
}

/// Names of volumes that are, or stand on, missing physical volumes.
pub(super) fn partial<'a>(
    scan: &Scan,
    scanned: &'a ScannedGroup,
    roles: &Roles<'a>,
) -> HashSet<&'a str> {
    let missing: HashSet<&str> = scanned
        .physical(scan)
        .filter(|(pv, device)| device.is_none() || pv.is_missing())
        .map(|(pv, _)| pv.key.as_str())
        .collect();
    let mut partial: HashSet<&str> = HashSet::new();
    if missing.is_empty() {
        return partial;
    }
    let areas = scanned.group().physical_areas();
    partial.extend(areas.iter().filter(|area| missing.contains(area.pv)).map(|area| area.lv));
    let mut queue: Vec<&str> = partial.iter().copied().collect();
    let users = roles.users();
    while let Some(name) = queue.pop() {
        for user in users.get(name).into_iter().flatten() {
            if partial.insert(user) {
                queue.push(user);
            }
        }
    }
    partial
}
