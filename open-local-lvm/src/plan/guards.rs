//! What may not be changed, and why.

use open_local_core::{Error, ErrorKind};

use super::context::Context;
use super::draft::{about, no_volume};
use crate::format::check::{FindingKind, Object, Severity, check, references};
use crate::format::group::{Area, LogicalVolume, SegmentKind, SnapshotStore, VolumeGroup, status};
use crate::format::text::{Entry, Item, Value};

/// Refuses a group that must not be changed here.
///
/// # Errors
/// `Refused` with the reason, or `Corrupt` if the group is not whole.
pub(super) fn group(group: &VolumeGroup, context: &Context<'_>) -> Result<(), Error> {
    if let Some(owner) = group.system_id.as_deref().filter(|id| !id.is_empty())
        && context.system_id != Some(owner)
    {
        let own = context.system_id.unwrap_or("none");
        let message = format!("belongs to the host with system id {owner}; this host's is {own}");
        return Err(about(ErrorKind::Refused, &group.name, message)
            .with_remedy("change it on that host, or hand it over with vgchange --systemid"));
    }
    let findings = check(group);
    let against = findings.iter().filter(|finding| finding.severity() >= Severity::Refuse);
    // The worst first; among equals the first that was found.
    let Some(worst) = against.clone().max_by_key(|finding| finding.severity() == Severity::Damage)
    else {
        return Ok(());
    };
    let others = match against.count().saturating_sub(1) {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    let object = match &worst.object {
        Object::Group(_) => String::new(),
        object => format!("{object} "),
    };
    let kind = match worst.severity() {
        Severity::Damage => ErrorKind::Corrupt,
        _ => ErrorKind::Refused,
    };
    let message = format!("must not be changed: {object}{}{others}", worst.message);
    Err(about(kind, &group.name, message).with_remedy(remedy(worst.kind)))
}

pub(super) const fn remedy(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::Exported => "import it with vgimport",
        FindingKind::Shared => "use the lvm2 tools with their lock manager",
        FindingKind::MissingPhysical => {
            "bring the device back, or see vgextend --restoremissing and vgreduce --removemissing"
        }
        FindingKind::Converting => "wait for it or abort it with pvmove --abort",
        FindingKind::UnknownStatus
        | FindingKind::UnknownMessage
        | FindingKind::UnknownSegmentFlag
        | FindingKind::UnknownSegmentType => "use a version of the lvm2 tools that knows it",
        FindingKind::NotWritable => "see vgchange --resizeable and vgs -o vg_attr",
        _ => "see vgck and vgcfgrestore",
    }
}

/// What uses a volume: names of others, with how.
pub(super) fn users<'a>(group: &'a VolumeGroup, name: &str) -> Vec<(&'a str, &'static str)> {
    let mut users = Vec::new();
    for lv in &group.logical_volumes {
        for segment in &lv.segments {
            if references(segment).iter().any(|(used, _)| *used == name) {
                users.push((lv.name.as_str(), role(&segment.kind, name)));
            }
        }
    }
    let remembered = group.historical_volumes.iter().filter(|old| mentions(&old.entries, name));
    users.extend(remembered.map(|old| (old.key.as_str(), "the history of")));
    users
}

fn role(kind: &SegmentKind, name: &str) -> &'static str {
    match kind {
        SegmentKind::Snapshot { origin, .. } if origin == name => "the origin of",
        SegmentKind::Snapshot { .. } => "the store of",
        SegmentKind::ThinPool(_) => "a part of pool",
        SegmentKind::Thin(thin) if thin.thin_pool == name => "the pool of",
        SegmentKind::Thin(thin) if thin.external_origin.as_deref() == Some(name) => {
            "the external origin of"
        }
        SegmentKind::Thin(_) => "the origin of",
        SegmentKind::Striped(_) | SegmentKind::Carried(_) => "a part of",
    }
}

fn mentions(entries: &[Entry], name: &str) -> bool {
    entries.iter().any(|entry| match &entry.item {
        Item::Value(value) => value.items().iter().any(|item| item.as_str() == Some(name)),
        Item::Section(section) => mentions(section.entries(), name),
    })
}

/// A volume of users: visible, or the store of a copy-on-write snapshot, whose name users see.
///
/// # Errors
/// `NotFound`, or `Refused` for one that is a hidden part.
pub(super) fn public<'a>(group: &'a VolumeGroup, name: &str) -> Result<&'a LogicalVolume, Error> {
    let lv = group.logical(name).ok_or_else(|| no_volume(name))?;
    let is_link = lv.segments.iter().any(|s| matches!(s.kind, SegmentKind::Snapshot { .. }));
    let is_store = group.logical_volumes.iter().flat_map(|lv| &lv.segments).any(|segment| {
        matches!(&segment.kind, SegmentKind::Snapshot { store, .. }
            if matches!(store, SnapshotStore::Cow(s) | SnapshotStore::Merging(s) if s == name))
    });
    if is_link || !(lv.is_visible() || is_store) {
        let message = "is a hidden part of another volume and not to be changed by itself";
        return Err(about(ErrorKind::Refused, name, message));
    }
    Ok(lv)
}

/// A visible volume whose extents may be changed: linear or striped on physical volumes, and
/// nothing is built on it.
///
/// # Errors
/// `NotFound`; `Unsupported` for one of another type; `Refused` for a part, pool or origin.
pub(super) fn plain<'a>(group: &'a VolumeGroup, name: &str) -> Result<&'a LogicalVolume, Error> {
    let lv = public(group, name)?;
    if let Some((user, how)) = users(group, name).first() {
        return Err(about(ErrorKind::Refused, name, format!("is {how} {user}"))
            .with_remedy("remove that first"));
    }
    for segment in &lv.segments {
        let physical = segment.areas().iter().all(|area| matches!(area, Area::Physical { .. }));
        if !matches!(segment.kind, SegmentKind::Striped(_)) || !physical {
            let kind = &segment.segment_type;
            let message = format!("is of type {kind}, which is carried and not changed here");
            return Err(
                about(ErrorKind::Unsupported, name, message).with_remedy("use the lvm2 tools")
            );
        }
    }
    if lv.status.has(status::LOCKED) || lv.status.has(status::PVMOVE) {
        return Err(about(ErrorKind::Refused, name, "is being moved or converted"));
    }
    Ok(lv)
}

/// Longest name of a device-mapper device (kernel 6.1, `DM_NAME_LEN` without the final zero).
const MAX_DEVICE_NAME: usize = 127;

/// Refuses names with which a volume could not be activated: in the kernel's name hyphens of
/// group and volume are doubled.
///
/// # Errors
/// `InvalidArgument`.
pub(super) fn device_name(group: &str, volume: &str) -> Result<(), Error> {
    let doubled = |name: &str| name.len() + name.bytes().filter(|byte| *byte == b'-').count();
    let length = doubled(group) + 1 + doubled(volume);
    if length > MAX_DEVICE_NAME {
        let message = format!(
            "the kernel's name for it in group {group} would have {length} characters, more than \
             {MAX_DEVICE_NAME}"
        );
        return Err(about(ErrorKind::InvalidArgument, volume, message)
            .with_remedy("use a shorter name; each hyphen counts twice"));
    }
    Ok(())
}

/// Whether a name stands for something in the group, visible, hidden or remembered.
pub(super) fn is_taken(group: &VolumeGroup, name: &str) -> bool {
    let remembered = |entries: &[Entry]| {
        let named = entries.iter().find(|entry| entry.key == "name");
        named.is_some_and(
            |entry| matches!(&entry.item, Item::Value(value) if value == &Value::from(name)),
        )
    };
    group.logical(name).is_some()
        || group.historical_volumes.iter().any(|old| old.key == name || remembered(&old.entries))
}
