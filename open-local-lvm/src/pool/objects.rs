//! Which volumes of a group belong to a pool, and what each is (pure).

use std::collections::BTreeSet;

use open_local_core::{Bytes, Error, ErrorKind, Op, Result, SnapshotId, Source, Uuid, VolumeId};

use super::names;
use super::orders::{Mode, Orders};
use super::tags::{self, Kind, Label, State};
use crate::format::group::{Area, LogicalVolume, SegmentKind, ThinSegment, VolumeGroup};
use crate::format::id::LvmId;

/// An object of a pool as its group has it.
#[derive(Debug, Clone)]
pub(super) struct Object {
    /// Its name in the group.
    pub(super) name: String,
    /// Its UUID in the group.
    pub(super) uuid: LvmId,
    pub(super) label: Label,
    pub(super) size: Bytes,
    /// Whether it may be written.
    pub(super) writable: bool,
    /// Its segment, where it is thin.
    pub(super) thin: Option<ThinSegment>,
}

/// What an object is to callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    Volume(VolumeId),
    Snapshot(SnapshotId),
    /// Being erased; nobody can ask for it by this id.
    Erasing(VolumeId),
    /// The next content of a volume, of no use by itself.
    Rolling,
}

impl Object {
    pub(super) fn role(&self) -> Option<Role> {
        if self.name.starts_with("ol.r.") {
            return Some(Role::Rolling);
        }
        if matches!(self.label.state, State::Erasing(_)) {
            return Some(Role::Erasing(erasing_id(&self.uuid)));
        }
        match &self.label.kind {
            Kind::Volume { id: Some(id), .. } => Some(Role::Volume(id.clone())),
            Kind::Volume { id: None, .. } if names::is_made(&self.name) => None,
            Kind::Volume { id: None, .. } => self.name.parse().ok().map(Role::Volume),
            Kind::Snapshot { id, .. } => Some(Role::Snapshot(id.clone())),
        }
    }

    pub(super) fn key(&self) -> Option<Source> {
        match self.role()? {
            Role::Volume(id) => Some(Source::Volume(id)),
            Role::Snapshot(id) => Some(Source::Snapshot(id)),
            Role::Erasing(_) | Role::Rolling => None,
        }
    }
}

/// The id something is listed under while it is erased.
pub(crate) fn erasing_id(uuid: &LvmId) -> VolumeId {
    VolumeId::erasing(folded(uuid))
}

/// A UUID of LVM in the form that others have.
pub(super) fn folded(uuid: &LvmId) -> Uuid {
    let mut bytes = [0u8; 16];
    for (n, byte) in uuid.as_raw().iter().enumerate() {
        // 32 characters folded into 16 bytes; equal ids are told apart by their names.
        if let Some(slot) = bytes.get_mut(n % 16) {
            *slot = slot.rotate_left(4) ^ byte;
        }
    }
    Uuid::from_bytes(bytes)
}

/// The thin segment of a volume, where it is thin.
pub(super) fn thin_of(lv: &LogicalVolume) -> Option<&ThinSegment> {
    match lv.segments.as_slice() {
        [segment] => match &segment.kind {
            SegmentKind::Thin(thin) => Some(thin),
            _ => None,
        },
        _ => None,
    }
}

/// Whether a volume lies on physical volumes alone.
fn is_plain(lv: &LogicalVolume) -> bool {
    let physical = |area: &Area| matches!(area, Area::Physical { .. });
    lv.is_visible()
        && lv.segments.iter().all(|segment| {
            matches!(segment.kind, SegmentKind::Striped(_)) && segment.areas().iter().all(physical)
        })
}

/// The object a volume of the group is; `None` for one that is not of this pool, or not ours.
pub(super) fn object(group: &VolumeGroup, lv: &LogicalVolume, orders: &Orders) -> Option<Object> {
    let thin = thin_of(lv);
    match (&orders.mode, thin) {
        (Mode::Thick, None) if is_plain(lv) => {}
        (Mode::Thin { pool, .. }, Some(thin)) if thin.thin_pool == *pool => {}
        _ => return None,
    }
    let adopted = || {
        let ours = orders.adopted.iter().any(|start| lv.name.starts_with(start));
        let kind = Kind::Volume { id: None, source: None, token: None };
        (ours && !names::is_made(&lv.name)).then(|| Label::new(kind))
    };
    Some(Object {
        name: lv.name.clone(),
        uuid: lv.id,
        label: Label::read(&lv.tags).or_else(adopted)?,
        size: group.size_of(lv.extents()?)?,
        writable: lv.is_writable(),
        thin: thin.cloned(),
    })
}

/// The volumes of a group whose devices are ours to put right: what carries a tag of ours, what was
/// adopted by its name, and the parts of thin pools that carry one.
pub(super) fn ours(group: &VolumeGroup, orders: &Orders) -> BTreeSet<LvmId> {
    let mut ours = BTreeSet::new();
    for lv in &group.logical_volumes {
        let tagged = lv.tags.iter().any(|tag| tags::is_ours(tag));
        if !tagged && object(group, lv, orders).is_none() {
            continue;
        }
        ours.insert(lv.id);
        for segment in &lv.segments {
            if let SegmentKind::ThinPool(pool) = &segment.kind {
                let parts = [&pool.data, &pool.metadata].into_iter();
                ours.extend(parts.filter_map(|part| group.logical(part)).map(|lv| lv.id));
            }
        }
    }
    ours
}

/// The object of a key: the one way in which a call finds what it is about.
///
/// # Errors
/// `Conflict` if two say they are it, whatever their names: nobody knows which is meant.
pub(super) fn only<'o>(op: Op, objects: &'o [Object], key: &Source) -> Result<Option<&'o Object>> {
    only_of(op, objects, key, Object::key, |object| &object.name)
}

/// The same of the objects of either engine.
///
/// # Errors
/// As [`only`].
pub(crate) fn only_of<'o, T>(
    op: Op,
    objects: &'o [T],
    key: &Source,
    key_of: impl Fn(&T) -> Option<Source>,
    name: impl Fn(&T) -> &str,
) -> Result<Option<&'o T>> {
    let mut of_it = objects.iter().filter(|object| key_of(object).as_ref() == Some(key));
    match (of_it.next(), of_it.next()) {
        (Some(one), Some(two)) => {
            let (one, two) = (name(one), name(two));
            let why = format!("the tags of {one} and of {two} both say they are it");
            let remedy = "take the tag of its id from the one that is not: lvchange --deltag";
            Err(Error::new(ErrorKind::Conflict, op, key, why).with_remedy(remedy))
        }
        (found, _) => Ok(found),
    }
}

/// All objects of a pool, in the order of the text.
pub(super) fn objects(group: &VolumeGroup, orders: &Orders) -> Vec<Object> {
    group.logical_volumes.iter().filter_map(|lv| object(group, lv, orders)).collect()
}
