//! From the volumes that are to be inactive to steps: pure.
//!
//! Layers that nothing is left to use go with the last volume that used them, as lvm2 has it: a
//! thin pool stays only while it is active by itself or another of its volumes is.

use std::collections::BTreeSet;

use open_local_core::{DeviceNumber, Error, ErrorKind, Op, Result, Subject};

use super::names::{DeviceName, Layer, VolumeUuid};
use super::observe::{Observed, Seen};
use super::plan::link_of;
use super::steps::Step;
use crate::dm::table::Target;

/// Which volumes are to be inactive.
#[derive(Debug, Clone, Copy)]
pub(super) enum Which<'a> {
    /// These.
    Volumes {
        /// The UUIDs of their own devices.
        volumes: &'a [VolumeUuid],
        /// What the metadata has below them, which goes with them if nothing uses it.
        layers: &'a [VolumeUuid],
    },
    /// All of the group, what the metadata does not know among them.
    All,
}

impl Which<'_> {
    fn has_layer(self, uuid: &VolumeUuid) -> bool {
        match self {
            Self::Volumes { layers, .. } => layers.contains(uuid),
            Self::All => true,
        }
    }
}

/// The devices that are removed, each before all it lies on.
///
/// # Errors
/// `Busy` if one is open by something else than what is removed with it: the message names what
/// `openers` knows. `Unsupported` for a device of a type that is not deactivated here.
pub(super) fn deactivation(
    which: Which<'_>,
    observed: &Observed,
    openers: &dyn Fn(DeviceNumber) -> Vec<String>,
    links: bool,
) -> Result<Vec<Step>> {
    let removed = removed(which, observed, openers)?;
    let mut steps: Vec<Step> = Vec::new();
    for (uuid, seen) in &removed {
        let uuid = (*uuid).clone();
        steps.push(Step::Remove { uuid, name: seen.info.name.clone() });
    }
    if links {
        steps.extend(removed.iter().map(|(_, seen)| Step::Unlink {
            name: seen.info.name.clone(),
            link: link_of(&seen.info.name),
        }));
    }
    Ok(steps)
}

/// Removing the nodes that devices of these names may have left, where the kernel has none.
pub(super) fn traces<'n>(
    names: impl IntoIterator<Item = &'n String>,
    observed: &Observed,
) -> Vec<Step> {
    let there: BTreeSet<&String> = observed.devices.values().map(|s| &s.info.name).collect();
    let names: BTreeSet<&String> = names.into_iter().collect();
    let gone = names.into_iter().filter(|name| !there.contains(name));
    gone.map(|name| Step::Unlink { link: link_of(name), name: name.clone() }).collect()
}

fn removed<'o>(
    which: Which<'_>,
    observed: &'o Observed,
    openers: &dyn Fn(DeviceNumber) -> Vec<String>,
) -> Result<Vec<(&'o VolumeUuid, &'o Seen)>> {
    let users = observed.users();
    let mut going: Vec<(&VolumeUuid, &Seen)> = Vec::new();
    let mut gone: BTreeSet<&VolumeUuid> = BTreeSet::new();
    // Each round takes what nothing is left above of; as many rounds as layers, at most.
    for _ in 0..=observed.devices.len() {
        let before = going.len();
        for (uuid, seen) in &observed.devices {
            let above = users.get(&seen.info.number).map_or(&[][..], Vec::as_slice);
            let was_above = above.iter().any(|user| gone.contains(user));
            let below_goal = was_above || which.has_layer(uuid);
            let wanted = is_goal(which, observed, uuid) || below_goal && !is_public(uuid, seen);
            let left = above.iter().any(|user| !gone.contains(user));
            // A table that was loaded and is not in force holds devices open too; the kernel does
            // not tell which.
            let loaded = going.iter().filter(|(_, seen)| seen.info.inactive_table).count();
            let opens = u32::try_from(above.len().saturating_add(loaded)).unwrap_or(u32::MAX);
            if wanted && !left && seen.info.open_count <= opens && !gone.contains(uuid) {
                refuse_foreign_type(seen)?;
                gone.insert(uuid);
                going.push((uuid, seen));
            }
        }
        if going.len() == before {
            break;
        }
    }
    let stays = observed.devices.iter();
    let stays = stays.filter(|(uuid, _)| is_goal(which, observed, uuid) && !gone.contains(uuid));
    // What is below a device that stays is in use by it: the one on top is the reason.
    let left = |seen: &Seen| {
        let above = users.get(&seen.info.number).map_or(&[][..], Vec::as_slice);
        above.iter().filter(|user| !gone.contains(*user)).count()
    };
    let stays = stays.min_by_key(|(_, seen)| left(seen));
    match stays {
        Some((_, seen)) => Err(busy(observed, seen, &gone, openers)),
        None => Ok(going),
    }
}

/// Whether a device is what users see of a volume that is to be inactive.
fn is_goal(which: Which<'_>, observed: &Observed, uuid: &VolumeUuid) -> bool {
    let Which::Volumes { volumes, .. } = which else {
        return true;
    };
    volumes.iter().any(|wanted| {
        let same = wanted.volume == uuid.volume;
        let cover = VolumeUuid::new(uuid.group, uuid.volume, Layer::PoolCover);
        same && match uuid.layer {
            Layer::Public | Layer::PoolCover => true,
            // A pool without a cover is what users see, unless it is there for thin volumes.
            Layer::ThinPool => {
                let seen = observed.devices.get(uuid);
                !observed.devices.contains_key(&cover)
                    && seen.is_some_and(|s| is_public(uuid, s) || s.info.open_count == 0)
            }
            _ => false,
        }
    })
}

/// Whether users see it: it was activated for its own sake.
fn is_public(uuid: &VolumeUuid, seen: &Seen) -> bool {
    match uuid.layer {
        Layer::Public | Layer::PoolCover => true,
        Layer::ThinPool => {
            DeviceName::parse(&seen.info.name).is_some_and(|name| name.layer.is_none())
        }
        _ => false,
    }
}

fn refuse_foreign_type(seen: &Seen) -> Result<()> {
    let known = |target: &Target| {
        matches!(
            target,
            Target::Linear(_)
                | Target::Striped { .. }
                | Target::ThinPool { .. }
                | Target::Thin { .. }
                | Target::Error
                | Target::Zero
        )
    };
    let Some(line) = seen.table.lines().iter().find(|line| !known(&line.target)) else {
        return Ok(());
    };
    let name = &seen.info.name;
    let message =
        format!("its table has the type {}, which is not handled natively", line.target.name());
    Err(Error::new(ErrorKind::Unsupported, Op::Unpublish, Subject::value(name), message)
        .with_remedy("deactivate it with the tools: lvchange -an"))
}

fn busy(
    observed: &Observed,
    seen: &Seen,
    gone: &BTreeSet<&VolumeUuid>,
    openers: &dyn Fn(DeviceNumber) -> Vec<String>,
) -> Error {
    let users = observed.users().remove(&seen.info.number).unwrap_or_default();
    let mut by: Vec<String> = users
        .into_iter()
        .filter(|uuid| !gone.contains(uuid))
        .filter_map(|uuid| observed.devices.get(uuid))
        .map(|user| format!("the device {}", user.info.name))
        .collect();
    by.extend(openers(seen.info.number));
    by.sort();
    by.dedup();
    by.truncate(8);
    let name = &seen.info.name;
    let message = match by.as_slice() {
        [] => format!("the device {name} is open {} times", seen.info.open_count),
        by => format!("the device {name} is in use by {}", by.join(", ")),
    };
    Error::new(ErrorKind::Busy, Op::Unpublish, Subject::value(name), message)
        .with_remedy("unmount it and end what has it open, then try again")
}
