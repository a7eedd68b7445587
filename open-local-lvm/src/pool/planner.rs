//! From what is seen and what is wanted to steps: pure.

mod access;
mod draft;
mod removal;
mod snapshots;
mod thin;
mod volumes;

pub(super) use access::{publish, unpublish};
pub(super) use draft::{Draft, Facts};
pub(super) use removal::{USED, remove, unused};
pub(super) use snapshots::{ensure_snapshot, is_of, roll_back};
pub(super) use thin::{pool_segment, unwritable};
pub(super) use volumes::{ensure_volume, grow, provisioning};

use std::collections::BTreeSet;

use open_local_core::{
    Attachment, Error, ErrorKind, Op, Result, SnapshotId, Source, Tags, VolumeId,
};

use super::live::{Live, LiveDevice};
use super::names;
use super::objects::{self, Object, Role};
use super::orders::Orders;
use super::room::Room;
use super::tags::State;
use crate::format::group::{Metadata, VolumeGroup};

/// What is seen of a pool under its group's lock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seen<'a> {
    pub(super) metadata: &'a Metadata,
    pub(super) orders: &'a Orders,
    pub(super) live: &'a Live,
    pub(super) room: &'a Room,
    /// Devices of the thin pool that are there and that the group knows nothing of.
    pub(super) taken: &'a BTreeSet<u32>,
}

impl Seen<'_> {
    pub(super) fn group(&self) -> &VolumeGroup {
        &self.metadata.group
    }

    /// The object a caller means.
    ///
    /// # Errors
    /// `Conflict` if two volumes say they are it, or if the name it would have belongs to something
    /// that is not of this pool.
    pub(super) fn find(&self, op: Op, key: &Source) -> Result<Option<Object>> {
        let found = self.look(op, key)?;
        let group = self.group();
        let name = match key {
            Source::Volume(id) => names::volume_name(&group.name, id),
            Source::Snapshot(id) => names::snapshot_name(&group.name, id),
        };
        if found.is_some() || group.logical(&name).is_none() {
            return Ok(found);
        }
        let why = format!("the group has a volume {name} that is not one of this pool");
        let remedy = format!(
            "choose another name; if it is to be a volume of this pool, tag it: lvchange --addtag \
             open-local/volume {}/{name}",
            group.name
        );
        Err(Error::new(ErrorKind::Conflict, op, key, why).with_remedy(remedy))
    }

    /// The same, where what is not ours is as if it were not there.
    ///
    /// # Errors
    /// `Conflict` if two volumes say they are it.
    pub(super) fn look(&self, op: Op, key: &Source) -> Result<Option<Object>> {
        let all = objects::objects(self.group(), self.orders);
        objects::only(op, &all, key).map(Option::<&Object>::cloned)
    }

    pub(super) fn device(&self, object: &Object) -> Option<&LiveDevice> {
        self.live.devices.get(&object.uuid)
    }

    /// An object that is there and can be used.
    ///
    /// # Errors
    /// `NotFound`; `Busy` while it is being made.
    pub(super) fn usable(&self, op: Op, key: &Source) -> Result<Object> {
        let object = self.look(op, key)?.ok_or_else(|| absent(op, key))?;
        match object.label.state {
            State::Ready => Ok(object),
            _ => Err(busy(op, key, "it is still being made", "repeat the call that makes it")),
        }
    }
}

pub(crate) fn absent(op: Op, key: &Source) -> Error {
    Error::new(ErrorKind::NotFound, op, key, "there is none of this name in the pool")
        .with_remedy("list what there is with: open-local volume list, open-local snapshot list")
}

pub(crate) fn busy(op: Op, key: &Source, why: impl Into<String>, remedy: &str) -> Error {
    Error::new(ErrorKind::Busy, op, key, why).with_remedy(remedy)
}

pub(crate) fn conflict(op: Op, key: &Source, field: &str, has: &str, wanted: &str) -> Error {
    Error::new(ErrorKind::Conflict, op, key, format!("its {field} is {has}, not {wanted}"))
        .with_remedy("choose another name, or ask for what exists")
}

/// Names the keys of tags that differ, and never the values: messages are logged.
pub(crate) fn other_tags(op: Op, key: &Source, has: &Tags, wanted: &Tags) -> Error {
    let only = |a: &Tags, b: &Tags| -> Vec<String> {
        a.iter()
            .filter(|(key, value)| b.get(*key) != Some(value))
            .map(|(key, _)| key.clone())
            .collect()
    };
    let mut keys = only(has, wanted);
    keys.extend(only(wanted, has));
    keys.sort_unstable();
    keys.dedup();
    let message = format!("its tags differ in {}", keys.join(", "));
    Error::new(ErrorKind::Conflict, op, key, message)
        .with_remedy("choose another name, or ask for what exists")
}

/// The attachment a device stands for.
pub(super) fn attachment(key: &Source, device: &LiveDevice) -> Attachment {
    Attachment::new(key.clone(), &device.node, device.number, device.block_size)
        .with_read_only(device.read_only)
        .with_sequence(device.sequence)
}

/// The ids of a role, for lists.
pub(super) fn volume_id(object: &Object) -> Option<VolumeId> {
    match object.role()? {
        Role::Volume(id) | Role::Erasing(id) => Some(id),
        Role::Snapshot(_) | Role::Rolling => None,
    }
}

pub(super) fn snapshot_id(object: &Object) -> Option<SnapshotId> {
    match object.role()? {
        Role::Snapshot(id) => Some(id),
        _ => None,
    }
}
