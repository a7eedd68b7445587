//! Which volumes of a group the kernel has as devices now.
//!
//! A volume that was activated has a device-mapper device whose UUID is `LVM-`, the UUIDs of group
//! and volume without hyphens, and a suffix for the hidden layers of a volume (lvm2 2.03.16,
//! `lib/activate/dev_manager.c`). The kernel shows it in `/sys/block/dm-*/dm/uuid`. Its extents
//! are in use, whatever the metadata says of them: given to another volume, both would be written.

use std::collections::HashMap;
use std::io;

use open_local_core::host::{Host, read_small};
use open_local_core::{Error, ErrorKind, Op, Result, Subject};

use crate::format::group::{LogicalVolume, SegmentKind, VolumeGroup};
use crate::format::id::{ID_LEN, LvmId};

/// What device-mapper UUIDs of volumes begin with.
const PREFIX: &str = "LVM-";
/// No device-mapper UUID is longer than this (kernel 6.1, `DM_UUID_LEN`), with its newline.
const MAX_UUID: usize = 256;
/// What reading an attribute of a device that goes away may answer (errno(3)).
const ENODEV: i32 = 19;

/// A device of the kernel that stands for a volume or a layer of one.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ActiveVolume {
    /// The volume.
    pub volume: LvmId,
    /// The kernel's name of the device, such as `dm-0`.
    pub device: String,
}

/// Reads a device-mapper UUID; `None` for one of another owner or another group.
fn volume_of(uuid: &[u8], group: &LvmId) -> Option<LvmId> {
    let ids = uuid.trim_ascii().strip_prefix(PREFIX.as_bytes())?;
    let of_group = ids.strip_prefix(group.as_raw().as_slice())?;
    // What follows is a hyphen and the layer, or nothing.
    LvmId::from_raw(*of_group.first_chunk::<ID_LEN>()?)
}

/// The volumes of a group that the kernel has as devices, in the order of its list.
///
/// Ask under the group's lock: the tools activate under it too.
///
/// # Errors
/// `NotFound`, `PermissionDenied` or `Io` if the kernel's list can't be read: then nobody knows.
pub fn active_volumes(host: &Host, group: &LvmId) -> Result<Vec<ActiveVolume>> {
    let block = host.roots.sys.join("block");
    let failed = |path: &std::path::Path, error| {
        let message = "can't tell which volumes are active";
        Error::from_io(Op::ReadState, Subject::path(path), message, error)
            .with_remedy("mount the host's /sys")
    };
    let names = host.files.list(&block).map_err(|e| failed(&block, e))?;
    let mut found = Vec::new();
    for name in names {
        let Some(name) = name.to_str().filter(|name| name.starts_with("dm-")) else {
            continue;
        };
        let path = block.join(name).join("dm/uuid");
        let uuid = match read_small(host.files.as_ref(), &path, MAX_UUID) {
            Ok(uuid) => uuid,
            // Removed since it was listed.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) if e.raw_os_error() == Some(ENODEV) => continue,
            Err(e) => return Err(failed(&path, e)),
        };
        if let Some(volume) = volume_of(&uuid, group) {
            found.push(ActiveVolume { volume, device: name.to_owned() });
        }
    }
    Ok(found)
}

/// Refuses to go on while one of these volumes of the group is active, or any if none is named.
///
/// Names that are not in the group are passed over.
///
/// # Errors
/// `Busy` naming volume and device; as [`active_volumes`].
pub fn require_inactive(host: &Host, group: &VolumeGroup, names: Option<&[&str]>) -> Result<()> {
    let active = active_volumes(host, &group.id)?;
    let name_of = |id: &LvmId| {
        let lv = group.logical_volumes.iter().find(|lv| lv.id == *id);
        lv.map_or_else(|| id.to_string(), |lv| lv.name.clone())
    };
    let meant = |name: &str| names.is_none_or(|names| names.contains(&name));
    let found = active.iter().map(|one| (name_of(&one.volume), &one.device));
    let Some((name, device)) = found.into_iter().find(|(name, _)| meant(name)) else {
        return Ok(());
    };
    let message = format!("the kernel has it as the device {device}, which would go on to be used");
    let remedy = format!("end its use, then deactivate it: lvchange -an {}/{name}", group.name);
    let subject = Subject::value(&format!("{}/{name}", group.name));
    Err(Error::new(ErrorKind::Busy, Op::PlanChange, subject, message).with_remedy(remedy))
}

/// The numbers of a thin volume's devices in its pool.
fn thin_devices(lv: &LogicalVolume) -> impl Iterator<Item = u32> {
    lv.segments.iter().filter_map(|segment| match &segment.kind {
        SegmentKind::Thin(thin) => Some(thin.device_id),
        _ => None,
    })
}

/// Refuses to let `new` count while a volume is active that it lacks, shrinks, renames, or gives
/// another device of its pool.
///
/// # Errors
/// As [`require_inactive`].
pub(super) fn refuse_under_devices(
    host: &Host,
    old: &VolumeGroup,
    new: &VolumeGroup,
) -> Result<()> {
    let (before, now) = old.logical_volumes.apart(&new.logical_volumes);
    let now: HashMap<&LvmId, &LogicalVolume> = now.into_iter().map(|lv| (&lv.id, lv)).collect();
    let keeps = |lv: &LogicalVolume| {
        now.get(&lv.id).is_some_and(|now| {
            now.name == lv.name
                && now.extents() >= lv.extents()
                && thin_devices(now).eq(thin_devices(lv))
        })
    };
    let touched: Vec<&str> =
        before.into_iter().filter(|lv| !keeps(lv)).map(|lv| lv.name.as_str()).collect();
    if touched.is_empty() { Ok(()) } else { require_inactive(host, old, Some(&touched)) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use open_local_core::sim::{SimFiles, sim_host};
    use proptest::prelude::*;

    use super::*;

    const GROUP: &str = "rx5FwI-mL7O-FM0c-4PDY-6Mra-pRhB-6jaB0p";
    const VOLUME: &str = "LoOXH7-iSM0-yIzk-2SL7-7LyV-SsQz-iEqlOd";

    fn id(text: &str) -> LvmId {
        text.parse().unwrap()
    }

    /// A host whose kernel has these device-mapper devices.
    fn host(uuids: &[&str]) -> Host {
        let files = Arc::new(SimFiles::new(1));
        files.add_folder("/sys/block/sda").unwrap();
        for (number, uuid) in uuids.iter().enumerate() {
            files.add_folder(format!("/sys/block/dm-{number}/dm")).unwrap();
            let path = format!("/sys/block/dm-{number}/dm/uuid");
            files.add_file(path, format!("{uuid}\n").as_bytes()).unwrap();
        }
        sim_host(files, 1)
    }

    #[test]
    fn volumes_and_their_layers_are_found_and_others_are_not() {
        let (group, volume) = (id(GROUP).to_plain(), id(VOLUME).to_plain());
        let other = volume.clone();
        let host = host(&[
            &format!("LVM-{other}{volume}"),
            &format!("CRYPT-LUKS2-{group}{volume}"),
            &format!("LVM-{group}{volume}"),
            &format!("LVM-{group}{volume}-real"),
            &format!("LVM-{group}"),
            "",
        ]);
        let found = active_volumes(&host, &id(GROUP)).unwrap();
        let devices: Vec<&str> = found.iter().map(|one| one.device.as_str()).collect();
        assert_eq!(devices, ["dm-2", "dm-3"]);
        assert!(found.iter().all(|one| one.volume == id(VOLUME)));
    }

    #[test]
    fn a_device_without_uuid_went_away_and_a_missing_sys_is_an_error() {
        let files = Arc::new(SimFiles::new(1));
        files.add_folder("/sys/block/dm-0").unwrap();
        let gone = sim_host(files, 1);
        assert_eq!(active_volumes(&gone, &id(GROUP)).unwrap(), []);
        let blind = sim_host(Arc::new(SimFiles::new(1)), 1);
        assert_eq!(active_volumes(&blind, &id(GROUP)).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn what_cannot_be_read_is_not_taken_for_inactive() {
        let files = Arc::new(SimFiles::new(1));
        files.add_folder("/sys/block/dm-0/dm").unwrap();
        files.add_file("/sys/block/dm-0/dm/uuid", b"LVM-").unwrap();
        files.set_unreadable("/sys/block/dm-0/dm/uuid", Some(5));
        assert_eq!(
            active_volumes(&sim_host(files, 1), &id(GROUP)).unwrap_err().kind(),
            ErrorKind::Io
        );
    }

    /// As a roll back does it: name, UUID and size stay, the device is another one.
    #[test]
    fn an_active_thin_volume_keeps_its_device() {
        use crate::format::group::{Metadata, tests::GROUP};
        let old = Metadata::parse(GROUP.as_bytes()).unwrap().group;
        let text = GROUP.replacen("device_id = 1", "device_id = 7", 1);
        let new = Metadata::parse(text.as_bytes()).unwrap().group;
        let (group, volume) = (&old.id, &old.logical("t1").unwrap().id);
        let active = host(&[&format!("LVM-{}{}", group.to_plain(), volume.to_plain())]);
        refuse_under_devices(&active, &old, &old).unwrap();
        let error = refuse_under_devices(&active, &old, &new).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Busy, "{error}");
        refuse_under_devices(&host(&[]), &old, &new).unwrap();
    }

    proptest! {
        #[test]
        fn any_bytes_give_an_answer(bytes: Vec<u8>) {
            prop_assert!(volume_of(&bytes, &id(GROUP)).is_none());
        }
    }
}
