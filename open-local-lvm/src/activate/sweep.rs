//! What a kill left suspended, or with a table that never came in force.
//!
//! With the steps of this crate nothing stays suspended: a new table takes its place inside one
//! call. Snapshots suspend their origins, and so do the tools: a kill between their calls leaves
//! I/O waiting for ever.
//!
//! Who else uses the group may hold devices of its own for reasons of its own, such as a backup
//! that holds a volume while it copies it: what is not of the volumes that are named is reported
//! and left as it is.

use open_local_core::DeviceNumber;

use super::answers::PhysicalDevices;
use super::compare::{Difference, compare};

use super::names::VolumeUuid;
use super::observe::{Observed, Seen, below};
use super::steps::Step;
use super::tree::{Goal, TreeOptions, WantedDevice, device_tree, resolve};
use crate::dm::{SuspendFlags, UdevFlags};
use crate::format::group::VolumeGroup;
use crate::format::id::LvmId;

/// What was found and done.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// A line a device: its name, and what was done with it or is wrong with it.
    pub report: Vec<String>,
    /// What a person should know.
    pub warnings: Vec<String>,
}

/// What is to be done.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) steps: Vec<Step>,
    pub(super) report: Vec<String>,
}

/// Decides, for the devices of a group: those below others first, so that what is above can do its
/// I/O when it goes on.
pub(super) fn plan(
    group: &VolumeGroup,
    devices: &PhysicalDevices,
    options: &TreeOptions,
    observed: &Observed,
    ours: &dyn Fn(&LvmId) -> bool,
) -> Found {
    let wanted = wanted(group, devices, options);
    let mut found = Found { steps: Vec::new(), report: Vec::new() };
    for (uuid, seen) in lowest_first(observed) {
        let (info, name) = (&seen.info, seen.info.name.clone());
        let id = || uuid.clone();
        if !ours(&uuid.volume) {
            found.report.extend(foreign(seen));
            continue;
        }
        if !group.logical_volumes.iter().any(|lv| lv.id == uuid.volume) {
            found.report.push(format!("{name}: active, but not in the metadata of the group"));
        }
        if !info.live_table {
            // Nobody can use it. One that is open is below another of its kind, and goes with
            // the next activation or deactivation.
            if info.open_count == 0 {
                found.report.push(format!("{name}: removed, since it never had a table in force"));
                found.steps.push(Step::Remove { uuid: id(), name });
            }
            continue;
        }
        if info.inactive_table {
            found.report.push(format!("{name}: forgot a table that was never put in force"));
            found.steps.push(Step::Clear { uuid: id(), name: name.clone() });
        }
        if info.suspended {
            let udev = wanted.iter().find(|device| device.uuid == *uuid).map(|device| device.udev);
            found.report.push(format!("{name}: was suspended, resumed"));
            found.steps.push(Step::Resume {
                uuid: id(),
                name: name.clone(),
                flags: SuspendFlags::QUICK,
                udev: udev.unwrap_or(UdevFlags::HIDDEN),
            });
        }
        if let Some(device) = wanted.iter().find(|device| device.uuid == *uuid)
            && differs(device, seen, observed)
        {
            found.report.push(format!(
                "{name}: its table is not what the metadata says; activating the volume updates it"
            ));
        }
    }
    found
}

/// What there is to say of a device that is not ours to touch.
fn foreign(seen: &Seen) -> Option<String> {
    let name = &seen.info.name;
    let why = if !seen.info.live_table {
        "has no table in force"
    } else if seen.info.suspended {
        "is suspended"
    } else {
        return None;
    };
    Some(format!(
        "{name}: {why} and is not of a volume of ours, so it is left as it is; whoever holds it \
         lets it go on, or dmsetup resume {name} does"
    ))
}

/// All devices of the group that can be activated, as they are to be.
fn wanted(
    group: &VolumeGroup,
    devices: &PhysicalDevices,
    options: &TreeOptions,
) -> Vec<WantedDevice> {
    let visible = group.logical_volumes.iter().filter(|lv| lv.is_visible());
    let tree = |lv: &crate::format::group::LogicalVolume| {
        device_tree(group, devices, &[Goal::Volume(&lv.name)], options).unwrap_or_default()
    };
    let mut all: Vec<WantedDevice> = visible.flat_map(tree).collect();
    all.sort_by(|a, b| a.uuid.cmp(&b.uuid));
    all.dedup_by(|a, b| a.uuid == b.uuid);
    all
}

fn differs(device: &WantedDevice, seen: &Seen, observed: &Observed) -> bool {
    let table = resolve(&device.table, &|uuid| observed.number(uuid));
    table.is_none_or(|wanted| compare(&seen.table, &wanted) != Difference::None)
}

/// The devices, each after those it lies on. Ends also where tables make a ring.
fn lowest_first(observed: &Observed) -> Vec<(&VolumeUuid, &Seen)> {
    let mut left: Vec<(&VolumeUuid, &Seen)> = observed.devices.iter().collect();
    let mut sorted = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let waiting: Vec<DeviceNumber> = left.iter().map(|(_, seen)| seen.info.number).collect();
        let ready = |seen: &Seen| !below(&seen.table).iter().any(|below| waiting.contains(below));
        let (now, later): (Vec<_>, Vec<_>) = left.iter().partition(|(_, seen)| ready(seen));
        if now.is_empty() {
            sorted.extend(later);
            break;
        }
        sorted.extend(now);
        left = later;
    }
    sorted
}
