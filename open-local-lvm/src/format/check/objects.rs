//! Names, UUIDs, tags and counts.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use super::{FindingKind, Findings, Object};
use crate::format::group::{LogicalVolume, VolumeGroup};
use crate::format::id::LvmId;
use crate::format::names::{check_name, check_tag, reserved_part};

/// lvm2 takes powers of two and, where it does not, multiples of 128 KiB (2.03.16).
const EXTENT_STEP: u64 = 256;

pub(super) fn check(group: &VolumeGroup, findings: &mut Findings) {
    let whole = || Object::Group(group.name.clone());
    let size = group.extent_size.get();
    if !size.is_power_of_two() && (size == 0 || !size.is_multiple_of(EXTENT_STEP)) {
        let message = format!("an extent has {size} sectors");
        findings.add(FindingKind::BadExtentSize, whole(), message);
    }
    name(&group.name, &whole, findings);
    tags(&group.tags, &whole, findings);
    limit("physical volumes", group.physical_volumes.len(), group.max_pv, &whole, findings);
    let volumes = group.logical_volumes.iter().filter(|lv| lv.is_visible()).count();
    limit("volumes", volumes, group.max_lv, &whole, findings);
    unique(group, findings);
    for pv in &group.physical_volumes {
        tags(&pv.tags, &|| Object::Physical(pv.key.clone()), findings);
    }
    group.logical_volumes.iter().for_each(|lv| volume(lv, findings));
}

/// Name and tags of one volume.
pub(super) fn volume(lv: &LogicalVolume, findings: &mut Findings) {
    let object = || Object::Logical(lv.name.clone());
    name(&lv.name, &object, findings);
    tags(&lv.tags, &object, findings);
    let link = lv.segments.first().is_some_and(|s| s.segment_type.name == "snapshot");
    if let Some(part) = reserved_part(&lv.name).filter(|_| lv.is_visible() && !link) {
        let message = format!("is visible, but LVM keeps names with {part} for itself");
        findings.add(FindingKind::ReservedName, object(), message);
    }
}

fn name(name: &str, object: &dyn Fn() -> Object, findings: &mut Findings) {
    if let Err(error) = check_name(name) {
        findings.add(FindingKind::BadName, object(), error.message());
    }
}

fn tags(tags: &[String], object: &dyn Fn() -> Object, findings: &mut Findings) {
    for error in tags.iter().filter_map(|tag| check_tag(tag).err()) {
        let message = format!("tag {}: {}", error.subject(), error.message());
        findings.add(FindingKind::BadTag, object(), message);
    }
}

fn limit(
    what: &str,
    count: usize,
    most: u32,
    object: &dyn Fn() -> Object,
    findings: &mut Findings,
) {
    if most != 0 && u64::try_from(count).is_ok_and(|count| count > u64::from(most)) {
        let message = format!("has {count} {what}, its own limit is {most}");
        findings.add(FindingKind::AboveLimit, object(), message);
    }
}

fn unique(group: &VolumeGroup, findings: &mut Findings) {
    let physical = group.physical_volumes.iter().map(|pv| Named {
        name: &pv.key,
        id: &pv.id,
        object: Object::Physical,
    });
    let logical = group.logical_volumes.iter().map(|lv| Named {
        name: &lv.name,
        id: &lv.id,
        object: Object::Logical,
    });
    let mut ids = HashMap::with_capacity(physical.len().saturating_add(logical.len()));
    unique_names(physical.clone(), findings);
    unique_names(logical.clone(), findings);
    for named in physical.chain(logical) {
        match ids.entry(named.id) {
            Entry::Vacant(free) => drop(free.insert(named)),
            Entry::Occupied(other) => {
                let message = format!("has the UUID {} of {}", named.id, other.get().object());
                findings.add(FindingKind::DuplicateId, named.object(), message);
            }
        }
    }
}

fn unique_names<'a>(all: impl Iterator<Item = Named<'a>>, findings: &mut Findings) {
    let mut names = HashSet::with_capacity(all.size_hint().0);
    for named in all {
        if !names.insert(named.name) {
            findings.add(FindingKind::DuplicateName, named.object(), "stands twice in the text");
        }
    }
}

/// A physical volume by its key, or a volume by its name.
#[derive(Clone, Copy)]
struct Named<'a> {
    name: &'a str,
    id: &'a LvmId,
    object: fn(String) -> Object,
}

impl Named<'_> {
    fn object(&self) -> Object {
        (self.object)(self.name.to_owned())
    }
}
