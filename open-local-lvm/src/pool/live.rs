//! What the kernel has of a group: its devices, by the volume each stands for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use open_local_core::host::{Host, read_small};
use open_local_core::{Bytes, DeviceNumber, Result};

use crate::dm::status::{PoolStatus, TargetStatus};
use crate::dm::{DeviceMapper, DmId, DmInfo, StatusMode};
use crate::exec::active_volumes;
use crate::format::id::{ID_LEN, LvmId};

/// What device-mapper UUIDs of volumes begin with.
const PREFIX: &str = "LVM-";
/// The layer of a thin pool that its volumes use.
pub(super) const THIN_POOL: &str = "tpool";
/// The layer that stands for a thin pool under its own name.
pub(super) const POOL_COVER: &str = "pool";
/// The layers that a thin pool lies on.
pub(super) const THIN_DATA: &str = "tdata";
pub(super) const THIN_METADATA: &str = "tmeta";
/// Longest attribute read from sysfs.
const MAX_ATTRIBUTE: usize = 64;
/// What the kernel calls the nodes of device-mapper.
const NODE: &str = "dm-";

/// A device of the kernel that stands for a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LiveDevice {
    /// Its name in device-mapper.
    pub(super) name: String,
    pub(super) number: DeviceNumber,
    pub(super) node: PathBuf,
    pub(super) size: Bytes,
    pub(super) read_only: bool,
    pub(super) open_count: u32,
    pub(super) suspended: bool,
    /// Made, or given a table, by a call that was cut before the table was in force.
    pub(super) half: bool,
    pub(super) block_size: Bytes,
    pub(super) sequence: Option<u64>,
}

/// The devices of a group.
#[derive(Debug, Clone, Default)]
pub(super) struct Live {
    /// Whether device-mapper is there to be told anything.
    pub(super) controlled: bool,
    /// Devices of volumes themselves, by UUID of the volume.
    pub(super) devices: BTreeMap<LvmId, LiveDevice>,
    /// Layers of volumes: volume, and the word for the layer.
    pub(super) layers: BTreeMap<(LvmId, String), LiveDevice>,
    /// What active thin pools say of themselves, by UUID of the pool's volume.
    pub(super) pools: BTreeMap<LvmId, PoolStatus>,
}

/// The device-mapper UUID of a volume, or of a layer of it.
pub(super) fn device_uuid(group: &LvmId, volume: &LvmId, layer: &str) -> DmId {
    let ids = format!("{PREFIX}{}{}", group.to_plain(), volume.to_plain());
    DmId::uuid(if layer.is_empty() { ids } else { format!("{ids}-{layer}") })
}

/// Volume and layer of a device-mapper UUID of this group.
fn parse(uuid: &str, group: &LvmId) -> Option<(LvmId, String)> {
    let rest = uuid.strip_prefix(PREFIX)?.strip_prefix(group.to_plain().as_str())?;
    let (volume, layer) = rest.split_at_checked(ID_LEN)?;
    let volume = LvmId::from_raw(*volume.as_bytes().first_chunk::<ID_LEN>()?)?;
    let layer = if layer.is_empty() { "" } else { layer.strip_prefix('-')? };
    Some((volume, layer.to_owned()))
}

impl Live {
    /// Looks at the kernel. Asked under the group's lock the answer stays true as long as it is
    /// held: lvm2 activates under it too.
    ///
    /// # Errors
    /// Those of device-mapper; where there is none, those of sysfs.
    pub(super) fn of(host: &Host, dm: Option<&dyn DeviceMapper>, group: &LvmId) -> Result<Self> {
        let Some(dm) = dm else {
            return Self::without_control(host, group);
        };
        let mut live = Self { controlled: true, ..Self::default() };
        for listed in dm.list()? {
            let known = listed.uuid.as_deref().map(|uuid| parse(uuid, group));
            if known == Some(None) {
                continue;
            }
            // Older kernels list no UUIDs, and a device may go while it is looked at.
            live.add(host, dm, group, &DmId::Number(listed.number))?;
        }
        Ok(live)
    }

    /// The same of a few volumes and of a thin pool, however many others are active: what a change
    /// of one volume is about.
    ///
    /// # Errors
    /// As [`Self::of`].
    pub(super) fn of_some(
        host: &Host,
        dm: Option<&dyn DeviceMapper>,
        group: &LvmId,
        some: &[(LvmId, &str)],
    ) -> Result<Self> {
        let Some(dm) = dm else {
            return Self::without_control(host, group);
        };
        let mut live = Self { controlled: true, ..Self::default() };
        for (volume, layer) in some {
            live.add(host, dm, group, &device_uuid(group, volume, layer))?;
        }
        Ok(live)
    }

    /// Adds a device, if there is one and it is of the group.
    fn add(&mut self, host: &Host, dm: &dyn DeviceMapper, group: &LvmId, id: &DmId) -> Result<()> {
        let Some(info) = dm.info(id)? else {
            return Ok(());
        };
        let Some((volume, layer)) = parse(&info.uuid, group) else {
            return Ok(());
        };
        let mut size = Bytes::ZERO;
        if layer.is_empty() {
            let sectors = dm.table(id).map(|table| table.size()).unwrap_or_default();
            size = sectors.to_bytes().unwrap_or(Bytes::ZERO);
        }
        let device = LiveDevice::of(host, &info, size);
        if layer == THIN_POOL && info.live_table {
            let status = dm.status(id, StatusMode::Now)?.into_iter().next();
            if let Some(TargetStatus::ThinPool(status)) = status.map(|line| line.status) {
                self.pools.insert(volume, status);
            }
        }
        if layer.is_empty() {
            self.devices.insert(volume, device);
        } else {
            self.layers.insert((volume, layer), device);
        }
        Ok(())
    }

    /// Without device-mapper to ask, sysfs says what is active; nothing is done with it then.
    fn without_control(host: &Host, group: &LvmId) -> Result<Self> {
        let active = active_volumes(host, group)?;
        let devices = active.into_iter().filter_map(|one| {
            let number = attribute(host, &format!("block/{}/dev", one.device))?;
            let (major, minor) = number.split_once(':')?;
            let number = DeviceNumber::new(major.parse().ok()?, minor.parse().ok()?);
            let sectors = attribute(host, &format!("block/{}/size", one.device));
            let sectors: u64 = sectors.and_then(|text| text.parse().ok()).unwrap_or(0);
            let device = LiveDevice {
                name: one.device.clone(),
                number,
                node: host.roots.dev.join(&one.device),
                size: Bytes::new(sectors.saturating_mul(512)),
                read_only: attribute(host, &format!("block/{}/ro", one.device)).as_deref()
                    == Some("1"),
                open_count: 0,
                suspended: false,
                half: false,
                block_size: block_size(host, number),
                sequence: sequence(host, number),
            };
            Some((one.volume, device))
        });
        Ok(Self { devices: devices.collect(), ..Self::default() })
    }
}

impl Live {
    fn all(&self) -> impl Iterator<Item = (&LvmId, &LiveDevice)> {
        let layers = self.layers.iter().map(|((volume, _), device)| (volume, device));
        self.devices.iter().chain(layers)
    }

    /// Whether anything of these volumes is suspended, or was left half made.
    pub(super) fn unfinished(&self, ours: &BTreeSet<LvmId>) -> bool {
        self.all().any(|(volume, d)| ours.contains(volume) && (d.suspended || d.half))
    }

    /// Names of what is suspended and of other volumes, which is for others to let go.
    pub(super) fn held_by_others(&self, ours: &BTreeSet<LvmId>) -> Vec<&str> {
        let held = self.all().filter(|(volume, d)| d.suspended && !ours.contains(volume));
        held.map(|(_, device)| device.name.as_str()).collect()
    }
}

impl LiveDevice {
    fn of(host: &Host, info: &DmInfo, size: Bytes) -> Self {
        Self {
            name: info.name.clone(),
            number: info.number,
            node: host.roots.dev.join(format!("{NODE}{}", info.number.minor())),
            size,
            read_only: info.read_only,
            open_count: info.open_count,
            suspended: info.suspended && info.live_table,
            half: !info.live_table || info.inactive_table,
            block_size: block_size(host, info.number),
            sequence: sequence(host, info.number),
        }
    }
}

fn attribute(host: &Host, path: &str) -> Option<String> {
    let text = read_small(host.files.as_ref(), &host.roots.sys.join(path), MAX_ATTRIBUTE).ok()?;
    Some(std::str::from_utf8(&text).ok()?.trim().to_owned())
}

fn block_size(host: &Host, number: DeviceNumber) -> Bytes {
    let text = attribute(host, &format!("dev/block/{number}/queue/logical_block_size"));
    Bytes::new(text.and_then(|text| text.parse().ok()).unwrap_or(512))
}

fn sequence(host: &Host, number: DeviceNumber) -> Option<u64> {
    attribute(host, &format!("dev/block/{number}/diskseq"))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn volumes_and_layers_are_told_apart() {
        let (group, volume) = (LvmId::from_random([1; 32]), LvmId::from_random([2; 32]));
        let uuid = |layer: &str| format!("LVM-{}{}{layer}", group.to_plain(), volume.to_plain());
        assert_eq!(parse(&uuid(""), &group), Some((volume, String::new())));
        assert_eq!(parse(&uuid("-tpool"), &group), Some((volume, "tpool".to_owned())));
        assert_eq!(parse(&uuid("x"), &group), None);
        assert_eq!(parse(&uuid(""), &volume), None);
    }

    proptest! {
        #[test]
        fn any_text_gives_an_answer(text in "(LVM-)?.{0,80}") {
            prop_assert!(parse(&text, &LvmId::from_random([1; 32])).is_none());
        }
    }
}
