//! What the kernel has of a group, asked once before a plan is made.

use std::collections::BTreeMap;

use open_local_core::{DeviceNumber, Result};

use super::names::{Layer, VolumeUuid};
use super::plan::cover_of;
use super::tree::WantedDevice;
use crate::dm::table::Table;
use crate::dm::{DeviceMapper, DmId, DmInfo};
use crate::format::id::LvmId;

/// A device the kernel has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) info: DmInfo,
    /// The table in force; without lines if there is none.
    pub(super) table: Table,
}

/// Devices of one group, by UUID, and who has the names that are wanted.
#[derive(Debug, Clone, Default)]
pub(super) struct Observed {
    pub(super) devices: BTreeMap<VolumeUuid, Seen>,
    /// UUIDs of devices of others, by name.
    pub(super) strangers: BTreeMap<String, String>,
}

impl Observed {
    pub(super) fn number(&self, uuid: &VolumeUuid) -> Option<DeviceNumber> {
        self.devices.get(uuid).map(|seen| seen.info.number)
    }

    /// The devices whose tables lie on a device, by its number.
    pub(super) fn users(&self) -> BTreeMap<DeviceNumber, Vec<&VolumeUuid>> {
        let mut users: BTreeMap<DeviceNumber, Vec<&VolumeUuid>> = BTreeMap::new();
        for (uuid, seen) in &self.devices {
            for number in below(&seen.table) {
                let above = users.entry(number).or_default();
                // A device that lies on another twice holds it open once.
                if above.last() != Some(&uuid) {
                    above.push(uuid);
                }
            }
        }
        users
    }
}

/// The devices a table lies on.
pub(super) fn below(table: &Table) -> Vec<DeviceNumber> {
    table.lines().iter().flat_map(|line| line.target.devices()).collect()
}

fn seen(dm: &dyn DeviceMapper, id: &DmId, info: DmInfo) -> Result<Seen> {
    let table = if info.live_table { dm.table(id)? } else { Table::empty() };
    Ok(Seen { info, table })
}

/// What there is of these devices.
pub(super) fn of_tree(dm: &dyn DeviceMapper, tree: &[WantedDevice]) -> Result<Observed> {
    let mut observed = Observed::default();
    for device in tree {
        let id = DmId::uuid(device.uuid.to_string());
        if let Some(info) = dm.info(&id)? {
            observed.devices.insert(device.uuid.clone(), seen(dm, &id, info)?);
        }
    }
    for device in tree {
        let own = observed.devices.values().any(|seen| seen.info.name == device.name);
        if own {
            continue;
        }
        if let Some(info) = dm.info(&DmId::name(&device.name))? {
            observed.strangers.insert(device.name.clone(), info.uuid);
        }
    }
    Ok(observed)
}

/// What stands for pools of a tree under their own names, as far as the kernel has it.
pub(super) fn covers(dm: &dyn DeviceMapper, tree: &[WantedDevice]) -> Result<Vec<VolumeUuid>> {
    let mut found = Vec::new();
    for cover in tree.iter().filter_map(|device| cover_of(&device.uuid)) {
        let known = tree.iter().any(|device| device.uuid == cover);
        if !known && dm.info(&DmId::uuid(cover.to_string()))?.is_some() {
            found.push(cover);
        }
    }
    Ok(found)
}

/// What there is of these volumes as users see them, and all below that is of their group. What
/// else lies on it is not looked for: the kernel's open count tells.
pub(super) fn of_volumes(
    dm: &dyn DeviceMapper,
    volumes: &[VolumeUuid],
    layers: &[VolumeUuid],
) -> Result<Observed> {
    let mut observed = Observed::default();
    let mut todo: Vec<DmId> = layers.iter().map(|uuid| DmId::uuid(uuid.to_string())).collect();
    for volume in volumes {
        for layer in [Layer::Public, Layer::PoolCover, Layer::ThinPool] {
            let uuid = VolumeUuid::new(volume.group, volume.volume, layer);
            todo.push(DmId::uuid(uuid.to_string()));
        }
    }
    // Ends: a device is taken once, and a table has an end.
    while let Some(id) = todo.pop() {
        let Some(info) = dm.info(&id)? else { continue };
        let Ok(uuid) = info.uuid.parse::<VolumeUuid>() else { continue };
        let ours = volumes.iter().any(|volume| volume.group == uuid.group);
        if ours && !observed.devices.contains_key(&uuid) {
            let seen = seen(dm, &DmId::uuid(&info.uuid), info)?;
            todo.extend(below(&seen.table).into_iter().map(DmId::Number));
            observed.devices.insert(uuid, seen);
        }
    }
    Ok(observed)
}

/// Every device of a group, known in its metadata or not.
pub(super) fn of_group(dm: &dyn DeviceMapper, group: &LvmId) -> Result<Observed> {
    let mut observed = Observed::default();
    for listed in dm.list()? {
        let info = match &listed.uuid {
            Some(uuid) if !is_of(uuid, group) => continue,
            _ => dm.info(&DmId::name(&listed.name))?,
        };
        // Removed since it was listed, or of somebody else.
        let Some(info) = info.filter(|info| is_of(&info.uuid, group)) else {
            continue;
        };
        if let Ok(uuid) = info.uuid.parse::<VolumeUuid>() {
            let id = DmId::uuid(&info.uuid);
            observed.devices.insert(uuid, seen(dm, &id, info)?);
        }
    }
    Ok(observed)
}

fn is_of(uuid: &str, group: &LvmId) -> bool {
    uuid.parse::<VolumeUuid>().is_ok_and(|uuid| uuid.group == *group)
}
