//! From the devices that are wanted and those there are to steps: pure.
//!
//! Each step leaves a state from which the same plan, made anew, goes on: a device without a table
//! gets its table, one with another name its name. Nothing is ever left suspended: a new table
//! takes an old one's place inside one call.

use std::collections::BTreeSet;

use open_local_core::{Error, ErrorKind, Op, Result, Subject};

use super::compare::{Difference, compare};
use super::names::{DeviceName, Layer, VolumeUuid};
use super::observe::{Observed, Seen};
use super::steps::Step;
use super::tree::{Target, WantedDevice, resolve};
use crate::dm::SuspendFlags;
use crate::format::id::LvmId;

/// What goes with the devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Around {
    /// Nodes and links are made here, since udev does not.
    pub(super) links: bool,
    /// The metadata of a pool is checked before its first activation.
    pub(super) check_pools: bool,
}

/// The steps that make all devices of a tree what they are to be; none if they are.
///
/// # Errors
/// `Conflict` if another device has a name that is wanted, or the kernel's table of a device maps
/// its sectors elsewhere than the metadata does.
pub(super) fn activation(
    tree: &[WantedDevice],
    observed: &Observed,
    around: Around,
) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    let mut links = Vec::new();
    let mut freed = BTreeSet::new();
    let mut early = BTreeSet::new();
    for device in tree {
        let seen = observed.devices.get(&device.uuid);
        let renamed = seen.and_then(|seen| other_name(device, seen));
        let kept = device
            .other_name
            .as_ref()
            .filter(|other| seen.is_some_and(|seen| seen.info.name == **other));
        let name = kept.unwrap_or(&device.name);
        if seen.is_none() || renamed.is_some() {
            refuse_taken(device, observed, &freed)?;
        }
        if let Some(from) = renamed {
            if let Some((cover, name)) = new_cover(device, tree, observed) {
                // First of all: a call that is cut after the rename finds it, and so knows that
                // users saw the pool.
                early.insert(cover.clone());
                steps.push(Step::Create { uuid: cover, name });
            }
            freed.insert(from.to_owned());
            steps.push(Step::Rename {
                uuid: device.uuid.clone(),
                from: from.to_owned(),
                to: device.name.clone(),
                udev: device.udev,
            });
            links.push(Step::Unlink { name: from.to_owned(), link: link_of(from) });
        }
        let made = early.contains(&device.uuid);
        if made {
            steps.push(Step::Rename {
                uuid: device.uuid.clone(),
                from: early_name(device).unwrap_or_default(),
                to: device.name.clone(),
                udev: device.udev,
            });
        }
        let one = One { device, name, seen, made };
        one.steps(observed, around, &mut steps)?;
        if device.uuid.layer == Layer::PoolCover {
            // While it had no volume the pool had a link; a cover has none.
            links.push(Step::Unlink { name: name.clone(), link: link_of(name) });
        }
        let link = device.link.clone().filter(|_| kept.is_none());
        links.push(Step::Link { uuid: device.uuid.clone(), name: name.clone(), link });
    }
    if around.links {
        steps.append(&mut links);
    }
    Ok(steps)
}

/// The cover that a pool is to get when it becomes a layer, and the name it has until the pool's
/// own name is free.
fn new_cover(
    pool: &WantedDevice,
    tree: &[WantedDevice],
    observed: &Observed,
) -> Option<(VolumeUuid, String)> {
    let uuid = cover_of(&pool.uuid).filter(|uuid| !observed.devices.contains_key(uuid))?;
    let cover = tree.iter().find(|device| device.uuid == uuid)?;
    Some((uuid, early_name(cover)?))
}

/// The UUID of what stands for a pool under its own name.
pub(super) fn cover_of(pool: &VolumeUuid) -> Option<VolumeUuid> {
    let cover = || VolumeUuid::new(pool.group, pool.volume, Layer::PoolCover);
    (pool.layer == Layer::ThinPool).then(cover)
}

/// The name of a cover before it has its own: one that no volume can have.
fn early_name(cover: &WantedDevice) -> Option<String> {
    let name = DeviceName::parse(&cover.name)?;
    DeviceName::layer(&name.group, &name.volume, "pool").encode().ok()
}

/// The link in the group's folder a device of this name may have had.
pub(super) fn link_of(name: &str) -> Option<String> {
    DeviceName::parse(name).filter(|parts| parts.layer.is_none()).map(|parts| parts.volume)
}

/// The name a device has, where that is neither of those it may have.
fn other_name<'o>(device: &WantedDevice, seen: &'o Seen) -> Option<&'o str> {
    let name = seen.info.name.as_str();
    let good = name == device.name || device.other_name.as_deref() == Some(name);
    (!good).then_some(name)
}

fn refuse_taken(
    device: &WantedDevice,
    observed: &Observed,
    freed: &BTreeSet<String>,
) -> Result<()> {
    let name = &device.name;
    let own = observed.devices.iter().find(|(_, seen)| seen.info.name == *name);
    let holder = match (observed.strangers.get(name), own) {
        (Some(uuid), _) if uuid.is_empty() => "a device without UUID".to_owned(),
        (Some(uuid), _) => format!("the device with the UUID {uuid}"),
        (None, Some((uuid, _))) if !freed.contains(name) => {
            format!("the device with the UUID {uuid}")
        }
        _ => return Ok(()),
    };
    let message = format!("its name in the kernel is taken by {holder}, which is not this volume");
    Err(Error::new(ErrorKind::Conflict, Op::Publish, Subject::value(name), message)
        .with_remedy(format!("see dmsetup info {name}; rename or remove that device")))
}

/// One device and what is there of it.
struct One<'a> {
    device: &'a WantedDevice,
    name: &'a String,
    seen: Option<&'a Seen>,
    /// A step before has made it.
    made: bool,
}

impl One<'_> {
    fn steps(&self, observed: &Observed, around: Around, steps: &mut Vec<Step>) -> Result<()> {
        let uuid = || self.device.uuid.clone();
        let name = || self.name.clone();
        let live = self.seen.filter(|seen| seen.info.live_table);
        if self.seen.is_none() && !self.made {
            steps.push(Step::Create { uuid: uuid(), name: name() });
        }
        let Some(live) = live else {
            if around.check_pools {
                steps.extend(self.check());
            }
            self.load(SuspendFlags::QUICK, steps);
            return Ok(());
        };
        let wanted = resolve(&self.device.table, &|uuid| observed.number(uuid));
        let difference = match wanted {
            Some(wanted) => compare(&live.table, &wanted),
            // It lies on something that is not there yet, so on something else now.
            None => Difference::Elsewhere,
        };
        let access = live.info.read_only != self.device.read_only;
        match difference {
            Difference::Elsewhere => return Err(self.elsewhere()),
            // Writes that were sent before the device refuses them are waited for.
            _ if access => self.load(SuspendFlags::FLUSH, steps),
            Difference::Compatible => self.load(SuspendFlags::QUICK, steps),
            Difference::None => {
                if live.info.inactive_table {
                    steps.push(Step::Clear { uuid: uuid(), name: name() });
                }
                if live.info.suspended {
                    steps.push(self.resume(SuspendFlags::QUICK));
                }
                steps.extend(self.ask());
            }
        }
        Ok(())
    }

    fn load(&self, flags: SuspendFlags, steps: &mut Vec<Step>) {
        steps.push(Step::Load {
            uuid: self.device.uuid.clone(),
            name: self.name.clone(),
            table: self.device.table.clone(),
            read_only: self.device.read_only,
            announced: self.device.announced,
        });
        steps.push(self.resume(flags));
        steps.extend(self.ask());
    }

    fn resume(&self, flags: SuspendFlags) -> Step {
        Step::Resume {
            uuid: self.device.uuid.clone(),
            name: self.name.clone(),
            flags,
            udev: self.device.udev,
        }
    }

    fn ask(&self) -> Option<Step> {
        let facts = self.device.pool?;
        Some(Step::AskPool { uuid: self.device.uuid.clone(), name: self.name.clone(), facts })
    }

    fn check(&self) -> Option<Step> {
        let metadata = self.device.below().find(|uuid| uuid.layer == Layer::ThinMetadata)?;
        let pool = self.device.table.iter().any(|line| matches!(line.target, Target::ThinPool(_)));
        pool.then(|| Step::CheckPool { pool: self.name.clone(), metadata: metadata.clone() })
    }

    fn elsewhere(&self) -> Error {
        let message = "it is active with a table that maps its sectors elsewhere than the \
                       metadata says";
        Error::new(ErrorKind::Conflict, Op::Publish, Subject::value(self.name), message)
            .with_remedy("end its use, deactivate it and activate it anew")
    }
}

/// Pools that users see under their own name, but whose cover is not in the tree: they had no
/// volume when they were activated, or were activated by themselves. `covers` are the covers the
/// kernel has.
pub(super) fn shown_pools(
    tree: &[WantedDevice],
    observed: &Observed,
    covers: &[VolumeUuid],
) -> Vec<LvmId> {
    let own = |device: &WantedDevice| {
        let seen = observed.devices.get(&device.uuid);
        seen.is_some_and(|seen| link_of(&seen.info.name).is_some())
    };
    let shown = tree.iter().filter(|device| {
        device.other_name.is_none()
            && cover_of(&device.uuid).is_some_and(|cover| {
                (own(device) || covers.contains(&cover))
                    && !tree.iter().any(|other| other.uuid == cover)
            })
    });
    shown.map(|device| device.uuid.volume).collect()
}
