//! Walking from volumes down to physical volumes.

use std::collections::{BTreeMap, BTreeSet};

use open_local_core::{DeviceNumber, Extents, Result, Sectors};

use super::refuse::{absent, corrupt, hidden, unsupported};
use super::{Below, Goal, Line, Target, TreeOptions, WantedDevice};
use crate::activate::names::{DeviceName, Layer, VolumeUuid};
use crate::dm::UdevFlags;
use crate::format::group::{LogicalVolume, SegmentKind, SnapshotStore, VolumeGroup, status};
use crate::format::id::LvmId;

/// Most external origins one above the other; the kernel's stack is not endless either.
const MAX_DEPTH: usize = 16;

/// How many external origins are above.
#[derive(Debug, Clone, Copy)]
pub(super) struct Depth(usize);

impl Depth {
    pub(super) fn deeper(self, group: &VolumeGroup, volume: &str) -> Result<Self> {
        let deeper = Self(self.0.saturating_add(1));
        if deeper.0 <= MAX_DEPTH {
            return Ok(deeper);
        }
        let message = format!("more than {MAX_DEPTH} external origins lie one above the other");
        Err(corrupt(group, volume, message))
    }
}

/// Whether a pool never had a volume.
pub(super) fn is_new_pool(group: &VolumeGroup, lv: &LogicalVolume) -> bool {
    let fresh = lv.segments.iter().any(
        |segment| matches!(&segment.kind, SegmentKind::ThinPool(pool) if pool.transaction_id == 0),
    );
    let uses = |other: &LogicalVolume| {
        let mut kinds = other.segments.iter().map(|segment| &segment.kind);
        kinds.any(|kind| matches!(kind, SegmentKind::Thin(thin) if thin.thin_pool == lv.name))
    };
    fresh && !group.logical_volumes.iter().any(uses)
}

/// What volumes are to others, by name.
#[derive(Debug, Default)]
struct Uses<'a> {
    external_origins: BTreeSet<&'a str>,
    snapshot_origins: BTreeSet<&'a str>,
    stores: BTreeSet<&'a str>,
}

impl<'a> Uses<'a> {
    fn of(group: &'a VolumeGroup) -> Self {
        let mut uses = Self::default();
        for segment in group.logical_volumes.iter().flat_map(|lv| &lv.segments) {
            match &segment.kind {
                SegmentKind::Thin(thin) => {
                    uses.external_origins.extend(thin.external_origin.as_deref());
                }
                SegmentKind::Snapshot { origin, store, .. } => {
                    let (SnapshotStore::Cow(store) | SnapshotStore::Merging(store)) = store;
                    uses.snapshot_origins.insert(origin);
                    uses.stores.insert(store);
                }
                _ => {}
            }
        }
        uses
    }
}

/// The devices found so far, each after those it lies on.
#[derive(Debug)]
pub(super) struct Builder<'a> {
    pub(super) group: &'a VolumeGroup,
    pub(super) devices: &'a BTreeMap<LvmId, DeviceNumber>,
    pub(super) options: &'a TreeOptions,
    uses: Uses<'a>,
    seen: BTreeSet<VolumeUuid>,
    tree: Vec<WantedDevice>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(
        group: &'a VolumeGroup,
        devices: &'a BTreeMap<LvmId, DeviceNumber>,
        options: &'a TreeOptions,
    ) -> Self {
        let uses = Uses::of(group);
        Self { group, devices, options, uses, seen: BTreeSet::new(), tree: Vec::new() }
    }

    pub(super) fn into_devices(self) -> Vec<WantedDevice> {
        self.tree
    }

    pub(super) fn has(&self, uuid: &VolumeUuid) -> bool {
        self.seen.contains(uuid)
    }

    pub(super) fn push(&mut self, device: WantedDevice) {
        self.seen.insert(device.uuid.clone());
        self.tree.push(device);
    }

    pub(super) const fn uuid(&self, lv: &LogicalVolume, layer: Layer) -> VolumeUuid {
        VolumeUuid::new(self.group.id, lv.id, layer)
    }

    pub(super) fn is_writable(&self, lv: &LogicalVolume) -> bool {
        lv.is_writable() && self.group.is_writable()
    }

    pub(super) fn goal(&mut self, goal: Goal<'_>) -> Result<()> {
        let group = self.group;
        let lv = group.logical(goal.name()).ok_or_else(|| absent(group, goal.name()))?;
        if lv.status.has(status::FIXED_MINOR) {
            return Err(unsupported(group, &lv.name, "it has a device number of its own"));
        }
        let is_pool =
            matches!(lv.segments.first().map(|s| &s.kind), Some(SegmentKind::ThinPool(_)));
        match goal {
            Goal::Plain(_) => self.public(lv, Depth(0)),
            Goal::PoolBelow(_) if is_pool => self.pool_below(lv).map(drop),
            Goal::PoolBelow(_) => Err(unsupported(group, &lv.name, "it is no thin pool")),
            Goal::Volume(_) if self.uses.stores.contains(lv.name.as_str()) => {
                Err(unsupported(group, &lv.name, "it is a copy-on-write snapshot"))
            }
            Goal::Volume(_) if !lv.is_visible() => Err(hidden(group, &lv.name)),
            Goal::Volume(_) if is_pool => self.pool(lv),
            Goal::Volume(_) => self.public(lv, Depth(0)),
        }
    }

    /// The device that users see.
    fn public(&mut self, lv: &LogicalVolume, depth: Depth) -> Result<()> {
        let uuid = self.uuid(lv, Layer::Public);
        if self.has(&uuid) {
            return Ok(());
        }
        let name = DeviceName::of(&self.group.name, &lv.name).encode()?;
        let layered = self.uses.external_origins.contains(lv.name.as_str());
        let table = if layered {
            let real = self.real(lv, depth)?;
            self.whole(lv, lv.extents().unwrap_or(Extents::new(0)), real)?
        } else {
            self.content(lv, depth)?
        };
        self.push(WantedDevice {
            uuid,
            name,
            other_name: None,
            table,
            // Others show what an external origin holds: it must not change.
            read_only: layered || !self.is_writable(lv),
            udev: UdevFlags::VOLUME,
            link: lv.is_visible().then(|| lv.name.clone()),
            pool: None,
            announced: self.is_announced(lv),
        });
        Ok(())
    }

    /// The content of a volume under the layer `real`, for others to lie on.
    pub(super) fn real(&mut self, lv: &LogicalVolume, depth: Depth) -> Result<VolumeUuid> {
        let uuid = self.uuid(lv, Layer::Real);
        if self.has(&uuid) {
            return Ok(uuid);
        }
        let name = DeviceName::layer(&self.group.name, &lv.name, "real").encode()?;
        let table = self.content(lv, depth)?;
        self.push(WantedDevice {
            uuid: uuid.clone(),
            name,
            other_name: None,
            table,
            read_only: true,
            udev: UdevFlags::HIDDEN,
            link: None,
            pool: None,
            announced: self.is_announced(lv),
        });
        Ok(uuid)
    }

    /// The table of what a volume holds.
    fn content(&mut self, lv: &LogicalVolume, depth: Depth) -> Result<Vec<Line>> {
        if self.uses.snapshot_origins.contains(lv.name.as_str()) {
            let what = "it has copy-on-write snapshots";
            return Err(unsupported(self.group, &lv.name, what));
        }
        match lv.segments.first().map(|segment| &segment.kind) {
            Some(SegmentKind::Thin(thin)) => self.thin_table(lv, thin, depth),
            Some(SegmentKind::Snapshot { .. }) => {
                Err(unsupported(self.group, &lv.name, "it is a copy-on-write snapshot"))
            }
            _ => self.plain_table(lv),
        }
    }

    /// A table of one line: all of another device of the tree.
    pub(super) fn whole(
        &self,
        lv: &LogicalVolume,
        extents: Extents,
        below: VolumeUuid,
    ) -> Result<Vec<Line>> {
        let start = Sectors::new(0);
        let length = self.sectors(lv, extents)?;
        let target = Target::Linear { below: Below::Layer(below), start };
        Ok(vec![Line { start, length, target }])
    }
}
