//! What is there of a pool, from the tools' report and, for devices, from sysfs.

use std::path::PathBuf;

use open_local_core::host::{Host, read_small};
use open_local_core::{
    Attachment, Bytes, DeviceNumber, Error, ErrorKind, FormatToken, Op, Ratio, Result, SnapshotId,
    Source, VolumeId,
};

use super::CliPool;
use super::room::room_of;
use crate::cli::report::{Group, Volume};
use crate::exec::active_volumes;
use crate::format::id::LvmId;
use crate::pool::names;
use crate::pool::objects::{erasing_id, only_of};
use crate::pool::planner::{absent, busy};
use crate::pool::room::Room;
use crate::pool::tags::{Kind, Label, State};

/// What the names of next contents begin with.
const ROLLING: &str = "ol.r.";
/// Longest attribute read from sysfs.
const MAX_ATTRIBUTE: usize = 64;

/// What is seen of a pool at one moment.
#[derive(Debug)]
pub(in crate::cli) struct Seen {
    pub(in crate::cli) group: Group,
    pub(in crate::cli) objects: Vec<Object>,
    pub(super) room: Room,
}

/// An object of a pool.
#[derive(Debug, Clone)]
pub(in crate::cli) struct Object {
    /// Its name in the group.
    pub(super) name: String,
    /// Its UUID in the group.
    pub(super) uuid: LvmId,
    pub(super) label: Label,
    /// All its tags, those that are not ours too.
    pub(super) tags: Vec<String>,
    pub(super) size: Bytes,
    /// Whether it may be written.
    pub(super) writable: bool,
    /// How much of its size is taken in the thin pool.
    pub(super) data_used: Option<Ratio>,
    /// What the tools say is wrong with it.
    pub(super) trouble: Option<String>,
    pub(super) device: Option<Device>,
}

/// The device of an object.
#[derive(Debug, Clone)]
pub(super) struct Device {
    number: DeviceNumber,
    pub(super) node: PathBuf,
    pub(super) size: Option<Bytes>,
    pub(super) read_only: bool,
    /// Not known without device-mapper.
    pub(super) open: Option<bool>,
    block_size: Bytes,
    sequence: Option<u64>,
}

/// What an object is to callers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Role {
    Volume(VolumeId),
    Snapshot(SnapshotId),
    /// Being erased; nobody can ask for it by this id.
    Erasing(VolumeId),
    /// The next content of a volume, of no use by itself.
    Rolling,
}

impl Object {
    pub(super) fn role(&self) -> Option<Role> {
        if self.name.starts_with(ROLLING) {
            return Some(Role::Rolling);
        }
        if matches!(self.label.state, State::Erasing(_)) {
            return Some(Role::Erasing(erasing_id(&self.uuid)));
        }
        match &self.label.kind {
            Kind::Volume { id: Some(id), .. } => Some(Role::Volume(id.clone())),
            Kind::Volume { id: None, .. } if names::is_made(&self.name) => None,
            Kind::Volume { id: None, .. } => self.name.parse().ok().map(Role::Volume),
            Kind::Snapshot { id, .. } => Some(Role::Snapshot(id.clone())),
        }
    }

    pub(in crate::cli) fn key(&self) -> Option<Source> {
        match self.role()? {
            Role::Volume(id) => Some(Source::Volume(id)),
            Role::Snapshot(id) => Some(Source::Snapshot(id)),
            Role::Erasing(_) | Role::Rolling => None,
        }
    }

    /// The id it is listed under among the volumes.
    pub(in crate::cli) fn volume_id(&self) -> Option<VolumeId> {
        match self.role()? {
            Role::Volume(id) | Role::Erasing(id) => Some(id),
            Role::Snapshot(_) | Role::Rolling => None,
        }
    }

    /// Its format token; one we did not make has none, which is as good as spent.
    pub(super) fn token(&self) -> FormatToken {
        match &self.label.kind {
            Kind::Volume { token, .. } | Kind::Snapshot { token, .. } => {
                token.unwrap_or(FormatToken::Spent)
            }
        }
    }

    pub(super) fn attachment(&self, key: &Source) -> Option<Attachment> {
        let device = self.device.as_ref()?;
        let made = Attachment::new(key.clone(), &device.node, device.number, device.block_size);
        Some(made.with_read_only(device.read_only).with_sequence(device.sequence))
    }
}

impl Seen {
    pub(super) fn new(pool: &CliPool, group: Group) -> Result<Self> {
        let active = if pool.tools.has_mapper() {
            Vec::new()
        } else {
            // The tools do not look at a kernel they are told not to use.
            active_volumes(pool.host(), &group.id)?
        };
        let number = |volume: &Volume| {
            let listed = active.iter().find(|one| one.volume == volume.id);
            let number = listed.and_then(|one| number_of(pool.host(), &one.device));
            number.or(volume.number.filter(|_| volume.active == Some(true)))
        };
        let object = |volume: &Volume| {
            let label = label(pool, volume)?;
            Some(Object {
                name: volume.name.clone(),
                uuid: volume.id,
                label,
                tags: volume.tags.clone(),
                size: volume.size,
                writable: volume.writable,
                data_used: volume.data_used,
                trouble: volume.health.clone(),
                device: number(volume).map(|number| Device::of(pool.host(), number, volume)),
            })
        };
        let objects: Vec<Object> = group.volumes.iter().filter_map(object).collect();
        let room = room_of(pool, &group, &objects)?;
        Ok(Self { group, objects, room })
    }

    /// The object a caller means.
    ///
    /// # Errors
    /// `Conflict` if two volumes say they are it, or if the name it would have belongs to something
    /// that is not of this pool.
    pub(super) fn find(&self, op: Op, key: &Source) -> Result<Option<&Object>> {
        let found = self.see(op, key)?;
        let name = self.name_of(key);
        if found.is_some() || self.group.volume(&name).is_none() {
            return Ok(found);
        }
        let why = format!("the group has a volume {name} that is not one of this pool");
        let remedy = format!(
            "choose another name; if it is to be a volume of this pool, tag it: lvchange --addtag \
             open-local/volume {}/{name}",
            self.group.name
        );
        Err(Error::new(ErrorKind::Conflict, op, key, why).with_remedy(remedy))
    }

    /// The same, where what is not ours is as if it were not there.
    ///
    /// # Errors
    /// `Conflict` if two volumes say they are it.
    pub(super) fn see(&self, op: Op, key: &Source) -> Result<Option<&Object>> {
        only_of(op, &self.objects, key, Object::key, |object| &object.name)
    }

    /// The name an object has, or would have, in the group.
    pub(super) fn name_of(&self, key: &Source) -> String {
        match key {
            Source::Volume(id) => names::volume_name(&self.group.name, id),
            Source::Snapshot(id) => names::snapshot_name(&self.group.name, id),
        }
    }

    /// An object that is there and can be used.
    ///
    /// # Errors
    /// `NotFound`; `Busy` while it is being made.
    pub(super) fn usable(&self, op: Op, key: &Source) -> Result<&Object> {
        let object = self.see(op, key)?.ok_or_else(|| absent(op, key))?;
        match object.label.state {
            State::Ready => Ok(object),
            _ => Err(busy(op, key, "it is still being made", "repeat the call that makes it")),
        }
    }
}

/// What the tags of a volume say, if it is one of this pool.
fn label(pool: &CliPool, volume: &Volume) -> Option<Label> {
    let plain = || {
        let words: Vec<&str> = volume.layout.iter().map(String::as_str).collect();
        matches!(words.as_slice(), ["linear" | "striped"])
    };
    let of_pool = match pool.thin_pool() {
        None => plain() && volume.origin.is_none(),
        Some(own) => volume.is_thin() && volume.pool.as_deref() == Some(own),
    };
    if volume.hidden || !of_pool {
        return None;
    }
    let adopted = || {
        let ours = pool.orders.adopted.iter().any(|start| volume.name.starts_with(start));
        let kind = Kind::Volume { id: None, source: None, token: None };
        (ours && !names::is_made(&volume.name)).then(|| Label::new(kind))
    };
    Label::read(&volume.tags).or_else(adopted)
}

fn attribute(host: &Host, path: &str) -> Option<String> {
    let text = read_small(host.files.as_ref(), &host.roots.sys.join(path), MAX_ATTRIBUTE).ok()?;
    Some(std::str::from_utf8(&text).ok()?.trim().to_owned())
}

fn number_of(host: &Host, device: &str) -> Option<DeviceNumber> {
    let text = attribute(host, &format!("block/{device}/dev"))?;
    let (major, minor) = text.split_once(':')?;
    Some(DeviceNumber::new(major.parse().ok()?, minor.parse().ok()?))
}

impl Device {
    fn of(host: &Host, number: DeviceNumber, volume: &Volume) -> Self {
        let about = |name: &str| attribute(host, &format!("dev/block/{number}/{name}"));
        let count = |name: &str| about(name)?.parse::<u64>().ok();
        Self {
            number,
            node: host.roots.dev.join(format!("dm-{}", number.minor())),
            size: count("size").and_then(|sectors| sectors.checked_mul(512)).map(Bytes::new),
            read_only: about("ro").as_deref() == Some("1"),
            open: volume.open,
            block_size: Bytes::new(count("queue/logical_block_size").unwrap_or(512)),
            sequence: count("diskseq"),
        }
    }
}
