//! Which devices a volume needs, in which order, and what each is made of: pure.
//!
//! The layers and their order are those of lvm2 2.03.16, as `dmsetup table` and `dmsetup info`
//! show them after `vgchange -ay`:
//!
//! - a linear or striped volume is one device;
//! - a thin pool that never had a volume (transaction id 0) is its data, its metadata and the pool
//!   under the pool's own name;
//! - any other pool is the same with the pool under the layer `tpool`, and, where the pool itself
//!   is wanted, a read-only linear device under its own name;
//! - a thin volume needs its pool, and its external origin under the layer `real`.

mod builder;
mod refuse;
mod resolve;
mod segments;
mod thin;

use std::collections::BTreeMap;

use open_local_core::{DeviceNumber, Result, Sectors};

use super::names::VolumeUuid;
use crate::dm::UdevFlags;
use crate::format::group::VolumeGroup;
use crate::format::id::LvmId;

pub(super) use refuse::subject;
pub(super) use resolve::resolve;

/// What is to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Goal<'a> {
    /// A volume by name, with all below it. For a thin pool this is what users see of it.
    Volume(&'a str),
    /// A thin pool, without the device under its own name that shows it to users: what thin
    /// volumes need, and what finishing an interrupted change of the pool needs first.
    PoolBelow(&'a str),
    /// A linear or striped volume under its own name, also a hidden one: lvm2 activates future
    /// parts of pools so, to zero them.
    Plain(&'a str),
}

impl<'a> Goal<'a> {
    /// The volume's name.
    #[must_use]
    pub const fn name(&self) -> &'a str {
        match self {
            Self::Volume(name) | Self::PoolBelow(name) | Self::Plain(name) => name,
        }
    }
}

/// What goes into tables and is no metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct TreeOptions {
    /// Percent of a pool from which lvm2 extends it (`activation/thin_pool_autoextend_threshold`).
    /// Below 100 the kernel sends an event when so much is used; at 100 none.
    pub autoextend_threshold: u32,
}

impl Default for TreeOptions {
    fn default() -> Self {
        Self { autoextend_threshold: 100 }
    }
}

impl TreeOptions {
    /// Sets the percent of a pool from which lvm2 extends it.
    #[must_use]
    pub const fn with_autoextend_threshold(mut self, percent: u32) -> Self {
        self.autoextend_threshold = percent;
        self
    }
}

/// What a line of a table lies on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Below {
    /// A device that is no volume of the group: a physical volume.
    Device(DeviceNumber),
    /// A device of the tree, whose number is known once it was made.
    Layer(VolumeUuid),
}

/// A line of a table, before the numbers of the tree's own devices are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its first sector.
    pub start: Sectors,
    /// Its sectors.
    pub length: Sectors,
    /// What it is.
    pub target: Target,
}

/// What a line is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// A part of another device.
    Linear {
        /// The device.
        below: Below,
        /// The first sector on it.
        start: Sectors,
    },
    /// Parts of several devices in turns.
    Striped {
        /// Sectors before the next one's turn.
        stripe_size: Sectors,
        /// The parts: device and first sector.
        areas: Vec<(Below, Sectors)>,
    },
    /// A thin pool.
    ThinPool(PoolTarget),
    /// A thin volume.
    Thin {
        /// Its pool.
        pool: Below,
        /// Its number in the pool.
        device_id: u32,
        /// What holds what was not written yet.
        external_origin: Option<Below>,
    },
}

/// The arguments of a thin pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolTarget {
    /// The device of its metadata.
    pub metadata: Below,
    /// The device of its data.
    pub data: Below,
    /// Smallest unit of allocation.
    pub chunk_size: Sectors,
    /// Free chunks at which the kernel sends an event; 0 for never.
    pub low_water_mark: u64,
    /// New chunks are not zeroed.
    pub skip_block_zeroing: bool,
    /// Discards are ignored.
    pub ignore_discard: bool,
    /// Discards free chunks and go no further down.
    pub no_discard_passdown: bool,
    /// A full pool fails writes at once and does not wait to be extended.
    pub error_if_no_space: bool,
}

/// What the metadata says of a pool that is to be active.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolFacts {
    /// Its transaction id.
    pub transaction_id: u64,
    /// Whether messages to the kernel are still to be sent: then it may be one behind.
    pub pending: bool,
}

/// A device as it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedDevice {
    /// Its UUID, which finds it.
    pub uuid: VolumeUuid,
    /// Its name.
    pub name: String,
    /// A second name that is as good: a pool keeps the one it has while it is active.
    pub other_name: Option<String>,
    /// Its table.
    pub table: Vec<Line>,
    /// Whether it refuses writes.
    pub read_only: bool,
    /// What udev's rules do with it.
    pub udev: UdevFlags,
    /// The name of its link in the folder of the group, `/dev/VG`; layers have none.
    pub link: Option<String>,
    /// For the device of a thin pool.
    pub pool: Option<PoolFacts>,
    /// For a thin volume: its pool may not have heard of it yet, see [`PoolFacts::pending`].
    pub announced: bool,
}

impl WantedDevice {
    /// The devices of the tree its table lies on.
    pub fn below(&self) -> impl Iterator<Item = &VolumeUuid> {
        let lines = self.table.iter().flat_map(|line| match &line.target {
            Target::Linear { below, .. } => vec![below],
            Target::Striped { areas, .. } => areas.iter().map(|(below, _)| below).collect(),
            Target::ThinPool(pool) => vec![&pool.metadata, &pool.data],
            Target::Thin { pool, external_origin, .. } => {
                std::iter::once(pool).chain(external_origin).collect()
            }
        });
        lines.filter_map(|below| match below {
            Below::Layer(uuid) => Some(uuid),
            Below::Device(_) => None,
        })
    }
}

/// The devices that reach these goals, each after all it lies on, and none twice.
///
/// `devices` has the device of each physical volume that is there, by UUID.
///
/// # Errors
/// `NotFound` for a volume that is not in the group, or a physical volume without device;
/// `InvalidArgument` for a hidden volume, or a name too long for the kernel; `Unsupported` for a
/// type that is not activated here (copy-on-write snapshots and their origins, mirror, raid,
/// cache, vdo, merges, fixed minor numbers); `Corrupt` for segments that fit no device.
pub fn device_tree(
    group: &VolumeGroup,
    devices: &BTreeMap<LvmId, DeviceNumber>,
    goals: &[Goal<'_>],
    options: &TreeOptions,
) -> Result<Vec<WantedDevice>> {
    let mut builder = builder::Builder::new(group, devices, options);
    for goal in goals {
        builder.goal(*goal)?;
    }
    Ok(builder.into_devices())
}

/// UUID and name of all devices that a volume needs, whatever is there now; none for one that is
/// not activated here.
pub(super) fn layers_of(group: &VolumeGroup, goal: Goal<'_>) -> Vec<(VolumeUuid, String)> {
    let anywhere = DeviceNumber::new(0, 0);
    let devices = group.physical_volumes.iter().map(|pv| (pv.id, anywhere)).collect();
    let tree = device_tree(group, &devices, &[goal], &TreeOptions::default()).unwrap_or_default();
    let names = |device: WantedDevice| {
        let other = device.other_name.map(|name| (device.uuid.clone(), name));
        std::iter::once((device.uuid, device.name)).chain(other)
    };
    tree.into_iter().flat_map(names).collect()
}

/// The goals of a whole group, as `vgchange -ay` has them: every visible volume but those that
/// carry `ACTIVATION_SKIP`, and those whose type is not activated here, with the reason.
#[must_use]
pub fn all_goals<'a>(
    group: &'a VolumeGroup,
    devices: &BTreeMap<LvmId, DeviceNumber>,
    options: &TreeOptions,
) -> (Vec<Goal<'a>>, Vec<open_local_core::Error>) {
    use crate::format::group::flag;
    let (mut goals, mut refused) = (Vec::new(), Vec::new());
    let visible = group.logical_volumes.iter().filter(|lv| lv.is_visible());
    for lv in visible.filter(|lv| !lv.flags.has(flag::ACTIVATION_SKIP)) {
        let goal = Goal::Volume(&lv.name);
        match device_tree(group, devices, &[goal], options) {
            Ok(_) => goals.push(goal),
            Err(error) => refused.push(error),
        }
    }
    (goals, refused)
}

#[cfg(test)]
pub(super) mod tests;
