//! The letters of `lv_attr`.

use super::roles::{Role, Roles};
use crate::format::group::{
    AllocationPolicy, LogicalVolume, SegmentKind, SnapshotStore, flag, status,
};

/// What the kernel says of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum VolumeState {
    /// Nobody asked it.
    Unknown,
    /// It has no such device.
    Inactive,
    /// It has, and nobody has it open.
    Active,
    /// It has, and somebody has it open.
    Open,
}

/// The letter of a policy.
pub(super) const fn policy_letter(policy: &AllocationPolicy) -> char {
    match policy {
        AllocationPolicy::Contiguous => 'c',
        AllocationPolicy::Cling | AllocationPolicy::ClingByTags => 'l',
        AllocationPolicy::Normal => 'n',
        AllocationPolicy::Anywhere => 'a',
        AllocationPolicy::Inherit => 'i',
        AllocationPolicy::Other(_) => '-',
    }
}

/// The ten letters, as lvm2 2.03.16 prints them.
pub(super) fn attributes(
    roles: &Roles<'_>,
    lv: &LogicalVolume,
    state: VolumeState,
    partial: bool,
) -> String {
    let policy = lv.allocation_policy.clone().unwrap_or(AllocationPolicy::Inherit);
    let policy = policy_letter(&policy);
    let locked = lv.status.has(status::LOCKED);
    let (active, open) = match state {
        VolumeState::Unknown => ('X', 'X'),
        VolumeState::Inactive => ('-', '-'),
        VolumeState::Active => ('a', '-'),
        VolumeState::Open => ('a', 'o'),
    };
    let letter = |set: bool, letter: char| if set { letter } else { '-' };
    let letters = [
        kind(roles, lv),
        permission(lv),
        if locked { policy.to_ascii_uppercase() } else { policy },
        letter(lv.status.has(status::FIXED_MINOR), 'm'),
        active,
        open,
        target(roles, lv),
        letter(zeroes(roles, lv), 'z'),
        health(roles, lv, state, partial),
        letter(lv.flags.has(flag::ACTIVATION_SKIP), 'k'),
    ];
    letters.iter().collect()
}

fn type_name(lv: &LogicalVolume) -> &str {
    lv.segments.first().map_or("", |segment| segment.segment_type.name.as_str())
}

fn is_raid(lv: &LogicalVolume) -> bool {
    type_name(lv).starts_with("raid")
}

fn is_merging_cow(roles: &Roles<'_>, name: &str) -> bool {
    let link = roles.user(name, Role::Cow).and_then(|link| link.segments.first());
    link.is_some_and(|segment| {
        matches!(&segment.kind, SegmentKind::Snapshot { store: SnapshotStore::Merging(_), .. })
    })
}

fn is_merging_origin(roles: &Roles<'_>, lv: &LogicalVolume) -> bool {
    let mut links = roles.group.logical_volumes.iter().flat_map(|other| &other.segments);
    links.any(|segment| match &segment.kind {
        SegmentKind::Snapshot { origin, store: SnapshotStore::Merging(_), .. } => {
            *origin == lv.name
        }
        SegmentKind::Thin(thin) => thin.merge.as_deref() == Some(lv.name.as_str()),
        _ => false,
    })
}

fn kind(roles: &Roles<'_>, lv: &LogicalVolume) -> char {
    let name = lv.name.as_str();
    let is = |role| roles.has(name, role);
    let unsynced = lv.status.has(status::NOTSYNCED);
    let either = |set: bool, yes: char, no: char| if set { yes } else { no };
    if lv.status.has(status::PVMOVE) {
        return 'p';
    }
    if is(Role::Origin) || is(Role::ExternalOrigin) {
        return either(is_merging_origin(roles, lv), 'O', 'o');
    }
    if is(Role::PoolMetadata) || is(Role::RaidMetadata) || name.ends_with("_pmspare") {
        return 'e';
    }
    match type_name(lv) {
        "cache" | "cache-pool" | "writecache" => return 'C',
        "mirror" => return either(unsynced, 'M', 'm'),
        "vdo" | "error" | "zero" => return 'v',
        "thin-pool" => return 't',
        "vdo-pool" => return 'd',
        "integrity" => return 'g',
        "thin" if is_merging_origin(roles, lv) => return 'O',
        "thin" => return either(is_merging_thin(lv), 'S', 'V'),
        _ if is_raid(lv) => return either(unsynced, 'R', 'r'),
        _ => {}
    }
    if is(Role::CacheData) || is(Role::CacheVolume) || lv.flags.has(flag::CACHE_VOL) {
        return 'C';
    }
    if is(Role::Cow) {
        return either(is_merging_cow(roles, name), 'S', 's');
    }
    let others = [
        (Role::ThinData, 'T'),
        (Role::VdoData, 'D'),
        // Whether an image is in sync only the kernel knows.
        (Role::MirrorImage, 'I'),
        (Role::RaidImage, 'I'),
        (Role::MirrorLog, 'l'),
        (Role::CacheOrigin, 'o'),
    ];
    others.into_iter().find(|(role, _)| is(*role)).map_or('-', |(_, letter)| letter)
}

fn is_merging_thin(lv: &LogicalVolume) -> bool {
    matches!(
        lv.segments.first().map(|segment| &segment.kind),
        Some(SegmentKind::Thin(thin)) if thin.merge.is_some()
    )
}

fn permission(lv: &LogicalVolume) -> char {
    if lv.status.has(status::PVMOVE) {
        '-'
    } else if lv.is_writable() {
        'w'
    } else if lv.status.has(status::READ) {
        'r'
    } else {
        '-'
    }
}

/// The kind of device-mapper target.
fn target(roles: &Roles<'_>, lv: &LogicalVolume) -> char {
    let is = |role| roles.has(&lv.name, role);
    match type_name(lv) {
        "thin" | "thin-pool" => 't',
        "cache" | "cache-pool" | "writecache" => 'C',
        "mirror" => 'm',
        _ if is_raid(lv) || is(Role::RaidImage) || is(Role::RaidMetadata) => 'r',
        _ if is(Role::CacheOrigin) || is(Role::CacheVolume) || is(Role::CachePool) => 'C',
        _ if is(Role::MirrorImage) || is(Role::MirrorLog) => 'm',
        _ if is(Role::Origin) || is(Role::Cow) => 's',
        "vdo" | "error" | "zero" => 'v',
        _ => '-',
    }
}

fn zeroes(roles: &Roles<'_>, lv: &LogicalVolume) -> bool {
    let pool = match lv.segments.first().map(|segment| &segment.kind) {
        Some(SegmentKind::Thin(thin)) => roles.kind(&thin.thin_pool),
        own => own,
    };
    matches!(pool, Some(SegmentKind::ThinPool(pool)) if pool.zero_new_blocks)
}

fn health(roles: &Roles<'_>, lv: &LogicalVolume, state: VolumeState, partial: bool) -> char {
    let raid = is_raid(lv)
        || roles.has(&lv.name, Role::RaidImage)
        || roles.has(&lv.name, Role::RaidMetadata);
    match state {
        _ if partial => 'p',
        VolumeState::Unknown if raid => 'X',
        _ if raid && lv.status.has(status::WRITEMOSTLY) => 'w',
        _ => '-',
    }
}
