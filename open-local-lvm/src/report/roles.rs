//! What volumes are to each other: a volume's own text does not say that it is a part.

use std::collections::HashMap;

use crate::format::check::references;
use crate::format::group::{
    CarriedSegment, LogicalVolume, SegmentKind, SnapshotStore, VolumeGroup,
};
use crate::format::text::Value;

/// What a volume is to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    ThinData,
    PoolMetadata,
    CacheData,
    CachePool,
    CacheOrigin,
    CacheVolume,
    VdoData,
    RaidImage,
    RaidMetadata,
    MirrorImage,
    MirrorLog,
    Origin,
    Cow,
    ExternalOrigin,
}

/// A role and the volume it is played for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part<'a> {
    pub(super) role: Role,
    pub(super) of: &'a LogicalVolume,
}

/// The roles of all volumes of a group, and the volumes by name.
#[derive(Debug)]
pub(super) struct Roles<'a> {
    pub(super) group: &'a VolumeGroup,
    volumes: HashMap<&'a str, &'a LogicalVolume>,
    parts: HashMap<&'a str, Vec<Part<'a>>>,
    thin_counts: HashMap<&'a str, usize>,
}

impl<'a> Roles<'a> {
    pub(super) fn of(group: &'a VolumeGroup) -> Self {
        let volumes = group.logical_volumes.iter().map(|lv| (lv.name.as_str(), lv)).collect();
        let mut roles = Self { group, volumes, parts: HashMap::new(), thin_counts: HashMap::new() };
        for lv in &group.logical_volumes {
            for segment in &lv.segments {
                roles.segment(lv, &segment.kind, &segment.segment_type.name);
            }
        }
        roles
    }

    fn add(&mut self, name: &'a str, role: Role, of: &'a LogicalVolume) {
        self.parts.entry(name).or_default().push(Part { role, of });
    }

    fn segment(&mut self, lv: &'a LogicalVolume, kind: &'a SegmentKind, name: &str) {
        match kind {
            SegmentKind::ThinPool(pool) => {
                self.add(&pool.data, Role::ThinData, lv);
                self.add(&pool.metadata, Role::PoolMetadata, lv);
            }
            SegmentKind::Thin(thin) => {
                let count = self.thin_counts.entry(&thin.thin_pool).or_default();
                *count = count.saturating_add(1);
                if let Some(origin) = &thin.external_origin {
                    self.add(origin, Role::ExternalOrigin, lv);
                }
            }
            SegmentKind::Snapshot { origin, store, .. } => {
                let (SnapshotStore::Cow(store) | SnapshotStore::Merging(store)) = store;
                self.add(origin, Role::Origin, lv);
                self.add(store, Role::Cow, lv);
            }
            SegmentKind::Carried(carried) => self.carried(lv, carried, name),
            _ => {}
        }
    }

    fn carried(&mut self, lv: &'a LogicalVolume, carried: &'a CarriedSegment, name: &str) {
        let keys: &[(&str, Role)] = match name {
            "cache" => &[("cache_pool", Role::CachePool), ("origin", Role::CacheOrigin)],
            "cache-pool" => &[("data", Role::CacheData), ("metadata", Role::PoolMetadata)],
            "writecache" => &[("writecache", Role::CacheVolume), ("origin", Role::CacheOrigin)],
            "vdo-pool" => &[("data", Role::VdoData)],
            "mirror" => &[("mirror_log", Role::MirrorLog), ("mirrors", Role::MirrorImage)],
            _ => &[("raid0_lvs", Role::RaidImage)],
        };
        for (key, role) in keys {
            for name in names(carried, key) {
                self.add(name, *role, lv);
            }
        }
        for (index, name) in names(carried, "raids").enumerate() {
            let metadata = index.is_multiple_of(2);
            self.add(name, if metadata { Role::RaidMetadata } else { Role::RaidImage }, lv);
        }
    }

    /// A volume by its name.
    pub(super) fn volume(&self, name: &str) -> Option<&'a LogicalVolume> {
        self.volumes.get(name).copied()
    }

    /// The volume a volume plays this role for.
    pub(super) fn user(&self, name: &str, role: Role) -> Option<&'a LogicalVolume> {
        let parts = self.parts.get(name)?;
        parts.iter().find(|part| part.role == role).map(|part| part.of)
    }

    pub(super) fn has(&self, name: &str, role: Role) -> bool {
        self.user(name, role).is_some()
    }

    /// The kind of the first segment of a volume.
    pub(super) fn kind(&self, name: &str) -> Option<&'a SegmentKind> {
        self.volume(name)?.segments.first().map(|segment| &segment.kind)
    }

    /// Thin volumes of a pool.
    pub(super) fn thin_count(&self, pool: &str) -> usize {
        self.thin_counts.get(pool).copied().unwrap_or(0)
    }

    /// Whether a volume is one for users: visible, or a snapshot of one. A snapshot that is being
    /// merged is hidden (2.03.16).
    pub(super) fn is_visible(&self, lv: &LogicalVolume) -> bool {
        let link = self.user(&lv.name, Role::Cow).and_then(|link| self.kind(&link.name));
        match (link, self.kind(&lv.name)) {
            (Some(SegmentKind::Snapshot { store: SnapshotStore::Merging(_), .. }), _) => false,
            (Some(SegmentKind::Snapshot { origin, .. }), _) => {
                self.volume(origin).is_some_and(LogicalVolume::is_visible)
            }
            (_, Some(SegmentKind::Thin(thin))) if thin.merge.is_some() => false,
            _ => lv.is_visible(),
        }
    }

    /// A name as the tools print it: hidden volumes in brackets.
    pub(super) fn shown(&self, name: &str) -> String {
        match self.volume(name) {
            Some(lv) if !self.is_visible(lv) => format!("[{name}]"),
            _ => name.to_owned(),
        }
    }
}

/// Names in the value of a key.
pub(super) fn names<'a>(carried: &'a CarriedSegment, key: &str) -> impl Iterator<Item = &'a str> {
    let items = carried.value(key).map(Value::items).unwrap_or_default();
    items.iter().filter_map(Value::as_str)
}

impl<'a> Roles<'a> {
    /// For each volume those that do not work without it.
    pub(super) fn users(&self) -> HashMap<&'a str, Vec<&'a str>> {
        let mut users: HashMap<&str, Vec<&str>> = HashMap::new();
        for lv in &self.group.logical_volumes {
            for segment in &lv.segments {
                for (name, _) in references(segment) {
                    users.entry(name).or_default().push(&lv.name);
                }
            }
        }
        users
    }
}
