//! The trait [`Pool`] by the tools.

use open_local_core::{
    Attachment, Bytes, Capabilities, Change, CopyMethod, Ensured, Error, ErrorKind, FormatTokens,
    Grown, Health, Op, Phase, Plan, Pool, PoolInfo, PublishSpec, Ratio, Removed, Result, SizeRange,
    Snapshots, Source, ThinProvisioning, Upkeep, VolumeId, VolumeInfo, VolumeSpec,
};

use super::execute::Work;
use super::look::{Object, Seen};
use super::plan::{self, provisioning};
use super::{CliPool, room};
use crate::cli::backend::NAME;
use crate::pool::tags::{Kind, State};

/// What linear and striped volumes can do.
const THICK: Capabilities =
    Capabilities::MINIMAL.with_grow_offline(true).with_grow_online(true).with_format_tokens(true);
/// What volumes of thin pools can do.
const THIN: Capabilities = THICK
    .with_thin(true)
    .with_thick(false)
    .with_thick_guaranteed(false)
    .with_snapshots(CopyMethod::Shared)
    .with_writable_snapshots(true)
    .with_snapshots_online(true)
    .with_snapshots_outlive(true)
    .with_clones(CopyMethod::Shared)
    .with_roll_back(true);
/// The most any pool can do.
pub(in crate::cli) const MOST: Capabilities = THIN.with_thick(true).with_thick_guaranteed(true);

/// How far an object is.
pub(super) fn phase(object: &Object) -> Phase {
    match object.label.state {
        State::Ready => Phase::Ready,
        State::Filling(done) => Phase::Filling(Ratio::of(done, object.size)),
        State::Erasing(done) => Phase::Erasing(Ratio::of(done, object.size)),
    }
}

/// Whether an object can be relied on.
pub(super) fn health(object: &Object) -> Health {
    object.trouble.as_ref().map_or(Health::Healthy, |why| {
        Health::Degraded(format!("lvm2 says of it: {why}; look at it with lvs -a"))
    })
}

/// Bytes an object really takes, where that is known.
pub(super) fn allocated(pool: &CliPool, object: &Object) -> Option<Bytes> {
    match pool.thin_pool() {
        None => Some(object.size),
        Some(_) => object.data_used.map(|used| used.floor_of(object.size)),
    }
}

impl CliPool {
    fn volume_info(&self, object: &Object) -> Option<VolumeInfo> {
        let id = object.volume_id()?;
        let mut info = VolumeInfo::new(id.clone(), object.size, provisioning(self));
        info.requested = object.label.requested.unwrap_or(object.size);
        info.tags = object.label.tags.clone();
        info.phase = phase(object);
        if let Kind::Volume { source, .. } = &object.label.kind {
            info.source.clone_from(source);
        }
        info.allocated = allocated(self, object);
        info.attachment = object.attachment(&Source::Volume(id));
        info.health = health(object);
        Some(info)
    }

    fn absent(&self, op: Op, id: &VolumeId) -> Error {
        let why = format!("there is no such volume in pool {}", self.id());
        Error::new(ErrorKind::NotFound, op, id, why)
            .with_remedy("list what there is with: open-local volume list")
    }

    /// The steps of a change from what is there now.
    pub(super) fn planned(&self, seen: &Seen, change: &Change) -> Result<Option<Work>> {
        let unit = seen.group.extent_size;
        let snapshots = |op: Op| match self.thin_pool() {
            Some(_) => Ok(()),
            None => {
                Err(Error::new(ErrorKind::Unsupported, op, self.id(), "this pool has no snapshots")
                    .with_remedy("take a pool with mode=thin"))
            }
        };
        match change {
            Change::EnsureVolume(spec) => {
                plan::ensure_volume(self, seen, spec, spec.validate(unit)?)
            }
            Change::GrowVolume(id, size) => {
                let size = SizeRange::new(*size).resolve(unit, Op::GrowVolume, id)?;
                plan::grow(seen, &Source::Volume(id.clone()), size)
            }
            Change::Publish(spec) => plan::publish(self, seen, spec),
            Change::Unpublish(key) => plan::unpublish(seen, key),
            Change::RemoveVolume(id) => {
                plan::remove(self, seen, Op::RemoveVolume, &Source::Volume(id.clone()))
            }
            Change::EnsureSnapshot(spec) => {
                snapshots(Op::EnsureSnapshot)?;
                plan::ensure_snapshot(self, seen, spec)
            }
            Change::RollBack(volume, snapshot) => {
                snapshots(Op::RollBack)?;
                plan::roll_back(seen, volume, snapshot).map(Some)
            }
            Change::RemoveSnapshot(id) => {
                snapshots(Op::RemoveSnapshot)?;
                plan::remove(self, seen, Op::RemoveSnapshot, &Source::Snapshot(id.clone()))
            }
            _ => Err(Error::new(
                ErrorKind::Unsupported,
                Op::PlanChange,
                self.id(),
                "this change is not known here",
            )
            .with_remedy("use a newer version")),
        }
    }

    pub(super) fn change(&self, op: Op, change: &Change) -> Result<(Seen, bool)> {
        self.run(op, |seen| self.planned(seen, change))
    }

    fn attached(&self, op: Op, key: &Source) -> Result<Attachment> {
        let seen = self.look(op)?;
        seen.see(op, key)?.and_then(|object| object.attachment(key)).ok_or_else(|| {
            Error::new(ErrorKind::Indeterminate, op, key, "its device vanished at once")
                .with_remedy("somebody else deactivates volumes here; try again")
        })
    }

    fn group_health(&self, seen: &Seen) -> Health {
        if let Some(why) = &seen.group.refusal {
            return Health::Degraded(format!("{why}; lvm2 does not change the group"));
        }
        match room::thin_pool(self, &seen.group) {
            Ok(pool) if pool.active == Some(false) => Health::Degraded(format!(
                "the thin pool {} is not active; open the pool again",
                pool.name
            )),
            Ok(pool) => pool.health.as_ref().map_or(Health::Healthy, |why| {
                Health::Failed(format!("lvm2 says of the thin pool {}: {why}", pool.name))
            }),
            Err(_) => Health::Healthy,
        }
    }
}

impl Pool for CliPool {
    fn info(&self) -> Result<PoolInfo> {
        let seen = self.look(Op::InspectPool)?;
        let (group, room) = (&seen.group, &seen.room);
        let mut info = PoolInfo::new(NAME, self.spec.clone(), room.capacity(group.extent_size));
        info.health = self.group_health(&seen);
        let mapper = if self.tools.has_mapper() { "yes" } else { "no" };
        let mut details = vec![
            ("group", group.name.clone()),
            ("group-uuid", group.id.to_string()),
            ("mode", provisioning(self).as_str().to_owned()),
            ("extent-size", group.extent_size.to_string()),
            ("device-mapper", mapper.to_owned()),
        ];
        if self.thin_pool().is_none() {
            details.push(("erase", if self.orders.erase { "zero" } else { "none" }.to_owned()));
        }
        let own = match self.thin_pool() {
            Some(pool) => group.volume(pool).map(|volume| volume.id),
            None => Some(group.id),
        };
        details.extend(own.map(|id| ("uuid", id.to_string())));
        details.extend(self.thin_pool().map(|pool| ("thin-pool", pool.to_owned())));
        info.details = details.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(info)
    }

    fn capabilities(&self) -> Capabilities {
        let live = self.tools.has_mapper();
        let most = if self.thin_pool().is_some() { THIN } else { THICK };
        most.with_grow_online(live).with_read_only(live)
    }

    fn volume(&self, id: &VolumeId) -> Result<VolumeInfo> {
        let op = Op::InspectVolume;
        let seen = self.look(op)?;
        let found = seen.see(op, &Source::Volume(id.clone()))?;
        found.and_then(|object| self.volume_info(object)).ok_or_else(|| self.absent(op, id))
    }

    fn volumes(&self) -> Result<Vec<VolumeInfo>> {
        let seen = self.look(Op::ListVolumes)?;
        let infos = seen.objects.iter().filter_map(|object| self.volume_info(object));
        let mut infos: Vec<VolumeInfo> = infos.collect();
        infos.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(infos)
    }

    fn ensure_volume(&self, spec: &VolumeSpec) -> Result<Ensured<VolumeInfo>> {
        let (_, made) = self.change(Op::EnsureVolume, &Change::EnsureVolume(spec.clone()))?;
        let volume = self.volume(&spec.id)?;
        Ok(if made { Ensured::Created(volume) } else { Ensured::Unchanged(volume) })
    }

    fn grow_volume(&self, id: &VolumeId, size: Bytes) -> Result<Grown<VolumeInfo>> {
        let (_, grew) = self.change(Op::GrowVolume, &Change::GrowVolume(id.clone(), size))?;
        let volume = self.volume(id)?;
        Ok(if grew { Grown::Grew(volume) } else { Grown::AlreadyLarge(volume) })
    }

    fn publish(&self, spec: &PublishSpec) -> Result<Ensured<Attachment>> {
        let op = Op::Publish;
        let (_, made) = self.change(op, &Change::Publish(spec.clone()))?;
        let attachment = self.attached(op, &spec.source)?;
        Ok(if made { Ensured::Created(attachment) } else { Ensured::Unchanged(attachment) })
    }

    fn unpublish(&self, source: &Source) -> Result<Removed<Attachment>> {
        let op = Op::Unpublish;
        let (seen, made) = self.change(op, &Change::Unpublish(source.clone()))?;
        let was =
            seen.see(op, source)?.filter(|_| made).and_then(|object| object.attachment(source));
        Ok(was.map_or(Removed::WasAbsent, Removed::Removed))
    }

    fn remove_volume(&self, id: &VolumeId) -> Result<Removed<VolumeInfo>> {
        let op = Op::RemoveVolume;
        let (seen, made) = self.change(op, &Change::RemoveVolume(id.clone()))?;
        let last = seen.see(op, &Source::Volume(id.clone()))?.filter(|_| made);
        let last = last.and_then(|object| self.volume_info(object));
        Ok(last.map_or(Removed::WasAbsent, Removed::Removed))
    }

    fn plan(&self, change: &Change) -> Result<Plan> {
        let work = self.planned(&self.look(Op::PlanChange)?, change)?;
        Ok(Plan::new(change.subject(), work.map(|work| work.steps).unwrap_or_default()))
    }

    fn maintain(&self, budget: Bytes) -> Result<Upkeep> {
        self.erase_some(budget)
    }

    fn format_tokens(&self) -> Option<&dyn FormatTokens> {
        Some(self)
    }

    fn snapshots(&self) -> Option<&dyn Snapshots> {
        self.thin_pool().map(|_| self as &dyn Snapshots)
    }

    fn thin(&self) -> Option<&dyn ThinProvisioning> {
        self.thin_pool().map(|_| self as &dyn ThinProvisioning)
    }
}
